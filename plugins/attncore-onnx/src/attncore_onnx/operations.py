"""What each ONNX operator does to axes, in the few operations of `attncore.dataflow`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import onnx

from attncore.dataflow import (
    Broadcast,
    Concatenate,
    Contract,
    Elementwise,
    Fill,
    Gather,
    Graph,
    Opaque,
    Pad,
    Reduce,
    Repeat,
    Reshape,
    Slice,
    Softmax,
    Transpose,
    Value,
)

ELEMENTWISE = {
    **{"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Neg": "neg", "Exp": "exp", "Log": "log", "Pow": "pow"},
    **{"Tanh": "tanh", "Max": "max", "Min": "min", "Where": "select", "Cast": "cast", "Identity": "identity"},
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), "compare"),
    **dict.fromkeys(("And", "Or", "Not", "Xor"), "logical"),
    **dict.fromkeys(("Dropout",), "identity"),
}
OTHER_ELEMENTWISE = frozenset(
    {
        *("Abs", "Ceil", "Clip", "Cos", "Elu", "Erf", "Floor", "Gelu", "HardSigmoid", "HardSwish", "IsInf", "IsNaN"),
        *("LeakyRelu", "Mod", "PRelu", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus"),
        *("Sqrt", "Trilu", "FastGelu", "QuickGelu", "BiasGelu"),
    }
)
REDUCTIONS = {
    **{"ReduceSum": "sum", "ReduceMax": "max", "ReduceMin": "min", "ReduceMean": "mean", "ReduceProd": "prod"},
    **{"ReduceL2": "norm", "ReduceLogSumExp": "logsumexp", "ReduceSumSquare": "sumsq"},
}
FILLS = frozenset({"ConstantOfShape", "EyeLike", "RandomNormal", "RandomUniform", "Range", "Shape", "Size"})
# The first output has the first input's axes.
SAME_AXES = frozenset(
    {
        *("BatchNormalization", "CumSum", "InstanceNormalization", "LayerNormalization", "LpNormalization"),
        *("RMSNormalization", "RotaryEmbedding", "SimplifiedLayerNormalization", "SkipLayerNormalization"),
    }
)
Values = tuple[Value, ...]


def add_node(
    graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str, *, hides: bool = False
) -> None:
    """Add what one node does to the graph, as one operation or a few; ``hides`` marks attention that stays inside."""
    kind = node.op_type
    if kind in ELEMENTWISE or kind in OTHER_ELEMENTWISE:
        used = inputs[:1] if kind in ("Dropout", "Clip", "Trilu") else inputs
        graph.add(Elementwise(ELEMENTWISE.get(kind, kind.lower())), used, outputs[:1], scope=scope)
    elif kind in FILLS:
        graph.add(Fill(random=kind.startswith("Random")), inputs, outputs, scope=scope)
    elif kind in REDUCTIONS:
        _reduce(graph, node, inputs, outputs, scope)
    elif kind in _MAKERS:
        _MAKERS[kind](graph, node, inputs, outputs, scope)
    else:
        same = tuple((0, axis) for axis in range(len(inputs[0].shape))) if inputs and kind in SAME_AXES else ()
        graph.add(Opaque(kind, (same,) if same else (), fused_attention=hides), inputs, outputs, scope=scope)


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """An attribute's value."""
    found = next((one for one in node.attribute if one.name == name), None)
    return default if found is None else onnx.helper.get_attribute_value(found)


def _numbers(inputs: Values, place: int) -> list[int] | None:
    """The whole numbers of an input, if they are known."""
    if len(inputs) <= place or inputs[place].constant is None:
        return None
    return [int(one) for one in inputs[place].constant.reshape(-1)]  # type: ignore[union-attr]


def _axes(node: onnx.NodeProto, inputs: Values, place: int = 1) -> list[int] | None:
    """Axes, which older models have as an attribute and newer ones as an input."""
    own = attribute(node, "axes")
    return list(own) if own is not None else _numbers(inputs, place)


