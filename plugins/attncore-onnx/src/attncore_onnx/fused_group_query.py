"""onnxruntime's `GroupQueryAttention` (domain com.microsoft): a cache, rotary positions, windows, sinks."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from attncore.arrays import Array
from attncore.scoring import Scoring
from attncore_onnx.fused import (
    CannotRecomputeError,
    FusedOperator,
    Inputs,
    Operands,
    Source,
    at,
    attribute,
    heads_apart,
    needed,
    scale_of,
    whole,
)


def _group_query_attention(node: onnx.NodeProto, inputs: Inputs) -> Operands:
    _refuse(node, inputs)
    query, key, value = _heads(node, inputs)
    queries = query.shape[2]
    totals = needed(inputs, 5, "seqlens_k").reshape(-1).astype(np.int64) + 1
    is_prompt = int(needed(inputs, 6, "total_sequence_length").reshape(-1)[0]) == queries
    before = np.zeros_like(totals) if is_prompt else totals - queries
    if whole(node, "do_rotary"):
        places = _positions(at(inputs, 9), before, queries, is_prompt)
        cosines, sines = needed(inputs, 7, "cos_cache"), needed(inputs, 8, "sin_cache")
        interleaved = bool(whole(node, "rotary_interleaved"))
        query, key = (_turned(one, cosines[places], sines[places], interleaved) for one in (query, key))
    keys = int(totals.max())
    key, value = (_continued(at(inputs, place), new, before, keys) for place, new in ((3, key), (4, value)))
    bias = at(inputs, 10)
    scoring = Scoring(
        scale_of(node, query.shape[3]),
        mask=_allowed(node, queries, keys, before, totals),
        bias=None if bias is None else bias[..., :keys],
        softcap=attribute(node, "softcap") or None,
        sinks=_sinks(node, at(inputs, 11)),
    )
    padded = before[:, None] + np.arange(queries)[None, :] >= totals[:, None]
    return Operands(query, key, value, scoring, padded if padded.any() else None)


def _refuse(node: onnx.NodeProto, inputs: Inputs) -> None:
    """What is not read here.

    Raises:
        CannotRecomputeError: the node has something of that.
    """
    past = at(inputs, 3)
    if (past is not None and past.dtype.kind != "f") or at(inputs, 12) is not None:
        raise CannotRecomputeError("its cache is quantised, so that the keys it used are not those that can be read")
    if at(inputs, 14) is not None:
        raise CannotRecomputeError("it normalises queries and keys inside, which is not read here")
    if at(inputs, 16) is not None:
        raise CannotRecomputeError("its queries are chunks of different lengths (query_seqlens), not read here")
    if whole(node, "sliding_window_cache"):
        raise CannotRecomputeError("its cache is a window that throws old keys away, not read here")


def _heads(node: onnx.NodeProto, inputs: Inputs) -> tuple[Array, Array, Array]:
    """Query, key and value, (batch, heads, length, head_dim), which may come packed into one input."""
    query = needed(inputs, 0, "query")
    heads, kv_heads = whole(node, "num_heads"), whole(node, "kv_num_heads")
    key, value = at(inputs, 1), at(inputs, 2)
    if key is None or value is None:
        apart = heads_apart(query, heads + 2 * kv_heads)
        return apart[:, :heads], apart[:, heads : heads + kv_heads], apart[:, heads + kv_heads :]
    return heads_apart(query, heads), heads_apart(key, kv_heads), heads_apart(value, kv_heads)


def _positions(given: Array | None, before: Array, queries: int, is_prompt: bool) -> Array:
    """The rotary position of each new token, (batch, query); of a prompt the kernel reads only where it begins."""
    steps = np.arange(queries)[None, :]
    if given is not None and not is_prompt:
        return np.asarray(given).reshape(len(before), queries)
    start = 0 if given is None else int(given.reshape(-1)[0])
    return np.asarray(before[:, None] + start + steps)


def _turned(array: Array, cosines: Array, sines: Array, interleaved: bool) -> Array:
    """Rotary embedding of the first features; ``cosines`` and ``sines`` are (batch, length, half of them)."""
    half = cosines.shape[-1]
    cosines, sines = cosines[:, None], sines[:, None]
    first: Any = (..., slice(0, 2 * half, 2)) if interleaved else (..., slice(0, half))
    second: Any = (..., slice(1, 2 * half, 2)) if interleaved else (..., slice(half, 2 * half))
    result = np.array(array)
    result[first] = array[first] * cosines - array[second] * sines
    result[second] = array[first] * sines + array[second] * cosines
    return result


def _continued(past: Array | None, new: Array, before: Array, keys: int) -> Array:
    """The cached positions of each item and then its new ones, as many as the longest item has."""
    batch, heads, length, head_dim = new.shape
    result = np.zeros((batch, heads, max(keys, int(before.max()) + length), head_dim), new.dtype)
    for item, start in enumerate(before.tolist()):
        if past is not None and start > 0:
            result[item, :, :start] = past[item, :, :start]
        result[item, :, start : start + length] = new[item]
    return result[:, :, :keys]


def _allowed(node: onnx.NodeProto, queries: int, keys: int, before: Array, totals: Array) -> Array:
    """What each query may attend to, (batch, 1, query, key); rows of padding, which mean nothing, to nothing."""
    here = before[:, None, None] + np.arange(queries)[None, :, None]
    position = np.arange(keys)[None, None, :]
    allowed = (position < totals[:, None, None]) & (here < totals[:, None, None])
    if whole(node, "causal", 1):
        allowed &= position <= here
    window = whole(node, "local_window_size", -1)
    if window > 0:
        allowed &= position > here - window
    return allowed[:, None]


def _sinks(node: onnx.NodeProto, given: Array | None) -> Array | None:
    """The score of each head's sink, (heads,)."""
    if given is not None:
        return given.astype(np.float32)
    return np.zeros(whole(node, "num_heads"), np.float32) if whole(node, "smooth_softmax") == 1 else None


def _sources(node: onnx.NodeProto, inputs: Inputs) -> tuple[Source, Source, Source]:
    past = [None if at(inputs, place) is None else place for place in (3, 4)]
    if at(inputs, 1) is not None:
        return Source(0), Source(1, past=past[0]), Source(2, past=past[1])
    heads, kv_heads = whole(node, "num_heads"), whole(node, "kv_num_heads")
    features = needed(inputs, 0, "query").shape[-1]
    size = features // (heads + 2 * kv_heads)
    ends = (heads * size, (heads + kv_heads) * size)
    return (
        Source(0, (0, ends[0])),
        Source(0, (ends[0], ends[1]), past=past[0]),
        Source(0, (ends[1], features), past=past[1]),
    )


GROUP_QUERY_ATTENTION = FusedOperator(_group_query_attention, _sources)
