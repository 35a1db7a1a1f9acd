"""From calls of a function whose attention was found in its dataflow to an `AttentionTrace`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attncore.attention import AttentionTrace
from attncore.coverage import Coverage, CoverageEntry
from attncore.dataflow_generation import merge_steps
from attncore.dataflow_happened import CallRecord, Holding, Seen, chosen_of
from attncore.dataflow_layers import Identity, kind_of, layer_of, shape_of
from attncore.dataflow_names import stack_of
from attncore.dataflow_tokens import Axes, data_of_steps
from attncore.errors import NoAttentionError
from attncore.layer import AttentionLayer, LayerKind
from attncore.protocols import CaptureOptions
from attncore.provenance import Provenance
from attncore.tokens import label_axes


@dataclass(frozen=True)
class Framework:
    """What a backend says of itself: its name, how it captures, the versions in use, and how it holds arrays."""

    name: str
    mechanism: str
    versions: Mapping[str, str]
    holding: Holding


def assemble(
    calls: Sequence[CallRecord], options: CaptureOptions, framework: Framework, *, tokens: Any, output: Any
) -> AttentionTrace:
    """The trace of everything captured.

    Raises:
        NoAttentionError: no layer showed attention.
        SelectionError: ``layers=`` means a layer that does not exist.
        TokenError: labels do not fit.
    """
    coverage = _together([record.coverage for record in calls])
    if not any(record.happened for record in calls):
        said = f":\n{coverage}" if coverage else "; nothing in it looks like queries, keys and a softmax"
        raise NoAttentionError(
            f"{calls[0].label} ran and showed no softmax attention that can be captured{said}", coverage
        )
    chosen = chosen_of(calls, options.layers)
    axes = Axes([record.data for record in calls])
    stacks = _stacks(chosen_of(calls, None))
    layers = [_layer(one, stacks, axes, options, framework.holding) for one in chosen]
    if len(calls) > 1 and options.layers is None and options.reduce is None:
        layers, axes = _steps_joined(calls, chosen, layers, axes)
    labelled = label_axes(axes.book.axes, tokens, axes.facts)
    provenance = Provenance(
        framework.name,
        framework.mechanism,
        calls[0].label,
        options=options.as_text(),
        versions=dict(framework.versions),
    )
    return AttentionTrace(tuple(layers), labelled, coverage, provenance, output)


def _together(coverages: Sequence[Coverage]) -> Coverage:
    """What all calls say, what several say but once."""
    entries: dict[tuple[str, ...], CoverageEntry] = {}
    for coverage in coverages:
        for entry in coverage:
            key = (entry.name, entry.what, entry.reason)
            count = entry.count + (entries[key].count if key in entries else 0)
            entries[key] = replace(entry, count=count)
    return Coverage(tuple(entries.values()))


def _steps_joined(
    calls: Sequence[CallRecord], seen: Sequence[Seen], layers: list[AttentionLayer], axes: Axes
) -> tuple[list[AttentionLayer], Axes]:
    """The layers with the steps of one generation as one, if the calls are that; otherwise as they are."""
    by_call = [
        [layer for one, layer in zip(seen, layers, strict=True) if one.number == number] for number in range(len(calls))
    ]
    merged = merge_steps(by_call)
    if merged is None:
        return layers, axes
    together, steps = merged
    new = Axes([data_of_steps([record.data for record in calls])], steps)
    placed = []
    for layer in together:
        query_axis, key_axis = new.names_for(layer.kind, layer.stack, False, layer.shape, 0)
        placed.append(layer.replaced(query_axis=query_axis, key_axis=key_axis))
    return placed, new


def _stacks(seen: Sequence[Seen]) -> dict[str, str | None]:
    """The part of the model each layer name belongs to; None for all when there is but one part."""
    found = {one.name: stack_of(one.name) for one in seen}
    crosses = any(kind_of(one.happened.site) == "cross" for one in seen)
    if len(set(found.values())) == 1 and not (crosses and "decoder" in found.values()):
        return dict.fromkeys(found)
    return found


def _layer(
    one: Seen, stacks: dict[str, str | None], axes: Axes, options: CaptureOptions, holding: Holding
) -> AttentionLayer:
    kind: LayerKind = kind_of(one.happened.site)
    stack = stacks[one.name]
    shape = shape_of(one.happened)
    moves = one.happened.site.query_moves, one.happened.site.key_moves
    query_axis, key_axis = axes.names_for(kind, stack, "encoder" in stacks.values(), shape, one.number, moves)
    identity = Identity(one.name, one.index, one.call, kind, stack, query_axis, key_axis)
    return layer_of(one.happened, identity, options, holding)
