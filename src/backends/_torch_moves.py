"""Positions that a model puts in another order than it was given, before its layers: what was done to them.

The moves of a tensor are those not undone yet. What is turned over twice, rolled forth and back, or indexed by the
inverse of an index is in order again; anything else leaves positions that the input's labels do not name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from . import _torch_functions as fn
from ._torch_dims import Swap, Swaps, is_feature

if TYPE_CHECKING:
    from ._torch_tags import Tag

# A move is the name of what was done, the axes, and how far they were rolled, what they were indexed with, or what of
# them was swapped.
Move = tuple[str, tuple[int, ...], Any]
Moves = tuple[Move, ...]


class Start(NamedTuple):
    """Along ``axis``, the first of ``length`` positions is at ``at``; None where they are not one after the other."""

    axis: int
    at: int | None
    length: int


@dataclass(eq=False)
class Index:
    """The places, along one dimension of ``places``, that a tensor's positions were taken from."""

    places: Tensor
    along: int

    @classmethod
    def of(cls, places: Tensor, axis: int) -> Index:
        """From an index along an axis; what is repeated for each feature or batch item is counted once."""
        along = axis if axis < places.dim() else 0
        for dim in reversed(range(places.dim())):
            if dim != along and (places.shape[dim] == 1 or places.stride(dim) == 0):
                places, along = places.select(dim, 0), along - (dim < along)
        return cls(places.long(), along)

    def __eq__(self, other: object) -> bool:
        """Whether both are made of the same memory, which needs no look at the numbers."""
        if not isinstance(other, Index) or self.places.data_ptr() != other.places.data_ptr():
            return False
        return self.places.shape == other.places.shape and self.places.stride() == other.places.stride()

    def inverse(self) -> Index:
        """The index that undoes this one."""
        return Index(self.places.argsort(self.along), self.along)

    def undoes(self, other: Index) -> bool:
        """Whether indexing with ``other``, then with this, gives every position back its place."""
        first, second = other.places, self.places
        if first.shape != second.shape or first.device != second.device or self.along != other.along:
            return False
        return Index(first.gather(self.along, second), self.along).is_in_order()

    def is_in_order(self) -> bool:
        """Whether every position stays where it is."""
        size = [1] * self.places.dim()
        size[self.along] = -1
        in_order = torch.arange(self.places.shape[self.along], device=self.places.device).view(size)
        return bool((self.places == in_order).all())


def common_moves(tags: Sequence[Tag]) -> Moves:
    """The moves of a sum: of the same hidden states in two orders those as they were count, else those moved."""
    found: Moves = ()
    for tag in tags:
        if not tag.moves and any(other.moves and other.stream == tag.stream is not None for other in tags):
            return ()
        found += tuple(move for move in tag.moves if move not in found)
    return found


