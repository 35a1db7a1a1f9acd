"""Lazy weights: indexing as in numpy, and the formula against one written out independently in float64."""

from __future__ import annotations

import math
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncore import AttentionTrace, LazyWeights, SelectionError
from attncore.arrays import BFloat16Array, HeadsOf
from attncore.errors import ArrayError
from attncore.scoring import Scoring
from attncore.testing import example_trace
from attncore.weights import DenseWeights, RecomputedWeights, SelectedHeads

SHAPE = (2, 4, 5, 6)


def weights_of_every_kind() -> dict[str, LazyWeights]:
    """One `LazyWeights` of each class, all of shape ``SHAPE``."""
    random = np.random.default_rng(0)
    query = random.standard_normal((2, 4, 5, 3)).astype(np.float32)
    key = random.standard_normal((2, 2, 6, 3)).astype(np.float32)
    dense = DenseWeights(random.random((2, 8, 5, 6)).astype(np.float32))
    bits = (random.random(SHAPE).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return {
        "dense": DenseWeights(random.random(SHAPE)),
        "bfloat16": DenseWeights(BFloat16Array(bits)),
        "recomputed": RecomputedWeights(query, key, Scoring(scale=0.5, mask=random.random((2, 1, 5, 6)) > 0.2)),
        "selected": SelectedHeads(dense, (6, 1, 1, 0)),
        "heads of": DenseWeights(HeadsOf(random.random((2, 8, 5, 6)), (7, 2, 2, 0))),
    }


KINDS = weights_of_every_kind()


def index_of(length: int) -> st.SearchStrategy[Any]:
    """Anything that indexes one axis."""
    inside = st.integers(-length, length - 1)
    bound = st.none() | st.integers(-length - 2, length + 2)
    step = st.none() | st.sampled_from([-2, -1, 1, 2, 3])
    return inside | inside.map(np.int32) | st.builds(slice, bound, bound, step)


@st.composite
def indices(draw: st.DrawFn) -> Any:
    """Integers and slices for some leading axes, perhaps with dots, and lists of positions on at most one axis."""
    count = draw(st.integers(0, 4))
    items: list[Any] = [draw(index_of(SHAPE[axis])) for axis in range(count)]
    # Of several lists numpy makes a diagonal, tested on its own; with integers beside one it moves axes around.
    if items and draw(st.booleans()):
        place = draw(st.integers(0, count - 1))
        items = [slice(None) if not isinstance(item, slice) else item for item in items]
        positions = st.lists(st.integers(-SHAPE[place], SHAPE[place] - 1), min_size=1, max_size=7)
        items[place] = draw(positions | positions.map(np.array))
    if draw(st.booleans()):
        items.append(Ellipsis)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(index=indices())
def test_every_index_gives_what_numpy_gives(kind: str, index: Any) -> None:
    """An index of lazy weights selects what it selects of the whole array."""
    lazy = KINDS[kind]
    whole = np.asarray(lazy)
    expected = whole[index]
    found = lazy[index]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "index",
    [
        (0, [0, 2]),
        ([1, 0], [3, 3]),
        (slice(None), [0, 1], [4, 2]),
        (1, 2, [3, 0], [5, 5]),
        (0, np.array([[0, 1], [2, 3]])),
        (np.array([True, False]),),
        (slice(None), np.array([True, False, False, True])),
        (0, [], slice(None)),
        ([-1], -1, slice(None, None, -1)),
    ],
)
def test_lists_and_masks_select_as_in_numpy(kind: str, index: Any) -> None:
    """Lists of positions, also several, nested, negative, empty or boolean, mean what they mean in numpy."""
    lazy = KINDS[kind]
    expected = np.asarray(lazy)[index]
    found = lazy[index]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ((5,), r"batch axis has 2 positions and 5 was asked for; give -2 to 1"),
        ((0, 4), r"heads axis has 4 positions"),
        ((0, 0, [0, -6]), r"query axis has 5 positions"),
        ((0, 0, 0, 6), r"key axis has 6 positions"),
        ((0, 1.5), r"heads axis takes integers and slices"),
        ((0, "a"), r"heads axis takes integers and slices"),
        ((0, 0, 0, 0, 0), r"4 axes .*5 indices"),
        ((..., ...), r"4 axes"),
        ((None, 0), r"no new axes"),
        ((np.array([True] * 3),), r"mask for the batch axis needs shape \(2,\) and has \(3,\)"),
    ],
)
def test_a_wrong_index_is_explained(index: Any, said: str) -> None:
    """An index that selects nothing names the axis and its length."""
    with pytest.raises(SelectionError, match=said):
        KINDS["recomputed"][index]


