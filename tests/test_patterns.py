"""Head statistics against plain formulas, and the names of known patterns."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncore import AttentionLayer, AttentionTrace, query_rows
from attncore.arrays import Array
from attncore.axis import TokenAxis
from attncore.errors import SelectionError, UnavailableError
from attncore.patterns import HeadStatistics, head_statistics, strongest_pattern
from attncore.protocols import CaptureOptions
from attncore.scoring import Scoring
from attncore.testing import NumpyBackend, NumpyTransformer
from attncore.weights import DenseWeights, LazyWeights, Positions, RecomputedWeights

Matrix = npt.NDArray[np.float64]
ARRAYS = [entry.name for entry in fields(HeadStatistics) if entry.type == "Values"]


def layer_of(*heads: Any, kind: Any = "self", **changes: Any) -> AttentionLayer:
    """A layer with one batch item and these (query, key) matrices as heads."""
    weights = np.stack([np.asarray(head, dtype=np.float64) for head in heads])[None]
    return AttentionLayer("layer", 0, "tokens", "tokens", DenseWeights(weights), kind=kind, **changes)


def axis_of(length: int, *, padding: tuple[int, ...] = (), special: tuple[int, ...] = ()) -> TokenAxis:
    """An axis of one batch item with padding and special tokens at these positions."""
    marks = [np.isin(np.arange(length), positions)[None] for positions in (padding, special)]
    return TokenAxis.of_positions("tokens", 1, length).replaced(padding=marks[0], special=marks[1])


def random_rows(rng: np.random.Generator, queries: int, keys: int) -> Matrix:
    """Softmax rows, some sharp and some flat."""
    scores = rng.normal(size=(queries, keys)) * rng.choice([0.1, 1.0, 6.0], size=(queries, 1))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def reference(weights: Matrix, rows: list[int], special: list[int], first: int = 0) -> dict[str, float]:
    """The formulas, one row and one key at a time."""
    values: dict[str, list[float]] = {name: [] for name in ARRAYS}
    keys = weights.shape[1]
    for i in rows:
        row = [float(weight) for weight in weights[i]]
        total = sum(row)
        entropy = -sum(weight / total * math.log2(weight / total) for weight in row if weight > 0)
        allowed = sum(weight > 0 for weight in row)
        values["entropy"].append(entropy)
        if allowed > 1:
            values["normalised_entropy"].append(entropy / math.log2(allowed))
        values["distance"].append(sum(weight / total * abs(i - k) for k, weight in enumerate(row)))
        values["max_weight"].append(max(row))
        for name, key in (("self_mass", i), ("previous_mass", i - 1), ("next_mass", i + 1)):
            if 0 <= key < keys:
                values[name].append(row[key])
        values["first_mass"].append(row[first])
        values["special_mass"].append(sum(row[key] for key in special))
        values["separator_mass"].append(sum(row[key] for key in special if key != first))
    return {name: sum(found) / len(found) if found else math.nan for name, found in values.items()}


def assert_matches(stats: HeadStatistics, head: int, expected: dict[str, float]) -> None:
    """Every field of one head equals what was expected."""
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(stats, name)[head], expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("length", [1, 2, 7, 30])
def test_statistics_match_the_formulas(length: int) -> None:
    """Every field equals the plain loop over rows and keys."""
    rng = np.random.default_rng(length)
    heads = [random_rows(rng, length, length) for _ in range(3)]
    special = [0, length - 1] if length > 1 else [0]
    axis = axis_of(length, special=tuple(special))
    stats = head_statistics(layer_of(*heads), axes=(axis, axis))
    for head, weights in enumerate(heads):
        assert_matches(stats, head, reference(weights, list(range(length)), special))
    assert stats.rows_counted.tolist() == [length] * 3


@given(st.integers(1, 12), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_statistics_stay_in_their_ranges(length: int, seed: int) -> None:
    """Shares are between 0 and 1, entropy below log2 of the keys, distance below the length."""
    rng = np.random.default_rng(seed)
    axis = axis_of(length, special=tuple(np.flatnonzero(rng.random(length) < 0.3).tolist()))
    stats = head_statistics(layer_of(random_rows(rng, length, length)), axes=(axis, axis))
    for name in ARRAYS:
        value = float(getattr(stats, name)[0])
        most = {"entropy": math.log2(length), "distance": length - 1}.get(name, 1)
        assert math.isnan(value) or -1e-9 <= value <= most + 1e-9, name


def test_padded_masked_and_nan_rows_are_counted_apart() -> None:
    """Rows that are not attention are left out of every mean and reported."""
    rng = np.random.default_rng(0)
    weights = random_rows(rng, 6, 6)
    weights[:, 5] = 0
    weights /= weights.sum(axis=-1, keepdims=True)
    plain = weights.copy()
    weights[1] = 0
    weights[3, 2] = np.nan
    weights[4, 0] = np.inf
    axis = axis_of(6, padding=(5,), special=(0, 2))
    stats = head_statistics(layer_of(weights, plain), axes=(axis, axis))
    assert stats.rows_counted.tolist() == [2, 5]
    assert stats.rows_masked.tolist() == [1, 0]
    assert stats.rows_nan.tolist() == [2, 0]
    assert stats.rows_padded == 1
    expected = reference(plain[:, :5], [0, 2], [0, 2])
    assert_matches(stats, 0, expected)


def test_left_padding_moves_the_first_token() -> None:
    """The first token is the first that is not padding, and nothing precedes it."""
    weights = np.zeros((4, 4))
    weights[2:, 2] = 1
    axis = axis_of(4, padding=(0, 1))
    stats = head_statistics(layer_of(weights), axes=(axis, axis))
    assert stats.first_mass[0] == 1
    assert stats.previous_mass[0] == 1  # of the one query, the last, that has a token before it
    assert strongest_pattern(head_statistics(layer_of(np.eye(4)), axes=(axis, axis)), 0) == ("same token", 1.0)


def test_without_axes_special_tokens_are_unknown() -> None:
    """In a capture no axes are known: special mass is NaN and the rest is there."""
    stats = head_statistics(layer_of(np.eye(3)))
    assert math.isnan(stats.special_mass[0])
    assert math.isnan(stats.separator_mass[0])
    assert stats.self_mass[0] == 1


def test_cross_attention_has_no_positions() -> None:
    """Query and key positions of different texts do not correspond."""
    stats = head_statistics(layer_of(random_rows(np.random.default_rng(0), 3, 3), kind="cross"))
    for name in ("distance", "self_mass", "previous_mass", "next_mass"):
        assert math.isnan(getattr(stats, name)[0])
    assert 0 < stats.first_mass[0] < 1


def test_queries_after_a_cache_are_placed_by_the_causal_offset() -> None:
    """Two new queries after three cached keys: each stands at its own key; without the offset nothing is said."""
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(1, 1, 2, 4)), rng.normal(size=(1, 1, 5, 4))
    scoring = Scoring(scale=0.5, causal=True, causal_offset=3)
    weights = RecomputedWeights(query, key, scoring)
    layer = AttentionLayer("layer", 0, "new", "all", weights, scoring=scoring)
    held = np.asarray(weights)[0, 0]
    stats = head_statistics(layer)
    np.testing.assert_allclose(stats.self_mass[0], (held[0, 3] + held[1, 4]) / 2)
    np.testing.assert_allclose(stats.previous_mass[0], (held[0, 2] + held[1, 3]) / 2)
    assert math.isnan(head_statistics(layer.replaced(scoring=None)).self_mass[0])


def test_rows_with_a_sink_sum_to_less_than_one() -> None:
    """Entropy and distance describe where the rest goes; masses are shares of the whole."""
    stats = head_statistics(layer_of(np.full((4, 4), 0.125)))
    np.testing.assert_allclose([stats.entropy[0], stats.normalised_entropy[0]], [2, 1])
    np.testing.assert_allclose([stats.distance[0], stats.self_mass[0]], [1.25, 0.125])


def test_half_precision_is_summed_in_more() -> None:
    """float16 weights give the statistics of the same numbers in float64."""
    weights = random_rows(np.random.default_rng(3), 40, 40).astype(np.float16)
    small = AttentionLayer("layer", 0, "tokens", "tokens", DenseWeights(weights[None, None]))
    exact = head_statistics(layer_of(weights))
    for name in ("entropy", "distance", "max_weight", "first_mass"):
        np.testing.assert_allclose(getattr(head_statistics(small), name), getattr(exact, name), rtol=1e-5)


def test_negative_weights_do_not_break_the_entropy() -> None:
    """Mixed heads can go below zero; their entropy is of the positive part."""
    stats = head_statistics(layer_of([[1.5, -0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(stats.entropy[0], 1 / 3)


class Spy(LazyWeights):
    """Weights that remember the largest block that was read."""

    def __init__(self, held: Array) -> None:
        self.held, self.shape, self.dtype, self.largest = held, held.shape, held.dtype, 0

    def block(self, batch: Positions, heads: Positions, rows: Positions) -> Array:
        self.largest = max(self.largest, len(batch) * len(heads) * len(rows) * self.shape[3])
        return np.asarray(self.held[np.ix_(batch, heads, rows)])

    @property
    def held_bytes(self) -> int:
        return self.held.nbytes


def test_weights_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the blocks, the result is the same and no larger block is read."""
    rng = np.random.default_rng(1)
    held = np.stack([random_rows(rng, 20, 20) for _ in range(2)])[None]
    whole = head_statistics(layer_of(*held[0]))
    monkeypatch.setattr(query_rows, "_BLOCK_ELEMENTS", 130)
    spy = Spy(held)
    parts = head_statistics(AttentionLayer("layer", 0, "tokens", "tokens", spy))
    assert spy.largest <= 130
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name))


