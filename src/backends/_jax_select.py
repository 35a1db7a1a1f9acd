"""Attentions by name, place and call, and which of them the options ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from attncore.dataflow_names import name_of
from attncore.protocols import CaptureOptions
from attncore.selection import may_match, parts_of

from ._jax_plan import SitePlan
from ._jax_recorded import Recorded
from ._jax_run import Runner
from ._jax_trace import Traced
from ._jax_unroll import Instance, Unrolled


@dataclass
class Seen:
    """One attention with what can be said of it before its arrays are looked at: what a layer selector may ask for."""

    name: str
    index: int
    call: int
    instance: Instance
    unrolled: Unrolled
    number: int


def seen_of(unrolled: Sequence[Unrolled]) -> list[Seen]:
    """Every attention in the order in which they ran, with names and numbers."""
    seen: list[Seen] = []
    times: dict[str, int] = defaultdict(int)
    for number, one in enumerate(unrolled):
        for instance in one.instances:
            name = _name(one, instance)
            seen.append(Seen(name, len(seen), times[name], instance, one, number))
            times[name] += 1
    return seen


def _name(one: Unrolled, instance: Instance) -> str:
    turns = {around.node: place for around, place in instance.index.items()}
    return name_of(instance.plan.site, one.recorded.traced.ancestry, one.recorded.label, turns)


def leave_out_unwanted(made: Traced, plans: Sequence[SitePlan], label: str, options: CaptureOptions) -> None:
    """Pick nothing up of sites that ``layers=`` does not mean.

    Names and places are known before the run, unless it decides how often a loop turns or which branch is taken.
    """
    undecided = any(
        one.meaning == "branch" or one.step.equation.primitive.name == "while" for plan in plans for one in plan.around
    )
    if options.layers is None or undecided:
        return
    parts = parts_of(options.layers)
    planned = Recorded(made, list(plans), {}, Runner(made.program, ()), [], label)
    wanted = {one.instance.plan.number for one in seen_of([Unrolled(planned)]) if may_match(parts, one)}
    for plan in plans:
        if plan.number not in wanted:
            plan.picks.clear()
