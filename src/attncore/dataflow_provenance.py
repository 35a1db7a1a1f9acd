"""Follows a whole graph, loops and branches too: where each axis of each value comes from, and what depends on data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from attncore.dataflow import (
    Contract,
    Elementwise,
    Fill,
    Graph,
    Node,
    Opaque,
    Reduce,
    Region,
    Slice,
    Update,
    Value,
    reached,
)
from attncore.dataflow_atoms import DATA, PARAMETER, STATE, Atom, Axes, Axis, merged, single, tags_of
from attncore.dataflow_axes import transferred
from attncore.dataflow_moves import place_tag

_TURNS = 4


class Provenance:
    """The axes of every value, whether it depends on data, and which values of a body stand for which outside.

    ``repeated`` are the places of inputs that the caller gave as more than one argument.
    """

    def __init__(self, graph: Graph, repeated: Collection[int] = ()) -> None:
        self._axes: dict[Value, Axes] = {}
        self._data: set[Value] = set()
        self._numbers = {value: place for place, value in enumerate(graph.inputs)}
        self._repeated = {str(place) for place in repeated}
        self.outside: dict[Value, Value] = {}
        self._follow(graph)

    def axes(self, value: Value) -> Axes:
        """What the axes of a value are made of."""
        if value not in self._axes:
            self._axes[value] = self._start(value)
        return self._axes[value]

    def is_data(self, value: Value) -> bool:
        """Whether a value depends on what the user gave, or on a state."""
        return value in self._data or (value.node is None and value.origin in (DATA, STATE))

    def length_given(self, number: int, at: int) -> int | None:
        """How long axis ``at`` of the array with this number is."""
        given = next(value for value, own in self._numbers.items() if own == number)
        return given.shape[at]

    def are_repeated(self, tags: frozenset[str]) -> bool:
        """Whether all these tags are of arrays that the caller gave as more than one argument."""
        return all(tag.partition(".")[0] in self._repeated for tag in tags)

    def _start(self, value: Value) -> Axes:
        number = self._numbers.setdefault(value, len(self._numbers))
        axes = []
        for at, length in enumerate(value.shape):
            tags: set[str] = {value.origin} if value.origin in (DATA, PARAMETER, STATE) else set()
            if value.origin == DATA:
                tags |= {f"{number}.{at}", place_tag(number, at)}
            elif value.origin == PARAMETER:
                tags.add(f"{PARAMETER} {number}.{at}")
            axes.append(single(length, frozenset(tags)))
        return tuple(axes)

    def _follow(self, graph: Graph) -> None:
        for node in graph.nodes:
            if isinstance(node.operation, Region):
                self._region(node, node.operation)
                continue
            self._axes.update(zip(node.outputs, transferred(node, self.axes, self.is_data), strict=True))
            if any(self.is_data(one) for one in node.inputs) and node.operation != Fill(random=True):
                self._data.update(node.outputs)

    def _region(self, node: Node, region: Region) -> None:
        for number, body in enumerate(region.bodies):
            self._enter(node, region, number)
            for _ in range(_TURNS if region.carried else 1):
                self._follow(body)
                if not self._carry(region, body):
                    break
        for place, output in enumerate(node.outputs):
            inner = [body.outputs[results[place]] for body, results in zip(region.bodies, region.results, strict=True)]
            self._leave(region, output, place, inner)

    def _enter(self, node: Node, region: Region, number: int) -> None:
        body = region.bodies[number]
        for place, value in enumerate(body.inputs):
            operand = region.operands[number][place]
            if operand is None:
                continue
            source = node.inputs[operand]
            self.outside[value] = source
            axes = self.axes(source)
            if place in region.stacked_inputs:
                axes = axes[1:]
            self._axes[value] = _fitted(axes, value)
            if self.is_data(source):
                self._data.add(value)

    def _carry(self, region: Region, body: Graph) -> bool:
        """Take what a turn gives on to the next; whether anything is new."""
        changed = False
        for out, place in region.carried:
            source, value = body.outputs[out], body.inputs[place]
            old = self.axes(value)
            new = tuple(merged(a, b) for a, b in zip(old, _fitted(self.axes(source), value), strict=True))
            is_new_data = self.is_data(source) and not self.is_data(value)
            if is_new_data:
                self._data.add(value)
            changed |= is_new_data or new != old
            self._axes[value] = new
        return changed

    def _leave(self, region: Region, output: Value, place: int, inner: list[Value]) -> None:
        rank = len(output.shape)
        axes: Axes = ((),) * rank
        for value in inner:
            own = self.axes(value)
            if place in region.stacked_outputs:
                own = (self._along_turns(output, region), *own)
            if len(own) == rank:
                axes = tuple(merged(a, b) for a, b in zip(axes, _fitted(own, output), strict=True))
            if self.is_data(value):
                self._data.add(output)
            if region.kind == "while" and axes and not tags_of(axes[0]) and _is_list(value):
                axes = (single(output.shape[0], self._read_by_turns(region, output.shape[0])), *axes[1:])
        self._axes[output] = axes

    def _read_by_turns(self, region: Region, length: int | None) -> frozenset[str]:
        """What the positions count of which each turn of a loop reads one, where there are as many as turns write."""
        tags: set[str] = set()
        for node in region.bodies[0].nodes:
            if isinstance(node.operation, Slice) and _given_to(node.inputs[0]) and self.is_data(node.inputs[0]):
                source = node.inputs[0]
                for axis, before, after, bound in zip(
                    self.axes(source), source.shape, node.outputs[0].shape, node.operation.bounds, strict=True
                ):
                    if before == length and after == 1 and bound is None:
                        tags |= tags_of(axis)
        return frozenset(tags)

    def _along_turns(self, output: Value, region: Region) -> Axis:
        """The axis of what each turn gives, which is that of the data of which each turn takes a part."""
        assert output.node is not None
        inputs = output.node.inputs
        taken = {operands[place] for operands in region.operands for place in region.stacked_inputs}
        parts = [inputs[one] for one in taken if one is not None and self.is_data(inputs[one])]
        return single(output.shape[0], frozenset().union(*(tags_of(self.axes(one)[0]) for one in parts)))


def _is_list(value: Value) -> bool:
    """Whether a body gives back what it was given with a part written anew."""
    value = _handed_on(value)
    return value.node is not None and isinstance(value.node.operation, Update) and _given_to(value.node.inputs[0])


def _given_to(value: Value) -> bool:
    """Whether a value is an input of the body that it is in."""
    return _handed_on(value).node is None


def _handed_on(value: Value) -> Value:
    while value.node is not None and value.node.operation == Elementwise("identity"):
        value = value.node.inputs[0]
    return value


def _fitted(axes: Axes, value: Value) -> Axes:
    """The axes with the lengths of a value: a shard has a part of an axis."""
    if len(axes) != len(value.shape):
        return tuple(single(length) for length in value.shape)
    result = []
    for axis, length in zip(axes, value.shape, strict=True):
        size: int | None = 1
        for atom in axis:
            size = None if size is None or atom.length is None else size * atom.length
        tags = frozenset().union(*(atom.tags for atom in axis))
        result.append(axis if size == length or size is None else single(length, tags))
    return tuple(result)


def parameters_of(value: Value, provenance: Provenance) -> tuple[str, ...]:
    """The names of the parameters that project into a value: those met before another product of data."""
    found: list[str] = []
    waiting, seen = [value], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        if one.node is None:
            if one.origin == PARAMETER and one.name and one.name not in found:
                found.append(one.name)
            if one in provenance.outside:
                waiting.append(provenance.outside[one])
        elif not _is_recurrent(one, provenance):
            waiting += _projecting(one, provenance)
    return tuple(sorted(found))


def _is_recurrent(value: Value, provenance: Provenance) -> bool:
    """Whether a loop makes each part of a value of the one before: its parameters are a layer, and no projection."""
    node = value.node
    if node is None or not isinstance(node.operation, Region) or node.operation.kind not in ("scan", "while"):
        return False
    region, place = node.operation, node.outputs.index(value)
    body = region.bodies[-1]
    carried = {body.inputs[inner] for _, inner in region.carried if provenance.is_data(body.inputs[inner])}
    waiting, seen = [body.outputs[region.results[-1][place]]], set[Value]()
    while waiting:
        one = waiting.pop()
        if one.node is not None and one not in seen:
            # What earlier turns wrote into a list of results is no part of what this turn writes.
            waiting += one.node.inputs[1:] if isinstance(one.node.operation, Update) else one.node.inputs
        elif one in carried:
            return True
        seen.add(one)
    return False


def ancestors_of(value: Value, provenance: Provenance) -> set[Value]:
    """All that a value is made of and that depends on data, out of loops and branches too."""
    waiting, seen = [value], set[Value]()
    while waiting:
        one = waiting.pop()
        if one in seen or not provenance.is_data(one):
            continue
        seen.add(one)
        if one.node is None:
            waiting += [provenance.outside[one]] if one in provenance.outside else []
        elif isinstance(one.node.operation, Region):
            waiting += _projecting(one, provenance)
        else:
            waiting += one.node.inputs
    return seen


def is_random(value: Value, provenance: Provenance) -> bool:
    """Whether random numbers are in a value as they are: compared or scaled, not summed into something else."""
    made = _behind(value, provenance, lambda node: not isinstance(node.operation, Contract | Reduce | Region | Opaque))
    return any(one.node is not None and one.node.operation == Fill(random=True) for one in made)


def is_fixed_number(value: Value, provenance: Provenance) -> bool:
    """Whether a value is one number that is neither given nor learned, such as a rate that was computed."""
    return all(
        all(length == 1 for length in one.shape)
        and (one.node is not None or one in provenance.outside or one.origin == "constant")
        for one in _behind(value, provenance, lambda _: True)
    )


def _behind(value: Value, provenance: Provenance, passes: Callable[[Node], bool]) -> Iterator[Value]:
    """A value and what it is made of, as far as ``passes`` lets through the nodes on the way."""

    def further(one: Value) -> Sequence[Value]:
        if one.node is None:
            return [provenance.outside[one]] if one in provenance.outside else []
        return one.node.inputs if passes(one.node) else []

    return reached(value, further)


def _projecting(value: Value, provenance: Provenance) -> Iterator[Value]:
    node = value.node
    assert node is not None
    operation = node.operation
    if isinstance(operation, Region):
        place = node.outputs.index(value)
        for body, results in zip(operation.bodies, operation.results, strict=True):
            yield body.outputs[results[place]]
    elif isinstance(operation, Contract) or (isinstance(operation, Opaque) and len(node.inputs) > 1):
        if provenance.is_data(value):
            yield from (one for one in node.inputs if not provenance.is_data(one))
        else:
            yield from node.inputs
    else:
        yield from node.inputs


def has_data(axis: tuple[Atom, ...]) -> bool:
    """Whether an axis counts something of the data rather than of the parameters."""
    return any(DATA in atom.tags or STATE in atom.tags for atom in axis)
