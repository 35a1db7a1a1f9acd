"""Every head of a model, a small map each, all on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage

from attncore.arrays import Array
from attncore.attention import AttentionTrace
from attncore.errors import UnavailableError
from attncore.subject import Subject

from ._matplotlib_canvas import Canvas
from ._matplotlib_cells import Cells, cells_of, real_positions
from ._matplotlib_layout import label_bar, put_title, rooms
from ._matplotlib_scale import Scale
from ._matplotlib_text import fitting_numbers
from ._matplotlib_titles import head_columns, item_of, model_name

_MOST = 32
_GAP = 1.15  # from one map to the next, by a map's side
_PANEL, _LEAST, _LARGEST = 0.62, 1.5, 12.0  # inches


def draw_model(canvas: Canvas, trace: AttentionTrace, batch: int, scale: Scale) -> str:
    """Draw it and return its title."""
    if not len(trace):
        raise UnavailableError("the trace has no layers to draw the heads of")
    subjects = [Subject.of(trace, place, None, batch) for place in range(len(trace))]
    cells = [_cells(subject) for subject in subjects]
    maps = [one.weights for one in cells]
    columns = max(len(own) for own in maps)
    longest = max(columns, len(maps))
    side = min(max(_PANEL, _LEAST / longest), _LARGEST / longest)
    width, height = columns * side, len(maps) * side
    ax = canvas.axes(width + 1.6, height + 1.0)
    scale = scale.for_keys(max(subject.keys for subject in subjects))
    image = _draw_maps(ax, maps, scale.colors, scale.over(maps))
    ax.set_xlim(-0.1, columns * _GAP)
    ax.set_ylim(len(maps) * _GAP, -0.1)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = scale.bar(ax.figure, image, ax)
    whole = all(one.pooled == (1, 1) for one in cells)
    meaning = scale.describe("attention weight" if whole else "weight, summed over keys of a cell", maps)
    title = f"{model_name(trace)}: every head, queries down and keys across{item_of(trace, batch)}"
    name, heads = head_columns(trace)
    for across, down in rooms(ax, (width, height)):
        _number(ax.xaxis, name, heads, fitting_numbers(heads, across))
        layers = [subject.layer.index for subject in subjects]
        _number(ax.yaxis, "layer", layers, fitting_numbers(layers, down, upright=True))
        put_title(ax, title, canvas.owns_room, label_bar(bar, meaning))
    return title


def _draw_maps(ax: Axes, maps: Sequence[Array], colors: Colormap, norm: Normalize) -> AxesImage:
    """Each layer's maps (heads, rows, columns) in a row of their own; returns one of the images, for a colour bar."""
    for row, own in enumerate(maps):
        for column, weights in enumerate(own):
            left, top = column * _GAP, row * _GAP
            extent = (left, left + 1, top + 1, top)
            image = ax.imshow(weights, cmap=colors, norm=norm, interpolation="nearest", extent=extent, aspect="equal")
    return image


def _cells(subject: Subject) -> Cells:
    """Those of every head, without padding."""
    queries = real_positions(subject.query_axis, subject.batch)
    keys = real_positions(subject.key_axis, subject.batch)
    return cells_of(subject.read, subject.layer.n_heads, queries, keys, _MOST)


def _number(axis: Any, name: str, numbers: Sequence[int], fit: tuple[float, int]) -> None:
    """Numbers in the middle of the maps."""
    size, step = fit
    shown = range(0, len(numbers), step)
    axis.set_ticks([place * _GAP + 0.5 for place in shown], [str(numbers[place]) for place in shown], fontsize=size)
    axis.set_label_text(name)
