"""What was seen of one attention, before it becomes a layer of the trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from attncore.weights import LazyWeights

from ._torch_moves import Moves
from ._torch_probabilities import TorchScoring
from ._torch_tags import Order
from ._torch_unseen import Versions


class Place(NamedTuple):
    """The module call in which something happened: qualified name, how many times it was called, its class."""

    name: str
    module_call: int
    module_class: str
    root_call: int


@dataclass(eq=False)
class Gradients:
    """Filled by a backward pass: of the weights themselves, or of the attention's output."""

    weights: Tensor | None = None
    output: Tensor | None = None


@dataclass(eq=False, slots=True)
class Growth:
    """Whether an attention goes on from the same layer's in the call before, as the step of a generation does.

    Attributes:
        continues: its keys are those of that call, and one more for each query.
        written: how many keys there are without the room that a static cache has for more; None while not asked.
        fingerprint: what tells these keys from others where they are not held.
        merged: of the attentions before it, how many go on from an earlier one.
        index, call: its numbers when those that go on from each other are counted once.
    """

    continues: bool = False
    written: int | None = None
    fingerprint: Tensor | None = None
    merged: int = 0
    index: int = 0
    call: int = 0


@dataclass(eq=False, slots=True, weakref_slot=True)
class Record:
    """One attention as it was seen; tensors are (batch, heads, length, …)."""

    place: Place
    index: int
    call: int
    source: str
    kind: Literal["self", "cross"]
    shape: tuple[int, int, int, int]
    order: Order
    weights: Tensor | None = None
    query: Tensor | None = None
    key: Tensor | None = None
    value: Tensor | None = None
    scoring: TorchScoring | None = None
    computed_weights: LazyWeights | None = None
    observed: bool = True
    model_dtype: str = ""
    scale: float | None = None
    heads: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    wanted: bool = True
    reduced: Any = None
    gradients: Gradients | None = None
    gradient_of_output: Callable[[], Tensor | None] | None = None
    value_for_gradient: Tensor | None = None
    next_step: Record | None = None
    growth: Growth = field(default_factory=Growth)
    # Of the steps of a generation as one record: which step each query row is of.
    steps: npt.NDArray[np.int64] | None = None
    span: tuple[int, int, int] | None = None
    # What put queries and keys in another order than the model was given.
    moves: tuple[Moves, Moves] = ((), ())
    # Of which input they are, by number in `RootCall.inputs`: 0 for the ids.
    inputs: tuple[int, int] = (0, 0)
    versions: Versions = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.place.name
