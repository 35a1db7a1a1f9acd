"""Notes on tensors that follow them through the model: where they came from and what they are on the way to."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from ._torch_arrays import memory_address
from ._torch_dims import Dim, Dims, Factor, Kind
from ._torch_moves import Moves, Start

Order = Literal["whole", "part", "shuffled"]
_ORDER = ("whole", "part", "shuffled")


@dataclass(eq=False)
class Operands:
    """The two factors of a product, (..., length, head_dim) each, in the order of the product's leading dimensions.

    ``taken`` says that a softmax has been made of the product.
    """

    first: torch.Tensor
    second: torch.Tensor
    first_tag: Tag | None
    second_tag: Tag | None
    taken: bool = False


@dataclass(eq=False)
class Scores:
    """Products of queries and keys on their way to a softmax.

    ``operands`` are those of the (first) product; ``rows`` and ``columns`` are the score dimensions that come from one
    of them only, and ``lead`` those that both have.
    """

    operands: Operands
    rows: tuple[Factor, ...]
    columns: tuple[Factor, ...]
    scale: float | None = 1.0
    steps: tuple[str, ...] = ()
    contracted: Kind = "unknown"
    lead: Dims = ()


@dataclass(eq=False)
class Softmax:
    """The result of one softmax and what became of it.

    ``learned_scores``: its scores come from a parameter. ``keys_first``: the product behind it was key times query.
    ``uses`` counts the products with values, and ``used`` is the memory and shape of what the first took, unless
    that was recorded as a piece of the whole. ``lost`` says why its key dimension can no longer be followed.
    """

    probabilities: torch.Tensor
    dims: Dims
    key: Factor
    scores: Scores | None
    location: str
    learned_scores: bool = False
    keys_first: bool = False
    by_hand: bool = False
    gradient: torch.Tensor | None = None
    order: Order = "whole"
    uses: int = 0
    used: tuple[int, torch.Size] | None = None
    changes: tuple[str, ...] = ()
    address: int = 0
    lost: str = ""
    record: weakref.ref[Any] | None = None


@dataclass(eq=False, slots=True)
class Tag:
    """What is known about one tensor.

    ``stream`` numbers the hidden state it was projected from; equal numbers mean the same source. ``projected`` says
    that a projection by parameters lies behind it. ``order`` says whether its positions are all there and in order.
    ``role`` is set on scores and softmax outputs, with ``key`` the factor of their key dimension. ``pooled`` holds the
    rows and the record of a pooling that made this tensor. ``span`` is (start, stop, length) of a part of a sequence.
    ``activated`` says that an activation lies behind it: what is projected from it is another hidden state.
    ``projections`` counts those from it. ``moves`` put its positions in another order than the model was given.
    ``start`` says where a sequence begins that it holds a part of, as long as nothing else is made of it.
    """

    dims: Dims | None
    stream: int | None = None
    projected: bool = False
    order: Order = "whole"
    written: bool = False
    parameter: bool = False
    role: Scores | Softmax | None = None
    key: Factor | None = None
    changes: tuple[str, ...] = ()
    pooled: tuple[Dim, Any] | None = None
    span: tuple[int, int, int] | None = None
    activated: bool = False
    moves: Moves = ()
    projections: int = 0
    start: Start | None = None

    @property
    def only_source(self) -> bool:
        """Whether no more is known than where it came from, as of what the model is given."""
        return self.dims is None and self.stream is not None

    def replaced(self, **changes: Any) -> Tag:
        """A copy with some fields changed."""
        copy = Tag(
            self.dims, self.stream, self.projected, self.order, self.written, self.parameter, self.role, self.key,
            self.changes, self.pooled, self.span, self.activated, self.moves,
        )  # fmt: skip
        for name, value in changes.items():
            setattr(copy, name, value)
        return copy

    def moved(self, dims: Dims | None, order: Order) -> Tag:
        """A copy with other dimensions: what every view makes, so made without a loop over names."""
        return Tag(
            dims, self.stream, self.projected, order, self.written, self.parameter, self.role, self.key,
            self.changes, self.pooled, self.span, self.activated, self.moves,
        )  # fmt: skip

    def key_axis(self) -> int | None:
        """Where the key dimension is now, counted from the end; None when it was folded, split or lost."""
        if self.dims is None or self.key is None:
            return None
        for place, dim in enumerate(self.dims):
            if len(dim) == 1 and dim[0] is self.key:
                return place - len(self.dims)
        return None


def are_weights(*tags: Tag | None) -> bool:
    """Whether these are weights of two attentions, whose product is neither's use."""
    return sum(tag is not None and isinstance(tag.role, Softmax) and tag.role.scores is not None for tag in tags) > 1


