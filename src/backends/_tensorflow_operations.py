"""What each TensorFlow operation does to axes, in the few operations of `attncore.dataflow`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attncore.arrays import Array
from attncore.dataflow import (
    Broadcast,
    Concatenate,
    Elementwise,
    Fill,
    Graph,
    Opaque,
    Operation,
    Pad,
    Reduce,
    Reshape,
    Softmax,
    Transpose,
    Update,
    Value,
)

from ._tensorflow_indexing import INDEXING
from ._tensorflow_products import PRODUCTS

# Those with a meaning to the finder go by its word for them; the others keep their own.
ELEMENTWISE = {
    **{"Add": "add", "AddV2": "add", "AddN": "add", "Sub": "sub", "Mul": "mul", "Neg": "neg", "Pow": "pow"},
    **{"RealDiv": "div", "Div": "div", "DivNoNan": "div", "Exp": "exp", "Log": "log", "Tanh": "tanh"},
    **{"Maximum": "max", "Minimum": "min", "SelectV2": "select", "Select": "select", "Cast": "cast"},
    **dict.fromkeys(("Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"), "compare"),
    **dict.fromkeys(("LogicalAnd", "LogicalOr", "LogicalNot"), "logical"),
    **dict.fromkeys(
        ("CheckNumerics", "DebugGradientIdentity", "EnsureShape", "Identity", "PreventGradient", "Snapshot"), "identity"
    ),
    **dict.fromkeys(("ReadVariableOp", "StopGradient", "XlaSharding"), "identity"),
}
OTHER_ELEMENTWISE = frozenset(
    {
        *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atan2", "Atanh", "Ceil", "ClipByValue", "Cos", "Cosh"),
        *("Digamma", "Elu", "Erf", "Erfc", "Erfinv", "Expm1", "Floor", "FloorDiv", "FloorMod", "Inv", "IsFinite"),
        *("IsInf", "IsNan", "LeakyRelu", "Lgamma", "Log1p", "Mod", "Ndtri", "Reciprocal", "Relu", "Relu6", "Rint"),
        *("Round", "Rsqrt", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan"),
        *("SquaredDifference", "TruncateDiv", "TruncateMod", "Xdivy", "Xlogy", "Xlog1py", "BitwiseAnd", "BitwiseOr"),
        *("BitwiseXor", "Invert", "LeftShift", "RightShift", "Bitcast", "Real", "Imag", "Conj", "Complex", "MulNoNan"),
    }
)
# The output has the first input's axes; what the others hold says nothing of axes.
FIRST_INPUT = frozenset({"MatrixBandPart", "FakeQuantWithMinMaxVars", "FusedBatchNormV3", "LRN", "Dequantize"})
# The output has the first input's axes, with positions moved along some, or each number depending on several.
SAME_AXES = frozenset(
    {
        *("Cumprod", "Cumsum", "CumulativeLogsumexp", "ReverseV2", "Roll", "ReverseSequence"),
        *("TopK", "TopKV2", "RandomShuffle", "FFT", "FFT2D", "IFFT", "IFFT2D", "RFFT", "RFFT2D", "IRFFT", "IRFFT2D"),
        *("ExtractImagePatches", "SpaceToDepth", "DepthToSpace", "SpaceToBatchND", "BatchToSpaceND"),
        *("ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor", "ScaleAndTranslate"),
        *("MaxPool", "MaxPoolV2", "MaxPool3D", "AvgPool", "AvgPool3D"),
    }
)
# Which input is the data, which is the kernel, and which axis of a kernel becomes the channels.
_CONVOLUTIONS = {
    **dict.fromkeys(("Conv", "Conv2D", "Conv3D"), (0, 1, -1)),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), (2, 1, -2)),
}
REDUCTIONS = {
    **{"Sum": "sum", "Max": "max", "Min": "min", "Mean": "mean", "Prod": "prod", "All": "and", "Any": "or"},
    **{"ArgMax": "argmax", "ArgMin": "argmin", "EuclideanNorm": "norm"},
}
FILLS = frozenset(
    {
        *("BroadcastArgs", "BroadcastGradientArgs", "EmptyTensorList", "Fill", "LinSpace", "OnesLike", "Placeholder"),
        *("RaggedRange", "Range", "Rank", "Shape", "ShapeN", "Size", "TensorListLength", "TensorListReserve"),
        *("VarHandleOp", "VariableShape", "ZerosLike"),
    }
)
_RANDOM = (
    "Random",
    "StatelessRandom",
    "StatefulStandard",
    "StatefulUniform",
    "StatefulTruncated",
    "Rng",
    "Multinomial",
)
UPDATES = frozenset({"TensorScatterUpdate", "TensorScatterAdd", "XlaDynamicUpdateSlice", "InplaceUpdate"})
_ATTENTION_WORDS = ("attention", "flash", "fmha", "mha", "sdpa")
_NONE = frozenset[int]()
Values = tuple[Value, ...]


def add_operations(
    graph: Graph, operation: Any, inputs: Values, outputs: Values, numbers: Sequence[Array | None], scope: str
) -> None:
    """Add what one operation does to the graph, as one operation or a few.

    Args:
        graph: where to.
        operation: TensorFlow's, with its attributes.
        inputs: the values that it takes.
        outputs: the values that it makes.
        numbers: what is known of the inputs' numbers.
        scope: the names of the places that the operation is in.
    """
    kind = operation.type
    if kind == "IdentityN":
        for one, output in zip(inputs, outputs, strict=True):
            graph.add(Elementwise("identity"), (one,), (output,), scope=scope)
    elif kind in PRODUCTS:
        PRODUCTS[kind](graph, operation, inputs, outputs, scope)
    elif kind in INDEXING:
        INDEXING[kind](graph, operation, inputs, outputs, numbers, scope)
    elif outputs:
        made = _single(operation, inputs, outputs, numbers)
        if made is None:
            made = _opaque(operation, inputs, outputs, numbers), inputs
        graph.add(made[0], made[1], outputs, scope=scope)


Made = tuple[Operation, Values] | None


def _single(operation: Any, inputs: Values, outputs: Values, numbers: Sequence[Array | None]) -> Made:
    kind = operation.type
    if kind in ELEMENTWISE:
        return Elementwise(ELEMENTWISE[kind]), inputs
    if kind in OTHER_ELEMENTWISE:
        return Elementwise(kind.lower()), inputs
    if kind in FIRST_INPUT:
        return Elementwise(kind.lower()), inputs[:1]
    if kind in FILLS or (kind.startswith(_RANDOM) and kind not in SAME_AXES):
        return Fill(random=kind.startswith(_RANDOM)), inputs
    if kind in UPDATES:
        return (Update(), (inputs[0], inputs[-1])) if len(inputs[0].shape) == len(inputs[-1].shape) else None
    if kind in REDUCTIONS:
        return _reduced(operation, inputs, numbers)
    return _MAKERS[kind](operation, inputs, outputs[0], numbers) if kind in _MAKERS else None


def _reduced(operation: Any, inputs: Values, numbers: Sequence[Array | None]) -> Made:
    if numbers[1] is None:
        return None
    rank = len(inputs[0].shape)
    axes = tuple(sorted({int(axis) % rank for axis in numbers[1].reshape(-1)})) if rank else ()
    keeps = operation.type not in ("ArgMax", "ArgMin") and bool(operation.get_attr("keep_dims"))
    return Reduce(REDUCTIONS[operation.type], axes, keeps), inputs[:1]


def _opaque(operation: Any, inputs: Values, outputs: Values, numbers: Sequence[Array | None]) -> Opaque:
    """An operation that is not followed, with the axes that it leaves alone."""
    kind, same = operation.type, tuple((0, axis) for axis in range(len(inputs[0].shape))) if inputs else ()
    if kind in SAME_AXES or kind.startswith("DepthwiseConv2dNative"):
        axes = tuple(same if len(one.shape) == len(same) else () for one in outputs)
        turned, rolled, ranked = _moved(operation, len(same), numbers)
        return Opaque(kind, axes, turned=turned, rolled=rolled, sorted=ranked)
    if kind in _CONVOLUTIONS:
        return Opaque(kind, (_convolved(operation, inputs),))
    if kind == "OneHot":
        return Opaque(kind, ((*same, None),))
    return Opaque(kind, fused_attention=any(word in kind.lower() for word in _ATTENTION_WORDS))


def _moved(
    operation: Any, rank: int, numbers: Sequence[Array | None]
) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
    """Along which axes positions are turned round, rolled, or put into any other order; all where it is not known."""
    kind = operation.type
    if kind in ("TopK", "TopKV2", "RandomShuffle"):
        return _NONE, _NONE, frozenset({0 if kind == "RandomShuffle" else rank - 1})
    if kind == "ReverseSequence":
        return _NONE, _NONE, frozenset({operation.get_attr("seq_dim") % rank})
    if kind not in ("ReverseV2", "Roll"):
        return _NONE, _NONE, _NONE
    known = numbers[1 if kind == "ReverseV2" else 2]
    axes = frozenset(range(rank) if known is None else (int(axis) % rank for axis in known.reshape(-1)))
    return (axes, _NONE, _NONE) if kind == "ReverseV2" and known is not None else (_NONE, axes, _NONE)


def _convolved(operation: Any, inputs: Values) -> tuple[tuple[int, int], ...]:
    """The axes of a convolution: those of the data, but for the channels, which the kernel gives."""
    data, kernel, channels = _CONVOLUTIONS[operation.type]
    rank = len(inputs[data].shape)
    where = 1 if operation.get_attr("data_format").startswith((b"NC", b"CHANNELS_FIRST")) else rank - 1
    made = (kernel, channels % len(inputs[kernel].shape))
    return tuple(made if axis == where else (data, axis) for axis in range(rank))


def _from_ragged(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    """Rows of their own lengths in one array: as many as there are ends of rows, along the values' first axis."""
    values, ends = inputs[1], inputs[3]
    rows = (3, 0) if ends.shape else None
    axes = (rows, *((1, axis) for axis in range(len(values.shape))))
    return Opaque(operation.type, (axes,)), inputs


