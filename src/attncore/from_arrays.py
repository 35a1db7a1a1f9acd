"""A trace built from attention weights that somebody already has, whatever framework they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from attncore.arrays import Array, as_numpy
from attncore.attention import AttentionTrace
from attncore.axis_book import AxisBook
from attncore.errors import ArrayError, did_you_mean
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
    names: Iterable[str] | None = None,
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
        names: one name a layer of ``attentions``; layers of one name are its calls.

    None in place of a layer's array, as models give it for a layer that was skipped, leaves that layer out.

    Raises:
        ArrayError: there are no weights, they have not four axes, some are masked, the lengths of cross-attention are
            not the encoder's and decoder's, a row has some NaN, or names are no strings.
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
    book = AxisBook()
    layers = _layers_of(given, names, book)
    if not layers:
        raise ArrayError(
            "no attention weights were given; pass a list of arrays (batch, heads, query, key). Hugging Face models "
            "return an empty tuple unless they run eager attention: attncore.trace(model, inputs) works with any"
        )
    axes = label_axes(book.axes, tokens)
    return AttentionTrace(tuple(layers), axes, provenance=Provenance("arrays", "weights given as arrays"))


def _layers_of(given: Mapping[str, Any], names: Iterable[str] | None, book: AxisBook) -> list[AttentionLayer]:
    """A layer for each array, in the order a model calls them; their axes go into ``book``."""
    layers: list[AttentionLayer] = []
    calls: dict[str, int] = {}
    skipped = 0
    for argument, kind, stack, query_axis, key_axis in _GROUPS:
        arrays = _layer_arrays(given.get(argument), argument)
        own_names = _names(names, arrays) if argument == "attentions" and names is not None else None
        for number, array in enumerate(arrays):
            if array is None:  # a model that skips a layer returns None for it; the others keep their numbers
                skipped += 1
                continue
            where = f"{argument}[{number}]"
            weights, notes = _checked(array, where)
            if kind == "cross":
                _check_cross(weights, where, layers)
            name = own_names[number] if own_names is not None else where
            layer = AttentionLayer(
                name=name,
                index=len(layers) + skipped,
                call=calls.get(name, 0),
                query_axis=query_axis,
                key_axis=key_axis,
                stored_weights=DenseWeights(weights),
                kind=kind,
                stack=stack,
                notes=notes,
            )
            calls[name] = layer.call + 1
            layers.append(_on_axes(layer, book))
    return layers


def _is_output(attentions: Any) -> bool:
    """A model's output object or a mapping of fields, rather than arrays."""
    return isinstance(attentions, Mapping) or any(hasattr(attentions, argument) for argument, *_ in _GROUPS)


def _fields_of(output: Any) -> dict[str, Any]:
    """The attention fields by name, never by position."""
    if isinstance(output, Mapping):
        _refuse_misspelt(output)
        return {argument: output.get(argument) for argument, *_ in _GROUPS}
    return {argument: getattr(output, argument, None) for argument, *_ in _GROUPS}


def _refuse_misspelt(output: Mapping[Any, Any]) -> None:
    """A mapping with a field that is nearly one of ours, and none that is, was misspelt; one of arrays is no output."""
    known = [argument for argument, *_ in _GROUPS]
    if any(argument in output for argument in known):
        return
    for key, value in output.items():
        # Names of other outputs begin as ours do.
        is_layer = type(output) is dict and len(getattr(value, "shape", ())) == 4
        if is_layer or get_close_matches(str(key), known, cutoff=0.8):
            hint = did_you_mean(str(key), known)
            raise ArrayError(
                f"the mapping has {key!r}{hint} and none of the fields {', '.join(known)}; arrays of layers are given "
                "as a list, and their names as names="
            )


def _layer_arrays(arrays: Any, argument: str) -> list[Array | None]:
    """An array for each layer; None for one that the model skipped."""
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
    listed = list(arrays)
    if any(_is_step(each) for each in listed):
        raise ArrayError(
            f"{argument} holds lists of arrays (batch, heads, query, key), one a generation step as generate() returns "
            f"them; give one step, such as {argument}[0], or attncore.capture the model while it generates"
        )
    return [None if array is None else as_numpy(array) for array in listed]


