"""What ran and is not in the trace."""

from __future__ import annotations

from collections.abc import Iterable

from attncore.coverage import Coverage, CoverageEntry

from ._torch_record import Record
from ._torch_recorder import Recorder


def coverage_of(recorder: Recorder, records: Iterable[Record]) -> Coverage:
    """Blocks and recurrent layers that ran without attention, and what was seen and refused."""
    hits = {record.name for record in records}
    around = {outer for hit in hits for outer in _names_around(hit)}
    entries = [*recorder.refused.values()]
    for container in _outermost_lists(recorder, around):
        entries += _silent_blocks(recorder, container, hits | around)
    silent = [entry.name for entry in entries]
    for name, kind in recorder.plan.recurrent.items():
        if recorder.ran[name] and not any(_inside(name, block) for block in silent):
            reason = "ran and showed no softmax attention; it is recurrent, and mixes positions all the same"
            entries.append(CoverageEntry(name, kind, "no-attention", reason))
    return Coverage(tuple(entries))


def _names_around(name: str) -> list[str]:
    """The qualified names of all modules around the one of this name."""
    parts = name.split(".")
    return ["", *(".".join(parts[:count]) for count in range(1, len(parts)))]


def _outermost_lists(recorder: Recorder, around: set[str]) -> list[str]:
    """The outermost lists of blocks in which attention was found, or the outermost lists when it was found nowhere."""
    outermost: list[str] = []
    for name in recorder.plan.block_lists:
        if any(_inside(name, outer) for outer in outermost):
            continue
        if not around or name in around:
            outermost.append(name)
    return outermost


def _inside(name: str, container: str) -> bool:
    return name.startswith(f"{container}.") if container else True


def _silent_blocks(recorder: Recorder, container: str, attending: set[str]) -> list[CoverageEntry]:
    entries = []
    for number, block in recorder.plan.block_lists[container].named_children():
        name = f"{container}.{number}".lstrip(".")
        if name in attending or not recorder.ran[name] or not any(True for _ in block.children()):
            continue
        inside = sorted({type(part).__name__ for part in block.children()})
        entries.append(
            CoverageEntry(
                name,
                type(block).__name__,
                "no-attention",
                f"ran and showed no softmax attention; it is made of {', '.join(inside)}",
            )
        )
    return entries
