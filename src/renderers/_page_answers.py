"""Answers the questions of a page that is not self-contained: a notebook's kernel and the local server use it.

The questions, and what an answer's buffer holds, are in docs/page-format.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from threading import BoundedSemaphore, Event, Lock
from typing import Any

import numpy as np

from attncore.arrays import Array, FloatArray
from attncore.attention import AttentionTrace
from attncore.errors import AttncoreError, UnavailableError
from attncore.layer import AttentionLayer
from attncore.scoring import allowed_keys, broadcast_part

from ._page_cache import ArrayCache
from ._page_describe import NO_VECTORS_CAPTURED, Start, describe_trace, vectors_held, with_weights
from ._page_questions import Block, Tile, asked_for, read_tile, read_vectors

# 4 MB of float32: near the processor's cache, where numpy is fastest, and the most that one step needs several times.
_BLOCK_NUMBERS = 1 << 20
_CACHE_BYTES = 256 << 20


class Answers:
    """What a live page may ask about a trace; exact at any length, and safe to use from several threads.

    Weights are computed in blocks of query rows, so that a pooled map of 16,384 x 16,384 weights needs a few megabytes.
    Pooled maps and the blocks of small questions are cached, in at most ``cache_bytes``.

    Raises:
        UnavailableError: no layer of the trace has weights.
    """

    def __init__(self, trace: AttentionTrace, *, start: Start | None = None, cache_bytes: int = _CACHE_BYTES) -> None:
        self.trace, self._facts = with_weights(trace)
        self._start = start
        self._cache = ArrayCache(cache_bytes)
        self._description: dict[str, Any] | None = None
        self._describing = Lock()
        # More at once would only take memory: each computes as fast as a core can.
        self._computing = BoundedSemaphore(os.cpu_count() or 1)
        self._stopped = Event()

    def answer(self, question: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The answer, ready for `json.dumps`, and its buffer of little-endian float32.

        A question that cannot be answered gives ``{"error": …}``, a sentence for the person, and no buffer.
        """
        try:
            kind = asked_for(question)
            if kind == "trace":
                return self.description(), b""
            with self._computing:
                if kind == "tile":
                    return self._tile(read_tile(question, self.trace))
                return self._vectors(read_vectors(question, self.trace))
        except AttncoreError as error:
            return {"error": str(error)}, b""

    def stop(self) -> None:
        """Ends the computing that is under way in other threads, with an error as its answer, and any later one."""
        self._stopped.set()

    def description(self) -> dict[str, Any]:
        """What a page knows before it asks for any number; made once, when first asked for."""
        with self._describing:
            if self._description is None:
                self._description = describe_trace(self.trace, start=self._start, facts=self._facts)
            return self._description

    def _tile(self, tile: Tile) -> tuple[dict[str, Any], bytes]:
        values = self._cache.get(tile)
        if values is None:
            values = self._pooled(tile)
            self._cache.put(tile, values)
        answer = {
            "queries": list(tile.queries),
            "keys": list(tile.keys),
            "rows": tile.shape[0],
            "columns": tile.shape[1],
            "rowStep": tile.row_step,
            "columnStep": tile.column_step,
        }
        return answer, _bytes(values)

    def _pooled(self, tile: Tile) -> FloatArray:
        """The largest weight of each cell, (rows, columns); NaN where there is one among them."""
        pooled = np.full(tile.shape, -np.inf, dtype=np.float32)
        for start, weights in self._row_blocks(tile):
            largest, first = largest_cells(weights, start - tile.queries[0], tile.row_step, tile.column_step)
            part = pooled[first : first + len(largest)]
            np.maximum(part, largest, out=part)
        return pooled

    def _row_blocks(self, block: Block) -> Iterator[tuple[int, FloatArray]]:
        """The weights of ``block`` (query, key), some rows at a time, each with its first query's position.

        Blocks begin at multiples of their size, so that neighbouring questions share them. A question for a large
        part of a long text would drive everything else out of the cache, so its blocks are not kept.
        """
        keys = self.trace[block.layer].shape[3]
        size = max(1, _BLOCK_NUMBERS // keys)
        first, last = block.queries
        keep = (last - first) * keys * 4 <= self._cache.limit // 4
        for start in range(first - first % size, last, size):
            if self._stopped.is_set():
                raise UnavailableError("no more numbers are given out, since the server was stopped; start it again")
            begin, end = (start, start + size) if keep else (max(start, first), min(start + size, last))
            rows = self._rows(block, begin, end, keep=keep)
            offset = max(begin, first)
            yield offset, rows[offset - begin : last - begin, block.keys[0] : block.keys[1]]

    def _rows(self, block: Block, start: int, stop: int, *, keep: bool) -> FloatArray:
        """All keys of some query rows."""
        key = (block.layer, block.head, block.item, start)
        found = self._cache.get(key) if keep else None
        if found is None:
            weights = self.trace[block.layer].weights[block.item, block.head, start:stop]
            with np.errstate(over="ignore"):  # an infinite weight is a weight of the model's, and shown
                found = weights.astype(np.float32, copy=False)
            if keep:
                self._cache.put(key, found)
        return found

    def _vectors(self, block: Block) -> tuple[dict[str, Any], bytes]:
        layer = self.trace[block.layer]
        if layer.query is None or layer.key is None or not vectors_held(layer):
            raise UnavailableError(f'layer {block.layer} "{layer.name}": {NO_VECTORS_CAPTURED}')
        query = _vectors_of(layer.query, block.item, block.head, layer.n_heads)[slice(*block.queries)]
        key = _vectors_of(layer.key, block.item, block.head, layer.n_heads)[slice(*block.keys)]
        bias, allowed = _bias_and_allowed(layer, block)
        answer = {
            "queries": list(block.queries),
            "keys": list(block.keys),
            "headDim": int(query.shape[1]),
            "bias": bias is not None,
            "allowed": allowed is not None,
        }
        return answer, b"".join(_bytes(part) for part in (query, key, bias, allowed) if part is not None)


def largest_cells(weights: FloatArray, offset: int, row_step: int, column_step: int) -> tuple[FloatArray, int]:
    """The largest of each ``row_step`` x ``column_step`` weights, and the row of the whole picture it begins with.

    Args:
        weights: (query, key), some rows of a picture.
        offset: how many rows of the picture come before them.
        row_step: queries in a row of the result, counted from the picture's first.
        column_step: keys in a column of the result; the last may have fewer.

    Returns:
        (rows, columns), the first and last row of which may lack queries that other blocks have; and its first row.
    """
    first = offset // row_step
    if row_step > 1:
        # One call a row of cells: numpy's reduceat takes thirty times as long along this axis.
        ends = range((first + 1) * row_step - offset, len(weights) + row_step, row_step)
        weights = np.stack([weights[max(0, end - row_step) : end].max(axis=0) for end in ends])
    if column_step > 1:
        weights = np.maximum.reduceat(weights, np.arange(0, weights.shape[1], column_step), axis=1)
    return weights, first


def _vectors_of(array: Any, item: int, head: int, heads: int) -> FloatArray:
    """(length, head_dim) of one head; each of fewer key heads serves a group, and one batch item may serve all."""
    group = heads // array.shape[1]
    return np.asarray(array[item if array.shape[0] > 1 else 0, head // group])


def _bias_and_allowed(layer: AttentionLayer, block: Block) -> tuple[Array | None, Array | None]:
    """What is added to the scores and which of them count, each (query, key), None where there is nothing of it."""
    scoring = layer.scoring
    if scoring is None:
        return None, None
    queries = slice(*block.queries)
    rows = np.arange(queries.start, queries.stop)
    parts = (slice(block.item, block.item + 1), slice(block.head, block.head + 1), queries)
    keys = layer.shape[3]
    bias = None if scoring.bias is None else broadcast_part(scoring.bias, parts)
    allowed = allowed_keys(scoring, rows, keys, parts)

    def part(array: Array | None) -> Array | None:
        if array is None:
            return None
        return np.broadcast_to(array, (1, 1, len(rows), keys))[0, 0, :, slice(*block.keys)]

    return part(bias), part(allowed)


def _bytes(array: Array) -> bytes:
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype="<f4").tobytes()
