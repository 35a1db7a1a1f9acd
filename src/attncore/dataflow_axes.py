"""What every axis of every value in a graph is made of: the data's batch and positions, or the parameters' heads.

The rules here say what each operation makes of the axes of its inputs; `dataflow_atoms` says what an axis is.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from attncore.dataflow_moves import backwards, mixed, picked, settled, shifted
from attncore.dataflow_parts import (
    IsData,
    Lookup,
    beside,
    concatenated,
    data_first,
    gathered,
    given,
    sliced,
    updated,
)


def transferred(node: Node, lookup: Lookup, is_data: IsData) -> tuple[Axes, ...]:
    """The axes of a node's outputs, given those of its inputs; regions are not for this function."""
    operation = node.operation
    if isinstance(operation, Opaque):
        own: Lookup = lambda one: given(one, node.inputs, lookup, is_data)  # noqa: E731 - only a name for it
        data = [own(one) for one in node.inputs if is_data(one)]
        return tuple(_opaque(node, number, own, data) for number in range(len(node.outputs)))
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
            return _contracted(operation, *(given(one, node.inputs, lookup, is_data) for one in node.inputs[:2]))
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
            return gathered(operation, node, lookup, is_data)
        case Concatenate():
            return concatenated(operation, node, lookup, is_data)
        case Update():
            return updated(source, node.inputs[1], after, lookup)
        case Slice():
            lengths = zip(before, after, strict=True)
            moved = [sliced(*one) for one in zip(source, operation.bounds, lengths, strict=True)]
            return tuple(cut(axis, a, b) for axis, a, b in zip(moved, before, after, strict=True))
        case Pad():
            moved = [shifted(axis, width[0]) for axis, width in zip(source, operation.widths, strict=True)]
            return tuple(cut(axis, a, b) for axis, a, b in zip(moved, before, after, strict=True))
    return _fresh(output)


def _elementwise(inputs: Sequence[Value], shape: Sequence[int | None], lookup: Lookup, is_data: IsData) -> Axes:
    result: list[Axis] = [()] * len(shape)
    for one in data_first(inputs, is_data):
        offset = len(shape) - len(one.shape)
        for at, axis in enumerate(lookup(one)):
            # A part written into something longer, or a row that is repeated, says nothing of the whole axis.
            if one.shape[at] == shape[at + offset] or one.shape[at] is None:
                known = result[at + offset]
                result[at + offset] = merged(known, beside(known, axis, is_data(one)))
    return tuple(axis or single(length) for axis, length in zip(result, shape, strict=True))


def _contracted(operation: Contract, left: Axes, right: Axes) -> Axes:
    of_left = dict(zip(operation.left, left, strict=True))
    of_right = dict(zip(operation.right, right, strict=True))
    result = tuple(merged(of_left.get(label, ()), of_right.get(label, ())) for label in operation.result)
    for own, other in ((of_left, of_right), (of_right, of_left)):
        tags = _mixed_positions(operation, own, other)
        result = tuple(
            axis if label in own or not tags else mixed(tuple(replace(atom, tags=tags) for atom in axis))
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
            axes.append(_kept(node.operation, at, lookup(one)[source[1]], one.shape[source[1]], length))
    return tuple(axes)


def _kept(operation: Opaque, at: int, axis: Axis, before: int | None, after: int | None) -> Axis:
    """Axis ``at`` of the output, which stands for one of an input."""
    if at in operation.turned:
        axis = backwards(axis)
    elif at in operation.sorted:
        axis = picked(axis, operation.name)
    elif at in operation.rolled:
        axis = mixed(axis)
    return cut(axis if before == after else settled(axis), before, after)


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
