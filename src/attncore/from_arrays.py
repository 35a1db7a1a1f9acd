"""A trace built from attention weights that somebody already has, whatever framework they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attncore.arrays import Array, as_numpy
from attncore.attention import AttentionTrace
from attncore.axis_book import AxisBook
from attncore.errors import ArrayError
from attncore.layer import AttentionLayer, LayerKind, check_not_empty
from attncore.provenance import Provenance
from attncore.tokens import label_axes
from attncore.weights import DenseWeights

# (argument, kind, stack, query axis, key axis), in the order a model calls them.
_GROUPS: tuple[tuple[str, LayerKind, str | None, str, str], ...] = (
    ("encoder_attentions", "self", "encoder", "encoder", "encoder"),
    ("attentions", "self", None, "tokens", "tokens"),
    ("decoder_attentions", "self", "decoder", "decoder", "decoder"),
    ("cross_attentions", "cross", "decoder", "decoder", "encoder"),
)


def build_trace(
    attentions: Any = None,
    *,
    tokens: Any = None,
    encoder_attentions: Any = None,
    decoder_attentions: Any = None,
    cross_attentions: Any = None,
    names: Sequence[str] | None = None,
) -> AttentionTrace:
    """A trace of given weights.

    Args:
        attentions: a list of arrays (batch, heads, query, key), one a layer; one array (layers, batch, heads, query,
            key); or an output object or mapping with the fields ``attentions``, ``encoder_attentions``,
            ``decoder_attentions``, ``cross_attentions``, as Hugging Face models return it.
        tokens: labels, as for `attncore.trace`: a list, a list per batch item, or a mapping from axis to these.
        encoder_attentions: self-attention of an encoder, like ``attentions``.
        decoder_attentions: self-attention of a decoder.
        cross_attentions: from decoder (query) to encoder (key).
        names: one name a layer of ``attentions``.

    Raises:
        ArrayError: there are no weights, they have not four axes, lengths disagree, or a row has some NaN.
        TokenError: labels do not fit.
    """
    given = {
        "attentions": attentions,
        "encoder_attentions": encoder_attentions,
        "decoder_attentions": decoder_attentions,
        "cross_attentions": cross_attentions,
    }
    if _is_output(attentions):
        said = {name: value for name, value in given.items() if name != "attentions" and value is not None}
        given = _fields_of(attentions) | said
    layers: list[AttentionLayer] = []
    book = AxisBook()
    for argument, kind, stack, query_axis, key_axis in _GROUPS:
        arrays = _layer_arrays(given.get(argument), argument)
        if argument == "attentions" and names is not None and len(names) != len(arrays):
            raise ArrayError(f"{len(names)} names were given for {len(arrays)} layers of attentions")
        for number, array in enumerate(arrays):
            weights, notes = _checked(array, f"{argument}[{number}]")
            named = names[number] if argument == "attentions" and names else f"{argument}[{number}]"
            layer = AttentionLayer(
                name=named,
                index=len(layers),
                query_axis=query_axis,
                key_axis=key_axis,
                stored_weights=DenseWeights(weights),
                kind=kind,
                stack=stack,
                notes=notes,
            )
            layers.append(_on_axes(layer, book))
    if not layers:
        raise ArrayError(
            "no attention weights were given; pass a list of arrays (batch, heads, query, key). Hugging Face models "
            "return an empty tuple unless they run eager attention: attncore.trace(model, inputs) works with any"
        )
    axes = label_axes(book.axes, tokens)
    return AttentionTrace(tuple(layers), axes, provenance=Provenance("arrays", "weights given as arrays"))


def _is_output(attentions: Any) -> bool:
    """A model's output object or a mapping of fields, rather than arrays."""
    return isinstance(attentions, Mapping) or any(hasattr(attentions, argument) for argument, *_ in _GROUPS)


def _fields_of(output: Any) -> dict[str, Any]:
    """The attention fields by name, never by position."""
    if isinstance(output, Mapping):
        return {argument: output.get(argument) for argument, *_ in _GROUPS}
    return {argument: getattr(output, argument, None) for argument, *_ in _GROUPS}


def _layer_arrays(arrays: Any, argument: str) -> list[Array]:
    if arrays is None:
        return []
    if hasattr(arrays, "shape"):
        stacked = as_numpy(arrays)
        if stacked.ndim == 4:
            return [stacked]
        if stacked.ndim != 5:
            raise ArrayError(
                f"{argument} is one array of shape {stacked.shape}; give (layers, batch, heads, query, key), "
                "or a list of (batch, heads, query, key)"
            )
        return list(stacked)
    if isinstance(arrays, str | bytes) or not hasattr(arrays, "__iter__"):
        raise ArrayError(f"{argument} must be a list of arrays and a {type(arrays).__name__} was given")
    # A model that skips a layer returns None for it.
    return [as_numpy(array) for array in arrays if array is not None]


def _checked(weights: Array, where: str) -> tuple[Array, tuple[str, ...]]:
    """The weights with fully masked rows (all NaN, as raw softmax leaves them) as zeros, and notes on the rows."""
    if weights.ndim != 4:
        raise ArrayError(f"{where} has shape {weights.shape}; attention weights need (batch, heads, query, key)")
    check_not_empty(weights.shape, where)
    if weights.dtype.kind != "f":
        weights = weights.astype(np.float32)
    notes: list[str] = []
    nan = np.isnan(weights)
    if nan.any():
        masked = nan.all(axis=-1)
        partly = nan.any(axis=-1) & ~masked
        if partly.any():
            batch, head, row = (int(place) for place in np.argwhere(partly)[0])
            raise ArrayError(
                f"{where}: batch {batch}, head {head}, query {row} has NaN among its weights "
                f"({int(partly.sum())} such rows in all); a model that diverged gives this: check its weights"
            )
        weights = np.where(nan, weights.dtype.type(0), weights)
        notes.append(f"{int(masked.sum())} row(s) were all NaN: taken as fully masked, shown as zeros")
    sums = weights.sum(axis=-1, dtype=np.float64)
    off = (np.abs(sums - 1) > (1e-2 if weights.dtype.itemsize < 4 else 1e-3)) & (sums != 0)
    if (weights < 0).any():
        notes.append("some weights are negative: these are not softmax probabilities")
    elif off.any():
        notes.append(f"{int(off.sum())} row(s) do not sum to 1")
    return weights, tuple(notes)


def _on_axes(layer: AttentionLayer, book: AxisBook) -> AttentionLayer:
    """The layer with axes of its own sizes; layers of another length get an axis of their own (``tokens_2``)."""
    batch, _, query, key = layer.shape
    return layer.replaced(
        key_axis=book.name_for(layer.key_axis, batch, key), query_axis=book.name_for(layer.query_axis, batch, query)
    )
