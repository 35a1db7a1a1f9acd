"""Attention weights as an array that is computed when it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from attncore.arrays import Array, ArrayLike
from attncore.errors import ArrayError, SelectionError
from attncore.scoring import Scoring, probabilities

Positions = npt.NDArray[np.intp]
AXES = ("batch", "heads", "query", "key")


def bytes_of(array: ArrayLike) -> int:
    """Bytes that an array takes where it is held, which may be fewer than when it is read (bfloat16)."""
    held = getattr(array, "nbytes", None)
    return int(held) if held is not None else int(np.prod(array.shape)) * array.dtype.itemsize


class LazyWeights(ABC):
    """Weights of one layer, shape (batch, heads, query, key); indexing gives numpy and computes only what is asked.

    Slices, integers and lists of positions work as in numpy. ``numpy.asarray(weights)`` computes all of it.
    """

    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]

    @abstractmethod
    def block(self, batch: Positions, heads: Positions, rows: Positions) -> Array:
        """The weights of these batch items, heads and query rows over all keys, in this order."""

    @property
    @abstractmethod
    def held_bytes(self) -> int:
        """Bytes held in memory (or mapped) for these weights."""

    @property
    def ndim(self) -> int:
        """Always 4."""
        return 4

    @property
    def size(self) -> int:
        """How many weights there are, held or not."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        return (self[item] for item in range(len(self)))

    if not TYPE_CHECKING:  # a type-checker is to go on saying that there is none

        def __getattr__(self, name: str) -> Any:
            hint = "; weights are computed when they are read: weights[...] is a numpy array, and has it"
            known = hasattr(np.ndarray, name) and not name.startswith("_")
            raise AttributeError(f"{type(self).__name__} has no {name!r}{hint if known else ''}", name=name, obj=self)

    def __getitem__(self, index: Any) -> Array:
        items = _four(index, self.shape)
        wanted, remaining = [], []
        for axis in range(3):
            positions, rest = _positions(items[axis], self.shape[axis], AXES[axis])
            wanted.append(positions)
            remaining.append(rest)
        _check_key(items[3], self.shape[3])
        block = self.block(wanted[0], wanted[1], wanted[2])
        return np.asarray(block[(*remaining, items[3])])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        result = np.asarray(self[...], dtype=dtype)
        # numpy leaves a copy that was asked for to us, and held weights are given out as views.
        return result.copy() if copy else result

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={self.dtype}, held={self.held_bytes:,} bytes)"


def _four(index: Any, shape: tuple[int, int, int, int]) -> tuple[Any, Any, Any, Any]:
    """The index as one item an axis, with ``...`` and missing axes filled in."""
    items = list(index) if isinstance(index, tuple) else [index]
    if any(item is None for item in items):
        raise SelectionError("weights take no new axes; read them first: numpy.asarray(weights)[...]")
    dots = [place for place, item in enumerate(items) if item is Ellipsis]
    given = len(items) - len(dots)
    if given > 4 or len(dots) > 1:
        raise SelectionError(f"weights have the 4 axes {AXES}, shape {shape}, and {given} indices were given")
    place = dots[0] if dots else len(items)
    items[place : place + 1] = [slice(None)] * (4 - given)
    return items[0], items[1], items[2], items[3]


def _positions(item: Any, length: int, axis: str) -> tuple[Positions, Any]:
    """Which positions are needed, each once, and how to index them afterwards to get what was asked."""
    if isinstance(item, slice):
        return np.arange(length, dtype=np.intp)[item], slice(None)
    asked = np.asarray(item)
    if asked.dtype == bool:
        if asked.shape != (length,):
            raise SelectionError(f"a mask for the {axis} axis needs shape ({length},) and has {asked.shape}")
        asked = np.flatnonzero(asked)
    if asked.size and asked.dtype.kind not in "iu":
        raise SelectionError(f"the {axis} axis takes integers and slices and was given {item!r}")
    if asked.size and (asked.min() < -length or asked.max() >= length):
        raise SelectionError(
            f"the {axis} axis has {length} positions and {item!r} was asked for; give {-length} to {length - 1}"
        )
    asked = asked.astype(np.intp)  # the length may be more than a small type can hold
    needed, places = np.unique(asked % length if length else asked, return_inverse=True)
    # numpy 1 gives an array of one place for a single position, and numpy 2 an array of none.
    return needed, places.item() if asked.ndim == 0 else places.reshape(asked.shape)


