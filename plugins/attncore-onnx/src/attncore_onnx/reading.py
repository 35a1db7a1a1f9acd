"""Reads an ONNX graph into attncore's dataflow, with the shapes that its results had in a run."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import numpy_helper

from attncore.arrays import Array
from attncore.dataflow import Graph, Value
from attncore_onnx.operations import add_node

_FEW = 64


class Read:
    """``graph`` is the dataflow; ``values`` are its values by the names of the tensors."""

    def __init__(self, model: onnx.ModelProto, feeds: Mapping[str, Array], results: Mapping[str, Array]) -> None:
        self.values: dict[str, Value] = {}
        self.weights: dict[str, Array] = {}
        self._results = results
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            self.weights[tensor.name] = array
            learned = array.dtype.kind == "f" and array.ndim > 0
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
        if node.op_type != "Constant":
            scope = "/".join(part for part in node.name.split("/")[:-1] if part)
            add_node(self.graph, node, inputs, tuple(outputs), scope)


def _path(name: str) -> str:
    """A weight's name as a path; empty for names that an exporter made up."""
    return "" if "::" in name or name.isdigit() else name.replace(".", "/")
