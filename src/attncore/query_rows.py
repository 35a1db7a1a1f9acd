"""Query rows: going through them a block at a time, and telling which of them hold attention at all."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from attncore.arrays import Array
from attncore.axis import BoolArray

# 4 MB of float32: near the processor's cache, where numpy is fastest, and small beside the weights of one long input.
_BLOCK_ELEMENTS = 1_000_000

RowStates = npt.NDArray[np.int8]


class RowState(IntEnum):
    """What a query row holds; only ``ATTENDS`` is attention."""

    ATTENDS = 0
    PADDING = 1
    MASKED = 2
    NAN = 3


def row_blocks(queries: int, elements_per_row: int, step: int = 1) -> Iterator[slice]:
    """Slices over ``range(0, queries, step)``, each small enough to hold in memory at once."""
    rows = max(1, _BLOCK_ELEMENTS // max(1, elements_per_row))
    for start in range(0, queries, rows * step):
        yield slice(start, min(start + rows * step, queries), step)


def row_states(weights: Array, padding: BoolArray) -> RowStates:
    """The `RowState` of each row.

    A padded query is padding whatever its weights are; a row with NaN or infinity in it is NaN; a row of zeros is
    masked.

    Args:
        weights: (..., query, key).
        padding: True for padded queries, (query,).

    Returns:
        (..., query).
    """
    states = np.where((weights != 0).any(axis=-1), RowState.ATTENDS, RowState.MASKED).astype(np.int8)
    states[~np.isfinite(weights).all(axis=-1)] = RowState.NAN
    states[..., padding] = RowState.PADDING
    return states


def key_spans(weights: Array) -> npt.NDArray[np.intp]:
    """How many keys each query may attend to, as far as its weights tell: from the first to the last that has any.

    A zero between these is more often a weight too small for its type than a mask. The heads are looked at together,
    since causal masks, windows and padding are mostly the same for all heads of a layer.

    Args:
        weights: (heads, query, key).

    Returns:
        (query,).
    """
    weighty = (weights != 0).any(axis=0)
    before, after = weighty.argmax(axis=-1), weighty[:, ::-1].argmax(axis=-1)
    return np.where(weighty.any(axis=-1), weighty.shape[-1] - before - after, 0)
