"""onnxruntime's `GroupQueryAttention`: caches, ragged batches, rotary positions, windows and sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest

import attncore

Array = np.ndarray[Any, Any]
BATCH, QUERIES, HEADS, SHARED, SIZE, PAST = 2, 4, 4, 2, 16, 3
RANDOM = np.random.default_rng(11)


def random(*shape: int) -> Array:
    """Normal numbers."""
    return RANDOM.standard_normal(shape).astype(np.float32)


QUERY, KEY, VALUE = (random(BATCH, QUERIES, heads * SIZE) for heads in (HEADS, SHARED, SHARED))
ONE = [random(BATCH, 1, heads * SIZE) for heads in (HEADS, SHARED, SHARED)]
CACHE = random(2, BATCH, SHARED, PAST, SIZE)
ANGLES = RANDOM.uniform(0, 6, (16, SIZE // 2))
COSINES, SINES = np.cos(ANGLES).astype(np.float32), np.sin(ANGLES).astype(np.float32)
SINKS = np.array([0.5, -1.0, 2.0, 0.0], np.float32)
CAUSAL = np.tri(QUERIES, dtype=bool)
NAMES = (
    *("query", "key", "value", "past_key", "past_value", "seqlens_k", "total_sequence_length"),
    *("cos_cache", "sin_cache", "position_ids", "attention_bias", "head_sink"),
)
ATTRIBUTES = {"num_heads": HEADS, "kv_num_heads": SHARED}


def inputs_of(lengths: list[int], total: int, **given: Any) -> dict[str, Array | None]:
    """The operator's inputs in its order; ``lengths`` are the items' keys, the new ones with them."""
    base = {
        **{"query": QUERY, "key": KEY, "value": VALUE, "total_sequence_length": np.array([total], np.int32)},
        "seqlens_k": np.array(lengths, np.int32) - 1,
    }
    return {name: {**base, **given}.get(name) for name in NAMES}


def step(past: Array = CACHE, new: Sequence[Array | None] = ONE) -> dict[str, Array | None]:
    """One more position after a cache."""
    return {"query": new[0], "key": new[1], "value": new[2], "past_key": past[0], "past_value": past[1]}


def split(features: Array, heads: int) -> Array:
    """(batch, length, heads * size) as (batch, heads, length, size) in float64."""
    return features.astype(np.float64).reshape(*features.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def formula(query: Array, key: Array, allowed: Array, *, bias: Any = 0.0, cap: float = 0, sinks: Any = None) -> Array:
    """The weights in float64; rows that may look nowhere are zeros."""
    scores = query @ np.repeat(key, HEADS // SHARED, axis=1).swapaxes(2, 3) * SIZE**-0.5
    scores = (cap * np.tanh(scores / cap) if cap else scores) + bias
    exponentials = np.where(allowed, np.exp(scores), 0)
    total = exponentials.sum(-1, keepdims=True) + (0 if sinks is None else np.exp(sinks)[:, None, None])
    return np.asarray(exponentials / np.where(total == 0, 1, total))


def turned(array: Array, positions: Array, interleaved: bool) -> Array:
    """Rotary embedding: each pair of features as a complex number, turned by the angle of its position."""
    pairs = array[..., 0::2] + 1j * array[..., 1::2]
    if not interleaved:
        pairs = array[..., : SIZE // 2] + 1j * array[..., SIZE // 2 :]
    pairs = pairs * np.exp(1j * ANGLES[positions])[:, None]
    if interleaved:
        return np.stack([pairs.real, pairs.imag], axis=-1).reshape(array.shape)
    return np.concatenate([pairs.real, pairs.imag], axis=-1)


PROMPTS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}, {}),
    "a window of 2": ({}, {"local_window_size": 2}, {"allowed": CAUSAL & ~np.tri(QUERIES, k=-2, dtype=bool)}),
    "a cap": ({}, {"softcap": 1.5}, {"cap": 1.5}),
    "a sink without a score of its own": ({}, {"smooth_softmax": 1}, {"sinks": np.zeros(HEADS)}),
    "a sink a head": ({"head_sink": SINKS}, {}, {"sinks": SINKS}),
    "not causal": ({}, {"causal": 0}, {"allowed": np.ones((QUERIES, QUERIES), dtype=bool)}),
    "a cap, a sink and a window": (
        {"head_sink": SINKS},
        {"softcap": 1.0, "local_window_size": 3},
        {"cap": 1.0, "sinks": SINKS, "allowed": CAUSAL & ~np.tri(QUERIES, k=-3, dtype=bool)},
    ),
}


@pytest.mark.parametrize("packed", [False, True], ids=["", "packed"])
@pytest.mark.parametrize("case", PROMPTS)
def test_a_prompt(case: str, packed: bool, run_fused: Callable[..., Any]) -> None:
    """Every option by itself and some together; query, key and value apart or packed into one."""
    given, attributes, expected = PROMPTS[case]
    together = {"query": np.concatenate([QUERY, KEY, VALUE], axis=2), "key": None, "value": None} if packed else {}
    inputs = inputs_of([QUERIES] * BATCH, QUERIES, **given, **together)
    layer = run_fused("GroupQueryAttention", inputs, {**ATTRIBUTES, **attributes}, outputs=3).layer
    query, key = split(QUERY, HEADS), split(KEY, SHARED)
    weights = formula(query, key, **{"allowed": CAUSAL, **expected})
    np.testing.assert_allclose(layer.weights, weights, rtol=0, atol=1e-5)
    np.testing.assert_allclose(layer.query, query, rtol=0, atol=1e-6)
    assert layer.key.shape == layer.value.shape == (BATCH, SHARED, QUERIES, SIZE)
    assert layer.softcap == (expected.get("cap"))
    assert (layer.sinks is not None) == ("sinks" in expected)
    assert layer.scale == pytest.approx(SIZE**-0.5)
    assert bool(layer.notes) == ("sinks" in expected), "rows that do not sum to 1 must say why"


@pytest.mark.parametrize("cap", [0.0, 1.2])
@pytest.mark.parametrize("heads", [1, HEADS])
def test_a_bias(heads: int, cap: float, run_fused: Callable[..., Any]) -> None:
    """Added after the cap."""
    bias = np.random.default_rng(3).standard_normal((BATCH, heads, QUERIES, QUERIES)).astype(np.float32)
    inputs = inputs_of([QUERIES] * BATCH, QUERIES, attention_bias=bias)
    layer = run_fused("GroupQueryAttention", inputs, {**ATTRIBUTES, "softcap": cap}, outputs=3).layer
    weights = formula(split(QUERY, HEADS), split(KEY, SHARED), CAUSAL, bias=bias, cap=cap)
    np.testing.assert_allclose(layer.weights, weights, rtol=0, atol=1e-5)


def test_a_ragged_prompt(run_fused: Callable[..., Any]) -> None:
    """An item that is shorter is padded on the right: its padding is nobody's key, and its own rows are empty."""
    inputs = inputs_of([4, 2], QUERIES)
    rows = (np.array([0] * 4 + [1] * 2), np.array([0, 1, 2, 3, 0, 1]))
    layer = run_fused("GroupQueryAttention", inputs, ATTRIBUTES, outputs=3, rows=rows).layer
    real = np.arange(QUERIES) < np.array([[4], [2]])
    allowed = CAUSAL & real[:, None, None, :] & real[:, None, :, None]
    np.testing.assert_allclose(
        layer.weights, formula(split(QUERY, HEADS), split(KEY, SHARED), allowed), rtol=0, atol=1e-5
    )
    assert not np.asarray(layer.weights)[1, :, 2:].any()


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("start", [None, 5])
def test_rotary_positions(start: int | None, interleaved: bool, run_fused: Callable[..., Any]) -> None:
    """Counted from 0 in a prompt, or from the first of the positions given."""
    ids = None if start is None else np.arange(start, start + QUERIES)[None].repeat(BATCH, 0).astype(np.int64)
    inputs = inputs_of([QUERIES] * BATCH, QUERIES, cos_cache=COSINES, sin_cache=SINES, position_ids=ids)
    attributes = {**ATTRIBUTES, "do_rotary": 1, "rotary_interleaved": int(interleaved)}
    layer = run_fused("GroupQueryAttention", inputs, attributes, outputs=3).layer
    positions = np.arange(QUERIES)[None].repeat(BATCH, 0) + (start or 0)
    query, key = (turned(split(one, heads), positions, interleaved) for one, heads in ((QUERY, HEADS), (KEY, SHARED)))
    np.testing.assert_allclose(layer.query, query, rtol=0, atol=1e-5)
    np.testing.assert_allclose(layer.key, key, rtol=0, atol=1e-5)
    np.testing.assert_allclose(layer.weights, formula(query, key, CAUSAL), rtol=0, atol=1e-5)


