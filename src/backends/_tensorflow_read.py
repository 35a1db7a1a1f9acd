"""Reads a TensorFlow graph: calls are opened, loops and branches become regions, the rest an operation or two."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from attncore.dataflow import Elementwise, Graph, Opaque, Origin, Region, Value

from ._tensorflow_numbers import Numbers
from ._tensorflow_operations import FILLS, add_operations
from ._tensorflow_private import copy_handle, inner_graph, scratch_graph, shape_behind
from ._tensorflow_program import Program, Shapes, branch_path, is_a_name, turn_path
from ._tensorflow_replay import Frame, Replay

_CALL = re.compile(r"(Stateful)?PartitionedCall(_\d+)?|RemoteCall(_\d+)?")
# Scopes that TensorFlow makes for control flow and for its own functions; they name no part of a model.
_CONTROL = re.compile(
    r"(while|cond|map|switch_case|case|loop_body|pfor|indexed_case|branch\d*|einsum|MatMul|BatchMatMulV2)(_\d+)?"
)
# Where TensorFlow puts the operations of a backward pass: those of a tape, and those of tf.gradients.
_BACKWARD = re.compile(r"gradient_tape|gradients(_\d+)?")
_TIMES = 6  # how often the shapes of a loop may turn out to be less fixed than thought


def read_program(graph: Any, inputs: Sequence[tuple[Any, str, Origin]]) -> Program:
    """The dataflow of a graph.

    Args:
        graph: a function's graph.
        inputs: for each of its inputs a tensor of the exact shape, its name, and what it is.
    """
    reader = Reader()
    with reader.scratch.as_default():
        tensors = [_placeholder(tensor) for tensor, _, _ in inputs]
        for old, new, (_, name, origin) in zip(graph.inputs, tensors, inputs, strict=True):
            value = value_of(new, origin, name)
            reader.note(old.name, value)
        reader.graph.inputs = [reader.values[old.name] for old in graph.inputs]
        Replay(reader).run(graph, tensors)
    reader.graph.outputs = [reader.values[old.name] for old in graph.outputs]
    return reader.program


def value_of(tensor: Any, origin: Origin = "result", name: str = "") -> Value:
    """A value of this tensor's shape; for the handle of a variable, of the variable's."""
    shape, dtype = tensor.shape, tensor.dtype
    behind = shape_behind(tensor) if dtype in (tf.resource, tf.variant) else None
    if behind is not None:
        shape, dtype = behind
    lengths = () if shape.rank is None else tuple(shape.as_list())
    return Value(lengths, dtype.name, origin, name)


def _has_rank(tensor: Any) -> bool:
    return tensor.shape.rank is not None or tensor.dtype in (tf.resource, tf.variant)


def _may_be_data(value: Value) -> bool:
    """Whether a value is made of anything but what was learned or is fixed."""
    waiting, seen = [value], set[Value]()
    while waiting:
        one = waiting.pop()
        if one.node is None and one.origin not in ("parameter", "constant"):
            return True
        if one.node is not None and one not in seen:
            seen.add(one)
            waiting += one.node.inputs
    return False


def _inside(tensor: Any, given: Value) -> Value:
    """A value for an input of a loop or branch; a list of arrays keeps the shape that it is followed with."""
    if tensor.dtype == tf.variant:
        return Value(given.shape, given.dtype)
    return value_of(tensor)


def _placeholder(tensor: Any, shape: Any = None) -> Any:
    made = tf.compat.v1.placeholder(tensor.dtype, tensor.shape if shape is None else shape)
    copy_handle(tensor, made)
    return made


class Reader:
    """Watches a replay in a scratch graph, and writes down what it sees."""

    def __init__(self) -> None:
        self.scratch = scratch_graph("attncore")
        self.program = Program(Graph([]))
        self.graph = self.program.graph
        self.values: dict[str, Value] = {}
        self._numbers = Numbers()
        self._regions: dict[str, Region] = {}

    def note(self, path: str, value: Value) -> None:
        """The value of the tensor of this path."""
        value.handle = path
        self.values[path] = value
        self.program.ranks[path] = len(value.shape)

    def made(self, frame: Frame, operation: Any, outputs: Sequence[Any]) -> None:
        """Give its outputs values, and add what it does to the graph."""
        inputs = tuple(self.values[frame.key(tensor.name)] for tensor in operation.inputs)
        path = frame.key(operation.name)
        values = tuple(self._value(operation, tensor, inputs) for tensor in outputs)
        if path in self._regions:
            results = self._regions[path].bodies[0].outputs
            values = tuple(_inside(*pair) for pair in zip(outputs, results, strict=True))
        for old, value in zip(operation.outputs, values, strict=True):
            self.note(frame.key(old.name), value)
        scope, before = scope_of(path), len(self.graph.nodes)
        if path in self._regions:
            node = self.graph.add(self._regions.pop(path), inputs, values, scope=scope)
            node.handle = path
        elif operation.type == "Const":
            values[0].origin = "constant"
        elif values:
            self._add(operation, inputs, outputs, values, scope)
        if any(_BACKWARD.fullmatch(part) for part in path.split("/")):
            self.graph.mark_backward(before)
        for tensor, value in zip(outputs, values, strict=True):
            value.constant = self._numbers.of(tensor)

    def _add(
        self, operation: Any, inputs: tuple[Value, ...], outputs: Sequence[Any], values: tuple[Value, ...], scope: str
    ) -> None:
        """What an operation does to axes; of arrays whose number of axes nobody knows, that it is not followed.

        Where their axes are known again, the data begins anew, as if it had been given like this.
        """
        kind, given = operation.type, outputs[0].op.inputs
        if kind.startswith("LookupTableFind") and values[0].shape == inputs[1].shape:
            self.graph.add(Elementwise("lookup"), inputs[1:2], values, scope=scope)
        elif kind in FILLS or all(map(_has_rank, (*given, *outputs))):
            add_operations(self.graph, operation, inputs, values, [self._numbers.of(one) for one in given], scope)
        elif all(map(_has_rank, outputs)) and any(map(_may_be_data, inputs)):
            for value in values:
                value.origin = "data"
        else:
            self.graph.add(Opaque(kind), inputs, values, scope=scope)

    def _value(self, operation: Any, tensor: Any, inputs: Sequence[Value]) -> Value:
        """A value for one output; lists of arrays are followed as an array with the items along its first axis."""
        value = value_of(tensor)
        if tensor.dtype != tf.variant or not inputs:
            return value
        if operation.type in ("TensorListReserve", "EmptyTensorList"):
            count = self._numbers.of(tensor.op.inputs[1])
            value.shape = (None if count is None else int(count), *value.shape)
        elif operation.type == "TensorListSetItem" and len(inputs[0].shape) != len(inputs[2].shape) + 1:
            value.shape, value.dtype = (*inputs[0].shape[:1], *inputs[2].shape), inputs[2].dtype
        else:
            value.shape, value.dtype = inputs[0].shape, inputs[0].dtype
        return value

    def entered(self, outer: Frame, operation: Any, inner: Frame, graph: Any) -> None:
        """A function's inputs are what it is called with."""
        for old, new in zip(operation.inputs, graph.inputs, strict=True):
            self.values[inner.key(new.name)] = self.values[outer.key(old.name)]

    def left(self, outer: Frame, operation: Any, inner: Frame, graph: Any) -> None:
        """A call's outputs are what the function gives back."""
        for old, new in zip(operation.outputs, graph.outputs, strict=True):
            self.values[outer.key(old.name)] = self.values[inner.key(new.name)]

    def loop(self, replay: Replay, frame: Frame, operation: Any, inputs: Sequence[Any]) -> None:
        """Read the body until the shapes hold from turn to turn; the operation itself is copied."""
        path = frame.key(operation.name)
        body = inner_graph(operation.graph, operation.get_attr("body").name)
        shapes = [tensor.shape for tensor in inputs]
        values = [self.values[frame.key(tensor.name)] for tensor in operation.inputs]
        for _ in range(_TIMES):
            graph, given = self._body(replay, body, inputs, values, shapes, turn_path(path))
            wider = [_common(before, after) for before, after in zip(shapes, given, strict=True)]
            if list(map(str, shapes)) == list(map(str, wider)):
                break
            shapes = wider
        self.program.loop_shapes[path] = shapes
        count = len(inputs)
        changes = [place for place in range(count) if not _is_same(graph.outputs[place], graph.inputs[place])]
        self._regions[path] = Region(
            "while",
            (graph,),
            operands=(tuple(range(count)),),
            results=(tuple(range(count)),),
            carried=tuple((place, place) for place in changes),
        )

    def branches(self, replay: Replay, frame: Frame, operation: Any, inputs: Sequence[Any]) -> None:
        """Read every branch; the operation itself is copied."""
        path = frame.key(operation.name)
        shapes = [tensor.shape for tensor in inputs[1:]]
        values = [self.values[frame.key(tensor.name)] for tensor in operation.inputs[1:]]
        graphs = tuple(
            self._body(replay, inner, inputs[1:], values, shapes, branch_path(path, number))[0]
            for number, inner in enumerate(branch_graphs(operation))
        )
        self._regions[path] = Region(
            "branch",
            graphs,
            operands=(tuple(range(1, len(inputs))),) * len(graphs),
            results=(tuple(range(len(operation.outputs))),) * len(graphs),
        )

    def _body(
        self, replay: Replay, graph: Any, inputs: Sequence[Any], values: Sequence[Value], shapes: Shapes, path: str
    ) -> tuple[Graph, Shapes]:
        """The dataflow of an inner graph, and the shapes of what it gives back."""
        outer, self.graph = self.graph, Graph([])
        try:
            with scratch_graph("attncore_body").as_default():
                tensors = [_placeholder(tensor, shape) for tensor, shape in zip(inputs, shapes, strict=True)]
                for old, new, given in zip(graph.inputs, tensors, values, strict=True):
                    self.note(f"{path}/{old.name}", _inside(new, given))
                outputs = replay.run(graph, tensors, path)
            found = self.graph
        finally:
            self.graph = outer
        found.inputs = [self.values[f"{path}/{old.name}"] for old in graph.inputs]
        found.outputs = [self.values[f"{path}/{old.name}"] for old in graph.outputs]
        return found, [tensor.shape for tensor in outputs]


def branch_graphs(operation: Any) -> list[Any]:
    """The graphs of all branches, that for a false condition first."""
    if operation.type in ("If", "StatelessIf"):
        names = [operation.get_attr(key).name for key in ("else_branch", "then_branch")]
    else:
        names = [one.name for one in operation.get_attr("branches")]
    return [inner_graph(operation.graph, name) for name in names]


def scope_of(path: str) -> str:
    """The names that people gave the places around an operation."""
    parts = path.split("/")[:-1]
    return "/".join(
        part for part in parts if is_a_name(part) and not (_CALL.fullmatch(part) or _CONTROL.fullmatch(part))
    )


def _common(before: Any, after: Any) -> Any:
    """The shape that two have in common: lengths that differ are not known."""
    if before.rank is None or after.rank is None or before.rank != after.rank:
        return tf.TensorShape(None)
    pairs = zip(before.as_list(), after.as_list(), strict=True)
    return tf.TensorShape([one if one == other else None for one, other in pairs])


def _is_same(value: Value, origin: Value) -> bool:
    """Whether a value is another one, handed on at most."""
    while value is not origin and value.node is not None and value.node.operation == Elementwise("identity"):
        value = value.node.inputs[0]
    return value is origin
