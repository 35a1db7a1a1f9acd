"""onnxruntime's own `Attention` and `MultiHeadAttention` (domain com.microsoft)."""

from __future__ import annotations

from collections.abc import Sequence

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
    causal_mask,
    heads_apart,
    needed,
    scale_of,
    whole,
    with_past,
)
from attncore_onnx.fused_masks import combined, filled, largest_score


def _hidden_sizes(node: onnx.NodeProto, total: int) -> tuple[int, int, int]:
    """How many of the projected features are query, key and value."""
    own = next((one.ints for one in node.attribute if one.name == "qkv_hidden_sizes"), None)
    return (own[0], own[1], own[2]) if own else (total // 3, total // 3, total // 3)


def _attention(node: onnx.NodeProto, inputs: Inputs) -> Operands:
    """Projects its input to query, key and value itself; the past is (2, batch, heads, length, head_dim)."""
    if whole(node, "do_rotary") or whole(node, "past_present_share_buffer") or at(inputs, 6) is not None:
        raise CannotRecomputeError("it turns its vectors or shares a buffer with its cache, which is not read here")
    states, weight = needed(inputs, 0, "input"), needed(inputs, 1, "weights")
    bias, past, heads = at(inputs, 2), at(inputs, 4), whole(node, "num_heads")
    projected = states @ weight
    if bias is not None:
        projected = projected + bias
    sizes = _hidden_sizes(node, projected.shape[-1])
    parts = np.split(projected, np.cumsum(sizes)[:2], axis=-1)
    query, key, value = (heads_apart(part, heads) for part in parts)
    if past is not None:
        key, value = with_past(past[0], key), with_past(past[1], value)
    return _with_scoring(node, query, key, value, at(inputs, 3), at(inputs, 5), 0 if past is None else past.shape[3])


def _multi_head_attention(node: onnx.NodeProto, inputs: Inputs) -> Operands:
    """Takes query, key and value; a key of (batch, heads, length, head_dim) is a cache of a cross-attention."""
    query, key, value = (at(inputs, place) for place in range(3))
    if query is None or query.ndim != 3 or key is None or value is None or key.ndim not in (3, 4):
        raise CannotRecomputeError("its query, key and value are packed into one tensor, which is not read here")
    if at(inputs, 8) is not None or at(inputs, 9) is not None:
        raise CannotRecomputeError("it shares a buffer with its cache, or follows beams, which is not read here")
    bias, heads = at(inputs, 3), whole(node, "num_heads")
    if bias is not None and key.ndim == 3:
        width = query.shape[-1]
        query, key, value = query + bias[:width], key + bias[width : 2 * width], value + bias[2 * width :]
    query = heads_apart(query, heads)
    if key.ndim == 3:
        key, value = (heads_apart(one, heads) for one in (key, value))
    past = at(inputs, 6)
    key, value = with_past(past, key), with_past(at(inputs, 7), value)
    return _with_scoring(node, query, key, value, at(inputs, 4), at(inputs, 5), 0 if past is None else past.shape[2])


def _with_scoring(
    node: onnx.NodeProto, query: Array, key: Array, value: Array, mask: Array | None, bias: Array | None, past: int
) -> Operands:
    """The part of the formula that both have; ``past`` is how many of the keys were cached."""
    batch, _, queries, head_dim = query.shape
    keys = key.shape[2]
    scale = scale_of(node, head_dim)
    causal = _causal(queries, keys, past) if whole(node, "unidirectional") else None
    lowered = None if mask is None else filled(mask, batch, queries, keys)
    amount = attribute(node, "mask_filter_value", -10000.0)
    assert amount is not None
    largest = 0.0 if lowered is None else largest_score(query, key, scale)
    allowed, added = combined(lowered, causal, bias, amount=amount, largest=largest)
    return Operands(query, key, value, Scoring(scale, mask=allowed, bias=added))


def _causal(queries: int, keys: int, past: int) -> Array:
    """What a causal query may look at; of keys that are longer than the queries, the kernel lets the last see all."""
    allowed = causal_mask(queries, keys, past)
    allowed[:, :, -1:] = True
    return allowed


def _attention_sources(node: onnx.NodeProto, inputs: Inputs) -> tuple[Source, Source, Source]:
    weight = needed(inputs, 1, "weights")
    ends = np.cumsum(_hidden_sizes(node, weight.shape[-1])).tolist()
    spans = [(0, ends[0]), (ends[0], ends[1]), (ends[1], ends[2])]
    projection: Sequence[int] = (1,) if at(inputs, 2) is None else (1, 2)
    past = None if at(inputs, 4) is None else 4
    sources = [Source(0, span, tuple(projection), past=past if number else None) for number, span in enumerate(spans)]
    return sources[0], sources[1], sources[2]


def _multi_head_sources(node: onnx.NodeProto, inputs: Inputs) -> tuple[Source, Source, Source]:
    bias = None if at(inputs, 3) is None else 3
    past = [None if at(inputs, place) is None else place for place in (6, 7)]
    return Source(0, bias=bias), Source(1, bias=bias, past=past[0]), Source(2, bias=bias, past=past[1])


ATTENTION = FusedOperator(_attention, _attention_sources)
MULTI_HEAD_ATTENTION = FusedOperator(_multi_head_attention, _multi_head_sources)
