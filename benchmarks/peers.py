"""The page beside BertViz, CircuitsVis and treescope: the same weights, the same headless Chromium, in one run.

Usage: ``python benchmarks/peers.py [--lengths 16 128] [--environments FOLDER] [--write]``, where ``--write`` keeps
every figure as soon as it is there, beside those of earlier runs of the same versions, and writes
docs/page-benchmark.md. Whatever does not finish within its time and memory is a result too: "fails", with the reason.
What failed so is not tried again at more tokens: "not run". With all lengths it takes about half an hour, most of it
what fails.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import page
import page_report
from page_browser import chromium, drawn, hovers, layer_switches
from page_traces import HEADS, LAYERS, random_trace
from peers_bounded import bounded
from peers_environment import ENVIRONMENTS, pinned, python_of, scripts
from peers_kept import Figure, Kept

HERE = Path(__file__).parent
# The page that holds all 144 heads. The head view of CircuitsVis is of one layer; the others hold all in both views.
WHOLE = {"bertviz": "head", "circuitsvis": "model", "treescope": "head"}
TOOLS = tuple(WHOLE)
WRITE_SECONDS, DRAW_SECONDS, GIGABYTES = 300.0, 180.0, 12.0
MODEL_LENGTHS, SWITCH_LENGTHS, HOVER_LENGTHS = (16, 128), (128,), (128, 1024)


class Comparison:
    """One run: the folder with everybody's pages, and what is measured of them. ``known`` are the figures so far."""

    def __init__(self, folder: Path, environments: Path, known: Kept) -> None:
        self.folder = folder
        self.environments = environments
        self.known = known
        self.python = python_of("page", environments)
        scripts(environments)
        self.failed: dict[tuple[str, str, int], str] = {}
        self.skipped: dict[tuple[str, str, int], str] = {}

    def figures(self, lengths: Sequence[int]) -> Iterator[Figure]:
        """Everything, in the order of the table."""
        for tokens in lengths:
            yield from self.files(tokens)
        for tokens in (n for n in lengths if n <= 1024):
            yield from self.pictures("head view drawn", "drawn", "head", tokens)
        for tokens in (n for n in MODEL_LENGTHS if n in lengths):
            yield from self.pictures("model view drawn", "drawn", "model", tokens)
        for tokens in (n for n in SWITCH_LENGTHS if n in lengths):
            yield from self.pictures("switch layer", "switch", "head", tokens)
        for tokens in (n for n in HOVER_LENGTHS if n in lengths):
            yield from self.pictures("hover a token", "hover", "head", tokens)

    def file(self, tool: str, view: str, tokens: int) -> Path:
        """Where one page is. Ours has all views in one file."""
        return self.folder / (f"attncore-{tokens}.html" if tool == "attncore" else f"{tool}-{view}-{tokens}.html")

    def files(self, tokens: int) -> Iterator[Figure]:
        """Writes everybody's pages of one length."""
        trace = random_trace(tokens)
        ours = self.file("attncore", "head", tokens)
        yield figure("attncore", "write", tokens, page.saved(trace, ours, 5 if tokens <= 128 else 1), "s")
        yield figure("attncore", "size", tokens, [ours.stat().st_size / 1e6], "MB")
        weights_gigabytes = LAYERS * HEADS * tokens**2 * 4 / 1e9
        # The weights, their text, and the page with the text in it.
        if 2 * weights_gigabytes > GIGABYTES:
            reason = f"not tried: the weights alone are {weights_gigabytes:.1f} GB"
            yield from (failure(tool, what, tokens, reason) for tool in TOOLS for what in ("write", "size"))
            return
        array = self.folder / "weights.npy"
        written = np.lib.format.open_memmap(array, mode="w+", dtype=np.float32, shape=(LAYERS, HEADS, tokens, tokens))
        for layer in trace:
            written[layer.index] = layer.weights[0]
        written.flush()
        del trace, written
        gc.collect()
        for tool in TOOLS:
            for view in ("head", "model"):
                if view == WHOLE[tool] or view == "head" or tokens in MODEL_LENGTHS:
                    yield from self.peer_file(tool, view, tokens, array)
        array.unlink()

    def peer_file(self, tool: str, view: str, tokens: int, array: Path) -> Iterator[Figure]:
        """Writes one peer's page, unless it was too much with fewer tokens."""
        hopeless = self.known.hopeless(tool, "write", tokens) if view == WHOLE[tool] else None
        if hopeless:
            self.skipped[tool, view, tokens] = hopeless
            yield from (skip(tool, what, tokens, hopeless) for what in ("write", "size"))
            return
        file = self.file(tool, view, tokens)
        command: list[str | Path] = [self.python, HERE / "peers_write.py", tool, view, array, file]
        outcome = bounded(command, WRITE_SECONDS, GIGABYTES)
        if outcome.fails:
            self.failed[tool, view, tokens] = outcome.fails
            file.unlink(missing_ok=True)
        if view != WHOLE[tool]:
            return
        if outcome.fails:
            yield failure(tool, "write", tokens, outcome.fails)
            yield failure(tool, "size", tokens, outcome.fails)
        else:
            yield figure(tool, "write", tokens, json.loads(outcome.printed), "s")
            yield figure(tool, "size", tokens, [file.stat().st_size / 1e6], "MB")

    def pictures(self, name: str, what: str, view: str, tokens: int) -> Iterator[Figure]:
        """One figure of everybody's pages in the browser."""
        unit = "s" if what == "drawn" else "ms"
        yield figure("attncore", name, tokens, scaled(self.own(what, view, tokens), unit), unit)
        for tool in (*TOOLS, "attncore, by the peers' clock"):
            if tool.startswith("attncore"):
                if what == "drawn":
                    yield from self.peer_picture(tool, name, what, view, tokens, unit)
            elif what == "switch" and tool == "circuitsvis":
                yield failure(tool, name, tokens, "its view is of one list of heads and has no layers")
            elif (tool, view, tokens) in self.failed:
                yield failure(tool, name, tokens, f"no file: {self.failed[tool, view, tokens]}")
            elif hopeless := self.skipped.get((tool, view, tokens)) or self.known.hopeless(tool, name, tokens):
                yield skip(tool, name, tokens, hopeless)
            else:
                yield from self.peer_picture(tool, name, what, view, tokens, unit)

    def own(self, what: str, view: str, tokens: int) -> list[float]:
        """Our page in milliseconds, by its own clock."""
        file = self.file("attncore", view, tokens)
        with chromium() as browser:
            if what == "drawn":
                return drawn(browser, file, view, 5)
            if what == "switch":
                return [frame for _, frame in layer_switches(browser, file)]
            return [painted for _, painted in hovers(browser, file, 20)]

    def peer_picture(self, tool: str, name: str, what: str, view: str, tokens: int, unit: str) -> Iterator[Figure]:
        """One figure in a process of its own, which may be ended."""
        plain = tool.partition(",")[0]
        script = HERE / "peers_browser.py"
        file = self.file(plain, view, tokens)
        command: list[str | Path] = [sys.executable, script, plain, what, view, str(tokens), file, self.environments]
        outcome = bounded(command, DRAW_SECONDS, GIGABYTES)
        if outcome.fails:
            yield failure(tool, name, tokens, outcome.fails)
        else:
            yield figure(tool, name, tokens, scaled(json.loads(outcome.printed), unit), unit)


