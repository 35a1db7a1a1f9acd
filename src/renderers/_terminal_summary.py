"""The summary: what was captured, which heads stand out, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.style import Style

from attncore.attention import AttentionTrace
from attncore.describe import full_bytes, held_bytes, positions_text, size_text
from attncore.layer import AttentionLayer
from attncore.patterns import PATTERN_NAMES, HeadStatistics, head_statistics, strongest_pattern
from attncore.subject import check_batch

from ._terminal_output import ACCENT, BOLD, FAINT, PLAIN, Line, line, wrapped
from ._terminal_subject import heading
from ._terminal_text import counted, fit, width_of

REMINDER = "Attention weights show where information can flow, not what caused an output."
_MOST_COVERAGE_LINES = 6
# So many weights take about a second to go through; beyond them only some query rows are looked at.
_MOST_WEIGHTS = 200_000_000
_DULL = ("broad", "mixed", "no rows")


@dataclass(frozen=True, eq=False)
class Summary:
    """A trace and the statistics of those of its layers that have any."""

    trace: AttentionTrace
    batch: int
    statistics: tuple[HeadStatistics | None, ...]

    @classmethod
    def of(cls, trace: AttentionTrace, batch: int) -> Summary:
        """Go through the weights once."""
        total = sum(layer.weights.size // layer.shape[0] for layer in trace if layer.stored_weights is not None)
        share = min(1.0, _MOST_WEIGHTS / max(1, total))
        return cls(trace, batch, tuple(_statistics(trace, layer, batch, share) for layer in trace))

    def lines(self, width: int) -> Iterator[Line]:
        """The view."""
        size = f"{counted(len(self.trace), 'layer')}, {counted(self._heads(), 'head')}"
        yield from wrapped(f"{heading(self.trace)}: {size}", width, BOLD)
        yield from self._axes(width)
        if len(self.trace):
            yield line()
            yield from _table(self.trace, width)
            yield from self._notes(width)
            yield line()
            yield from self._patterns(width)
        yield line()
        yield from self._coverage(width)
        yield from wrapped(REMINDER, width, FAINT)

    def _heads(self) -> int:
        return sum(len(stats.heads) for stats in self.statistics if stats is not None)

    def _axes(self, width: int) -> Iterator[Line]:
        for axis in self.trace.axes.values():
            padded = 0 if axis.padding is None else int(axis.padding_of(self.batch % axis.batch).sum())
            text = f'axis "{axis.name}": {positions_text(axis)}, {counted(axis.batch, "batch item")}'
            text += f"; {padded} of item {self.batch} are padding" if padded else ""
            yield from wrapped(text, width, FAINT)
        held, full = size_text(held_bytes(self.trace)), size_text(full_bytes(self.trace))
        yield from wrapped(f"held: {held}; all weights would be {full}", width, FAINT)

    def _notes(self, width: int) -> Iterator[Line]:
        """Notes of layers, those that several have once."""
        holders: dict[str, list[int]] = {}
        for layer in self.trace:
            for note in layer.notes:
                holders.setdefault(note, []).append(layer.index)
        for note, indices in holders.items():
            where = f"layer {indices[0]}" if len(indices) == 1 else f"layers {_ranges(indices)}"
            yield from wrapped(f"note, {where}: {note}", width, FAINT)

    def _patterns(self, width: int) -> Iterator[Line]:
        """A line for each pattern, with the heads that show it most."""
        found: dict[str, list[tuple[float, str]]] = {name: [] for name in PATTERN_NAMES}
        for layer, stats in zip(self.trace, self.statistics, strict=True):
            for place, number in enumerate(() if stats is None else stats.heads):
                assert stats is not None
                name, share = strongest_pattern(stats, place)
                found[name].append((share, f"{layer.index}.{number}"))
        if not any(found.values()):
            yield from wrapped("no weights were kept, so no head can be described", width, FAINT)
            return
        yield line(("Heads that stand out", BOLD), ("  layer.head, share of attention"[: width - 20], FAINT))
        named = [name for name in PATTERN_NAMES if found[name] and name not in _DULL]
        label = max(map(len, (*named, "broad, mixed"))) + 2
        for name in named:
            heads = sorted(found[name], key=lambda entry: -entry[0])
            yield line((fit(name, label), PLAIN), *_strongest(heads, width - label))
        if not named:
            yield line(("none", FAINT))
        dull = [f"{len(found[name])} {name}" for name in _DULL if found[name]]
        if dull:
            yield line((fit("others", label), FAINT), (fit(", ".join(dull), width - label).rstrip(), FAINT))
        yield from self._sampled(width)

    def _sampled(self, width: int) -> Iterator[Line]:
        step = max((stats.row_step for stats in self.statistics if stats is not None), default=1)
        if step > 1:
            yield from wrapped(f"measured on every {step}th query row at the least", width, FAINT)
        counts = [(stats.rows_masked.max(), stats.rows_nan.max()) for stats in self.statistics if stats is not None]
        for place, words in ((0, "fully masked"), (1, "NaN")):
            worst = max((int(pair[place]) for pair in counts), default=0)
            if worst:
                yield from wrapped(f"left out: up to {counted(worst, f'{words} query row')} a head", width, FAINT)

    def _coverage(self, width: int) -> Iterator[Line]:
        coverage = self.trace.coverage
        yield from wrapped(f"Coverage: {coverage.summary()}", width, BOLD if coverage else PLAIN)
        for entry in coverage[:_MOST_COVERAGE_LINES]:
            yield from wrapped(f"- {entry.status}: {entry}", width, PLAIN)
        if len(coverage) > _MOST_COVERAGE_LINES:
            rest = len(coverage) - _MOST_COVERAGE_LINES
            yield from wrapped(f"and {rest} more: print(trace.coverage)", width, FAINT)


def _statistics(trace: AttentionTrace, layer: AttentionLayer, batch: int, share: float) -> HeadStatistics | None:
    """Statistics of a layer; those that were made while capturing where they are all there is."""
    if layer.stored_weights is None:
        return layer.reduced if isinstance(layer.reduced, HeadStatistics) else None
    check_batch(layer, batch)
    max_rows = None if share >= 1 else max(1, int(layer.shape[2] * share))
    return head_statistics(layer, batch, axes=trace.axes_of(layer), max_rows=max_rows)


def _table(trace: AttentionTrace, width: int) -> Iterator[Line]:
    """A line for each layer; narrow pages show fewer columns."""
    columns = {"layer": [str(layer.index) for layer in trace], "name": [_name(layer) for layer in trace]}
    if width >= 60:
        columns["kind"] = [layer.kind for layer in trace]
        if any(layer.stack for layer in trace):
            columns["stack"] = [layer.stack or "-" for layer in trace]
    columns["(batch, heads, query, key)" if width >= 72 else "shape"] = [_shape(layer) for layer in trace]
    if width >= 60:
        columns["source"] = [_source(layer, width) for layer in trace]
    widths = {head: max(map(width_of, (head, *texts))) for head, texts in columns.items()}
    taken = sum(cells + 2 for head, cells in widths.items() if head != "name")
    widths["name"] = max(4, min(widths["name"], width - taken))
    yield line(("  ".join(fit(head, widths[head], right=head == "layer") for head in columns).rstrip()[:width], FAINT))
    for row in range(len(trace)):
        texts = [fit(texts[row], widths[head], right=head == "layer") for head, texts in columns.items()]
        yield line(fit("  ".join(texts).rstrip(), width).rstrip())


def _name(layer: AttentionLayer) -> str:
    return f"{layer.name}@{layer.call}" if layer.call else layer.name


def _shape(layer: AttentionLayer) -> str:
    return "reduced" if layer.stored_weights is None else " x ".join(map(str, layer.shape))


def _source(layer: AttentionLayer, width: int) -> str:
    """Where the weights come from; whether they were computed again only where there is room."""
    return f"{layer.source}, {layer.computed}" if width >= 100 else layer.source


def _strongest(heads: list[tuple[float, str]], room: int) -> list[tuple[str, Style]]:
    """As many heads as there is room for, and how many there are besides."""
    parts: list[tuple[str, Style]] = []
    used = 0
    for place, (share, name) in enumerate(heads):
        text = f"{name} {share:.0%}  "
        rest = f"and {len(heads) - place} more"
        last = place == len(heads) - 1
        if used + len(text) + (0 if last else len(rest)) > room:
            return [*parts, (rest[: room - used], FAINT)]
        parts += [(name, ACCENT), (f" {share:.0%}  ", PLAIN)]
        used += len(text)
    return parts


def _ranges(numbers: list[int]) -> str:
    """Such as ``0-5, 7``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