def _reduce(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    rank = len(inputs[0].shape)
    axes = _axes(node, inputs)
    reduced = tuple(sorted(axis % rank for axis in axes)) if axes else tuple(range(rank))
    keeps = bool(attribute(node, "keepdims", 1))
    graph.add(Reduce(REDUCTIONS[node.op_type], reduced, keeps), inputs[:1], outputs, scope=scope)


def _matmul(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    """As numpy's matmul, axes of length 1 that are broadcast taken away first."""
    lead = max(len(one.shape) for one in inputs[:2]) - 2
    labels = [
        [*range(lead - len(inputs[0].shape) + 2, lead), lead, lead + 1],
        [*range(lead - len(inputs[1].shape) + 2, lead), lead + 1, lead + 2],
    ]
    lengths = [dict(zip(names, one.shape, strict=True)) for names, one in zip(labels, inputs, strict=False)]
    sides, kept = [], []
    for place in (0, 1):
        own, other = lengths[place], lengths[1 - place]
        left = [label for label in labels[place] if not (own[label] == 1 and other.get(label, 1) != 1)]
        sides.append(_without(graph, inputs[place], [labels[place].index(label) for label in left], scope))
        kept.append(tuple(left))
    graph.add(Contract(kept[0], kept[1], (*range(lead), lead, lead + 2)), sides, outputs, scope=scope)


def _without(graph: Graph, value: Value, axes: list[int], scope: str) -> Value:
    if len(axes) == len(value.shape):
        return value
    squeezed = Value(tuple(value.shape[axis] for axis in axes), value.dtype, handle=value.handle)
    graph.add(Broadcast(tuple(axes)), (value,), (squeezed,), scope=scope)
    return squeezed


def _gemm(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    left = (1, 0) if attribute(node, "transA", 0) else (0, 1)
    right = (2, 1) if attribute(node, "transB", 0) else (1, 2)
    if len(inputs) == 2:
        graph.add(Contract(left, right, (0, 2)), inputs, outputs, scope=scope)
        return
    product = Value(outputs[0].shape, outputs[0].dtype)
    graph.add(Contract(left, right, (0, 2)), inputs[:2], (product,), scope=scope)
    graph.add(Elementwise("add"), (product, inputs[2]), outputs, scope=scope)


def _einsum(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    equation = attribute(node, "equation").decode().replace(" ", "")
    sides, _, result = equation.partition("->")
    parts = sides.split(",")
    if len(parts) != 2 or "..." in equation or not result:
        graph.add(Opaque("Einsum"), inputs, outputs, scope=scope)
        return
    labels = [tuple(map(ord, part)) for part in (*parts, result)]
    graph.add(Contract(*labels), inputs, outputs, scope=scope)


def _softmax(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    axis = attribute(node, "axis", -1) % len(inputs[0].shape)
    graph.add(Softmax(axis, log=node.op_type == "LogSoftmax"), inputs, outputs, scope=scope)


def _transpose(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    order = attribute(node, "perm") or list(reversed(range(len(inputs[0].shape))))
    graph.add(Transpose(tuple(order)), inputs, outputs, scope=scope)


def _reshape(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    graph.add(Reshape(), inputs[:1], outputs, scope=scope)


def _unsqueeze(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    rank = len(outputs[0].shape)
    new = {axis % rank for axis in _axes(node, inputs) or []}
    source = iter(range(len(inputs[0].shape)))
    axes = tuple(None if axis in new else next(source) for axis in range(rank))
    graph.add(Broadcast(axes), inputs[:1], outputs, scope=scope)


def _squeeze(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    shape = inputs[0].shape
    asked = _axes(node, inputs)
    gone = {axis % len(shape) for axis in asked} if asked else {at for at, length in enumerate(shape) if length == 1}
    graph.add(Broadcast(tuple(at for at in range(len(shape)) if at not in gone)), inputs[:1], outputs, scope=scope)


def _expand(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    new = len(outputs[0].shape) - len(inputs[0].shape)
    graph.add(Broadcast((*(None,) * new, *range(len(inputs[0].shape)))), inputs[:1], outputs, scope=scope)


def _tile(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    times = _numbers(inputs, 1) or []
    repeated = [axis for axis, count in enumerate(times) if count != 1]
    if len(repeated) != 1:
        graph.add(Opaque("Tile"), inputs, outputs, scope=scope)
    else:
        graph.add(Repeat(repeated[0], times[repeated[0]], tiled=True), inputs[:1], outputs, scope=scope)


def _slice(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    source, rank = inputs[0], len(inputs[0].shape)
    starts, ends = (_numbers(inputs, place) or attribute(node, name) for place, name in ((1, "starts"), (2, "ends")))
    axes = _numbers(inputs, 3) or attribute(node, "axes") or list(range(len(starts or ())))
    steps = _numbers(inputs, 4) or [1] * len(axes)
    bounds: list[tuple[int, int, int] | None] = [None] * rank
    for axis, start, end, step in zip(axes, starts or (), ends or (), steps, strict=False):
        length = source.shape[axis % rank] or 0
        first = min(max(start + length if start < 0 else start, 0), length)
        last = min(max(end + length if end < 0 else end, 0), length)
        if step > 0 and (first, last, step) != (0, length, 1):
            bounds[axis % rank] = (first, last, step)
    graph.add(Slice(tuple(bounds)), inputs[:1], outputs, scope=scope)


def _split(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    rank = len(inputs[0].shape)
    axis, start = attribute(node, "axis", 0) % rank, 0
    for output in outputs:
        size = output.shape[axis] or 0
        bounds = tuple((start, start + size, 1) if at == axis else None for at in range(rank))
        graph.add(Slice(bounds), inputs[:1], (output,), scope=scope)
        start += size


def _concat(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    graph.add(Concatenate(attribute(node, "axis") % len(outputs[0].shape)), inputs, outputs, scope=scope)


def _gather(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    operand, indices = inputs[:2]
    axis = attribute(node, "axis", 0) % max(1, len(operand.shape))
    rank = len(operand.shape)
    if not indices.shape:  # one place: an index that drops the axis
        number = _numbers(inputs, 1)
        bound = None if number is None else (number[0] % (operand.shape[axis] or 1),)
        shape = tuple(1 if at == axis else size for at, size in enumerate(operand.shape))
        cut = Value(shape, operand.dtype, handle=outputs[0].handle)
        where = None if bound is None else (bound[0], bound[0] + 1, 1)
        graph.add(Slice(tuple(where if at == axis else None for at in range(rank))), (operand,), (cut,), scope=scope)
        graph.add(Broadcast(tuple(at for at in range(rank) if at != axis)), (cut,), outputs, scope=scope)
        return
    axes: list[tuple[Literal["operand", "indices"], int] | None] = [("operand", at) for at in range(axis)]
    axes += [("indices", at) for at in range(len(indices.shape))]
    axes += [("operand", at) for at in range(axis + 1, rank)]
    graph.add(Gather(tuple(axes)), (operand, indices), outputs, scope=scope)


def _pad(graph: Graph, node: onnx.NodeProto, inputs: Values, outputs: Values, scope: str) -> None:
    widths, rank = _numbers(inputs, 1), len(inputs[0].shape)
    if widths is None or len(widths) != 2 * rank or attribute(node, "mode", b"constant") != b"constant":
        graph.add(Opaque("Pad", (tuple((0, axis) for axis in range(rank)),)), inputs[:1], outputs, scope=scope)
        return
    filled = None if len(inputs) < 3 or inputs[2].constant is None else float(inputs[2].constant.reshape(-1)[0])
    pairs = tuple((widths[axis], widths[rank + axis]) for axis in range(rank))
    graph.add(Pad(pairs, 0.0 if len(inputs) < 3 else filled), inputs[:1], outputs, scope=scope)


_MAKERS: dict[str, Callable[[Graph, onnx.NodeProto, Values, Values, str], None]] = {
    "Concat": _concat,
    "Einsum": _einsum,
    "Expand": _expand,
    "Gather": _gather,
    "Gemm": _gemm,
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "Pad": _pad,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
