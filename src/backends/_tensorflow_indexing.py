"""TensorFlow's operations that take parts of arrays, put arrays together, or look rows up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from attncore.arrays import Array
from attncore.dataflow import Broadcast, Concatenate, Gather, Graph, Opaque, Repeat, Slice, Update, Value

Values = tuple[Value, ...]
Known = Sequence[Array | None]
Bound = tuple[int, int, int] | None


def _whole_numbers(known: Array | None) -> list[int] | None:
    return None if known is None else [int(one) for one in known.reshape(-1)]


def _slice(graph: Graph, operation: Any, inputs: Values, outputs: Values, known: Known, scope: str) -> None:
    """A block that begins somewhere and has the output's size."""
    begin = _whole_numbers(known[1])
    source, output = inputs[0], outputs[0]
    bounds: list[Bound] = []
    for axis, size in enumerate(output.shape):
        if begin is None or size is None or size == source.shape[axis]:
            bounds.append(None)
        else:
            bounds.append((begin[axis], begin[axis] + size, 1))
    graph.add(Slice(tuple(bounds)), inputs[:2], outputs, scope=scope)


def _strided_slice(graph: Graph, operation: Any, inputs: Values, outputs: Values, known: Known, scope: str) -> None:
    """Python's indexing: ranges, single places, new axes, and an ellipsis."""
    source, output = inputs[0], outputs[0]
    steps = _steps(operation, inputs, known, len(source.shape))
    if steps is None:
        graph.add(Opaque("StridedSlice"), inputs, outputs, scope=scope)
        return
    bounds: list[Bound] = []
    axes: list[int | None] = []
    sizes: list[int | None] = []
    for kind, bound in steps:
        if kind == "new":
            axes.append(None)
            continue
        place = len(bounds)
        length = source.shape[place]
        if kind == "range":
            axes.append(place)
        size = 1 if kind == "one" else output.shape[len(axes) - 1]
        whole = size == length and (bound is None or bound[2] == 1)
        bounds.append(None if whole else bound)
        sizes.append(size)
    if axes == list(range(len(bounds))):
        graph.add(Slice(tuple(bounds)), inputs[:2], outputs, scope=scope)
        return
    cut = Value(tuple(sizes), source.dtype, handle=output.handle)
    graph.add(Slice(tuple(bounds)), inputs[:2], (cut,), scope=scope)
    graph.add(Broadcast(tuple(axes)), (cut,), outputs, scope=scope)


