"""A small picture of all weights of a layer, for when a page holds only the largest keys of each query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attncore.arrays import FloatArray

from ._page_top import Part


@dataclass(frozen=True, eq=False)
class Overview:
    """The largest weight of each ``row_step`` x ``column_step`` block; ``cells`` is (items, heads, rows, columns)."""

    cells: FloatArray
    row_step: int
    column_step: int

    @classmethod
    def empty(cls, shape: tuple[int, int, int, int], size: int) -> Overview:
        """Nothing yet, for weights of ``shape``; at most ``size`` rows and columns."""
        items, heads, queries, keys = shape
        row_step, column_step = -(-queries // size), -(-keys // size)
        rows, columns = -(-queries // row_step), -(-keys // column_step)
        return cls(np.full((items, heads, rows, columns), -np.inf, dtype=np.float32), row_step, column_step)

    def put(self, part: Part, weights: FloatArray) -> None:
        """Take in the weights (heads, query, all keys) of ``part``, whose query rows follow each other."""
        item, heads, rows = part
        columns = np.maximum.reduceat(weights, np.arange(0, weights.shape[-1], self.column_step), axis=-1)
        first = rows.start // self.row_step
        begins = np.arange(first * self.row_step, rows.stop, self.row_step) - rows.start
        largest = np.maximum.reduceat(columns, np.maximum(begins, 0), axis=1)
        cells = self.cells[item, heads, first : first + largest.shape[1]]
        # Rows of one cell may come in two parts.
        np.maximum(cells, largest, out=cells)
