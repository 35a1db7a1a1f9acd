"""Answers to a live page's questions: numbers against numpy's, and every wrong question refused in words."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attncore
from attncore import AttentionLayer, AttentionTrace, TokenAxis
from attncore.renderers import _page_answers
from attncore.renderers._page_answers import Answers
from attncore.renderers._page_cache import ArrayCache
from attncore.scoring import Scoring
from attncore.testing import example_cross_trace, example_trace
from attncore.weights import DenseWeights, RecomputedWeights

Json = dict[str, Any]


def softmax_by_hand(layer: AttentionLayer) -> np.ndarray[Any, Any]:
    """The weights by the formula, in float64, without a line of ours: (batch, heads, query, key)."""
    scoring = layer.scoring
    assert scoring is not None
    query = np.asarray(layer.query, dtype=np.float64)
    key = np.asarray(layer.key, dtype=np.float64).repeat(query.shape[1] // layer.key.shape[1], axis=1)
    scores = np.einsum("bhqd,bhkd->bhqk", query, key) * scoring.scale
    if scoring.softcap is not None:
        scores = np.tanh(scores / scoring.softcap) * scoring.softcap
    if scoring.bias is not None:
        scores = scores + np.asarray(scoring.bias)
    scores[~np.broadcast_to(allowed_by_hand(layer), scores.shape)] = -np.inf
    powers = np.exp(scores)
    return powers / powers.sum(axis=-1, keepdims=True)


def allowed_by_hand(layer: AttentionLayer) -> np.ndarray[Any, Any]:
    """Where attention is allowed, (batch, heads, query, key)."""
    scoring = layer.scoring
    assert scoring is not None
    _, _, queries, keys = layer.shape
    allowed = np.ones(layer.shape, dtype=bool)
    if scoring.mask is not None:
        allowed &= np.asarray(scoring.mask)
    for query in range(queries):
        for key in range(keys):
            distance = query + scoring.causal_offset - key
            if (scoring.causal and distance < 0) or (scoring.window is not None and distance >= scoring.window):
                allowed[:, :, query, key] = False
    return allowed


def pooled_by_hand(block: np.ndarray[Any, Any], row_step: int, column_step: int) -> np.ndarray[Any, Any]:
    """The largest number of each cell."""
    rows = range(0, block.shape[0], row_step)
    columns = range(0, block.shape[1], column_step)
    return np.array([[block[r : r + row_step, c : c + column_step].max() for c in columns] for r in rows])


def whole(layer: AttentionLayer, place: int, head: int, item: int) -> Json:
    """A question for every single weight of a head."""
    _, _, queries, keys = layer.shape
    return {
        "ask": "tile",
        "layer": place,
        "head": head,
        "item": item,
        "queries": [0, queries],
        "keys": [0, keys],
        "maxRows": queries,
        "maxColumns": keys,
    }


def tile_of(answers: Answers, question: Json) -> tuple[Json, np.ndarray[Any, Any]]:
    """An answer that is a tile, and its values as (rows, columns)."""
    answer, buffer = answers.answer(question)
    assert "error" not in answer, answer
    return answer, np.frombuffer(buffer, "<f4").reshape(answer["rows"], answer["columns"])


def every_head(trace: AttentionTrace) -> Iterator[tuple[int, AttentionLayer, int, int]]:
    """Each place, layer, head and item."""
    for place, layer in enumerate(trace):
        for head in range(layer.n_heads):
            for item in range(layer.shape[0]):
                yield place, layer, head, item


def scored(scoring: Scoring, *, queries: int = 9, keys: int = 9, heads: int = 4, kv_heads: int = 2) -> AttentionTrace:
    """A trace of one layer with two batch items and this scoring."""
    random = np.random.default_rng(7)
    query = random.standard_normal((2, heads, queries, 8)).astype(np.float32)
    key = random.standard_normal((2, kv_heads, keys, 8)).astype(np.float32)
    weights = RecomputedWeights(query, key, scoring)
    layer = AttentionLayer("layer", 0, "q", "k", weights, query=query, key=key, scoring=scoring)
    axes = {"q": TokenAxis.of_positions("q", 2, queries), "k": TokenAxis.of_positions("k", 2, keys)}
    return AttentionTrace((layer,), axes)


def random_bias(*shape: int) -> np.ndarray[Any, Any]:
    """Numbers to add to scores."""
    return np.random.default_rng(8).standard_normal(shape).astype(np.float32)


def random_mask(*shape: int) -> np.ndarray[Any, Any]:
    """A mask that leaves every query its first key."""
    mask = np.random.default_rng(9).random(shape) > 0.4
    mask[..., 0] = True
    return mask


TRACES = {
    "self": example_trace(lazy=True),
    "cross": example_cross_trace(lazy=True),
    "grouped heads": example_trace(lazy=True, n_heads=8, kv_heads=2),
    "batch": example_trace(lazy=True, batch=3),
    "padding": example_trace(lazy=True, batch=2, padding=4),
    "some heads": example_trace(lazy=True, n_layers=4, n_heads=6, kv_heads=3).select(layers=[1, 3], heads=[5, 2]),
    "bias of each head": scored(Scoring(0.3, bias=random_bias(1, 4, 9, 9))),
    "bias of each item": scored(Scoring(0.3, bias=random_bias(2, 1, 1, 9))),
    "bias of keys": scored(Scoring(0.3, bias=random_bias(9))),
    "softcap": scored(Scoring(2.0, softcap=1.5, causal=True)),
    "window": scored(Scoring(0.5, causal=True, window=3)),
    "cached keys": scored(Scoring(0.5, causal=True, causal_offset=4), queries=5),
    "mask": scored(Scoring(0.5, mask=random_mask(2, 4, 9, 9), causal=True)),
    "mask of queries and keys": scored(Scoring(0.5, mask=random_mask(9, 9))),
}


@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES)
def test_every_weight_is_the_formulas(trace: AttentionTrace) -> None:
    """Tiles of single weights equal a softmax written here, for every layer, head and item."""
    answers = Answers(trace)
    for place, layer, head, item in every_head(trace):
        answer, values = tile_of(answers, whole(layer, place, head, item))
        assert (answer["rowStep"], answer["columnStep"]) == (1, 1)
        np.testing.assert_allclose(values, softmax_by_hand(layer)[item, head], atol=2e-6)


@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES)
def test_vectors_give_the_weights(trace: AttentionTrace) -> None:
    """The vectors, bias and mask of an answer, put through the formula, are the weights."""
    answers = Answers(trace)
    for place, layer, head, item in every_head(trace):
        queries, keys = [2, 5], [1, layer.shape[3]]
        asked = {"ask": "vectors", "layer": place, "head": head, "item": item, "queries": queries, "keys": keys}
        answer, buffer = answers.answer(asked)
        numbers = np.frombuffer(buffer, "<f4")
        dim, counts = answer["headDim"], (3, keys[1] - 1)
        query, key, rest = np.split(numbers, [3 * dim, (3 + counts[1]) * dim])
        scores = query.reshape(3, dim) @ key.reshape(-1, dim).T * layer.scale
        if layer.softcap is not None:
            scores = np.tanh(scores / layer.softcap) * layer.softcap
        parts = np.split(rest, answer["bias"] + answer["allowed"]) if len(rest) else []
        assert answer["bias"] == (layer.bias is not None)
        if answer["bias"]:
            scores = scores + parts[0].reshape(counts)
        allowed = allowed_by_hand(layer)[item, head, 2:5, 1:]
        assert answer["allowed"] == (not allowed_by_hand(layer).all())
        if answer["allowed"]:
            np.testing.assert_array_equal(parts[-1].reshape(counts), allowed)
        powers = np.exp(scores) * allowed
        # The sum over the keys that were not asked for: the first.
        reference = softmax_by_hand(layer)[item, head, 2:5]
        total = np.maximum(powers.sum(axis=1, keepdims=True), 1e-30)
        shares = powers / total * reference[:, 1:].sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, reference[:, 1:], atol=2e-6)


HELD = np.random.default_rng(1).random((1, 2, 37, 53)).astype(np.float32)


@given(st.data())
def test_any_block_is_pooled_like_numpy(data: st.DataObject) -> None:
    """Any range at any size, with blocks of rows that end in the middle of cells: the largest of each cell."""
    first, last = sorted(data.draw(st.lists(st.integers(0, 37), min_size=2, max_size=2, unique=True)))
    left, right = sorted(data.draw(st.lists(st.integers(0, 53), min_size=2, max_size=2, unique=True)))
    rows, columns = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_page_answers, "_BLOCK_NUMBERS", data.draw(st.integers(1, 1000)))
        answers = Answers(
            AttentionTrace.from_arrays([HELD]), cache_bytes=data.draw(st.sampled_from([0, 4000, 1 << 20]))
        )
        question = {"ask": "tile", "layer": 0, "head": 1, "item": 0, "queries": [first, last], "keys": [left, right]}
        for _ in range(2):  # the second time, blocks may come from the cache
            answer, values = tile_of(answers, {**question, "maxRows": rows, "maxColumns": columns})
            steps = answer["rowStep"], answer["columnStep"]
            assert steps == (int(np.ceil((last - first) / rows)), int(np.ceil((right - left) / columns)))
            np.testing.assert_array_equal(values, pooled_by_hand(HELD[0, 1, first:last, left:right], *steps))
            question["queries"] = [first, last] = [max(0, first - 1), last]


def test_nan_reaches_its_cells_and_no_other() -> None:
    """A NaN of the model is a NaN on the page, in single weights and in pooled ones."""
    weights = HELD.copy()
    weights[0, 0, 5, 7] = np.nan
    weights[0, 0, 20] = np.inf
    # Not through from_arrays, which refuses them: a model that diverged is captured as it is.
    layer = example_trace()[0].replaced(query_axis="q", key_axis="k", stored_weights=DenseWeights(weights))
    axes = {"q": TokenAxis.of_positions("q", 1, 37), "k": TokenAxis.of_positions("k", 1, 53)}
    answers = Answers(AttentionTrace((layer,), axes))
    np.testing.assert_array_equal(tile_of(answers, whole(layer, 0, 0, 0))[1], weights[0, 0])
    _, pooled = tile_of(answers, {**whole(layer, 0, 0, 0), "maxRows": 10, "maxColumns": 9})
    np.testing.assert_array_equal(pooled, pooled_by_hand(weights[0, 0], 4, 6))
    assert np.argwhere(np.isnan(pooled)).tolist() == [[1, 1]]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_types_come_as_float32(dtype: type[Any]) -> None:
    """The buffer is float32 whatever the model's type is; what float32 cannot hold is infinite."""
    weights = HELD.astype(dtype)
    if dtype is np.float64:
        weights[0, 0, 0, 0] = 1e300
    answers = Answers(AttentionTrace.from_arrays([weights]))
    with np.errstate(over="ignore"):
        expected = weights[0, 0].astype(np.float32)
    np.testing.assert_array_equal(tile_of(answers, whole(answers.trace[0], 0, 0, 0))[1], expected)


