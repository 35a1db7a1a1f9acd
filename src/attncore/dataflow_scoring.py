"""Which steps lie between the product of query and key and the softmax, where all of them are understood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from attncore.dataflow import (
    Broadcast,
    Concatenate,
    Elementwise,
    Node,
    Pad,
    Reshape,
    Slice,
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
    chain = _chain(follower, weights)
    if chain is None:
        return None
    steps: ScoreSteps | None = ScoreSteps()
    capped: float | None = None
    for node in reversed(chain):
        if steps is None:
            return None
        if capped is not None:
            factor = _factor(node, follower)
            if factor is None:
                return None
            # cap * tanh(s / cap): what came before the tanh was divided by the cap.
            steps, capped = replace(steps, scale=steps.scale * factor, softcap=factor), None
        elif node.operation == Elementwise("tanh"):
            if steps.masks or steps.biases or steps.softcap is not None:
                return None
            capped = 1.0
        else:
            steps = _with(steps, node, follower, roles)
    return steps if capped is None else None


def _chain(follower: Follower, weights: Value) -> list[Node] | None:
    """The nodes on the scores' way, the last first, without those that only move numbers."""
    value: Value | None = _before_softmax(follower, weights)
    chain: list[Node] = []
    while value is not None and value is not follower.scores.outputs[0]:
        node = value.node
        if node is None:
            return None
        marked = [one for one in node.inputs if _is_scores(follower, one)]
        if len(marked) != 1:
            return None
        if isinstance(node.operation, Elementwise):
            if node.operation.function not in ("cast", "identity") and not _takes_peak(follower, node):
                chain.append(node)
        elif not isinstance(node.operation, Transpose | Reshape | Broadcast):
            return None
        value = marked[0]
    return chain if value is not None else None


def _is_scores(follower: Follower, value: Value) -> bool:
    state = follower.state(value)
    return state is not None and state.stage == "scores"


def _takes_peak(follower: Follower, node: Node) -> bool:
    """Whether the row's largest score is taken away, which changes no weight."""
    states = [follower.state(one) for one in node.inputs]
    return node.operation == Elementwise("sub") and any(s is not None and s.stage == "peak" for s in states)


def _before_softmax(follower: Follower, weights: Value) -> Value | None:
    """The scores that a plain softmax was taken of; None of one with anything else in it."""
    waiting, seen = [weights], set()
    found: list[Value] = []
    while waiting:
        value = waiting.pop()
        state = follower.state(value)
        if state is None or value in seen:
            continue
        seen.add(value)
        node = value.node
        assert node is not None
        is_anchor = isinstance(node.operation, Softmax) or node.operation == Elementwise("exp")
        if is_anchor and _is_scores(follower, node.inputs[0]):
            found.append(node.inputs[0])
            continue
        if state.notes or node.operation in (Elementwise("select"), Elementwise("exp2"), Elementwise("max")):
            return None
        if isinstance(node.operation, Slice | Concatenate | Pad):  # a part of the weights, or more than them
            return None
        waiting += node.inputs
    return found[0] if len(set(found)) == 1 else None


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
    if number is None or (node.operation == Elementwise("div") and others[0] is node.inputs[0]):
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
