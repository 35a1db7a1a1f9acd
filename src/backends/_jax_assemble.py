"""From what calls showed to an `AttentionTrace`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from attncore.attention import AttentionTrace
from attncore.dataflow_generation import merge_steps
from attncore.dataflow_names import stack_of
from attncore.dataflow_tokens import Axes, data_of_steps
from attncore.errors import NoAttentionError
from attncore.layer import AttentionLayer, LayerKind
from attncore.protocols import CaptureOptions
from attncore.provenance import Provenance
from attncore.selection import choose, parts_of
from attncore.tokens import label_axes

from ._jax_coverage import coverage_of
from ._jax_layers import Identity, kind_of, layer_of, shape_of
from ._jax_recorded import Recorded
from ._jax_select import Seen, seen_of
from ._jax_unroll import Unrolled

MECHANISM = "the function traced to a jaxpr, attention found in it, and the program run with it as further outputs"


def assemble(calls: Sequence[Recorded], options: CaptureOptions, *, tokens: Any, output: Any) -> AttentionTrace:
    """The trace of everything captured.

    Raises:
        NoAttentionError: no layer showed attention.
        SelectionError: ``layers=`` means a layer that does not exist.
        TokenError: labels do not fit.
    """
    unrolled = [Unrolled(recorded) for recorded in calls]
    seen = seen_of(unrolled)
    coverage = coverage_of(unrolled)
    if not seen:
        said = f":\n{coverage}" if coverage else "; nothing in it looks like queries, keys and a softmax"
        raise NoAttentionError(
            f"{calls[0].label} ran and showed no softmax attention that can be captured{said}", coverage
        )
    chosen = [seen[place] for place in choose(parts_of(options.layers), seen)]
    axes = Axes([recorded.data for recorded in calls])
    stacks = _stacks(seen)
    layers = [_layer(one, stacks, axes, options) for one in chosen]
    if len(calls) > 1 and options.layers is None and options.reduce is None:
        layers, axes = _steps_joined(calls, chosen, layers, axes)
    labelled = label_axes(axes.book.axes, tokens, axes.facts)
    provenance = Provenance("jax", MECHANISM, calls[0].label, options=options.as_text(), versions=_versions())
    return AttentionTrace(tuple(layers), labelled, coverage, provenance, output)


def _steps_joined(
    calls: Sequence[Recorded], seen: Sequence[Seen], layers: list[AttentionLayer], axes: Axes
) -> tuple[list[AttentionLayer], Axes]:
    """The layers with the steps of one generation as one, if the calls are that; otherwise as they are."""
    by_call = [
        [layer for one, layer in zip(seen, layers, strict=True) if one.number == number] for number in range(len(calls))
    ]
    merged = merge_steps(by_call)
    if merged is None:
        return layers, axes
    together, steps = merged
    new = Axes([data_of_steps([recorded.data for recorded in calls])], steps)
    placed = []
    for layer in together:
        query_axis, key_axis = new.names_for(layer.kind, layer.stack, False, layer.shape, 0)
        placed.append(layer.replaced(query_axis=query_axis, key_axis=key_axis))
    return placed, new


def _stacks(seen: Sequence[Seen]) -> dict[str, str | None]:
    """The part of the model each layer name belongs to; None for all when there is but one part."""
    found = {one.name: stack_of(one.name) for one in seen}
    crosses = any(kind_of(one.instance.plan.site) == "cross" for one in seen)
    if len(set(found.values())) == 1 and not (crosses and "decoder" in found.values()):
        return dict.fromkeys(found)
    return found


def _layer(one: Seen, stacks: dict[str, str | None], axes: Axes, options: CaptureOptions) -> AttentionLayer:
    kind: LayerKind = kind_of(one.instance.plan.site)
    stack = stacks[one.name]
    shape = shape_of(one.unrolled, one.instance)
    query_axis, key_axis = axes.names_for(kind, stack, "encoder" in stacks.values(), shape, one.number)
    identity = Identity(one.name, one.index, one.call, kind, stack, query_axis, key_axis)
    return layer_of(one.unrolled, one.instance, options, identity)


def _versions() -> dict[str, str]:
    versions = {}
    for name in ("jax", "jaxlib", "flax", "equinox", "keras", "numpy"):
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            versions[name] = str(version)
    return versions
