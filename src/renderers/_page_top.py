"""The largest weights of each query row: all that a page holds of a long input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from attncore.arrays import Array, FloatArray

from ._page_encode import LEAST, coded

Part = tuple[int, slice, slice]
"""Where in a layer some weights are: batch item, heads, query rows."""

Positions = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class TopRows:
    """Up to k weights of each row, at ascending key positions.

    ``positions`` and ``values`` have shape (…, k). A row with fewer than k weights to hold ends with the position
    ``keys``, which does not exist, and the value 0.
    """

    positions: Positions
    values: FloatArray
    keys: int

    @classmethod
    def empty(cls, rows: tuple[int, ...], k: int, keys: int) -> TopRows:
        """Nothing yet; ``rows`` is the shape without k. Blocks of rows are put in with `put`."""
        positions: Positions = np.full((*rows, k), keys, dtype=_position_type(keys))
        return cls(positions, np.zeros((*rows, k), dtype=np.float32), keys)

    @property
    def k(self) -> int:
        """How many weights a row may have."""
        return int(self.values.shape[-1])

    def put(self, part: Part, weights: FloatArray) -> None:
        """Take the largest of ``weights`` (heads, query, all keys) into the rows of ``part``."""
        places, counts = _largest(np.abs(weights).reshape(-1, self.keys), self.k)
        rows = weights.shape[:-1]
        positions = _in_rows(places % self.keys, counts, self.k, np.asarray(self.keys, dtype=self.positions.dtype))
        values = _in_rows(weights.reshape(-1)[places], counts, self.k, np.float32(0))
        self.positions[part] = positions.reshape(*rows, self.k)
        self.values[part] = values.reshape(*rows, self.k)

    def shrunk(self, k: int) -> TopRows:
        """The largest ``k`` of each row."""
        places, counts = _largest(np.abs(self.values).reshape(-1, self.k), k)
        rows = self.values.shape[:-1]
        # Places ascend as positions do, and a row that was not full has its empty places last.
        positions = _in_rows(
            self.positions.reshape(-1)[places], counts, k, np.asarray(self.keys, dtype=self.positions.dtype)
        )
        values = _in_rows(self.values.reshape(-1)[places], counts, k, np.float32(0))
        return TopRows(positions.reshape(*rows, k), values.reshape(*rows, k), self.keys)

    def encoded(self) -> tuple[str, str, bytes]:
        """How the values and the positions are written, and the bytes of both: positions first, in byte planes."""
        empty = self.positions == self.keys
        # An empty place repeats the position before it, so that its difference is 0.
        filled = np.maximum.accumulate(np.where(empty, 0, self.positions), axis=-1)
        steps = np.diff(filled, axis=-1, prepend=np.zeros((), dtype=filled.dtype))
        planes = steps.view(np.uint8).reshape(-1, steps.itemsize).T
        kind, values = coded(self.values)
        return kind, steps.dtype.name, np.ascontiguousarray(planes).tobytes() + values


def _largest(sizes: FloatArray, k: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where the largest ``k`` of each row of ``sizes`` (row, place) are that are not next to nothing, and how many.

    NaN counts as large: it is held, and shown as missing. Of equal sizes the first are taken. The places are those of
    the flat array, ascending. Sorting values is several times quicker than sorting their places, so the k-th largest
    is found first.
    """
    sizes = np.where(np.isnan(sizes), np.float32(np.inf), sizes)
    least = np.partition(sizes, sizes.shape[1] - k, axis=1)[:, sizes.shape[1] - k, None]
    chosen = sizes >= np.maximum(least, np.float32(LEAST))
    counts = np.count_nonzero(chosen, axis=1)
    rows = np.flatnonzero(counts > k)
    if len(rows):
        equal = sizes[rows] == least[rows]
        wanted = k - counts[rows] + np.count_nonzero(equal, axis=1)
        chosen[rows] &= ~equal | (np.cumsum(equal, axis=1) <= wanted[:, None])
    return np.flatnonzero(chosen), np.minimum(counts, k)


def _in_rows(found: Array, counts: npt.NDArray[np.intp], k: int, empty: Any) -> Array:
    """``found``, which has ``counts`` entries for each row, as (row, k); ``empty`` fills the places that are left."""
    if len(found) == len(counts) * k:
        return found.reshape(-1, k)
    filled = np.full((len(counts), k), empty, dtype=found.dtype)
    filled[np.arange(k) < counts[:, None]] = found
    return filled


def _position_type(keys: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Little-endian, and large enough for every position and for ``keys`` itself."""
    return np.dtype("<u2") if keys <= np.iinfo(np.uint16).max else np.dtype("<u4")
