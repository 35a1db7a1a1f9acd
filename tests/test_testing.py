"""Example traces, and the comparison of traces that says where they differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attncore
from attncore import (
    AttentionTrace,
)
from attncore.patterns import head_statistics, strongest_pattern
from attncore.testing import (
    assert_traces_close,
    example_cross_trace,
    example_trace,
)

TOKEN_IDS = np.arange(10).reshape(2, 5)


def test_example_traces_are_the_same_every_time() -> None:
    """Two calls give equal traces; another seed gives others."""
    assert_traces_close(example_trace(batch=2), example_trace(batch=2), atol=0)
    assert_traces_close(example_cross_trace(), example_cross_trace(), atol=0)
    with pytest.raises(AssertionError, match="weights differ"):
        assert_traces_close(example_trace(), example_trace(seed=1))


def test_lazy_and_dense_examples_are_equal() -> None:
    """The same numbers, held in two ways."""
    assert_traces_close(example_trace(lazy=True, kv_heads=2), example_trace(kv_heads=2), atol=1e-6)
    assert example_trace(lazy=True)[0].query is not None
    assert example_trace()[0].query is None


def test_example_heads_look_like_real_ones() -> None:
    """Previous token, sink, broad, self: the patterns that people know are recognised as such."""
    stats = head_statistics(example_trace(n_tokens=24)[0])
    assert [strongest_pattern(stats, head)[0] for head in (0, 1, 3)] == [
        "previous token",
        "first token (sink)",
        "same token",
    ]
    assert stats.entropy[2] > 2 * stats.entropy[0]


@pytest.mark.parametrize("trace", [example_trace(n_layers=3, batch=2, padding=4), example_cross_trace(batch=2)])
def test_example_weights_are_probabilities(trace: AttentionTrace) -> None:
    """Rows sum to one; a causal layer looks at nothing ahead, and nobody looks at padding."""
    for layer in trace:
        weights = np.asarray(layer.weights)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
        if layer.stack != "encoder" and layer.kind == "self":
            assert np.triu(weights, 1).max() == 0
        assert weights[-1][..., trace.axes[layer.key_axis].padding_of(1)].sum() == 0


def changed(**changes: Any) -> AttentionTrace:
    """The example with a field of its second layer changed."""
    trace = example_trace()
    return AttentionTrace((trace[0], trace[1].replaced(**changes)), trace.axes)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (example_trace(n_layers=3), r"the layers differ"),
        (changed(name="other"), r"the layers differ"),
        (changed(kind="cross"), r'layer 1 "layers.1.attention": kind is \'cross\', expected \'self\''),
        (changed(call=2), r"call is 2, expected 0"),
        (changed(stack="decoder"), r"stack is 'decoder', expected None"),
        (example_trace(n_heads=2), r"shape is \(1, 2, 12, 12\), expected \(1, 4, 12, 12\)"),
        (changed(heads=(3, 2, 1, 0)), r"heads held are \(3, 2, 1, 0\)"),
        (example_trace(tokens=["x"] * 12), r'labels of its query axis "tokens" begin x, x'),
    ],
)
def test_a_difference_between_traces_is_named(other: AttentionTrace, said: str) -> None:
    """The message says which layer and what about it."""
    with pytest.raises(AssertionError, match=said):
        assert_traces_close(other, example_trace())


def test_the_worst_weight_is_named() -> None:
    """Layer, batch item, head, query and key of the largest difference, with both values."""
    weights = np.array(example_trace()[1].weights)
    weights[0, 2, 5, 3] += 0.25
    weights[0, 1, 4, 0] += 0.125
    other = changed(stored_weights=attncore.AttentionTrace.from_arrays([weights])[0].weights)
    with pytest.raises(AssertionError, match=r"up to 0\.25 .*head 2, query 5, key 3: .*2 of 576 weights differ"):
        assert_traces_close(other, example_trace())
    assert_traces_close(other, example_trace(), atol=0.3)
