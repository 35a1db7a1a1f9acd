"""From the records of a capture to an `AttentionTrace`."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from attncore.attention import AttentionTrace
from attncore.errors import CaptureError, NoAttentionError
from attncore.layer import AttentionLayer
from attncore.provenance import Provenance
from attncore.selection import choose
from attncore.tokens import AxisFacts, label_axes

from ._torch_axes import Places, stacks_of
from ._torch_blocks import settle_blocks
from ._torch_coverage import coverage_of
from ._torch_gradients import gradient_of
from ._torch_keep import layer_of
from ._torch_record import Record
from ._torch_recorder import Recorder
from ._torch_runs import merge_steps
from ._torch_unseen import settle_written

MECHANISM = "module hooks and a torch function mode; attention found by following queries, keys and softmax outputs"

MOVED = "the model puts positions in another order before this layer, so labels of its input are not those of its axes"


def assemble(recorder: Recorder, *, tokens: Any, output: Any) -> AttentionTrace:
    """The trace of everything captured.

    Raises:
        NoAttentionError: no layer showed attention.
        SelectionError: ``layers=`` means a layer that does not exist.
        TokenError: labels do not fit.
    """
    settle_written(recorder)
    settle_blocks(recorder)
    records = list(recorder.records)
    coverage = coverage_of(recorder, records)
    if not records:
        count = len(recorder.ran)
        ran = f"{count} module{'' if count == 1 else 's'} of {type(recorder.model).__name__} ran"
        seen = f":\n{coverage}" if coverage else "; nothing in it looks like queries, keys and a softmax"
        raise NoAttentionError(f"{ran} and none showed softmax attention that can be captured{seen}", coverage)
    steps = merge_steps(records, recorder.roots)
    _number(steps.records)
    chosen = _chosen(recorder, steps.records)
    stacks = stacks_of(steps.records)
    places = Places(steps.roots, stacks, several=len(steps.roots) > 1, step_of=None)
    shared: dict[int, Any] = {}
    layers = [_layer(record, stacks[record.name], places, shared) for record in chosen]
    axes = label_axes(places.book.axes, tokens, _with_steps(places, chosen, layers))
    provenance = Provenance(
        backend="torch",
        mechanism=MECHANISM,
        model=f"{type(recorder.model).__module__}.{type(recorder.model).__qualname__}",
        options=recorder.options.as_text(),
        versions=_versions(),
    )
    return AttentionTrace(tuple(layers), axes, coverage, provenance, output)


def _number(records: Sequence[Record]) -> None:
    """Indices in call order, and which call of its module each one is."""
    seen: dict[str, int] = defaultdict(int)
    for index, record in enumerate(records):
        record.index = index
        record.call = seen[record.name]
        seen[record.name] += 1


def _with_steps(places: Places, records: Sequence[Record], layers: Sequence[AttentionLayer]) -> dict[str, AxisFacts]:
    """The facts about the axes, and of those that a generation wrote, which step wrote each position."""
    facts = dict(places.facts())
    for record, layer in zip(records, layers, strict=True):
        for name in (layer.query_axis, layer.key_axis) if record.kind == "self" else (layer.query_axis,):
            if record.steps is not None and places.book.axes[name].length == len(record.steps):
                facts[name] = replace(facts[name], steps=record.steps)
    return facts


def _chosen(recorder: Recorder, records: list[Record]) -> list[Record]:
    chosen = [records[place] for place in choose(recorder.layer_parts, records)]
    missing = [record for record in chosen if not record.wanted]
    if missing:
        raise CaptureError(
            f'layer {missing[0].index} "{missing[0].name}" was not kept, at least not in every call: it had another '
            "index while the model ran, since another layer turned out not to be a (query, key) matrix or not to be a "
            "step of a generation; select it by name"
        )
    return chosen


def _layer(record: Record, stack: str | None, places: Places, shared: dict[int, Any]) -> AttentionLayer:
    query_axis, key_axis = places.axes_for(record)
    if any(record.moves):
        record = replace(record, notes=(*record.notes, MOVED))
    return layer_of(record, query_axis, key_axis, stack=stack, gradient=gradient_of(record), shared=shared)


def _versions() -> dict[str, str]:
    versions = {}
    for name in ("torch", "transformers", "timm", "numpy"):
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            versions[name] = str(version)
    return versions
