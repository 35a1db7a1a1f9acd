"""Weights as pictures: half blocks in colour, shades of grey without."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from attncore.query_rows import RowState, RowStates

Values = npt.NDArray[np.floating[Any]]

# The colours of matplotlib's "magma" at nine equal steps: dark for nothing, and evenly brighter with the value.
_MAGMA = ("000004", "1d1147", "51127c", "832681", "b73779", "e75263", "fc8961", "fec488", "fcfdbf")
_LEVELS = 64
_MOST_DECIMALS = 6
SHADES = " ·░▒▓█"
_STATE_COLORS = {RowState.PADDING: "#5f5f5f", RowState.MASKED: "#9a9a9a", RowState.NAN: "#00b3a4"}
_STATE_SIGNS = {RowState.PADDING: "╌", RowState.MASKED: "×", RowState.NAN: "?"}
STATE_NAMES = {
    RowState.PADDING: "padding",
    RowState.MASKED: "masked (every key)",
    RowState.NAN: "NaN",
}
_FAINT = Style(color="#808080")


@dataclass(frozen=True)
class Paint:
    """Draws grids of values. A value ``v`` is as bright as ``sqrt(v / top)``, so that small weights can be seen."""

    color: bool

    def picture(
        self, values: Values, states: RowStates, top: float, *, cell: int = 1, stack: int = 1
    ) -> list[list[Segment]]:
        """One line of text for every ``stack`` rows of values.

        Args:
            values: (rows, columns).
            states: (rows,); a row that is not attention is drawn in its own colour or sign.
            top: the value drawn brightest.
            cell: how many characters wide a value is.
            stack: 1, or 2 for two rows in one line of half blocks, with colour only.
        """
        codes = self._codes(values, states, top)
        if self.color and stack == 2:
            return [_half_blocks(codes[row : row + 2], cell) for row in range(0, len(codes), 2)]
        return [self._cells(row, cell) for row in codes]

    def _codes(self, values: Values, states: RowStates, top: float) -> npt.NDArray[np.int64]:
        """A number for each cell: its level, or beyond all levels the state of its row."""
        levels = _LEVELS if self.color else len(SHADES)
        ink = np.sqrt(np.clip(np.nan_to_num(values) / (top or 1.0), 0, 1))
        codes = np.minimum((ink * levels).astype(np.int64), levels - 1)
        return np.where(states[:, None] == RowState.ATTENDS, codes, levels + states[:, None])

    def _cells(self, codes: npt.NDArray[np.int64], cell: int) -> list[Segment]:
        segments = []
        for code, count in _runs(codes):
            if self.color:
                segments.append(Segment(" " * (count * cell), _style(code, code)))
            else:
                sign = SHADES[code] if code < len(SHADES) else _STATE_SIGNS[RowState(code - len(SHADES))]
                segments.append(Segment(sign * (count * cell), Style()))
        return segments

    def number(self, text: str, value: float, top: float) -> Segment:
        """``text`` in a cell of the colour of ``value``."""
        if not self.color:
            return Segment(text, Style())
        code = int(self._codes(np.array([[value]]), np.zeros(1, dtype=np.int8), top)[0, 0])
        ink = "#ffffff" if code < _LEVELS * 0.62 else "#000000"
        return Segment(text, Style(color=ink, bgcolor=_color(code)))

    def legend(self, top: float, width: int) -> list[list[Segment]]:
        """What the colours or shades stand for, on lines no wider than ``width``."""
        if self.color:
            steps = 16 if width >= 32 else 6
            ramp = np.linspace(0, 1, steps)[None, :] ** 2 * top
            bar = self.picture(ramp, np.zeros(1, dtype=np.int8), top)[0]
            scale = f" {_amount(top)}" if top == 1 else f" {_amount(top)} or more"
            remark = ", brightness by square root"
            wide = len("0 ") + steps + len(scale + remark) <= width
            return [[Segment("0 ", _FAINT), *bar, Segment(scale + remark if wide else scale, _FAINT)]]
        levels = len(SHADES)
        bounds = [top * (level / levels) ** 2 for level in range(1, levels)]
        parts = [f"{shade} from {_amount(bound, bounds[0])}" for shade, bound in zip(SHADES[1:], bounds, strict=True)]
        return [[Segment(text, _FAINT)] for text in _packed(parts, width)]

    def state_legend(self, states: Iterable[RowState], width: int) -> list[list[Segment]]:
        """What the colours or signs of rows without attention stand for; nothing when there are none."""
        lines = []
        for state in sorted(states):
            if state == RowState.ATTENDS:
                continue
            sign = (
                Segment("  ", _style(_LEVELS + state, _LEVELS + state))
                if self.color
                else Segment(_STATE_SIGNS[state] * 2)
            )
            lines.append([sign, Segment(f" {STATE_NAMES[state]}: not attention"[: width - 2], _FAINT)])
        return lines


def _amount(value: float, least: float | None = None) -> str:
    """With two decimals, or as many as tell ``least``, by default the value itself, from nothing."""
    least = value if least is None else least
    decimals = max(2, -math.floor(math.log10(least))) if least > 0 else 2
    return f"{value:.{decimals}f}" if decimals <= _MOST_DECIMALS else f"{value:.1e}"


def _packed(parts: list[str], width: int) -> list[str]:
    """The parts in as few lines as ``width`` allows."""
    lines = [parts[0]]
    for part in parts[1:]:
        joined = f"{lines[-1]}   {part}"
        if len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines


def _half_blocks(codes: npt.NDArray[np.int64], cell: int) -> list[Segment]:
    """One or two rows of codes as a line: the upper row is the ink of a half block, the lower its background."""
    if len(codes) == 1:
        return [Segment("▀" * (count * cell), Style(color=_color(code))) for code, count in _runs(codes[0])]
    both = codes[0] * 1000 + codes[1]
    segments = []
    for code, count in _runs(both):
        upper, lower = divmod(code, 1000)
        glyph = " " if upper == lower else "▀"
        segments.append(Segment(glyph * (count * cell), _style(upper, lower)))
    return segments


def _runs(codes: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Equal neighbours as (code, how many)."""
    if not len(codes):
        return []
    starts = np.concatenate(([0], np.flatnonzero(np.diff(codes)) + 1))
    counts = np.diff(np.concatenate((starts, [len(codes)])))
    return [(int(codes[start]), int(count)) for start, count in zip(starts, counts, strict=True)]


@lru_cache(maxsize=8192)
def _style(ink: int, background: int) -> Style:
    return Style(color=_color(ink), bgcolor=_color(background))


@lru_cache(maxsize=256)
def _color(code: int) -> Color:
    """The colour of a level, or of a state beyond the levels."""
    if code >= _LEVELS:
        return Color.parse(_STATE_COLORS[RowState(code - _LEVELS)])
    place = code / (_LEVELS - 1) * (len(_MAGMA) - 1)
    low = min(int(place), len(_MAGMA) - 2)
    mix = place - low
    pairs = zip(bytes.fromhex(_MAGMA[low]), bytes.fromhex(_MAGMA[low + 1]), strict=True)
    red, green, blue = (round(a + (b - a) * mix) for a, b in pairs)
    return Color.from_rgb(red, green, blue)