def moves_after(tag: Tag | None, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> Moves:
    """The moves of the result of a flip, a roll or an indexing with tensors."""
    if function in fn.REORDER:
        move = _turned(function, args, kwargs, out)
    elif function in fn.GETITEM:
        move = _indexed(args[1], args[0], out)
    else:
        move = _gathered(function, args, kwargs, out)
    return _with_move(tag, move, out)


def moves_of_put(tag: Tag | None, index: Any, source: Tensor, target: Tensor) -> Moves:
    """The moves of a tensor that another was written into at an index: back where it was taken from, or elsewhere."""
    move = _indexed(index, target, source)
    if move is not None:
        name, axes, taken = move
        move = name, axes, taken.inverse()
    return _with_move(tag, move, target)


def moves_of_swaps(moves: Moves, before: Swaps, after: Swaps) -> Moves:
    """The moves of a tensor in which parts of an axis are joined in another order, or were and are no longer."""
    for swap in before:
        move: Move = ("swap", (), swap)
        if swap not in after and move in moves:
            moves = moves[:-1] if moves[-1] == move else (*moves, ("swapped back", (), swap))
    for swap in after:
        if swap not in before:
            undone = moves[-1:] and moves[-1][0] == "swap" and _undoes_swap(swap, moves[-1][2])
            moves = moves[:-1] if undone else (*moves, ("swap", (), swap))
    return moves


def _undoes_swap(swap: Swap, before: Swap) -> bool:
    first, second = _places(before), _places(swap)
    if len(first) != len(second) or max(second) >= len(first):
        return False
    return all(first[place] == number for number, place in enumerate(second))


def _places(swap: Swap) -> list[int]:
    """Where each position was before."""
    places = [0]
    for size, stride in swap:
        places = [place + step * stride for place in places for step in range(size)]
    return places


def _with_move(tag: Tag | None, move: Move | None, out: Tensor) -> Moves:
    known: Moves = () if tag is None else tag.moves
    if move is None:
        return known
    name, axes, how = move
    axes = tuple(axis for axis in axes if out.shape[axis] > 1 and not _holds_features(tag, out, axis))
    if not axes or (len(axes) == 1 and isinstance(how, Index) and how.is_in_order()):
        return known
    if known and known[-1][:2] == (name, axes) and _undoes(how, known[-1][2], axes):
        return known[:-1]
    return (*known, (name, axes, how))


def _undoes(how: Any, before: Any, axes: tuple[int, ...]) -> bool:
    if isinstance(how, Index):
        return len(axes) == 1 and how.undoes(before)
    return how is None or before == tuple(-shift for shift in how)  # a flip undoes itself


def _holds_features(tag: Tag | None, out: Tensor, axis: int) -> bool:
    """Whether an axis holds features; of what nothing is known, the last, or what is shorter in a picture."""
    if tag is not None and tag.dims is not None and len(tag.dims) == out.dim():
        return is_feature(tag.dims[axis])
    if not out.is_floating_point() or out.dim() < 3:
        return False
    if out.dim() == 3:
        return axis == 2
    return axis == (1 if out.shape[1] <= out.shape[-1] else out.dim() - 1)


def _turned(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> Move | None:
    name = fn.name_of(function)
    if name == "flip":
        return (name, _numbers(kwargs.get("dims", args[1:]), out.dim()), None)
    shifts = kwargs.get("shifts", args[1] if len(args) > 1 else ())
    shifts = tuple(shifts) if isinstance(shifts, tuple | list) else (shifts,)
    dims = kwargs.get("dims", args[2] if len(args) > 2 else ())
    axes = _numbers(dims, out.dim()) or tuple(range(out.dim()))  # without dims it moves everything
    return (name, axes, shifts) if any(shifts) else None


def _numbers(given: Any, rank: int) -> tuple[int, ...]:
    """Axes, given as one number, as several, or as a list of them."""
    while isinstance(given, tuple | list) and len(given) == 1 and isinstance(given[0], tuple | list):
        given = given[0]
    return tuple(int(axis) % rank for axis in (given if isinstance(given, tuple | list) else (given,)))


def _indexed(index: Any, source: Any, out: Tensor) -> Move | None:
    """Of an index with tensors or lists in it, the axes along which positions move; None where some are left out."""
    parts = index if isinstance(index, tuple) else (index,)
    if out.shape != source.shape:
        return None
    place = next((number for number, part in enumerate(parts) if part is Ellipsis), None)
    if place is not None:
        named = sum(part is not None for part in parts) - 1
        parts = (*parts[:place], *[slice(None)] * (out.dim() - named), *parts[place + 1 :])
    axes = tuple(axis for axis, part in enumerate(parts) if isinstance(part, Tensor | list))
    return None if not axes else _by_index(axes, torch.as_tensor(parts[axes[-1]]))


def _gathered(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> Move | None:
    """The same of `index_select`, `gather` and `take_along_dim`."""
    second, third = ("indices", "dim") if fn.name_of(function) == "take_along_dim" else ("dim", "index")
    given = dict(zip(("input", second, third), args, strict=False)) | kwargs
    source, axis, places = given.get("input"), given.get("dim"), given.get("index", given.get("indices"))
    if not isinstance(source, Tensor) or not isinstance(places, Tensor) or not isinstance(axis, int):
        return None
    return _by_index((axis % out.dim(),), places) if out.shape == source.shape else None


def _by_index(axes: tuple[int, ...], places: Tensor) -> Move | None:
    """The move of an index; one of true and false that leaves nothing out moves nothing."""
    if places.dtype == torch.bool or places.is_meta or places.dim() == 0:
        return None
    return ("index", axes, Index.of(places, axes[-1]))
