"""What the commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import codecs
import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from attncore.rendering import Rendered
from attncore.signs import visible


@contextmanager
def working(what: str) -> Iterator[None]:
    """Shows ``what`` with a spinner on standard error while the block runs; only to people at a terminal."""
    from rich.console import Console
    from rich.text import Text

    # A name may hold what rich would take for markup.
    with Console(stderr=True).status(Text(visible(what))):
        yield


def say(text: str) -> None:
    """A line for the person, which is not part of the result."""
    print(visible(text), file=sys.stderr, flush=True)


def print_text(text: str) -> None:
    """A result for a person."""
    print(visible(text))


def command_name() -> str:
    """How this command was called, for commands to call next: a path where the plain name would not be found."""
    called = Path(sys.argv[0])
    is_found = called.parent == Path() or shutil.which("attncore") == str(called.absolute())
    return "attncore" if is_found or called.stem != "attncore" else str(called)


def print_json(value: Any) -> None:
    """A result for a script; text that standard output cannot hold is escaped as JSON does it, so none is lost."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    is_utf8 = codecs.lookup(encoding).name == "utf-8"
    has_surrogates = any(0xD800 <= ord(character) < 0xE000 for character in text)
    print(text if is_utf8 and not has_surrogates else json.dumps(value, indent=2))


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
