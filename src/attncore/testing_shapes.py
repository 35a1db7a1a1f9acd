"""Traces of every shape that a renderer meets: what is rare in one's own models is common in somebody else's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncore.attention import AttentionTrace
from attncore.testing_examples import example_cross_trace, example_trace


def trace_shapes() -> Iterator[tuple[str, AttentionTrace]]:
    """Each shape with its name."""
    yield "weights alone, without queries and keys", example_trace()
    yield "a batch of 3", example_trace(batch=3)
    yield "cross-attention", example_cross_trace(lazy=True)
    yield "one token", example_trace(n_tokens=1)
    yield "one layer, one head", example_trace(n_layers=1, n_heads=1)
    yield "600 tokens", example_trace(n_tokens=600, lazy=True)
    yield "12 layers of 12 heads", example_trace(n_layers=12, n_heads=12, n_tokens=3)
    yield "a token of 2,000 characters", example_trace(n_tokens=3, tokens=["short", "x" * 2000, "."], lazy=True)
    yield "grouped-query attention", example_trace(lazy=True, kv_heads=2)
    yield "padding", example_trace(batch=2, padding=4, lazy=True)
    yield "some heads of some layers", example_trace(n_layers=4).select(layers=slice(1, 3), heads=[3, 1])
    yield "no labels", AttentionTrace.from_arrays([np.asarray(layer.weights) for layer in example_trace()])
    yield "no layers", AttentionTrace((), {})
    yield "fully masked rows", _with_masked_row()
    yield "weights reduced while capturing", _reduced()


def _with_masked_row() -> AttentionTrace:
    weights = np.array(example_trace()[0].weights)
    weights[:, :, 2] = np.nan
    return AttentionTrace.from_arrays([weights])


def _reduced() -> AttentionTrace:
    trace = example_trace()
    layers = tuple(layer.replaced(stored_weights=None, reduced=np.zeros(2)) for layer in trace)
    return AttentionTrace(layers, trace.axes)
