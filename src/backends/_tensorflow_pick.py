"""Runs a graph anew with tensors from anywhere inside it as further results.

A tensor inside a loop comes as three: the numbers of all turns one after the other, the shape of each turn's array, and
the number of its turn in each loop around it. So turns may differ in shape, and a branch that did not run gives none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from attncore.arrays import Array

from ._tensorflow_private import inner_graph
from ._tensorflow_program import Program, branch_path, is_inside, loops_around, turn_path
from ._tensorflow_read import branch_graphs
from ._tensorflow_replay import Frame, Replay


class Pick(NamedTuple):
    """A tensor that is wanted: its path, type and number of axes."""

    path: str
    dtype: Any
    rank: int


class Turns(NamedTuple):
    """Arrays of several turns: numbers (n,), shapes (turns, rank), places (turns, loops)."""

    numbers: Any
    shapes: Any
    places: Any


Found = dict[str, Any]


class Picker:
    """Watches a replay and keeps what is wanted."""

    def __init__(self, program: Program, picks: Mapping[str, Pick]) -> None:
        self.program = program
        self.picks = picks
        self.found: Found = {}

    def made(self, frame: Frame, operation: Any, outputs: Sequence[Any]) -> None:
        """Keep outputs that are wanted."""
        for old, new in zip(operation.outputs, outputs, strict=True):
            self.keep(frame.key(old.name), new)

    def keep(self, path: str, tensor: Any) -> None:
        """Keep a tensor, if it is wanted."""
        if path in self.picks:
            self.found[path] = _behind(tensor, self.picks[path].dtype)

    def entered(self, outer: Frame, operation: Any, inner: Frame, graph: Any) -> None:
        """Nothing: a function's inputs are known by the paths that they have outside."""

    def left(self, outer: Frame, operation: Any, inner: Frame, graph: Any) -> None:
        """Nothing: a call's outputs are known by the paths that they have inside."""

    def _within(self, path: str) -> dict[str, Pick]:
        return {key: pick for key, pick in self.picks.items() if is_inside(key, path)}

    def _body(self, graph: Any, path: str, picks: Mapping[str, Pick], inputs: Sequence[Any]) -> tuple[list[Any], Found]:
        """The outputs of an inner graph, and what is wanted of it."""
        inner = Picker(self.program, picks)
        for old, new in zip(graph.inputs, inputs, strict=True):
            inner.keep(f"{path}/{old.name}", new)
        return Replay(inner).run(graph, inputs, path), inner.found

    def loop(self, replay: Replay, frame: Frame, operation: Any, inputs: Sequence[Any]) -> Sequence[Any] | None:
        """Run the loop with a list for each tensor wanted; None where nothing in it is."""
        path = frame.key(operation.name)
        wanted = self._within(path)
        if not wanted:
            return None
        depths = {key: loops_around(key, path) for key in wanted}
        test, body = (inner_graph(operation.graph, operation.get_attr(name).name) for name in ("cond", "body"))

        def goes_on(turn: Any, state: Any, kept: Any) -> Any:
            return self._body(test, f"{path}/test", {}, state)[0][0]

        def one_turn(turn: Any, state: Any, kept: Any) -> Any:
            outputs, found = self._body(body, turn_path(path), wanted, state)
            kept = [_written(lists, turn, found[key]) for (key, lists) in zip(wanted, kept, strict=True)]
            return turn + 1, outputs, kept

        kept = [_lists(pick, depths[key]) for key, pick in wanted.items()]
        shapes = self.program.loop_shapes[path]
        anything = [Turns(*(tf.TensorShape(None),) * 3)] * len(kept)
        _, outputs, kept = tf.while_loop(
            goes_on,
            one_turn,
            (tf.constant(0), list(inputs), kept),
            shape_invariants=(tf.TensorShape([]), list(shapes), anything),
            parallel_iterations=operation.get_attr("parallel_iterations"),
        )
        for key, lists in zip(wanted, kept, strict=True):
            self.found[key] = Turns(*(one.concat() for one in lists))
        return list(outputs)

    def branches(self, replay: Replay, frame: Frame, operation: Any, inputs: Sequence[Any]) -> Sequence[Any] | None:
        """Run the branch that is to run; None where nothing is wanted in any."""
        path = frame.key(operation.name)
        wanted = self._within(path)
        if not wanted:
            return None
        which, given = inputs[0], list(inputs[1:])

        def branch(number: int, graph: Any) -> Callable[[], Any]:
            def run() -> Any:
                own = {key: pick for key, pick in wanted.items() if key.startswith(f"{branch_path(path, number)}/")}
                outputs, found = self._body(graph, branch_path(path, number), own, given)
                kept = [
                    _as_turns(found[key]) if key in own else _nothing(pick, loops_around(key, path))
                    for key, pick in wanted.items()
                ]
                return outputs, kept

            return run

        several = [branch(number, graph) for number, graph in enumerate(branch_graphs(operation))]
        if operation.type in ("If", "StatelessIf"):
            which = tf.cast(tf.cast(which, tf.bool), tf.int32)
        outputs, kept = tf.switch_case(which, several)
        self.found.update(zip(wanted, (Turns(*one) for one in kept), strict=True))
        return list(outputs)


def _behind(tensor: Any, dtype: Any) -> Any:
    """The numbers themselves, of a handle of a variable or a list of arrays."""
    if tensor.dtype == tf.resource:
        return tf.raw_ops.ReadVariableOp(resource=tensor, dtype=dtype)
    if tensor.dtype == tf.variant:
        return tf.raw_ops.TensorListStack(input_handle=tensor, element_shape=-1, element_dtype=dtype)
    return tensor


def _as_turns(found: Any) -> Turns:
    """A tensor as the arrays of one turn of no loop."""
    if isinstance(found, Turns):
        return found
    return Turns(tf.reshape(found, (-1,)), tf.shape(found)[None], tf.zeros((1, 0), tf.int32))


def _nothing(pick: Pick, loops: int) -> Turns:
    return Turns(tf.zeros((0,), pick.dtype), tf.zeros((0, pick.rank), tf.int32), tf.zeros((0, loops), tf.int32))


def _lists(pick: Pick, loops: int) -> Turns:
    """Empty lists to be filled turn by turn."""

    def make(dtype: Any, *rest: int) -> Any:
        return tf.TensorArray(dtype, size=0, dynamic_size=True, infer_shape=False, element_shape=(None, *rest))

    return Turns(make(pick.dtype), make(tf.int32, pick.rank), make(tf.int32, loops))


def _written(lists: Turns, turn: Any, found: Any) -> Turns:
    """The lists with what one turn gave."""
    found = _as_turns(found)
    own = tf.fill((tf.shape(found.places)[0], 1), turn)
    found = found._replace(places=tf.concat([own, found.places], axis=1))
    return Turns(*(one.write(turn, part) for one, part in zip(lists, found, strict=True)))


Placed = list[tuple[tuple[int, ...], Array]]


def arrays_of(found: Any) -> Placed:
    """What was picked up, in numpy: each array with the turns of the loops that it was made in."""
    if not isinstance(found, (Turns, tuple, list)):
        return [((), found.numpy())]
    numbers, shapes, places = (np.asarray(one.numpy()) for one in found)
    ends = np.cumsum(np.prod(shapes, axis=1, dtype=np.int64))
    parts = np.split(numbers, ends[:-1]) if len(ends) else []
    return [
        (tuple(int(turn) for turn in place), part.reshape(shape))
        for place, shape, part in zip(places, shapes, parts, strict=True)
    ]
