"""What is typed on the command line, as the values it stands for."""

from __future__ import annotations

import json
from typing import Any

import typer


def index_or_name(text: str) -> int | str:
    """A number where one was typed, else the text: an index or a name."""
    try:
        return int(text)
    except ValueError:
        return text


def layer_selector(text: str) -> int | str | slice:
    """A layer selector as typed: 3, -1, 0:4, or a name."""
    start, colon, stop = text.partition(":")
    try:
        if colon:
            return slice(int(start) if start else None, int(stop) if stop else None)
        return int(text)
    except ValueError:
        return text


def numbers(text: str) -> list[int]:
    """Numbers with commas between them.

    Raises:
        typer.BadParameter: something else was typed.
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f'--heads takes numbers such as 0,3,5; "{text}" was given') from None


def name_and_value(pair: str) -> tuple[str, Any]:
    """An option of a renderer: NAME=VALUE, where the value is read as JSON if it is some.

    Raises:
        typer.BadParameter: something else was typed.
    """
    name, equals, value = pair.partition("=")
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f'--option takes NAME=VALUE; "{pair}" was given')
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
