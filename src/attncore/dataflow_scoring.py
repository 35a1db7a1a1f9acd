"""Which steps lie between the product of query and key and the softmax, where all of them are understood.

Weights are computed again from query and key only by what is listed here. One step more, and those of the model are
kept, whatever the options say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attncore.dataflow import (
    Broadcast,
    Elementwise,
    Node,
    Operation,
    Reduce,
    Reshape,
    Softmax,
    Transpose,
    Value,
    number_of,
)
from attncore.dataflow_roles import Roles
from attncore.dataflow_sites import Placed, ScoreSteps
from attncore.dataflow_stages import Follower


def steps_between(follower: Follower, weights: Value, roles: Roles) -> ScoreSteps | None:
    """The steps from ``follower.scores`` to the softmax that gives ``weights``; None if one is not understood."""
    softmax = _SoftmaxReader(follower, roles)
    before = softmax.scores_of(weights)
    chain = None if before is None else _chain(follower, before)
    if chain is None:
        return None
    steps: ScoreSteps | None = ScoreSteps()
    capped: float | None = None
    shifted = False
    for node in reversed(chain):
        if steps is None:
            return None
        if capped is not None:
            factor = _factor(node, follower)
            if not factor:
                return None
            # cap * tanh(s / cap): what came before the tanh was divided by the cap.
            steps, capped = replace(steps, scale=steps.scale * factor, softcap=factor), None
        elif softmax.is_shift(node):
            shifted = True
        elif node.operation == Elementwise("tanh"):
            if steps.masks or steps.biases or steps.softcap is not None or shifted:
                return None
            capped = 1.0
        else:
            steps = _with(steps, node, follower, roles)
    return steps if capped is None else None


def _chain(follower: Follower, before: Value) -> list[Node] | None:
    """The nodes on the scores' way to a softmax, the last first, without those that only move numbers."""
    value = before
    chain: list[Node] = []
    while value is not follower.scores.outputs[0]:
        node = value.node
        if node is None:
            return None
        marked = [one for one in node.inputs if _is_scores(follower, one)]
        if len(marked) != 1:
            return None
        if isinstance(node.operation, Elementwise):
            if not _is_same(node):
                chain.append(node)
        elif not isinstance(node.operation, Transpose | Reshape | Broadcast):
            return None
        value = marked[0]
    return chain


def _is_scores(follower: Follower, value: Value) -> bool:
    state = follower.state(value)
    return state is not None and state.stage == "scores"


def _with(steps: ScoreSteps, node: Node, follower: Follower, roles: Roles) -> ScoreSteps | None:
    assert isinstance(node.operation, Elementwise)
    function = node.operation.function
    factor = _factor(node, follower)
    if factor is not None:
        started = steps.masks or steps.biases or steps.softcap is not None
        return None if started else replace(steps, scale=steps.scale * factor)
    others = [one for one in node.inputs if not _is_scores(follower, one)]
    if any(follower.state(one) is not None for one in others):
        return None
    if function == "add" and not steps.masks:
        place = _placed(others[0], node, follower, roles)
        return None if place is None else replace(steps, biases=(*steps.biases, place))
    if function == "select" and _is_scores(follower, node.inputs[1]) and _is_minus_infinity(node.inputs[2]):
        place = _placed(node.inputs[0], node, follower, roles)
        return None if place is None else replace(steps, masks=(*steps.masks, place))
    return None


def _factor(node: Node, follower: Follower) -> float | None:
    """The number that the scores are multiplied by, if the node does only that."""
    if node.operation not in (Elementwise("mul"), Elementwise("div")):
        return None
    others = [one for one in node.inputs if not _is_scores(follower, one)]
    number = None if len(others) != 1 else number_of(others[0])
    if not number or (node.operation == Elementwise("div") and others[0] is node.inputs[0]):
        return None
    return 1 / number if node.operation == Elementwise("div") else number


def _is_minus_infinity(value: Value) -> bool:
    number = number_of(value)
    return number is not None and bool(np.isneginf(number))


def _placed(value: Value, node: Node, follower: Follower, roles: Roles) -> Placed | None:
    output = node.outputs[0]
    if not value.shape or len(value.shape) > len(output.shape):
        return None
    axes = follower.axes(output)[len(output.shape) - len(value.shape) :]
    kept = tuple(() if length == 1 else axis for length, axis in zip(value.shape, axes, strict=True))
    layout = roles.layout(kept)
    return None if layout is None else Placed(value, layout)


