"""Figures on each head for a page: those of `attncore.patterns`, as JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from attncore.attention import AttentionTrace
from attncore.axis import TokenAxis
from attncore.layer import AttentionLayer
from attncore.patterns import HeadStatistics, head_statistics, strongest_pattern

# The viewer's `LEVEL_COUNTS`: its automatic threshold comes from the weights that so many keys of a query reach.
_LEVEL_COUNTS = (0.25, 0.5, 1, 2, 4, 8)
_LEVEL_ROWS = 48

# So many weights take about a second to go through; beyond them only some query rows are looked at.
_MOST_WEIGHTS = 200_000_000
_FIGURES = {
    "entropy": "entropy",
    "normalisedEntropy": "normalised_entropy",
    "distance": "distance",
    "maxWeight": "max_weight",
    "selfMass": "self_mass",
    "previousMass": "previous_mass",
    "nextMass": "next_mass",
    "firstMass": "first_mass",
    "specialMass": "special_mass",
    "separatorMass": "separator_mass",
}


def rows_to_look_at(trace: AttentionTrace) -> list[int | None]:
    """For each layer how many query rows its statistics may look at; None for all of them."""
    total = sum(layer.weights.size for layer in trace)
    if total <= _MOST_WEIGHTS:
        return [None] * len(trace)
    return [max(1, layer.shape[2] * _MOST_WEIGHTS // total) for layer in trace]


def statistics_of(
    layer: AttentionLayer, axes: tuple[TokenAxis, TokenAxis], max_rows: int | None = None
) -> list[dict[str, Any]]:
    """The viewer's `StatisticsInfo` of each batch item of a layer.

    Args:
        layer: its weights are (batch, heads, query, key).
        axes: the query and the key axis, as ``trace.axes_of(layer)`` gives them.
        max_rows: look at no more than about this many query rows.
    """
    items = layer.shape[0]
    per_item = (_for_items(axes[0], items), _for_items(axes[1], items))
    return [
        {
            **_figures(head_statistics(layer, item, axes=per_item, max_rows=max_rows)),
            "levels": _levels(layer, item, per_item[0]),
        }
        for item in range(items)
    ]


def _levels(layer: AttentionLayer, item: int, axis: TokenAxis) -> list[list[float | None]]:
    """Per head, the weights that 1/4 key of a query and more reach on average; a few rows tell."""
    _, heads, queries, keys = layer.shape
    step = -(-queries // _LEVEL_ROWS)
    counted = np.flatnonzero(~axis.padding_of(item)[::step])
    if not len(counted):
        return [[None] * len(_LEVEL_COUNTS)] * heads
    weights = np.asarray(layer.weights[item, :, ::step])[:, counted].astype(np.float32).reshape(heads, -1)
    np.nan_to_num(weights, copy=False)
    most = len(counted) * min(keys, int(max(_LEVEL_COUNTS)))
    largest = np.partition(weights, weights.shape[1] - most, axis=1)[:, weights.shape[1] - most :]
    largest.sort(axis=1)
    places = [max(1, round(count * len(counted))) for count in _LEVEL_COUNTS]
    return [[finite(row[-place], 3) if place <= len(row) else 0.0 for place in places] for row in largest]


def finite(value: float, digits: int = 6) -> float | None:
    """``value`` with so many significant digits; None where JSON has no number for it."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def _for_items(axis: TokenAxis, items: int) -> TokenAxis:
    """The axis with an entry for each batch item, where all items share one."""
    if axis.batch != 1 or items == 1:
        return axis
    arrays = {name: getattr(axis, name) for name in ("padding", "special", "segments")}
    repeated = {name: None if array is None else array.repeat(items, axis=0) for name, array in arrays.items()}
    return axis.replaced(labels=axis.labels * items, raw=axis.raw * items, **repeated)


def _figures(stats: HeadStatistics) -> dict[str, Any]:
    patterns = [strongest_pattern(stats, head) for head in range(len(stats.heads))]
    return {
        **{name: [finite(value) for value in getattr(stats, field)] for name, field in _FIGURES.items()},
        "pattern": [name for name, _ in patterns],
        "patternShare": [finite(share) for _, share in patterns],
        "rowStep": stats.row_step,
    }
