"""What a plugin's own tests need: example traces, a comparison of traces, and the two contract suites.

    from attncore.testing import check_renderer, example_trace

    def test_my_renderer_keeps_the_contract():
        check_renderer(MyRenderer())

`NumpyTransformer` and `NumpyBackend` are a whole model and a whole backend in numpy: the shortest backend to read
before writing one.
"""

from __future__ import annotations

import numpy as np

from attncore.attention import AttentionTrace
from attncore.layer import AttentionLayer
from attncore.testing_backends import BackendCase, check_backend
from attncore.testing_examples import example_cross_trace, example_trace
from attncore.testing_numpy import NumpyBackend, NumpyTransformer
from attncore.testing_renderers import check_renderer

__all__ = [
    "BackendCase",
    "NumpyBackend",
    "NumpyTransformer",
    "assert_traces_close",
    "check_backend",
    "check_renderer",
    "example_cross_trace",
    "example_trace",
]


def assert_traces_close(actual: AttentionTrace, expected: AttentionTrace, atol: float = 1e-5) -> None:
    """Check that two traces hold the same layers with the same weights.

    Compared are, layer by layer: name, call, kind, stack, the numbers of the heads, the labels of both axes, the shape
    and the weights (NaN equals NaN).

    Raises:
        AssertionError: they differ; the message names the layer, and for weights the head and row that differ most.
    """
    names = [layer.name for layer in actual], [layer.name for layer in expected]
    assert names[0] == names[1], f"the layers differ:\n  actual   {names[0]}\n  expected {names[1]}"
    for place, (mine, other) in enumerate(zip(actual, expected, strict=True)):
        where = f'layer {place} "{other.name}"'
        for fact in ("call", "kind", "stack", "shape"):
            found, wanted = getattr(mine, fact), getattr(other, fact)
            assert found == wanted, f"{where}: {fact} is {found!r}, expected {wanted!r}"
        heads = mine.head_numbers(), other.head_numbers()
        assert heads[0] == heads[1], f"{where}: the heads held are {heads[0]}, expected {heads[1]}"
        _assert_same_labels(actual, expected, mine, other, where)
        _assert_weights_close(mine, other, where, atol)


def _assert_same_labels(
    actual: AttentionTrace, expected: AttentionTrace, mine: AttentionLayer, other: AttentionLayer, where: str
) -> None:
    for which, axis, wanted in zip(("query", "key"), actual.axes_of(mine), expected.axes_of(other), strict=True):
        assert axis.labels == wanted.labels, (
            f'{where}: the labels of its {which} axis "{axis.name}" begin {_beginning(axis.labels)}, '
            f"expected {_beginning(wanted.labels)}"
        )


def _beginning(labels: tuple[tuple[str, ...], ...]) -> str:
    return " | ".join(", ".join(row[:6]) for row in labels[:2])


def _assert_weights_close(mine: AttentionLayer, other: AttentionLayer, where: str, atol: float) -> None:
    found, wanted = np.asarray(mine.weights, dtype=np.float64), np.asarray(other.weights, dtype=np.float64)
    difference = np.abs(found - wanted)
    difference[np.isnan(found) & np.isnan(wanted)] = 0
    difference[np.isnan(difference)] = np.inf
    if difference.size == 0 or difference.max() <= atol:
        return
    batch, head, query, key = (int(place) for place in np.unravel_index(difference.argmax(), difference.shape))
    raise AssertionError(
        f"{where}: weights differ by up to {difference.max():.3g} (atol {atol:g}), most at batch {batch}, head {head}, "
        f"query {query}, key {key}: {found[batch, head, query, key]:.6g}, expected "
        f"{wanted[batch, head, query, key]:.6g}; {int((difference > atol).sum())} of {difference.size} weights differ"
    )