@pytest.mark.parametrize("lengths", [[4, 4], [4, 3]], ids=["", "ragged"])
@pytest.mark.parametrize("buffer", [PAST, 8], ids=["", "a longer buffer"])
@pytest.mark.parametrize("rotary", [False, True], ids=["", "rotary"])
def test_a_step_after_a_cache(lengths: list[int], buffer: int, rotary: bool, run_fused: Callable[..., Any]) -> None:
    """The new key comes right after those that its item has in the cache, whatever lies behind them."""
    padding = np.random.default_rng(2).standard_normal((2, BATCH, SHARED, buffer - PAST, SIZE)).astype(np.float32)
    given = step(np.concatenate([CACHE, padding], axis=3)) | (
        {"cos_cache": COSINES, "sin_cache": SINES} if rotary else {}
    )
    attributes = {**ATTRIBUTES, "do_rotary": int(rotary)}
    layer = run_fused("GroupQueryAttention", inputs_of(lengths, 4, **given), attributes, outputs=3).layer
    places = np.array(lengths) - 1
    query, new = split(ONE[0], HEADS), split(ONE[1], SHARED)
    if rotary:
        query, new = (turned(one, places[:, None], interleaved=False) for one in (query, new))
    key = np.concatenate([CACHE[0], np.zeros((BATCH, SHARED, 1, SIZE))], axis=2)
    for item, place in enumerate(places):
        key[item, :, place] = new[item, :, 0]
    allowed = (np.arange(4) < np.array(lengths)[:, None])[:, None, None]
    np.testing.assert_allclose(layer.weights, formula(query, key, allowed), rtol=0, atol=1e-5)
    assert layer.shape == (BATCH, HEADS, 1, 4)


