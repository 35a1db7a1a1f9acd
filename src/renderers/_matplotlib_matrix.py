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
from ._matplotlib_layout import label_bar, put_title, rooms
from ._matplotlib_scale import Scale
from ._matplotlib_text import SMALLEST, clean, families, font_size, label_axis, text_width, widest
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
    width, height = _planned(weights.shape, with_values)
    down, across = _labels_beside(subject, cells)
    ax = canvas.axes(across + width + 1.2, down + height + 0.5)
    scale = scale.for_keys(subject.keys)
    norm = scale.over([weights])
    wide = 0.2 < weights.shape[0] / weights.shape[1] < 5
    image = ax.imshow(
        weights, cmap=scale.colors, norm=norm, aspect="equal" if wide else "auto", interpolation="nearest"
    )
    bar = scale.bar(ax.figure, image, ax)
    title = title_of(subject)
    for room in rooms(ax, (width, height)):
        label_tokens(ax, subject, cells, *room)
        put_title(ax, title, canvas.owns_room, label_bar(bar, scale.describe(cells.meaning, [weights])))
        width, height = room
    if with_values:
        _write_values(ax, weights, image, width, always=bool(values))
    return title


def _planned(shape: tuple[int, ...], with_values: bool) -> tuple[float, float]:
    """Width and height in inches that (queries, keys) cells would like to have."""
    cell = _CELL * (1.6 if with_values else 1)
    height, width = (min(max(count * cell, _LEAST), _LARGEST) for count in shape)
    return width, height


def _labels_beside(subject: Subject, cells: Cells) -> tuple[float, float]:
    """Inches that the keys take below a matrix, and the queries at its left, each with the name of the axis."""
    size = font_size("ytick.labelsize")
    sides = ((subject.key_axis, cells.keys), (subject.query_axis, cells.queries))
    keys, queries = ([clean(label) for label in labels_at(axis, subject.batch, at)[0]] for axis, at in sides)
    below, beside = (widest(labels, size, families("".join(labels))) + 0.5 for labels in (keys, queries))
    return below, beside


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


def _write_values(ax: Axes, weights: Any, image: Any, inches: float, *, always: bool) -> None:
    """Numbers in the cells, dark on light and light on dark; none if they would be too small, unless asked for."""
    numbers = {place: _number(weight) for place, weight in np.ndenumerate(weights) if np.isfinite(weight)}
    fits = 0.85 * inches / weights.shape[1] / max(text_width(".00", 1.0), widest(numbers.values(), 1.0))
    size = min(font_size("font.size") * 0.8, fits)
    if size < SMALLEST and not always:
        return
    colors = image.cmap(image.norm(weights))
    light = colors[..., :3] @ np.array([0.299, 0.587, 0.114]) > 0.5
    for (row, column), shown in numbers.items():
        color = "0.1" if light[row, column] else "0.95"
        ax.text(column, row, shown, ha="center", va="center", fontsize=size, color=color, in_layout=False)


def _number(weight: float) -> str:
    """Two decimals, without what the eye can do without: ``.09``, ``-.25``, ``1``; never a 0 below 0."""
    sign, digits = "-" if round(weight, 2) < 0 else "", f"{abs(weight):.2f}"
    return sign + ("1" if digits == "1.00" else digits.removeprefix("0"))
