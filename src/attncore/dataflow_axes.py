"""What every axis of every value in a graph is made of: the data's batch and positions, or the parameters' heads.

The rules here say what each operation makes of the axes of its inputs; `dataflow_atoms` says what an axis is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from attncore.dataflow import (
    Broadcast,
    Concatenate,
    Contract,
    Elementwise,
    Fill,
    Gather,
    Node,
    Opaque,
    Pad,
    Reduce,
    Repeat,
    Reshape,
    Slice,
    Softmax,
    Transpose,
    Update,
    Value,
)
from attncore.dataflow_atoms import (
    DATA,
    FEATURE,
    GUESSED,
    PARAMETER,
    STATE,
    Atom,
    Axes,
    Axis,
    cut,
    length_of,
    merged,
    reshaped,
    single,
    tags_of,
)

Lookup = Callable[[Value], Axes]
IsData = Callable[[Value], bool]


def transferred(node: Node, lookup: Lookup, is_data: IsData) -> tuple[Axes, ...]:
    """The axes of a node's outputs, given those of its inputs; regions are not for this function."""
    operation = node.operation
    if isinstance(operation, Opaque):
        given: Lookup = lambda one: _given(one, node.inputs, lookup, is_data)  # noqa: E731 - only a name for it
        data = [given(one) for one in node.inputs if is_data(one)]
        return tuple(_opaque(node, number, given, data) for number in range(len(node.outputs)))
    shape = node.outputs[0].shape
    axes = _one_output(node, lookup, is_data)
    fitted = tuple(axis if length != 1 else _units(axis) for axis, length in zip(axes, shape, strict=True))
    return (fitted, *(_fresh(output) for output in node.outputs[1:]))


def _units(axis: Axis) -> Axis:
    """What an axis of length 1 can be made of: axes of length 1 that are followed."""
    return tuple(atom for atom in axis if atom.length == 1 and atom.place is not None)


def _fresh(value: Value) -> Axes:
    return tuple(single(length) for length in value.shape)


def _one_output(node: Node, lookup: Lookup, is_data: IsData) -> Axes:
    operation, output = node.operation, node.outputs[0]
    if isinstance(operation, Fill) or not node.inputs:
        return _fresh(output)
    source = lookup(node.inputs[0])
    before, after = node.inputs[0].shape, output.shape
    match operation:
        case Elementwise():
            return _elementwise(node.inputs, after, lookup, is_data)
        case Contract():
            return _contracted(operation, *(_given(one, node.inputs, lookup, is_data) for one in node.inputs[:2]))
        case Reduce():
            kept = [axis for at, axis in enumerate(source) if at not in operation.axes]
            return (
                tuple(() if at in operation.axes else axis for at, axis in enumerate(source))
                if (operation.keepdims)
                else tuple(kept)
            )
        case Softmax():
            return source
        case Transpose():
            return tuple(source[at] for at in operation.permutation)
        case Reshape():
            return reshaped(source, after)
        case Broadcast():
            return tuple(
                single(length) if at is None or (before[at] == 1 and length != 1) else source[at]
                for at, length in zip(operation.axes, after, strict=True)
            )
        case Repeat():
            new = (Atom(operation.times),)
            own = source[operation.axis]
            repeated = (*new, *own) if operation.tiled else (*own, *new)
            return (*source[: operation.axis], repeated, *source[operation.axis + 1 :])
        case Gather():
            return _gathered(operation, node, lookup, is_data)
        case Concatenate():
            return _concatenated(operation, node, lookup, is_data)
        case Update():
            return _updated(source, node.inputs[1], after, lookup)
        case Slice() | Pad():
            return tuple(cut(axis, a, b) for axis, a, b in zip(source, before, after, strict=True))
    return _fresh(output)


def _elementwise(inputs: Sequence[Value], shape: Sequence[int | None], lookup: Lookup, is_data: IsData) -> Axes:
    result: list[Axis] = [()] * len(shape)
    for one in _data_first(inputs, is_data):
        offset = len(shape) - len(one.shape)
        for at, axis in enumerate(lookup(one)):
            # A part written into something longer, or a row that is repeated, says nothing of the whole axis.
            if one.shape[at] == shape[at + offset] or one.shape[at] is None:
                known = result[at + offset]
                result[at + offset] = merged(known, _beside(known, axis, is_data(one)))
    return tuple(axis or single(length) for axis, length in zip(result, shape, strict=True))