def _steps(
    operation: Any, inputs: Values, known: Known, rank: int
) -> list[tuple[Literal["new", "one", "range"], Bound]] | None:
    """What is done along each axis of the source, and where new ones come; None where it cannot be told."""
    begin, end, strides = (_whole_numbers(one) for one in known[1:4])
    count = inputs[1].shape[0] if inputs[1].shape else None
    if count is None or strides is None:
        return None
    masks = {
        name: int(operation.get_attr(f"{name}_mask"))
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    steps: list[tuple[Literal["new", "one", "range"], Bound]] = []
    named = sum(1 for at in range(count) if not (masks["new_axis"] | masks["ellipsis"]) >> at & 1)
    for at in range(count):
        if masks["ellipsis"] >> at & 1:
            steps += [("range", None)] * (rank - named)
        elif masks["new_axis"] >> at & 1:
            steps.append(("new", None))
        else:
            ends = (0, 2**31) if strides[at] > 0 else (-1, -(2**31))
            first = ends[0] if masks["begin"] >> at & 1 else None if begin is None else begin[at]
            last = ends[1] if masks["end"] >> at & 1 else None if end is None else end[at]
            bound = None if first is None or last is None else (first, last, strides[at])
            steps.append(("one" if masks["shrink_axis"] >> at & 1 else "range", bound))
    steps += [("range", None)] * (rank - sum(1 for kind, _ in steps if kind != "new"))
    lengths = iter(inputs[0].shape)
    return [(kind, bound if kind == "new" else _within(kind, bound, next(lengths))) for kind, bound in steps]


def _within(kind: str, bound: Bound, length: int | None) -> Bound:
    """Bounds counted from the start, as in Python; None where they are not known."""
    if bound is None or length is None:
        return None
    first, last, step = bound
    first = first + length if first < 0 else first
    if kind == "one":
        return first, first + 1, 1
    if step < 0:  # to before the first, at most
        return min(first, length - 1), max(last + length, -1) if last < 0 else last, step
    last = last + length if last < 0 else min(last, length)
    return first, last, step


def _split(graph: Graph, operation: Any, inputs: Values, outputs: Values, known: Known, scope: str) -> None:
    """Pieces of an axis, one after the other."""
    source, where = (inputs[0], known[2]) if operation.type == "SplitV" else (inputs[1], known[0])
    if where is None:
        graph.add(Opaque("Split"), inputs, outputs, scope=scope)
        return
    axis, start = int(where.reshape(())) % len(source.shape), 0
    for output in outputs:
        size = output.shape[axis] or 0
        bounds = tuple((start, start + size, 1) if at == axis else None for at in range(len(output.shape)))
        graph.add(Slice(bounds), (source,), (output,), scope=scope)
        start += size


def _unpack(graph: Graph, operation: Any, inputs: Values, outputs: Values, known: Known, scope: str) -> None:
    """Every position of an axis as an array without it."""
    source = inputs[0]
    axis = operation.get_attr("axis") % len(source.shape)
    for place, output in enumerate(outputs):
        _pick(graph, inputs, axis, (place, place + 1, 1), output, scope)


def _pick(graph: Graph, inputs: Values, axis: int, bound: Bound, output: Value, scope: str) -> None:
    """One position of an axis of the first input, which is gone then; the second may say which."""
    source = inputs[0]
    rank = len(source.shape)
    shape = tuple(1 if at == axis else size for at, size in enumerate(source.shape))
    cut = Value(shape, source.dtype, handle=output.handle)
    graph.add(Slice(tuple(bound if at == axis else None for at in range(rank))), inputs, (cut,), scope=scope)
    graph.add(Broadcast(tuple(at for at in range(rank) if at != axis)), (cut,), (output,), scope=scope)


def _pack(graph: Graph, operation: Any, inputs: Values, outputs: Values, known: Known, scope: str) -> None:
    """Arrays one after the other on a new axis."""
    rank = len(outputs[0].shape)
    axis = operation.get_attr("axis") % rank
    raised = [_raised(graph, one, axis, rank, scope) for one in inputs]
    graph.add(Concatenate(axis), raised, outputs, scope=scope)


def _raised(graph: Graph, value: Value, axis: int, rank: int, scope: str) -> Value:
    source = list(range(rank - 1))
    axes: tuple[int | None, ...] = (*source[:axis], None, *source[axis:])
    shape = tuple(1 if at is None else value.shape[at] for at in axes)
    raised = Value(shape, value.dtype, handle=value.handle)
    graph.add(Broadcast(axes), (value,), (raised,), scope=scope)
    return raised


def _tile(graph: Graph, operation: Any, inputs: Values, outputs: Values, known: Known, scope: str) -> None:
    """The whole of each axis so many times."""
    times = _whole_numbers(known[1])
    if times is None:
        graph.add(Opaque("Tile"), inputs, outputs, scope=scope)
        return
    value = inputs[0]
    repeated = [axis for axis, count in enumerate(times) if count != 1]
    for axis in repeated:
        shape = tuple(size if at != axis or size is None else size * times[axis] for at, size in enumerate(value.shape))
        new = outputs[0] if axis == repeated[-1] else Value(shape, value.dtype)
        if value.shape[axis] == 1:
            graph.add(Broadcast(tuple(range(len(shape)))), (value,), (new,), scope=scope)
        else:
            graph.add(Repeat(axis, times[axis], tiled=True), (value,), (new,), scope=scope)
        value = new
    if not repeated:
        graph.add(Broadcast(tuple(range(len(value.shape)))), (value,), outputs, scope=scope)


def _gather(graph: Graph, operation: Any, inputs: Values, outputs: Values, known: Known, scope: str) -> None:
    """Rows along one axis picked by whole numbers, after axes that both have."""
    operand, indices = inputs[:2]
    where = known[2] if operation.type == "GatherV2" else None
    axis = 0 if where is None else int(where.reshape(())) % len(operand.shape)
    shared = int(operation.get_attr("batch_dims"))
    rows = len(indices.shape) - shared
    axes: list[tuple[Literal["operand", "indices"], int] | None] = [("operand", at) for at in range(axis)]
    axes += [("indices", shared + at) for at in range(rows)]
    axes += [("operand", at) for at in range(axis + 1, len(operand.shape))]
    if rows == 0 and not shared:  # one place: an index that drops the axis
        number = _whole_numbers(known[1])
        bound = None if number is None else (number[0], number[0] + 1, 1)
        _pick(graph, (operand, indices), axis, bound, outputs[0], scope)
        return
    graph.add(Gather(tuple(axes)), (operand, indices), outputs, scope=scope)


def _gather_nd(graph: Graph, operation: Any, inputs: Values, outputs: Values, known: Known, scope: str) -> None:
    """Parts picked by several whole numbers each."""
    operand, indices = inputs[:2]
    rows = len(indices.shape) - 1
    gone = len(operand.shape) - (len(outputs[0].shape) - rows)
    axes: list[tuple[Literal["operand", "indices"], int] | None] = [("indices", at) for at in range(rows)]
    axes += [("operand", at) for at in range(gone, len(operand.shape))]
    graph.add(Gather(tuple(axes)), (operand, indices), outputs, scope=scope)


def _list_item(graph: Graph, operation: Any, inputs: Values, outputs: Values, known: Known, scope: str) -> None:
    """One item of a list of arrays, which is followed as an array with the items along its first axis."""
    source = inputs[0]
    if len(source.shape) != len(outputs[0].shape) + 1:
        graph.add(Opaque(operation.type), inputs, outputs, scope=scope)
        return
    number = _whole_numbers(known[1])
    bound = None if number is None else (number[0], number[0] + 1, 1)
    _pick(graph, inputs[:2], 0, bound, outputs[0], scope)


def _list_set(graph: Graph, operation: Any, inputs: Values, outputs: Values, known: Known, scope: str) -> None:
    """A list of arrays with another item at one place."""
    source, item = inputs[0], inputs[2]
    if len(source.shape) != len(item.shape) + 1:  # the list was made before the shape of its items was known
        axes = (None, *((2, axis) for axis in range(len(item.shape))))
        graph.add(Opaque(operation.type, (axes,)), inputs, outputs, scope=scope)
        return
    graph.add(Update(), (source, _raised(graph, item, 0, len(source.shape), scope)), outputs, scope=scope)


INDEXING: dict[str, Callable[[Graph, Any, Values, Values, Known, str], None]] = {
    "GatherNd": _gather_nd,
    "GatherV2": _gather,
    "Pack": _pack,
    "ResourceGather": _gather,
    "Slice": _slice,
    "Split": _split,
    "SplitV": _split,
    "StridedSlice": _strided_slice,
    "TensorListGetItem": _list_item,
    "TensorListSetItem": _list_set,
    "Tile": _tile,
    "Unpack": _unpack,
}