def _check_key(item: Any, length: int) -> None:
    if not isinstance(item, slice):
        _positions(item, length, "key")


def _as_slice(positions: Positions) -> Any:
    """A slice where the positions are consecutive, so that reading copies nothing; else the positions."""
    if len(positions) and np.array_equal(positions, np.arange(positions[0], positions[0] + len(positions))):
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return positions


def _take(source: ArrayLike, batch: Positions, heads: Positions, rows: Positions | None) -> Array:
    """``source[batch][:, heads][:, :, rows]``, each axis on its own; one head at a time when heads are scattered."""
    first, second = _as_slice(batch), _as_slice(heads)
    third = slice(None) if rows is None else _as_slice(rows)
    if all(isinstance(part, slice) for part in (first, second, third)):
        return np.asarray(source[first, second, third])
    if isinstance(first, slice) and not isinstance(second, slice) and len(heads):
        by_head = [np.asarray(source[first, int(head)]) for head in heads]
        return np.stack([part[:, third] for part in by_head], axis=1)
    result = np.asarray(source[first, slice(None)] if isinstance(first, slice) else source[first])
    return np.asarray(result[:, second][:, :, third])


class DenseWeights(LazyWeights):
    """Weights that are held: an array, a mapped file, or anything that gives numpy when indexed."""

    def __init__(self, source: ArrayLike) -> None:
        if len(source.shape) != 4:
            raise ArrayError(
                f"attention weights need the 4 axes {AXES} and this array has shape {tuple(source.shape)}; "
                "add the missing axes, for example array[None] for a batch of one"
            )
        self.source = source
        self.shape = (source.shape[0], source.shape[1], source.shape[2], source.shape[3])
        self.dtype = source.dtype

    def block(self, batch: Positions, heads: Positions, rows: Positions) -> Array:
        """As in `LazyWeights`; a view of what is held is read-only, so that no reader changes the trace."""
        taken = _take(self.source, batch, heads, rows)
        if isinstance(self.source, np.ndarray) and np.may_share_memory(taken, self.source):
            taken.flags.writeable = False
        return taken

    @property
    def held_bytes(self) -> int:
        """As in `LazyWeights`."""
        return bytes_of(self.source)


# Rows of a causal attention that are computed at a time.
_CAUSAL_ROWS = 128


class RecomputedWeights(LazyWeights):
    """Weights computed from query and key when they are read, exactly, a block at a time.

    ``query`` is (batch, heads, query, head_dim) and ``key`` (batch, kv_heads, key, head_dim), where each key head
    serves ``heads / kv_heads`` consecutive query heads (grouped-query attention, Ainslie et al. 2023).
    """

    def __init__(self, query: ArrayLike, key: ArrayLike, scoring: Scoring) -> None:
        for name, array in (("query", query), ("key", key)):
            if len(array.shape) != 4:
                raise ArrayError(f"{name} needs shape (batch, heads, length, head_dim) and has {tuple(array.shape)}")
        heads, kv_heads = query.shape[1], key.shape[1]
        if kv_heads == 0 or heads % kv_heads:
            raise ArrayError(f"{heads} query heads cannot share {kv_heads} key heads evenly")
        if query.shape[3] != key.shape[3]:
            raise ArrayError(f"query has head_dim {query.shape[3]} and key {key.shape[3]}; they must be equal")
        self.query, self.key, self.scoring = query, key, scoring
        self.group = heads // kv_heads
        self.shape = (_common_batch(query, key, scoring), heads, query.shape[2], key.shape[2])
        _check_scoring(scoring, self.shape)
        self.dtype = np.dtype(np.float64 if query.dtype == np.float64 else np.float32)

    def block(self, batch: Positions, heads: Positions, rows: Positions) -> Array:
        """As in `LazyWeights`."""
        if not (len(batch) and len(heads) and len(rows)):
            return np.zeros((len(batch), len(heads), len(rows), self.shape[3]), dtype=self.dtype)
        query = _take(self.query, _shared(batch, self.query), heads, rows)
        kv_heads = heads // self.group
        distinct = np.unique(kv_heads)
        key = _take(self.key, _shared(batch, self.key), distinct, None)
        if not np.array_equal(distinct, kv_heads):
            key = key[:, np.searchsorted(distinct, kv_heads)]
        if self.scoring.causal and self.scoring.mask is None and self.scoring.bias is None:
            return self._causal_block(query, key, heads, rows)
        parts = (_as_slice(batch), _as_slice(heads), _as_slice(rows))
        return probabilities(query, key, self.scoring, heads=heads, rows=rows, parts=parts)

    def _causal_block(self, query: Array, key: Array, heads: Positions, rows: Positions) -> Array:
        """The same by pieces of rows, each with no more keys than it may see: of a long text that is half of all."""
        query, key = query.astype(self.dtype, copy=False), key.astype(self.dtype, copy=False)
        keys = self.shape[3]
        # What all batch items share is held once, so the query's batch may be shorter than the key's.
        batch = max(len(query), len(key))
        weights = np.zeros((batch, *query.shape[1:3], keys), dtype=self.dtype)
        for start in range(0, len(rows), _CAUSAL_ROWS):
            piece = slice(start, start + _CAUSAL_ROWS)
            seen = min(keys, int(rows[piece].max()) + self.scoring.causal_offset + 1)
            if seen > 0:
                weights[:, :, piece, :seen] = probabilities(
                    query[:, :, piece],
                    key[:, :, :seen],
                    self.scoring,
                    heads=heads,
                    rows=rows[piece],
                    parts=(slice(None), slice(None), slice(None)),
                )
        return weights

    @property
    def held_bytes(self) -> int:
        """As in `LazyWeights`."""
        return bytes_of(self.query) + bytes_of(self.key)


