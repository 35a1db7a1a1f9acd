"""What a page knows of weights that it does not hold."""

from __future__ import annotations

import numpy as np
import pytest
from page_decoder import page_in

from attncore import AttentionTrace
from attncore.renderers._page_encode import LEAST, float16
from attncore.testing import example_trace


def _random(causal: bool, queries: int = 120, keys: int = 120) -> AttentionTrace:
    weights = np.random.default_rng(0).dirichlet(np.full(keys, 0.3), (2, 4, queries))
    if causal:
        weights = np.tril(weights, keys - queries)
        weights /= weights.sum(axis=-1, keepdims=True)
    return AttentionTrace.from_arrays([weights.astype(np.float32)])


@pytest.mark.parametrize("causal", [True, False])
def test_a_causal_layer_is_known_by_its_weights(causal: bool) -> None:
    """Keys that a query cannot see are then 0, without being held."""
    reading = page_in(_random(causal), 60_000).info["blocks"]["weights-0"]
    assert reading["encoding"] == "top"
    assert reading["causal"] == (0 if causal else None)
    assert reading["least"] == LEAST


def test_one_weight_to_a_later_key_is_enough_not_to_be_causal() -> None:
    """Whatever the layer says of itself."""
    trace = example_trace(n_layers=1, n_heads=8, n_tokens=200, lazy=True)
    assert page_in(trace, 150_000).info["blocks"]["weights-0"]["causal"] == 0
    weights = np.array(trace[0].weights)
    weights[0, 3, 17, 18] = 1e-9
    spoilt = AttentionTrace.from_arrays([weights])
    assert page_in(spoilt, 150_000).info["blocks"]["weights-0"]["causal"] is None


def test_nothing_but_0_is_written_as_0() -> None:
    """The smallest half-precision number stands for what would be rounded away."""
    weights = np.array([0, 1e-30, -1e-30, 4e-8, 0.5], dtype=np.float32)
    written = float16(weights)
    assert (written == 0).tolist() == [True, False, False, False, False]
    assert np.signbit(written).tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("room", [60_000, 16_000_000])
def test_the_least_weight_that_is_known_is_said(room: int) -> None:
    """0 where every weight is a number."""
    info = page_in(_random(causal=False), room).info
    assert info["precision"]["least"] == (0 if info["precision"]["kind"] == "float16" else LEAST)