def test_latents_that_all_items_share_serve_each() -> None:
    """Queries held once for a whole batch."""
    random = np.random.default_rng(3)
    query, key = random.standard_normal((1, 2, 3, 4)), random.standard_normal((2, 2, 5, 4))
    layer = AttentionLayer("l", 0, "q", "k", RecomputedWeights(query, key, Scoring(1.0)), query=query, key=key)
    axes = {"q": TokenAxis.of_positions("q", 1, 3), "k": TokenAxis.of_positions("k", 2, 5)}
    asked = {"ask": "vectors", "layer": 0, "head": 1, "item": 1, "queries": [0, 3], "keys": [0, 5]}
    answer, buffer = Answers(AttentionTrace((layer,), axes)).answer(asked)
    assert (answer["bias"], answer["allowed"]) == (False, False)
    expected = np.concatenate([query[0, 1].ravel(), key[1, 1].ravel()]).astype(np.float32)
    np.testing.assert_array_equal(np.frombuffer(buffer, "<f4"), expected)


def test_the_description_is_json_of_the_trace_shown() -> None:
    """Asking for the trace gives its description, with no number in it that JSON lacks."""
    answers = Answers(example_cross_trace(lazy=True))
    answer, buffer = answers.answer({"ask": "trace"})
    assert buffer == b""
    assert "blocks" not in answer
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert [(layer["queries"], layer["keys"]) for layer in answer["layers"]] == [
        layer.shape[2:] for layer in answers.trace
    ]
    assert answers.answer({"ask": "trace"})[0] is answer


