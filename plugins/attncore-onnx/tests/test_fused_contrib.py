"""onnxruntime's `Attention` and `MultiHeadAttention`: every mask, bias and past, against float64 and their output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import attncore

Array = np.ndarray[Any, Any]
BATCH, QUERIES, HEADS, SIZE, WIDTH, PAST = 2, 4, 2, 3, 5, 3
FILL, LOWEST = -10000.0, float(np.finfo(np.float32).min)
POSITION = np.arange(QUERIES)
RANDOM = np.random.default_rng(7)
STATES = RANDOM.standard_normal((BATCH, QUERIES, WIDTH)).astype(np.float32)
WEIGHT = RANDOM.standard_normal((WIDTH, 3 * HEADS * SIZE)).astype(np.float32)
BIAS = RANDOM.standard_normal(3 * HEADS * SIZE).astype(np.float32)
CACHE = RANDOM.standard_normal((2, BATCH, HEADS, PAST, SIZE)).astype(np.float32)
ADDED = RANDOM.standard_normal((BATCH, HEADS, QUERIES, QUERIES)).astype(np.float32)
BLOCKS = (RANDOM.random((BATCH, QUERIES, QUERIES)) > 0.4) | np.eye(QUERIES, dtype=bool)
LEFT = np.array([[0, 0, 1, 1], [1, 1, 1, 1]])
AHEAD = np.where(POSITION[None] > POSITION[:, None], LOWEST, 0)


def split(features: Array) -> Array:
    """(batch, length, heads * size) as (batch, heads, length, size) in float64."""
    return features.astype(np.float64).reshape(*features.shape[:2], HEADS, -1).transpose(0, 2, 1, 3)


def softmax(scores: Array) -> Array:
    """Along the last axis."""
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(-1, keepdims=True))


def formula(query: Array, key: Array, added: Any = 0.0, scale: float = SIZE**-0.5) -> Array:
    """The weights in float64, with what is added to the scores."""
    return softmax(query @ key.swapaxes(2, 3) * scale + added)


def projected() -> list[Array]:
    """Query, key and value as `Attention` makes them, in float64."""
    features = STATES.astype(np.float64) @ WEIGHT.astype(np.float64) + BIAS
    return [split(part) for part in np.split(features, 3, axis=-1)]


def after(mask: Any) -> Array:
    """A number that is added where a mask (batch, key) is 0, for every head and query."""
    return np.where(np.asarray(mask) > 0, 0, FILL)[:, None, None]


def up_to(*ends: int) -> Array:
    """A mask of keys before these ends."""
    return (POSITION[None] < np.array(ends)[:, None]).astype(np.int64)


MASKS: dict[str, tuple[Any, Any]] = {
    "none": (None, 0.0),
    "key lengths": ([4, 2], after(up_to(4, 2))),
    "ends and starts": ([4, 3, 1, 0], after(up_to(4, 3) & [[0, 1, 1, 1], [1, 1, 1, 1]])),
    "lengths and offsets": ([4, 2, 0, 4, 8, 0, 4, 6], after(up_to(4, 2))),
    "(batch, key)": (LEFT, after(LEFT)),
    "(batch, query, key)": (BLOCKS, np.where(BLOCKS, 0, FILL)[:, None]),
    "(batch, 1), which masks nothing": (np.zeros((BATCH, 1)), 0.0),
    "(1, 1), which masks nothing": (np.ones((1, 1)), 0.0),
}


def attention_inputs(mask: Any = None, **others: Array) -> dict[str, Array | None]:
    """The inputs of `Attention` in its order."""
    given = None if mask is None else np.asarray(mask, dtype=np.int32)
    return {
        **{"input": STATES, "weight": WEIGHT, "bias": BIAS, "mask_index": given},
        **{"past": others.get("past"), "attention_bias": others.get("added")},
    }


@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
@pytest.mark.parametrize("form", MASKS)
def test_attention_with_each_mask(form: str, causal: bool, run_fused: Callable[..., Any]) -> None:
    """A mask lowers scores by 10,000; causality takes the place of what the mask says ahead of a query."""
    mask, added = MASKS[form]
    if causal:
        added = np.where(AHEAD < 0, LOWEST, added)
    attributes = {"num_heads": HEADS, "unidirectional": int(causal)}
    # A causal row of padding alone: its scores are lowered alike, and float32 has steps of 0.001 at 10,000.
    unsure = causal and form in ("ends and starts", "(batch, key)")
    layer = run_fused("Attention", attention_inputs(mask), attributes, atol=2e-3 if unsure else 2e-6).layer
    query, key, value = projected()
    np.testing.assert_allclose(layer.weights, formula(query, key, added), rtol=0, atol=1e-3 if unsure else 1e-5)
    np.testing.assert_allclose(layer.query, query, rtol=0, atol=1e-5)
    np.testing.assert_allclose(layer.key, key, rtol=0, atol=1e-5)
    np.testing.assert_allclose(layer.value, value, rtol=0, atol=1e-5)
    assert layer.scale == pytest.approx(SIZE**-0.5)
    assert layer.kind == "self"


def test_what_a_mask_forbids_is_the_layers_mask(run_fused: Callable[..., Any]) -> None:
    """Where each row has a key left, lowering by 10,000 is forbidding, and the layer says so."""
    layer = run_fused("Attention", attention_inputs([4, 2]), {"num_heads": HEADS, "unidirectional": 1}).layer
    allowed = (AHEAD == 0)[None, None] & (up_to(4, 2) > 0)[:, None, None]
    np.testing.assert_array_equal(np.broadcast_to(layer.mask, layer.shape), np.broadcast_to(allowed, layer.shape))
    assert layer.bias is None


def test_a_mask_that_only_lowers_stays_a_number(run_fused: Callable[..., Any]) -> None:
    """With a filler of 5 a masked key keeps some weight; a row without any key left is as if it had no mask."""
    layer = run_fused("Attention", attention_inputs(LEFT), {"num_heads": HEADS, "mask_filter_value": -5.0}).layer
    query, key, _ = projected()
    added = np.where(LEFT > 0, 0, -5.0)[:, None, None]
    np.testing.assert_allclose(layer.weights, formula(query, key, added), rtol=0, atol=1e-5)
    assert layer.mask is None
    empty = run_fused("Attention", attention_inputs([0, 4]), {"num_heads": HEADS}, atol=2e-3).layer
    np.testing.assert_allclose(empty.weights, formula(query, key), rtol=0, atol=1e-3)


@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
def test_attention_with_a_past(causal: bool, masked: bool, run_fused: Callable[..., Any]) -> None:
    """Cached positions come before the new ones, and masks count them."""
    mask = np.array([[0, 0, 1, 1, 1, 1, 1], [1] * 7]) if masked else None
    attributes = {"num_heads": HEADS, "unidirectional": int(causal)}
    inputs = attention_inputs(mask, past=CACHE)
    layer = run_fused("Attention", inputs, attributes, outputs=2).layer
    query, key, value = projected()
    key, value = np.concatenate([CACHE[0], key], axis=2), np.concatenate([CACHE[1], value], axis=2)
    ahead = np.where(np.arange(PAST + QUERIES)[None] > POSITION[:, None] + PAST, LOWEST, 0) if causal else 0.0
    added = np.where(np.asarray(ahead) < 0, LOWEST, 0.0 if mask is None else after(mask))
    np.testing.assert_allclose(layer.weights, formula(query, key, added), rtol=0, atol=1e-5)
    np.testing.assert_allclose(layer.value, value, rtol=0, atol=1e-5)
    assert layer.shape == (BATCH, HEADS, QUERIES, PAST + QUERIES)


@pytest.mark.parametrize("batch", [1, BATCH])
@pytest.mark.parametrize("heads", [1, HEADS])
def test_attention_with_a_bias(batch: int, heads: int, run_fused: Callable[..., Any]) -> None:
    """Added to the scores, besides masks and causality, the same for all items or heads where it has one."""
    added = ADDED[:batch, :heads]
    attributes = {"num_heads": HEADS, "unidirectional": 1, "scale": 0.3}
    layer = run_fused("Attention", attention_inputs([4, 2], added=added), attributes).layer
    query, key, _ = projected()
    everything = np.where(AHEAD < 0, LOWEST, after(up_to(4, 2))) + added
    np.testing.assert_allclose(layer.weights, formula(query, key, everything, 0.3), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(layer.bias, added)
    assert layer.scale == pytest.approx(0.3)


def test_attention_whose_values_are_wider(run_fused: Callable[..., Any]) -> None:
    """``qkv_hidden_sizes`` says where query, key and value are; here there is no bias."""
    sizes = [HEADS * SIZE, HEADS * SIZE, HEADS * 7]
    weight = np.random.default_rng(1).standard_normal((WIDTH, sum(sizes))).astype(np.float32)
    attributes = {"num_heads": HEADS, "qkv_hidden_sizes": sizes}
    layer = run_fused("Attention", {"input": STATES, "weight": weight}, attributes).layer
    query, key, value = (
        split(STATES.astype(np.float64) @ part) for part in np.split(weight, np.cumsum(sizes)[:2], axis=1)
    )
    np.testing.assert_allclose(layer.weights, formula(query, key), rtol=0, atol=1e-5)
    np.testing.assert_allclose(layer.value, value, rtol=0, atol=1e-5)


KEYS = 5
QUERY = RANDOM.standard_normal((BATCH, QUERIES, HEADS * SIZE)).astype(np.float32)
KEY = RANDOM.standard_normal((BATCH, KEYS, HEADS * SIZE)).astype(np.float32)
VALUE = RANDOM.standard_normal((BATCH, KEYS, HEADS * 7)).astype(np.float32)
WIDE = RANDOM.standard_normal(HEADS * (2 * SIZE + 7)).astype(np.float32)
PADDED = np.array([[1, 1, 0, 1, 1], [0, 1, 1, 1, 0]])
LONG_BLOCKS = np.concatenate([BLOCKS, BLOCKS[..., :1]], axis=-1)
OUT_OF_REACH = np.where(np.arange(KEYS) < np.array([[5], [3]]), 0, FILL)[:, None, None]
CROSS_MASKS: dict[str, tuple[Any, Any]] = {
    "none": (None, 0.0),
    "key lengths": ([5, 3], OUT_OF_REACH),
    "lengths and offsets": ([5, 3, 0, 4, 8, 0, 5, 8], OUT_OF_REACH),
    "(batch, key)": (PADDED, after(PADDED)),
    "(batch, query, key)": (LONG_BLOCKS, np.where(LONG_BLOCKS, 0, FILL)[:, None]),
}


def heads_inputs(**given: Any) -> dict[str, Array | None]:
    """The inputs of `MultiHeadAttention` in its order."""
    names = ("query", "key", "value", "bias", "key_padding_mask", "attention_bias", "past_key", "past_value")
    return {name: {"query": QUERY, "key": KEY, "value": VALUE, **given}.get(name) for name in names}


@pytest.mark.parametrize("form", CROSS_MASKS)
def test_multi_head_attention_with_each_mask(form: str, run_fused: Callable[..., Any]) -> None:
    """Queries of one sequence and keys of another, with the projection's bias."""
    mask, added = CROSS_MASKS[form]
    given = None if mask is None else np.asarray(mask, dtype=np.int32)
    layer = run_fused("MultiHeadAttention", heads_inputs(bias=WIDE, key_padding_mask=given), {"num_heads": HEADS}).layer
    width = HEADS * SIZE
    query, key = split(QUERY + WIDE[:width]), split(KEY + WIDE[width : 2 * width])
    np.testing.assert_allclose(layer.weights, formula(query, key, added), rtol=0, atol=1e-5)
    np.testing.assert_allclose(layer.value, split(VALUE + WIDE[2 * width :]), rtol=0, atol=1e-6)
    assert layer.kind == "cross"