def _data_first(inputs: Sequence[Value], is_data: IsData) -> list[Value]:
    return sorted(inputs, key=lambda one: not is_data(one))


def _given(one: Value, inputs: Sequence[Value], lookup: Lookup, is_data: IsData) -> Axes:
    """The axes of an input to a product; those of parameters become features of the data beside them."""
    axes = lookup(one)
    if is_data(one) or not any(is_data(other) for other in inputs):
        return axes
    return tuple(tuple(replace(atom, tags=atom.tags | {FEATURE}) for atom in axis) for axis in axes)


def _beside(known: Axis, axis: Axis, of_data: bool) -> Axis:
    """What a further input says of an axis: learned positions beside those of data make no parameter's axis of it."""
    if of_data or not {DATA, STATE} & tags_of(known):
        return axis
    return tuple(replace(atom, tags=frozenset()) for atom in axis)


def _updated(source: Axes, part: Value, shape: Sequence[int | None], lookup: Lookup) -> Axes:
    """An array of which a part is written anew: its positions, as in a cache, are those of the part too."""
    offset = len(shape) - len(part.shape)
    if offset < 0 or not part.shape:
        return source
    result = list(source)
    for at, axis in enumerate(lookup(part), start=offset):
        if part.shape[at - offset] == shape[at] or not axis:
            result[at] = merged(result[at], axis)
        else:
            tags = tags_of(axis)
            result[at] = tuple(replace(atom, tags=atom.tags | tags) for atom in result[at])
    return tuple(result)


def _contracted(operation: Contract, left: Axes, right: Axes) -> Axes:
    of_left = dict(zip(operation.left, left, strict=True))
    of_right = dict(zip(operation.right, right, strict=True))
    result = tuple(merged(of_left.get(label, ()), of_right.get(label, ())) for label in operation.result)
    for own, other in ((of_left, of_right), (of_right, of_left)):
        mixed = _mixed_positions(operation, own, other)
        result = tuple(
            axis if label in own or not mixed else tuple(replace(atom, tags=mixed) for atom in axis)
            for label, axis in zip(operation.result, result, strict=True)
        )
    summed = [label for label in operation.left if label in of_right and label not in operation.result]
    if any(DATA in tags_of(of_left[label]) and DATA in tags_of(of_right[label]) for label in summed):
        # What positions were gathered into is a place of its own, as the tokens that a learned query makes.
        return tuple(tuple(replace(atom, tags=atom.tags - {FEATURE}) for atom in axis) for axis in result)
    return result


def _mixed_positions(operation: Contract, own: dict[int, Axis], other: dict[int, Axis]) -> frozenset[str]:
    """What the new axis of a product of data with a matrix counts where the matrix mixes positions; nothing otherwise.

    It does where features are left beside the axis that is summed over, as when a resize or a mixer goes along the
    tokens. Of data as the user gave them the last axis is taken for the features.
    """
    new = [label for label in other if label not in own]
    summed = [label for label in own if label in other and label not in operation.result]
    if len(new) != 1 or len(summed) != 1 or not own[summed[0]]:
        return frozenset()
    atoms, rest = own[summed[0]], [axis for label, axis in own.items() if label not in other and axis]
    if not all(_counts_data(atom) for atom in atoms) or any(_counts_data(atom) for atom in other[summed[0]]):
        return frozenset()
    if any(FEATURE in tags_of(axis) and not any(map(_counts_data, axis)) for axis in rest):
        return tags_of(atoms)
    is_before = list(own)[-1] != summed[0] and any(_follows(tags_of(axis), tags_of(atoms)) for axis in rest)
    return tags_of(atoms) | tags_of(other[new[0]]) if is_before else frozenset()


def _counts_data(atom: Atom) -> bool:
    return DATA in atom.tags or STATE in atom.tags


