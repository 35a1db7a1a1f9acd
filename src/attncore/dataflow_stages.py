"""From a product of queries and keys forward to the product with the values: what each value on the way is.

Whatever way a softmax is written (one operation, exp and sum, log and back), the values on the way are one of a few
stages, and the axes of the first product are followed through all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from attncore.dataflow import (
    Broadcast,
    Concatenate,
    Contract,
    Elementwise,
    Node,
    Opaque,
    Pad,
    Reduce,
    Region,
    Repeat,
    Reshape,
    Slice,
    Softmax,
    Transpose,
    Value,
    number_of,
)
from attncore.dataflow_atoms import Atom, Axes, placed
from attncore.dataflow_axes import transferred
from attncore.dataflow_provenance import Provenance, is_fixed_number, is_random
from attncore.dataflow_state import CHANGED, DROPOUT, MIXED, SINK, Arrival, Stage, State, advanced, changed, is_tiny


class Follower:
    """Follows one product of queries and keys through the nodes after it."""

    def __init__(self, scores: Node, nodes: Sequence[Node], provenance: Provenance) -> None:
        self.scores = scores
        self._provenance = provenance
        self._marks: dict[Value, Axes] = {scores.outputs[0]: placed(provenance.axes(scores.outputs[0]))}
        self._states: dict[Value, State] = {scores.outputs[0]: State("scores")}
        self.arrivals: list[Arrival] = []
        # Products that sum over queries or keys of scores that no softmax was taken of; and of exponentials, bent.
        self.bare: list[Node] = []
        self.bent: list[Node] = []
        for node in nodes:
            if any(one in self._states for one in node.inputs):
                self._step(node)

    def axes(self, value: Value) -> Axes:
        """The axes of a value, with their places in the first product where they have one."""
        return self._marks[value] if value in self._marks else self._provenance.axes(value)

    def state(self, value: Value) -> State | None:
        """What a value is to the attention; None where it is nothing to it."""
        return self._states.get(value)

    @property
    def has_weights(self) -> bool:
        """Whether a softmax over an axis that only one side of the product has was met."""
        free = self._free(0) | self._free(1)
        return any(state.stage == "weights" and state.summed & free for state in self._states.values())

    def _step(self, node: Node) -> None:
        if isinstance(node.operation, Contract):
            self._contract(node, node.operation)
            return
        state = self._next(node)
        if state is None or isinstance(node.operation, Region | Opaque):
            return
        output = node.outputs[0]
        self._states[output] = state
        self._marks[output] = transferred(node, self.axes, self._provenance.is_data)[0]

    def _next(self, node: Node) -> State | None:
        states = [self._states.get(one) for one in node.inputs]
        known = [state for state in states if state is not None]
        output = node.outputs[0]
        match node.operation:
            case Elementwise(function):
                return self._elementwise(function, node, states, known)
            case Softmax(axis, log):
                return self._softmax(known[0], self._places(node.inputs[0], (axis,)), output, log=log)
            case Reduce(function, axes):
                return self._reduce(known[0], function, self._places(node.inputs[0], axes))
            case Slice():
                return advanced(known[0], output)
            case Concatenate():
                return self._concatenate(node, known)
            case Pad():
                return self._pad(node.operation, known[0], output)
            case Transpose() | Reshape() | Broadcast() | Repeat():
                return known[0]
        return None

    def _places(self, value: Value, axes: Sequence[int]) -> frozenset[int]:
        own = self.axes(value)
        return frozenset(atom.place[0] for at in axes for atom in own[at] if atom.place is not None)

    def _softmax(self, state: State, places: frozenset[int], output: Value, *, log: bool) -> State | None:
        if state.stage != "scores" or not places:
            return None
        if log:
            return replace(state, stage="log weights", summed=places)
        return replace(state, stage="weights", weights=output, summed=places)

    def _reduce(self, state: State, function: str, places: frozenset[int]) -> State | None:
        if not places:
            return state if state.stage != "weights" else state.noted(CHANGED)
        if state.stage == "scores" and function == "max":
            return replace(state, stage="peak", summed=places)
        if state.stage == "scores" and function == "logsumexp":
            return replace(state, stage="log total", summed=places)
        if state.stage in ("exp", "weights") and function == "sum":
            return replace(state, stage="total", summed=places)
        return None

    def _concatenate(self, node: Node, known: Sequence[State]) -> State | None:
        state = known[0]
        others = [one for one in node.inputs if one not in self._states]
        if state.stage == "scores" and others:
            if any(self._provenance.is_data(one) for one in others):
                return replace(state, joined=True)
            return state.noted(SINK)
        if state.stage not in ("weights", "exp"):
            return replace(state, joined=True) if others else state
        # Weights that are put together of pieces are the whole; beside others', the own piece is one by itself too.
        whole = advanced(state, node.outputs[0])
        return replace(whole, joined=True, pieced=True, piece=state if others else None)

    def _pad(self, operation: Pad, state: State, output: Value) -> State | None:
        if state.stage != "scores":
            return advanced(state, output)
        return state if operation.value == -math.inf else state.noted(SINK)

    def _elementwise(
        self, function: str, node: Node, states: Sequence[State | None], known: Sequence[State]
    ) -> State | None:
        output = node.outputs[0]
        if len(known) > 1:
            return self._combined(function, node, states)
        state = known[0]
        if function in ("cast", "identity"):
            return advanced(state, output)
        if state.stage == "scores" and function in ("exp", "exp2"):
            return replace(state, stage="exp", weights=output)
        if state.stage == "log weights" and function in ("exp", "exp2"):
            return replace(state, stage="weights", weights=output)
        if state.stage == "total":
            return self._of_total(function, node, state, states)
        if state.stage == "weights":
            return self._of_weights(function, node, state)
        if state.stage == "exp":
            is_factor = function in ("mul", "select") or (function == "div" and states[0] is not None)
            return replace(state, weights=output, bent=state.bent or not is_factor)
        if state.stage == "log weights":
            return state.noted(CHANGED)
        if state.stage in ("scores", "peak") and function in ("compare", "logical", "is_finite"):
            return None
        if state.stage == "peak" and function in ("max", "add", "sub") and self._carried(node):
            return replace(state, blocks=True)
        return state

    def _carried(self, node: Node) -> bool:
        """Whether something besides the scores goes into the peak that is no constant."""
        others = [one for one in node.inputs if one not in self._states]
        return any(self._provenance.is_data(one) for one in others)

    def _of_total(self, function: str, node: Node, state: State, states: Sequence[State | None]) -> State | None:
        if function == "log":
            return replace(state, stage="log total")
        if any(self._reaches_beyond(one, node) for one in node.inputs):
            return None
        if function == "pow" or (function == "div" and states[-1] is not None):
            return replace(state, stage="inverse")
        if function == "add" and not any(is_tiny(one) for one in node.inputs):
            return state.noted(SINK)
        return state

    def _reaches_beyond(self, value: Value, node: Node) -> bool:
        """Whether data has an axis that the total beside it lacks, as in the backward pass: it is no factor of rows."""
        if value in self._states or not self._provenance.is_data(value):
            return False
        total = next(self.axes(one) for one in node.inputs if one in self._states)
        lengths = value.shape[::-1]
        known = [any(atom.place is not None for atom in atoms) for atoms in total[::-1]]
        known += [False] * (len(lengths) - len(known))
        return any(length != 1 and not is_known for length, is_known in zip(lengths, known, strict=False))

    def _of_weights(self, function: str, node: Node, state: State) -> State | None:
        if function in ("compare", "logical", "is_finite"):
            return None
        others = [one for one in node.inputs if one not in self._states]
        output = node.outputs[0]
        if function in ("select", "mul") and any(is_random(one, self._provenance) for one in others):
            return state.noted(DROPOUT)
        if function == "select":
            return changed(state, output) if state.scaled else advanced(state, output)
        if function in ("mul", "div") and all(is_fixed_number(one, self._provenance) for one in others):
            return replace(state, scaled=True)
        return changed(state, output)

    def _combined(self, function: str, node: Node, states: Sequence[State | None]) -> State | None:
        by_stage = {state.stage: state for state in states if state is not None}
        stages = frozenset(by_stage)
        blocks = any(state.blocks for state in by_stage.values())
        notes = tuple(dict.fromkeys(note for state in by_stage.values() for note in state.notes))
        output = node.outputs[0]
        summed = frozenset().union(*(state.summed for state in by_stage.values()))

        def made(stage: Stage, weights: Value | None = None) -> State:
            return State(stage, weights, summed, notes, blocks=blocks)

        if function == "sub" and stages == {"scores", "peak"}:
            return replace(by_stage["scores"], blocks=blocks, notes=notes)
        if function == "sub" and stages & {"scores"} and stages & {"log total"}:
            return made("log weights")
        if function == "sub" and stages == {"log weights", "log total"}:
            return made("log weights")
        if (function, stages) in (("div", frozenset({"exp", "total"})), ("mul", frozenset({"exp", "inverse"}))):
            return made("weights", output)
        if function in ("div", "mul") and stages in ({"weights", "total"}, {"weights", "inverse"}):
            return State("weights", output, summed, tuple(note for note in notes if note != CHANGED))
        if stages == {"peak", "log total"}:
            return made("log total")
        if function == "add" and stages == {"total", "peak"}:
            return made("total").noted(SINK)
        if stages <= {"total", "peak", "inverse"}:
            return made("total" if "total" in stages else "inverse" if "inverse" in stages else "peak")
        if "weights" in by_stage:
            return changed(replace(by_stage["weights"], notes=notes), output)
        first: Sequence[Stage] = ("log weights", "exp", "scores", "log total")
        chosen = next((by_stage[stage] for stage in first if stage in by_stage), None)
        if chosen is None:
            return None
        return replace(chosen, notes=notes, blocks=blocks, bent=chosen.bent or (chosen.stage == "exp" and not blocks))

    def _contract(self, node: Node, operation: Contract) -> None:
        if node is self.scores:
            return
        for side, labels in enumerate((operation.left, operation.right)):
            value, other = node.inputs[side], node.inputs[1 - side]
            state = self._states.get(value)
            if state is None:
                continue
            gone = [at for at, label in enumerate(labels) if label not in operation.result]
            places = self._places(value, gone)
            keys = self._free(0) if places & self._free(0) else self._free(1)
            if state.stage == "exp" and places & keys and number_of(other) == 1:
                # A sum of each row, written as a product with ones.
                self._states[node.outputs[0]] = replace(state, stage="total", summed=places)
                self._marks[node.outputs[0]] = transferred(node, self.axes, self._provenance.is_data)[0]
            elif state.bent and state.stage == "exp" and places & keys and self._provenance.is_data(other):
                self.bent.append(node)
            elif state.stage in ("weights", "exp") and places & keys and (not state.summed or places & state.summed):
                is_scaled = state.scaled and DROPOUT not in state.notes
                self.arrivals.append(Arrival(node, side, changed(state, value) if is_scaled else state))
            elif state.stage == "scores" and places & keys and self._provenance.is_data(other):
                self.bare.append(node)
            elif not self._provenance.is_data(other) and not (places & (self._free(0) | self._free(1))):
                self._mix(node, operation, side, state)

    def _free(self, side: int) -> frozenset[int]:
        """The axes of the first product that come from one of its inputs alone."""
        operation = self.scores.operation
        if not isinstance(operation, Contract):  # scores that are no product: any axis may be that of the keys
            return frozenset(range(len(self.scores.outputs[0].shape))) if side == 0 else frozenset()
        own, other = (operation.left, operation.right) if side == 0 else (operation.right, operation.left)
        return frozenset(at for at, label in enumerate(operation.result) if label in own and label not in other)

    def _mix(self, node: Node, operation: Contract, side: int, state: State) -> None:
        """A product with parameters that mixes heads: the new axis stands for the one that is summed over."""
        own, other = (operation.left, operation.right) if side == 0 else (operation.right, operation.left)
        gone = [at for at, label in enumerate(own) if label not in operation.result]
        new = [at for at, label in enumerate(operation.result) if label in other and label not in own]
        if len(gone) != 1 or len(new) != 1 or state.stage not in ("scores", "weights"):
            return
        axes = list(transferred(node, self.axes, self._provenance.is_data)[0])
        summed = self.axes(node.inputs[side])[gone[0]]
        length = node.outputs[0].shape[new[0]]
        if len(summed) == 1:
            axes[new[0]] = (Atom(length, summed[0].tags, summed[0].place),)
        output = node.outputs[0]
        self._marks[output] = tuple(axes)
        self._states[output] = state.noted(MIXED) if state.stage == "weights" else replace(state, joined=True)
