"""A grid of one layer's heads on one scale; or of one query's weights on the patches of an image, a head each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from attncore.arrays import Array
from attncore.errors import OptionError
from attncore.subject import Subject, check_head, find_query

from ._matplotlib_canvas import Canvas
from ._matplotlib_cells import cells_of, real_positions
from ._matplotlib_layout import label_bar, put_figure_title, rooms
from ._matplotlib_scale import Scale
from ._matplotlib_text import SMALLEST, clean, font_size, widest
from ._matplotlib_titles import about

_MOST = 128
_PANEL, _LEAST = 1.55, 2.4  # inches


def draw_heads(
    canvas: Canvas, subject: Subject, heads: Sequence[int] | None, query: int | str | None, scale: Scale
) -> str:
    """Draw it and return its title."""
    numbers = _chosen(subject, heads)
    title = ", ".join([f"layer {subject.layer.index}", *about(subject)])
    if query is None:
        weights, meaning = _matrices(subject, numbers)
    else:
        position = find_query(subject, query)
        weights = _patches(subject, numbers, position)
        meaning = "attention weight"
        title += f', from "{_token(subject, position)}" to the patches'
    columns = _columns(len(numbers))
    rows = math.ceil(len(numbers) / columns)
    ratio = weights.shape[1] / weights.shape[2]
    equal = 0.2 < ratio < 5
    width, height = (_PANEL * min(1.0, side) if equal else _PANEL for side in (1 / ratio, ratio))
    figure = canvas.place(columns * width + 1.0, max(rows * (height + 0.25) + 0.5, _LEAST))
    panels = figure.subplots(rows, columns, squeeze=False)
    scale = scale.for_keys(subject.keys if query is None else 1)
    norm = scale.over([weights])
    for panel, own in zip(panels.flat, weights, strict=False):
        image = panel.imshow(
            own, cmap=scale.colors, norm=norm, aspect="equal" if equal else "auto", interpolation="nearest"
        )
    for panel in panels.flat:
        panel.set_xticks([])
        panel.set_yticks([])
        panel.spines[:].set_visible(False)
    for panel in panels.flat[len(numbers) :]:
        panel.set_axis_off()
    bar = scale.bar(figure, image, panels)
    label = scale.describe(meaning, [weights])
    if query is None:
        panels[-1, 0].set_xlabel("key", fontsize=font_size("xtick.labelsize"))
        panels[-1, 0].set_ylabel("query", fontsize=font_size("xtick.labelsize"))
    for across, _ in rooms(panels[0, 0], (width, height)):
        _name_heads(panels, numbers, across)
        put_figure_title(figure, title)
        label_bar(bar, label)
    return title


def _name_heads(panels: Any, numbers: Sequence[int], width: float) -> None:
    """Each head's number above its panel, in letters that fit there."""
    names = [f"head {number}" for number in numbers]
    largest = font_size("xtick.labelsize")
    if widest(names, SMALLEST) > width:  # the numbers alone, where there is no room for more
        names = [str(number) for number in numbers]
    size = max(SMALLEST, min(largest, width / widest(names, 1.0)))
    for panel, name in zip(panels.flat, names, strict=False):
        panel.set_title(name, fontsize=min(size, largest), pad=3)


def _columns(count: int) -> int:
    """Of numbers of columns that make a grid a little wider than high, the one that leaves the least empty."""
    least = math.ceil(math.sqrt(count))
    return min(range(least, math.ceil(least * 1.4) + 1), key=lambda columns: (-count % columns, columns))


def _chosen(subject: Subject, heads: Sequence[int] | None) -> list[int]:
    if heads is None:
        return list(subject.layer.head_numbers())
    if not isinstance(heads, list | tuple | range) or not heads:
        raise OptionError(f"heads is a list of head numbers; {heads!r} was given")
    for head in heads:
        check_head(subject.layer, head)
    return [int(head) for head in heads]


def _matrices(subject: Subject, numbers: Sequence[int]) -> tuple[Array, str]:
    """(heads, query, key) of these heads, and what a cell says."""
    places = [subject.layer.head_numbers().index(number) for number in numbers]
    queries = real_positions(subject.query_axis, subject.batch)
    keys = real_positions(subject.key_axis, subject.batch)
    cells = cells_of(lambda rows: subject.read(rows)[places], len(places), queries, keys, _MOST)
    return cells.weights, cells.meaning


def _patches(subject: Subject, numbers: Sequence[int], position: int) -> Array:
    """(heads, rows, columns) of one query's weights on the image's patches, without the positions before them."""
    grid = subject.key_axis.grid
    if grid is None:
        raise OptionError(
            f'query= shows the weights on image patches, and axis "{subject.key_axis.name}" counts '
            f'{subject.key_axis.kind}s; leave it out, or use view="matrix"'
        )
    places = [subject.layer.head_numbers().index(number) for number in numbers]
    weights = subject.read(slice(position, position + 1))[places, 0]
    return np.asarray(weights[:, weights.shape[1] - grid[0] * grid[1] :].reshape(-1, *grid))


def _token(subject: Subject, position: int) -> str:
    axis = subject.query_axis
    return clean(axis.labels_of(subject.batch if axis.batch != 1 else 0)[position])