def _common_batch(query: ArrayLike, key: ArrayLike, scoring: Scoring) -> int:
    """The batch size; what is the same for every batch item may be held once, with a batch of 1."""
    arrays = {"query": query, "key": key, "mask": scoring.mask, "bias": scoring.bias}
    sizes = {name: a.shape[0] for name, a in arrays.items() if a is not None and len(a.shape) == 4}
    batch = max(sizes.values())
    if any(size not in (1, batch) for size in sizes.values()):
        said = ", ".join(f"{name} a batch of {size}" for name, size in sizes.items())
        raise ArrayError(f"{said}: these must be equal, or 1 where all batch items share it")
    return batch


def _check_scoring(scoring: Scoring, shape: tuple[int, int, int, int]) -> None:
    """Mask, bias and sinks must fit the weights, or reading them would fail far from the cause."""
    for name, array in (("mask", scoring.mask), ("bias", scoring.bias)):
        if array is None:
            continue
        lead = (1,) * (4 - len(array.shape))
        if len(array.shape) > 4 or any(
            size not in (1, full) for size, full in zip((*lead, *array.shape), shape, strict=True)
        ):
            raise ArrayError(f"the {name} has shape {tuple(array.shape)}, which does not broadcast to weights {shape}")
    if scoring.mask is not None and scoring.mask.dtype != bool:
        raise ArrayError(
            f"the mask has dtype {scoring.mask.dtype}; it must be bool, True where attention is allowed "
            "(an additive mask goes into bias)"
        )
    if scoring.sinks is not None and tuple(scoring.sinks.shape) != (shape[1],):
        raise ArrayError(f"the sinks have shape {tuple(scoring.sinks.shape)}; the layer has {shape[1]} heads")


def _shared(batch: Positions, array: ArrayLike) -> Positions:
    """Queries that are the same for every batch item (learned latents) are held once."""
    return batch if array.shape[0] != 1 else np.zeros(1, dtype=np.intp)


class SelectedHeads(LazyWeights):
    """Some heads of other weights; nothing is copied."""

    def __init__(self, source: LazyWeights, heads: tuple[int, ...]) -> None:
        self.source = source
        self.heads = np.asarray(heads, dtype=np.intp)
        self.shape = (source.shape[0], len(heads), source.shape[2], source.shape[3])
        self.dtype = source.dtype

    def block(self, batch: Positions, heads: Positions, rows: Positions) -> Array:
        """As in `LazyWeights`."""
        return self.source.block(batch, self.heads[heads], rows)

    @property
    def held_bytes(self) -> int:
        """As in `LazyWeights`."""
        return self.source.held_bytes
