"""A model's computation as a graph of a few operations, whatever the framework calls them.

Backends that can see a whole program (a jaxpr, a TensorFlow graph, an ONNX file) read it into this form, and
`attncore.dataflow_find` finds the attention in it, so that all of them mean the same by attention. A graph is static
single assignment: each `Value` is made once, by one `Node` or by nobody (an input, a parameter, a constant).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from attncore.arrays import Array

Origin = Literal["data", "parameter", "state", "constant", "result"]
"""Where a value comes from: what the user gave, what was learned, a cache carried along, a literal, or a `Node`."""


@dataclass(eq=False, slots=True)
class Value:
    """A tensor in the graph. ``shape`` has None where a length is not known before the run.

    ``name`` is a parameter's path or an input's name. ``constant`` holds the numbers of a literal where they are known
    and few. ``handle`` is the framework's own object.
    """

    shape: tuple[int | None, ...]
    dtype: str
    origin: Origin = "result"
    name: str = ""
    constant: Array | None = None
    node: Node | None = None
    handle: Any = None


@dataclass(frozen=True, slots=True)
class Elementwise:
    """One number out for each number in, inputs broadcast as in numpy.

    ``function`` is one of add, sub, mul, div, neg, exp, exp2, log, max, min, pow, tanh, select (condition, then, else),
    cast, identity, compare, logical, or any other name, which is then followed for its axes and nothing else.
    """

    function: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A product of two inputs summed over shared axes, as in einsum.

    Axes are numbered letters: ``left`` and ``right`` label the inputs' axes, ``result`` the output's. A label that both
    inputs have and the result has not is summed over.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]
    result: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reduce:
    """``function`` (sum, max, mean, logsumexp, …) over ``axes``, which stay with length 1 if ``keepdims``."""

    function: str
    axes: tuple[int, ...]
    keepdims: bool = False


@dataclass(frozen=True, slots=True)
class Softmax:
    """A softmax that the framework has as one operation; ``log`` for its logarithm."""

    axis: int
    log: bool = False


@dataclass(frozen=True, slots=True)
class Transpose:
    """Output axis i is input axis ``permutation[i]``."""

    permutation: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same numbers in row-major order under another shape, which is the output's."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Output axis i is input axis ``axes[i]`` (repeated if that has length 1), or a new one where None.

    Squeezing, expanding and broadcasting are all this; an input axis of length 1 that is not listed is dropped.
    """

    axes: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Each position along ``axis`` ``times`` times: one after the other (``tiled`` false), or the whole axis again."""

    axis: int
    times: int
    tiled: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of each axis: ``bounds[i]`` is (start, stop, step), or None where the bounds are computed or the axis whole.

    The output has the input's axes. An index that drops an axis is a slice followed by a `Broadcast`.
    """

    bounds: tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Concatenate:
    """The inputs one after the other along ``axis``."""

    axis: int


