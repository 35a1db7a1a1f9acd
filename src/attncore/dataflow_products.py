"""Products that are written as a multiplication and a sum: ``(q[:, :, None] * k[:, None]).sum(-1)`` is ``q @ k.T``.

The finder knows attention by its two products, so they are read as such before it looks, however they are written. What
multiplies number by number without repeating either side (norms, gates, entropies) stays what it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attncore.dataflow import (
    Broadcast,
    Contract,
    Elementwise,
    Graph,
    Node,
    Opaque,
    Operation,
    Reduce,
    Region,
    Repeat,
    Reshape,
    Value,
    number_of,
    reached,
)
from attncore.dataflow_positions import is_anchor

Shape = tuple[int | None, ...]
# Where a walk to a softmax ends.
_ENDS = (Contract, Region, Opaque)
_KEEPING = (Elementwise("identity"), Elementwise("cast"))


def join_products(graph: Graph) -> None:
    """Make a `Contract` of each sum of a product of two arrays that were repeated along one another's axes, in place.

    The values of the graph stay the same objects; those in between are no longer used.
    """
    uses: dict[Value, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for value in node.inputs:
            uses[value].append(node)
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node.operation, Region):
            for body in node.operation.bodies:
                join_products(body)
        nodes += _joined(node, uses)
    graph.nodes[:] = nodes


def _joined(node: Node, uses: Mapping[Value, Sequence[Node]]) -> list[Node]:
    """The nodes in place of one: itself, or a product with what is done before and after it."""
    product = _Product.of(node)
    if product is None or not product.is_contraction(uses):
        return [node]
    return product.nodes()


@dataclass(frozen=True)
class _Side:
    """One of two arrays that are multiplied: of each axis of the product its own axis, None where it is repeated."""

    value: Value
    axes: tuple[int | None, ...]

    def before(self, other: _Side) -> _Side | None:
        """The array as it was before it was repeated along axes that the other one has; None if it was not."""
        side = self
        while side.value.node is not None:
            node = side.value.node
            source = _axes_of_input(node)
            if source is None:
                return None
            axes = tuple(None if at is None else source[at] for at in side.axes)
            gone = [number for number, at in enumerate(axes) if at is None and self.axes[number] is not None]
            if any(other.axes[number] is None for number in gone):
                return None
            side = _Side(node.inputs[0], axes)
            if gone:
                return side
        return None

    def without_repeated(self, other: _Side, shape: Shape) -> _Side:
        """The array without the axes of length 1 that stand where the other one is longer."""
        axes = tuple(
            None if at is not None and self.value.shape[at] == 1 and length != 1 and beside is not None else at
            for at, beside, length in zip(self.axes, other.axes, shape, strict=True)
        )
        return _Side(self.value, axes)


def _axes_of_input(node: Node) -> Sequence[int | None] | None:
    """Of each axis of a node's output the axis of its input that it is, None for a new or repeated one; else None."""
    before, after = node.inputs[0].shape if node.inputs else (), node.outputs[0].shape
    match node.operation:
        case Broadcast(axes):
            return [at if at is None or before[at] == length else None for at, length in zip(axes, after, strict=True)]
        case Repeat(axis) if before[axis] == 1:
            return [None if at == axis else at for at in range(len(after))]
        case Reshape():
            own = [at for at, length in enumerate(before) if length != 1]
            if [before[at] for at in own] != [length for length in after if length != 1]:
                return None
            places = iter(own)
            return [None if length == 1 else next(places) for length in after] if len(after) > len(before) else None
    return range(len(after)) if node.operation == Elementwise("identity") else None


