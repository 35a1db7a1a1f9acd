"""What is found in a graph: attention, what looked like it, and kernels that hide it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal

import numpy as np

from attncore.dataflow import Broadcast, Node, Value
from attncore.dataflow_moves import Moves

Role = Literal["batch", "heads", "length", "last"]
Kind = Literal["weights", "query", "key", "value", "output"]
_ORDER: tuple[Role, ...] = ("batch", "heads", "length", "last")


@dataclass(frozen=True)
class Part:
    """A factor of an axis and what it is; ``length`` is None where only the array tells."""

    length: int | None
    role: Role


@dataclass(frozen=True)
class Layout:
    """From an array as the model has it to (batch, heads, length, last), by reshape and transpose alone.

    ``axes[i]`` lists the parts of axis i in row-major order. Parts of one role are put together by their ``ranks``, one
    for each part, counted through all axes. ``heads`` are numbers of the array's heads, one for each of the weights,
    where they are not those of grouped-query attention with the groups of one head side by side.
    """

    axes: tuple[tuple[Part, ...], ...]
    ranks: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()

    def apply(self, array: Any) -> Any:
        """The array with four axes.

        Raises:
            ValueError: its shape is not the one that was found, or leaves two lengths open.
        """
        lengths = [length for axis, size in zip(self.axes, array.shape, strict=True) for length in _known(axis, size)]
        roles = [part.role for axis in self.axes for part in axis]
        ranks = self.ranks or range(len(roles))
        groups = [sorted((at for at, own in enumerate(roles) if own == role), key=ranks.__getitem__) for role in _ORDER]
        order = [at for group in groups for at in group]
        shape = [prod(lengths[at] for at in group) for group in groups]
        arranged = array.reshape(lengths).transpose(order).reshape(shape)
        return arranged[:, np.asarray(self.heads)] if self.heads else arranged


def before_dropping(value: Value, layout: Layout) -> tuple[Value, Layout]:
    """An array, and how it is arranged, as it was before axes of length 1 were taken from it: one that surely ran."""
    while value.node is not None and isinstance(value.node.operation, Broadcast):
        source, kept = value.node.inputs[0], value.node.operation.axes
        places = [at for at in kept if at is not None]
        lengths = tuple(source.shape[at] for at in places)
        if len(places) < len(kept) or places != sorted(places) or lengths != value.shape:
            break
        own = dict(zip(places, layout.axes, strict=True))
        value, layout = source, replace(layout, axes=tuple(own.get(at, ()) for at in range(len(source.shape))))
    return value, layout


def _known(axis: tuple[Part, ...], size: int) -> list[int]:
    """The lengths of an axis's parts, one of them from its size."""
    size = int(size)
    open_parts = [part for part in axis if part.length is None]
    known = prod(part.length for part in axis if part.length is not None)
    rest = known or 1  # a part has length 0 where there are no positions
    if not axis and size == 1:
        return []
    if len(open_parts) > 1 or size % rest or (not open_parts and size != known):
        raise ValueError(f"an axis of length {size} is not made of parts {[part.length for part in axis]}")
    return [size // rest if part.length is None else part.length for part in axis]


@dataclass(frozen=True, eq=False)
class Placed:
    """An array that the scores depend on, and how it becomes (batch, heads, query, key), with 1 where it repeats."""

    value: Value
    layout: Layout


@dataclass(frozen=True, eq=False)
class ScoreSteps:
    """How the weights follow from query and key, in the order of `attncore.scoring`.

    ``masks`` are true where attention is allowed, and what they forbid is minus infinity, not merely small.
    """

    scale: float = 1.0
    masks: tuple[Placed, ...] = ()
    biases: tuple[Placed, ...] = ()
    softcap: float | None = None
    sinks: Placed | None = None


@dataclass(frozen=True, eq=False)
class Site:
    """One attention: softmax of a product of queries and keys, multiplied with values.

    ``weights`` is the softmax before dropout and mixing of heads, which ``notes`` tell. ``query_source`` and
    ``key_source`` are equal where queries and keys count the same positions. ``query_moves`` and ``key_moves`` tell
    whether these stand otherwise than in the caller's arrays.
    """

    weights: Value
    query: Value | None
    key: Value | None
    value: Value | None
    layouts: dict[Kind, Layout]
    product: Node
    scores: Node
    around: tuple[Node, ...]
    output: Value
    scoring: ScoreSteps | None = None
    normalised: bool = True
    roles_from: Literal["provenance", "convention", "unknown"] = "provenance"
    notes: tuple[str, ...] = ()
    parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    scope: str = ""
    query_source: object = None
    key_source: object = None
    query_moves: Moves | None = None
    key_moves: Moves | None = None


@dataclass(frozen=True, eq=False)
class Rejection:
    """Something that looked like attention and is not, or cannot be shown as a matrix."""

    node: Node
    around: tuple[Node, ...]
    reason: str


@dataclass(frozen=True, eq=False)
class OpaqueKernel:
    """A kernel that does attention inside."""

    node: Node
    around: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Findings:
    """All that was found, in the order of execution."""

    sites: tuple[Site, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    opaque: tuple[OpaqueKernel, ...] = ()
