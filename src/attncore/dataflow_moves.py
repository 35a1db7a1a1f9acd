"""In which order positions stand along an axis: as in the array that the caller gave, or moved by the model.

Labels come with the caller's arrays, so they fit an axis only where its positions still stand as they were given. Each
array's axis begins with a tag that says so. What moves positions changes that tag, and where two arrays are combined
element by element both tags stay: positions that were moved and added to those in place count as in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from attncore.dataflow import Broadcast, Elementwise, Fill, Node, Reshape, Value
from attncore.dataflow_atoms import Atom, Axis

_MARK = "@"
_IN_PLACE, _BACKWARDS, _SOMEWHERE = "0", "backwards", "somewhere"
_MOVED = "by"
Moves = frozenset[str]
REORDERED = (
    "the model puts positions in another order before this layer, so labels of its input are not those of its axes"
)
"""What a layer says whose positions were moved."""


def place_tag(number: int, at: int) -> str:
    """The tag of axis ``at`` of the caller's array ``number``, in place."""
    return f"{_MARK}{number}:{at} {_IN_PLACE}"


def shifted(axis: Axis, by: int | None) -> Axis:
    """The axis where each position has moved on by so many places, or by an unknown number."""
    return _changed(axis, lambda state: _added(state, by)) if by != 0 else axis


def backwards(axis: Axis) -> Axis:
    """The axis with its last position first; turned twice it is as it was."""
    return _changed(axis, _turned)


def picked(axis: Axis, key: str) -> Axis:
    """The axis with its positions in an order that only ``key`` tells from others."""
    return _changed(axis, lambda _: f"{_MOVED} {key}")


def mixed(axis: Axis) -> Axis:
    """The axis with each position made of several, by a matrix that may as well exchange them."""
    return _changed(axis, lambda _: _SOMEWHERE)


def settled(axis: Axis) -> Axis:
    """The axis after what takes positions together that are next to each other, as a convolution does."""
    return _changed(axis, lambda state: _IN_PLACE if _is_number(state) else state)


def joined(parts: Sequence[Axis]) -> Axis:
    """Axes one after the other: parts of the same array stay in place only if all of them do."""
    states: dict[str, set[str]] = {}
    for part in parts:
        for source, own in _states(part).items():
            # A part that holds its place in one array and another in a second one is in place.
            states.setdefault(source, set()).update({_IN_PLACE} if _IN_PLACE in own else own)
    apart = {source for source, own in states.items() if len(own) > 1}
    return tuple(
        replace(atom, tags=frozenset(_unified(tag, apart) for tag in atom.tags)) for part in parts for atom in part
    )


def moves_of(axes: Iterable[Axis], length_of_source: Callable[[int, int], int | None]) -> Moves | None:
    """What tells how the positions of these axes were moved; None where they stand as in the caller's arrays.

    Positions that were only shifted, as those after a class token, or taken from somewhere inside, are moved where
    there are as many as the caller gave, so that labels would seem to fit.
    """
    found: set[str] = set()
    for atom in (atom for axis in axes for atom in axis):
        for source, own in _states((atom,)).items():
            number, at = (int(part) for part in source[len(_MARK) :].split(":"))
            is_short = atom.length is None or atom.length != length_of_source(number, at)
            if _IN_PLACE not in own and not (is_short and all(_is_place(state) for state in own)):
                found |= {f"{source} {state}" for state in own}
    return frozenset(found) or None


def _states(axis: Axis) -> dict[str, set[str]]:
    """For each array's axis that an axis counts, the ways in which its positions may stand."""
    found: dict[str, set[str]] = {}
    for tag in (tag for atom in axis for tag in atom.tags if tag.startswith(_MARK)):
        source, _, state = tag.partition(" ")
        found.setdefault(source, set()).add(state)
    return found


def _changed(axis: Axis, change: Callable[[str], str]) -> Axis:
    return tuple(replace(atom, tags=_changed_tags(atom, change)) for atom in axis)


def _changed_tags(atom: Atom, change: Callable[[str], str]) -> frozenset[str]:
    """The tags with each state changed; where positions are in place, what was added to them moves with them."""
    tags = {tag for tag in atom.tags if not tag.startswith(_MARK)}
    for source, states in _states((atom,)).items():
        tags |= {f"{source} {change(state)}" for state in ({_IN_PLACE} if _IN_PLACE in states else states)}
    return frozenset(tags)


def _unified(tag: str, apart: set[str]) -> str:
    source = tag.partition(" ")[0]
    return f"{source} {_SOMEWHERE}" if source in apart else tag


def _added(state: str, by: int | None) -> str:
    if not _is_number(state):
        return state
    return _SOMEWHERE if by is None else str(int(state) + by)


def _turned(state: str) -> str:
    return {_IN_PLACE: _BACKWARDS, _BACKWARDS: _IN_PLACE}.get(state, f"{_MOVED} {_BACKWARDS}")


def _is_number(state: str) -> bool:
    return state.lstrip("-").isdigit()


def _is_place(state: str) -> bool:
    """Whether positions were shifted or taken from somewhere, rather than put into another order."""
    return _is_number(state) or state == _SOMEWHERE


def rows_picked(axis: Axis, indices: Value) -> Axis:
    """The axis after rows were picked along it: those picked from front to back keep their order."""
    source = indices
    while source.node is not None and source.constant is None and _is_handed_on(source.node):
        source = source.node.inputs[-1]  # of a choice, what is taken of numbers that need no change
    numbers = None if source.constant is None else np.asarray(source.constant)
    if numbers is None:
        is_counted = source.node is not None and source.node.operation == Fill()
        return axis if is_counted else picked(axis, str(id(source)))
    rising = numbers.ndim > 0 and bool((np.diff(numbers, axis=-1) > 0).all())
    return axis if rising or numbers.size <= 1 else picked(axis, str(numbers.reshape(-1).tolist()))


def _is_handed_on(node: Node) -> bool:
    """Whether a node gives the last numbers that it is given, or the same counted from the end."""
    if isinstance(node.operation, Broadcast | Reshape):
        return True
    return isinstance(node.operation, Elementwise) and node.operation.function in ("cast", "identity", "select")