@dataclass(frozen=True)
class _Product:
    """A product of two arrays, of this shape, and the ``total`` of it; ``factors`` are numbers in it besides."""

    total: Node
    shape: Shape
    factors: tuple[tuple[Operation, Value], ...]
    left: _Side
    right: _Side

    @staticmethod
    def of(total: Node) -> _Product | None:
        """The product that a node is the sum of, if it is one."""
        if not isinstance(total.operation, Reduce) or total.operation.function != "sum":
            return None
        factors: list[tuple[Operation, Value]] = []
        node = total.inputs[0].node
        while node is not None and (node.operation in _KEEPING or _factor_of(node) is not None):
            factor = _factor_of(node)
            factors += [] if factor is None else [(node.operation, factor[1])]
            node = node.inputs[0].node if factor is None else factor[0].node
        if node is None or node.operation != Elementwise("mul"):
            return None
        shape = node.outputs[0].shape
        left, right = (_aligned(one, shape) for one in node.inputs)
        while (earlier := left.before(right)) is not None:
            left = earlier
        while (earlier := right.before(left)) is not None:
            right = earlier
        left = left.without_repeated(right, shape)
        return _Product(total, shape, tuple(reversed(factors)), left, right.without_repeated(left, shape))

    def is_contraction(self, uses: Mapping[Value, Sequence[Node]]) -> bool:
        """Whether either array has axes of its own; or one has, and the other is of a single query or its weights."""
        assert isinstance(self.total.operation, Reduce)
        if any(side.axes[at] is None for side in (self.left, self.right) for at in self.total.operation.axes):
            return False
        pairs = list(zip(self.left.axes, self.right.axes, strict=True))
        of_left, of_right = any(other is None for _, other in pairs), any(one is None for one, _ in pairs)
        if of_left and of_right:
            return True
        small, large = (self.right, self.left) if of_left else (self.left, self.right)
        # A mask on exponentials is no query, and their sum no product.
        if not (of_left or of_right) or _is_weighed(large.value):
            return False
        return _is_weighed(small.value) or _leads_to_softmax(self.total.outputs[0], uses)

    def nodes(self) -> list[Node]:
        """The nodes that give the total, with the product as one of them."""
        operation = self.total.operation
        assert isinstance(operation, Reduce)
        rank = len(self.shape)
        axes = [at for at in range(rank) if at not in operation.axes]
        shape = tuple(self.shape[at] for at in axes)
        made: list[Node] = []
        sides = [self._dropped(side, made) for side in (self.left, self.right)]
        left, right = (tuple(one.axes.index(at) for at in range(len(one.value.shape))) for one in sides)
        value = self._add(made, Contract(left, right, tuple(axes)), [one.value for one in sides], shape)
        for factor, number in self.factors:
            value = self._add(made, factor, [value, number], shape)
        if operation.keepdims:
            kept = Broadcast(tuple(axes.index(at) if at in axes else None for at in range(rank)))
            self._add(made, kept, [value], self.total.outputs[0].shape)
        last = made.pop()
        self.total.operation, self.total.inputs = last.operation, last.inputs
        return [*made, self.total]

    def _dropped(self, side: _Side, made: list[Node]) -> _Side:
        """The array with no axes but those that the product counts."""
        kept = sorted(at for at in side.axes if at is not None)
        if len(kept) == len(side.value.shape):
            return side
        shape = tuple(side.value.shape[at] for at in kept)
        value = self._add(made, Broadcast(tuple(kept)), [side.value], shape, side.value)
        return _Side(value, tuple(None if at is None else kept.index(at) for at in side.axes))

    def _add(
        self, made: list[Node], operation: Operation, inputs: Sequence[Value], shape: Shape, like: Value | None = None
    ) -> Value:
        """A further node; what it gives has the framework's own object of the value that it is ``like``."""
        like = like or self.total.outputs[0]
        value = Value(shape, like.dtype, handle=like.handle)
        total = self.total
        made.append(Node(operation, tuple(inputs), (value,), total.scope, total.handle, total.backward))
        return value


def _factor_of(node: Node) -> tuple[Value, Value] | None:
    """What a node multiplies or divides by a number, and the number."""
    if node.operation not in (Elementwise("mul"), Elementwise("div")):
        return None
    value, other = node.inputs
    if node.operation == Elementwise("mul") and number_of(other) is None:
        value, other = other, value
    number = number_of(other)
    if number is None or value.shape != node.outputs[0].shape:
        return None
    return value, Value((), other.dtype, "constant", constant=np.asarray(number))


def _aligned(value: Value, shape: Shape) -> _Side:
    """An array as it is multiplied: its last axes are the product's last."""
    missing = len(shape) - len(value.shape)
    return _Side(value, (*(None for _ in range(missing)), *range(len(value.shape))))


def _is_weighed(value: Value) -> bool:
    """Whether a value is made of a softmax, or of exponentials, without a product in between."""

    def further(one: Value) -> Sequence[Value]:
        return () if one.node is None or isinstance(one.node.operation, _ENDS) else one.node.inputs

    return any(one.node is not None and is_anchor(one.node) for one in reached(value, further))


def _leads_to_softmax(value: Value, uses: Mapping[Value, Sequence[Node]]) -> bool:
    """Whether a softmax, or exponentials, are made of a value without a product in between."""

    def further(one: Value) -> list[Value]:
        users = [node for node in uses.get(one, ()) if not isinstance(node.operation, _ENDS)]
        return [output for node in users for output in node.outputs]

    return any(is_anchor(node) for one in reached(value, further) for node in uses.get(one, ()))