def test_layers_without_weights_are_left_out() -> None:
    """Places count what is shown; a trace with nothing to show is an error at once."""
    trace = example_trace(n_layers=3)
    first, *others = trace.layers
    reduced = first.replaced(stored_weights=None, reduced=1)
    answers = Answers(AttentionTrace((reduced, *others), trace.axes))
    assert [layer["name"] for layer in answers.description()["layers"]] == [layer.name for layer in others]
    np.testing.assert_array_equal(tile_of(answers, whole(others[0], 0, 1, 0))[1], np.asarray(others[0].weights)[0, 1])
    with pytest.raises(attncore.UnavailableError, match="capture again without reduce="):
        Answers(AttentionTrace((reduced,), trace.axes))


def test_a_layer_without_vectors_says_so() -> None:
    """Weights alone were captured."""
    asked = {"ask": "vectors", "layer": 1, "head": 0, "item": 0, "queries": [0, 1], "keys": [0, 1]}
    answer, buffer = Answers(example_trace()).answer(asked)
    assert buffer == b""
    assert 'layer 1 "layers.1.attention": No queries and keys were captured' in answer["error"]


TILE: Json = {"ask": "tile", "layer": 0, "head": 0, "item": 0, "queries": [0, 12], "keys": [0, 12]} | {
    "maxRows": 12,
    "maxColumns": 12,
}