def test_some_rows_stand_for_all() -> None:
    """max_rows looks at evenly spaced rows, and says how far apart."""
    weights = random_rows(np.random.default_rng(2), 10, 10)
    stats = head_statistics(layer_of(weights), max_rows=4)
    assert (stats.row_step, stats.rows_counted[0]) == (3, 4)
    expected = reference(weights, [0, 3, 6, 9], [])
    np.testing.assert_allclose(stats.entropy[0], expected["entropy"])
    np.testing.assert_allclose(stats.next_mass[0], expected["next_mass"])


def test_statistics_can_reduce_a_capture() -> None:
    """As reduce= they are made while the model runs, and no weights are kept."""
    model = NumpyTransformer()
    tokens = np.arange(5)[None]
    with NumpyBackend().capture(model, CaptureOptions()) as session:
        session(tokens)
    kept = session.trace()
    with NumpyBackend().capture(model, CaptureOptions(reduce=head_statistics)) as session:
        session(tokens)
    reduced = session.trace()
    for layer, full in zip(reduced, kept, strict=True):
        assert layer.stored_weights is None
        np.testing.assert_allclose(layer.reduced.entropy, head_statistics(full).entropy)


UNIFORM = np.full((6, 6), 1 / 6)
CAUSAL = np.tril(np.ones((6, 6))) / np.arange(1, 7)[:, None]


