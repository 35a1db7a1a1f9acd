"""ONNX' own `Attention` of opset 23 and later, as onnxruntime runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest

import attncore

Array = np.ndarray[Any, Any]
BATCH, QUERIES, KEYS, HEADS, SHARED, SIZE, WIDE, PAST = 2, 4, 5, 4, 2, 6, 3, 3
RANDOM = np.random.default_rng(13)
QUERY, KEY, VALUE = (
    RANDOM.standard_normal((BATCH, heads, length, size)).astype(np.float32)
    for heads, length, size in ((HEADS, QUERIES, SIZE), (SHARED, KEYS, SIZE), (SHARED, KEYS, WIDE))
)
CACHE = [RANDOM.standard_normal((BATCH, SHARED, PAST, size)).astype(np.float32) for size in (SIZE, WIDE)]
NAMES = ("Q", "K", "V", "attn_mask", "past_key", "past_value", "nonpad_kv_seqlen")


def inputs_of(**given: Any) -> dict[str, Array | None]:
    """The operator's inputs in its order."""
    return {name: {"Q": QUERY, "K": KEY, "V": VALUE, **given}.get(name) for name in NAMES}


def formula(
    query: Array, key: Array, allowed: Any = True, bias: Any = 0.0, scale: float = SIZE**-0.5, cap: float = 0
) -> Array:
    """The weights in float64; rows that may look nowhere are zeros."""
    key = np.repeat(key.astype(np.float64), HEADS // SHARED, axis=1)
    scores = query.astype(np.float64) @ key.swapaxes(2, 3) * scale
    scores = (cap * np.tanh(scores / cap) if cap else scores) + bias
    exponentials = np.where(allowed, np.exp(scores), 0)
    total = exponentials.sum(-1, keepdims=True)
    return np.asarray(exponentials / np.where(total == 0, 1, total))


def together(array: Array) -> Array:
    """The heads side by side."""
    return array.transpose(0, 2, 1, 3).reshape(array.shape[0], array.shape[2], -1)


@pytest.mark.parametrize("opset", [23, 24])
@pytest.mark.parametrize("flat", [False, True], ids=["heads apart", "heads side by side"])
def test_plain(flat: bool, opset: int, run_fused: Callable[..., Any]) -> None:
    """Both shapes of input, and key heads that groups of query heads share."""
    inputs = inputs_of(Q=together(QUERY), K=together(KEY), V=together(VALUE)) if flat else inputs_of()
    attributes = {"q_num_heads": HEADS, "kv_num_heads": SHARED} if flat else {}
    layer = run_fused("Attention", inputs, attributes, "", opset=opset).layer
    np.testing.assert_allclose(layer.weights, formula(QUERY, KEY), rtol=0, atol=1e-5)
    np.testing.assert_allclose(layer.query, QUERY, rtol=0, atol=1e-6)
    np.testing.assert_allclose(layer.value, VALUE, rtol=0, atol=1e-6)
    assert layer.scale == pytest.approx(SIZE**-0.5)
    assert layer.mask is None
    assert layer.kind == "cross"


@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize(
    "shape", [(4, 5), (1, 4, 5), (4, 4, 5), (1, 1, 4, 5), (2, 1, 4, 5), (2, 4, 4, 5)], ids=lambda shape: str(shape)
)
def test_each_mask(shape: tuple[int, ...], kind: str, causal: bool, run_fused: Callable[..., Any]) -> None:
    """A mask of booleans forbids, one of numbers is added, after the cap; causality is counted from the first key."""
    random = np.random.default_rng(4)
    mask = (random.random(shape) > 0.4) if kind == "bool" else random.standard_normal(shape).astype(np.float32)
    mask[..., 0] = kind == "bool"
    attributes = {"is_causal": int(causal), "softcap": 0.9, "scale": 0.3}
    layer = run_fused("Attention", inputs_of(attn_mask=mask), attributes, "").layer
    allowed = np.tri(QUERIES, KEYS, dtype=bool) if causal else np.ones((QUERIES, KEYS), dtype=bool)
    if kind == "bool":
        expected = formula(QUERY, KEY, allowed & mask, 0.0, 0.3, 0.9)
        np.testing.assert_array_equal(
            np.broadcast_to(layer.mask, layer.shape), np.broadcast_to(allowed & mask, layer.shape)
        )
    else:
        expected = formula(QUERY, KEY, allowed, mask, 0.3, 0.9)
        np.testing.assert_array_equal(layer.bias, mask.reshape((1,) * (4 - mask.ndim) + mask.shape))
    np.testing.assert_allclose(layer.weights, expected, rtol=0, atol=1e-5)
    assert layer.softcap == pytest.approx(0.9)


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_row_that_may_look_nowhere_is_zeros(kind: str, run_fused: Callable[..., Any]) -> None:
    """In the weights as in the operator's output."""
    mask = np.ones((QUERIES, KEYS), dtype=bool)
    mask[2] = False
    given = mask if kind == "bool" else np.where(mask, 0, -np.inf).astype(np.float32)
    ran = run_fused("Attention", inputs_of(attn_mask=given), {}, "")
    np.testing.assert_allclose(ran.layer.weights, formula(QUERY, KEY, mask), rtol=0, atol=1e-5)
    assert not ran.output[:, :, 2].any()


@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
def test_a_past(causal: bool, run_fused: Callable[..., Any]) -> None:
    """Cached keys come first; a causal query sees all of them."""
    inputs = inputs_of(past_key=CACHE[0], past_value=CACHE[1])
    layer = run_fused("Attention", inputs, {"is_causal": int(causal)}, "", outputs=3).layer
    key = np.concatenate([CACHE[0], KEY], axis=2)
    allowed = np.tri(QUERIES, PAST + KEYS, PAST, dtype=bool) if causal else True
    np.testing.assert_allclose(layer.weights, formula(QUERY, key, allowed), rtol=0, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
def test_keys_that_are_padding(causal: bool, run_fused: Callable[..., Any]) -> None:
    """``nonpad_kv_seqlen`` counts each item's keys, and causal queries are the last of these."""
    lengths = np.array([5, 3], np.int64)
    inputs = inputs_of(nonpad_kv_seqlen=lengths)
    layer = run_fused("Attention", inputs, {"is_causal": int(causal)}, "", opset=24).layer
    position, row = np.arange(KEYS)[None, None], np.arange(QUERIES)[None, :, None]
    allowed = np.broadcast_to(position < lengths[:, None, None], (BATCH, QUERIES, KEYS))
    if causal:
        allowed = allowed & (position <= row + lengths[:, None, None] - QUERIES)
    np.testing.assert_allclose(layer.weights, formula(QUERY, KEY, allowed[:, None]), rtol=0, atol=1e-5)


def test_half_precision(run_fused: Callable[..., Any]) -> None:
    """Computed in float32 from the float16 vectors."""
    halves = {name: array.astype(np.float16) for name, array in (("Q", QUERY), ("K", KEY), ("V", VALUE))}
    layer = run_fused("Attention", inputs_of(**halves), {}, "", atol=3e-3).layer
    np.testing.assert_allclose(layer.weights, formula(halves["Q"], halves["K"]), rtol=0, atol=1e-5)


def test_the_weights_are_those_that_the_operator_can_give_itself(make_model: Callable[..., Any]) -> None:
    """Its fourth output in mode 3 is its softmax."""
    attributes = {"is_causal": 1, "softcap": 1.0, "qk_matmul_output_mode": 3}
    inputs = inputs_of(Q=QUERY, K=KEY[:, :, :QUERIES], V=VALUE[:, :, :QUERIES])
    model = make_model("Attention", inputs, attributes, "", 4)
    feeds = {name: array for name, array in inputs.items() if array is not None}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    own = session.run(["output3"], feeds)[0]
    trace = attncore.trace(model, attncore.Inputs(**feeds), keep="qk")
    np.testing.assert_allclose(trace[0].weights, own, rtol=0, atol=1e-6)
