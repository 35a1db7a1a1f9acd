"""ONNX' own `Attention`, of opset 23 and later."""

from __future__ import annotations

import numpy as np
import onnx

from attncore.arrays import Array
from attncore.scoring import Scoring
from attncore_onnx.fused import (
    FusedOperator,
    Inputs,
    Operands,
    Source,
    at,
    attribute,
    both,
    heads_apart,
    needed,
    scale_of,
    whole,
    with_past,
)


def _attention(node: onnx.NodeProto, inputs: Inputs) -> Operands:
    query, key, value = (needed(inputs, place, name) for place, name in enumerate(("Q", "K", "V")))
    if query.ndim == 3:
        query = heads_apart(query, whole(node, "q_num_heads"))
        key, value = (heads_apart(one, whole(node, "kv_num_heads")) for one in (key, value))
    past = at(inputs, 4)
    key, value = with_past(past, key), with_past(at(inputs, 5), value)
    given, lengths = at(inputs, 3), at(inputs, 6)
    shape = (query.shape[2], key.shape[2])
    allowed, bias = _placed(node, shape, past, lengths), None
    if given is not None and given.dtype == bool:
        allowed = both(_reaching(given, shape[1]), allowed)
    elif given is not None:
        bias = _reaching(given, shape[1]).astype(np.float32)
    softcap = attribute(node, "softcap") or None
    scoring = Scoring(scale_of(node, query.shape[3]), mask=allowed, bias=bias, softcap=softcap)
    return Operands(query, key, value, scoring)


def _reaching(mask: Array, keys: int) -> Array:
    """A mask with four axes; keys that it does not reach are forbidden."""
    missing = keys - mask.shape[-1]
    filler = False if mask.dtype == bool else -np.inf
    if missing > 0:
        mask = np.pad(mask, ((0, 0),) * (mask.ndim - 1) + ((0, missing),), constant_values=filler)
    return mask.reshape((1,) * (4 - mask.ndim) + mask.shape)


def _placed(node: onnx.NodeProto, shape: tuple[int, int], past: Array | None, lengths: Array | None) -> Array | None:
    """What positions allow: causality, a window, and how many keys are none of padding; (batch, 1, query, key)."""
    queries, keys = shape
    position = np.arange(keys)[None, None, :]
    before = np.array([0 if past is None else past.shape[2]])
    if lengths is not None:
        before = lengths.reshape(-1).astype(np.int64) - queries
    here = before[:, None, None] + np.arange(queries)[None, :, None]
    left, right = whole(node, "left_window_size", -1), whole(node, "right_window_size", -1)
    limits = []
    if lengths is not None:
        limits.append(np.broadcast_to(position < lengths.reshape(-1, 1, 1), (len(before), queries, keys)))
    if whole(node, "is_causal"):
        limits.append(position <= here)
    if left >= 0:
        limits.append(position >= here - left)
    if right >= 0:
        limits.append(position <= here + right)
    return np.logical_and.reduce(limits)[:, None] if limits else None


def _sources(node: onnx.NodeProto, inputs: Inputs) -> tuple[Source, Source, Source]:
    past = [None if at(inputs, place) is None else place for place in (4, 5)]
    return Source(0), Source(1, past=past[0]), Source(2, past=past[1])


ATTENTION = FusedOperator(_attention, _sources)
