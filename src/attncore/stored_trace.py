"""A trace as JSON with references to tensors, and back; the other half of `attncore.storage`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, get_args

import numpy as np

from attncore.arrays import ArrayLike
from attncore.attention import AttentionTrace
from attncore.axis import AxisKind, TokenAxis
from attncore.coverage import STATUS_MEANING, Coverage, CoverageEntry
from attncore.errors import ArrayError, FileFormatError
from attncore.layer import AttentionLayer
from attncore.provenance import Provenance
from attncore.scoring import Scoring
from attncore.weights import DenseWeights, LazyWeights, RecomputedWeights

Add = Callable[[str, ArrayLike | None], str | None]
Read = Callable[[str | None], ArrayLike | None]

_LAYER_TEXTS = ("name", "query_axis", "key_axis", "kind", "source", "computed", "module_class", "model_dtype")
_LARGEST = 2**53  # what JSON readers of every language agree on
_AXIS_ARRAYS = ("padding", "special", "segments", "steps")


def trace_to_json(trace: AttentionTrace, add: Add) -> dict[str, Any]:
    """The trace as JSON; ``add`` stores an array and returns its name."""
    return {
        "axes": [_axis_to_json(axis, add) for axis in trace.axes.values()],
        "layers": [_layer_to_json(layer, f"layer.{place}", add) for place, layer in enumerate(trace)],
        "coverage": [asdict(entry) for entry in trace.coverage],
        "provenance": {
            **{name: getattr(trace.provenance, name) for name in _PROVENANCE_TEXTS},
            "options": dict(trace.provenance.options),
            "versions": dict(trace.provenance.versions),
        },
    }


_PROVENANCE_TEXTS = ("backend", "mechanism", "model", "created", "attncore", "python")


def _axis_to_json(axis: TokenAxis, add: Add) -> dict[str, Any]:
    arrays = {name: add(f"axis.{axis.name}.{name}", getattr(axis, name)) for name in _AXIS_ARRAYS}
    return {
        "name": axis.name,
        "length": axis.length,
        "labels": [list(row) for row in axis.labels],
        "raw": None if axis.raw == axis.labels else [list(row) for row in axis.raw],
        "kind": axis.kind,
        "grid": axis.grid,
        **arrays,
    }


def _layer_to_json(layer: AttentionLayer, prefix: str, add: Add) -> dict[str, Any]:
    stored = layer.stored_weights
    # Weights that query, key and scoring give again are not written; everything else is, in full.
    computed = isinstance(stored, RecomputedWeights)
    dense = stored if stored is not None and not computed else None
    array = dense.source if isinstance(dense, DenseWeights) else dense
    reduced = None if layer.reduced is None else np.asarray(layer.reduced)
    if reduced is not None and reduced.dtype.kind not in "fiub" and str(reduced.dtype) != "bfloat16":
        raise ArrayError(
            f'layer {layer.index} "{layer.name}" holds a {type(layer.reduced).__name__} that reduce= returned, and a '
            "file holds arrays of numbers; let it return one, such as np.stack of a few, or keep the trace in memory"
        )
    return {
        **{name: getattr(layer, name) for name in _LAYER_TEXTS},
        "index": layer.index,
        "call": layer.call,
        "stack": layer.stack,
        "heads": None if layer.heads is None else list(layer.heads),
        "notes": list(layer.notes),
        "lazy": computed,
        "weights": add(f"{prefix}.weights", array),
        "reduced": add(f"{prefix}.reduced", reduced),
        **{name: add(f"{prefix}.{name}", getattr(layer, name)) for name in ("query", "key", "value")},
        "scoring": None if layer.scoring is None else _scoring_to_json(layer.scoring, prefix, add),
    }


def _scoring_to_json(scoring: Scoring, prefix: str, add: Add) -> dict[str, Any]:
    return {
        "scale": scoring.scale,
        "causal": scoring.causal,
        "causal_offset": scoring.causal_offset,
        "window": scoring.window,
        "softcap": scoring.softcap,
        **{name: add(f"{prefix}.{name}", getattr(scoring, name)) for name in ("mask", "bias", "sinks")},
    }


def trace_from_json(described: Any, read: Read) -> AttentionTrace:
    """The trace that `trace_to_json` described; ``read`` gives the array of a name.

    Raises:
        FileFormatError, KeyError, TypeError, ValueError: the description does not fit; the caller says which file.
    """
    axes = [_axis_from_json(axis, read) for axis in described["axes"]]
    layers = tuple(_layer_from_json(layer, read) for layer in described["layers"])
    trace = AttentionTrace(
        layers,
        {axis.name: axis for axis in axes},
        Coverage(tuple(_entry_from_json(entry) for entry in described["coverage"])),
        _provenance_from_json(described["provenance"]),
    )
    for layer in trace:
        _check_sizes(layer, trace.axes)
    return trace


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FileFormatError(f"expected text and found {type(value).__name__}")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise FileFormatError(f"expected a whole number and found {value!r}"[:200])
    if abs(value) > _LARGEST:
        raise FileFormatError("a whole number in the description is beyond any that could be meant")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise FileFormatError(f"expected true or false and found {value!r}"[:200])
    return value


def _rows(value: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_text(label) for label in row) for row in value)


def _axis_from_json(axis: Mapping[str, Any], read: Read) -> TokenAxis:
    if axis["kind"] not in get_args(AxisKind):
        raise FileFormatError(f"unknown kind of axis {axis['kind']!r}"[:200])
    labels = _rows(axis["labels"])
    arrays = {name: _array(read(axis[name])) for name in _AXIS_ARRAYS}
    return TokenAxis(
        name=_text(axis["name"]),
        length=_integer(axis["length"]),
        labels=labels,
        raw=labels if axis["raw"] is None else _rows(axis["raw"]),
        kind=axis["kind"],
        grid=None if axis["grid"] is None else (_integer(axis["grid"][0]), _integer(axis["grid"][1])),
        **arrays,
    )


def _array(value: ArrayLike | None) -> Any:
    return None if value is None else np.asarray(value)


def _entry_from_json(entry: Mapping[str, Any]) -> CoverageEntry:
    if entry["status"] not in STATUS_MEANING:
        raise FileFormatError(f"unknown coverage status {entry['status']!r}"[:200])
    return CoverageEntry(
        name=_text(entry["name"]),
        what=_text(entry["what"]),
        status=entry["status"],
        reason=_text(entry["reason"]),
        shape=None if entry["shape"] is None else tuple(_integer(size) for size in entry["shape"]),
        count=_integer(entry["count"]),
    )


def _provenance_from_json(described: Mapping[str, Any]) -> Provenance:
    texts = {name: _text(described[name]) for name in _PROVENANCE_TEXTS}
    mappings = {
        name: {_text(key): _text(value) for key, value in described[name].items()} for name in ("options", "versions")
    }
    return Provenance(**texts, **mappings)  # type: ignore[arg-type]


def _layer_from_json(described: Mapping[str, Any], read: Read) -> AttentionLayer:
    if described["kind"] not in ("self", "cross") or described["computed"] not in ("observed", "recomputed"):
        raise FileFormatError("a layer has an unknown kind or origin")
    query, key, value = (read(described[name]) for name in ("query", "key", "value"))
    scoring = None if described["scoring"] is None else _scoring_from_json(described["scoring"], read)
    return AttentionLayer(
        **{name: _text(described[name]) for name in _LAYER_TEXTS},  # type: ignore[arg-type]
        index=_integer(described["index"]),
        call=_integer(described["call"]),
        stack=None if described["stack"] is None else _text(described["stack"]),
        heads=None if described["heads"] is None else tuple(_integer(head) for head in described["heads"]),
        notes=tuple(_text(note) for note in described["notes"]),
        stored_weights=_weights_from_json(described, read, query, key, scoring),
        query=query,
        key=key,
        value=value,
        scoring=scoring,
        reduced=_array(read(described["reduced"])),
    )


def _weights_from_json(
    described: Mapping[str, Any], read: Read, query: ArrayLike | None, key: ArrayLike | None, scoring: Scoring | None
) -> LazyWeights | None:
    if _flag(described["lazy"]):
        if query is None or key is None or scoring is None:
            raise FileFormatError("a layer says its weights are computed and lacks query, key or scoring")
        return RecomputedWeights(query, key, scoring)
    weights = read(described["weights"])
    return None if weights is None else DenseWeights(weights)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FileFormatError(f"expected a finite number and found {value!r}"[:200])
    return float(value)


def _scoring_from_json(described: Mapping[str, Any], read: Read) -> Scoring:
    softcap = None if described["softcap"] is None else _number(described["softcap"])
    if softcap is not None and softcap <= 0:
        raise FileFormatError(f"a softcap must be above 0 and is {softcap}")
    return Scoring(
        scale=_number(described["scale"]),
        causal=_flag(described["causal"]),
        causal_offset=_integer(described["causal_offset"]),
        window=None if described["window"] is None else _integer(described["window"]),
        softcap=softcap,
        mask=read(described["mask"]),
        bias=read(described["bias"]),
        sinks=read(described["sinks"]),
    )


def _check_sizes(layer: AttentionLayer, axes: Mapping[str, TokenAxis]) -> None:
    """What is read must fit together, or reading weights later would fail far from the cause."""
    stored = layer.stored_weights
    if stored is None:
        return
    sizes = (axes[layer.query_axis].length, axes[layer.key_axis].length)
    if stored.shape[2:] != sizes:
        raise FileFormatError(f"layer {layer.index} has weights {stored.shape} on axes of lengths {sizes}")
    if layer.heads is not None and len(layer.heads) != stored.shape[1]:
        raise FileFormatError(f"layer {layer.index} names {len(layer.heads)} heads and has {stored.shape[1]}")
    for name in ("query", "key", "value"):
        array = getattr(layer, name)
        if array is not None and (len(array.shape) != 4 or not array.shape[1] or stored.shape[1] % array.shape[1]):
            raise FileFormatError(f"layer {layer.index} has a {name} of shape {array.shape} for weights {stored.shape}")
    for name in ("mask", "bias"):
        array = getattr(layer.scoring, name, None)
        if array is not None and np.broadcast_shapes(array.shape, stored.shape) != stored.shape:
            raise FileFormatError(f"layer {layer.index} has a {name} of shape {array.shape} for weights {stored.shape}")
    sinks = layer.sinks
    if sinks is not None and tuple(sinks.shape) != (stored.shape[1],):
        found = tuple(sinks.shape)
        raise FileFormatError(f"layer {layer.index} has sinks of shape {found} for {stored.shape[1]} heads")
