"""What the axes are after parts of arrays are taken, or arrays put together of parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from attncore.dataflow import Concatenate, Elementwise, Gather, Node, Value
from attncore.dataflow_atoms import DATA, FEATURE, STATE, Axes, Axis, cut, merged, single, tags_of
from attncore.dataflow_moves import backwards, joined, rows_picked, shifted

Lookup = Callable[[Value], Axes]
IsData = Callable[[Value], bool]


def data_first(inputs: Sequence[Value], is_data: IsData) -> list[Value]:
    """Values that depend on data before the others."""
    return sorted(inputs, key=lambda one: not is_data(one))


def given(one: Value, inputs: Sequence[Value], lookup: Lookup, is_data: IsData) -> Axes:
    """The axes of an input to a product; those of parameters become features of the data beside them."""
    axes = lookup(one)
    if is_data(one) or not any(is_data(other) for other in inputs):
        return axes
    return tuple(tuple(replace(atom, tags=atom.tags | {FEATURE}) for atom in axis) for axis in axes)


def beside(known: Axis, axis: Axis, of_data: bool) -> Axis:
    """What a further input says of an axis: learned positions beside those of data make no parameter's axis of it."""
    if of_data or not {DATA, STATE} & tags_of(known):
        return axis
    return tuple(replace(atom, tags=frozenset()) for atom in axis)


def sliced(axis: Axis, bound: tuple[int, int, int] | None, lengths: tuple[int | None, int | None]) -> Axis:
    """An axis whose positions are counted from where a part of it begins."""
    if bound is None:
        return axis if lengths[0] == lengths[1] else shifted(axis, None)
    start, _, step = bound
    if step == -1 and lengths[0] == lengths[1]:
        return backwards(axis)
    return shifted(axis, -start if step == 1 else None)


def updated(source: Axes, part: Value, shape: Sequence[int | None], lookup: Lookup) -> Axes:
    """An array of which a part is written anew: its positions, as in a cache, are those of the part too."""
    offset = len(shape) - len(part.shape)
    if offset < 0 or not part.shape:
        return source
    result = list(source)
    for at, axis in enumerate(lookup(part), start=offset):
        if part.shape[at - offset] == shape[at] or not axis:
            result[at] = merged(result[at], axis)
        else:
            tags = tags_of(shifted(axis, None))
            result[at] = tuple(replace(atom, tags=atom.tags | tags) for atom in result[at])
    return tuple(result)


def gathered(operation: Gather, node: Node, lookup: Lookup, is_data: IsData) -> Axes:
    """The axes of rows that were picked; those picked of data by other numbers count what they were picked along."""
    operand, indices = node.inputs[:2]
    of_operand, of_indices = (given(one, node.inputs, lookup, is_data) for one in (operand, indices))
    picks_data = is_data(operand) and not is_data(indices)
    if picks_data:
        of_indices = _picked_along(operation, of_operand, lookup(indices))
    if picks_data or (is_data(operand) and not _is_table(operand)):
        of_indices = tuple(rows_picked(axis, indices) for axis in of_indices)
    axes: list[Axis] = []
    for length, source in zip(node.outputs[0].shape, operation.axes, strict=True):
        if source is None:
            axes.append(single(length))
            continue
        known, one = (of_operand, operand) if source[0] == "operand" else (of_indices, indices)
        axes.append(cut(known[source[1]], one.shape[source[1]], length))
    return tuple(axes)


def _is_table(value: Value) -> bool:
    """Whether an array that was given may hold embeddings, whose rows are no positions."""
    while value.node is not None and value.node.operation in (Elementwise("cast"), Elementwise("identity")):
        value = value.node.inputs[0]
    return value.node is None and len(value.shape) == 2 and value.dtype.startswith(("float", "bfloat"))


def _picked_along(operation: Gather, operand: Axes, indices: Axes) -> Axes:
    """The axes of an array of places, each with what the operand counts where the places are along."""
    kept = {axis for side, axis in filter(None, operation.axes) if side == "operand"}
    rows = [axis for side, axis in filter(None, operation.axes) if side == "indices"]
    gone = [tags_of(axis) for at, axis in enumerate(operand) if at not in kept]
    if len(gone) != len(rows):
        gone = [frozenset().union(*gone)] * len(rows)
    tags = dict(zip(rows, gone, strict=True))
    return tuple(tuple(replace(atom, tags=tags.get(at, atom.tags)) for atom in axis) for at, axis in enumerate(indices))


def concatenated(operation: Concatenate, node: Node, lookup: Lookup, is_data: IsData) -> Axes:
    """Arrays one after the other."""
    shape = node.outputs[0].shape
    starts = _starts(operation, node)
    result: list[Axis] = []
    for at, length in enumerate(shape):
        axis: Axis = ()
        parts: list[Axis] = []
        for one in data_first(node.inputs, is_data):
            further = beside(axis, lookup(one)[at], is_data(one))
            parts.append(shifted(further, starts[one]))
            axis = (*axis, *further) if at == operation.axis else merged(axis, further)
        result.append(cut(joined(parts), None, length) if at == operation.axis else axis)
    return tuple(result)


def _starts(operation: Concatenate, node: Node) -> dict[Value, int | None]:
    """Where each part begins; None where that is not known, or where it is there twice."""
    starts: dict[Value, int | None] = {}
    start: int | None = 0
    for one in node.inputs:
        starts[one] = None if one in starts else start
        length = one.shape[operation.axis]
        start = None if start is None or length is None else start + length
    return starts