def _is_step(layer: Any) -> bool:
    """Several layers where one is meant, as generation gives for each of its steps."""
    return isinstance(layer, list | tuple) and any(len(getattr(array, "shape", ())) == 4 for array in layer)


def _names(names: Iterable[str], arrays: Sequence[Array | None]) -> list[str]:
    """One name for each place in the list of layers; where some were skipped, names of the others alone are taken too.

    Raises:
        ArrayError: one is no string, or there are more or fewer.
    """
    if isinstance(names, str):
        raise ArrayError(f"names is {names!r}; give a list with a name for each layer of attentions")
    listed = list(names)
    for place, name in enumerate(listed):
        if not isinstance(name, str):
            raise ArrayError(f"names[{place}] is {name!r} ({type(name).__name__}); layer names must be strings")
    held = [place for place, array in enumerate(arrays) if array is not None]
    if len(listed) not in (len(arrays), len(held)):
        raise ArrayError(f"{len(listed)} names were given for {len(held)} layers of attentions")
    named = [str(name) for name in listed]  # without numpy's own kind of string
    if len(named) == len(arrays):
        return named
    return [named[held.index(place)] if place in held else "" for place in range(len(arrays))]


def _check_cross(weights: Array, where: str, layers: Sequence[AttentionLayer]) -> None:
    """Refuse cross-attention over lengths that the self-attention of an encoder or decoder, where given, has not."""
    own = [layer for layer in layers if layer.kind == "self"]
    decoder, encoder = (
        {length for layer in own if layer.stack == stack for length in layer.shape[2:]}
        for stack in ("decoder", "encoder")
    )
    query, key = weights.shape[2:]
    if (not decoder or query in decoder) and (not encoder or key in encoder):
        return
    known = [
        f"the {name} has {' or '.join(map(str, sorted(lengths)))}"
        for name, lengths in (("decoder", decoder), ("encoder", encoder))
        if lengths
    ]
    turned = (not decoder or key in decoder) and (not encoder or query in encoder)
    raise ArrayError(
        f"{where} has shape {weights.shape}, which is (batch, heads, decoder, encoder), but {', '.join(known)} "
        f"positions{'; swap the last two axes' if turned else ''}"
    )


def _checked(weights: Array, where: str) -> tuple[Array, tuple[str, ...]]:
    """The weights with fully masked rows (all NaN, as raw softmax leaves them) as zeros, and notes on the rows."""
    if weights.ndim != 4:
        hint = "; of one batch item, add the axis: array[None]" if weights.ndim == 3 else ""
        raise ArrayError(f"{where} has shape {weights.shape}; attention weights need (batch, heads, query, key){hint}")
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
    off = (np.abs(sums - 1) > (1e-2 if _is_coarse(weights) else 1e-3)) & (sums != 0)
    if (weights < 0).any():
        notes.append("some weights are negative: these are not softmax probabilities")
    elif off.any():
        notes.append(f"{int(off.sum())} row(s) do not sum to 1")
    return weights, tuple(notes)


def _is_coarse(weights: Array) -> bool:
    """Whether they were rounded to 16 bits; bfloat16, which numpy has not, comes as float32 without its lower half."""
    if weights.dtype != np.float32:
        return weights.dtype.itemsize < 4
    return not (np.ascontiguousarray(weights).view(np.uint32) & 0xFFFF).any()


def _on_axes(layer: AttentionLayer, book: AxisBook) -> AttentionLayer:
    """The layer with axes of its own sizes; layers of another length get an axis of their own (``tokens_2``)."""
    batch, _, query, key = layer.shape
    return layer.replaced(
        key_axis=book.name_for(layer.key_axis, batch, key), query_axis=book.name_for(layer.query_axis, batch, query)
    )
