"""Statistics of every head of a model, as maps of layers by heads."""

from __future__ import annotations

import numpy as np

from attncore.arrays import Array
from attncore.attention import AttentionTrace
from attncore.errors import UnavailableError
from attncore.patterns import HeadStatistics, head_statistics
from attncore.subject import check_batch

from ._matplotlib_canvas import Canvas
from ._matplotlib_scale import Scale
from ._matplotlib_text import fitting, font_size
from ._matplotlib_titles import model_name

_ROWS = 256  # of queries looked at, evenly spaced
# What is shown: the field of the statistics, its name, and the range where it has one.
_SHOWN: tuple[tuple[str, str, float | None], ...] = (
    ("normalised_entropy", "entropy by the largest possible", 1.0),
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
    for panel, (field, name, largest) in zip(panels.flat, _SHOWN, strict=True):
        values = _table(found, field, columns)
        top = largest if largest is not None else (float(np.nanmax(values, initial=0.0)) or 1.0)
        image = panel.imshow(values, cmap=scale.colors, vmin=0, vmax=top, aspect="auto", interpolation="nearest")
        panel.set_title(name, fontsize=font_size("xtick.labelsize"))
        panel.spines[:].set_visible(False)
        panel.tick_params(length=0)
        _number(panel.xaxis, list(range(columns)), width)
        _number(panel.yaxis, [layer.index for layer in trace], height)
        bar = figure.colorbar(image, ax=panel, aspect=18)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=font_size("xtick.labelsize") * 0.8)
    for panel in panels[-1]:
        panel.set_xlabel("head")
    for panel in panels[:, 0]:
        panel.set_ylabel("layer")
    title = f"{model_name(trace)}: what its heads attend to"
    figure.suptitle(title, fontsize=font_size("axes.labelsize"), parse_math=False, usetex=False)
    return title


def _table(found: list[HeadStatistics], field: str, columns: int) -> Array:
    """(layers, heads), NaN where a layer has fewer heads or the number means nothing."""
    table = np.full((len(found), columns), np.nan)
    for row, one in enumerate(found):
        table[row, : len(one.heads)] = getattr(one, field)
    return table


def _number(axis: object, numbers: list[int], inches: float) -> None:
    size, step = fitting(len(numbers), inches, font_size("xtick.labelsize"))
    shown = range(0, len(numbers), step)
    axis.set_ticks(list(shown), [str(numbers[place]) for place in shown], fontsize=size)  # type: ignore[attr-defined]
