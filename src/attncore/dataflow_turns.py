"""What the turns of a loop are to an attention inside it: layers, items of a batch, or steps along the queries.

A loop over the layers, or over calls of one layer, carries the hidden states from turn to turn. A map over the items of
a batch gives each turn its own queries and keys, one over chunks of queries the same keys. A decoding loop carries a
cache that each turn writes into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from attncore.dataflow import (
    Broadcast,
    Concatenate,
    Elementwise,
    Gather,
    Graph,
    Node,
    Region,
    Reshape,
    Slice,
    Transpose,
    Update,
    Value,
)

Turns = Literal["calls", "batch", "queries"]


class _Entry(NamedTuple):
    """A value that comes into a body: of which region, as which input of which body."""

    region: Node
    body: int
    place: int


class Ancestry:
    """Where values come from, across the borders of loops and branches."""

    def __init__(self, graph: Graph) -> None:
        self._entries: dict[Value, _Entry] = {}
        self._around: dict[Value, tuple[Node, ...]] = {}
        for node, around in graph.walk():
            self._around.update(dict.fromkeys(node.outputs, around))
            if isinstance(node.operation, Region):
                for number, body in enumerate(node.operation.bodies):
                    for place, value in enumerate(body.inputs):
                        self._entries[value] = _Entry(node, number, place)
                        self._around[value] = (*around, node)

    def around(self, value: Value) -> tuple[Node, ...]:
        """The loops and branches in which a value is made, from the outside in."""
        return self._around.get(value, ())

    def outermost(self, value: Value) -> Value:
        """The same value where it was made: an input of a loop that every turn gets alike is that of outside."""
        entry = self._entries.get(value)
        if entry is None:
            return value
        operation = entry.region.operation
        assert isinstance(operation, Region)
        changes = entry.place in operation.stacked_inputs or entry.place in {to for _, to in operation.carried}
        outside = operation.operands[entry.body][entry.place]
        if changes or outside is None or operation.kind == "shards":
            return value
        return self.outermost(entry.region.inputs[outside])

    def turns_of(self, region: Node, query: Value | None, key: Value | None) -> Turns:
        """What the turns of this loop are to queries and keys made inside it."""
        operation = region.operation
        assert isinstance(operation, Region)
        carried = {to for _, to in operation.carried}
        of_query, of_key = self.reached([query], region), self.reached([key], region)
        if self._writes_cache(key, region, carried):
            picks_weights = self.has_own_parameters(region, [query, key])
            return "calls" if picks_weights else "queries"
        if _numbers_apart(operation, (of_query | of_key) & carried):
            return "calls"
        if self.has_own_parameters(region, [query, key]):
            return "calls"
        if of_query & operation.stacked_inputs or _counts(operation, of_query & carried):
            return "batch" if of_key & (operation.stacked_inputs | carried) else "queries"
        return "calls"

    def reached(self, values: Iterable[Value | None], region: Node) -> set[int]:
        """The inputs of the region's body that values inside it depend on."""
        found: set[int] = set()

        def see(one: Value) -> None:
            entry = self._entries.get(one)
            if entry is not None and entry.region is region:
                found.add(entry.place)

        self._visit(values, region, see)
        return found

    def _visit(self, values: Iterable[Value | None], region: Node, see: Callable[[Value], None]) -> None:
        """Call ``see`` for each value that these depend on inside the region."""
        waiting, seen = [value for value in values if value is not None], set()
        while waiting:
            value = waiting.pop()
            if value in seen:
                continue
            seen.add(value)
            see(value)
            waiting += self._before(value, region)

    def _before(self, value: Value, region: Node) -> list[Value]:
        """What a value is made from, without leaving the region."""
        if value.node is not None:
            return _inputs_of(value)
        entry = self._entries.get(value)
        if entry is None or entry.region is region:
            return []
        operation = entry.region.operation
        assert isinstance(operation, Region)
        outside = operation.operands[entry.body][entry.place]
        before = [] if outside is None else [entry.region.inputs[outside]]
        body = operation.bodies[entry.body]
        return before + [body.outputs[out] for out, to in operation.carried if to == entry.place]

    def _writes_cache(self, key: Value | None, region: Node, carried: set[int]) -> bool:
        """Whether the keys are something carried from turn to turn with a part of it overwritten."""
        updates: list[Value] = []

        def see(value: Value) -> None:
            node = value.node
            if node is not None and isinstance(node.operation, Update | Concatenate):
                updates.append(node.inputs[0])
            elif node is not None and node.operation == Elementwise("select"):  # written where a condition says so
                updates.extend(node.inputs[1:])

        self._visit_moves(key, region, see)
        return any(self._reached_by_moves(update, region) & carried for update in updates)

    def _reached_by_moves(self, value: Value, region: Node) -> set[int]:
        found: set[int] = set()

        def see(one: Value) -> None:
            entry = self._entries.get(one)
            if entry is not None and entry.region is region:
                found.add(entry.place)

        self._visit_moves(value, region, see)
        return found

    def _visit_moves(self, value: Value | None, region: Node, see: Callable[[Value], None]) -> None:
        """As `_visit`, along operations that only move numbers about."""
        waiting, seen = [] if value is None else [value], set()
        while waiting:
            one = waiting.pop()
            if one in seen:
                continue
            seen.add(one)
            see(one)
            if one.node is None or _only_moves(one.node):
                waiting += self._before(one, region)

    def has_own_parameters(self, region: Node, values: Iterable[Value | None]) -> bool:
        """Whether these depend on parameters of which each turn has its own."""
        found = False

        def see(value: Value) -> None:
            nonlocal found
            entry = self._entries.get(value)
            if entry is not None and entry.region is region:
                operation = region.operation
                assert isinstance(operation, Region)
                outside = operation.operands[entry.body][entry.place]
                stacked = entry.place in operation.stacked_inputs and outside is not None
                found = found or (stacked and self.is_parameter(region.inputs[outside or 0]))
            elif value.node is not None and isinstance(value.node.operation, Slice | Gather):
                source = value.node.inputs[0]
                computed = isinstance(value.node.operation, Gather) or not any(value.node.operation.bounds)
                found = found or (computed and self.is_parameter(self.outermost(source)))

        self._visit(values, region, see)
        return found

    def is_parameter(self, value: Value) -> bool:
        """Whether a value is a parameter, moved about at most."""
        value = self.outermost(value)
        while value.node is not None and _only_moves(value.node) and value.node.inputs:
            value = self.outermost(value.node.inputs[0])
        entry = self._entries.get(value)
        if entry is not None:  # a slice that an outer loop takes of stacked parameters
            operation = entry.region.operation
            assert isinstance(operation, Region)
            outside = operation.operands[entry.body][entry.place]
            stacked = entry.place in operation.stacked_inputs and outside is not None
            return stacked and self.is_parameter(entry.region.inputs[outside or 0])
        return value.origin == "parameter" and len(value.shape) > 1


