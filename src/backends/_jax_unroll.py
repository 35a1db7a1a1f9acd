"""From what a loop gave, all turns together, to the attentions that happened: one for each turn, in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._jax_arrays import at_hand, gathered
from ._jax_plan import Around, SitePlan
from ._jax_recorded import Recorded
from ._jax_shards import divided

# Where the axes of (batch, heads, length, last) are.
_HEADS, _LENGTH = 1, 2


@dataclass(frozen=True)
class Instance:
    """One attention that happened. ``order`` sorts by time; ``index`` picks its turn of each loop around it."""

    plan: SitePlan
    order: tuple[int, ...]
    index: dict[Around, Any]


class Unrolled:
    """The attentions of one call, and the arrays of each."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.uncertain: list[tuple[SitePlan, str]] = []
        self._places = {node: place for place, (node, _) in enumerate(recorded.traced.program.body.graph.walk())}
        found = [instance for plan in recorded.plans for instance in self._instances(plan)]
        self.instances = sorted(found, key=lambda instance: instance.order)

    def _instances(self, plan: SitePlan) -> Iterator[Instance]:
        yield from self._turns(plan, plan.around, (), {})

    def _turns(
        self, plan: SitePlan, left: Sequence[Around], order: tuple[int, ...], index: dict[Around, Any]
    ) -> Iterator[Instance]:
        """Every combination of turns of the loops that are left, from the outside in."""
        if not left:
            yield Instance(plan, (*order, self._places[plan.site.product]), index)
            return
        first, rest = left[0], left[1:]
        at = (*order, self._places[first.node])
        if first.meaning == "branch":
            if self._ran(plan, first, index):
                yield from self._turns(plan, rest, at, index)
        elif first.meaning == "shards":
            yield from self._turns(plan, rest, at, {**index, first: slice(None)})
        else:
            count = self._count(first, index)
            reverse = bool(first.step.equation.params.get("reverse", False))
            if first.meaning != "calls":
                yield from self._turns(plan, rest, (*at, 0), {**index, first: slice(0, count)})
                return
            for turn in range(count):
                place = count - 1 - turn if reverse else turn
                yield from self._turns(plan, rest, (*at, turn), {**index, first: place})

    def _count(self, loop: Around, index: dict[Around, Any]) -> int:
        """How many turns a loop had, within these turns of the loops around it."""
        length = loop.step.equation.params.get("length")
        if length is not None:
            return int(length)
        turns = np.asarray(self.recorded.found[self.recorded.runner.turns_key(loop.step)])
        return int(np.max(turns[tuple(index.values())], initial=0))

    def _ran(self, plan: SitePlan, branch: Around, index: dict[Around, Any]) -> bool:
        """Whether it was this attention's branch that ran."""
        numbers = np.asarray(self.recorded.found[self.recorded.runner.branch_key(branch.step)])
        taken = np.unique(numbers[tuple(index.values())])
        own = [number for number, body in enumerate(branch.step.bodies) if _is_inside(body, plan)]
        ran = bool(np.isin(taken, own).any())
        if ran and len(taken) > 1:
            self.uncertain.append((plan, "another branch ran in some turns of the loop around it; those rows are 0"))
        return ran

    def array(self, instance: Instance, role: str) -> Any:
        """The array of one attention, (batch, heads, length, last); None where it was not picked up."""
        pick = instance.plan.picks.get(role)
        if pick is None:
            return None
        found = self.recorded.found
        if instance.plan.depths[role]:
            found[pick.key] = gathered(found[pick.key])  # once for all turns
        return self._turn(instance, role, found[pick.key])

    def gradient(self, instance: Instance) -> Any:
        """The gradient of the loss by the weights, (batch, heads, query, key); None without ``grad=True``."""
        pick = instance.plan.picks.get("weights")
        found = None if pick is None else self.recorded.found.get(f"{pick.key} gradient")
        return None if found is None else self._turn(instance, "weights", gathered(found))

    def _turn(self, instance: Instance, role: str, found: Any) -> Any:
        """One attention's part of what all turns of the loops around it gave."""
        depth = instance.plan.depths[role]
        places = [_axes_of(one, instance.index[one]) for one in depth if one.meaning != "branch"]
        index = tuple(place for each in places for place in each)
        array = at_hand(found)
        if index and any(place != slice(None) for place in index):
            array = array[index]
        for one in reversed([one for one in depth if one.meaning not in ("branch", "calls")]):
            array = self._merged(array, one, instance.plan, role)
        return array

    def _merged(self, array: Any, one: Around, plan: SitePlan, role: str) -> Any:
        """The array without the axis in front of the last four that a loop or a map over shards put there."""
        if one.meaning == "shards":
            for meaning in reversed(divided(self.recorded.traced, one.step, one.node, plan.site)):
                array = _joined(array, meaning)
            return array
        queries = one.meaning == "queries" and role not in ("key", "value")
        return _joined(array, "queries" if queries else "batch")


def _joined(array: Any, meaning: str) -> Any:
    """(…, n, batch, heads, length, last) with n as a part of one of the four."""
    if meaning == "same":
        return array[..., 0, :, :, :, :]
    into = {"batch": 0, "heads": _HEADS, "queries": _LENGTH}[meaning]
    lead = array.ndim - 5
    moved = array if into == 0 else _moved(array, lead, lead + into)
    shape = list(moved.shape)
    shape[lead + into : lead + into + 2] = [shape[lead + into] * shape[lead + into + 1]]
    return moved.reshape(shape)


def _moved(array: Any, source: int, to: int) -> Any:
    order = [axis for axis in range(array.ndim) if axis != source]
    order.insert(to, source)
    return array.transpose(order)


def _axes_of(one: Around, place: Any) -> tuple[Any, ...]:
    return (place,) * one.axes


def _is_inside(body: Any, plan: SitePlan) -> bool:
    """Whether an attention is in this body, at any depth."""
    return any(node is plan.site.product for node, _ in body.graph.walk())