@pytest.mark.parametrize("cached", [False, True], ids=["", "the keys are a cache"])
@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
def test_multi_head_attention_of_a_bias(cached: bool, causal: bool, run_fused: Callable[..., Any]) -> None:
    """Causal queries count from the first key, and the last sees all where there are more keys than queries."""
    added = np.random.default_rng(5).standard_normal((1, HEADS, QUERIES, KEYS)).astype(np.float32)
    key, value = split(KEY).astype(np.float32), split(KEY[:, ::-1]).astype(np.float32)
    inputs = heads_inputs(attention_bias=added, **({"key": key, "value": value} if cached else {}))
    layer = run_fused("MultiHeadAttention", inputs, {"num_heads": HEADS, "unidirectional": int(causal)}).layer
    ahead = (np.arange(KEYS)[None] > POSITION[:, None]) & (POSITION[:, None] < QUERIES - 1) & causal
    ahead = np.where(ahead, LOWEST, 0)
    np.testing.assert_allclose(layer.weights, formula(split(QUERY), key, added + ahead), rtol=0, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
def test_multi_head_attention_with_a_past(causal: bool, run_fused: Callable[..., Any]) -> None:
    """Cached keys and values come first, and the mask counts them."""
    mask = np.array([[0, 0, 1, 1, 1, 1, 1], [1] * 7], dtype=np.int32)
    inputs = heads_inputs(
        **{"key": QUERY[:, ::-1].copy(), "value": QUERY * 2, "key_padding_mask": mask},
        **{"past_key": CACHE[0], "past_value": CACHE[1]},
    )
    attributes = {"num_heads": HEADS, "unidirectional": int(causal)}
    layer = run_fused("MultiHeadAttention", inputs, attributes, outputs=3).layer
    key = np.concatenate([CACHE[0], split(QUERY[:, ::-1])], axis=2)
    ahead = np.arange(PAST + QUERIES)[None] > POSITION[:, None] + PAST
    added = np.where(ahead & causal, LOWEST, after(mask))
    np.testing.assert_allclose(layer.weights, formula(split(QUERY), key, added), rtol=0, atol=1e-5)


REPORTED: dict[str, tuple[dict[str, Any], str]] = {
    "a past that no present continues": ({"past_key": CACHE[0], "past_value": CACHE[1]}, "do not give its own output"),
    "keys in a buffer": ({"past_sequence_length": np.array([2], dtype=np.int32)}, "shares a buffer with its cache"),
}


@pytest.mark.parametrize("case", REPORTED)
def test_what_does_not_follow_is_reported(case: str, make_model: Callable[..., Any]) -> None:
    """Weights that would be a guess are not shown: the reason is in the report, and what to do."""
    given, reason = REPORTED[case]
    one = {"query": QUERY[:, :1], "key": QUERY[:, 1:2], "value": QUERY[:, 2:3]}
    inputs = heads_inputs(**one, **given)
    outputs = 1
    if "past_sequence_length" in given:
        inputs |= {"past_key": CACHE[0], "past_value": CACHE[1], **given}
        outputs = 3
    model = make_model("MultiHeadAttention", inputs, {"num_heads": HEADS}, outputs=outputs)
    feeds = {name: array for name, array in inputs.items() if array is not None}
    with pytest.raises(attncore.NoAttentionError, match=reason) as caught:
        attncore.trace(model, attncore.Inputs(**feeds))
    (entry,) = caught.value.coverage
    assert (entry.what, entry.status, entry.name) == ("MultiHeadAttention", "opaque", "layer/0/attn")
    assert "export the model without attention fusion" in entry.reason
