"""From queries and keys to attention weights: the one formula, in numpy.

For query row i and key j of one head, with head dimension d (Vaswani et al. 2017, equation 1)::

    score[i, j]  = scale * sum_d query[i, d] * key[j, d]
    score[i, j]  = softcap * tanh(score[i, j] / softcap)              where the model caps its scores (Gemma 2)
    score[i, j] += bias[i, j]                                         relative position, ALiBi, additive masks
    score[i, j]  = -inf  where masked, ahead of a causal query, or outside a sliding window
    weight[i, j] = exp(score[i, j]) / (sum_k exp(score[i, k]) + exp(sink))   the sink only where there is one

A row in which every key is masked has no weights: it is all zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attncore.arrays import Array, ArrayLike, FloatArray


@dataclass(frozen=True, eq=False)
class Scoring:
    """What the weights depend on besides query and key.

    ``mask`` (bool, True where attention is allowed) and ``bias`` (added to the scores) broadcast to
    (batch, heads, query, key). ``causal`` keeps key j for query i when ``j <= i + causal_offset``. ``window`` keeps
    key j when ``j > i + causal_offset - window``. ``sinks`` has shape (heads,).
    """

    scale: float
    causal: bool = False
    causal_offset: int = 0
    window: int | None = None
    mask: ArrayLike | None = None
    bias: ArrayLike | None = None
    softcap: float | None = None
    sinks: ArrayLike | None = None


def broadcast_part(array: ArrayLike, parts: tuple[Any, Any, Any]) -> Array:
    """``array[batch, heads, query]`` of something that broadcasts to (batch, heads, query, key)."""
    rank = len(array.shape)
    lead = parts[3 - (rank - 1) :] if rank > 1 else ()
    index = tuple(slice(None) if array.shape[axis] == 1 else part for axis, part in enumerate(lead))
    return np.asarray(array[index] if all(isinstance(part, slice) for part in index) else _outer(array, index))


def _outer(array: ArrayLike, parts: tuple[Any, ...]) -> Array:
    """Index each leading axis on its own, so that lists of positions select a block and not a diagonal."""
    result = np.asarray(array[parts[:1]])
    for axis, part in enumerate(parts[1:], start=1):
        result = result[(slice(None),) * axis + (part,)]
    return result


def probabilities(
    query: FloatArray, key: FloatArray, scoring: Scoring, *, heads: Array, rows: Array, parts: tuple[Any, Any, Any]
) -> FloatArray:
    """Attention weights of a block.

    Args:
        query: (batch, heads, query, head_dim), the rows wanted.
        key: (batch, heads, key, head_dim), all keys, heads matching those of ``query``.
        scoring: the rest of the formula, for the whole layer.
        heads: which heads of the layer these are, for ``scoring.sinks``.
        rows: which query positions these are, for causality and windows.
        parts: how to index axes 0, 1 and 2 of ``scoring.mask`` and ``scoring.bias``.

    Returns:
        (batch, heads, query, key), float32, or float64 when the query is.
    """
    kind = np.float64 if query.dtype == np.float64 else np.float32
    scores = np.matmul(query.astype(kind, copy=False), np.swapaxes(key.astype(kind, copy=False), -1, -2))
    scores *= kind(scoring.scale)
    if scoring.softcap is not None:
        scores = np.tanh(scores / kind(scoring.softcap)) * kind(scoring.softcap)
    if scoring.bias is not None:
        scores = scores + broadcast_part(scoring.bias, parts).astype(kind, copy=False)
    allowed = allowed_keys(scoring, rows, key.shape[-2], parts)
    if allowed is not None:
        scores = np.where(allowed, scores, kind(-np.inf))
    sinks: FloatArray | None = None
    if scoring.sinks is not None:
        all_sinks: FloatArray = np.asarray(scoring.sinks, dtype=kind)
        sinks = all_sinks[heads]
    return _softmax(scores, sinks)


def allowed_keys(scoring: Scoring, rows: Array, keys: int, parts: tuple[Any, Any, Any]) -> Array | None:
    """Which keys each query may attend to, broadcastable to (batch, heads, query, key); None where all may.

    Args:
        scoring: of the whole layer; its mask, causality and window are looked at.
        rows: the query positions wanted.
        keys: how many keys there are.
        parts: how to index axes 0, 1 and 2 of ``scoring.mask``.
    """
    allowed: Array | None = None
    if scoring.mask is not None:
        allowed = broadcast_part(scoring.mask, parts)
    if scoring.causal or scoring.window is not None:
        last = rows[:, None] + scoring.causal_offset
        position = np.arange(keys)[None, :]
        near = np.ones((len(rows), keys), dtype=bool)
        if scoring.causal:
            near &= position <= last
        if scoring.window is not None:
            near &= position > last - scoring.window
        allowed = near if allowed is None else allowed & near
    return allowed


def _softmax(scores: FloatArray, sinks: FloatArray | None) -> FloatArray:
    """Softmax along the last axis, in place; rows of -inf become zeros; ``sinks`` (heads,) join the denominator."""
    peak = scores.max(axis=-1, keepdims=True)
    if sinks is not None:
        peak = np.maximum(peak, sinks[:, None, None])
    peak = np.where(np.isneginf(peak), scores.dtype.type(0), peak)
    scores -= peak
    np.exp(scores, out=scores)
    total = scores.sum(axis=-1, keepdims=True)
    if sinks is not None:
        total = total + np.exp(sinks[:, None, None] - peak)
    scores /= np.where(total == 0, scores.dtype.type(1), total)
    return scores