def worst_order(orders: list[Order]) -> Order:
    """The least orderly of several."""
    if orders.count("whole") == len(orders):
        return "whole"
    return max(orders, key=_ORDER.index)


# Token ids, places and masks: nothing packs weights in these, and asking for what does takes a walk over the model.
_NO_WEIGHTS = frozenset({torch.int64, torch.bool})
# What makes hidden states others: numbers beside those of streams, which count from 0.
ACTIVATED, RESAMPLED = -1, -2


@dataclass
class TagTable:
    """Tags by tensor identity, for one forward: `clear` ends it, since only then are tags of dead tensors dropped.

    A tag with a role holds tensors, so it goes when its own tensor does. ``constants`` gives the addresses of the
    memory that holds the model's weights. ``inputs`` numbers what the model was given by where its memory begins, the
    ids 0, and ``input_of`` those that streams were made of; both are empty where there are but ids.
    """

    constants: Callable[[], frozenset[int]] = frozenset
    inputs: dict[int, int] = field(default_factory=dict)
    input_of: dict[int | None, int] = field(default_factory=dict)

    _entries: dict[int, tuple[weakref.ref[torch.Tensor], Tag]] = field(default_factory=dict)
    _streams: itertools.count[int] = field(default_factory=itertools.count)
    _merged: dict[tuple[int, int], int] = field(default_factory=dict)
    _guessed: set[int] = field(default_factory=set)
    _written: set[int] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def get(self, tensor: torch.Tensor) -> Tag | None:
        entry = self._entries.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def set(self, tensor: torch.Tensor, tag: Tag) -> None:
        # Most tensors of a forward pass here: a plain reference costs the least when it is made and when it dies.
        holds_tensors = tag.role is not None or tag.pooled is not None
        reference = self._dropped_with(tensor) if holds_tensors else weakref.ref(tensor)
        self._entries[id(tensor)] = (reference, tag)

    def _dropped_with(self, tensor: torch.Tensor) -> weakref.ref[torch.Tensor]:
        number, entries = id(tensor), self._entries

        def gone(reference: weakref.ref[torch.Tensor]) -> None:
            entry = entries.get(number)
            if entry is not None and entry[0] is reference:
                del entries[number]

        return weakref.ref(tensor, gone)

    def is_constant(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor without a tag is one of the model's weights, or a view of one."""
        if isinstance(tensor, torch.nn.Parameter):
            return True
        if tensor.dtype in _NO_WEIGHTS:
            return False
        address = memory_address(tensor)
        return address in self.constants() and address not in self._written

    def note_written(self, tensor: torch.Tensor) -> None:
        """What the model writes into while it runs, such as a cache, is none of its weights."""
        self._written.add(memory_address(tensor))

    def new_stream(self) -> int:
        return next(self._streams)

    def guessed_stream(self) -> int:
        """A stream for what nothing is known of: another may have been made of the same hidden states."""
        stream = self.new_stream()
        self._guessed.add(stream)
        return stream

    def is_guessed(self, stream: int | None) -> bool:
        return stream in self._guessed

    def merged_stream(self, first: int, second: int) -> int:
        """The number of the sum of two streams: always the same for the same two. A guessed one does not count."""
        if first == second:
            return first
        if (first in self._guessed) != (second in self._guessed):
            return second if first in self._guessed else first
        return self._combined(first, second)

    def other_stream(self, stream: int | None, *, of: int) -> int:
        """The stream of what was made of another in a way (a negative number): always the same for the same two."""
        return self.new_stream() if stream is None else self._combined(stream, of)

    def _combined(self, first: int, second: int) -> int:
        pair = (min(first, second), max(first, second))
        if pair not in self._merged:
            self._merged[pair] = self.guessed_stream() if first in self._guessed else self.new_stream()
            known = [self.input_of[one] for one in pair if one in self.input_of]
            if known:  # segments beside ids say nothing of the positions
                self.input_of[self._merged[pair]] = min(known)
        return self._merged[pair]

    def source_of(self, tag: Tag) -> int | None:
        """The stream of what is projected from a tensor: behind an activation it is another one."""
        return self.other_stream(tag.stream, of=ACTIVATED) if tag.activated and tag.stream is not None else tag.stream

    def clear(self) -> None:
        self._entries.clear()
        self._merged.clear()
        self._guessed.clear()
        self._written.clear()
        self.inputs.clear()
        self.input_of.clear()
