"""Where a sequence begins in a tensor that holds a part of it, or it and something before it.

Positions that are cut off on one side and filled up on the other, as for a decoder that reads one token later, or parts
joined the other way round, are as many as before, and others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ._torch_dims import is_feature
from ._torch_moves import Move, Start
from ._torch_tags import Tag

# Of keys beside a cache, in more dimensions, the growth tells.
_MOST_DIMENSIONS = 3


def started(tag: Tag, start: Start, out: Tensor) -> Tag:
    """The tag with this start; positions that are as many as before and begin elsewhere have moved."""
    if int(out.shape[start.axis]) != start.length:
        tag.start = start
    elif start.at != 0:
        # Shifted back, they are those that they were, but for the ones that were lost.
        back: Move = ("shift", (start.axis,), None if start.at is None else -start.at)
        undone = start.at is not None and tag.moves[-1:] == (back,)
        move: Move = ("shift", (start.axis,), start.at)
        tag.moves = tag.moves[:-1] if undone else (*tag.moves, move)
    return tag


def start_of(tag: Tag, axis: int, length: int) -> Start:
    """The start along an axis of a tensor, which has this length there."""
    return tag.start if tag.start is not None and tag.start.axis == axis else Start(axis, 0, length)


def follows_starts(tag: Tag, out: Tensor, axis: int) -> bool:
    """Whether these are hidden states, and positions along this axis."""
    if tag.role is not None or tag.dims is None or not 1 < out.dim() <= _MOST_DIMENSIONS:
        return False
    return axis < len(tag.dims) and not is_feature(tag.dims[axis])


def after_slice(tag: Tag, made: Tag, out: Tensor, axis: int, part: slice, length: int) -> Tag:
    """What a slice made of a tag: ``part`` of ``length`` positions along an axis that stays in its place."""
    if not follows_starts(made, out, axis):
        return made
    before, (first, _, step) = start_of(tag, axis, length), part.indices(length)
    at = None if before.at is None or step != 1 else before.at - first
    return started(made, Start(axis, at, before.length), out)


def after_padding(tag: Tag, made: Tag, out: Tensor, given: Any, shape: Sequence[int]) -> Tag:
    """What padding made of a tag, by the numbers that `torch.nn.functional.pad` is given."""
    for place in range(0, len(given), 2):
        axis = out.dim() - 1 - place // 2
        if any(given[place : place + 2]) and follows_starts(made, out, axis):
            before = start_of(tag, axis, int(shape[axis]))
            at = None if before.at is None else before.at + int(given[place])
            made = started(made, Start(axis, at, before.length), out)
    return made


def after_joining(made: Tag, parts: Sequence[tuple[Tensor, Tag | None]], out: Tensor, axis: int) -> Tag:
    """What a concatenation along an axis made, of parts of which some may be of one sequence."""
    if not follows_starts(made, out, axis):
        return made
    place = 0
    cut: list[Start] = []
    whole: list[Start] = []
    for tensor, tag in parts:
        size = int(tensor.shape[axis])
        if tag is not None and not tag.parameter:
            start = start_of(tag, axis, size)
            found = Start(axis, None if start.at is None else place + start.at, start.length)
            (whole if tag.start is None else cut).append(found)
        place += size
    starts = set(cut or whole)
    if len({start.length for start in starts}) > 1:
        starts = {start for start in starts if start.length == out.shape[axis]}
    if len({start.length for start in starts}) != 1:  # of several sequences
        return made
    start = starts.pop() if len(starts) == 1 else Start(axis, None, starts.pop().length)
    return started(made, start, out) if cut or start.at is not None else made
