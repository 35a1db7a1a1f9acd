"""Lines from each query to the keys it attends to, between two columns of tokens."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from attncore.arrays import Array
from attncore.axis import TokenAxis
from attncore.errors import OptionError
from attncore.subject import Subject

from ._matplotlib_canvas import Canvas
from ._matplotlib_cells import Positions, real_positions
from ._matplotlib_matrix import labels_at
from ._matplotlib_text import clean, families, fitting, font_size
from ._matplotlib_titles import title_of

_LINE, _LEAST, _LARGEST = 0.2, 1.6, 10.0  # inches
_WIDTH = 3.6
_GAP = 0.04  # between a token and its lines, by the distance of the columns
_MOST = 1024


def draw_head(canvas: Canvas, subject: Subject, top: int) -> str:
    """Draw it and return its title."""
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise OptionError(f"top is how many lines to draw, 1 or more; {top!r} was given")
    queries = real_positions(subject.query_axis, subject.batch)
    keys = real_positions(subject.key_axis, subject.batch)
    if max(len(queries), len(keys)) > _MOST:
        raise OptionError(
            f'view "head" draws up to {_MOST:,} tokens and there are {max(len(queries), len(keys)):,}; use '
            'view="matrix", which sums neighbouring keys'
        )
    weights = np.nan_to_num(subject.read(slice(0, int(queries[-1]) + 1))[:, queries][:, :, keys])
    height = min(max(max(weights.shape[1:]) * _LINE, _LEAST), _LARGEST)
    ax = canvas.axes(max(_WIDTH, height * 0.5), height + 0.6)
    drawn = _draw_lines(ax, subject, weights, top)
    _write_tokens(ax, subject.query_axis, subject.batch, queries, height, 0)
    _write_tokens(ax, subject.key_axis, subject.batch, keys, height, 1)
    ax.set_xlim(-0.55, 1.55)
    ax.set_ylim(1, 0)
    ax.set_axis_off()
    title = title_of(subject) if subject.head is not None or len(weights) == 1 else _title_of_all(subject)
    if drawn < 0.995:
        title += f"\n{drawn:.0%} of the weight drawn"
    ax.set_title(title, parse_math=False, usetex=False, fontsize=font_size("axes.labelsize"))
    return title


def _title_of_all(subject: Subject) -> str:
    return title_of(subject).replace(subject.describe_head(), f"{subject.layer.n_heads} heads, a colour each")


def _draw_lines(ax: Axes, subject: Subject, weights: Array, top: int) -> float:
    """The heaviest lines, as opaque as they are heavy; returns the share of the weight that they have."""
    flat = weights.reshape(-1)
    count = min(top, int((flat > 1e-3).sum()))
    chosen = np.argpartition(flat, len(flat) - count)[len(flat) - count :] if count else np.empty(0, np.intp)
    chosen = chosen[np.argsort(flat[chosen])]  # the heaviest on top
    head, query, key = np.unravel_index(chosen, weights.shape)
    starts = np.stack([np.full(count, _GAP), _heights(weights.shape[1])[query]], axis=1)
    ends = np.stack([np.full(count, 1 - _GAP), _heights(weights.shape[2])[key]], axis=1)
    palette = [to_rgb(entry) for entry in matplotlib.rcParams["axes.prop_cycle"].by_key().get("color", ["C0"])]
    colors = np.array([palette[place % len(palette)] for place in range(len(weights))])
    own = colors[head] if len(weights) > 1 else np.broadcast_to(colors[0], (count, 3))
    opacity = np.clip(flat[chosen], 0, 1)[:, None]
    lines = LineCollection(
        list(np.stack([starts, ends], axis=1)),
        colors=np.concatenate([own, opacity], axis=1),
        linewidths=0.4 + 1.4 * opacity[:, 0],
        capstyle="round",
    )
    ax.add_collection(lines, autolim=False)
    total = float(flat.sum())
    return float(flat[chosen].sum()) / total if total else 1.0


def _heights(count: int) -> Array:
    """Where the tokens of a column are, from 0 at the top to 1."""
    return (np.arange(count) + 0.5) / count


def _write_tokens(ax: Axes, axis: TokenAxis, batch: int, places: Positions, height: float, column: int) -> None:
    labels, padding = labels_at(axis, batch, places)
    size, step = fitting(len(labels), height, font_size("ytick.labelsize"))
    fonts = families("".join(labels[::step]))
    for place in range(0, len(labels), step):
        ax.text(
            column,
            _heights(len(labels))[place],
            clean(labels[place]),
            ha="right" if column == 0 else "left",
            va="center",
            fontsize=size,
            fontfamily=fonts,
            color="0.6" if padding[place] else matplotlib.rcParams["text.color"],
            parse_math=False,
            usetex=False,
        )
