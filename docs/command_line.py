"""Writes the commands and options in docs/command-line.md. Usage: ``python docs/command_line.py``.

They are read from the functions that typer makes commands of. ``tests/test_docs_command_line.py`` compares the page
with what this writes, and what this writes with the options that the program takes.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from typer.models import ArgumentInfo, OptionInfo

PAGE = Path(__file__).parent / "command-line.md"
BEGIN, END = "<!-- commands: begin -->", "<!-- commands: end -->"
# One for each command; where it reads a file, those before it have written it.
EXAMPLES = {
    "trace": 'attncore trace ./my-bert "The cat sat on the mat." -o cat.attn.safetensors --layers 0:4',
    "show": "attncore show cat.attn.safetensors --view head --layer 1 --head 8 --query cat -O top=4",
    "serve": "attncore serve cat.attn.safetensors --view matrix --layer 3 --no-open",
    "info": "attncore info cat.attn.safetensors --json",
    "renderers": "attncore renderers --verbose",
    "backends": "attncore backends --json",
    "new-plugin": "attncore new-plugin renderer sparkline --folder plugins",
    "demo": 'attncore demo --text "The dog slept because it was warm." --no-open',
}
_VALUES = {int: "NUMBER", Path: "FILE"}


@dataclass(frozen=True)
class Parameter:
    """An argument or an option: the function's name for it, its type, what typer was told, and its default."""

    key: str
    kind: Any
    info: ArgumentInfo | OptionInfo
    default: Any

    @property
    def is_argument(self) -> bool:
        """Whether it is told by its place, and not by a name."""
        return isinstance(self.info, ArgumentInfo)

    @property
    def is_needed(self) -> bool:
        """Whether the command cannot do without."""
        return self.default is inspect.Parameter.empty

    @property
    def names(self) -> list[str]:
        """What is typed for an option."""
        # typer takes the first name where, outside of Annotated, a default stands.
        given = [self.info.default, *(self.info.param_decls or ())]
        return [each for each in given if isinstance(each, str)] or [f"--{self.key.replace('_', '-')}"]

    @property
    def value(self) -> str:
        """What stands for the value: of an option without one, nothing."""
        if self.kind is bool:
            return ""
        if self.info.metavar:
            return self.info.metavar
        if isinstance(self.kind, type) and issubclass(self.kind, Enum):
            return "|".join(str(each.value) for each in self.kind)
        return _VALUES.get(self.kind, self.key.upper())

    @property
    def word(self) -> str:
        """As it stands in the line that says how the command is called."""
        text = self.value if self.is_argument else f"{self.names[0]} {self.value}"
        return text if self.is_needed else f"[{text}]"

    @property
    def line(self) -> str:
        """As it stands in the list."""
        names = self.value if self.is_argument else f"{', '.join(self.names)} {self.value}".strip()
        default = "" if self.is_argument else self._default()
        return f"- `{names}`: {(self.info.help or '').rstrip('.')}{default}."

    def _default(self) -> str:
        if self.is_needed:
            return " (must be given)"
        shown = self.default.value if isinstance(self.default, Enum) else self.default
        if self.kind is bool:
            # Of --open/--no-open, the one that holds without either.
            return f" (default `{self.names[0].split('/')[not shown]}`)" if "/" in self.names[0] else ""
        return "" if shown is None else f" (default `{shown}`)"


def parameters_of(function: Callable[..., Any]) -> Iterator[Parameter]:
    """The parameters of a command's function, which are all ``Annotated``."""
    hints = typing.get_type_hints(function, include_extras=True)
    for key, parameter in inspect.signature(function).parameters.items():
        kind, info = typing.get_args(hints[key])
        yield Parameter(key, _single(kind), info, parameter.default)


def _single(kind: Any) -> Any:
    """The type of one value: of ``list[str] | None`` it is ``str``."""
    if isinstance(kind, types.UnionType):
        kind = next(each for each in typing.get_args(kind) if each is not types.NoneType)
    return typing.get_args(kind)[0] if typing.get_origin(kind) is list else kind


def section(name: str, function: Callable[..., Any]) -> Iterator[str]:
    """A command: what it does, how it is called, and what it takes."""
    parameters = list(parameters_of(function))
    called = [each.word for each in parameters if each.is_argument or each.is_needed]
    yield from (f"## attncore {name}", "", inspect.getdoc(function) or "", "")
    yield from ("```text", " ".join(["attncore", name, *called, "[OPTIONS]"]), "```", "")
    yield from (each.line for each in parameters)
    yield from ("", "```sh", EXAMPLES[name], "```", "")


def commands_of(app: typer.Typer) -> str:
    """Every command of a program, in the order in which they are written there."""
    found: list[str] = []
    for command in app.registered_commands:
        if command.callback is not None:
            found += section(command.name or command.callback.__name__, command.callback)
    return "\n".join(found)


def page_with(text: str, commands: str) -> str:
    """The page, with what stands between its two comments replaced."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{commands}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    from attncore.cli import app

    PAGE.write_text(page_with(PAGE.read_text(), commands_of(app)))