def _follows(tags: frozenset[str], others: frozenset[str]) -> bool:
    """Whether an axis is a later one of the same array of the user as another is."""
    last = {source: max(at for known, at in _numbered(others) if known == source) for source, _ in _numbered(others)}
    return any(source in last and at > last[source] for source, at in _numbered(tags))


def _numbered(tags: frozenset[str]) -> list[tuple[str, int]]:
    parts = [tag.rpartition(".") for tag in tags if "." in tag and not tag.startswith(PARAMETER)]
    return [(source, int(at)) for source, _, at in parts]


def _gathered(operation: Gather, node: Node, lookup: Lookup, is_data: IsData) -> Axes:
    """The axes of rows that were picked; those picked of data by other numbers count what they were picked along."""
    operand, indices = node.inputs[:2]
    of_operand, of_indices = (_given(one, node.inputs, lookup, is_data) for one in (operand, indices))
    picks_data = is_data(operand) and not is_data(indices)
    if picks_data:
        of_indices = _picked_along(operation, of_operand, lookup(indices))
    axes: list[Axis] = []
    for length, source in zip(node.outputs[0].shape, operation.axes, strict=True):
        if source is None:
            axes.append(single(length))
            continue
        known, one = (of_operand, operand) if source[0] == "operand" else (of_indices, indices)
        axes.append(cut(known[source[1]], one.shape[source[1]], length))
    return tuple(axes)


def _picked_along(operation: Gather, operand: Axes, indices: Axes) -> Axes:
    """The axes of an array of places, each with what the operand counts where the places are along."""
    kept = {axis for side, axis in filter(None, operation.axes) if side == "operand"}
    rows = [axis for side, axis in filter(None, operation.axes) if side == "indices"]
    gone = [tags_of(axis) for at, axis in enumerate(operand) if at not in kept]
    if len(gone) != len(rows):
        gone = [frozenset().union(*gone)] * len(rows)
    tags = dict(zip(rows, gone, strict=True))
    return tuple(tuple(replace(atom, tags=tags.get(at, atom.tags)) for atom in axis) for at, axis in enumerate(indices))


def _concatenated(operation: Concatenate, node: Node, lookup: Lookup, is_data: IsData) -> Axes:
    shape = node.outputs[0].shape
    parts = [(lookup(one), is_data(one)) for one in _data_first(node.inputs, is_data)]
    result: list[Axis] = []
    for at, length in enumerate(shape):
        axis: Axis = ()
        for part, of_data in parts:
            further = _beside(axis, part[at], of_data)
            axis = (*axis, *further) if at == operation.axis else merged(axis, further)
        result.append(cut(axis, None, length) if at == operation.axis else axis)
    return tuple(result)


def _opaque(node: Node, number: int, lookup: Lookup, data: Sequence[Axes]) -> Axes:
    assert isinstance(node.operation, Opaque)
    known = node.operation.axes[number] if number < len(node.operation.axes) else ()
    shape = node.outputs[number].shape
    axes = []
    for at, length in enumerate(shape):
        source = known[at] if at < len(known) else None
        if source is None:
            axes.append(_guessed(at, shape, max(data, key=len)) if data else single(length))
        else:
            one = node.inputs[source[0]]
            axes.append(cut(lookup(one)[source[1]], one.shape[source[1]], length))
    return tuple(axes)


def _guessed(at: int, shape: Sequence[int | None], data: Axes) -> Axis:
    """An axis of what was made of data in a way that is not followed.

    It is the same one where it has the same place and length. Of others the last is that of features, and the rest
    are items or positions: heads come of features alone.
    """
    length = shape[at]
    own = data[at] if at < len(data) else ()
    if own and length_of(own) == length:
        return tuple(replace(atom, tags=atom.tags | {GUESSED}) for atom in own)
    if at == len(shape) - 1 and len(shape) >= len(data) > 0:
        own_tags = tags_of(data[-1]) if len(shape) == len(data) else frozenset({FEATURE})
        return single(length, own_tags | {GUESSED})
    counted = (tag for axis in data for tag in tags_of(axis) if tag != FEATURE and not tag.startswith(PARAMETER))
    return single(length, frozenset({DATA, GUESSED, *counted}))
