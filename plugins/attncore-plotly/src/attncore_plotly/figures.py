"""Plotly's figures of attention, and the offline page that each becomes."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from attncore import AttentionTrace, Rendered
from attncore.axis import TokenAxis
from attncore.patterns import head_statistics
from attncore.subject import Subject

_LEGIBLE = 80  # tokens; with more, positions are counted and the token shows under the pointer
_ROWS = 256


@dataclass(frozen=True)
class PlotlyRendered(Rendered):
    """A picture whose ``figure`` can be changed before it is saved."""

    figure: Any = None


def matrix(subject: Subject) -> Rendered:
    """One head, queries down and keys across."""
    weights = subject.read_mean(slice(0, subject.queries))
    queries, keys = _labels(subject.query_axis, subject.batch), _labels(subject.key_axis, subject.batch)
    places = np.meshgrid(np.arange(len(keys)), np.arange(len(queries)))
    about = np.stack([np.array(queries)[places[1]], np.array(keys)[places[0]]], axis=-1)
    figure = go.Figure(
        go.Heatmap(
            z=weights.astype(np.float32),
            customdata=about,
            colorscale="Viridis",
            zmin=0,
            colorbar={"title": "weight"},
            hovertemplate="%{customdata[0]} → %{customdata[1]}<br>%{z:.4f}<extra></extra>",
        )
    )
    for axis, labels in (("xaxis", keys), ("yaxis", queries)):
        if len(labels) <= _LEGIBLE:
            figure.update_layout({axis: {"tickvals": list(range(len(labels))), "ticktext": labels}})
    figure.update_xaxes(title="key", constrain="domain")
    figure.update_yaxes(title="query", autorange="reversed", scaleanchor="x")
    return _finished(figure, f"layer {subject.layer.index}, {subject.describe_head()}")


def heads(trace: AttentionTrace, subject: Subject, statistic: str) -> Rendered:
    """A bar for each head of a layer."""
    found = head_statistics(subject.layer, subject.batch, axes=trace.axes_of(subject.layer), max_rows=_ROWS)
    name = statistic.replace("_", " ")
    figure = go.Figure(go.Bar(x=[str(head) for head in found.heads], y=getattr(found, statistic)))
    figure.update_xaxes(title="head", type="category")
    figure.update_yaxes(title=name)
    return _finished(figure, f"layer {subject.layer.index}: {name} of each head")


def _labels(axis: TokenAxis, batch: int) -> list[str]:
    """Tokens as text: Plotly reads labels as a kind of HTML."""
    return [html.escape(label) for label in axis.labels_of(batch if axis.batch != 1 else 0)]


def _finished(figure: go.Figure, title: str) -> Rendered:
    figure.update_layout(title=html.escape(title), template="plotly_white", margin={"t": 60, "b": 40})
    page = figure.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False})
    text = f"{title}\n(an interactive Plotly figure; save it as .html)"
    return PlotlyRendered({"text/html": page, "text/plain": text}, title, figure=figure)
