"""The page of the command line says what the program takes: every command, every name, and examples that it reads."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from source_files import module_of

from attncore.cli import app

ROOT = Path(__file__).parent.parent
PROGRAM: Any = typer.main.get_command(app)
command_line = module_of(ROOT / "docs" / "command_line.py")
TEXT = command_line.PAGE.read_text()


def section_of(name: str) -> str:
    """What the page says of a command."""
    return str(TEXT.partition(f"## attncore {name}\n")[2].partition("\n## ")[0])


def test_the_page_is_the_one_that_is_written() -> None:
    """The committed page is what the script writes: ``python docs/command_line.py`` after a change."""
    assert command_line.page_with(TEXT, command_line.commands_of(app)) == TEXT


@pytest.mark.parametrize("name", PROGRAM.commands)
def test_every_name_that_a_command_takes_is_on_the_page(name: str) -> None:
    """The names are those of the command that typer makes, which the script does not look at."""
    text = section_of(name)
    for parameter in PROGRAM.commands[name].params:
        if parameter.param_type_name == "argument":
            assert parameter.metavar is None or f"- `{parameter.metavar}`: " in text
        else:
            *_, line = (line for line in text.splitlines() if line.startswith("- `") and parameter.opts[0] in line)
            names = line.partition("`: ")[0]
            assert [each for each in (*parameter.opts, *parameter.secondary_opts) if each not in names] == []
            assert ("must be given" in line) == parameter.required
        assert not parameter.help or parameter.help.rstrip(".") in text
    assert (PROGRAM.commands[name].help or "") in text


@pytest.mark.parametrize("name", PROGRAM.commands)
def test_every_example_is_understood(name: str) -> None:
    """The program's own parser takes it; nothing is run."""
    program, command, *arguments = shlex.split(command_line.EXAMPLES[name])
    assert (program, command) == ("attncore", name)
    PROGRAM.commands[name].make_context(name, arguments)


def test_a_wrong_example_would_be_found() -> None:
    """The twin: an option that is not there, and an argument that is missing, are refused."""
    for arguments in (["a.attn.safetensors", "--no-such-option"], []):
        with pytest.raises(Exception, match=r"No such option|Missing parameter"):
            PROGRAM.commands["info"].make_context("info", arguments)


class Colour(StrEnum):
    """Values of an option."""

    red = "red"
    blue = "blue"


def test_every_kind_of_parameter_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments with and without a default, lists, choices, numbers, flags, and options that must be given."""
    other = typer.Typer()

    @other.command("paint-it")
    def _paint(
        wall: Annotated[Path, typer.Argument(help="What to paint.")],
        second: Annotated[str | None, typer.Argument(help="Another.", metavar="WALL")] = None,
        *,
        brush: Annotated[str, typer.Option("--brush", "-b", help="With what.")],
        colour: Annotated[Colour, typer.Option(help="A colour.")] = Colour.blue,
        dots: Annotated[list[int] | None, typer.Option(help="Where.")] = None,
        wet: Annotated[bool, typer.Option("--wet/--dry", help="How.")] = False,
        fast: Annotated[bool, typer.Option("--fast", help="Hurry.")] = False,
    ) -> None:
        """Paint a wall."""

    monkeypatch.setitem(command_line.EXAMPLES, "paint-it", "attncore paint-it a -b c")
    assert command_line.commands_of(other).splitlines()[2:15] == [
        "Paint a wall.",
        "",
        "```text",
        "attncore paint-it FILE [WALL] --brush BRUSH [OPTIONS]",
        "```",
        "",
        "- `FILE`: What to paint.",
        "- `WALL`: Another.",
        "- `--brush, -b BRUSH`: With what (must be given).",
        "- `--colour red|blue`: A colour (default `blue`).",
        "- `--dots NUMBER`: Where.",
        "- `--wet/--dry`: How (default `--dry`).",
        "- `--fast`: Hurry.",
    ]