def test_an_array_protocol_conversion_has_the_type_asked_for() -> None:
    """``numpy.asarray(weights, dtype=…)`` works, as do ``len``, ``ndim`` and ``size``."""
    lazy = KINDS["recomputed"]
    assert np.asarray(lazy, dtype=np.float64).dtype == np.float64
    assert (len(lazy), lazy.ndim, lazy.size) == (2, 4, math.prod(SHAPE))
    assert "RecomputedWeights(shape=(2, 4, 5, 6), dtype=float32" in repr(lazy)


def test_a_copy_does_not_share_memory() -> None:
    """``numpy.array(weights)`` may be written to without changing the trace."""
    source = np.ones((1, 1, 2, 2), dtype=np.float32)
    copy = np.array(DenseWeights(source))
    copy[:] = 0
    assert source.min() == 1


@pytest.mark.parametrize("trace", [example_trace(), AttentionTrace.from_arrays([np.ones((1, 2, 3, 3)) / 3])])
def test_what_is_read_of_held_weights_cannot_be_written_to(trace: AttentionTrace) -> None:
    """A view, since it would change the trace; other heads are a copy."""
    with pytest.raises(ValueError, match="read-only"):
        trace[0].weights[0, 1][:] = 0
    trace[0].weights[0, [1, 0]][:] = 0
    assert np.asarray(trace[0].weights).max() > 0


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64])
def test_positions_are_of_any_type_of_whole_number(kind: Any) -> None:
    """Also one that is too small for the length of the axis."""
    source = np.random.default_rng(0).random((1, 2, 300, 4))
    weights = DenseWeights(source)
    np.testing.assert_array_equal(weights[0, 0, np.array([3, 1], dtype=kind)], source[0, 0, [3, 1]])
    np.testing.assert_array_equal(weights[0, kind(1), kind(5), np.array([2], dtype=kind)], source[0, 1, 5, [2]])


class CountingArray:
    """An array that remembers which elements were read, to see what laziness saves."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.read = array, 0
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, index: Any) -> Any:
        part = self.array[index]
        self.read += part.size
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self.read += self.array.size
        return self.array


@pytest.mark.parametrize("index", [(0, 3), (0, [0, 3]), (0, slice(0, 2), 4)])
def test_only_the_heads_asked_for_are_read(index: Any) -> None:
    """Reading one head of a mapped file does not read the others."""
    source = CountingArray(np.random.default_rng(0).random((2, 8, 5, 6)))
    found = DenseWeights(source)[index]
    assert source.read == found.size


def written_out(query: Any, key: Any, scoring: Scoring) -> np.ndarray:
    """The formula of attncore.scoring in float64 and plain loops, one number at a time."""
    heads, queries, keys = query.shape[1], query.shape[2], key.shape[2]
    arrays = [array for array in (query, key, scoring.mask, scoring.bias) if array is not None]
    batch = max(array.shape[0] for array in arrays if array.ndim == 4)
    shape = (batch, heads, queries, keys)
    query = np.broadcast_to(query.astype(np.float64), (batch, *query.shape[1:]))
    key = np.broadcast_to(key.astype(np.float64), (batch, *key.shape[1:]))
    mask = np.broadcast_to(True if scoring.mask is None else scoring.mask, shape)
    bias = np.broadcast_to(0.0 if scoring.bias is None else scoring.bias, shape).astype(np.float64)
    result = np.zeros(shape)
    for b, h, i in np.ndindex(batch, heads, queries):
        shared = h * key.shape[1] // heads
        total, row = 0.0, np.zeros(keys)
        for j in range(keys):
            score = scoring.scale * float(np.dot(query[b, h, i], key[b, shared, j]))
            if scoring.softcap is not None:
                score = scoring.softcap * math.tanh(score / scoring.softcap)
            score += bias[b, h, i, j]
            last = i + scoring.causal_offset
            seen = mask[b, h, i, j] and not (scoring.causal and j > last)
            seen = seen and not (scoring.window is not None and j <= last - scoring.window)
            row[j] = math.exp(score) if seen and score > -math.inf else 0.0
            total += row[j]
        if scoring.sinks is not None:
            total += math.exp(scoring.sinks[h])
        result[b, h, i] = row / total if total else 0.0
    return result


@st.composite
def layers(draw: st.DrawFn) -> tuple[Any, Any, Scoring]:
    """Query, key and scoring of any kind of layer."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch, group, kv_heads = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    queries, keys, dim = draw(st.integers(1, 5)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    heads = group * kv_heads
    kind = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    query = random.standard_normal((draw(st.sampled_from([1, batch])), heads, queries, dim)).astype(kind)
    key = random.standard_normal((draw(st.sampled_from([1, batch])), kv_heads, keys, dim)).astype(kind)
    # The shapes that masks come in: full, shared by heads, by batch, by both, of three, two and one axes.
    full = (batch, heads, queries, keys)
    shapes = st.sampled_from(
        [full, (batch, 1, queries, keys), (1, heads, 1, keys), (1, 1, queries, keys), full[1:], full[2:], full[3:]]
    )
    mask = random.random(draw(shapes)) > 0.3 if draw(st.booleans()) else None
    bias = random.standard_normal(draw(shapes)).astype(np.float32) if draw(st.booleans()) else None
    if bias is not None and draw(st.booleans()):
        bias[random.random(bias.shape) > 0.7] = -np.inf
    scoring = Scoring(
        scale=draw(st.sampled_from([0.125, 0.5, 1.0])),
        causal=draw(st.booleans()),
        causal_offset=draw(st.integers(-2, 3)),
        window=draw(st.none() | st.integers(1, 4)),
        mask=mask,
        bias=bias,
        softcap=draw(st.none() | st.sampled_from([0.5, 30.0])),
        sinks=random.standard_normal(heads).astype(np.float32) if draw(st.booleans()) else None,
    )
    return query, key, scoring


