"""The results of `environments.py` as a table, and docs/environments.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from environment_rows import VERSIONS

PAGE = Path(__file__).parent.parent / "docs" / "environments.md"
Result = dict[str, Any]
INTRODUCTION = """\
Written by `make environments`. Each row is a clean virtual environment with the wheel, built from the source archive,
and one extra: nothing else is installed. In each, a small model of that framework is traced and its weights are
compared with numpy's in float64, or with the model's own; the trace is saved, loaded and drawn in the terminal and as
a page. `no extra` also runs every command that needs no framework. `newest` is what the package index offers that day,
within `constraints.txt`; `lowest allowed` are the lower bounds in `pyproject.toml`, where tests of that part are run
too. A library that old may need an older version of what it uses itself; that is shown beside it. A torch that is not
`+cpu` is the build for graphics cards, run without one."""


def line(result: Result) -> str:
    """One result for the terminal, with the reason where it did not pass."""
    said = f"{result['name']}, Python {result['python']}, {VERSIONS[result['resolution']]}: {result['result']}"
    return said if result["result"] == "passed" else f"{said}\n    {result['found']}"


def table(results: Sequence[Result]) -> str:
    """A Markdown table, a row each."""
    lines = ["| extra | Python | versions | result | tests |", "|---|---|---|---|---|"]
    for result in results:
        versions = ", ".join(f"{name} {version}" for name, version in result.get("versions", {}).items())
        found = result["result"] if result["result"] != "not to be had here" else f"not run: {result['found']}"
        tests = result.get("tests", "").split(" in ")[0].strip("= ")
        lines.append(
            f"| {result['name']} | {result['python']} | {VERSIONS[result['resolution']]}"
            f"{': ' if versions else ''}{versions} | {found} | {tests} |"
        )
    return "\n".join(lines)


def page(results: Sequence[Result]) -> str:
    """The page, every figure from the results."""
    return (
        "\n".join(
            (
                "# Environments attncore was tried in",
                "",
                INTRODUCTION,
                "",
                table(results),
            )
        )
        + "\n"
    )
