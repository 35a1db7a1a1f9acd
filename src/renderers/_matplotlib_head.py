"""Lines from each query to the keys it attends to, between two columns of tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_rgb
from matplotlib.lines import Line2D
from matplotlib.text import Text

from attncore.arrays import Array
from attncore.axis import TokenAxis
from attncore.errors import OptionError
from attncore.subject import Subject

from ._matplotlib_canvas import Canvas
from ._matplotlib_cells import Positions, real_positions
from ._matplotlib_layout import put_title, rooms
from ._matplotlib_matrix import labels_at
from ._matplotlib_scale import Scale
from ._matplotlib_text import clean, families, fitting, font_size, rc, widest
from ._matplotlib_titles import title_of

_LINE, _LEAST, _LARGEST = 0.2, 1.6, 10.0  # inches
_LINES = 2.0  # inches between the columns
_MOST_TEXT = 0.7  # of the width
_SOLID = 0.9
_GAP = 0.04  # between a token and its lines, by the distance of the columns
_MOST = 1024
_DISTINCT = 20  # colours, beyond which they are those of a rainbow, in order
_ACROSS, _MOST_ROWS = 8, 4  # of a legend


def draw_head(canvas: Canvas, subject: Subject, scale: Scale, top: int) -> str:
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
    weights = subject.read(slice(0, int(queries[-1]) + 1))[:, queries][:, :, keys]
    unclear = int(np.isnan(weights).any(axis=-1).sum())
    weights = np.nan_to_num(weights)
    columns = (
        _Column.of(subject.query_axis, subject.batch, queries),
        _Column.of(subject.key_axis, subject.batch, keys),
    )
    height = min(max(max(weights.shape[1:]) * _LINE, _LEAST), _LARGEST)
    width = sum(column.width(height) for column in columns) + max(_LINES, height * 0.3)
    several = subject.head is None and len(weights) > 1
    numbers = subject.layer.head_numbers() if several else ()
    ax = canvas.axes(width + 0.1, height + 0.6 + _legend_plan(numbers, width)[-1])
    colors = _colors(len(weights))
    scale = scale.for_keys(len(keys))
    norm = scale.over([weights])
    if scale.largest is None and (norm.vmax or 0) > _SOLID:  # nearly 1: then as opaque as heavy
        norm.vmax = 1.0
    lines, drawn = _lines(weights, top, colors, norm)
    ax.add_collection(lines, autolim=False)
    title = _title_of_all(subject) if several else title_of(subject)
    parts = _said_of_lines(drawn, norm.vmax or 1.0, scale)
    parts += [f"NaN in {unclear:,} row(s) not drawn"] * bool(unclear)
    parts += ["negative weights not drawn"] * bool((weights < 0).any())
    if parts:
        title += f"\n{'; '.join(parts)}"
    ax.set_ylim(1, 0)
    ax.set_axis_off()
    if several:
        _write_legend(ax, numbers, colors)
    written: list[Text] = []
    for room in rooms(ax, (width, height)):
        for text in written:
            text.remove()
        written = _write_tokens(ax, columns, *room)
        lines.set_linewidth(_thickness(lines, room[1] / max(weights.shape[1:])))
        put_title(ax, title, canvas.owns_room)
    return title


def _title_of_all(subject: Subject) -> str:
    return title_of(subject).replace(subject.describe_head(), f"{subject.layer.n_heads} heads, a colour each")


def _colors(count: int) -> Array:
    """(heads, 3), all different: the style's if it has enough."""
    palette = matplotlib.rcParams["axes.prop_cycle"].by_key().get("color", ["C0"])
    if count > len(set(palette)):
        palette = matplotlib.colormaps["tab20" if count <= _DISTINCT else "turbo"](
            np.linspace(0, 1, max(count, _DISTINCT))
        )
    return np.array([to_rgb(entry) for entry in palette[:count]])


def _legend_plan(numbers: Sequence[int], inches: float) -> tuple[int, int, float]:
    """Of how many heads one is named in a legend of this width, in how many rows, and how many inches high it is.

    More heads than there are colours for have colours in order, so that those between two names can be told.
    """
    if not numbers:
        return 1, 0, 0.0
    size = font_size("xtick.labelsize")
    entry = widest(map(str, numbers), size) + 3 * size / 72  # inches, with the line before it and what parts it
    across = min(_ACROSS, max(1, int(inches / entry)))
    step = 1
    while len(numbers) > _DISTINCT and len(numbers) > step * across * _MOST_ROWS:
        step *= 2
    rows = math.ceil(math.ceil(len(numbers) / step) / across)
    return step, rows, (rows + 1) * 1.5 * size / 72


