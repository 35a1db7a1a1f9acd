"""Goes through the weights of a layer once, and keeps what a page shows of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from attncore.arrays import FloatArray
from attncore.attention import AttentionTrace
from attncore.layer import AttentionLayer
from attncore.query_rows import row_blocks
from attncore.weights import DenseWeights

from ._page_encode import LEAST, Block, block_of, coded, fits_log8, float16, log8
from ._page_overview import Overview
from ._page_plan import Plan
from ._page_statistics import rows_to_look_at, statistics_of
from ._page_top import Part, TopRows

# A layer of up to 128 MB of float32 is computed once, for its statistics and for the page; of a larger one some rows
# are computed again for the statistics.
_MOST_IN_MEMORY = 32_000_000
# What is worked on at a time; near the processor's cache.
_PART_WEIGHTS = 1_000_000


@dataclass(frozen=True, eq=False)
class ShownLayer:
    """What a page holds of a layer: ``blocks`` that are ready, and, where it is not all, the ``top`` of each row.

    ``totals`` (items, heads, query) are what the weights of each row sum to, regardless of sign; NaN where a row holds
    NaN. ``counted`` (items, query) is False for padded queries. ``causal`` is how many positions after a query the last
    key is that gets any weight, where the layer is causal.
    """

    place: int
    statistics: list[dict[str, Any]]
    blocks: tuple[Block, ...]
    top: TopRows | None = None
    totals: FloatArray | None = None
    counted: npt.NDArray[np.bool_] | None = None
    causal: int | None = None

    def shrunk(self, k: int) -> ShownLayer:
        """With the largest ``k`` of each row, where not all weights are held."""
        return self if self.top is None or self.top.k <= k else replace(self, top=self.top.shrunk(k))

    def all_blocks(self) -> list[Block]:
        """Everything that is written of the weights."""
        return [*self.blocks] if self.top is None else [*self.blocks, _top_block(self.place, self.top, self.causal)]

    def kept(self) -> FloatArray | None:
        """The mean share of each head's attention that is held, (items, heads); None where it is all."""
        if self.top is None or self.totals is None or self.counted is None:
            return None
        # Rows of zeros and rows with NaN are not attention, and have nothing to lose.
        counted = (self.totals > 0) & np.isfinite(self.totals) & self.counted[:, None]
        held = np.abs(self.top.values).sum(axis=-1)
        shares = np.divide(held, self.totals, out=np.zeros_like(held), where=counted).sum(axis=-1)
        rows = counted.sum(axis=-1)
        return np.where(rows > 0, np.minimum(shares / np.maximum(rows, 1), 1), 1)


def shown_layers(trace: AttentionTrace, plan: Plan) -> list[ShownLayer]:
    """Every layer of ``trace`` as ``plan`` has it; layers are worked on side by side."""
    max_rows = rows_to_look_at(trace)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as threads:
        return list(threads.map(lambda place: _shown(trace, place, plan, max_rows[place]), range(len(trace))))


def _shown(trace: AttentionTrace, place: int, plan: Plan, max_rows: int | None) -> ShownLayer:
    layer = _in_memory(trace[place])
    statistics = statistics_of(layer, trace.axes_of(layer), max_rows)
    if plan.holds_all(layer):
        return ShownLayer(place, statistics, (_whole_block(place, layer, plan),))
    return _top_of(trace, place, layer, plan, statistics)


def _in_memory(layer: AttentionLayer) -> AttentionLayer:
    """The layer with its weights computed, where they are not held already and are not too many."""
    if isinstance(layer.stored_weights, DenseWeights) or layer.weights.size > _MOST_IN_MEMORY:
        return layer
    return layer.replaced(stored_weights=DenseWeights(np.asarray(layer.weights)))


