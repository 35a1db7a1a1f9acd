"""What a page knows about a trace before it asks for any number, as the JSON that the viewer's `TraceInfo` types.

Used for all three ways to the numbers: embedded in the page, from a notebook's kernel, from a local server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attncore.attention import AttentionTrace
from attncore.axis import TokenAxis
from attncore.errors import UnavailableError
from attncore.layer import AttentionLayer

from ._page_groups import layer_groups
from ._page_statistics import finite, rows_to_look_at, statistics_of

FORMAT = 1
PrecisionKind = Literal["exact", "float16", "log8", "top"]
Theme = Literal["light", "dark", "auto"]
NO_VECTORS_CAPTURED = (
    'No queries and keys were captured for this layer. Capture the model with keep="qk" to see them '
    "(some operations show their weights only)."
)


@dataclass(frozen=True)
class Start:
    """What the page opens with; None leaves the choice to the viewer.

    ``layer``, ``heads``, ``item`` and ``query`` are places from 0 in the trace's lists, not a model's own numbers.
    """

    view: str | None = None
    layer: int | None = None
    heads: Sequence[int] | None = None
    item: int | None = None
    query: int | None = None
    theme: Theme = "auto"


@dataclass(frozen=True)
class Precision:
    """How exact the numbers of a source are.

    A weight is good for ``significant`` digits, and for no more than ``decimals`` decimals where it is large. ``top``
    is how many keys of each query are held, for that kind. Weights below ``least``, but 0, are only known to be small.
    """

    kind: PrecisionKind
    sentence: str
    decimals: int
    significant: int
    top: int | None = None
    least: float = 0.0


@dataclass(frozen=True)
class HeldLayer:
    """What a source holds of one layer, where that is not all.

    ``kept`` is the mean share of each head's attention, per batch item and head, None for all of it. ``no_vectors``
    says why there are no query and key vectors, "" when there are. ``bias`` says whether the bias is held with them.
    ``statistics`` are those of `statistics_of`, where they are known already.
    """

    kept: Sequence[Sequence[float]] | None = None
    no_vectors: str = ""
    bias: bool = True
    statistics: Sequence[Mapping[str, Any]] | None = None


def describe_trace(
    trace: AttentionTrace,
    *,
    start: Start | None = None,
    precision: Precision | None = None,
    held: Sequence[HeldLayer] | None = None,
    facts: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """The description of ``trace``, ready for `json.dumps`; every float in it is finite.

    Args:
        trace: all its layers must have weights; `with_weights` takes out those that have none.
        start: what the page opens with.
        precision: how exact the source's numbers are; by default as exact as the trace is.
        held: one entry a layer, in order; by default everything that the trace has.
        facts: further lines about the trace, label and text.
    """
    held = [HeldLayer()] * len(trace) if held is None else held
    precision = exact(trace) if precision is None else precision
    rows = rows_to_look_at(trace)
    return {
        "format": FORMAT,
        "model": trace.provenance.model.rpartition(".")[2],
        "facts": [[label, text] for label, text in (*_facts(trace), *facts)],
        "axes": {name: _axis(axis, _items_on(trace, name)) for name, axis in trace.axes.items()},
        "layers": [
            _layer(trace, layer, of_layer, rows[place])
            for place, (layer, of_layer) in enumerate(zip(trace, held, strict=True))
        ],
        "groups": layer_groups(trace),
        "coverage": [
            {"name": one.name, "what": one.what, "status": one.status, "reason": one.reason, "count": one.count}
            for one in trace.coverage
        ],
        "precision": {
            "kind": precision.kind,
            "top": precision.top,
            "sentence": precision.sentence,
            "decimals": precision.decimals,
            "significant": precision.significant,
            "least": precision.least,
        },
        "start": _start(start or Start()),
    }


def with_weights(trace: AttentionTrace) -> tuple[AttentionTrace, list[tuple[str, str]]]:
    """The layers that have weights to show, and lines for ``facts`` on those that have none.

    Raises:
        UnavailableError: no layer has any.
    """
    reduced = [layer.index for layer in trace if layer.stored_weights is None]
    if not reduced and len(trace):
        return trace, []
    if len(reduced) == len(trace):
        found = f"all {len(trace)} layer(s) were captured with reduce=" if len(trace) else "it has no attention layers"
        raise UnavailableError(
            f"the trace has no attention weights to show: {found}; capture again without reduce=, which keeps the "
            "result of a function instead of weights (read layer.reduced)"
        )
    left = trace.select(layers=lambda layer: layer.stored_weights is not None)
    numbers = ", ".join(str(index) for index in reduced)
    return left, [("left out", f"layer(s) {numbers}: captured with reduce=, so their weights were not kept")]


def exact(trace: AttentionTrace) -> Precision:
    """The precision of a source that gives the trace's own numbers."""
    coarsest = min((layer.weights.dtype.itemsize for layer in trace), default=4)
    if coarsest < 4:
        sentence = "float16 as captured: each weight within 0.05 % down to 0.000061"
        return Precision("exact", sentence, decimals=3, significant=3)
    # float32 has 7 digits, of which computing a softmax costs the last.
    return Precision("exact", "exact: float32 as captured", decimals=6, significant=6)


