"""Running the command in this process."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner

from attncore.cli import app


def run(*arguments: str) -> Any:
    """What the command prints and returns, as Click's ``Result``, which Typer has under a name of its own."""
    return CliRunner().invoke(app, list(arguments))


def succeeded(*arguments: str) -> str:
    """The standard output of a command that must work."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout
