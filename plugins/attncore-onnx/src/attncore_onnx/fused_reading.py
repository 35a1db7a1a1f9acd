"""A fused operator in attncore's dataflow: where its query, key and value come from, and what becomes of its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from attncore.dataflow import Contract, Elementwise, Graph, Node, Opaque, Reshape, Slice, Transpose, Value
from attncore.dataflow_atoms import PARAMETER, tags_of
from attncore.dataflow_provenance import Provenance, parameters_of
from attncore.dataflow_sites import Rejection, ScoreSteps, Site
from attncore.dataflow_state import SINK
from attncore_onnx.fused import FusedOperator, Operands, Source

_LEARNED_KEYS = "a softmax over learned vectors, not over positions of the input, as in a router or a memory"
_LEARNED_QUERIES = "the queries are learned, not positions of the input"
_ALIKE = ((0, 0), (0, 1), (0, 2), (0, 3))


@dataclass(frozen=True, eq=False)
class FusedNode:
    """One fused operator of a graph; ``product`` is the node that stands for it in the dataflow."""

    node: onnx.NodeProto
    operator: FusedOperator
    product: Node
    vectors: tuple[Value, Value, Value]
    first: Operands


class FusedReader:
    """Adds fused operators to a graph, one at a time; ``given`` are a node's inputs, None where left out."""

    def __init__(self, graph: Graph, node: onnx.NodeProto, given: Sequence[Value | None]) -> None:
        self.graph, self.node, self.given = graph, node, given
        self.scope = scope_of(node)

    def add(
        self, operator: FusedOperator, sources: Sequence[Source], first: Operands, outputs: Sequence[Value]
    ) -> FusedNode:
        """Add the operator, with the shapes of ``first``, its operands in a run."""
        arrays = (first.query, first.key, first.value)
        query, key, value = (self._vectors(one, array.shape) for one, array in zip(sources, arrays, strict=True))
        batch, heads, queries, _ = first.query.shape
        mixed = Value((batch, heads, queries, first.value.shape[3]), query.dtype)
        axes = ((0, 0), (0, 1), (0, 2), (2, 3))
        product = self.graph.add(Opaque(self.node.op_type, (axes,)), (query, key, value), (mixed,), scope=self.scope)
        self._finish(mixed, outputs[0])
        for output, source in zip(outputs[1:], (key, value), strict=False):
            known = _ALIKE if len(output.shape) == 4 else ()
            self.graph.add(Opaque("cache", (known,)), (source,), (output,), scope=self.scope)
        return FusedNode(self.node, operator, product, (query, key, value), first)

    def _vectors(self, source: Source, shape: tuple[int, ...]) -> Value:
        """From an input to (batch, heads, length, head_dim)."""
        value = self._input(source.place)
        if source.projection:
            weight = self._input(source.projection[0])
            projected = Value((*value.shape[:2], weight.shape[1]), value.dtype)
            self.graph.add(Contract((0, 1, 2), (2, 3), (0, 1, 3)), (value, weight), (projected,), scope=self.scope)
            value = projected
            for place in source.projection[1:]:
                value = self._combined(value, self._input(place))
        if source.features is not None:
            value = self._cut(value, source.features)
        if source.bias is not None and len(value.shape) == 3:
            value = self._combined(value, self._input(source.bias))
        if len(value.shape) == 3:
            value = self._apart(value, shape)
        return value if source.past is None else self._cached(value, shape)

    def _input(self, place: int) -> Value:
        value = self.given[place]
        assert value is not None
        return value

    def _combined(self, value: Value, bias: Value) -> Value:
        """With a bias, of which a part may be meant: only its name matters."""
        output = Value(value.shape, value.dtype)
        known = tuple((0, axis) for axis in range(len(value.shape)))
        self.graph.add(Opaque("bias", (known,)), (value, bias), (output,), scope=self.scope)
        return output

    def _cut(self, value: Value, features: tuple[int, int]) -> Value:
        output = Value((*value.shape[:2], features[1] - features[0]), value.dtype)
        self.graph.add(Slice((None, None, (*features, 1))), (value,), (output,), scope=self.scope)
        return output

    def _apart(self, value: Value, shape: tuple[int, ...]) -> Value:
        batch, length, features = value.shape
        heads = shape[1]
        apart = Value((batch, length, heads, (features or 0) // heads), value.dtype)
        self.graph.add(Reshape(), (value,), (apart,), scope=self.scope)
        turned = Value((batch, heads, length, apart.shape[3]), value.dtype)
        self.graph.add(Transpose((0, 2, 1, 3)), (apart,), (turned,), scope=self.scope)
        return turned

    def _cached(self, value: Value, shape: tuple[int, ...]) -> Value:
        """With the positions of a cache before it: they are counted along the same axis."""
        output = Value(shape, value.dtype)
        self.graph.add(Opaque("cache", (_ALIKE,)), (value,), (output,), scope=self.scope)
        return output

    def _finish(self, mixed: Value, output: Value) -> None:
        """The heads side by side again, unless the operator leaves them apart."""
        if len(output.shape) == 4:
            self.graph.add(Elementwise("identity"), (mixed,), (output,), scope=self.scope)
            return
        batch, heads, queries, size = mixed.shape
        turned = Value((batch, queries, heads, size), mixed.dtype)
        self.graph.add(Transpose((0, 2, 1, 3)), (mixed,), (turned,), scope=self.scope)
        self.graph.add(Reshape(), (turned,), (output,), scope=self.scope)


def scope_of(node: onnx.NodeProto) -> str:
    """Where in the model a node is, by its name; what an optimizer fused is named anew, and its result is not."""
    for name in (node.name, node.output[0]):
        parts = [part for part in name.replace(".", "/").split("/") if part]
        if len(parts) > 1:
            return "/".join(parts[:-1])
    return node.name


def site_of(fused: FusedNode, provenance: Provenance) -> Site | Rejection:
    """The attention of a fused operator, as the finder would tell of one that is written out."""
    query, key, value = fused.vectors
    if not provenance.is_data(key):
        return Rejection(fused.product, (), _LEARNED_KEYS)
    scoring = fused.first.scoring
    query_source, key_source = _sources(provenance, query, key)
    notes = () if scoring.sinks is None else (SINK,)
    shape = (*fused.first.query.shape[:3], fused.first.key.shape[2])
    return Site(
        weights=Value(shape, query.dtype),
        query=query,
        key=key,
        value=value,
        layouts={},
        product=fused.product,
        scores=fused.product,
        around=(),
        output=fused.product.outputs[0],
        scoring=ScoreSteps(scoring.scale, softcap=scoring.softcap),
        notes=notes if provenance.is_data(query) else (*notes, _LEARNED_QUERIES),
        parameters={
            role: parameters_of(one, provenance) for role, one in (("query", query), ("key", key), ("value", value))
        },
        scope=fused.product.scope,
        query_source=query_source,
        key_source=key_source,
    )


def _sources(provenance: Provenance, query: Value, key: Value) -> tuple[object, object]:
    """What the positions of queries and keys are counted along; the same if they share an axis."""
    tags = [tags_of(provenance.axes(one)[2]) for one in (query, key)]
    of_query, of_key = (frozenset(tag for tag in one if "." in tag) for one in tags)
    if not of_query and PARAMETER in tags[0]:
        return "learned", of_key
    return ("the same", "the same") if of_query & of_key or not of_query else (of_query, of_key)