def _only_moves(node: Node) -> bool:
    operation = node.operation
    if isinstance(operation, Elementwise):
        return operation.function in ("identity", "cast", "select")
    return isinstance(operation, Broadcast | Reshape | Slice | Transpose | Update | Concatenate | Region)


def _inputs_of(value: Value) -> list[Value]:
    """What a value is made from; of an inner loop's output the inner value, and what it was before the first turn."""
    node = value.node
    assert node is not None
    operation = node.operation
    if not isinstance(operation, Region):
        return list(node.inputs)
    place = node.outputs.index(value)
    inner = [body.outputs[results[place]] for body, results in zip(operation.bodies, operation.results, strict=True)]
    starts = [to for out, to in operation.carried if out == place]
    outside = [operation.operands[0][to] for to in starts]
    return inner + [node.inputs[one] for one in outside if one is not None]


def _numbers_apart(operation: Region, places: set[int]) -> set[int]:
    """Those of a body's inputs that are more than a counter."""
    return {place for place in places if not _is_counter(operation, place)}


def _counts(operation: Region, places: set[int]) -> bool:
    return any(_is_counter(operation, place) for place in places)


def _is_counter(operation: Region, place: int) -> bool:
    value = operation.bodies[0].inputs[place]
    return value.shape == () and value.dtype.startswith(("int", "uint"))
