"""One head as a matrix, queries down and keys across."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from attncore.axis import TokenAxis
from attncore.errors import OptionError
from attncore.subject import Subject

from ._matplotlib_canvas import Canvas
from ._matplotlib_cells import Cells, Positions, cells_of, real_positions
from ._matplotlib_scale import Scale
from ._matplotlib_text import font_size, label_axis
from ._matplotlib_titles import title_of

_MOST = 256
_WITH_VALUES = 12
_CELL, _LEAST, _LARGEST = 0.28, 2.4, 7.5  # inches


def draw_matrix(canvas: Canvas, subject: Subject, scale: Scale, values: bool | None) -> str:
    """Draw it and return its title."""
    if values is not None and not isinstance(values, bool):
        raise OptionError(f"values is True, False or None; {values!r} was given")
    cells = mean_cells(subject, _MOST)
    weights = cells.weights[0]
    with_values = values if values is not None else max(weights.shape) <= _WITH_VALUES
    cell = _CELL * (1.6 if with_values else 1)
    height, width = (min(max(count * cell, _LEAST), _LARGEST) for count in weights.shape)
    ax = canvas.axes(width + 2.2, height + 1.4)
    scale = scale.for_keys(subject.keys)
    norm = scale.over([weights])
    wide = 0.2 < weights.shape[0] / weights.shape[1] < 5
    image = ax.imshow(
        weights, cmap=scale.colors, norm=norm, aspect="equal" if wide else "auto", interpolation="nearest"
    )
    label_tokens(ax, subject, cells, width, height)
    if with_values:
        _write_values(ax, weights, image)
    scale.bar(ax.figure, image, ax, cells.meaning)
    title = title_of(subject)
    ax.set_title(title, parse_math=False, usetex=False, fontsize=font_size("axes.labelsize"))
    return title


def mean_cells(subject: Subject, most: int) -> Cells:
    """The cells of the one head, or of the mean over heads."""
    queries = real_positions(subject.query_axis, subject.batch)
    keys = real_positions(subject.key_axis, subject.batch)
    return cells_of(lambda rows: subject.read_mean(rows)[None], 1, queries, keys, most)


def label_tokens(ax: Axes, subject: Subject, cells: Cells, width: float, height: float) -> None:
    """Tokens along both sides of an image of cells."""
    batch = subject.batch
    for axis, own, places, inches, upright, name in (
        (ax.xaxis, subject.key_axis, cells.keys, width, True, "key"),
        (ax.yaxis, subject.query_axis, cells.queries, height, False, "query"),
    ):
        labels, padding = labels_at(own, batch, places)
        label_axis(axis, labels, inches, padding=padding, upright=upright)
        axis.set_label_text(name)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def labels_at(axis: TokenAxis, batch: int, places: Positions) -> tuple[list[str], list[bool]]:
    """The tokens at these positions, and which are padding."""
    item = batch if axis.batch != 1 else 0
    labels, padding = axis.labels_of(item), axis.padding_of(item)
    return [labels[place] for place in places], [bool(padding[place]) for place in places]


def _write_values(ax: Axes, weights: Any, image: Any) -> None:
    """Numbers in the cells, dark on light and light on dark."""
    colors = image.cmap(image.norm(weights))
    light = colors[..., :3] @ np.array([0.299, 0.587, 0.114]) > 0.5
    size = min(font_size("font.size") * 0.7, 7.5)
    for (row, column), weight in np.ndenumerate(weights):
        if np.isfinite(weight):
            color = "0.1" if light[row, column] else "0.95"
            shown = f"{weight:.2f}".removeprefix("0") if weight < 0.995 else "1"
            ax.text(
                column,
                row,
                shown,
                ha="center",
                va="center",
                fontsize=size,
                color=color,
            )
