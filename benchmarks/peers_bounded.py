"""Runs a program within a time and a memory bound, and says in one word which of them it broke."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Outcome:
    """What a program printed, or why it did not finish; ``seconds`` is how long it ran."""

    printed: str
    fails: str | None
    seconds: float


def bounded(command: Sequence[str | Path], seconds: float, gigabytes: float) -> Outcome:
    """Runs the command; everything it started ends with it."""
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=errors)
        fails = None
        started: set[int] = set()
        while fails is None and process.poll() is None:
            started = family(process.pid)
            if held_bytes(started) > gigabytes * 1e9:
                fails = f"more than {gigabytes:g} GB of memory"
            elif time.monotonic() - start > seconds:
                fails = f"more than {seconds:g} s"
            time.sleep(0.2)
        for each in started if fails else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        status = process.wait()
        if fails is None and status != 0:
            errors.seek(0)
            last = [line.strip() for line in errors if line.strip()][-1:]
            fails = last[0][:200] if last else f"the process ended with status {status}"
        output.seek(0)
        return Outcome(output.read(), fails, time.monotonic() - start)


def family(first: int) -> set[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name of the program, in parentheses, may hold anything.
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    found, left = {first}, [first]
    while left:
        for child in children.get(left.pop(), []):
            found.add(child)
            left.append(child)
    return found


def held_bytes(processes: set[int]) -> int:
    """Memory that these processes hold, without what they share with others or read from files."""
    total = 0
    for each in processes:
        with contextlib.suppress(OSError):
            _, resident, shared = map(int, Path(f"/proc/{each}/statm").read_text().split()[:3])
            total += (resident - shared) * _PAGE_BYTES
    return total
