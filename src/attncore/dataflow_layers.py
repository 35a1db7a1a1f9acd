"""From the arrays of one attention to an `AttentionLayer`, with what the options leave of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from attncore.arrays import Array, ArrayLike, as_numpy
from attncore.dataflow_happened import Happened, Holding
from attncore.dataflow_moves import REORDERED
from attncore.dataflow_sites import Site
from attncore.layer import AttentionLayer, LayerKind
from attncore.protocols import CaptureOptions
from attncore.scoring import Scoring
from attncore.weights import DenseWeights, LazyWeights, RecomputedWeights

_VECTORS = ("query", "key", "value")


def kind_of(site: Site) -> LayerKind:
    """Whether queries and keys are of the same positions."""
    return "self" if site.query_source == site.key_source else "cross"


def shape_of(happened: Happened) -> tuple[int, ...]:
    """(batch, heads, query, key) of one attention."""
    weights = happened.read("weights")
    if weights is not None:
        return tuple(weights.shape)
    query, key = happened.read("query"), happened.read("key")
    return (max(query.shape[0], key.shape[0]), *query.shape[1:3], key.shape[2])


@dataclass(frozen=True)
class Identity:
    """What a layer is called, where it is in the run, and the axes it counts."""

    name: str
    index: int
    call: int
    kind: LayerKind
    stack: str | None
    query_axis: str
    key_axis: str


def layer_of(happened: Happened, identity: Identity, options: CaptureOptions, holding: Holding) -> AttentionLayer:
    """The layer of one attention."""
    read = _fitting({role: happened.read(role) for role in _VECTORS}, shape_of(happened))
    vectors = {role: None if array is None else holding.hold(array) for role, array in read.items()}
    scoring = _scoring(happened)
    layer = AttentionLayer(
        **vars(identity),
        stored_weights=_weights(happened, vectors, scoring, holding),
        source="softmax",
        computed="observed" if happened.in_full else "recomputed",
        model_dtype=happened.site.weights.dtype,
        query=vectors["query"],
        key=vectors["key"],
        value=vectors["value"],
        scoring=scoring,
        notes=_notes(happened.site),
        gradient=_gradient(happened),
    )
    if options.heads is not None:
        layer = layer.with_heads(options.heads)
    return _reduced(layer, options) if options.reduce is not None else layer


def _notes(site: Site) -> tuple[str, ...]:
    """What the site says of itself, and where labels of the inputs are not for its positions."""
    return site.notes if site.query_moves is None and site.key_moves is None else (*site.notes, REORDERED)


def _fitting(vectors: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """The arrays that are of all the positions of weights of this shape: those of a piece say nothing of the whole."""
    batch, heads, rows, columns = shape
    query, key, value = (vectors[role] for role in _VECTORS)
    if query is not None and query.shape[1:3] != (heads, rows):
        query = None
    if key is not None and (key.shape[2] != columns or heads % max(key.shape[1], 1)):
        key = None
    if value is not None and value.shape[2] != columns:
        value = None
    if query is not None and key is not None and max(query.shape[0], key.shape[0]) != batch:
        query = key = None
    return {"query": query, "key": key, "value": value}


def _scoring(happened: Happened) -> Scoring | None:
    """The formula of one attention, with what was picked up for it; None where it is not understood."""
    steps = happened.site.scoring
    if steps is None:
        return None
    if happened.in_full:
        # Masks and biases are in the weights, and were not picked up besides.
        return Scoring(steps.scale, softcap=steps.softcap)
    others = [role for role in happened.roles if role not in ("weights", *_VECTORS)]
    picked = {role: as_numpy(happened.read(role)) for role in others}
    masks = [array.astype(bool) for role, array in picked.items() if role.startswith("mask")]
    biases = [array for role, array in picked.items() if role.startswith("bias")]
    return Scoring(
        steps.scale,
        mask=_joined(np.logical_and, masks),
        bias=_joined(np.add, biases),
        softcap=steps.softcap,
        sinks=picked.get("sinks"),
    )


def _joined(function: Any, arrays: list[Array]) -> Array | None:
    return reduce(function, arrays) if arrays else None


def _weights(
    happened: Happened, vectors: dict[str, ArrayLike | None], scoring: Scoring | None, holding: Holding
) -> LazyWeights:
    weights = happened.read("weights")
    if weights is None:
        query, key = vectors["query"], vectors["key"]
        assert query is not None and key is not None and scoring is not None
        return RecomputedWeights(query, key, scoring)
    return DenseWeights(holding.hold(holding.cast(weights)))


def _gradient(happened: Happened) -> Callable[[], Array] | None:
    gradient = happened.gradient()
    return None if gradient is None else lambda: gradient


def _reduced(layer: AttentionLayer, options: CaptureOptions) -> AttentionLayer:
    """The layer with the result of ``reduce=`` in place of everything it was made of."""
    assert options.reduce is not None
    reduced = options.reduce(layer)
    if hasattr(reduced, "__array__"):
        reduced = np.asarray(reduced)
    return layer.replaced(stored_weights=None, query=None, key=None, value=None, scoring=None, reduced=reduced)
