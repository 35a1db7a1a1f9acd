"""What the commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from attncore.rendering import Rendered


@contextmanager
def working(what: str) -> Iterator[None]:
    """Shows ``what`` with a spinner on standard error while the block runs; only to people at a terminal."""
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def say(text: str) -> None:
    """A line for the person, which is not part of the result."""
    print(text, file=sys.stderr, flush=True)


def command_name() -> str:
    """How this command was called, for commands to call next: a path where the plain name would not be found."""
    called = Path(sys.argv[0])
    is_found = called.parent == Path() or shutil.which("attncore") == str(called.absolute())
    return "attncore" if is_found or called.stem != "attncore" else str(called)


def print_json(value: Any) -> None:
    """A result for a script."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_rendered(rendered: Rendered) -> None:
    """A picture that has text."""
    print(rendered)


def report(error: BaseException) -> None:
    """An error as one paragraph, without a traceback."""
    text = str(error) or type(error).__name__
    say(f"attncore: {text}")


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Warnings as a line each, without the place in our source that a reader has no use for."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        say(f"attncore: warning: {message}")

    before = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
