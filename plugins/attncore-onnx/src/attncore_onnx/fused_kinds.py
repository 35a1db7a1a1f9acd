"""The operators that do a whole attention: which are recomputed, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from attncore_onnx import fused_contrib, fused_group_query, fused_standard
from attncore_onnx.fused import FusedOperator

_CONTRIB = "com.microsoft"
_RECOMPUTED = {
    (_CONTRIB, "Attention"): fused_contrib.ATTENTION,
    (_CONTRIB, "MultiHeadAttention"): fused_contrib.MULTI_HEAD_ATTENTION,
    (_CONTRIB, "GroupQueryAttention"): fused_group_query.GROUP_QUERY_ATTENTION,
    ("", "Attention"): fused_standard.ATTENTION,
}
_REMEDY = "; export the model without attention fusion"
_QUANTISED = "its arithmetic is quantised, so that its weights do not follow exactly from anything in the graph"
_PACKED = "the sequences of a batch are packed into one without padding, so that it has no (query, key) axes of its own"
_PAGED = "its keys lie in pages of a cache that the graph does not show in order"
_SPARSE = "which keys it reads is decided inside, by blocks or windows"
_NO_SOFTMAX = "it has no softmax, so that there are no weights to show"
_ONE_STEP = "it reads a shared cache in an order of its own, one step of generation at a time"
_REASONS = {
    "DecoderAttention": _ONE_STEP,
    "DecoderMaskedMultiHeadAttention": _ONE_STEP,
    "DecoderMaskedSelfAttention": _ONE_STEP,
    "DynamicSparseAttention": _SPARSE,
    "LinearAttention": _NO_SOFTMAX,
    "LinearAttentionGate": _NO_SOFTMAX,
    "LongformerAttention": _SPARSE,
    "PackedAttention": _PACKED,
    "PackedMultiHeadAttention": _PACKED,
    "PagedAttention": _PAGED,
    "QAttention": _QUANTISED,
    "QOrderedAttention": _QUANTISED,
    "QOrderedLongformerAttention": _QUANTISED,
    "SparseAttention": _SPARSE,
    "SparsePagedAttention": _PAGED,
}
_UNKNOWN = "an operator whose name says attention and whose formula is not known here"
_INSIDE = "{found} inside, in a graph of its own whose results onnxruntime does not hand out; {advice}"
_ADVICE = {
    "If": "export the branch that is meant",
    "Loop": "export the steps one after the other, or one step as a model",
    "Scan": "export the steps one after the other, or one step as a model",
}


def fused_operator(node: onnx.NodeProto) -> FusedOperator | None:
    """How to recompute what a node hides; None where that is not known."""
    return _RECOMPUTED.get(("" if node.domain == "ai.onnx" else node.domain, node.op_type))


def why_hidden(node: onnx.NodeProto) -> str | None:
    """Why the weights inside a node are not shown; None for one that does no attention."""
    found = sorted(
        {inner.op_type for inner in _inner_nodes(node) if inner.op_type == "Softmax" or _is_attention(inner)}
    )
    if found:
        advice = _ADVICE.get(node.op_type, "export it written out")
        return _INSIDE.format(found=" and ".join(found), advice=advice)
    if not _is_attention(node):
        return None
    reason = _REASONS.get(node.op_type, _UNKNOWN)
    return reason if reason == _NO_SOFTMAX else reason + _REMEDY


def with_remedy(reason: str) -> str:
    """A reason why a fused operator's weights are not shown, and what can be done."""
    return reason + _REMEDY


def _is_attention(node: onnx.NodeProto) -> bool:
    return "attention" in node.op_type.lower()


def _inner_nodes(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """The nodes of the graphs inside a node, and inside these."""
    for one in node.attribute:
        for graph in (one.g, *one.graphs):
            for inner in graph.node:
                yield inner
                yield from _inner_nodes(inner)
