"""A renderer that draws with Plotly, registered through attncore's own hook."""

from __future__ import annotations

from collections.abc import Callable

from attncore import Renderer, hookimpl
from attncore_plotly.renderer import PlotlyRenderer


@hookimpl
def attncore_register_renderers(register: Callable[[Renderer], None]) -> None:
    """Make the renderer known."""
    register(PlotlyRenderer())