class _SoftmaxReader:
    """Reads a softmax over the keys backwards from its weights, by its operations and none that is not known.

    It is one operation, exponentials divided by their sum, or exponentials of logarithms, with or without the largest
    score taken away. A mask on the exponentials, a sum with more in it, or one over another axis is none of these.
    """

    def __init__(self, follower: Follower, roles: Roles) -> None:
        self._follower = follower
        atoms = [atom for axis in follower.axes(follower.scores.outputs[0]) for atom in axis]
        self._keys = {atom.place for atom in atoms if roles.role(atom) == "last"}
        # Axes of length 1 get lost on the way, and change nothing.
        self._needed = {atom.place for atom in atoms if atom.place in self._keys and atom.length != 1}

    def scores_of(self, weights: Value) -> Value | None:
        """The scores that these weights are a plain softmax of over all keys; None of anything else."""
        node = _moved(weights).node
        if node is None:
            return None
        match node.operation:
            case Softmax(axis, log):
                return node.inputs[0] if not log and self._over_keys(node.inputs[0], (axis,)) else None
            case Elementwise("div"):
                return self._divided(*node.inputs)
            case Elementwise("mul"):
                pairs = (node.inputs, node.inputs[::-1])
                inverses = [(one, total) for one, other in pairs if (total := _inverted(other)) is not None]
                return self._divided(*inverses[0]) if len(inverses) == 1 else None
            case Elementwise("exp"):
                return self._of_logarithm(node.inputs[0])
        return None

    def is_shift(self, node: Node) -> bool:
        """Whether the same number is taken away from all scores of a row, which changes no weight."""
        if node.operation != Elementwise("sub"):
            return False
        scores, taken = node.inputs
        if not _is_scores(self._follower, scores) or len(taken.shape) > len(scores.shape):
            return False
        axes = self._follower.axes(scores)[len(scores.shape) - len(taken.shape) :]
        return all(
            length == 1 or not any(atom.place is None or atom.place[:2] in self._keys for atom in axis)
            for length, axis in zip(_own_lengths(taken), axes, strict=True)
        )

    def _divided(self, exponentials: Value, divisor: Value) -> Value | None:
        """The exponents, where the exponentials are divided by their sum over the keys and nothing else."""
        summed = self._summed(divisor)
        if summed is None or summed is not _uncast(exponentials) or not self._aligned(divisor, exponentials):
            return None
        return _input_of(summed, Elementwise("exp"))

    def _of_logarithm(self, value: Value) -> Value | None:
        """The scores of which this is the logarithm of a softmax."""
        node = _moved(value).node
        if node is None:
            return None
        if isinstance(node.operation, Softmax):
            source = node.inputs[0]
            return source if node.operation.log and self._over_keys(source, (node.operation.axis,)) else None
        if node.operation != Elementwise("sub"):
            return None
        scores, total = node.inputs
        if self._log_total_of(total) is not _uncast(scores) or not self._aligned(total, scores):
            return None
        return scores

    def _log_total_of(self, value: Value) -> Value | None:
        """The exponents whose exponentials' sum over the keys this is the logarithm of."""
        node = _moved(value).node
        if node is None:
            return None
        if isinstance(node.operation, Reduce) and node.operation.function == "logsumexp":
            return _uncast(node.inputs[0]) if self._over_keys(node.inputs[0], node.operation.axes) else None
        if node.operation != Elementwise("add"):
            return self._logged(value)
        one, other = node.inputs
        log, added = (one, other) if self._logged(one) is not None else (other, one)
        exponents = self._logged(log)
        taken = None if exponents is None else exponents.node
        if (
            taken is None
            or taken.operation != Elementwise("sub")
            or not all(self._aligned(one, node.outputs[0]) for one in node.inputs)
        ):
            return None
        scores, peak = taken.inputs
        is_given_back = _moved(peak) is _moved(added) and self._aligned(peak, scores)
        return _uncast(scores) if is_given_back else None

    def _logged(self, value: Value) -> Value | None:
        """The exponents, of the plain logarithm of a sum."""
        total = _input_of(_moved(value), Elementwise("log"))
        # JAX takes the absolute value of a sum that is positive.
        positive = None if total is None else _input_of(_moved(total), Elementwise("abs"))
        summed = None if total is None else self._summed(positive or total)
        exponents = None if summed is None else _input_of(summed, Elementwise("exp"))
        return None if exponents is None else _uncast(exponents)

    def _summed(self, value: Value) -> Value | None:
        """What this is the sum of over the keys."""
        node = _moved(value).node
        if node is None or not isinstance(node.operation, Reduce) or node.operation.function != "sum":
            return None
        return _uncast(node.inputs[0]) if self._over_keys(node.inputs[0], node.operation.axes) else None

    def _over_keys(self, value: Value, axes: Sequence[int]) -> bool:
        own = self._follower.axes(value)
        places = {atom.place for at in axes for atom in own[at]}
        return bool(places) and self._needed <= places <= self._keys

    def _aligned(self, part: Value, whole: Value) -> bool:
        """Whether each axis of a part meets that axis of the whole that it is: lengths alone do not tell."""
        own, full = self._follower.axes(part), self._follower.axes(whole)
        return len(own) <= len(full) and all(
            length == 1 or ([atom.place for atom in one] == [atom.place for atom in other] and one and None not in one)
            for length, one, other in zip(part.shape[::-1], own[::-1], full[::-1], strict=False)
        )


def _is_same(node: Node) -> bool:
    """Whether a node gives the numbers that it was given, rounded at most."""
    function = node.operation.function if isinstance(node.operation, Elementwise) else ""
    return function == "identity" or (function == "cast" and node.outputs[0].dtype.startswith(("float", "bfloat")))


def _uncast(value: Value) -> Value:
    """A value as it was before types changed."""
    while value.node is not None and _is_same(value.node):
        value = value.node.inputs[0]
    return value


def _moved(value: Value) -> Value:
    """A value as it was before its numbers were arranged anew."""
    while value.node is not None and (
        _is_same(value.node) or isinstance(value.node.operation, Transpose | Reshape | Broadcast)
    ):
        value = value.node.inputs[0]
    return value


def _input_of(value: Value, operation: Operation) -> Value | None:
    """What a value was made of by this operation."""
    return value.node.inputs[0] if value.node is not None and value.node.operation == operation else None


def _inverted(value: Value) -> Value | None:
    """What a value is one divided by."""
    node = _moved(value).node
    if node is None:
        return None
    if node.operation == Elementwise("div") and number_of(node.inputs[0]) == 1:
        return node.inputs[1]
    return node.inputs[0] if node.operation in (Elementwise("reciprocal"), Elementwise("inv")) else None


def _own_lengths(value: Value) -> tuple[int | None, ...]:
    """The lengths of a value's axes, 1 where it repeats itself."""
    node = _uncast(value).node
    if node is None or not isinstance(node.operation, Broadcast):
        return value.shape
    source = node.inputs[0].shape
    return tuple(1 if at is None else source[at] for at in node.operation.axes)
