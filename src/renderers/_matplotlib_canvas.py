"""Where a figure is drawn: one of its own, or the user's; and what becomes of it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text

from attncore.errors import OptionError
from attncore.rendering import Rendered

from ._matplotlib_layout import missing_glyphs_were_said
from ._matplotlib_text import say_what_is_drawn_wrong

_FORMATS = {"image/png": "png", "image/svg+xml": "svg", "application/pdf": "pdf"}
_DPI = 200
_CSS_PIXELS = 96  # in an inch
_TRUE_TYPE = 42  # journals refuse PDF files with fonts of type 3, which is matplotlib's default


@dataclass(frozen=True)
class FigureRendered(Rendered):
    """A picture whose ``figure`` can be changed before it is saved."""

    figure: Any = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """The picture, and how large a notebook shows it: an inch of the figure is an inch of the page."""
        width, height = (round(inches * _CSS_PIXELS) for inches in self.figure.get_size_inches())
        return dict(self.bundle), {"image/png": {"width": width, "height": height}}


class Canvas:
    """Gives views the figure or axes to draw into."""

    def __init__(self, figsize: tuple[float, float] | None, fig: Figure | SubFigure | None, ax: Axes | None) -> None:
        if fig is not None and ax is not None:
            raise OptionError("give fig= or ax=, not both")
        if fig is not None and not isinstance(fig, Figure | SubFigure):
            raise OptionError(f"fig is a matplotlib Figure or SubFigure; {type(fig).__name__} was given")
        if ax is not None and (not isinstance(ax, Axes) or ax.name != "rectilinear" or ax.figure is None):
            what = f"{ax.name} axes, perhaps removed" if isinstance(ax, Axes) else type(ax).__name__
            raise OptionError(f"ax is plain matplotlib Axes of a figure, such as fig.subplots() gives; got {what}")
        if figsize is not None and (fig is not None or ax is not None):
            raise OptionError("figsize= is the size of a new figure; the one that was given has a size of its own")
        if figsize is not None and not _is_size(figsize):
            raise OptionError(f"figsize is width and height in inches, such as (6, 4); {figsize!r} was given")
        self._asked = figsize
        self._ax = ax
        self.owns_room = ax is None  # beside whose axes there is nothing of the user's
        self.figure: Any = ax.figure if ax is not None else fig

    def place(self, width: float, height: float) -> Any:
        """The figure, a new one of about this size in inches unless there is one."""
        if self.figure is None:
            self.figure = Figure(figsize=self._asked or (width, height), layout="compressed")
        return self.figure

    def axes(self, width: float, height: float) -> Axes:
        """One pair of axes, with about this room in inches."""
        if self._ax is not None:
            return self._ax
        found: Axes = self.place(width, height).add_subplot()
        return found

    def finished(self, title: str, details: Mapping[str, Any]) -> Rendered:
        """The picture, whose files are made when they are asked for."""
        drawn = self.figure if self._ax is None else self._ax
        say_what_is_drawn_wrong("".join(text.get_text() for text in drawn.findobj(Text)))
        root = self.figure.canvas.figure
        text = f"{title}\n(a matplotlib figure; save it as .pdf, .svg or .png)"
        files = _Files(root)
        return FigureRendered(_Bundle(files, text), title, details, files=files, figure=root)


def _is_size(figsize: Any) -> bool:
    """Whether this is a width and a height that can be drawn."""
    try:
        width, height = figsize
        return bool(0 < width <= 200 and 0 < height <= 200)
    except (TypeError, ValueError):
        return False


class _Files(Mapping[str, "str | bytes"]):
    """The figure in each format."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure

    def __getitem__(self, mime: str) -> str | bytes:
        target = io.BytesIO()
        with missing_glyphs_were_said(), matplotlib.rc_context({"pdf.fonttype": _TRUE_TYPE}):
            self._figure.savefig(target, format=_FORMATS[mime], dpi=_DPI)
        return target.getvalue()

    def __iter__(self) -> Iterator[str]:
        return iter(_FORMATS)

    def __len__(self) -> int:
        return len(_FORMATS)


class _Bundle(Mapping[str, "str | bytes"]):
    """What a notebook shows: the picture, and its title where there are no pictures."""

    def __init__(self, files: _Files, text: str) -> None:
        self._files, self._text = files, text

    def __getitem__(self, mime: str) -> str | bytes:
        if mime == "text/plain":
            return self._text
        if mime != "image/png":
            raise KeyError(mime)
        return self._files[mime]

    def __iter__(self) -> Iterator[str]:
        return iter(("image/png", "text/plain"))

    def __len__(self) -> int:
        return 2
