"""How large the page is and how fast it draws, beside what is wanted: 12 layers of 12 heads in headless Chromium.

Usage: ``python benchmarks/page.py [--write]``, where ``--write`` keeps the result and writes docs/page-benchmark.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from page_browser import chromium, drawn, hovers, layer_switches
from page_report import RESULTS, WANTED, table, write
from page_traces import minilm_trace, random_trace
from playwright.sync_api import Browser

from attncore.attention import AttentionTrace

LENGTHS = (16, 128, 512, 1024, 4096)
_MB = 1e6


@dataclass(frozen=True)
class Figure:
    """One line of the table: ``value`` is the median of ``rounds``, ``worst`` the largest; ``wanted`` is at most."""

    what: str
    tokens: int
    value: float
    worst: float
    rounds: int
    unit: str
    wanted: float | None = None


def figure(what: str, tokens: int, values: Sequence[float], unit: str, wanted: float | None = None) -> Figure:
    """The median and the worst of these values."""
    return Figure(what, tokens, statistics.median(values), max(values), len(values), unit, wanted)


def saved(trace: AttentionTrace, file: Path, rounds: int) -> list[float]:
    """Seconds of making the page of a trace and writing the file, each round anew."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        trace.render("d3").save(file)
        seconds.append(time.perf_counter() - start)
    return seconds


def write_pages(folder: Path, lengths: Sequence[int]) -> Iterator[Figure]:
    """Writes the page of each length; yields what that took and how large the files are."""
    for tokens in lengths:
        trace = random_trace(tokens)
        file = folder / f"{tokens}.html"
        rounds = 5 if tokens <= 128 else 3 if tokens <= 512 else 1
        yield figure("write", tokens, saved(trace, file, rounds), "s", WANTED["write"].get(tokens))
        size = file.stat().st_size / _MB
        yield figure("size", tokens, [size], "MB", WANTED["size"].get(tokens))
        del trace
        gc.collect()
    for tokens in sorted({128, 512} & set(lengths)):
        real = minilm_trace(tokens)
        if real is None:
            continue
        file = folder / f"minilm-{tokens}.html"
        yield figure("write, MiniLM (6 layers)", tokens, saved(real, file, 3), "s")
        yield figure("size, MiniLM (6 layers)", tokens, [file.stat().st_size / _MB], "MB")


def browse(folder: Path, lengths: Sequence[int], views: Sequence[str]) -> Iterator[Figure]:
    """Opens the pages in ``folder``; yields how fast they draw and answer."""
    with chromium() as browser:
        if "head" in views:
            yield from _head(browser, folder, lengths)
        if "model" in views:
            for tokens in (n for n in (16, 128) if n in lengths):
                seconds = [ms / 1000 for ms in drawn(browser, folder / f"{tokens}.html", "model", 11)]
                yield figure("model view drawn", tokens, seconds, "s", WANTED["model view drawn"][tokens])


def _head(browser: Browser, folder: Path, lengths: Sequence[int]) -> Iterator[Figure]:
    for tokens in (n for n in (16, 128, 512, 1024) if n in lengths):
        seconds = [ms / 1000 for ms in drawn(browser, folder / f"{tokens}.html", "head", 11 if tokens <= 128 else 5)]
        yield figure("head view drawn", tokens, seconds, "s", WANTED["head view drawn"].get(tokens))
    if 128 in lengths:
        times = layer_switches(browser, folder / "128.html")
        yield from _answers("switch layer, to the frame after", 128, times, WANTED["switch layer"][128])
    for tokens in (n for n in (128, 1024) if n in lengths):
        times = hovers(browser, folder / f"{tokens}.html", 20)
        yield from _answers("hover a token, until painted", tokens, times, WANTED["hover a token"][tokens])


def _answers(what: str, tokens: int, times: list[tuple[float, float]], wanted: float) -> Iterator[Figure]:
    yield figure(what, tokens, [end for _, end in times], "ms", wanted)
    yield figure(f"{what.partition(',')[0]}, of it until idle", tokens, [idle for idle, _ in times], "ms")


def environment() -> dict[str, Any]:
    """What the figures depend on."""
    with chromium() as browser:
        version = browser.version
    return {
        "chromium": version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "processors": os.cpu_count(),
        # More than the processors: others were at work, and the times are too long.
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Print the table; with ``--write`` also keep it for the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", nargs="+", type=int, default=list(LENGTHS))
    parser.add_argument("--views", nargs="+", choices=["head", "model"], default=["head", "model"])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder, lengths = Path(name), arguments.lengths
        for line in chain(write_pages(folder, lengths), browse(folder, lengths, arguments.views)):
            figures.append(asdict(line))
            print(table([figures[-1]], heading=False), flush=True)
    if arguments.write:
        result = {"environment": environment(), "figures": figures}
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
        write()


if __name__ == "__main__":
    main()