@pytest.mark.parametrize("window", [-1, 2])
def test_several_positions_after_a_cache(window: int, run_fused: Callable[..., Any]) -> None:
    """A second part of a prompt: each row sees the cache and its own part up to itself, or the window of it."""
    new = [random(1, 2, heads * SIZE) for heads in (HEADS, SHARED, SHARED)]
    inputs = inputs_of([5], 5, **step(CACHE[:, :1], new))
    layer = run_fused("GroupQueryAttention", inputs, {**ATTRIBUTES, "local_window_size": window}, outputs=3).layer
    here, there = np.arange(2)[:, None] + PAST, np.arange(5)[None]
    allowed = (there <= here) & ((there > here - window) if window > 0 else True)
    key = np.concatenate([CACHE[0, :1], split(new[1], SHARED)], axis=2)
    np.testing.assert_allclose(layer.weights, formula(split(new[0], HEADS), key, allowed), rtol=0, atol=1e-5)


def test_half_precision(run_fused: Callable[..., Any]) -> None:
    """The weights are computed in float32 from the operator's own float16 vectors."""
    halves = {name: array.astype(np.float16) for name, array in (("query", QUERY), ("key", KEY), ("value", VALUE))}
    inputs = inputs_of([QUERIES] * BATCH, QUERIES, **halves)
    layer = run_fused("GroupQueryAttention", inputs, ATTRIBUTES, outputs=3, atol=2e-3).layer
    weights = formula(split(halves["query"], HEADS), split(halves["key"], SHARED), CAUSAL)
    np.testing.assert_allclose(layer.weights, weights, rtol=0, atol=1e-5)
    assert layer.model_dtype == "float16"


