"""How a page holds the weights: which encoding fits the bytes there are, judged from a few rows of a few layers."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from attncore.arrays import FloatArray
from attncore.attention import AttentionTrace
from attncore.layer import AttentionLayer

from ._page_encode import coded, deflated, text_bytes
from ._page_top import TopRows

FEWEST_KEYS = 4
"""Fewer keys than this of each query show no pattern."""

# Up to so much base64, everything is written in float16.
_FLOAT16_TEXT = 2_000_000
_SAMPLE_LAYERS = 4
_SAMPLE_ROWS = 96
_SAMPLE_WEIGHTS = 4_000_000
# A whole layer is compressed better than a sample, since more rows of each head share codes of their own: by 3 to 11 %
# on real weights. Where this promises too much, the caller takes a few keys away again.
_LAYER_GAIN = 1.05
# Real weights in log8 take 0.6 to 0.9 bytes each before base64.
_LEAST_OF_ALL = 0.4
_OVERVIEW_SIZES = (128, 64, 32, 16)
_OVERVIEW_SHARE = 1 / 8


@dataclass(frozen=True)
class Plan:
    """``top`` keys of each query, and an overview of so many rows and columns, are only for the kind "top"."""

    kind: Literal["float16", "log8", "top"]
    top: int = 0
    overview: int = 0

    def holds_all(self, layer: AttentionLayer) -> bool:
        """Whether every weight of ``layer`` is written: also where its keys are so few that top takes no less."""
        return self.kind != "top" or _takes_no_less(self.top, layer.shape[3])


def _takes_no_less(top: int, keys: int) -> bool:
    # An entry among the top takes about 1.2 bytes, a weight among all of them 0.8.
    return 3 * top >= 2 * keys


def plans(trace: AttentionTrace, room: float) -> Iterator[Plan]:
    """The plans whose text should fit into ``room`` bytes, the most exact first; the last may not fit.

    A sample may mislead, so a caller tries one after the other. The last is of kind "top", and its ``top`` is 0 when
    not even one key of each query fits.
    """
    if text_bytes(2 * sum(layer.weights.size for layer in trace)) <= min(_FLOAT16_TEXT, room):
        yield Plan("float16")
    samples = _samples(trace, room)
    if sum(sample.text_of_all() for sample in samples) <= room:
        yield Plan("log8")
    overview, overview_text = _overview(trace, room)
    yield Plan("top", _most_keys(samples, _LAYER_GAIN * (room - overview_text)), overview)


def text_of_all(trace: AttentionTrace, room: float) -> float | None:
    """How long the text of all weights is, in the encoding that `plans` gives them; None for more than ``room``."""
    weights = sum(layer.weights.size for layer in trace)
    if text_bytes(2 * weights) <= min(_FLOAT16_TEXT, room):
        return text_bytes(2 * weights)
    if text_bytes(_LEAST_OF_ALL * weights) > room:
        return None
    text = sum(sample.text_of_all() for sample in _samples(trace, room))
    return text if text <= room else None


def bytes_needed(trace: AttentionTrace, room: float) -> int:
    """About how much text `FEWEST_KEYS` of each query take, for a message."""
    text = sum(sample.text_of_top(FEWEST_KEYS) for sample in _samples(trace, room))
    return int(text * (1 + 2 * _OVERVIEW_SHARE))


def _most_keys(samples: list[_Sample], room: float) -> int:
    """The largest k that fits; text grows with k."""
    candidates = range(1, max(sample.most for sample in samples) + 1)
    return bisect.bisect_right(candidates, room, key=lambda k: sum(sample.text_of_top(k) for sample in samples))


def _overview(trace: AttentionTrace, room: float) -> tuple[int, float]:
    """The finest overview that takes a small part of ``room``, and the text it takes at most."""
    for size in _OVERVIEW_SIZES:
        cells = sum(_heads(layer) * min(size, layer.shape[2]) * min(size, layer.shape[3]) for layer in trace)
        if text_bytes(cells) <= room * _OVERVIEW_SHARE:
            break
    return size, text_bytes(cells)


def _heads(layer: AttentionLayer) -> int:
    return layer.shape[0] * layer.shape[1]


@dataclass(frozen=True, eq=False)
class _Sample:
    """Some rows of a layer, ``weights`` (row, key), that stand for ``rows``; ``largest`` is the top of each of them."""

    weights: FloatArray
    largest: TopRows
    rows: float

    @property
    def most(self) -> int:
        """The largest k worth asking about."""
        return self.largest.k

    def text_of_all(self) -> float:
        """How long the text of all weights is, in log8 where that is possible."""
        return self._text(coded(self.weights)[1])

    def text_of_top(self, k: int) -> float:
        """The same for the largest ``k`` of each row."""
        if _takes_no_less(k, self.weights.shape[-1]):
            return self.text_of_all()
        return self._text(self.largest.shrunk(min(k, self.most)).encoded()[2])

    def _text(self, data: bytes) -> float:
        return text_bytes(len(deflated(data)) * self.rows / len(self.weights))


def _samples(trace: AttentionTrace, room: float) -> list[_Sample]:
    by_size: dict[tuple[int, int], list[AttentionLayer]] = {}
    for layer in trace:
        by_size.setdefault((layer.shape[2], layer.shape[3]), []).append(layer)
    # An entry takes more than half a byte of text in any case.
    most = int(2 * room / sum(_heads(layer) * layer.shape[2] for layer in trace)) + FEWEST_KEYS
    return [sample for layers in by_size.values() for sample in _samples_of(layers, most)]


def _samples_of(layers: list[AttentionLayer], most: int) -> list[_Sample]:
    """Samples of a few out of ``layers``, which are of one size."""
    chosen = [layers[place] for place in _spread(len(layers), _SAMPLE_LAYERS)]
    rows = sum(_heads(layer) * layer.shape[2] for layer in layers)
    samples = []
    for layer in chosen:
        weights = _some_rows(layer)
        largest = TopRows.empty((1, len(weights)), min(most, layer.shape[3]), layer.shape[3])
        largest.put((0, slice(None), slice(None)), weights)
        samples.append(_Sample(weights, largest, rows / len(chosen)))
    return samples


def _some_rows(layer: AttentionLayer) -> FloatArray:
    """Rows spread evenly over the queries of the first and the last batch item, (row, key); head after head."""
    items, heads, queries, keys = layer.shape
    chosen = _spread(items, 2)
    affordable = max(FEWEST_KEYS, _SAMPLE_WEIGHTS // (heads * keys))
    rows = _spread(queries, min(_SAMPLE_ROWS, affordable) // len(chosen))
    blocks = [np.stack([layer.weights[item, head, rows] for head in range(heads)]) for item in chosen]
    return np.concatenate(blocks).astype(np.float32, copy=False).reshape(-1, keys)


def _spread(total: int, most: int) -> list[int]:
    """At most ``most`` of the places 0 to ``total - 1``, evenly."""
    places: list[int] = np.unique(np.linspace(0, total - 1, min(total, most)).round().astype(int)).tolist()
    return places
