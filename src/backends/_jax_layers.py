"""From the arrays of one attention to an `AttentionLayer`, with what the options leave of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from attncore.arrays import Array, ArrayLike
from attncore.dataflow_sites import Site
from attncore.layer import AttentionLayer, LayerKind
from attncore.protocols import CaptureOptions
from attncore.scoring import Scoring
from attncore.weights import DenseWeights, LazyWeights, RecomputedWeights

from ._jax_arrays import device_of, floating_type, numpy_of, to_array
from ._jax_scoring import scoring_of
from ._jax_unroll import Instance, Unrolled


def kind_of(site: Site) -> LayerKind:
    """Whether queries and keys are of the same positions."""
    return "self" if site.query_source == site.key_source else "cross"


def shape_of(unrolled: Unrolled, instance: Instance) -> tuple[int, ...]:
    """(batch, heads, query, key) of one attention."""
    weights = unrolled.array(instance, "weights")
    if weights is not None:
        return tuple(weights.shape)
    query, key = unrolled.array(instance, "query"), unrolled.array(instance, "key")
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


def layer_of(unrolled: Unrolled, instance: Instance, options: CaptureOptions, identity: Identity) -> AttentionLayer:
    """The layer of one attention."""
    site = instance.plan.site
    vectors = {role: _held(unrolled.array(instance, role), options) for role in ("query", "key", "value")}
    scoring = scoring_of(unrolled, instance)
    weights = _weights(unrolled, instance, vectors, scoring, options)
    layer = AttentionLayer(
        **vars(identity),
        stored_weights=weights,
        source="softmax",
        computed="observed" if instance.plan.in_full else "recomputed",
        model_dtype=site.weights.dtype,
        query=vectors["query"],
        key=vectors["key"],
        value=vectors["value"],
        scoring=scoring,
        notes=site.notes,
        gradient=_gradient(unrolled, instance),
    )
    if options.heads is not None:
        layer = layer.with_heads(options.heads)
    return _reduced(layer, options) if options.reduce is not None else layer


def _held(array: Any, options: CaptureOptions) -> ArrayLike | None:
    if array is None:
        return None
    device = device_of(options.device)
    return to_array(array if device is None else jax.device_put(array, device))


def _weights(
    unrolled: Unrolled,
    instance: Instance,
    vectors: dict[str, ArrayLike | None],
    scoring: Scoring | None,
    options: CaptureOptions,
) -> LazyWeights:
    weights = unrolled.array(instance, "weights")
    if weights is None:
        query, key = vectors["query"], vectors["key"]
        assert query is not None and key is not None and scoring is not None
        return RecomputedWeights(query, key, scoring)
    kind = floating_type(options.dtype)
    held = _held(weights if kind is None else weights.astype(kind), options)
    assert held is not None
    return DenseWeights(held)


def _gradient(unrolled: Unrolled, instance: Instance) -> Callable[[], Array] | None:
    gradient = unrolled.gradient(instance)
    return None if gradient is None else lambda: numpy_of(gradient)


def _reduced(layer: AttentionLayer, options: CaptureOptions) -> AttentionLayer:
    """The layer with the result of ``reduce=`` in place of everything it was made of."""
    assert options.reduce is not None
    reduced = options.reduce(layer)
    if isinstance(reduced, jax.Array):
        reduced = np.asarray(reduced)
    return layer.replaced(stored_weights=None, query=None, key=None, value=None, scoring=None, reduced=reduced)