def _parts(layer: AttentionLayer) -> Iterator[tuple[Part, FloatArray]]:
    """Where in the layer (batch item, heads, query rows), and the weights there, (heads, query, all keys).

    As many rows of as few heads as make up a block: computing weights takes a matrix product for each head of a part,
    and few large products keep the processor's cores busy where many small ones keep them waiting for each other.
    """
    items, heads, queries, keys = layer.shape
    together = max(1, _PART_WEIGHTS // max(1, queries * keys))
    for item in range(items):
        for first in range(0, heads, together):
            some = slice(first, min(first + together, heads))
            for rows in row_blocks(queries, (some.stop - some.start) * keys):
                weights = layer.weights[item, some, rows]
                yield (item, some, slice(rows.start, rows.stop)), weights.astype(np.float32, copy=False)


def _whole_block(place: int, layer: AttentionLayer, plan: Plan) -> Block:
    codes = None if plan.kind == "float16" else _log8_codes(layer)
    if codes is not None:
        return _codes_block(f"weights-{place}", codes)
    halves = np.empty(layer.shape, dtype="<f2")
    for part, weights in _parts(layer):
        halves[part] = float16(weights)
    return block_of(f"weights-{place}", halves.tobytes(), encoding="float16")


def _codes_block(name: str, codes: npt.NDArray[np.uint8]) -> Block:
    """The shorter of two ways to write codes (items, heads, query, key): as they are, or as steps from row to row.

    Steps take 6 % less of real weights, whose queries have keys in common, and 7 % more of random ones.
    """
    steps = np.diff(codes, axis=2, prepend=np.uint8(0))  # modulo 256, as uint8 counts
    plain = block_of(name, codes.tobytes(), encoding="log8")
    stepwise = block_of(name, steps.tobytes(), encoding="log8-steps")
    return min(plain, stepwise, key=lambda block: len(block.text))


def _log8_codes(layer: AttentionLayer) -> npt.NDArray[np.uint8] | None:
    """Codes of all weights, (items, heads, query, key); None when some weight has no code."""
    codes = np.empty(layer.shape, dtype=np.uint8)
    for part, weights in _parts(layer):
        if not fits_log8(weights):
            return None
        codes[part] = log8(weights)
    return codes


def _top_of(
    trace: AttentionTrace, place: int, layer: AttentionLayer, plan: Plan, statistics: list[dict[str, Any]]
) -> ShownLayer:
    top = TopRows.empty(layer.shape[:3], plan.top, layer.shape[3])
    overview = Overview.empty(layer.shape, plan.overview)
    totals = np.empty(layer.shape[:3], dtype=np.float32)
    offset = _causal_offset(layer)
    for part, weights in _parts(layer):
        if offset is not None and _sees_future(weights, part[2], offset):
            offset = None
        top.put(part, weights)
        overview.put(part, weights)
        totals[part] = np.abs(weights).sum(axis=-1)
    axis = trace.axes_of(layer)[0]
    counted = np.stack([~axis.padding_of(item if axis.batch > 1 else 0) for item in range(layer.shape[0])])
    kind, cells = coded(overview.cells)
    steps = {"row_step": overview.row_step, "column_step": overview.column_step}
    small = block_of(f"overview-{place}", cells, encoding=kind, **steps)
    return ShownLayer(place, statistics, (small,), top, totals, counted, offset)


def _causal_offset(layer: AttentionLayer) -> int | None:
    """The position of the last key that query 0 sees, if the layer is causal; whether it is, only its weights tell."""
    _, _, queries, keys = layer.shape
    if layer.scoring is not None and layer.scoring.causal:
        return layer.scoring.causal_offset
    return keys - queries if layer.kind == "self" and keys >= queries else None


def _sees_future(weights: FloatArray, rows: slice, offset: int) -> bool:
    """Whether any query of ``rows`` gives weight (heads, query, all keys) to a key that comes later."""
    future = np.arange(weights.shape[-1]) > np.arange(rows.start, rows.stop)[:, None] + offset
    return bool(weights[:, future].any())


def _top_block(place: int, top: TopRows, causal: int | None) -> Block:
    values, index, data = top.encoded()
    reading = {"values": values, "index": index, "least": LEAST, "causal": causal}
    return block_of(f"weights-{place}", data, encoding="top", top=top.k, **reading)