@dataclass(frozen=True, slots=True)
class Pad:
    """Constant padding; ``widths[i]`` is (before, after), ``value`` None where it is not known."""

    widths: tuple[tuple[int, int], ...]
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Gather:
    """Rows of the first input picked by the second.

    Output axis i is axis a of one of them, ("operand", a) or ("indices", a), or None where neither.
    """

    axes: tuple[tuple[Literal["operand", "indices"], int] | None, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """The first input with a part of it overwritten by the second, of the same rank (a cache's write)."""


@dataclass(frozen=True, slots=True)
class Fill:
    """Numbers that depend on no tensor's contents: iota, zeros, and random bits, which are marked as such."""

    random: bool = False


@dataclass(frozen=True, slots=True)
class Opaque:
    """An operation that is not followed.

    ``axes[o][i]`` says for output o which (input, axis) its axis i stands for, if any.
    ``name`` is the framework's. ``fused_attention`` marks kernels known to do attention inside. Of the output, along
    the axes ``turned`` the last position comes first, along ``rolled`` all have moved on and those that fall off at the
    end begin it, and along ``sorted`` they are in any other order.
    """

    name: str
    axes: tuple[tuple[tuple[int, int] | None, ...], ...] = ()
    fused_attention: bool = False
    turned: frozenset[int] = frozenset()
    rolled: frozenset[int] = frozenset()
    sorted: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Region:
    """Inner graphs: a loop over stacked inputs (scan), a while loop, branches, or a map over shards.

    ``operands[b][i]`` is the node's input that input i of body b stands for, or None. Of a scan, ``stacked_inputs`` are
    body inputs with the leading axis taken off, and ``carried`` maps body outputs to the body inputs of the next turn.
    ``results[b][o]`` is the body output of node output o; ``stacked_outputs`` are node outputs that gather a slice
    a turn.
    """

    kind: Literal["scan", "while", "branch", "shards"]
    bodies: tuple[Graph, ...]
    operands: tuple[tuple[int | None, ...], ...]
    results: tuple[tuple[int, ...], ...]
    carried: tuple[tuple[int, int], ...] = ()
    stacked_inputs: frozenset[int] = frozenset()
    stacked_outputs: frozenset[int] = frozenset()
    length: int | None = None


Operation = (
    Elementwise
    | Contract
    | Reduce
    | Softmax
    | Transpose
    | Reshape
    | Broadcast
    | Repeat
    | Slice
    | Concatenate
    | Pad
    | Gather
    | Update
    | Fill
    | Opaque
    | Region
)


@dataclass(eq=False, slots=True)
class Node:
    """One operation. ``scope`` is the framework's name for the place (a name stack, an op's scope).

    ``backward`` marks what differentiation added: the backward pass, and what is computed again for it.
    """

    operation: Operation
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    scope: str = ""
    handle: Any = None
    backward: bool = False

    def __post_init__(self) -> None:
        for output in self.outputs:
            output.node = self


@dataclass(eq=False, slots=True)
class Graph:
    """Nodes in an order in which they can run; calls are inlined, loops and branches are `Region` nodes."""

    inputs: Sequence[Value]
    nodes: list[Node] = field(default_factory=list)
    outputs: Sequence[Value] = ()

    def add(self, operation: Operation, inputs: Sequence[Value], outputs: Sequence[Value], *, scope: str = "") -> Node:
        """Append an operation and return its node."""
        node = Node(operation, tuple(inputs), tuple(outputs), scope)
        self.nodes.append(node)
        return node

    def mark_backward(self, start: int) -> None:
        """Mark the nodes from this place on, and all within them, as part of a backward pass."""
        for node in self.nodes[start:]:
            node.backward = True
            if isinstance(node.operation, Region):
                for body in node.operation.bodies:
                    body.mark_backward(0)

    def walk(self) -> Iterator[tuple[Node, tuple[Node, ...]]]:
        """Every node, inner ones too, each with the region nodes around it from the outside in."""
        yield from self._walk(())

    def _walk(self, around: tuple[Node, ...]) -> Iterator[tuple[Node, tuple[Node, ...]]]:
        for node in self.nodes:
            yield node, around
            if isinstance(node.operation, Region):
                for body in node.operation.bodies:
                    yield from body._walk((*around, node))


def reached(value: Value, further: Callable[[Value], Iterable[Value]]) -> Iterator[Value]:
    """A value and all that ``further`` leads to from there, each once."""
    waiting, seen = [value], set[Value]()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            yield one
            waiting += further(one)


def number_of(value: Value) -> float | None:
    """The one number that a value is everywhere."""
    while value.constant is None and value.node is not None and len(value.node.inputs) == 1:
        if not isinstance(value.node.operation, Broadcast | Reshape) and value.node.operation not in (
            Elementwise("cast"),
            Elementwise("identity"),
        ):
            return None
        value = value.node.inputs[0]
    if value.constant is None or np.size(value.constant) != 1:
        return None
    return float(np.asarray(value.constant).reshape(()))