def _write_legend(ax: Axes, numbers: Sequence[int], colors: Array) -> None:
    """The heads' numbers below the lines, each by its colour; of many heads some."""
    size = font_size("xtick.labelsize")
    step, rows, _ = _legend_plan(numbers, ax.get_window_extent().width / ax.figure.dpi)
    pairs = zip(numbers[::step], colors[::step], strict=True)
    handles = [Line2D([], [], color=color, linewidth=3, label=str(number)) for number, color in pairs]
    ax.legend(
        handles=handles,
        title="head" if step == 1 else f"head, one in {step} named",
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=math.ceil(len(handles) / rows),
        fontsize=0.9 * size,
        title_fontsize=size,
        frameon=False,
        handlelength=1.0,
        columnspacing=1.0,
    )


def _said_of_lines(drawn: float, solid: float, scale: Scale) -> list[str]:
    """What the lines do not say themselves; nothing if they are all there, and solid at a weight of 1."""
    parts = [] if drawn >= 0.995 else [f"{drawn:.0%} of the weight drawn"]
    if solid < 1 or scale.norm != "linear":
        parts.append(scale.describe(f"solid at {solid:.2g}"))
    return parts


def _lines(weights: Array, top: int, colors: Array, norm: Normalize) -> tuple[LineCollection, float]:
    """The heaviest lines, as opaque as they are heavy, and the share of the weight that they have."""
    flat = weights.reshape(-1)
    count = min(top, int((flat > 1e-3).sum()))
    chosen = np.argpartition(flat, len(flat) - count)[len(flat) - count :] if count else np.empty(0, np.intp)
    chosen = chosen[np.argsort(flat[chosen])]  # the heaviest on top
    head, query, key = np.unravel_index(chosen, weights.shape)
    starts = np.stack([np.full(count, _GAP), _heights(weights.shape[1])[query]], axis=1)
    ends = np.stack([np.full(count, 1 - _GAP), _heights(weights.shape[2])[key]], axis=1)
    opacity = np.clip(np.asarray(norm(flat[chosen])), 0, 1)[:, None]
    lines = LineCollection(
        list(np.stack([starts, ends], axis=1)),
        colors=np.concatenate([colors[head], opacity], axis=1),
        capstyle="round",
    )
    total = float(flat[flat > 0].sum())
    return lines, float(flat[chosen].sum()) / total if total else 1.0


def _thickness(lines: LineCollection, inches: float) -> list[float]:
    """Points for each line, heavy ones thicker, less where a token has few inches."""
    opacity = np.asarray(lines.get_colors())[:, 3]
    widths: list[float] = ((0.4 + 1.4 * opacity) * min(1.0, 72 * inches / 4)).tolist()
    return widths


def _heights(count: int) -> Array:
    """Where the tokens of a column are, from 0 at the top to 1."""
    return (np.arange(count) + 0.5) / count


@dataclass(frozen=True)
class _Column:
    """The tokens of one side."""

    labels: list[str]
    padding: list[bool]
    fonts: list[str]

    @classmethod
    def of(cls, axis: TokenAxis, batch: int, places: Positions) -> _Column:
        labels, padding = labels_at(axis, batch, places)
        labels = [clean(label) for label in labels]
        return cls(labels, padding, families("".join(labels)))

    def size(self, inches: float) -> tuple[float, int]:
        """Their font size in a column of this height, and of how many one is shown."""
        return fitting(len(self.labels), inches, font_size("ytick.labelsize"))

    def width(self, inches: float) -> float:
        """Inches of the widest in a column of this height."""
        size, step = self.size(inches)
        return widest(self.labels[::step], size, self.fonts)


def _write_tokens(ax: Axes, columns: Sequence[_Column], width: float, height: float) -> list[Text]:
    """The tokens at both sides of the lines, which get what the tokens leave of the width."""
    # Letters are smaller where tokens would take more than most of the width.
    wide = [column.width(height) for column in columns]
    smaller = min(1.0, _MOST_TEXT * width / max(sum(wide), 1e-9))
    lines = width - smaller * sum(wide)
    ax.set_xlim(-smaller * wide[0] / lines, 1 + smaller * wide[1] / lines)
    return [
        ax.text(
            side,
            _heights(len(column.labels))[place],
            column.labels[place],
            ha="left" if side else "right",
            va="center",
            fontsize=smaller * column.size(height)[0],
            fontfamily=column.fonts,
            color="0.6" if column.padding[place] else rc("text.color"),
            parse_math=False,
            usetex=False,
        )
        for side, column in enumerate(columns)
        for place in range(0, len(column.labels), column.size(height)[1])
    ]