@pytest.mark.parametrize(
    ("weights", "name", "share"),
    [
        (np.eye(6), "same token", 1.0),
        (np.vstack([np.eye(6)[:1], np.eye(6)[:-1]]), "previous token", 1.0),
        (np.vstack([np.eye(6)[1:], np.eye(6)[-1:]]), "next token", 1.0),
        (np.tile(np.eye(6)[5], (6, 1)), "separator", 1.0),
        (np.tile(np.eye(6)[0], (6, 1)), "first token (sink)", 1.0),
        (UNIFORM, "broad", 1.0),
        (CAUSAL, "broad", 1.0),
        (np.tile(np.eye(6)[2], (6, 1)), "mixed", 1.0),
        (np.zeros((6, 6)), "no rows", math.nan),
    ],
)
def test_known_patterns_have_their_names(weights: Matrix, name: str, share: float) -> None:
    """A matrix made to be one pattern is called that, with its share."""
    axis = axis_of(6, special=(0, 5))
    found = strongest_pattern(head_statistics(layer_of(weights), axes=(axis, axis)), 0)
    assert found[0] == name
    np.testing.assert_allclose(found[1], share)


def test_a_sink_needs_less_than_other_patterns() -> None:
    """A third of the attention on the first token is a sink; on the previous token it is not a pattern."""
    sharp = 0.4 * np.tile(np.eye(6)[0], (6, 1)) + 0.6 * np.roll(np.eye(6), 3, axis=1)
    assert strongest_pattern(head_statistics(layer_of(sharp)), 0)[0] == "first token (sink)"
    previous = 0.4 * np.roll(np.eye(6), -1, axis=1) + 0.6 * np.roll(np.eye(6), 3, axis=1)
    assert strongest_pattern(head_statistics(layer_of(previous)), 0)[0] == "mixed"


def test_what_does_not_exist_is_said() -> None:
    """A missing batch item, head or weights is an error that says what there is."""
    layer = layer_of(np.eye(3))
    with pytest.raises(SelectionError, match="1 batch item"):
        head_statistics(layer, 1)
    with pytest.raises(SelectionError, match="give 0 to 0"):
        strongest_pattern(head_statistics(layer), 1)
    with pytest.raises(UnavailableError, match="reduce="):
        head_statistics(layer.replaced(stored_weights=None))


def test_selected_heads_keep_their_numbers() -> None:
    """Statistics of some heads carry the model's numbers of these heads."""
    trace = AttentionTrace.from_arrays([np.tile(np.eye(3), (1, 4, 1, 1))]).select(heads=[3, 1])
    assert head_statistics(trace[0]).heads == (3, 1)
