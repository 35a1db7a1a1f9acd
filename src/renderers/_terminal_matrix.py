"""The matrix view: one head as a heat map, with the tokens on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.segment import Segment
from rich.style import Style

from attncore.query_rows import RowState

from ._terminal_output import BOLD, FAINT, PLAIN, Line, line, wrapped
from ._terminal_paint import Paint, Values
from ._terminal_pool import Bins, Pooled, drawn_positions, pool
from ._terminal_subject import Labels, Subject
from ._terminal_text import clean, counted, fit, glyphs_of, isolated, width_of

NUMBER_CELL = 5
_WIDEST_CELL = 9
_TALLEST_LABEL = 10
_SHORTEST_PICTURE = 40
_TICK_SPACING = 12
_BRIGHT_QUANTILE = 0.98
_NEARLY_ALL = 0.6
_WIDEST_PICTURE = 128
_STATE_WORDS = {RowState.PADDING: "pad", RowState.MASKED: "masked", RowState.NAN: "NaN"}


@dataclass(frozen=True, eq=False)
class Matrix:
    """The pooled weights of one head and how to lay them out.

    ``cell`` is the width of a weight and ``side`` that of the tokens beside them, in characters.
    """

    subject: Subject
    pooled: Pooled
    cell: int
    side: int

    @classmethod
    def of(cls, subject: Subject, width: int) -> Matrix:
        """Choose the layout for ``width`` and read the weights."""
        queries, keys = subject.query_labels, subject.key_labels
        side = queries.digits() + 1 + queries.width(max(4, min(14, width // 5))) + 1
        room = max(1, width - side)
        shown_keys = drawn_positions(keys.padding, room)
        # Pooled to an even number, so that as many queries fill the half blocks and diagonals stay smooth.
        most = room if len(shown_keys) <= room else min(room, _WIDEST_PICTURE) // 2 * 2
        key_bins = Bins.of(shown_keys, most)
        shown_queries = drawn_positions(queries.padding, max(room, _SHORTEST_PICTURE))
        query_bins = Bins.of(shown_queries, _most_rows(len(shown_queries), key_bins, room))
        pooled = pool(lambda rows: subject.read_mean(rows)[None], queries.padding, 1, query_bins, key_bins)
        numbers = NUMBER_CELL if key_bins.pooled else max(NUMBER_CELL, _widest_number(pooled) + 1)
        return cls(subject, pooled, _cell_width(keys, key_bins, room, numbers), side)

    @property
    def with_numbers(self) -> bool:
        return self.cell >= NUMBER_CELL

    def lines(self, paint: Paint, width: int) -> Iterator[Line]:
        """The view."""
        # Two rows share a line of half blocks; without colour they are one row.
        stacked = self.pooled.queries.pooled and self.cell == 1
        pooled = self.pooled.halved() if stacked and not paint.color else self.pooled
        top = _yardstick(self.pooled, self.with_numbers)
        yield from wrapped(self.subject.title(), width, BOLD)
        yield from wrapped("; ".join(["rows are queries, columns keys", *self._remarks(pooled)]), width, FAINT)
        yield line()
        yield from self._key_ruler()
        yield from self._rows(pooled, paint, top, stack=2 if stacked and paint.color else 1)
        yield line()
        if self.with_numbers:
            yield line(("· is below 0.005", FAINT))
        if paint.color or not self.with_numbers:
            yield from paint.legend(top, width)
        if stacked and paint.color:
            yield from paint.state_legend(pooled.present(), width)

    def _remarks(self, pooled: Pooled) -> Iterator[str]:
        """What is pooled and what is not in the picture."""
        if pooled.explain():
            yield pooled.explain()
        queries = self.subject.queries - len(pooled.queries.positions)
        keys = self.subject.keys - len(pooled.keys.positions)
        if queries or keys:
            yield f"padding is not drawn ({queries} queries, {keys} keys)"
        for state, word in ((RowState.MASKED, "fully masked"), (RowState.NAN, "NaN")):
            if pooled.counts[state] and pooled.queries.pooled:
                yield f"left out of the averages: {counted(pooled.counts[state], f'{word} query row')}"

    def _rows(self, pooled: Pooled, paint: Paint, top: float, stack: int) -> Iterator[Line]:
        values, states = pooled.values[0], pooled.states[0]
        labels = self.subject.query_labels
        pictures = paint.picture(values, states, top, cell=self.cell, stack=stack)
        for number, picture in enumerate(pictures):
            row = number * stack
            ruler = self._row_label(labels, pooled.queries.starts[row])
            if stack == 1 and states[row] != RowState.ATTENDS:
                yield [*ruler, Segment(self._no_attention(RowState(int(states[row]))), FAINT)]
            elif self.with_numbers:
                yield [*ruler, *self._numbers(paint, values[row], top)]
            else:
                yield [*ruler, *picture]

    def _row_label(self, labels: Labels, position: int) -> Line:
        digits = labels.digits()
        style = FAINT if labels.padding[position] else PLAIN
        return line(
            (f"{position:>{digits}} ", FAINT), (fit(labels.texts[position], self.side - digits - 2) + " ", style)
        )

    def _no_attention(self, state: RowState) -> str:
        room = len(self.pooled.keys) * self.cell
        word = _STATE_WORDS[state]
        return f"{word} ".ljust(room, "╌") if room > len(word) else fit(word, room)

    def _numbers(self, paint: Paint, values: Values, top: float) -> Line:
        segments = []
        for value in values:
            segments.append(paint.number(f"{_number(value):>{self.cell - 1}} ", float(value), top))
        return segments

    def _key_ruler(self) -> Iterator[Line]:
        labels = self.subject.key_labels
        margin = " " * self.side
        if self.pooled.keys.pooled:
            yield from self._ticks(labels)
            return
        starts = self.pooled.keys.starts
        shown = [_key_label(labels, position) for position in starts]
        widest = max(width_of(text) if text else 0 for text, _ in shown)
        if self.with_numbers and 0 < widest < self.cell:
            texts = [(fit(text, self.cell - 1, right=True) + " ", style) for text, style in shown]
            yield line(margin, *texts)
        elif widest:
            yield from _upright(shown, self.cell, margin, right=self.with_numbers)
        yield line((margin + self._positions(starts, labels.digits()), FAINT))

    def _positions(self, starts: list[int], digits: int) -> str:
        """Position numbers above the columns, as many as there is room for."""
        if self.with_numbers:
            return "".join(f"{position:>{self.cell - 1}} " for position in starts).rstrip()
        every = -(-(digits + 1) // self.cell)
        numbers = "".join(f"{position:<{every * self.cell}}" for position in starts[::every]).rstrip()
        room = len(starts) * self.cell
        # A number that would be cut is another number.
        return (
            numbers
            if len(numbers) <= room
            else numbers[: numbers.rindex(" ", 0, room) if " " in numbers else 0].rstrip()
        )

    def _ticks(self, labels: Labels) -> Iterator[Line]:
        """Marks at even distances with the first position, and its token, of the group below."""
        spacing = max(_TICK_SPACING, labels.digits() + 3)
        texts, marks = "", ""
        for column in range(0, len(self.pooled.keys), spacing):
            room = min(spacing, len(self.pooled.keys) - column) - 1
            position = self.pooled.keys.starts[column]
            token = labels.texts[position] if room >= labels.digits() + 3 else ""
            number = str(position) if room >= labels.digits() else ""
            texts += (fit(f"{number} {token}", room) if number else " " * room) + " "
            marks += "│" + " " * room
        yield line((" " * self.side + texts.rstrip(), FAINT))
        yield line((" " * self.side + marks.rstrip(), FAINT))


def _yardstick(pooled: Pooled, with_numbers: bool) -> float:
    """The value drawn brightest: 1 beside numbers; else about the largest, so that a few cells do not dim the rest.

    In a causal model the first query always gives its whole attention to the first key.
    """
    positive = pooled.values[pooled.values > 0]
    if with_numbers or not len(positive):
        return 1.0
    high = float(np.quantile(positive, _BRIGHT_QUANTILE))
    return 1.0 if high > _NEARLY_ALL else high


def _most_rows(total: int, keys: Bins, room: int) -> int:
    """How many query rows: all where they are few, else as many as make the picture about square."""
    limit = max(room, _SHORTEST_PICTURE)
    if total <= limit and not keys.pooled:
        return total
    if not keys.pooled:
        return limit
    # Two rows share a line of half blocks, so that a cell is square.
    square = max(2, round(len(keys) * total / len(keys.positions)))
    return min(total, min(square, 2 * len(keys)) // 2 * 2)


def _number(value: float) -> str:
    """A weight in at most six characters: ``.12``, ``-.12``, ``1.00``; ``12.3`` or ``1e12`` where it is no share."""
    size = abs(value)
    if size < 0.005:
        return "·"
    if size >= 99_999.5:
        return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    decimals = 2 if size < 9.995 else 1 if size < 99.95 else 0
    text = f"{value:.{decimals}f}"
    return text.replace("0.", ".", 1) if size < 0.995 else text


def _widest_number(pooled: Pooled) -> int:
    return max((len(_number(value)) for value in pooled.values.ravel().tolist()), default=1)


def _cell_width(labels: Labels, keys: Bins, room: int, numbers: int) -> int:
    """The width of a cell: ``numbers`` or more, for tokens, where there is room, else 2 (square), else 1."""
    widest = room // len(keys)
    if keys.pooled or widest < 2:
        return 1
    if widest < numbers:
        return 2
    return max(numbers, min(widest, _WIDEST_CELL, 1 + labels.width(_WIDEST_CELL)))


def _key_label(labels: Labels, position: int) -> tuple[str, Style]:
    return ("pad", FAINT) if labels.padding[position] else (labels.texts[position], PLAIN)


def _upright(shown: list[tuple[str, Style]], cell: int, margin: str, *, right: bool) -> Iterator[Line]:
    """Labels written downwards, one glyph a line, ending where the columns begin."""
    columns = [_column(text) for text, _ in shown]
    tallest = max(map(len, columns))
    for row in range(tallest):
        segments = [Segment(margin, PLAIN)]
        for glyphs, (_, style) in zip(columns, shown, strict=True):
            place = row - (tallest - len(glyphs))
            glyph = glyphs[place] if place >= 0 else " "
            segments.append(Segment(_glyph_cell(glyph, cell, right), style))
        yield segments


def _column(text: str) -> list[str]:
    glyphs = glyphs_of(clean(text)) if text else []
    return glyphs if len(glyphs) <= _TALLEST_LABEL else [*glyphs[: _TALLEST_LABEL - 1], "⋮"]


def _glyph_cell(glyph: str, cell: int, right: bool) -> str:
    """One glyph in a cell, where the numbers below it end; a square stands for one that is too wide."""
    wide = width_of(glyph) if glyph.strip() else 1
    if wide > cell:
        glyph, wide = "▫", 1
    after = 1 if right and cell > wide else 0
    spaces = cell - wide - after
    text = isolated(glyph)
    return " " * spaces + text + " " * after if right else text + " " * (cell - wide)
