"""The matplotlib renderer: figures for papers and slides, as vectors or pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from attncore.attention import AttentionTrace
from attncore.errors import OptionError, UnavailableError, did_you_mean
from attncore.hookspecs import hookimpl
from attncore.protocols import Renderer
from attncore.rendering import Rendered, check_used

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from ._matplotlib_scale import Norm

_OF_ONE_AXES = ("matrix", "head", "model")
# The views that use an option; what is not here is for all of them.
_USED_BY = {
    "layer": ("matrix", "head", "heads"),
    "head": ("matrix", "head"),
    "heads": ("heads",),
    "query": ("heads",),
    "values": ("matrix",),
    "top": ("head",),
}


class MatplotlibRenderer:
    """Draws a trace as a figure, ``image/png``; ``save`` writes PDF, SVG and PNG.

    The views are ``"matrix"`` (one head, tokens on both axes), ``"head"`` (lines between two columns of tokens),
    ``"heads"`` (a grid of one layer's heads), ``"model"`` (every head, a small map each on one scale) and ``"summary"``
    (statistics of every head). The ``Figure`` is the result's ``figure``. Neither pyplot nor a backend is touched.
    """

    name = "matplotlib"
    views = ("matrix", "head", "heads", "model", "summary")

    def render(
        self,
        trace: AttentionTrace,
        *,
        view: str = "matrix",
        layer: int | str = 0,
        head: int | None = None,
        heads: Sequence[int] | None = None,
        batch: int = 0,
        query: int | str | None = None,
        cmap: str | None = None,
        norm: Norm = "auto",
        vmax: float | None = None,
        values: bool | None = None,
        top: int = 2000,
        figsize: tuple[float, float] | None = None,
        fig: Figure | SubFigure | None = None,
        ax: Axes | None = None,
    ) -> Rendered:
        """Draw one view.

        Args:
            trace: what to show.
            view: one of ``views``.
            layer: index or name of a layer, for the views of one layer.
            head: the model's own number of a head, or None: the mean over heads in a matrix, all heads in the lines.
            heads: for the grid, the numbers of the heads to show; None for all.
            batch: which batch item.
            query: for the grid, a position or a token whose weights to show on the keys' grid of image patches.
            cmap: a colour map's name; None for matplotlib's ``image.cmap``.
            norm: ``"linear"``, ``"sqrt"``, which shows small weights better, or ``"auto"``: by the number of keys.
                The colour bar says so where it is not linear.
            vmax: the weight of the last colour; None for the largest shown.
            values: numbers in the cells of a matrix; None for up to twelve tokens.
            top: for the lines, how many of the heaviest to draw at the most.
            figsize: width and height in inches; None for a size that fits what is drawn.
            fig: a figure or sub-figure to draw into, instead of one of its own.
            ax: for ``"matrix"``, ``"head"`` and ``"model"``, axes to draw into.

        Raises:
            SelectionError: a layer, head, query or batch item that does not exist.
            OptionError: an option has a value that is not understood, or is not used by this view.
            UnavailableError: the weights were reduced while capturing, or matplotlib is not installed.
        """
        if view not in self.views:
            raise OptionError(f'there is no view "{view}"{did_you_mean(view, self.views)}; use {", ".join(self.views)}')
        if ax is not None and view not in _OF_ONE_AXES:
            raise OptionError(f'view "{view}" has axes of its own; give it fig= instead of ax=')
        asked = {"layer": layer, "head": head, "heads": heads, "query": query, "values": values, "top": top}
        check_used(self.render, view, _USED_BY, asked)
        drawing = _drawing()
        canvas = drawing.Canvas(figsize, fig, ax)
        scale = drawing.Scale.of(cmap, norm, vmax)
        rendered: Rendered = drawing.draw(canvas, trace, view, batch, scale, asked)
        return rendered


def _drawing() -> Any:
    """What draws, which needs matplotlib."""
    try:
        from . import _matplotlib_views
    except ImportError as error:
        raise UnavailableError(
            f"figures need {error.name}, which is not installed: pip install 'attncore[matplotlib]'"
        ) from error
    return _matplotlib_views


@hookimpl
def attncore_register_renderers(register: Callable[[Renderer], None]) -> None:
    """Register the matplotlib renderer."""
    register(MatplotlibRenderer())
