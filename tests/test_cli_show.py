"""``attncore show``: what is asked for is drawn, or it is said why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runner import run, succeeded

import attncore
from attncore.cli_values import layer_selectors
from attncore.testing import example_trace

pytestmark = pytest.mark.usefixtures("cli_folder")


@pytest.fixture
def some_layers() -> str:
    """A saved trace of layers 2 to 4, whose tokens include two numbers."""
    labels = ("1984", "was", "a", "year", "2")
    trace = example_trace(5, n_tokens=5, tokens=labels)[2:]
    trace.save("some.attn.safetensors")
    return "some.attn.safetensors"


@pytest.mark.parametrize(("asked", "drawn"), [("2", 2), ("4", 4), ("-1", 4), ("layers.3.attention", 3)])
def test_a_layer_is_asked_for_as_it_is_shown(asked: str, drawn: int, some_layers: str) -> None:
    """By its own number, in a trace that holds some layers too."""
    text = succeeded("show", some_layers, "--view", "head", "--layer", asked)
    assert text.startswith(f'layer {drawn} "layers.{drawn}.attention"')


def test_a_layer_that_is_not_held_is_refused(some_layers: str) -> None:
    """The numbers that are held are listed; the page says the same."""
    for arguments in (["show", some_layers, "--view", "head"], ["serve", some_layers, "--no-open"]):
        result = run(*arguments, "--layer", "0")
        assert result.exit_code == 1
        assert "no attention layer matches 0; this trace has 3 attention layer(s)" in result.stderr


@pytest.mark.parametrize(
    ("query", "drawn"), [("1984", 'query 0 "1984"'), ("2", 'query 2 "a"'), ("-1", 'query 4 "2"'), ("was", "query 1")]
)
def test_a_query_is_a_position_or_else_a_token(query: str, drawn: str, some_layers: str) -> None:
    """A number beyond the positions is the token of that text; ``-O`` gives a token whatever it reads like."""
    assert succeeded("show", some_layers, "--view", "head", "--query", query).startswith(drawn)
    assert succeeded("show", some_layers, "--view", "head", "-O", 'query="2"').startswith('query 4 "2"')


def test_a_query_that_is_neither_is_refused_in_words_of_the_shell(some_layers: str) -> None:
    """``None`` is nothing that one could type."""
    result = run("show", some_layers, "--view", "head", "--query", "1985")
    assert result.exit_code == 1
    assert "has 5 query position(s) and 1985 was asked for" in result.stderr
    assert "None" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (["--layer", "1", "--head", "2", "--query", "3"], "summary view does not use --layer, --head, --query; give"),
        (["--view", "model", "--head", "2"], "model view does not use --head; give --view head or --view matrix"),
        (["--view", "matrix", "--query", "3"], "matrix view does not use --query; give --view head"),
        (["--view", "head", "--layer", "1", "--query", "3"], ""),
        (["--batch", "1"], ""),
    ],
)
def test_options_that_a_view_does_not_use_are_named(arguments: list[str], note: str, saved: Path) -> None:
    """On standard error, beside the picture."""
    result = run("show", str(saved), *arguments)
    assert result.exit_code == 0
    assert note in result.stderr
    assert bool(result.stderr) == bool(note)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["0,3", "-1"], [0, 3, -1]),
        (["0:2,5"], [slice(0, 2), 5]),
        (["0,encoder.*"], [0, "encoder.*"]),
        (["f(a,b)"], ["f(a,b)"]),
        (["name", "4:"], ["name", slice(4, None)]),
    ],
)
def test_layers_may_have_commas_between_them(typed: list[str], meant: list[object]) -> None:
    """As heads may; a name keeps a comma of its own."""
    assert layer_selectors(typed) == meant


def test_layers_with_commas_are_captured() -> None:
    """The trace holds these layers."""
    succeeded("trace", "cli_models:model_and_prepare", "hello", "-o", "t.attn.safetensors", "--layers", "0,2")
    assert [layer.index for layer in attncore.load("t.attn.safetensors")] == [0, 2]
