"""What a trace holds, as text for a person and as JSON for a script."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import Any

from attncore.attention import AttentionTrace
from attncore.describe import describe
from attncore.layer import AttentionLayer
from attncore.plugins import Plugins
from attncore.rendering import options_of


def trace_as_json(trace: AttentionTrace) -> dict[str, Any]:
    """Everything about a trace but its numbers."""
    return {
        "model": trace.provenance.model,
        "layers": [_layer_as_json(layer) for layer in trace],
        "axes": [
            {
                "name": axis.name,
                "kind": axis.kind,
                "length": axis.length,
                "batch": axis.batch,
                "grid": axis.grid,
                "labels": [list(row) for row in axis.labels],
            }
            for axis in trace.axes.values()
        ],
        "coverage": [asdict(entry) for entry in trace.coverage],
        "provenance": {
            **asdict(trace.provenance),
            "options": dict(trace.provenance.options),
            "versions": dict(trace.provenance.versions),
        },
    }


def _layer_as_json(layer: AttentionLayer) -> dict[str, Any]:
    return {
        "index": layer.index,
        "name": layer.name,
        "call": layer.call,
        "kind": layer.kind,
        "stack": layer.stack,
        "shape": None if layer.stored_weights is None else list(layer.shape),
        "heads": None if layer.heads is None else list(layer.heads),
        "query_axis": layer.query_axis,
        "key_axis": layer.key_axis,
        "source": layer.source,
        "computed": layer.computed,
        "holds": [name for name in ("query", "key", "value") if getattr(layer, name) is not None],
        "notes": list(layer.notes),
    }


def trace_as_text(trace: AttentionTrace) -> str:
    """A page: the summary, a line a layer, the tokens, what is not covered, and where it is from."""
    parts = [describe(trace), _layer_lines(trace)]
    for axis in trace.axes.values():
        tokens = " ".join(axis.labels[0][:24] if axis.labels else ()) + (" …" if axis.length > 24 else "")
        parts.append(f'axis "{axis.name}", {axis.length} x {axis.kind}: {tokens}')
    if trace.coverage:
        parts.append(f"not in the trace:\n{_indented(str(trace.coverage))}")
    origin = trace.provenance
    versions = ", ".join(f"{name} {version}" for name, version in origin.versions.items())
    parts.append(
        f"captured {origin.created} by attncore {origin.attncore}, backend {origin.backend} ({origin.mechanism})"
        + (f"; {versions}" if versions else "")
    )
    return "\n\n".join(parts)


def _layer_lines(trace: AttentionTrace) -> str:
    lines = []
    for layer in trace:
        shape = "reduced" if layer.stored_weights is None else " x ".join(str(size) for size in layer.shape)
        call = f"@{layer.call}" if layer.call else ""
        lines.append(f"  {layer.index:>3}  {layer.kind:<5}  {shape:<20}  {layer.source:<8}  {layer.name}{call}")
        lines += [f"       note: {note}" for note in layer.notes]
    return "layers (batch x heads x query x key):\n" + "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def plugins_as_json(found: Plugins, kind: str) -> list[dict[str, Any]]:
    """The renderers or backends that are installed, and what failed to load."""
    if kind == "renderers":
        rows = [
            {
                "name": name,
                "views": list(entry.thing.views),
                "distribution": entry.distribution,
                "about": _first_line(entry.thing),
                "options": [name for name in options_of(entry.thing.render) if name != "view"],
            }
            for name, entry in found.renderers.items()
        ]
    else:
        rows = [
            {"name": name, "distribution": entry.distribution, "about": _first_line(entry.thing)}
            for name, entry in found.backends.items()
        ]
    return rows + [{"name": name, "failed": reason} for name, reason in found.failures.items()]


def _first_line(plugin: Any) -> str:
    """What a plugin's class says of itself in one line."""
    return (inspect.getdoc(type(plugin)) or "").partition("\n")[0]


def plugins_as_text(rows: list[dict[str, Any]], *, verbose: bool = False) -> str:
    """The same, a line each; with ``verbose`` further lines on what each says of itself and its options."""
    lines = []
    width = max((len(row.get("distribution", "")) for row in rows), default=0)
    for row in rows:
        if "failed" in row:
            lines.append(f"{row['name']:<12}  could not be used: {row['failed']}")
        else:
            views = f"views: {', '.join(row['views'])}" if "views" in row else ""
            lines.append(f"{row['name']:<12}  {row['distribution']:<{width}}  {views}".rstrip())
            if verbose:
                options = f"options: {', '.join(row['options'])}" if row.get("options") else ""
                lines += [f"{'':<14}{line}" for line in (row["about"], options) if line]
    return "\n".join(lines)
