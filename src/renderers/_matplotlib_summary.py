"""Statistics of every head of a model, as maps of layers by heads."""

from __future__ import annotations

from typing import Any

import numpy as np

from attncore.arrays import Array
from attncore.attention import AttentionTrace
from attncore.errors import UnavailableError
from attncore.patterns import HeadStatistics, head_statistics
from attncore.subject import check_batch

from ._matplotlib_canvas import Canvas
from ._matplotlib_layout import put_figure_title, rooms
from ._matplotlib_scale import Scale
from ._matplotlib_text import families, fitting_numbers, font_size, widest, wrapped
from ._matplotlib_titles import head_columns, item_of, model_name

_ROWS = 256  # of queries looked at, evenly spaced
# What is shown: the field of the statistics, its name, and the range where it has one.
_SHOWN: tuple[tuple[str, str, float | None], ...] = (
    ("normalised_entropy", "normalised entropy", 1.0),
    ("distance", "mean distance in tokens", None),
    ("self_mass", "weight on the same token", 1.0),
    ("previous_mass", "weight on the previous token", 1.0),
    ("next_mass", "weight on the next token", 1.0),
    ("first_mass", "weight on the first token", 1.0),
)


def draw_summary(canvas: Canvas, trace: AttentionTrace, batch: int, scale: Scale) -> str:
    """Draw it and return its title."""
    if not len(trace):
        raise UnavailableError("the trace has no layers to make statistics of")
    for layer in trace:
        check_batch(layer, batch)
    found = [head_statistics(layer, batch, axes=trace.axes_of(layer), max_rows=_ROWS) for layer in trace]
    columns = max(len(one.heads) for one in found)
    width, height = max(1.6, columns * 0.14), max(1.1, len(found) * 0.14)
    figure = canvas.place(3 * (width + 1.0), 2 * (height + 0.9) + 0.4)
    panels = figure.subplots(2, 3, squeeze=False)
    for panel, (field, _, largest) in zip(panels.flat, _SHOWN, strict=True):
        values = _table(found, field, columns)
        top = largest if largest is not None else (float(np.nanmax(values, initial=0.0)) or 1.0)
        image = panel.imshow(values, cmap=scale.colors, vmin=0, vmax=top, aspect="auto", interpolation="nearest")
        panel.spines[:].set_visible(False)
        panel.tick_params(length=0)
        bar = figure.colorbar(image, ax=panel, aspect=18)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=font_size("xtick.labelsize") * 0.8)
    title = f"{model_name(trace)}: what its heads attend to{item_of(trace, batch)}"
    columns_name, heads = head_columns(trace)
    put_figure_title(figure, title)
    for across, down in rooms(panels[0, 0], (width, height)):
        for panel, (_, name, _) in zip(panels.flat, _SHOWN, strict=True):
            _label(panel, name, heads, [layer.index for layer in trace], (across, down))
        size = min(font_size("axes.labelsize"), down / widest(["layer"], 1.0))
        for panel in panels[-1]:
            panel.set_xlabel(columns_name, fontsize=size)
        for panel in panels[:, 0]:
            panel.set_ylabel("layer", fontsize=size)
    return title


def _label(panel: Any, name: str, heads: list[int], layers: list[int], room: tuple[float, float]) -> None:
    """A panel's title and the numbers along its sides, as large as its room in inches lets them be."""
    across, down = fitting_numbers(heads, room[0]), fitting_numbers(layers, room[1], upright=True)
    size = min(across[0], down[0])
    for axis, numbers, step in ((panel.xaxis, heads, across[1]), (panel.yaxis, layers, down[1])):
        shown = range(0, len(numbers), step)
        axis.set_ticks(list(shown), [str(numbers[place]) for place in shown], fontsize=size)
    size = font_size("xtick.labelsize")
    inches = panel.figure.bbox.width / panel.figure.dpi / 3 - 0.1
    panel.set_title(wrapped(name, inches, size, families(name)), fontsize=size)


def _table(found: list[HeadStatistics], field: str, columns: int) -> Array:
    """(layers, heads), NaN where a layer has fewer heads or the number means nothing."""
    table = np.full((len(found), columns), np.nan)
    for row, one in enumerate(found):
        table[row, : len(one.heads)] = getattr(one, field)
    return table
