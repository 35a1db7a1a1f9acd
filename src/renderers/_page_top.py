"""The largest weights of each query row: all that a page holds of a long input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from attncore.arrays import FloatArray

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
        size = np.abs(weights)
        chosen = np.argpartition(size, self.keys - self.k, axis=-1)[..., self.keys - self.k :]
        positions: Positions = chosen.astype(self.positions.dtype)
        # NaN is larger than any number to argpartition, and not smaller than LEAST: it is held, and shown as missing.
        positions[np.take_along_axis(size, chosen, axis=-1) < LEAST] = self.keys
        positions.sort(axis=-1)
        self.positions[part] = positions
        self.values[part] = _at(weights, positions, self.keys)

    def shrunk(self, k: int) -> TopRows:
        """The largest ``k`` of each row."""
        chosen = np.argpartition(np.abs(self.values), self.k - k, axis=-1)[..., self.k - k :]
        # Places ascend as positions do.
        chosen.sort(axis=-1)
        positions: Positions = np.take_along_axis(self.positions, chosen, axis=-1)
        values = np.take_along_axis(self.values, chosen, axis=-1)
        # A row that was not full has its empty places last; they are the smallest, so they are still last.
        return TopRows(positions, values, self.keys)

    def encoded(self) -> tuple[str, str, bytes]:
        """How the values and the positions are written, and the bytes of both: positions first, in byte planes."""
        empty = self.positions == self.keys
        # An empty place repeats the position before it, so that its difference is 0.
        filled = np.maximum.accumulate(np.where(empty, 0, self.positions), axis=-1)
        steps = np.diff(filled, axis=-1, prepend=np.zeros((), dtype=filled.dtype))
        planes = steps.view(np.uint8).reshape(-1, steps.itemsize).T
        kind, values = coded(self.values)
        return kind, steps.dtype.name, np.ascontiguousarray(planes).tobytes() + values


def _at(weights: FloatArray, positions: Positions, keys: int) -> FloatArray:
    values = np.take_along_axis(weights, np.minimum(positions, keys - 1).astype(np.intp), axis=-1)
    values[positions == keys] = 0
    return values


def _position_type(keys: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Little-endian, and large enough for every position and for ``keys`` itself."""
    return np.dtype("<u2") if keys <= np.iinfo(np.uint16).max else np.dtype("<u4")
