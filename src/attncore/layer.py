"""One attention layer of a trace: its weights, what they were computed from, and what is known about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from attncore.arrays import Array, ArrayLike, HeadsOf
from attncore.errors import ArrayError, UnavailableError
from attncore.scoring import Scoring
from attncore.selection import HeadSelector, choose_held_heads
from attncore.weights import LazyWeights, RecomputedWeights, SelectedHeads

LayerKind = Literal["self", "cross"]


def check_not_empty(shape: tuple[int, ...], where: str) -> None:
    """Refuse weights (batch, heads, query, key) without a single number, which no view, mean or maximum is made for.

    Raises:
        ArrayError: a length is 0.
    """
    if 0 in shape:
        raise ArrayError(
            f"{where} has shape {tuple(shape)}, which is empty; attention weights need (batch, heads, query, key) of "
            "at least 1 each. Give the model at least one token, or leave this layer out with layers="
        )


@dataclass(frozen=True, eq=False, repr=False)
class AttentionLayer:
    """The attention of one call of one layer.

    ``weights`` and what they depend on are properties, below.

    Attributes:
        name: the module's qualified name, or what stands for it in a framework without modules.
        index: the place among all layers of the run.
        query_axis: the name in ``trace.axes`` of what the queries count.
        key_axis: the same for the keys.
        stored_weights: the weights as they are held; None after ``reduce=``.
        call: counts the calls of ``name`` in one run, from 0; shared layers are called often.
        kind: ``"self"`` or ``"cross"``.
        stack: ``"encoder"``, ``"decoder"``, ``"vision"``, … where that is known.
        source: which operation was seen: ``"sdpa"``, ``"softmax"``, ``"flex"``, ….
        computed: whether the weights are the model's own (``"observed"``) or were computed again from query and key
            (``"recomputed"``).
        module_class: the class of the module.
        model_dtype: the number type that the model computed in.
        query: (batch, heads, query, head_dim), when it was captured.
        key: (batch, kv_heads, key, head_dim), when it was captured.
        value: (batch, kv_heads, key, value_dim), when it was captured.
        scoring: the rest of the formula from query and key to weights, where it is known.
        heads: the model's own numbers of the heads held, where not all were kept; see `head_numbers`.
        notes: what a reader of the weights must know: dropout applied after them, a sink, mixing of heads.
        reduced: what ``reduce=`` returned for this layer.
        gradient: what computes `weights_grad`.
    """

    name: str
    index: int
    query_axis: str
    key_axis: str
    stored_weights: LazyWeights | None
    call: int = 0
    kind: LayerKind = "self"
    stack: str | None = None
    source: str = "array"
    computed: Literal["observed", "recomputed"] = "observed"
    module_class: str = ""
    model_dtype: str = ""
    query: ArrayLike | None = None
    key: ArrayLike | None = None
    value: ArrayLike | None = None
    scoring: Scoring | None = None
    heads: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    reduced: Any = None
    gradient: Callable[[], Array] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.stored_weights is not None:
            check_not_empty(self.stored_weights.shape, f'layer {self.index} "{self.name}"')

    @property
    def weights(self) -> LazyWeights:
        """Attention weights (batch, heads, query, key); indexing gives numpy and computes what is asked.

        Raises:
            UnavailableError: they were reduced while capturing (``reduce=``).
        """
        if self.stored_weights is None:
            raise UnavailableError(
                f'layer {self.index} "{self.name}" was captured with reduce=, so its weights were not kept; '
                "read layer.reduced, or capture again without reduce="
            )
        return self.stored_weights

    @property
    def weights_grad(self) -> Array:
        """The gradient of the loss with respect to the weights, (batch, heads, query, key), after a backward.

        For ``out = weights @ value`` it is ``grad(out) @ value.T``, exact for fused kernels too.

        Raises:
            UnavailableError: the capture had no ``grad=True``, or no backward has run.
        """
        if self.gradient is None:
            raise UnavailableError(
                f'layer {self.index} "{self.name}" has no gradient; capture with grad=True and run a backward pass'
            )
        return self.gradient()

    @property
    def scale(self) -> float | None:
        """What query times key is multiplied by; None when unknown."""
        return None if self.scoring is None else self.scoring.scale

    @property
    def mask(self) -> ArrayLike | None:
        """True where attention is allowed; broadcasts to (batch, heads, query, key). None: none is there, or known."""
        return None if self.scoring is None else self.scoring.mask

    @property
    def bias(self) -> ArrayLike | None:
        """What is added to the scores; broadcasts to (batch, heads, query, key). None: none is there, or known."""
        return None if self.scoring is None else self.scoring.bias

    @property
    def softcap(self) -> float | None:
        """The cap c in ``c * tanh(score / c)``; None when there is none or it is unknown."""
        return None if self.scoring is None else self.scoring.softcap

    @property
    def sinks(self) -> ArrayLike | None:
        """A learned extra score for each head that takes weight and gives no value, (heads,); None: there is none."""
        return None if self.scoring is None else self.scoring.sinks

    @property
    def window(self) -> int | None:
        """The width of a sliding window in positions; None when there is none or it is only in the mask."""
        return None if self.scoring is None else self.scoring.window

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the weights, (batch, heads, query, key)."""
        return self.weights.shape

    @property
    def n_heads(self) -> int:
        """How many heads are held."""
        return self.weights.shape[1]

    def head_numbers(self) -> tuple[int, ...]:
        """The model's own numbers of the heads held, in order."""
        return tuple(range(self.n_heads)) if self.heads is None else self.heads

    def with_heads(self, heads: HeadSelector) -> AttentionLayer:
        """The same layer with some of its heads, by the model's own numbers; nothing is computed or copied."""
        names = self.head_numbers()
        chosen = choose_held_heads(heads, names, f'layer {self.index} "{self.name}"')
        query, key, value = (_heads_of(array, chosen, self.n_heads) for array in (self.query, self.key, self.value))
        scoring = _scoring_of(self.scoring, chosen)
        weights: LazyWeights = SelectedHeads(self.weights, chosen)
        if isinstance(self.stored_weights, RecomputedWeights) and query is not None and key is not None and scoring:
            weights = RecomputedWeights(query, key, scoring)
        return replace(
            self,
            stored_weights=weights,
            query=query,
            key=key,
            value=value,
            scoring=scoring,
            heads=tuple(names[head] for head in chosen),
            gradient=None if self.gradient is None else _SelectedGradient(self.gradient, chosen),
        )

    def row_sums(self, batch: int = 0) -> Array:
        """The sum of each row of a batch item, (heads, query): 1, or 0 for a masked row, below 1 with a sink."""
        return np.asarray(self.weights[batch].sum(axis=-1))

    def replaced(self, **changes: Any) -> AttentionLayer:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def __repr__(self) -> str:
        shape = "reduced" if self.stored_weights is None else str(self.shape)
        return f'AttentionLayer({self.index}, "{self.name}", {self.kind}, {shape}, {self.source})'


