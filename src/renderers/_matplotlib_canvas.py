"""Where a figure is drawn: one of its own, or the user's; and what becomes of it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from attncore.errors import OptionError
from attncore.rendering import Rendered

_FORMATS = {"image/png": "png", "image/svg+xml": "svg", "application/pdf": "pdf"}
_DPI = 200


@dataclass(frozen=True)
class FigureRendered(Rendered):
    """A picture whose ``figure`` can be changed before it is saved."""

    figure: Any = None


class Canvas:
    """Gives views the figure or axes to draw into."""

    def __init__(self, figsize: tuple[float, float] | None, fig: Figure | SubFigure | None, ax: Axes | None) -> None:
        if fig is not None and ax is not None:
            raise OptionError("give fig= or ax=, not both")
        if figsize is not None and (fig is not None or ax is not None):
            raise OptionError("figsize= is the size of a new figure; the one that was given has a size of its own")
        if figsize is not None and (len(figsize) != 2 or not all(0 < side <= 200 for side in figsize)):
            raise OptionError(f"figsize is width and height in inches; {figsize!r} was given")
        self._asked = figsize
        self._ax = ax
        self.figure: Any = ax.figure if ax is not None else fig

    def place(self, width: float, height: float) -> Any:
        """The figure, a new one of about this size in inches unless there is one."""
        if self.figure is None:
            self.figure = Figure(figsize=self._asked or (width, height), layout="constrained")
        return self.figure

    def axes(self, width: float, height: float) -> Axes:
        """One pair of axes, with about this room in inches."""
        if self._ax is not None:
            return self._ax
        found: Axes = self.place(width, height).add_subplot()
        return found

    def finished(self, title: str, details: Mapping[str, Any]) -> Rendered:
        """The picture, whose files are made when they are asked for."""
        root = self.figure.get_figure(root=True) if hasattr(self.figure, "get_figure") else self.figure
        text = f"{title}\n(a matplotlib figure; save it as .pdf, .svg or .png)"
        files = _Files(root)
        return FigureRendered(_Bundle(files, text), title, details, files=files, figure=root)


class _Files(Mapping[str, "str | bytes"]):
    """The figure in each format."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure

    def __getitem__(self, mime: str) -> str | bytes:
        target = io.BytesIO()
        with warnings.catch_warnings():
            # What has no glyph was said when the picture was made, in words that help.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
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
