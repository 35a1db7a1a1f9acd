"""Some heads of weights: which is which, for every kind of weights that a layer may hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from attncore.scoring import Scoring
from attncore.testing import example_trace
from attncore.weights import RecomputedWeights, SelectedHeads


def same(found: Any, expected: Any) -> None:
    """Products of other sizes may be rounded otherwise; other heads differ by far more."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("heads", [(0, 2), (1, 3), (2, 3, 5)])
def test_each_head_is_the_one_asked_for(heads: tuple[int, ...], lazy: bool) -> None:
    """All at once, one at a time, a block of rows, and in the order of an index."""
    weights = example_trace(n_heads=6, lazy=lazy)[1].weights
    whole = np.asarray(weights)
    selected = SelectedHeads(weights, heads)
    assert selected.shape == (1, len(heads), 12, 12)
    same(np.asarray(selected), whole[:, list(heads)])
    for place, head in enumerate(heads):
        same(selected[0, place, 3:5], whole[0, head, 3:5])
    same(selected[0, [1, 0]], whole[0, [heads[1], heads[0]]])


@pytest.mark.parametrize("lazy", [False, True])
def test_selecting_heads_of_a_trace(lazy: bool) -> None:
    """`select` keeps the heads' own numbers, and each has its own weights."""
    trace = example_trace(n_heads=6, lazy=lazy)
    layer = trace.select(heads=[1, 2, 5])[1]
    assert list(layer.head_numbers()) == [1, 2, 5]
    np.testing.assert_allclose(np.asarray(layer.weights), np.asarray(trace[1].weights)[:, [1, 2, 5]], rtol=0, atol=1e-7)


@pytest.mark.parametrize("heads", [[5, 4, 3, 2, 1, 0], [2], [1, 4]])
@pytest.mark.parametrize("batch", [(), (1,), (2,)], ids=["shared", "one item", "two items"])
def test_a_bias_and_a_mask_follow_their_heads(heads: list[int], batch: tuple[int, ...]) -> None:
    """Whether batch items share them without an axis of their own, or have one each."""
    trace = example_trace(n_heads=6, batch=2, lazy=True)
    random = np.random.default_rng(0)
    bias = random.standard_normal((*batch, 6, 12, 12)).astype(np.float32)
    mask = np.tril(random.random((*batch, 6, 12, 12)) < 0.7)
    scoring = Scoring(scale=0.2, bias=bias, mask=mask)
    query, key = trace[0].query, trace[0].key
    assert query is not None
    assert key is not None
    layer = trace[0].replaced(stored_weights=RecomputedWeights(query, key, scoring), scoring=scoring)
    selected = layer.with_heads(heads)
    np.testing.assert_allclose(np.asarray(selected.weights), np.asarray(layer.weights)[:, heads], rtol=0, atol=1e-6)
