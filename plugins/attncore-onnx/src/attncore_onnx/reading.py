"""Reads an ONNX graph into attncore's dataflow, with the shapes that its results had in a run."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import numpy_helper

from attncore.arrays import Array
from attncore.dataflow import Graph, Value
from attncore_onnx.fused import CannotRecomputeError
from attncore_onnx.fused_kinds import fused_operator, why_hidden, with_remedy
from attncore_onnx.fused_reading import FusedNode, FusedReader, scope_of
from attncore_onnx.fused_running import operands_of
from attncore_onnx.operations import ELEMENTWISE, add_node

_FEW = 64


class Read:
    """``graph`` is the dataflow; ``values`` are its values by the names of the tensors.

    ``fused`` are the operators that do a whole attention; ``hidden`` says why of
    operators that do one and cannot be recomputed, by the names of their first outputs.
    """

    def __init__(self, model: onnx.ModelProto, feeds: Mapping[str, Array], results: Mapping[str, Array]) -> None:
        self.values: dict[str, Value] = {}
        self.weights: dict[str, Array] = {}
        self.fused: list[FusedNode] = []
        self.hidden: dict[str, str] = {}
        self._results = results
        self._feeds = feeds
        folded = _folded(model)
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            self.weights[tensor.name] = array
            learned = array.dtype.kind == "f" and array.ndim > 0 and tensor.name not in folded
            value = Value(array.shape, str(array.dtype), "parameter" if learned else "constant", _path(tensor.name))
            self._note(tensor.name, value, array)
        for name, array in feeds.items():
            self._note(name, Value(array.shape, str(array.dtype), "data", name), None)
        self.graph = Graph([self.values[name] for name in feeds])
        for node in model.graph.node:
            self._read(node)
        self.graph.outputs = [self.values[one.name] for one in model.graph.output if one.name in self.values]

    def _note(self, name: str, value: Value, array: Array | None) -> None:
        value.handle = name
        value.constant = array if array is not None and array.size <= _FEW else None
        self.values[name] = value

    def _read(self, node: onnx.NodeProto) -> None:
        inputs = tuple(self.values[name] for name in node.input if name)
        outputs = []
        for name in node.output:
            array = self._results.get(name)
            shape = () if array is None else array.shape
            value = Value(shape, "" if array is None else str(array.dtype))
            if node.op_type == "Constant":
                value.origin = "constant"
            # Numbers that do not depend on the input's contents: shapes, positions, scales.
            fixed = array is not None and all(one.constant is not None or one.origin == "constant" for one in inputs)
            self._note(name, value, array if fixed or node.op_type in ("Shape", "Size") else None)
            outputs.append(value)
        if node.op_type != "Constant" and not self._is_fused(node, outputs):
            hides = node.output[0] in self.hidden
            scope = scope_of(node) if hides else "/".join(part for part in node.name.split("/")[:-1] if part)
            add_node(self.graph, node, inputs, tuple(outputs), scope, hides=hides)

    def _is_fused(self, node: onnx.NodeProto, outputs: list[Value]) -> bool:
        """Add an operator that does a whole attention, if this is one and its weights can be recomputed."""
        operator = fused_operator(node)
        if operator is None:
            reason = why_hidden(node)
            if reason is not None:
                self.hidden[node.output[0]] = reason
            return False
        given = [self.values[name] if name else None for name in node.input]
        arrays = [self._array(name) if name else None for name in node.input]
        try:
            first = operands_of(operator, node, arrays)
        except CannotRecomputeError as error:
            self.hidden[node.output[0]] = with_remedy(str(error))
            return False
        sources = operator.sources(node, arrays)
        self.fused.append(FusedReader(self.graph, node, given).add(operator, sources, first, outputs))
        return True

    def _array(self, name: str) -> Array | None:
        """A tensor's numbers, wherever they are."""
        return next((held[name] for held in (self.weights, self._feeds, self._results) if name in held), None)


def _folded(model: onnx.ModelProto) -> set[str]:
    """Initializers that were computed when the model was exported for one batch size, and were never learned.

    They have a batch axis of their own and are only added to something, or multiplied with it, number by number. Taken
    for parameters, they would make heads of the batch.
    """
    found = {one.name for one in model.graph.initializer if len(one.dims) >= 3 and one.dims[0] > 1}
    for node in model.graph.node:
        if node.op_type not in ELEMENTWISE:
            found -= set(node.input)
    return found


def _path(name: str) -> str:
    """A weight's name as a path; empty for names that an exporter made up."""
    return "" if "::" in name or name.isdigit() else name.replace(".", "/")
