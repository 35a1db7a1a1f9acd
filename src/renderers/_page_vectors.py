"""Query and key vectors on a page, with what else the scores depend on; for as many layers as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attncore.arrays import Array, ArrayLike
from attncore.attention import AttentionTrace
from attncore.errors import OptionError
from attncore.layer import AttentionLayer
from attncore.scoring import allowed_keys

from ._page_describe import vectors_held
from ._page_encode import Block, block_of, text_bytes

# Float16 of vectors, in byte planes, is compressed to 83 % or so.
_LEAST_COMPRESSED = 0.75
_NOT_WRITTEN = (
    'This file holds no queries and keys, so that it stays small. Write it with view="neuron" to have them in it, or '
    "open the trace with attncore serve."
)
_NO_ROOM = (
    'This file has no room for the queries and keys of this layer. Write it with view="neuron" and this layer as '
    "layer=, with fewer layers (layers=…) or a larger max_bytes, or open the trace with attncore serve."
)


@dataclass(frozen=True)
class ShownVectors:
    """The vectors of one layer: ``block`` is None where they are not on the page, and ``missing`` says why."""

    block: Block | None = None
    missing: str = ""
    bias: bool = True

    @property
    def text_length(self) -> int:
        """How much of the page they take."""
        return 0 if self.block is None else len(self.block.text)


def vectors_unasked(trace: AttentionTrace, room: float) -> list[ShownVectors]:
    """Those of every layer when they fit into ``room``, else those of none; one entry a layer."""
    held = [layer for layer in trace if vectors_held(layer)]
    if sum(_least_text(layer, bias=True) for layer in held) <= room:
        shown = [_shown(layer, place, bias=True) for place, layer in enumerate(trace)]
        if sum(vectors.text_length for vectors in shown) <= room:
            return shown
    return [ShownVectors(missing=_NOT_WRITTEN) for _ in trace]


def vectors_asked(trace: AttentionTrace, start: int, room: float) -> list[ShownVectors]:
    """Those of layer ``start``, then of the nearest layers until half of ``room`` is taken; one entry a layer.

    Raises:
        OptionError: those of ``start`` alone leave too little for the weights.
    """
    shown = [ShownVectors(missing=_NO_ROOM) for _ in trace]
    taken = 0
    for place in sorted(range(len(trace)), key=lambda place: abs(place - start)):
        left = (0.8 if place == start else 0.5) * room - taken
        shown[place] = _largest_that_fits(trace[place], place, left) or shown[place]
        taken += shown[place].text_length
    if vectors_held(trace[start]) and shown[start].block is None:
        needed = _least_text(trace[start], bias=False)
        raise OptionError(
            f"the queries and keys of layer {start} take about {needed / 1e6:.1f} MB, and the file may hold "
            f"{room / 1e6:.1f} MB of numbers in all; give a larger max_bytes, or open the trace with `attncore serve`"
        )
    return shown


def _largest_that_fits(layer: AttentionLayer, place: int, left: float) -> ShownVectors | None:
    """With the bias, or without it, or None."""
    for bias in (True, False):
        if _least_text(layer, bias=bias) <= left:
            shown = _shown(layer, place, bias=bias)
            if shown.text_length <= left:
                return shown
    return None


def _shown(layer: AttentionLayer, place: int, *, bias: bool) -> ShownVectors:
    if layer.query is None or layer.key is None:
        return ShownVectors()
    items = layer.shape[0]
    added, allowed = _bias_of(layer) if bias else None, _allowed(layer)
    parts = [_planes(_halves(array)) for array in (_for_items(layer.query, items), _for_items(layer.key, items))]
    if added is not None:
        parts.append(_planes(_halves(added)))
    if allowed is not None:
        parts.append(np.packbits(allowed).tobytes())
    reading = {"encoding": "float16", "bias": _shape(added), "allowed": _shape(allowed)}
    return ShownVectors(block_of(f"vectors-{place}", b"".join(parts), **reading), bias=bias)


def _least_text(layer: AttentionLayer, *, bias: bool) -> float:
    """The text that the vectors of a layer take at the least."""
    if layer.query is None or layer.key is None:
        return 0
    items = layer.shape[0]
    numbers = items * sum(int(np.prod(array.shape[1:])) for array in (layer.query, layer.key))
    if bias and layer.bias is not None:
        numbers += int(np.prod(layer.bias.shape))
    return text_bytes(2 * numbers * _LEAST_COMPRESSED)


def _for_items(array: ArrayLike, items: int) -> Array:
    """(items, heads, length, dim); what all batch items share may be held once."""
    return np.broadcast_to(np.asarray(array), (items, *array.shape[1:]))


def _halves(array: Array) -> Array:
    """Little-endian float16; a mask of huge negative numbers stays finite, as it was."""
    limit = float(np.finfo(np.float16).max)
    return np.where(np.isfinite(array), np.clip(array, -limit, limit), array).astype("<f2")


def _planes(halves: Array) -> bytes:
    """All low bytes, then all high ones: these repeat, which no compression finds between the others."""
    return np.ascontiguousarray(np.ascontiguousarray(halves).view(np.uint8).reshape(-1, 2).T).tobytes()


def _bias_of(layer: AttentionLayer) -> Array | None:
    return None if layer.bias is None else _four_axes(np.asarray(layer.bias))


def _allowed(layer: AttentionLayer) -> Array | None:
    """Where attention is allowed: mask, causality and window together; None where it is everywhere."""
    if layer.scoring is None:
        return None
    _, _, queries, keys = layer.shape
    everything = (slice(None), slice(None), slice(None))
    allowed = allowed_keys(layer.scoring, np.arange(queries), keys, everything)
    return None if allowed is None else _four_axes(allowed)


def _four_axes(array: Array) -> Array:
    return array.reshape((1,) * (4 - array.ndim) + array.shape)


def _shape(array: Array | None) -> Sequence[int] | None:
    return None if array is None else list(array.shape)
