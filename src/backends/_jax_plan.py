"""What to pick up of each attention that was found, so that the options can be met and no more is held."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import jax

from attncore.dataflow import Node, Region, Value
from attncore.dataflow_sites import Kind, Site
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
    plan = SitePlan(number, site, around, _in_full(site, around, options))
    wanted: list[tuple[Kind, Value | None]] = []
    if plan.in_full:
        wanted.append(("weights", site.weights))
    if options.reduce is None or not plan.in_full:
        wanted += [("query", site.query), ("key", site.key)]
    if options.values and options.reduce is None:
        wanted.append(("value", site.value))
    for kind, one in wanted:
        if one is not None:
            arrange: Callable[[Any], Any] = site.layouts[kind].apply
            _add(traced, plan, kind, one, arrange if kind != "weights" or site.normalised else _divided(arrange))
    if not plan.in_full:
        for role, value, layout in scoring_values(site):
            _add(traced, plan, role, value, layout)
    return plan


def _divided(layout: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The layout of weights whose rows the model divides by their sum only after the product with the values."""

    def apply(array: Any) -> Any:
        placed = layout(array)
        total = placed.sum(axis=-1, keepdims=True)
        return placed / jax.numpy.where(total == 0, 1, total)

    return apply


def _around(traced: Traced, node: Node, site: Site) -> Around:
    operation = node.operation
    assert isinstance(operation, Region)
    if operation.kind in ("branch", "shards"):
        return Around(node, node.handle, "branch" if operation.kind == "branch" else "shards")
    return Around(node, node.handle, traced.ancestry.turns_of(node, site.query, site.key))


def _in_full(site: Site, around: Sequence[Around], options: CaptureOptions) -> bool:
    """Whether the weights themselves are picked up, rather than what they can be computed from."""
    if options.grad or not can_be_computed(site) or any(one.meaning not in ("calls", "branch") for one in around):
        return True
    if options.keep != "auto" or options.reduce is not None:
        return options.keep == "weights" or options.reduce is not None
    assert site.query is not None and site.key is not None
    return _size(site.weights) <= _size(site.query) + _size(site.key)


def _size(value: Value) -> int:
    return math.prod(length or 1 for length in value.shape)


def _add(traced: Traced, plan: SitePlan, role: str, value: Value, layout: Any) -> None:
    """Pick a value up where it is made, which may be outside a loop that uses it."""
    value = traced.ancestry.outermost(value)
    nodes = traced.ancestry.around(value)
    depth = plan.around[: len(nodes)]
    last = frozenset(one.step for one in depth if one.meaning == "queries") if role in ("key", "value") else frozenset()
    key = f"{plan.number} {role}"
    plan.picks[role] = Pick(key, value, layout, last)
    plan.depths[role] = tuple(one for one in depth if one.step not in last)


def can_be_computed(site: Site) -> bool:
    """Whether the weights follow from query and key by a formula that is understood."""
    return site.scoring is not None and site.query is not None and site.key is not None


def scoring_values(site: Site) -> Iterator[tuple[str, Value, Callable[[Any], Any]]]:
    """Every array that the weights depend on besides query and key: its role, its value and its layout."""
    steps = site.scoring
    if steps is None:
        return
    for number, mask in enumerate(steps.masks):
        yield f"mask {number}", mask.value, mask.layout.apply
    for number, bias in enumerate(steps.biases):
        yield f"bias {number}", bias.value, bias.layout.apply
    if steps.sinks is not None:
        yield "sinks", steps.sinks.value, steps.sinks.layout.apply