def test_the_weights_are_those_that_the_operator_can_give_itself(make_model: Callable[..., Any]) -> None:
    """With ``qk_output`` it has its softmax as an output, made by its own kernel."""
    inputs = inputs_of([QUERIES] * BATCH, QUERIES, head_sink=SINKS)
    attributes = {**ATTRIBUTES, "softcap": 2.0, "local_window_size": 3, "qk_output": 2}
    model = make_model("GroupQueryAttention", inputs, attributes, outputs=4)
    feeds = {name: array for name, array in inputs.items() if array is not None}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    own = session.run(["output3"], feeds)[0]
    trace = attncore.trace(model, attncore.Inputs(**feeds), keep="qk")
    np.testing.assert_allclose(trace[0].weights, own, rtol=0, atol=1e-6)


def test_the_steps_of_a_generation_are_rows_of_one_attention(make_model: Callable[..., Any]) -> None:
    """The prompt and two steps with the cache that the operator gave: one square of weights, with rotary positions."""
    attributes = {**ATTRIBUTES, "do_rotary": 1}
    turns = {"cos_cache": COSINES, "sin_cache": SINES}
    names = NAMES[:9]
    tokens = [random(1, 5, heads * SIZE) for heads in (HEADS, SHARED, SHARED)]
    packed = np.concatenate(tokens, axis=2)
    shapes = inputs_of([3], 3, **step(CACHE[:, :1], [packed, None, None]), **turns)
    model = make_model("GroupQueryAttention", {name: shapes[name] for name in names}, attributes, outputs=3)
    for one in (*model.graph.input, *model.graph.output):
        one.type.tensor_type.ClearField("shape")
    past = np.zeros((2, 1, SHARED, 0, SIZE), np.float32)
    with attncore.capture(model) as session:
        for first, last in ((0, 3), (3, 4), (4, 5)):
            feeds = inputs_of([last], last, **step(past, [packed[:, first:last], None, None]), **turns)
            output = session(**{name: feeds[name] for name in names if feeds[name] is not None})
            past = np.stack([output["output1"], output["output2"]])
    trace = session.trace()
    positions = np.arange(5)[None]
    query, key = (
        turned(split(one, heads), positions, interleaved=False)
        for one, heads in ((tokens[0], HEADS), (tokens[1], SHARED))
    )
    assert trace[0].shape == (1, HEADS, 5, 5)
    np.testing.assert_allclose(trace[0].weights, formula(query, key, np.tri(5, dtype=bool)), rtol=0, atol=1e-5)


def test_a_quantised_cache_is_reported(make_model: Callable[..., Any]) -> None:
    """The keys that were used are not those that can be read."""
    scale = np.array([0.05], np.float32)
    cache = np.random.default_rng(1).integers(-20, 20, (2, BATCH, SHARED, PAST, SIZE)).astype(np.int8)
    inputs = inputs_of([4, 4], 4, **step(cache)) | {"k_scale": scale, "v_scale": scale}
    attributes = {**ATTRIBUTES, "k_quant_type": "PER_TENSOR", "v_quant_type": "PER_TENSOR", "kv_cache_bit_width": 8}
    model = make_model("GroupQueryAttention", inputs, attributes, outputs=3)
    for output in model.graph.output[1:]:
        output.type.tensor_type.elem_type = 3
    feeds = {name: array for name, array in inputs.items() if array is not None}
    with pytest.raises(attncore.NoAttentionError, match="its cache is quantised"):
        attncore.trace(model, attncore.Inputs(**feeds))
