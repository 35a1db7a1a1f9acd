"""What an axis of a value is made of: atoms in row-major order, and what becomes of them in a reshape or a merge.

Batch and heads folded into one axis are two atoms, and a reshape that unfolds them gives each its own axis again. An
axis of length 1 has no atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

DATA, PARAMETER, STATE = "data", "parameter", "state"
# An axis that a product with a parameter gave to data: heads or channels, where a learned query's axis is positions.
FEATURE = "feature"
# An axis that an operation made which is not followed: what it counts is guessed by the field's conventions.
GUESSED = "guessed"


@dataclass(frozen=True, slots=True)
class Atom:
    """A factor of an axis; ``tags`` say where it comes from, ``place`` where it is in the product followed.

    ``part`` says which part it is of an axis that was split, in row-major order: parts of one axis sort by it.
    """

    length: int | None
    tags: frozenset[str] = frozenset()
    place: tuple[int, ...] | None = None
    part: tuple[int, ...] = ()


Axis = tuple[Atom, ...]
Axes = tuple[Axis, ...]


def single(length: int | None, tags: frozenset[str] = frozenset(), place: tuple[int, ...] | None = None) -> Axis:
    """An axis of one atom."""
    return () if length == 1 else (Atom(length, tags, place),)


def tags_of(axis: Axis) -> frozenset[str]:
    """Where any part of an axis comes from."""
    return frozenset().union(*(atom.tags for atom in axis))


def merged(one: Axis, other: Axis) -> Axis:
    """The axis of two that are combined element by element."""
    if not one or not other:
        return one or other
    if len(one) == len(other) and all(_alike(a, b) for a, b in zip(one, other, strict=True)):
        return tuple(_joined(a, b) for a, b in zip(one, other, strict=True))
    refined = _refined(one, other)
    return refined if refined is not None else max(one, other, key=lambda axis: (_is_placed(axis), len(axis)))


def _alike(one: Atom, other: Atom) -> bool:
    return one.length == other.length or None in (one.length, other.length)


def _joined(one: Atom, other: Atom) -> Atom:
    length = one.length if one.length is not None else other.length
    return Atom(
        length, one.tags | other.tags, one.place if one.place is not None else other.place, one.part or other.part
    )


def _is_placed(axis: Axis) -> bool:
    return any(atom.place is not None for atom in axis)


def _refined(one: Axis, other: Axis) -> Axis | None:
    """Both axes cut at the borders of either, which must fit into one another."""
    lengths = [[atom.length or 0 for atom in axis] for axis in (one, other)]
    if 0 in lengths[0] + lengths[1] or prod(lengths[0]) != prod(lengths[1]):
        return None
    borders = sorted({prod(known[at:]) for known in lengths for at in range(len(known) + 1)}, reverse=True)
    if any(large % small for large, small in pairwise(borders)):
        return None
    shape = [large // small for large, small in pairwise(borders)]
    first, second = reshaped((one,), shape), reshaped((other,), shape)
    return tuple(atom for a, b in zip(first, second, strict=True) for atom in merged(a, b))


def reshaped(axes: Sequence[Axis], shape: Sequence[int | None]) -> Axes:
    """The axes after a reshape in row-major order; all that is known goes to every axis where they do not fit."""
    waiting = [atom for axis in axes for atom in axis if atom.length != 1]
    result: list[Axis] = [()] * len(shape)
    ones = [at for at, length in enumerate(shape) if length == 1]
    units = [atom for axis in axes for atom in axis if atom.length == 1]
    # Which of several axes of length 1 became which cannot be told: the last ones stay the last.
    for at, atom in zip(reversed(ones), reversed(units), strict=False):
        result[at] = (atom,)
    places = [at for at, length in enumerate(shape) if length != 1]
    for at in reversed(places):
        if at == places[0]:
            result[at], waiting = tuple(waiting), []
            known = [atom.length for atom in result[at]]
            if shape[at] is not None and None not in known and prod(length or 0 for length in known) != shape[at]:
                return _blurred(axes, shape)
            continue
        taken = _taken(waiting, shape[at])
        if taken is None:
            return _blurred(axes, shape)
        result[at] = taken
    return tuple(result) if not waiting else _blurred(axes, shape)


def _taken(waiting: list[Atom], length: int | None) -> Axis | None:
    """The last atoms of ``waiting``, taken out of it, whose lengths make ``length``; None where they do not fit."""
    if length is None:
        return (waiting.pop(),) if waiting and waiting[-1].length is None else None
    taken: list[Atom] = []
    while length > 1:
        if not waiting or not waiting[-1].length:
            return None
        atom = waiting.pop()
        assert atom.length
        if length % atom.length == 0:
            taken.insert(0, atom)
            length //= atom.length
        elif atom.length % length == 0:
            waiting.append(_part(atom, atom.length // length, 0))
            taken.insert(0, _part(atom, length, 1))
            length = 1
        else:
            return None
    return tuple(taken) if length == 1 else None


def _part(atom: Atom, length: int, number: int) -> Atom:
    place = None if atom.place is None else (*atom.place, number)
    return Atom(length, atom.tags, place, (*atom.part, number))


def _blurred(axes: Sequence[Axis], shape: Sequence[int | None]) -> Axes:
    tags = frozenset().union(*(tags_of(axis) for axis in axes))
    return tuple(single(length, tags) for length in shape)


def cut(axis: Axis, before: int | None, after: int | None) -> Axis:
    """An axis of which a part is left, or which has become longer."""
    if before == after and before is not None:
        return axis
    place = next((atom.place for atom in axis if atom.place is not None), None)
    return tuple(replace(atom, part=axis[0].part) if axis else atom for atom in single(after, tags_of(axis), place))


def length_of(axis: Axis) -> int | None:
    """How long an axis is; None where a part of it is not known."""
    lengths = [atom.length for atom in axis]
    return None if None in lengths else prod(length or 0 for length in lengths)


def placed(axes: Axes) -> Axes:
    """The same axes, every atom with its place: the number of its axis and its number in it.

    Axes of length 1 get an atom as well, so that the one key of a single token is seen to be summed over.
    """
    return tuple(
        tuple(replace(atom, place=(at, number)) for number, atom in enumerate(axis or (Atom(1),)))
        for at, axis in enumerate(axes)
    )
