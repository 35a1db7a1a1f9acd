"""TensorFlow's products of two arrays, as contractions of labelled axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attncore.dataflow import Broadcast, Contract, Graph, Opaque, Transpose, Value

Values = tuple[Value, ...]


def _matmul(graph: Graph, operation: Any, inputs: Values, outputs: Values, scope: str) -> None:
    """Matrices in the last two axes, which either may have transposed; those before are broadcast as in numpy."""
    names = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    turned = [bool(operation.get_attr(name)) for name in names]
    lead = max(len(one.shape) for one in inputs[:2]) - 2
    rows, summed, columns = lead, lead + 1, lead + 2
    left = [summed, rows] if turned[0] else [rows, summed]
    right = [columns, summed] if turned[1] else [summed, columns]
    labels = [
        [*range(lead - len(one.shape) + 2, lead), *last] for one, last in zip(inputs, (left, right), strict=False)
    ]
    _contract(graph, inputs, labels, [*range(lead), rows, columns], outputs, scope)


def _einsum(graph: Graph, operation: Any, inputs: Values, outputs: Values, scope: str) -> None:
    """An equation of one or two arrays; an ellipsis stands for as many axes as are left."""
    equation = operation.get_attr("equation").decode()
    sides, _, result = equation.replace(" ", "").partition("->")
    labels = [_labels(side, len(one.shape)) for side, one in zip(sides.split(","), inputs, strict=True)]
    out = _labels(result, len(outputs[0].shape))
    numbers = {label: number for number, label in enumerate(dict.fromkeys([*out, *(x for one in labels for x in one)]))}
    numbered = [[numbers[label] for label in one] for one in labels]
    repeats = any(len(set(one)) < len(one) for one in numbered)
    if len(inputs) == 2 and not repeats:
        _contract(graph, inputs, numbered, [numbers[label] for label in out], outputs, scope)
    elif len(inputs) == 1 and sorted(labels[0]) == sorted(out) and not repeats:
        graph.add(Transpose(tuple(labels[0].index(label) for label in out)), inputs, outputs, scope=scope)
    else:
        graph.add(Opaque("Einsum"), inputs, outputs, scope=scope)


def _labels(side: str, rank: int) -> list[str]:
    """One label an axis; the axes of an ellipsis are numbered from the last."""
    if "..." not in side:
        return list(side)
    before, after = side.split("...")
    left = rank - len(before) - len(after)
    return [*before, *(f".{number}" for number in range(left, 0, -1)), *after]


def _contract(
    graph: Graph, inputs: Values, labels: list[list[int]], result: list[int], outputs: Values, scope: str
) -> None:
    """The product, axes of length 1 that are broadcast taken away first."""
    lengths = [dict(zip(names, one.shape, strict=True)) for names, one in zip(labels, inputs, strict=False)]
    sides, kept = [], []
    for place in (0, 1):
        own, other = lengths[place], lengths[1 - place]
        left = [label for label in labels[place] if not (own[label] == 1 and other.get(label, 1) != 1)]
        sides.append(_without(graph, inputs[place], labels[place], left, scope))
        kept.append(tuple(left))
    graph.add(Contract(kept[0], kept[1], tuple(result)), sides, outputs, scope=scope)


def _without(graph: Graph, value: Value, labels: list[int], left: list[int], scope: str) -> Value:
    """A value without those of its axes that are not left."""
    if len(left) == len(labels):
        return value
    axes = [labels.index(label) for label in left]
    squeezed = Value(tuple(value.shape[axis] for axis in axes), value.dtype, handle=value.handle)
    graph.add(Broadcast(tuple(axes)), (value,), (squeezed,), scope=scope)
    return squeezed


PRODUCTS: dict[str, Callable[[Graph, Any, Values, Values, str], None]] = {
    "BatchMatMul": _matmul,
    "BatchMatMulV2": _matmul,
    "BatchMatMulV3": _matmul,
    "Einsum": _einsum,
    "MatMul": _matmul,
    "XlaEinsum": _einsum,
}
