"""The head view: what a token attends to, as bars and numbers; or every token's strongest keys, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.style import Style

from attncore.arrays import Array
from attncore.query_rows import RowState, RowStates, row_blocks, row_states

from ._terminal_output import ACCENT, BOLD, FAINT, PLAIN, Line, line, wrapped
from ._terminal_subject import Subject
from ._terminal_text import clean, fit

_HEIGHTS = " ▁▂▃▄▅▆▇█"
_WEIGHT_WIDTH = 6
_LEAST_SHOWN = 0.005  # below it two decimals say nothing
_LONGEST_LABEL = 24
_STATE_WORDS = {
    RowState.PADDING: "padding: not attention",
    RowState.MASKED: "masked: every key was hidden from this query",
    RowState.NAN: "NaN: this row holds no numbers",
}


@dataclass(frozen=True)
class OneQuery:
    """What one query attends to: ``weights`` (key,), and the keys to show in the order to show them."""

    subject: Subject
    query: int
    weights: Array
    state: RowState
    shown: tuple[int, ...]
    by_weight: bool
    namesakes: int

    @classmethod
    def of(cls, subject: Subject, query: int, top: int, by_weight: bool, namesakes: int) -> OneQuery:
        """Read one row and choose the ``top`` keys of it."""
        weights = subject.read_mean(slice(query, query + 1))
        state = RowState(int(row_states(weights, subject.query_axis.padding_of(_item(subject))[query : query + 1])[0]))
        order = np.argsort(-np.nan_to_num(weights[0]), kind="stable")[:top]
        chosen = order if by_weight else np.sort(order)
        # Keys without weight are hidden from the query, or as good as.
        shown = tuple(int(key) for key in chosen if weights[0, key] != 0) if state == RowState.ATTENDS else ()
        return cls(subject, query, weights[0], state, shown, by_weight, namesakes)

    def lines(self, width: int) -> Iterator[Line]:
        """The view."""
        text = self.subject.query_labels.texts[self.query]
        name = f'query {self.query} "{clean(text)}"' if text else f"query {self.query}"
        if self.namesakes > 1:
            name += f" (the first of {self.namesakes} such tokens)"
        yield from wrapped(f"{name} · {self.subject.title()}", width, BOLD)
        if self.state != RowState.ATTENDS:
            yield line()
            yield from wrapped(_STATE_WORDS[self.state], width, PLAIN)
            return
        yield from wrapped(self._what_is_shown(), width, FAINT)
        yield line()
        yield from self._bars(width)

    def _what_is_shown(self) -> str:
        order = "by weight" if self.by_weight else "by position"
        share = float(self.weights[list(self.shown)].sum())
        total = float(self.weights.sum())
        weighty, keys = int((self.weights != 0).sum()), len(self.weights)
        if len(self.shown) < weighty:
            text = f"the {len(self.shown)} strongest of {keys} keys, {order}; together {share:.3f}"
        elif weighty < keys:
            text = f"the {weighty} of {keys} keys that have any weight, {order}"
        else:
            text = f"all {keys} keys, {order}" if keys > 1 else "the only key"
        return text if abs(total - 1) < 0.01 else f"{text}; the whole row sums to {total:.3f}"

    def _bars(self, width: int) -> Iterator[Line]:
        labels = self.subject.key_labels
        digits = max(3, labels.digits())
        label_width = labels.width(min(_LONGEST_LABEL, max(4, width // 3)))
        gap = "  " if label_width else ""
        pad_width = 4 if any(labels.padding[key] for key in self.shown) else 0
        room = width - digits - len(gap) - label_width - pad_width - _WEIGHT_WIDTH - 4
        largest = max(float(self.weights[list(self.shown)].max()), 1e-9)
        header = f"{'key':>{digits}}{gap}{fit('token', label_width)}{' ' * pad_width}  {'weight':>{_WEIGHT_WIDTH}}"
        yield line((f"{header}  a full bar is {largest:.3f}"[:width], FAINT))
        for key in self.shown:
            weight = float(self.weights[key])
            padded = labels.padding[key]
            style = FAINT if padded else PLAIN
            mark = (" pad" if padded else "    ") if pad_width else ""
            yield line(
                (f"{key:>{digits}}", FAINT),
                (gap + fit(labels.texts[key], label_width), style),
                (mark, FAINT),
                (f"  {_number(weight)}  ", style),
                (_bar(weight / largest, room), FAINT if padded else ACCENT),
            )


@dataclass(frozen=True, eq=False)
class EveryQuery:
    """Each query's strongest keys: ``keys`` and ``weights`` (query, top), ``states`` (query,)."""

    subject: Subject
    keys: npt.NDArray[np.intp]
    weights: Array
    states: RowStates

    @classmethod
    def of(cls, subject: Subject, top: int, width: int) -> EveryQuery:
        """Read the rows a block at a time and keep the strongest keys of each."""
        top = min(top, subject.keys, _Widths.of(subject, width).columns())
        padding = subject.query_axis.padding_of(_item(subject))
        keys = np.zeros((subject.queries, top), dtype=np.intp)
        weights = np.zeros((subject.queries, top), dtype=np.float64)
        states = np.full(subject.queries, RowState.PADDING, dtype=np.int8)
        for rows in row_blocks(subject.queries, subject.head_count * subject.keys):
            if padding[rows].all():
                continue
            block = subject.read_mean(rows)
            states[rows] = row_states(block, padding[rows])
            keys[rows] = _strongest(np.nan_to_num(block), top)
            weights[rows] = np.take_along_axis(block, keys[rows], axis=-1)
        return cls(subject, keys, weights, states)

    def lines(self, width: int) -> Iterator[Line]:
        """The view."""
        yield from wrapped(self.subject.title(), width, BOLD)
        top = self.keys.shape[1]
        which = "each query's strongest key" if top == 1 else f"each query's {top} strongest keys"
        yield from wrapped(f"{which}, from 0.005: weight, position, token; a bar's height is the weight", width, FAINT)
        yield line()
        widths = _Widths.of(self.subject, width)
        position = 0
        while position < len(self.states):
            last = self._last_alike(position)
            yield self._row(position, last, widths)
            position = last + 1

    def _last_alike(self, position: int) -> int:
        """The last of a run of padded queries; any other query is alone."""
        last = position
        if self.states[position] == RowState.PADDING:
            while last + 1 < len(self.states) and self.states[last + 1] == RowState.PADDING:
                last += 1
        return last

    def _row(self, position: int, last: int, widths: _Widths) -> Line:
        state = RowState(int(self.states[position]))
        label = fit(self.subject.query_labels.texts[position], widths.query)
        place = (f"{position:>{widths.position}} ", FAINT)
        if state != RowState.ATTENDS:
            words = "pad" if state == RowState.PADDING else _STATE_WORDS[state]
            words += f" to position {last}" if last > position else ""
            return line(place, (label, FAINT), (fit(f"  {words}", widths.room).rstrip(), FAINT))
        keys = self.subject.key_labels
        parts: list[str | tuple[str, Style]] = [place, (label, BOLD)]
        for key, weight in zip(self.keys[position], self.weights[position], strict=True):
            if weight < _LEAST_SHOWN:
                continue
            bar = _HEIGHTS[max(1, min(8, round(float(weight) * 8)))]
            number = f"{_short(float(weight))} {key:>{widths.key_position}}"
            style = FAINT if keys.padding[key] else PLAIN
            parts += ["  ", (bar, ACCENT), (number, FAINT), (fit(f" {keys.texts[key]}", widths.key), style)]
        return line(*parts)


