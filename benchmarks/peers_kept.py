"""Keeps the comparison's figures from run to run, so that one which is stopped loses nothing.

A figure is kept as soon as it is there. Those of earlier runs stay as long as they are of the same versions on as many
processors and under the same limits; a row that is measured again is measured again whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Figure = dict[str, Any]
# The order of the table: the files of one length after the other, then one figure after the other.
_ROWS = ("head view drawn", "model view drawn", "switch layer", "hover a token")
_FILES = ("write", "size")


class Kept:
    """The figures of this run and of earlier ones, in ``file`` after every `add`."""

    def __init__(self, file: Path, environment: dict[str, Any], limits: dict[str, float]) -> None:
        self.file = file
        self.environment = environment
        self.limits = limits
        self.figures: list[Figure] = []
        self.begun: set[tuple[str, int]] = set()
        earlier = json.loads(file.read_text()) if file.exists() else None
        if earlier and earlier["limits"] == limits and _versions(earlier) == _versions(self.result()):
            self.figures = earlier["figures"]
            # The busiest of the runs that the rows are from.
            self.environment = environment | {"load": max(environment["load"], earlier["environment"]["load"])}

    def result(self) -> dict[str, Any]:
        """What stands in the file."""
        return {"environment": self.environment, "limits": self.limits, "figures": self.figures}

    def add(self, figure: Figure, *, write: bool) -> None:
        """Takes a figure in; the first of a row drops what earlier runs have in that row."""
        row = (figure["what"], figure["tokens"])
        if row not in self.begun:
            self.begun.add(row)
            self.figures = [each for each in self.figures if (each["what"], each["tokens"]) != row]
        self.figures.append(figure)
        self.figures.sort(key=_place)
        if write:
            self.file.write_text(json.dumps(self.result(), indent=1) + "\n")

    def hopeless(self, tool: str, what: str, tokens: int) -> str | None:
        """Why there is no sense in trying: the limit that the tool broke at fewer tokens; None where there is."""
        for each in self.figures:
            reason = each.get("fails", "").removeprefix("no file: ")
            same = (each["tool"], each["what"]) == (tool, what) and each["tokens"] < tokens
            if same and reason.startswith("more than"):
                return f"at {each['tokens']:,} tokens it already took {reason}"
        return None


def _versions(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result["environment"].items() if name != "load"}


def _place(figure: Figure) -> tuple[int, int, int]:
    what, tokens = figure["what"], figure["tokens"]
    return (0, tokens, _FILES.index(what)) if what in _FILES else (1 + _ROWS.index(what), tokens, 0)
