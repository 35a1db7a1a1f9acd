"""What to pick up of each attention that was found, so that the options can be met and no more is held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from attncore.dataflow import Node, Region, Value
from attncore.dataflow_plan import kept_in_full, wanted_of
from attncore.dataflow_sites import Site
from attncore.protocols import CaptureOptions

from ._jax_program import Step
from ._jax_run import Pick
from ._jax_shards import divided, manual_axes
from ._jax_trace import Traced

Meaning = Literal["calls", "batch", "queries", "branch", "shards"]


@dataclass(frozen=True)
class Around:
    """A loop, branch or map over shards around an attention, and what it is to the attention."""

    node: Node
    step: Step
    meaning: Meaning

    @property
    def axes(self) -> int:
        """How many axes it adds in front of what is picked up inside it."""
        if self.meaning == "branch":
            return 0
        return len(manual_axes(self.step)) if self.meaning == "shards" else 1


@dataclass
class SitePlan:
    """One attention, where it is, and the keys under which its arrays are found. ``in_full``: its weights are held."""

    number: int
    site: Site
    around: tuple[Around, ...]
    in_full: bool
    picks: dict[str, Pick] = field(default_factory=dict)
    depths: dict[str, tuple[Around, ...]] = field(default_factory=dict)


def plan_sites(traced: Traced, options: CaptureOptions) -> list[SitePlan]:
    """A plan for each site that can be put together from its parts, in the order of the program."""
    sites = enumerate(traced.findings.sites)
    return [_plan(traced, number, site, options) for number, site in sites if not is_scattered(traced, site)]


def is_scattered(traced: Traced, site: Site) -> bool:
    """Whether devices hold an attention in blocks of positions, as in ring attention, which make no whole."""
    return any(
        "positions" in divided(traced, node.handle, node, site)
        for node in site.around
        if isinstance(node.operation, Region) and node.operation.kind == "shards"
    )


def _plan(traced: Traced, number: int, site: Site, options: CaptureOptions) -> SitePlan:
    around = tuple(_around(traced, node, site) for node in site.around)
    in_full = kept_in_full(site, options) or any(one.meaning not in ("calls", "branch") for one in around)
    plan = SitePlan(number, site, around, in_full)
    for role, value, layout in wanted_of(site, in_full, options):
        _add(traced, plan, role, value, layout)
    return plan


def _around(traced: Traced, node: Node, site: Site) -> Around:
    operation = node.operation
    assert isinstance(operation, Region)
    if operation.kind in ("branch", "shards"):
        return Around(node, node.handle, "branch" if operation.kind == "branch" else "shards")
    return Around(node, node.handle, traced.ancestry.turns_of(node, site.query, site.key))


def _add(traced: Traced, plan: SitePlan, role: str, value: Value, layout: Any) -> None:
    """Pick a value up where it is made, which may be outside a loop that uses it."""
    value = traced.ancestry.outermost(value)
    nodes = traced.ancestry.around(value)
    depth = plan.around[: len(nodes)]
    last = frozenset(one.step for one in depth if one.meaning == "queries") if role in ("key", "value") else frozenset()
    key = f"{plan.number} {role}"
    plan.picks[role] = Pick(key, value, layout, last)
    plan.depths[role] = tuple(one for one in depth if one.step not in last)