@settings(max_examples=300, deadline=None)
@given(layer=layers(), data=st.data())
def test_recomputed_weights_are_the_formula(layer: tuple[Any, Any, Scoring], data: st.DataObject) -> None:
    """Whole and in blocks, weights equal softmax(scale q k^T + …) with every part that a model may have."""
    query, key, scoring = layer
    lazy = RecomputedWeights(query, key, scoring)
    expected = written_out(query, key, scoring)
    assert lazy.shape == expected.shape
    index = tuple(data.draw(index_of(length)) for length in lazy.shape[:3])
    # Causal rows are computed piece by piece.
    with patch("attncore.weights._CAUSAL_ROWS", data.draw(st.sampled_from([1, 2, 128]))):
        np.testing.assert_allclose(np.asarray(lazy), expected, rtol=0, atol=2e-6)
        np.testing.assert_allclose(lazy[index], expected[index], rtol=0, atol=2e-6)


@pytest.mark.parametrize("heads", [[3, 1], [3, 0, 2, 1], slice(None, None, -2)])
def test_shared_key_heads_follow_their_query_heads_in_any_order(heads: Any) -> None:
    """Query heads asked for backwards get their own key heads, not those in ascending order."""
    random = np.random.default_rng(0)
    query, key = random.standard_normal((1, 4, 5, 3)), random.standard_normal((1, 2, 5, 3))
    expected = written_out(query, key, Scoring(scale=1.0))
    np.testing.assert_allclose(RecomputedWeights(query, key, Scoring(scale=1.0))[0, heads], expected[0, heads])


@pytest.mark.parametrize(("queries", "keys"), [(1, 3), (3, 1)])
def test_a_causal_query_or_key_that_all_batch_items_share(queries: int, keys: int) -> None:
    """It is held once and serves each of them."""
    random = np.random.default_rng(0)
    query, key = random.standard_normal((queries, 2, 5, 3)), random.standard_normal((keys, 2, 5, 3))
    lazy = RecomputedWeights(query, key, Scoring(scale=0.5, causal=True))
    scores = np.where(np.tri(5, dtype=bool), 0.5 * query @ key.swapaxes(-1, -2), -np.inf)
    expected = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    assert lazy.shape == (3, 2, 5, 5)
    assert np.allclose(np.asarray(lazy), expected)


def test_float64_queries_give_float64_weights() -> None:
    """Nothing is lost where the model computed in float64."""
    random = np.random.default_rng(0)
    query, key = random.standard_normal((2, 1, 2, 3, 4))
    lazy = RecomputedWeights(query, key, Scoring(scale=0.5))
    assert lazy.dtype == np.float64
    np.testing.assert_allclose(np.asarray(lazy), written_out(query, key, Scoring(scale=0.5)), rtol=0, atol=1e-15)


def test_a_fully_masked_row_is_zeros() -> None:
    """A query that may attend to nothing has no weights, rather than NaN."""
    ones = np.ones((1, 1, 3, 2), dtype=np.float32)
    mask = np.array([[True, True, True], [False, False, False], [True, False, False]])[None, None]
    lazy = RecomputedWeights(ones, ones, Scoring(scale=1.0, mask=mask))
    np.testing.assert_allclose(np.asarray(lazy)[0, 0], [[1 / 3] * 3, [0, 0, 0], [1, 0, 0]], atol=1e-7)