def vectors_held(layer: AttentionLayer) -> bool:
    """Whether the trace has queries and keys of this layer."""
    return layer.query is not None and layer.key is not None


def _facts(trace: AttentionTrace) -> list[tuple[str, str]]:
    origin = trace.provenance
    modules = sorted({layer.module_class for layer in trace if layer.module_class})
    dtypes = sorted({layer.model_dtype for layer in trace if layer.model_dtype})
    facts = [
        ("model", origin.model),
        ("attention modules", ", ".join(modules)),
        ("model's numbers", ", ".join(dtypes)),
        ("captured by", f"{origin.backend}: {origin.mechanism}"),
        ("options", ", ".join(f"{name}={value}" for name, value in origin.options.items())),
        ("captured on", origin.created),
        ("versions", ", ".join(f"{name} {version}" for name, version in origin.versions.items())),
        ("attncore", origin.attncore),
    ]
    return [(label, text) for label, text in facts if text]


def _items_on(trace: AttentionTrace, name: str) -> int:
    """Batch items of the layers on an axis; an axis that all items share may name its positions once."""
    return max(layer.shape[0] for layer in trace if name in (layer.query_axis, layer.key_axis))


def _axis(axis: TokenAxis, items: int) -> dict[str, Any]:
    repeats = items if axis.batch == 1 else 1
    return {
        "kind": axis.kind,
        "length": axis.length,
        "labels": [list(row) for row in axis.labels] * repeats,
        "raw": None if axis.raw == axis.labels else [list(row) for row in axis.raw] * repeats,
        "padding": _whole_numbers(axis.padding, repeats),
        "special": _whole_numbers(axis.special, repeats),
        "segments": _whole_numbers(axis.segments, repeats),
        "grid": None if axis.grid is None else [int(size) for size in axis.grid],
        "steps": None if axis.steps is None else [int(step) for step in axis.steps],
    }


def _whole_numbers(array: Any, repeats: int) -> list[list[int]] | None:
    return None if array is None else np.asarray(array).astype(np.int64).tolist() * repeats


def _layer(trace: AttentionTrace, layer: AttentionLayer, held: HeldLayer, max_rows: int | None) -> dict[str, Any]:
    items, _, queries, keys = layer.shape
    no_vectors = held.no_vectors if vectors_held(layer) else NO_VECTORS_CAPTURED
    statistics = held.statistics
    if statistics is None:
        statistics = statistics_of(layer, trace.axes_of(layer), max_rows)
    return {
        "index": layer.index,
        "name": layer.name,
        "call": layer.call,
        "kind": layer.kind,
        "stack": layer.stack,
        "source": layer.source,
        "computed": layer.computed,
        "queryAxis": layer.query_axis,
        "keyAxis": layer.key_axis,
        "items": items,
        "queries": queries,
        "keys": keys,
        "heads": [int(head) for head in layer.head_numbers()],
        "notes": list(layer.notes),
        "scoring": _scoring(layer, held.bias and not no_vectors),
        "vectors": None if no_vectors else _vectors(layer),
        "noVectors": no_vectors,
        "statistics": [dict(one) for one in statistics],
        "kept": None if held.kept is None else [[finite(share) for share in heads] for heads in held.kept],
    }


def _vectors(layer: AttentionLayer) -> dict[str, int] | None:
    if layer.query is None or layer.key is None:
        return None
    return {"headDim": int(layer.query.shape[3]), "keyHeads": int(layer.key.shape[1])}


def _scoring(layer: AttentionLayer, bias_held: bool) -> dict[str, Any] | None:
    scoring = layer.scoring
    if scoring is None:
        return None
    # A sink of -inf takes nothing; JSON has no such number, and the lowest there is does the same.
    sinks = None if scoring.sinks is None else np.nan_to_num(np.asarray(scoring.sinks, dtype=np.float32)).tolist()
    return {
        "scale": finite(scoring.scale, digits=9),
        "softcap": None if scoring.softcap is None else finite(scoring.softcap),
        "causal": bool(scoring.causal),
        "window": None if scoring.window is None else int(scoring.window),
        "mask": scoring.mask is not None,
        "bias": scoring.bias is not None,
        "biasHeld": scoring.bias is not None and bias_held,
        "sinks": sinks,
    }


def _start(start: Start) -> dict[str, Any]:
    return {
        "view": start.view,
        "layer": start.layer,
        "heads": None if start.heads is None else [int(head) for head in start.heads],
        "item": start.item,
        "query": start.query,
        "theme": start.theme,
    }
