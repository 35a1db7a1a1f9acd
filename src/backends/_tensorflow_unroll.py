"""From what loops gave, turn by turn, to the attentions that happened, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from attncore.arrays import Array
from attncore.dataflow import Node, Region
from attncore.dataflow_happened import Happened
from attncore.dataflow_turns import Turns

from ._tensorflow_capture import Recorded, SitePlan
from ._tensorflow_pick import Placed

_LENGTH = 2


def happened_in(recorded: Recorded) -> list[Happened]:
    """Every attention of a call, in the order in which they ran."""
    graph = recorded.traced.program.graph
    places = {node: place for place, (node, _) in enumerate(graph.walk())}
    found = [
        (order, one) for plan in recorded.plans for order, one in _of_plan(recorded, plan, lambda node: places[node])
    ]
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def _of_plan(
    recorded: Recorded, plan: SitePlan, place_of: Callable[[Node], int]
) -> Iterator[tuple[tuple[int, ...], Happened]]:
    """The attentions of one site: one for each turn of the loops whose turns are calls of their own."""
    loops = [node for node in plan.site.around if _is_loop(node)]
    meanings = [recorded.traced.ancestry.turns_of(node, plan.site.query, plan.site.key) for node in loops]
    for turns in _calls(recorded, plan, meanings):
        numbers = dict(zip(loops, turns, strict=True))
        order: tuple[int, ...] = ()
        for node in plan.site.around:
            turn = numbers.get(node)
            order = (*order, place_of(node), *(() if node not in numbers else (-1 if turn is None else turn,)))
        happened = Happened(
            plan.site,
            plan.in_full,
            {node: slice(None) if turn is None else turn for node, turn in numbers.items()},
            plan.wanted.keys(),
            partial(_read, recorded, plan, meanings, turns),
            partial(_gradient, recorded, plan),
        )
        yield (*order, place_of(plan.site.product)), happened


def _is_loop(node: Node) -> bool:
    return isinstance(node.operation, Region) and node.operation.kind == "while"


def _calls(recorded: Recorded, plan: SitePlan, meanings: Sequence[Turns]) -> list[tuple[int | None, ...]]:
    """The turns of all loops in which this attention ran, None for loops that it took all turns of."""
    if not plan.site.around:
        return [()]
    ran = _arrays(recorded, plan, "weights")
    own = [
        tuple(turn if meaning == "calls" else None for turn, meaning in zip(place, meanings, strict=True))
        for place, _ in ran
    ]
    return list(dict.fromkeys(own))


def _arrays(recorded: Recorded, plan: SitePlan, role: str) -> Placed:
    return recorded.arrays[plan.wanted[role][1].handle]


def _read(
    recorded: Recorded, plan: SitePlan, meanings: Sequence[Turns], turns: Sequence[int | None], role: str
) -> Array | None:
    """The array of a role as (batch, heads, length, last), the turns of loops that are no calls put together."""
    if role not in plan.wanted or not recorded.arrays:
        return None
    _, value, layout = plan.wanted[role]
    shape = value.shape
    arrays = _arrays(recorded, plan, role)
    own = [
        (place, layout(_as_read(array, shape)))
        for place, array in arrays
        if all(asked in (None, turn) for asked, turn in zip(turns, place, strict=False))
    ]
    depth = len(own[0][0])
    return _joined(own, meanings[:depth], role) if own else None


def _as_read(array: Array, shape: Sequence[int | None]) -> Array:
    """A tensor with the axes that it was read with, where axes of length 1 came or went."""
    if array.ndim == len(shape):
        return array
    return array.reshape([-1 if length is None else length for length in shape])


def _joined(own: Placed, meanings: Sequence[Turns], role: str) -> Array:
    """The arrays of several turns as one: the innermost loop first."""
    for level in reversed(range(len(meanings))):
        groups: dict[tuple[int, ...], list[Array]] = {}
        for place, array in own:
            groups.setdefault(place[:level], []).append(array)
        own = [(place, _together(arrays, meanings[level], role)) for place, arrays in groups.items()]
    return own[0][1]


def _together(arrays: list[Array], meaning: Turns, role: str) -> Array:
    if meaning == "calls" or len(arrays) == 1:
        return arrays[0]
    if meaning == "batch":
        return np.concatenate(arrays, axis=0)
    if role in ("key", "value"):
        return arrays[-1]
    if role == "weights":
        keys = max(array.shape[3] for array in arrays)
        arrays = [np.pad(array, ((0, 0), (0, 0), (0, 0), (0, keys - array.shape[3]))) for array in arrays]
    return np.concatenate(arrays, axis=_LENGTH)


def _gradient(recorded: Recorded, plan: SitePlan) -> Any:
    """The gradient of the loss by the weights, (batch, heads, query, key)."""
    if "weights" not in plan.wanted or not plan.site.normalised:
        return None
    _, value, layout = plan.wanted["weights"]
    found = recorded.gradients.get(value.handle)
    return None if found is None else layout(_as_read(found.numpy(), value.shape))