def _softmax(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    return Softmax(len(output.shape) - 1, log=operation.type == "LogSoftmax"), inputs


def _transpose(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    if numbers[1] is None:
        return None
    rank = len(output.shape)
    return Transpose(tuple(int(axis) % rank for axis in numbers[1])), inputs[:1]


def _reshape(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    return Reshape(), inputs[:1]


def _expand_dims(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    if numbers[1] is None:
        return Reshape(), inputs[:1]
    rank = len(output.shape)
    new = int(numbers[1].reshape(())) % rank
    source = list(range(rank - 1))
    return Broadcast((*source[:new], None, *source[new:])), inputs[:1]


def _squeeze(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    shape = inputs[0].shape
    asked = {axis % len(shape) for axis in operation.get_attr("squeeze_dims")}
    gone = asked or {axis for axis, length in enumerate(shape) if length == 1}
    return Broadcast(tuple(axis for axis in range(len(shape)) if axis not in gone)), inputs


def _broadcast_to(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    new = len(output.shape) - len(inputs[0].shape)
    return Broadcast((*(None,) * new, *range(len(inputs[0].shape)))), inputs[:1]


def _bias_add(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    first = operation.get_attr("data_format") == b"NCHW"
    return Elementwise("bias_add" if first else "add"), inputs[:1] if first else inputs


def _square(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    return Elementwise("mul"), (inputs[0], inputs[0])


def _pad(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    if numbers[1] is None or operation.type == "MirrorPad":
        return Opaque("Pad", (tuple((0, axis) for axis in range(len(output.shape))),)), inputs[:1]
    filled = 0.0
    if operation.type == "PadV2":
        return Pad(_widths(numbers[1]), None if numbers[2] is None else float(numbers[2].reshape(()))), inputs[:1]
    return Pad(_widths(numbers[1]), filled), inputs[:1]


def _widths(numbers: Array) -> tuple[tuple[int, int], ...]:
    return tuple((int(before), int(after)) for before, after in numbers.reshape(-1, 2))


def _concatenate(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    if numbers[-1] is None:
        return None
    return Concatenate(int(numbers[-1].reshape(())) % len(output.shape)), inputs[:-1]


def _first(operation: Any, inputs: Values, output: Value, numbers: Sequence[Array | None]) -> Made:
    return Elementwise("identity"), inputs[:1]


_MAKERS: dict[str, Callable[[Any, Values, Value, Sequence[Array | None]], Made]] = {
    "BiasAdd": _bias_add,
    "BroadcastTo": _broadcast_to,
    "ConcatV2": _concatenate,
    "ExpandDims": _expand_dims,
    "LogSoftmax": _softmax,
    "MirrorPad": _pad,
    "Pad": _pad,
    "PadV2": _pad,
    "RaggedTensorToTensor": _from_ragged,
    "Reshape": _reshape,
    "Softmax": _softmax,
    "Square": _square,
    "Squeeze": _squeeze,
    "TensorListFromTensor": _first,
    "TensorListStack": _first,
    "Transpose": _transpose,
}