@dataclass(frozen=True)
class _Widths:
    """Cells for a query's position and label, for a key's position and label, and for all keys of a query."""

    position: int
    query: int
    key_position: int
    key: int
    room: int

    @classmethod
    def of(cls, subject: Subject, width: int) -> _Widths:
        queries, keys = subject.query_labels, subject.key_labels
        most = max(4, min(14, width // 5))
        query, key = queries.width(most), keys.width(most)
        room = width - queries.digits() - 1 - query
        return cls(queries.digits(), query, keys.digits(), key + 1 if key else 0, room)

    def columns(self) -> int:
        """How many keys fit beside a query."""
        return max(1, self.room // (len("  █.12 ") + self.key_position + self.key))


def _strongest(block: Array, top: int) -> npt.NDArray[np.intp]:
    """The ``top`` keys of each row, the strongest first and the earlier of equals first."""
    if top < block.shape[-1]:
        # Sorting only the candidates keeps this quick for long inputs.
        least = -np.partition(-block, top - 1, axis=-1)[:, top - 1 : top]
        ranked = np.where(block >= least, -block, np.inf)
    else:
        ranked = -block
    return np.argsort(ranked, axis=-1, kind="stable")[:, :top]


def _number(weight: float) -> str:
    if 0 < weight < 0.0005:
        return f"{'<0.001':>{_WEIGHT_WIDTH}}"
    return f"{weight:>{_WEIGHT_WIDTH}.3f}"


def _short(weight: float) -> str:
    """Three characters: ``.12``, or ``1.0``; `` 12`` where weights are no shares."""
    text = f"{weight:.2f}"
    if text.startswith("0"):
        return text[1:]
    return f"{weight:.1f}" if weight < 9.95 else f"{weight:>3.0f}"


def _bar(share: float, room: int) -> str:
    """A bar as long as ``share`` of the room, to half a character."""
    whole, rest = divmod(round(max(0.0, min(1.0, share)) * max(0, room) * 2), 2)
    return "━" * whole + "╸" * rest


def _item(subject: Subject) -> int:
    return subject.batch if subject.query_axis.batch != 1 else 0