def long_trace(n: int, heads: int = 1) -> AttentionTrace:
    """One layer over ``n`` positions, computed when it is read."""
    random = np.random.default_rng(0)
    query, key = (random.standard_normal((1, heads, n, 16), dtype=np.float32) for _ in range(2))
    scoring = Scoring(0.25, causal=True)
    weights = RecomputedWeights(query, key, scoring)
    layer = AttentionLayer("long", 0, "t", "t", weights, query=query, key=key, scoring=scoring)
    return AttentionTrace((layer,), {"t": TokenAxis.of_positions("t", 1, n)})


def test_a_large_map_needs_little_memory() -> None:
    """4,096 x 4,096 weights are 67 MB; a pooled map of them takes a few blocks of rows."""
    answers = Answers(long_trace(4096), cache_bytes=1 << 20)
    question = {**TILE, "queries": [0, 4096], "keys": [0, 4096], "maxRows": 64, "maxColumns": 64}
    tracemalloc.start()
    try:
        _, values = tile_of(answers, question)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 25e6
    rows = np.asarray(answers.trace[0].weights[0, 0, 640:704])
    np.testing.assert_allclose(values[10], pooled_by_hand(rows, 64, 64)[0], rtol=1e-5)


def test_questions_from_many_threads_get_their_own_answers() -> None:
    """The cache is shared, and smaller than what is asked for."""
    trace = long_trace(300, heads=8)
    weights = np.asarray(trace[0].weights)[0]
    answers = Answers(trace, cache_bytes=500_000)

    def ask(number: int) -> None:
        head, row = number % 8, number * 7 % 290
        question = {**TILE, "head": head, "queries": [row, row + 10], "keys": [0, 300], "maxRows": 5, "maxColumns": 300}
        _, values = tile_of(answers, question)
        np.testing.assert_allclose(values, pooled_by_hand(weights[head, row : row + 10], 2, 1), atol=1e-6)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(200)))


def test_what_was_asked_before_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the same tile nor a neighbouring one of the same rows."""
    asked: list[slice] = []
    layer = long_trace(200)[0]

    class Counting(DenseWeights):
        def __getitem__(self, index: Any) -> Any:
            asked.append(index[2])
            return super().__getitem__(index)

    layer = layer.replaced(stored_weights=Counting(np.asarray(layer.weights)))
    answers = Answers(AttentionTrace((layer,), {"t": TokenAxis.of_positions("t", 1, 200)}))
    for queries in ([0, 200], [0, 200], [17, 18], [100, 200]):
        answers.answer({**TILE, "queries": queries, "keys": [0, 200]})
    assert asked == [slice(0, 5242)]


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    """It never holds more than its limit, and nothing larger than it."""
    cache = ArrayCache(100)
    one, two, three = (np.zeros(10, dtype=np.float32) for _ in range(3))
    cache.put("one", one)
    cache.put("two", two)
    assert cache.get("one") is one
    cache.put("three", three)
    assert (cache.get("one") is one, cache.get("two"), cache.get("three") is three) == (True, None, True)
    cache.put("one", two)
    assert cache.held_bytes == 80
    cache.put("large", np.zeros(100))
    assert cache.get("large") is None
    assert cache.held_bytes == 80
    with pytest.raises(ValueError, match="read-only"):
        one[0] = 1
