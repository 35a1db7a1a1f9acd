"""Weights as a grid of cells no finer than can be seen: of long inputs, sums over keys and means over queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attncore.arrays import Array
from attncore.axis import TokenAxis
from attncore.query_rows import row_blocks

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Cells:
    """``weights`` (heads, rows, columns); ``queries`` and ``keys`` are the first position of each row and column.

    A row without any weight, as of a query that every key is masked for, is NaN.
    """

    weights: Array
    queries: Positions
    keys: Positions
    pooled: tuple[int, int]

    @property
    def meaning(self) -> str:
        """What a cell says, for a colour bar or a caption."""
        down, across = self.pooled
        if (down, across) == (1, 1):
            return "attention weight"
        return f"weight summed over {across} keys, mean of {down} queries"


def real_positions(axis: TokenAxis, batch: int) -> Positions:
    """The positions that are no padding; all of them if that leaves none."""
    padding = axis.padding_of(batch if axis.batch != 1 else 0)
    kept = np.flatnonzero(~padding)
    return kept if len(kept) else np.arange(axis.length)


def cells_of(read: Callable[[slice], Array], heads: int, queries: Positions, keys: Positions, most: int) -> Cells:
    """The weights of these positions in at most ``most`` rows and columns.

    Args:
        read: gives (heads, query, key) of some query rows.
        heads: how many heads it gives.
        queries: the query positions to show, ascending.
        keys: the key positions to show, ascending.
        most: how many rows and columns at the most.
    """
    down, across = (-(-len(positions) // most) for positions in (queries, keys))
    rows, columns = np.arange(0, len(queries), down), np.arange(0, len(keys), across)
    total = np.zeros((heads, len(rows), len(columns)))
    counted = np.zeros(len(rows))
    last = int(queries[-1]) + 1 if len(queries) else 0
    place_of = np.full(last, -1)
    place_of[queries] = np.arange(len(queries)) // down
    for block in row_blocks(last, heads * max(1, len(keys))):
        places = place_of[block]
        weights = read(block)[:, places >= 0][:, :, keys]
        if weights.shape[1]:
            sums = np.add.reduceat(weights.astype(np.float64), columns, axis=2)
            into = places[places >= 0]
            for row in np.unique(into):
                total[:, row] += sums[:, into == row].sum(axis=1)
                counted[row] += (into == row).sum()
    weights = total / counted[:, None]
    # Zeros would look like attention: a query that every key is hidden from has none.
    weights[~total.any(axis=2)] = np.nan
    return Cells(weights, queries[rows], keys[columns], (down, across))
