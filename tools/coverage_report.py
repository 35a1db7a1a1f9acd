"""The lines that tests run: coverage's own report reduced to a result file, and docs/coverage.md, a row a part.

`make coverage` ends with `python tools/coverage_report.py coverage.json`, when every test has passed.
"""

from __future__ import annotations

import json
import platform
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "coverage.md"
RESULT = Path(__file__).parent / "results" / "coverage.json"
INTRODUCTION = """\
# Lines that the tests run

Written by `make coverage`, which runs every test and counts the lines of Python that were run, in the programs and
notebooks that tests start too. What only type-checkers read does not count, and no line is marked to be left out. A
line that ran is not yet a line that is right: for that there are [faults that the tests notice](mutants.md) and
[conformance](conformance.md). The page's script has tests of its own, which are not counted here."""
# The first that fits a file's path is its part.
PARTS = (
    ("command line", r"src/attncore/(cli|__main__\.py)"),
    ("what the JAX, TensorFlow and ONNX backends share", r"src/attncore/dataflow"),
    ("`attncore.testing`", r"src/attncore/testing"),
    ("core", r"src/(attncore/|\w+/__init__\.py)"),
    ("PyTorch backend", r"src/backends/(_torch_|torch\.py)"),
    ("JAX backend", r"src/backends/(_jax_|jax\.py)"),
    ("TensorFlow backend", r"src/backends/(_tensorflow_|tensorflow\.py)"),
    ("page", r"src/renderers/(_page_|d3\.py)"),
    ("figures", r"src/renderers/(_matplotlib_|matplotlib\.py)"),
    ("terminal", r"src/renderers/(_terminal_|terminal\.py)"),
    ("examples", r"examples/"),
)
Lines = tuple[int, int]


def part_of(path: str) -> str:
    """The part that a file belongs to.

    Raises:
        ValueError: it belongs to none, so that a new kind of file cannot be left out in silence.
    """
    for part, pattern in PARTS:
        if re.match(pattern, path):
            return part
    raise ValueError(f"{path} belongs to no part; add one to PARTS in tools/coverage_report.py")


def result_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of coverage's own report: of each file how many lines there are, and how many ran."""
    counts = {path: file["summary"] for path, file in sorted(report["files"].items())}
    files = {path: [one["num_statements"], one["covered_lines"]] for path, one in counts.items()}
    return {
        "python": platform.python_version(),
        "coverage": report["meta"]["version"],
        "files": {path: lines for path, lines in files.items() if lines[0]},
    }


def percent(lines: int, ran: int) -> str:
    """A share of lines, rounded down: 89.99 % is not yet 90."""
    return f"{ran * 1000 // lines / 10:.1f} %"


def _row(name: str, files: Mapping[str, Lines]) -> str:
    lines, ran = (sum(one[at] for one in files.values()) for at in (0, 1))
    lowest = min(files, key=lambda path: files[path][1] / files[path][0])
    shown = f"`{lowest.removeprefix('src/')}`, {percent(*files[lowest])}"
    return f"| {name} | {len(files)} | {lines:,} | {ran:,} | {percent(lines, ran)} | {shown} |"


def page(result: Mapping[str, Any]) -> str:
    """docs/coverage.md, from what is kept."""
    files: dict[str, Lines] = {path: tuple(counts) for path, counts in result["files"].items()}
    own = {path: counts for path, counts in files.items() if path.startswith("src/")}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["coverage"]["report"]
    lines, ran = (sum(counts[at] for counts in own.values()) for at in (0, 1))
    said = f"The tests run {ran:,} of the {lines:,} lines in `src/`: **{percent(lines, ran)}**."
    said += f" The command fails under {settings['fail_under']} % of these and the examples together."
    rows = ["| part | files | lines | ran | share | least in one file |", "|---|---|---|---|---|---|"]
    for part, _ in PARTS:
        rows.append(_row(part, {path: counts for path, counts in files.items() if part_of(path) == part}))
    rows += [_row("all of `src/`", own), _row("`src/` and examples", files)]
    environment = f"Python {result['python']}, coverage {result['coverage']}."
    return "\n".join([INTRODUCTION, "", said, "", *rows, "", environment]) + "\n"


def main() -> None:
    """Write both from the report that is named."""
    result = result_of(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    kept = json.dumps(result, indent=1)
    # A file a line.
    RESULT.write_text(re.sub(r"\[\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2]", kept) + "\n", encoding="utf-8")
    PAGE.write_text(page(result), encoding="utf-8")


if __name__ == "__main__":
    main()
