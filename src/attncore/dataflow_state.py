"""What a value is on the way from the product of queries and keys to that with the values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from attncore.dataflow import Node, Value

Stage = Literal["scores", "peak", "exp", "total", "log total", "inverse", "log weights", "weights"]

SINK = "a sink takes part of each row, so that its weights sum to less than 1"
DROPOUT = "dropout follows; the weights are those before it"
MIXED = "heads are mixed with one another afterwards; the weights are those before it"
CHANGED = "the model changed the weights after the softmax; they are those applied to the values"
DEFERRED = "rows are divided by their sum only after the product with the values; the weights shown are divided"


@dataclass(frozen=True, eq=False)
class State:
    """What a value is to the attention. ``summed`` are the axes the softmax runs over, ``weights`` its result.

    ``bent``: more than factors followed the exponentials, as in 1 / (1 + exp(-s)), so that they are none any more.
    ``joined``: other scores are beside those of the product. ``pieced``: the weights were put together of pieces;
    ``piece`` is what those of the product were before, if others are from elsewhere.
    """

    stage: Stage
    weights: Value | None = None
    summed: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
    scaled: bool = False
    blocks: bool = False
    bent: bool = False
    joined: bool = False
    pieced: bool = False
    piece: State | None = None

    def noted(self, note: str) -> State:
        """The same with a note, once."""
        return self if note in self.notes else replace(self, notes=(*self.notes, note))

    @property
    def is_changed(self) -> bool:
        """Whether something follows the softmax already."""
        return self.scaled or any(note in self.notes for note in (DROPOUT, MIXED, CHANGED))


@dataclass(frozen=True, eq=False)
class Arrival:
    """A product that sums over the keys: ``side`` is the input of it that is the weights."""

    product: Node
    side: int
    state: State


def advanced(state: State, output: Value) -> State:
    """The state with its weights where they are now, unless something followed the softmax already."""
    if state.stage in ("weights", "exp") and not state.is_changed:
        return replace(state, weights=output)
    return state


def changed(state: State, output: Value) -> State:
    """The weights as the model applies them, unless a dropout or a mixing of heads came before."""
    lost = any(note in state.notes for note in (DROPOUT, MIXED))
    return (state if lost else replace(state, weights=output)).noted(CHANGED)


def is_tiny(value: Value) -> bool:
    """Whether a constant only keeps a sum from being zero."""
    return value.constant is not None and value.constant.size == 1 and abs(float(value.constant)) < 1e-3