def scaled(milliseconds: Sequence[float], unit: str) -> list[float]:
    """In the unit of the table."""
    return [each / 1000 if unit == "s" else each for each in milliseconds]


def figure(tool: str, what: str, tokens: int, values: Sequence[float], unit: str) -> Figure:
    """One cell of the table: the median, and how far the rounds went apart."""
    value, worst = statistics.median(values), max(values)
    return {
        "what": what,
        "tokens": tokens,
        "tool": tool,
        "value": value,
        "worst": worst,
        "rounds": len(values),
        "unit": unit,
    }


def failure(tool: str, what: str, tokens: int, reason: str) -> Figure:
    """A cell of the table without a number."""
    return {"what": what, "tokens": tokens, "tool": tool, "fails": reason}


def skip(tool: str, what: str, tokens: int, reason: str) -> Figure:
    """A cell of the table that was not tried."""
    return {"what": what, "tokens": tokens, "tool": tool, "skipped": reason}


def main() -> None:
    """Print every figure as it comes; with ``--write`` keep it for the docs at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", nargs="+", type=int, default=list(page.LENGTHS))
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="where the peers are installed")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    limits = {"write_seconds": WRITE_SECONDS, "draw_seconds": DRAW_SECONDS, "gigabytes": GIGABYTES}
    kept = Kept(page_report.PEERS, page.environment() | pinned("page"), limits)
    with tempfile.TemporaryDirectory() as name:
        for line in Comparison(Path(name), arguments.environments.resolve(), kept).figures(arguments.lengths):
            kept.add(line, write=arguments.write)
            print(f"{line['what']:18} {line['tokens']:6,} {line['tool']:30} {page_report.cell(line)}", flush=True)
            if arguments.write:
                page_report.write()
    print(page_report.side_by_side(kept.result()))


if __name__ == "__main__":
    main()
