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


def layer_selectors(texts: list[str]) -> list[int | str | slice]:
    """Layer selectors as typed: 3, -1, 0:4, or a name; commas part several where one of them is a number or range.

    A name may hold commas of its own.
    """
    found: list[int | str | slice] = []
    for text in texts:
        parts = [_layer_selector(part) for part in text.split(",")]
        found += [text] if all(isinstance(part, str) for part in parts) else parts
    return found


def _layer_selector(text: str) -> int | str | slice:
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


def renderer_options(pairs: list[str]) -> dict[str, Any]:
    """Options of a renderer, each typed as NAME=VALUE.

    Raises:
        typer.BadParameter: something else was typed, or what has an option of its own.
    """
    options = dict(_name_and_value(pair) for pair in pairs)
    for name in ("view", "renderer"):
        if name in options:
            raise typer.BadParameter(f"--option {name}={options[name]} is given as --{name} {options[name]}")
    for name in ("self", "trace"):
        if name in options:
            raise typer.BadParameter(f'no renderer has an option "{name}"')
    return options


def _name_and_value(pair: str) -> tuple[str, Any]:
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
