"""Each view by its name; imported when the first figure is drawn, since matplotlib takes its time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attncore.attention import AttentionTrace
from attncore.rendering import Rendered
from attncore.subject import Subject

from ._matplotlib_canvas import Canvas as Canvas
from ._matplotlib_head import draw_head
from ._matplotlib_heads import draw_heads
from ._matplotlib_matrix import draw_matrix
from ._matplotlib_model import draw_model
from ._matplotlib_scale import Scale as Scale
from ._matplotlib_summary import draw_summary


def draw(
    canvas: Canvas, trace: AttentionTrace, view: str, batch: int, scale: Scale, asked: Mapping[str, Any]
) -> Rendered:
    """Draw one view with what was asked of it."""
    details: dict[str, Any] = {"view": view, "batch": batch}
    if view == "summary":
        return canvas.finished(draw_summary(canvas, trace, batch, scale), details)
    if view == "model":
        return canvas.finished(draw_model(canvas, trace, batch, scale), details)
    subject = Subject.of(trace, asked["layer"], None if view == "heads" else asked["head"], batch)
    details |= {"layer": subject.layer.index, "head": subject.head}
    if view == "heads":
        title = draw_heads(canvas, subject, asked["heads"], asked["query"], scale)
    elif view == "head":
        title = draw_head(canvas, subject, scale, asked["top"])
    else:
        title = draw_matrix(canvas, subject, scale, asked["values"])
    return canvas.finished(title, details)
