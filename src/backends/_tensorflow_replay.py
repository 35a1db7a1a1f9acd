"""Runs the operations of a graph again in another one, opening what it calls.

The same walk serves twice: a `Watcher` that reads makes a dataflow of it, one that picks collects tensors from within.
A tensor is known by its path, as ``encoder/PartitionedCall/Softmax:0``, which is the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import tensorflow as tf

from ._tensorflow_private import copy_operation, inner_graph

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall", "RemoteCall"})
LOOPS = frozenset({"While", "StatelessWhile"})
BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})


@dataclass
class Frame:
    """One function's operations on their way into another graph: its tensors by name, as they are there."""

    path: str
    tensors: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, Any] = field(default_factory=dict)

    def inputs_of(self, operation: Any) -> list[Any]:
        """The new tensors that an operation of the old graph takes."""
        return [self.tensors[tensor.name] for tensor in operation.inputs]

    def key(self, name: str) -> str:
        """The path of a tensor or operation of this function."""
        return f"{self.path}/{name}" if self.path else name


class Watcher(Protocol):
    """What is to be done at each operation."""

    def made(self, frame: Frame, operation: Any, outputs: Sequence[Any]) -> None:
        """An operation was made anew."""

    def entered(self, outer: Frame, operation: Any, inner: Frame, graph: Any) -> None:
        """A call is opened: the inner frame's inputs are the operation's."""

    def left(self, outer: Frame, operation: Any, inner: Frame, graph: Any) -> None:
        """A call has been run."""

    def loop(self, replay: Replay, frame: Frame, operation: Any, inputs: Sequence[Any]) -> Sequence[Any] | None:
        """The outputs of a loop that is run turn by turn; None if it may be copied as it is."""

    def branches(self, replay: Replay, frame: Frame, operation: Any, inputs: Sequence[Any]) -> Sequence[Any] | None:
        """The outputs of a branch that is opened; None if it may be copied as it is."""


class Replay:
    """Walks graphs with a watcher."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher

    def run(self, graph: Any, inputs: Sequence[Any], path: str = "") -> list[Any]:
        """The outputs of a graph on these inputs, its operations made anew in the default graph."""
        frame = Frame(path)
        frame.tensors.update(zip((tensor.name for tensor in graph.inputs), inputs, strict=True))
        self.operations(graph, frame)
        return [frame.tensors[tensor.name] for tensor in graph.outputs]

    def operations(self, graph: Any, frame: Frame) -> None:
        """Every operation of a graph whose inputs the frame has already."""
        used = _used(graph)
        for operation in graph.get_operations():
            if operation.name not in used:
                continue
            given = operation.outputs and all(output.name in frame.tensors for output in operation.outputs)
            if not given:
                self._one(frame, operation)

    def _one(self, frame: Frame, operation: Any) -> None:
        inputs = frame.inputs_of(operation)
        before = [frame.operations[one.name] for one in operation.control_inputs if one.name in frame.operations]
        with tf.control_dependencies(before):
            outputs = self._opened(frame, operation, inputs)
            if outputs is None:
                made = copy_operation(operation, inputs)
                outputs = made.outputs
                _ranked(operation, outputs)
                self.watcher.made(frame, operation, outputs)
            elif outputs:
                made = outputs[0].op
            else:
                made = tf.no_op()
        frame.operations[operation.name] = made
        for old, new in zip(operation.outputs, outputs, strict=True):
            frame.tensors[old.name] = new

    def _opened(self, frame: Frame, operation: Any, inputs: Sequence[Any]) -> Sequence[Any] | None:
        """The outputs of an operation that calls functions; None of any other."""
        if operation.type in CALLS:
            return self._call(frame, operation, inputs)
        if operation.type in LOOPS:
            return self.watcher.loop(self, frame, operation, inputs)
        if operation.type in BRANCHES:
            return self.watcher.branches(self, frame, operation, inputs)
        return None

    def _call(self, frame: Frame, operation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        graph = inner_graph(operation.graph, operation.get_attr("f").name)
        inner = Frame(frame.key(operation.name))
        inner.tensors.update(zip((tensor.name for tensor in graph.inputs), inputs, strict=True))
        self.watcher.entered(frame, operation, inner, graph)
        self.operations(graph, inner)
        self.watcher.left(frame, operation, inner, graph)
        return [inner.tensors[tensor.name] for tensor in graph.outputs]


def _ranked(operation: Any, outputs: Sequence[Any]) -> None:
    """Give outputs the shapes that Python told TensorFlow of a lookup, say, which the operation does not know."""
    for old, new in zip(operation.outputs, outputs, strict=True):
        if new.shape.rank is None and new.dtype not in (tf.resource, tf.variant):
            new.set_shape(old.shape)


def _used(graph: Any) -> set[str]:
    """The operations that run: those that outputs, and what must happen, depend on."""
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    used: set[str] = set()
    while waiting:
        operation = waiting.pop()
        if operation.name not in used:
            used.add(operation.name)
            waiting += [tensor.op for tensor in operation.inputs]
            waiting += operation.control_inputs
    return used
