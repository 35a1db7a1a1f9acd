"""The model view: every head of every layer as a thumbnail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.segment import Segment

from attncore.attention import AttentionTrace
from attncore.errors import SelectionError
from attncore.query_rows import RowState

from ._terminal_output import BOLD, FAINT, PLAIN, Line, line, wrapped
from ._terminal_paint import Paint
from ._terminal_pool import Bins, Pooled, drawn_positions, pool
from ._terminal_subject import Subject, heading
from ._terminal_text import clean, counted, fit

NARROWEST_THUMBNAIL = 10
WIDEST_THUMBNAIL = 24
_NEVER_POOLED = 16
_GAP = 2


@dataclass(frozen=True, eq=False)
class Model:
    """Every layer's heads, pooled; ``columns`` is the width of the widest thumbnail and ``per_line`` how many fit."""

    title: str
    layers: tuple[tuple[Subject, Pooled], ...]
    columns: int
    per_line: int

    @classmethod
    def of(cls, trace: AttentionTrace, batch: int, width: int) -> Model:
        """Choose the size of a thumbnail and read the weights, each once and never all of them at a time.

        Raises:
            SelectionError: the trace has no layers, or no such batch item.
            UnavailableError: a layer's weights were reduced while capturing.
        """
        if not len(trace):
            raise SelectionError("the model view was asked for and this trace has no attention layers; select some")
        subjects = [Subject.of(trace, place, None, batch) for place in range(len(trace))]
        heads = max(subject.layer.n_heads for subject in subjects)
        longest = max(min(subject.keys, WIDEST_THUMBNAIL) for subject in subjects)
        columns, per_line = _size(heads, longest, width)
        layers = tuple((subject, _pooled(subject, columns)) for subject in subjects)
        return cls(f"{heading(trace)}: {_count(subjects)}", layers, columns, per_line)

    def lines(self, paint: Paint, width: int) -> Iterator[Line]:
        """The view."""
        layers = [(subject, pooled if paint.color else pooled.halved()) for subject, pooled in self.layers]
        remarks = {_remark(subject, pooled) for subject, pooled in layers}
        shared = remarks.pop() if len(remarks) == 1 else ""
        yield from wrapped(clean(self.title), width, BOLD)
        yield from wrapped("each picture is one head (layer.head): queries downwards, keys to the right", width, FAINT)
        if shared:
            yield from wrapped(shared, width, FAINT)
        yield from paint.legend(1.0, width)
        yield from paint.state_legend({state for _, pooled in layers for state in pooled.present()}, width)
        for subject, pooled in layers:
            yield line()
            yield line((fit(_heading(subject), width).rstrip(), BOLD))
            remark = _remark(subject, pooled)
            yield from wrapped("; ".join(filter(None, ["" if shared else remark, _unusual(pooled)])), width, FAINT)
            yield from self._thumbnails(subject, pooled, paint)

    def _thumbnails(self, subject: Subject, pooled: Pooled, paint: Paint) -> Iterator[Line]:
        """Rows of thumbnails with their labels above them."""
        numbers = subject.layer.head_numbers()
        own_width = len(pooled.keys)
        for start in range(0, len(numbers), self.per_line):
            chosen = range(start, min(start + self.per_line, len(numbers)))
            texts = [f"{subject.layer.index}.{numbers[head]}" for head in chosen]
            cell = max(own_width, max(map(len, texts)))
            if start:
                yield line()
            yield line(("".join(fit(text, cell) + " " * _GAP for text in texts).rstrip(), FAINT))
            stack = 2 if paint.color else 1
            pictures = [paint.picture(pooled.values[head], pooled.states[head], 1.0, stack=stack) for head in chosen]
            for row in zip(*pictures, strict=True):
                segments: Line = []
                for picture in row:
                    segments += [*picture, Segment(" " * (cell - own_width + _GAP), PLAIN)]
                yield segments[:-1]


def _count(subjects: list[Subject]) -> str:
    """Such as ``12 layers of 8 heads``."""
    heads = [subject.layer.n_heads for subject in subjects]
    fewest = "" if min(heads) == max(heads) else f"{min(heads)} to "
    return f"{counted(len(subjects), 'layer')} of {fewest}{counted(max(heads), 'head')}"


def _size(heads: int, longest: int, width: int) -> tuple[int, int]:
    """Columns of a thumbnail and thumbnails in a line: all heads in one line, or in as few even lines as needed."""
    # A short input is never pooled, a long one down to this many columns.
    narrowest = longest if longest <= _NEVER_POOLED else NARROWEST_THUMBNAIL
    for lines in range(1, heads + 1):
        per_line = -(-heads // lines)
        room = (width + _GAP) // per_line - _GAP
        if room >= max(len("99.99"), narrowest):
            # An even number of columns, and as many rows, fill the half blocks and keep diagonals smooth.
            return (longest if room >= longest else room // 2 * 2), per_line
    return min(width, longest), 1


def _pooled(subject: Subject, columns: int) -> Pooled:
    """All heads of one layer in thumbnails of at most ``columns`` columns."""
    queries, keys = subject.query_labels, subject.key_labels
    key_bins = Bins.of(drawn_positions(keys.padding, columns), columns)
    shown = drawn_positions(queries.padding, columns)
    # As many tokens in a row of the picture as in a column of it, within reason.
    rows = round(len(key_bins) * len(shown) / len(key_bins.positions))
    # An even number fills the half blocks.
    query_bins = Bins.of(shown, max(2, min(rows + rows % 2, 2 * columns)))
    return pool(subject.read, queries.padding, subject.head_count, query_bins, key_bins)


def _heading(subject: Subject) -> str:
    layer = subject.layer
    text = f"layer {layer.index} {clean(layer.name)}"
    return f"{text} ({layer.kind}-attention)" if layer.kind == "cross" else text


def _remark(subject: Subject, pooled: Pooled) -> str:
    """What the thumbnails of a layer leave out."""
    parts = [pooled.explain()] if pooled.explain() else []
    left = subject.queries - len(pooled.queries.positions), subject.keys - len(pooled.keys.positions)
    if any(left):
        parts.append(f"padding is not drawn ({left[0]:,} queries, {left[1]:,} keys)")
    return "; ".join(parts)


def _unusual(pooled: Pooled) -> str:
    """How many rows of a layer, over all heads, hold no attention though they are not padding."""
    hidden = [(RowState.MASKED, "fully masked"), (RowState.NAN, "NaN")]
    parts = [
        f"{counted(pooled.counts[state], f'{word} row')} over all heads"
        for state, word in hidden
        if pooled.counts[state]
    ]
    return "; ".join(parts)
