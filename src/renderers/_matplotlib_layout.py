"""The room there is once a figure is laid out, and text that keeps to it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib.axes import Axes

from ._matplotlib_text import families, font_size, rc, widest, wrapped

_MARGIN = 0.96  # of the room is for text
_SHORTEST = 2.2  # inches of a line beside a short colour bar, where two lines of its length are not enough
_LAYOUTS = 2  # after the second, sizes hardly change


@contextmanager
def missing_glyphs_were_said() -> Iterator[None]:
    """What has no glyph is said when the picture is made, in words that help; matplotlib need not repeat it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def room(axes: Axes) -> tuple[float, float]:
    """Width and height in inches that these axes have in the figure as it is now."""
    figure: Any = axes.figure.canvas.figure
    with missing_glyphs_were_said():
        figure.draw_without_rendering()
    box = axes.get_window_extent()
    return box.width / figure.dpi, box.height / figure.dpi


def rooms(axes: Axes, planned: tuple[float, float]) -> Iterator[tuple[float, float]]:
    """The room as planned, and then what the layout leaves of it, with the labels for the plan and with new ones."""
    yield planned
    for _ in range(_LAYOUTS):
        yield room(axes)


def put_title(axes: Axes, title: str, own: bool, overhang: float = 0.0) -> None:
    """A title above axes that are laid out, on as many lines as it needs.

    Args:
        axes: what it is the title of.
        title: its text.
        own: whether nothing of the user's is beside the axes, so that it may be wider than they are.
        overhang: the inches by which something at their side is higher than they are; a wide title is above it.
    """
    box, around = axes.get_window_extent(), axes.figure.bbox
    middle = (box.x0 + box.x1) / 2
    inches = 2 * min(middle - around.x0, around.x1 - middle) if own else box.width
    size, fonts = font_size("axes.labelsize"), families(title)
    text = wrapped(title, _MARGIN * inches / axes.figure.dpi, size, fonts)
    wide = widest(text.split("\n"), size, fonts) > box.width / axes.figure.dpi
    pad = rc("axes.titlepad") + (72 * overhang if wide else 0)
    axes.set_title(text, parse_math=False, usetex=False, fontsize=size, fontfamily=fonts, pad=pad)


def put_figure_title(figure: Any, title: str) -> None:
    """A title above all axes of a figure or a part of one, on as many lines as it needs."""
    size, fonts = font_size("axes.labelsize"), families(title)
    text = wrapped(title, _MARGIN * figure.bbox.width / figure.dpi, size, fonts)
    figure.suptitle(text, parse_math=False, usetex=False, fontsize=size, fontfamily=fonts)


def label_bar(bar: Any, label: str) -> float:
    """A label along a colour bar that is laid out, on as many lines as it needs; returns by how much it is too long."""
    size = font_size("axes.labelsize")
    height, most = (area.height / bar.ax.figure.dpi for area in (bar.ax.get_window_extent(), bar.ax.figure.bbox))
    text = wrapped(label, height, size, families(label))
    if text.count("\n") > 1:
        text = wrapped(label, min(max(height, _SHORTEST), _MARGIN * most), size, families(label))
    bar.set_label(text, fontsize=size)
    return max(0.0, float(widest(text.split("\n"), size, families(label)) - height) / 2)
