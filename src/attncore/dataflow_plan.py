"""What to pick up of an attention, so that the options can be met and no more is held."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from attncore.dataflow import Value
from attncore.dataflow_sites import Kind, Layout, Site
from attncore.protocols import CaptureOptions

Wanted = tuple[str, Value, Callable[[Any], Any]]
"""The role of an array, its value, and how it becomes (batch, heads, length, last)."""


def kept_in_full(site: Site, options: CaptureOptions) -> bool:
    """Whether the weights themselves are picked up, rather than what they can be computed from."""
    if options.grad or not can_be_computed(site):
        return True
    if options.keep != "auto" or options.reduce is not None:
        return options.keep == "weights" or options.reduce is not None
    assert site.query is not None and site.key is not None
    return _size(site.weights) <= _size(site.query) + _size(site.key)


def wanted_of(site: Site, in_full: bool, options: CaptureOptions) -> Iterator[Wanted]:
    """Every array that the options ask for, and what the weights are computed from where they are not held."""
    kinds: list[tuple[Kind, Value | None]] = []
    if in_full:
        kinds.append(("weights", site.weights))
    if options.reduce is None or not in_full:
        kinds += [("query", site.query), ("key", site.key)]
    if options.values and options.reduce is None:
        kinds.append(("value", site.value))
    for kind, value in kinds:
        if value is not None:
            arrange = site.layouts[kind].apply
            yield kind, value, arrange if kind != "weights" or site.normalised else divided_by_sum(arrange)
    if not in_full:
        yield from scoring_values(site)


def can_be_computed(site: Site) -> bool:
    """Whether the weights follow from query and key by a formula that is understood."""
    if site.scoring is None or site.query is None or site.key is None:
        return False
    # A query that several heads share has fewer than there are.
    return _heads(site.layouts["query"]) == _heads(site.layouts["weights"])


def _heads(layout: Layout) -> int:
    """How many of an array's axes, or parts of them, count heads."""
    return sum(part.role == "heads" for axis in layout.axes for part in axis)


def scoring_values(site: Site) -> Iterator[Wanted]:
    """Every array that the weights depend on besides query and key."""
    steps = site.scoring
    if steps is None:
        return
    for number, mask in enumerate(steps.masks):
        yield f"mask {number}", mask.value, mask.layout.apply
    for number, bias in enumerate(steps.biases):
        yield f"bias {number}", bias.value, bias.layout.apply
    if steps.sinks is not None:
        yield "sinks", steps.sinks.value, steps.sinks.layout.apply


def divided_by_sum(layout: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The layout of weights whose rows the model divides by their sum only after the product with the values."""

    def apply(array: Any) -> Any:
        placed = layout(array)
        total = placed.sum(axis=-1, keepdims=True)
        return placed / (total + (total == 0))

    return apply


def _size(value: Value) -> int:
    return math.prod(length or 1 for length in value.shape)
