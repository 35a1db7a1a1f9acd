"""What each head attends to, in a few numbers, and a plain name for it.

For one head, ``A[i, k]`` is the weight that query ``i`` gives to key ``k``, and ``n`` the number of query rows counted.
Three kinds of rows are never counted, since they are not attention: padded queries, rows in which every key was masked
(all zeros), and rows that hold NaN or infinity.

| field of `HeadStatistics` | formula | unit | range |
|---|---|---|---|
| ``entropy`` | mean over i of ``-sum_k p[i,k] log2 p[i,k]`` | bits | 0 to log2(keys) |
| ``normalised_entropy`` | mean over i of ``entropy[i] / log2(keys allowed to i)`` | - | 0 to 1 |
| ``distance`` | mean over i of ``sum_k p[i,k] abs(i - k)`` | tokens | 0 to keys - 1 |
| ``max_weight`` | mean over i of ``max_k A[i,k]`` | share | 0 to 1 |
| ``self_mass`` | mean over i of ``A[i, i]`` | share | 0 to 1 |
| ``previous_mass`` | mean over i of ``A[i, i - 1]`` | share | 0 to 1 |
| ``next_mass`` | mean over i of ``A[i, i + 1]`` | share | 0 to 1 |
| ``first_mass`` | mean over i of ``A[i, first]`` | share | 0 to 1 |
| ``special_mass`` | mean over i of ``sum A[i, k]``, k every special token | share | 0 to 1 |
| ``separator_mass`` | mean over i of ``sum A[i, k]``, k special but not the first token | share | 0 to 1 |

``p[i,k] = A[i,k] / sum_k A[i,k]``: with a learned sink a row sums to less than 1, and entropy and distance then
describe where the rest goes. A row without such a key (the first row has no previous token) is left out of that mean.
"Keys allowed" are those from the first to the last that any head of the layer gives weight to.
Sources: entropy, Shannon (1948), applied to heads by Ghader & Monz (2017) and Clark et al. (2019), "What Does BERT Look
At?", from whom the shares of self, previous, next and separator tokens are too; ``max_weight`` is the confidence of
Voita et al. (2019), "Analyzing Multi-Head Self-Attention"; ``distance`` is Vig & Belinkov (2019), "Analyzing the
Structure of Attention in a Transformer Language Model"; attention sinks are Xiao et al. (2023), "Efficient Streaming
Language Models with Attention Sinks", measured by Gu et al. (2024), "When Attention Sink Emerges in Language Models".

Attention weights show where information can flow, not what caused an output.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from attncore.arrays import Array
from attncore.axis import BoolArray, TokenAxis
from attncore.errors import SelectionError
from attncore.layer import AttentionLayer
from attncore.query_rows import RowState, key_spans, row_blocks, row_states

PATTERN_SHARE = 0.5
"""A head is named after a token when it gives that token at least this share of its attention (Clark et al. 2019)."""

SINK_SHARE = 0.3
"""For the first token less is enough: the threshold for an attention sink in Gu et al. (2024)."""

BROAD_ENTROPY = 0.9
"""A head is broad when its normalised entropy is at least this: close to equal weight on every key allowed."""

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class HeadStatistics:
    """Numbers on each head of one layer and one batch item, (heads,) each; the table above has the formulas.

    A value is NaN where it means nothing: positions in cross-attention, special tokens when the axes are unknown,
    anything when no row was counted.

    Attributes:
        heads: the model's own numbers of the heads.
        rows_counted: how many query rows the means are over.
        rows_masked: rows left out because every key was masked; ``rows_nan`` because they hold NaN or infinity.
        rows_padded: rows left out as padding, for all heads.
        row_step: 1, or the distance between the rows looked at when only some were (``max_rows=``).
    """

    heads: tuple[int, ...]
    entropy: Values
    normalised_entropy: Values
    distance: Values
    max_weight: Values
    self_mass: Values
    previous_mass: Values
    next_mass: Values
    first_mass: Values
    special_mass: Values
    separator_mass: Values
    rows_counted: Counts
    rows_masked: Counts
    rows_nan: Counts
    rows_padded: int
    row_step: int = 1


def head_statistics(
    layer: AttentionLayer,
    batch: int = 0,
    *,
    axes: tuple[TokenAxis, TokenAxis] | None = None,
    max_rows: int | None = None,
) -> HeadStatistics:
    """Statistics of every head of a layer, reading the weights a block of query rows at a time.

    It is made to be used while a model runs, without keeping any weights:

        trace = attncore.trace(model, inputs, reduce=attncore.patterns.head_statistics)
        trace[3].reduced.entropy                      # (heads,)

    Args:
        layer: one layer; its weights are (batch, heads, query, key).
        batch: which batch item.
        axes: the query and the key axis, as ``trace.axes_of(layer)`` gives them. Without them nothing is known about
            padding and special tokens: padded queries are counted, and the mass on special tokens is NaN.
        max_rows: look at no more than about this many query rows, evenly spaced.

    Raises:
        SelectionError: there is no such batch item.
        UnavailableError: the layer's weights were not kept.
    """
    items, heads, queries, keys = layer.weights.shape
    if not -items <= batch < items:
        raise SelectionError(
            f"{layer!r} has {items} batch item(s) and item {batch} was asked for; give 0 to {items - 1}"
        )
    places = _Places.of(layer, batch, axes)
    step = 1 if max_rows is None else max(1, -(-queries // max(1, max_rows)))
    sums = _Sums(heads, places, named=axes is not None and axes[1].special is not None)
    for rows in row_blocks(queries, heads * keys, step):
        if not places.padding[rows].all():
            sums.add(np.asarray(layer.weights[batch, :, rows]), rows)
    padded = int(places.padding[::step].sum())
    return HeadStatistics(heads=layer.head_numbers(), rows_padded=padded, row_step=step, **sums.means())


@dataclass(frozen=True, eq=False)
class _Places:
    """Which keys are which: ``offset`` is the key position of query 0, None where positions do not correspond."""

    keys: int
    offset: int | None
    first: int
    padding: BoolArray
    key_padding: BoolArray
    special: BoolArray
    separator: BoolArray

    @classmethod
    def of(cls, layer: AttentionLayer, batch: int, axes: tuple[TokenAxis, TokenAxis] | None) -> _Places:
        _, _, queries, keys = layer.weights.shape
        padding, key_padding = np.zeros(queries, dtype=bool), np.zeros(keys, dtype=bool)
        special = np.zeros(keys, dtype=bool)
        if axes is not None:
            padding, key_padding = axes[0].padding_of(batch), axes[1].padding_of(batch)
            if axes[1].special is not None:
                special = axes[1].special[batch] & ~key_padding
        # With padding on the left the sequence begins further in.
        first = int(np.argmin(key_padding))
        separator = special.copy()
        separator[first] = False
        return cls(keys, _offset(layer, queries, keys), first, padding, key_padding, special, separator)

    def key_at(self, rows: slice, shift: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """The places in ``rows`` whose token has a key ``shift`` positions on, and those keys."""
        if self.offset is None:
            return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
        keys = np.arange(len(self.padding), dtype=np.intp)[rows] + self.offset + shift
        inside = (keys >= 0) & (keys < self.keys)
        inside[inside] = ~self.key_padding[keys[inside]]
        return np.flatnonzero(inside), keys[inside]


def _offset(layer: AttentionLayer, queries: int, keys: int) -> int | None:
    """Where query 0 stands among the keys of a self-attention; unknown when the lengths differ without a reason."""
    if layer.kind != "self":
        return None
    if queries == keys:
        return 0
    return layer.scoring.causal_offset if layer.scoring is not None and layer.scoring.causal else None


@dataclass
class _Sums:
    """Sums over the rows seen so far, and over how many rows each of them is."""

    heads: int
    places: _Places
    named: bool
    totals: dict[str, Values] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    states: dict[RowState, Counts] = field(default_factory=dict)

    def add(self, block: Array, rows: slice) -> None:
        """Take in ``block``, the weights (heads, query, key) of ``rows``."""
        states = row_states(block, self.places.padding[rows])
        counted = states == RowState.ATTENDS
        if not counted.all():
            block = np.where(counted[..., None], block, block.dtype.type(0))
        if block.dtype.itemsize < 4:
            block = block.astype(np.float32)
        for state in RowState:
            self.states[state] = self.states.get(state, np.int64(0)) + (states == state).sum(axis=-1)
        self._add_spread(block, counted)
        self._add("max_weight", block.max(axis=-1), counted)
        self._add("first_mass", block[..., self.places.first], counted)
        self._add_positions(block, rows, counted)
        if self.named:
            self._add("special_mass", block[..., self.places.special].sum(axis=-1), counted)
            self._add("separator_mass", block[..., self.places.separator].sum(axis=-1), counted)

    def _add_spread(self, block: Array, counted: BoolArray) -> None:
        """Entropy in bits. With ``s = sum_k A``: ``-sum_k p log2 p = log2 s - (sum_k A log2 A) / s``."""
        positive = np.maximum(block, 0)  # mixed heads can go below zero, where there is no entropy
        sums = positive.sum(axis=-1, dtype=np.float64)
        sums[sums == 0] = 1
        tiny = np.finfo(block.dtype).tiny  # 0 log 0 is 0
        logs = np.log2(np.maximum(positive, tiny))
        logs *= positive
        entropy = np.maximum(np.log2(sums) - logs.sum(axis=-1) / sums, 0)
        allowed = key_spans(block)
        self._add("entropy", entropy, counted)
        self._add("normalised_entropy", entropy / np.log2(np.maximum(allowed, 2)), counted & (allowed > 1))

    def _add_positions(self, block: Array, rows: slice, counted: BoolArray) -> None:
        """Distance and the mass on the token itself and on its neighbours."""
        if self.places.offset is None:
            return
        query = np.arange(len(self.places.padding))[rows] + self.places.offset
        distance = np.abs(query[:, None] - np.arange(self.places.keys)).astype(block.dtype)
        sums = block.sum(axis=-1, dtype=np.float64)
        sums[sums == 0] = 1
        self._add("distance", np.einsum("hqk,qk->hq", block, distance) / sums, counted)
        for name, shift in (("self_mass", 0), ("previous_mass", -1), ("next_mass", 1)):
            places, keys = self.places.key_at(rows, shift)
            self._add(name, block[:, places, keys], counted[:, places])

    def _add(self, name: str, values: Array, counted: BoolArray) -> None:
        """Add values (heads, query) where they count."""
        total = np.where(counted, values, 0).sum(axis=-1, dtype=np.float64)
        self.totals[name] = self.totals.get(name, np.float64(0)) + total
        self.counts[name] = self.counts.get(name, np.int64(0)) + counted.sum(axis=-1)

    def means(self) -> dict[str, Any]:
        """The array fields of `HeadStatistics`."""
        means: dict[str, Any] = {name: self._mean(name) for name in _MEANS}
        for name, state in _ROW_COUNTS.items():
            means[name] = self.states.get(state, np.zeros(self.heads, dtype=np.int64))
        return means

    def _mean(self, name: str) -> Values:
        if name not in self.totals:
            return np.full(self.heads, np.nan)
        counts = self.counts[name].astype(np.float64)
        mean: Values = np.full(self.heads, np.nan)
        np.divide(self.totals[name], counts, out=mean, where=counts > 0)
        return mean


_MEANS = tuple(entry.name for entry in fields(HeadStatistics) if entry.type == "Values")
_ROW_COUNTS = {"rows_counted": RowState.ATTENDS, "rows_masked": RowState.MASKED, "rows_nan": RowState.NAN}

# Names in the order that settles a tie, the field they are read from and the least share that earns them.
_PATTERNS = (
    ("previous token", "previous_mass", PATTERN_SHARE),
    ("next token", "next_mass", PATTERN_SHARE),
    ("same token", "self_mass", PATTERN_SHARE),
    ("first token (sink)", "first_mass", SINK_SHARE),
    ("separator", "separator_mass", PATTERN_SHARE),
)
PATTERN_NAMES = (*(name for name, _, _ in _PATTERNS), "broad", "mixed", "no rows")


def strongest_pattern(stats: HeadStatistics, head: int) -> tuple[str, float]:
    """A plain name for what a head does, and how strongly it does it.

    A head whose normalised entropy reaches `BROAD_ENTROPY` is ``"broad"``. Otherwise it is named after the token that
    gets the largest share of its attention, if that is `PATTERN_SHARE` (`SINK_SHARE` for the first token) or more:
    ``"previous token"``, ``"next token"``, ``"same token"``, ``"first token (sink)"`` or ``"separator"`` (special
    tokens after the first). Otherwise it is ``"mixed"``; ``"no rows"`` when no query row was counted.

    Args:
        stats: of one layer.
        head: place in the arrays of ``stats``, from 0.

    Returns:
        The name, and the share of attention (for ``"broad"`` the normalised entropy; for ``"mixed"`` the largest share
        of any single key, ``max_weight``; NaN for ``"no rows"``).

    Raises:
        SelectionError: there is no such head.
    """
    total = len(stats.heads)
    if not 0 <= head < total:
        raise SelectionError(
            f"these statistics are of {total} head(s) and head {head} was asked for; give 0 to {total - 1}"
        )
    if stats.rows_counted[head] == 0:
        return "no rows", float("nan")
    if stats.normalised_entropy[head] >= BROAD_ENTROPY:
        return "broad", float(stats.normalised_entropy[head])
    shares = [(name, float(getattr(stats, source)[head]), least) for name, source, least in _PATTERNS]
    strong = [(name, share) for name, share, least in shares if share >= least]
    # max() keeps the first of equals, and NaN has been left out: it is not >= anything.
    return max(strong, key=lambda pattern: pattern[1], default=("mixed", float(stats.max_weight[head])))