@dataclass(frozen=True)
class _SelectedGradient:
    """The gradient of some heads."""

    gradient: Callable[[], Array]
    heads: tuple[int, ...]

    def __call__(self) -> Array:
        return np.asarray(self.gradient()[:, list(self.heads)])


def _heads_of(array: ArrayLike | None, heads: tuple[int, ...], total: int) -> ArrayLike | None:
    """Rows of ``array`` for these query heads; a key head shared by a group is repeated for each of them."""
    if array is None:
        return None
    group = max(1, total // array.shape[1])
    return HeadsOf(array, tuple(head // group for head in heads))


def _scoring_of(scoring: Scoring | None, heads: tuple[int, ...]) -> Scoring | None:
    if scoring is None:
        return None

    def chosen(array: ArrayLike | None) -> ArrayLike | None:
        # The last three axes are (heads, query, key), as where ALiBi is the same for all batch items.
        if array is None or len(array.shape) < 3 or array.shape[-3] == 1:
            return array
        return HeadsOf(array if len(array.shape) == 4 else np.asarray(array)[None], heads)

    sinks = None if scoring.sinks is None else np.asarray(scoring.sinks)[list(heads)]
    return replace(scoring, mask=chosen(scoring.mask), bias=chosen(scoring.bias), sinks=sinks)
