"""Large attention as a small grid that is still attention: shares of a query's weight, added up over keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from attncore.arrays import Array
from attncore.query_rows import RowState, RowStates, row_blocks, row_states

Positions = npt.NDArray[np.intp]
Values = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Bins:
    """Consecutive groups of the positions drawn; ``edges`` has one entry more than there are groups."""

    positions: Positions
    edges: Positions

    @classmethod
    def of(cls, positions: Positions, most: int) -> Bins:
        """At most ``most`` groups, as even as can be."""
        count = max(1, min(len(positions), most))
        return cls(positions, np.round(np.linspace(0, len(positions), count + 1)).astype(np.intp))

    def __len__(self) -> int:
        return len(self.edges) - 1

    def halved(self) -> Bins:
        """Neighbouring groups joined in pairs; the last one stays alone where their number is odd."""
        kept = list(range(0, len(self), 2))
        return Bins(self.positions, np.append(self.edges[kept], self.edges[-1]))

    @property
    def starts(self) -> list[int]:
        """The first position of each group."""
        return [int(position) for position in self.positions[self.edges[:-1]]]

    @property
    def pooled(self) -> bool:
        """Whether a group holds more than one position."""
        return len(self) < len(self.positions)

    @property
    def size(self) -> str:
        """How many positions a group holds, such as ``8`` or ``8-9``."""
        sizes = np.diff(self.edges)
        least, most = int(sizes.min()), int(sizes.max())
        return str(least) if least == most else f"{least}-{most}"


@dataclass(frozen=True, eq=False)
class Pooled:
    """Weights in bins.

    ``values`` (heads, query bins, key bins), ``rows`` (heads, query bins) is over how many query rows each is the mean,
    ``states`` (heads, query bins); ``counts`` says how many query rows of all heads are in each state.
    """

    queries: Bins
    keys: Bins
    values: Values
    rows: Values
    states: RowStates
    counts: dict[RowState, int]

    def halved(self) -> Pooled:
        """The same with query bins joined in pairs, for a drawing that has one row where half blocks have two."""
        starts = np.arange(0, len(self.queries), 2)
        rows, states = _joined(self.rows, self.states, starts)
        total = np.add.reduceat(self.values * self.rows[..., None], starts, axis=1)
        values = total / np.maximum(rows, 1)[..., None]
        return Pooled(self.queries.halved(), self.keys, values, rows, states, self.counts)

    def explain(self) -> str:
        """What a cell is, in words; empty when every cell is one weight."""
        if not (self.queries.pooled or self.keys.pooled):
            return ""
        return (
            f"a cell is {self.queries.size} x {self.keys.size} tokens (query x key): the weight summed over its keys, "
            "averaged over its queries"
        )

    def present(self) -> set[RowState]:
        """The states that some bin is in."""
        return {RowState(int(state)) for state in np.unique(self.states)}


def drawn_positions(padding: tuple[bool, ...], room: int) -> Positions:
    """All positions where there is room for them; else those that are not padding, unless all of them are."""
    everything = np.arange(len(padding), dtype=np.intp)
    real = np.flatnonzero(~np.asarray(padding, dtype=bool))
    return everything if len(padding) <= room or not len(real) else real


def pool(read: Callable[[slice], Array], padding: tuple[bool, ...], heads: int, queries: Bins, keys: Bins) -> Pooled:
    """Pool weights into bins: the mean over the queries of a bin of the sum over the keys of a bin.

    So every cell is a share of attention, and a row of the result sums to what the rows of the weights sum to. Rows
    that are not attention are left out of the mean; a bin with no other rows has their state.

    Args:
        read: gives the weights (heads, query, key) of a slice of query rows.
        padding: True for padded queries, (query,).
        heads: how many heads ``read`` gives.
        queries: groups of queries.
        keys: groups of keys.
    """
    everything = int(keys.positions[-1]) + 1
    summed = np.zeros((heads, len(padding), len(keys)), dtype=np.float32)
    states = np.full((heads, len(padding)), RowState.PADDING, dtype=np.int8)
    padded = np.asarray(padding, dtype=bool)
    for rows in row_blocks(len(padding), heads * everything):
        if padded[rows].all():
            continue
        block = read(rows)
        states[:, rows] = row_states(block, padded[rows])
        block = block if len(keys.positions) == block.shape[-1] else block[..., keys.positions]
        attends = states[:, rows, None] == RowState.ATTENDS
        if not attends.all():
            block = np.where(attends, block, block.dtype.type(0))
        summed[:, rows] = np.add.reduceat(block, keys.edges[:-1], axis=-1)
    counts = {state: int((states == state).sum()) for state in RowState}
    return _over_queries(summed, states, queries, keys, counts)


def _over_queries(summed: Values, states: RowStates, queries: Bins, keys: Bins, counts: dict[RowState, int]) -> Pooled:
    states = states[:, queries.positions]
    starts = queries.edges[:-1]
    total = np.add.reduceat(summed[:, queries.positions], starts, axis=1)
    rows, joined = _joined((states == RowState.ATTENDS).astype(np.float32), states, starts)
    return Pooled(queries, keys, total / np.maximum(rows, 1)[..., None], rows, joined, counts)


def _joined(rows: Values, states: RowStates, starts: npt.NDArray[np.signedinteger[Any]]) -> tuple[Values, RowStates]:
    """Counts of rows and states of bins put together, (heads, bins)."""
    counts: Values = np.add.reduceat(rows, starts, axis=1)
    # The states are numbered so that the largest is the one most worth showing.
    worst = np.maximum.reduceat(states, starts, axis=1)
    return counts, np.where(counts > 0, np.int8(RowState.ATTENDS), worst)
