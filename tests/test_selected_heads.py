"""Some heads of weights: which is which, for every kind of weights that a layer may hold."""

from __future__ import annotations

import numpy as np
import pytest

from attncore.testing import example_trace
from attncore.weights import SelectedHeads


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("heads", [(0, 2), (1, 3), (2, 3, 5)])
def test_each_head_is_the_one_asked_for(heads: tuple[int, ...], lazy: bool) -> None:
    """All at once, one at a time, a block of rows, and in the order of an index."""
    weights = example_trace(n_heads=6, lazy=lazy)[1].weights
    whole = np.asarray(weights)
    selected = SelectedHeads(weights, heads)
    assert selected.shape == (1, len(heads), 12, 12)
    np.testing.assert_array_equal(np.asarray(selected), whole[:, list(heads)])
    for place, head in enumerate(heads):
        np.testing.assert_array_equal(selected[0, place, 3:5], whole[0, head, 3:5])
    np.testing.assert_array_equal(selected[0, [1, 0]], whole[0, [heads[1], heads[0]]])


@pytest.mark.parametrize("lazy", [False, True])
def test_selecting_heads_of_a_trace(lazy: bool) -> None:
    """`select` keeps the heads' own numbers, and each has its own weights."""
    trace = example_trace(n_heads=6, lazy=lazy)
    layer = trace.select(heads=[1, 2, 5])[1]
    assert list(layer.head_numbers()) == [1, 2, 5]
    np.testing.assert_allclose(np.asarray(layer.weights), np.asarray(trace[1].weights)[:, [1, 2, 5]], rtol=0, atol=1e-7)
