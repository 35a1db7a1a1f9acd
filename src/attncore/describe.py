"""A trace in a few plain lines, for the prompt and for logs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attncore.attention import AttentionTrace
    from attncore.axis import TokenAxis


def describe(trace: AttentionTrace) -> str:
    """A handful of lines: how many layers of which kind and shape, on which axes, held how, and what is missing."""
    model = f" of {trace.provenance.model}" if trace.provenance.model else ""
    lines = [f"AttentionTrace{model}: {len(trace)} attention layer(s)"]
    lines += [f"  {line}" for line in _layer_lines(trace)]
    for axis in trace.axes.values():
        lines.append(f'  axis "{axis.name}": {positions_text(axis)}, batch of {axis.batch}')
    lines.append(f"  held: {size_text(held_bytes(trace))}; weights in full: {size_text(full_bytes(trace))}")
    if trace.coverage:
        lines.append(f"  coverage: {trace.coverage.summary()} (see trace.coverage)")
    return "\n".join(lines)


def _layer_lines(trace: AttentionTrace) -> list[str]:
    """One line for each group of like layers, in the order they first appear."""
    groups: Counter[str] = Counter()
    for layer in trace:
        where = f"{layer.stack} " if layer.stack else ""
        reduced = layer.stored_weights is None
        shape = "reduced while capturing" if reduced else f"(batch, heads, query, key) {layer.shape}"
        groups[f"{where}{layer.kind}-attention {shape}, from {layer.source}"] += 1
    return [f"{count} x {group}" for group, count in groups.items()]


def held_bytes(trace: AttentionTrace) -> int:
    """Bytes held for weights, or for the queries and keys they are computed from."""
    return sum(layer.stored_weights.held_bytes for layer in trace if layer.stored_weights is not None)


def positions_text(axis: TokenAxis) -> str:
    """How many positions of which kind, such as ``13 text positions``; only how many where the kind is not known."""
    kind = "" if axis.kind == "position" else f"{axis.kind} "
    return f"{axis.length} {kind}position{'' if axis.length == 1 else 's'}"


def size_text(count: int) -> str:
    """A number of bytes for a person: ``48.7 kB``, or ``603.9 MB`` from 100 kB on."""
    return f"{count / 1e3:,.1f} kB" if count < 100_000 else f"{count / 1e6:,.1f} MB"


def full_bytes(trace: AttentionTrace) -> int:
    """Bytes that all weights would take."""
    return sum(layer.weights.size * layer.weights.dtype.itemsize for layer in trace if layer.stored_weights is not None)