def test_large_scores_do_not_overflow() -> None:
    """Scores far outside the range of exp give a one and zeros."""
    query = np.full((1, 1, 1, 1), 1e4, dtype=np.float32)
    key = np.array([1e4, -1e4], dtype=np.float32).reshape(1, 1, 2, 1)
    np.testing.assert_array_equal(RecomputedWeights(query, key, Scoring(scale=1.0))[0, 0, 0], [1, 0])


def test_a_sink_takes_its_share() -> None:
    """With equal scores, a sink of the same score takes what one more key would."""
    zeros = np.zeros((1, 1, 3, 2), dtype=np.float32)
    lazy = RecomputedWeights(zeros, zeros, Scoring(scale=1.0, sinks=np.zeros(1, dtype=np.float32)))
    np.testing.assert_allclose(np.asarray(lazy), np.full((1, 1, 3, 3), 0.25), atol=1e-7)


@pytest.mark.parametrize(
    ("query", "key", "said"),
    [
        ((1, 4, 5), (1, 4, 5, 2), r"query needs shape \(batch, heads, length, head_dim\) and has \(1, 4, 5\)"),
        ((1, 4, 5, 2), (5, 2), r"key needs shape .* and has \(5, 2\)"),
        ((1, 4, 5, 2), (1, 3, 5, 2), r"4 query heads cannot share 3 key heads"),
        ((1, 4, 5, 2), (1, 0, 5, 2), r"4 query heads cannot share 0 key heads"),
        ((1, 4, 5, 2), (1, 4, 5, 3), r"query has head_dim 2 and key 3"),
        ((2, 4, 5, 2), (3, 4, 5, 2), r"query a batch of 2, key a batch of 3: these must be equal"),
    ],
)
def test_query_and_key_that_do_not_fit_are_refused(query: Any, key: Any, said: str) -> None:
    """A wrong shape is found when the weights are made, with both sizes, and not when they are read."""
    with pytest.raises(ArrayError, match=said):
        RecomputedWeights(np.zeros(query), np.zeros(key), Scoring(scale=1.0))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"mask": np.ones((1, 1, 5, 7), dtype=bool)}, r"mask has shape \(1, 1, 5, 7\), .*weights \(1, 4, 5, 6\)"),
        ({"bias": np.ones((3, 5, 6))}, r"bias has shape \(3, 5, 6\)"),
        ({"bias": np.ones((1, 1, 1, 5, 6))}, r"bias has shape \(1, 1, 1, 5, 6\)"),
        ({"bias": np.ones((2, 1, 5, 6)), "mask": np.ones((3, 1, 5, 6), dtype=bool)}, r"mask a batch of 3, bias a .*2"),
        ({"mask": np.zeros((5, 6))}, r"mask has dtype float64; it must be bool"),
        ({"sinks": np.zeros(3)}, r"sinks have shape \(3,\); the layer has 4 heads"),
    ],
)
def test_scoring_that_does_not_fit_is_refused(parts: Any, said: str) -> None:
    """A mask, bias or sink of the wrong shape or type is refused at once."""
    with pytest.raises(ArrayError, match=said):
        RecomputedWeights(np.zeros((1, 4, 5, 2)), np.zeros((1, 4, 6, 2)), Scoring(scale=1.0, **parts))


def test_dense_weights_need_four_axes() -> None:
    """An array of another rank is refused with its shape and the remedy."""
    with pytest.raises(ArrayError, match=r"4 axes .* shape \(4, 5, 6\); .*array\[None\]"):
        DenseWeights(np.zeros((4, 5, 6)))


def test_held_bytes_are_those_of_query_and_key() -> None:
    """Lazy weights of long inputs hold n times d numbers and not n times n."""
    query = np.zeros((1, 4, 1000, 8), dtype=np.float32)
    lazy = RecomputedWeights(query, query[:, :2], Scoring(scale=1.0))
    assert lazy.held_bytes == (4 + 2) * 1000 * 8 * 4
    assert lazy.size * 4 > 80 * lazy.held_bytes


@pytest.mark.parametrize("weights", KINDS.values(), ids=KINDS)
def test_items_are_read_one_after_the_other(weights: LazyWeights) -> None:
    """A loop over weights ends after the last batch item."""
    items = list(weights)
    assert len(items) == SHAPE[0]
    np.testing.assert_array_equal(np.stack(items), np.asarray(weights))


def test_what_an_array_would_have_is_said_to_need_reading() -> None:
    """Weights are no array, and the error says how to get one; what no array has gets no such hint."""
    with pytest.raises(AttributeError, match=r"has no 'mean'; .* weights\[\.\.\.\] is a numpy array"):
        _ = KINDS["dense"].mean  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"has no 'colour'$"):
        _ = KINDS["dense"].colour  # type: ignore[attr-defined]
