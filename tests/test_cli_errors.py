"""The command line's errors: a paragraph and an exit code, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_runner import run, succeeded

import attncore
from attncore import plugins as plugins_module
from attncore.plugins import plugins
from attncore.testing import example_trace

pytestmark = pytest.mark.usefixtures("cli_folder")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["info", "nowhere"], r"attncore: no file nowhere"),
        (["show", "nowhere.safetensors"], r"no file nowhere"),
        (["info", "README"], r"not a complete safetensors file"),
        (["show", "saved.attn.safetensors", "--view", "hed"], r'no view "hed" (did you mean "head"?)'),
        (["show", "saved.attn.safetensors", "-r", "terminl"], r'no renderer "terminl" (did you mean "terminal"?)'),
        (["show", "saved.attn.safetensors", "-O", "colour=1"], r'no option "colour" (did you mean "color"?)'),
        (["show", "saved.attn.safetensors", "-v", "head", "--layer", "9"], r"no attention layer matches 9"),
        (
            ["show", "saved.attn.safetensors", "-r", "page", "-O", "size=x", "-s", "f.html"],
            r'renderer "page" of attncore-np 1 raised TypeError: can only concatenate str (not "int") to str; attncore',
        ),
        (["show", "saved.attn.safetensors", "--save", "picture.pdf"], r'cannot be saved as ".pdf"'),
        (["trace", "cli_models:raising", "x", "-o", "f"], r"raised RuntimeError: no weights here"),
        (["trace", "cli_models:rasing", "x", "-o", "f"], r'has no "rasing" (did you mean "raising"?)'),
        (["trace", "cli_models:not_a_function", "x", "-o", "f"], r"is a int; it must be a function"),
        (
            ["trace", "cli_models.py:raising", "x", "-o", "f"],
            r"names a file; give the module's name: cli_models:raising",
        ),
        (["show", "./mine.py", "x"], r"a file of Python; give a function in it that returns the model: mine:FUNCTION"),
        (["trace", "cli_models:nothing", "x", "-o", "f"], r'"cli_models:nothing" returned None; return a model'),
        (["trace", "cli_models:three_things", "x", "-o", "f"], r"returned 3 things; return a model"),
        (["trace", "cli_models:model_and_number", "x", "-o", "f"], r"a model and a int, which is neither"),
        (["trace", "cli_models:raising_prepare", "x", "-o", "f"], r"raised KeyError: 'x'"),
        (["trace", "cli_models:forgetful_prepare", "x", "-o", "f"], r"returned a list; return (inputs, tokens)"),
        (["trace", "no_such_module:make", "x", "-o", "f"], r'cannot import "no_such_module"'),
        (["trace", "./no-such-folder", "x", "-o", "f"], r'there is no folder "./no-such-folder"'),
        (["trace", "cli_models:model_of_numbers", "x", "-o", "f"], r"with the text itself and raised IndexError"),
        (["trace", "cli_models:model_alone", "abc", "-o", "f", "--layers", "7"], r"no attention layer matches 7"),
        (
            ["trace", "cli_models:failing_forward", "x", "-o", "f"],
            'the model "cli_models:failing_forward" was run on the text and raised RuntimeError: the size of tensor a',
        ),
        (["trace", "cli_models:exiting", "x", "-o", "f"], r"without arguments and raised SystemExit: goodbye"),
        (["trace", "cli_models:exiting_prepare", "x", "-o", "f"], r"raised SystemExit: 0"),
        (["trace", "ends_on_import:make", "x", "-o", "f"], r'cannot import "ends_on_import"'),
        (["trace", "saved.attn.safetensors", "x", "-o", "f"], r"show it with: attncore show saved.attn.safetensors"),
        # What is wrong with the file to write is said first, before anything is loaded.
        (["trace", "no_such_module:make", "x", "-o", "."], r"cannot write .: it is a folder; give the name of a file"),
        (["trace", "no_such_module:make", "x", "-o", ""], r"it is a folder"),
        (["trace", "no_such_module:make", "x", "-o", "a_folder/"], r"cannot write a_folder: it is a folder"),
        (["demo", "-o", "a_page.safetensors"], r"cannot write a_page.html: it is a folder"),
        (["show", "no_such_module:make", "x", "-s", "a_folder"], r"cannot write a_folder: it is a folder"),
        (
            ["trace", "cli_models:model_alone", "abc", "-o", "no/such/folder/f"],
            r"there is no folder no/such/folder; create it first",
        ),
    ],
    ids=lambda part: " ".join(part)[:50] if isinstance(part, list) else "",
)
def test_an_error_is_a_paragraph_and_exit_code_1(arguments: list[str], said: str, saved: Path) -> None:
    """What attncore explains goes to standard error without a traceback; standard output stays empty."""
    Path("README").write_text("hello, this is no trace at all")
    Path("ends_on_import.py").write_text("raise SystemExit(3)")
    Path("mine.py").write_text("model = 1")
    Path("a_folder").mkdir()
    Path("a_page.html").mkdir()
    result = run(*arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.startswith("attncore: ")
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["trace", "cli_models:model_alone"],
        ["trace", "cli_models:model_alone", "abc"],
        ["trace", "cli_models:model_alone", "abc", "-o", "f", "--keep", "all"],
        ["trace", "cli_models:model_alone", "abc", "-o", "f", "--heads", "a"],
        ["show"],
        ["show", "cli_models:model_alone"],
        ["show", "saved.attn.safetensors", "a text"],
        ["show", "saved.attn.safetensors", "--option", "width"],
        ["show", "saved.attn.safetensors", "--option", "view=head"],
        ["show", "saved.attn.safetensors", "--option", "trace=1"],
        ["show", "saved.attn.safetensors", "--head", "first"],
        ["demo", "--model", "gpt9"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str], saved: Path) -> None:
    """Usage errors are told from attncore's own."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr


@pytest.mark.parametrize("error", [ImportError("No module named 'plotly'"), SystemExit(3)])
def test_a_plugin_that_failed_is_listed_with_the_reason(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is where one looks for a plugin that does not appear; one that ends the program is no exception."""

    def fails() -> None:
        raise error

    broken = SimpleNamespace(name="fancy", load=fails, dist=None)
    monkeypatch.setattr(plugins_module, "entry_points", lambda group: [broken])
    plugins.cache_clear()
    with pytest.warns(plugins_module.PluginWarning):
        plugins()
    assert f"fancy         could not be used: importing it raised {type(error).__name__}" in succeeded("renderers")


def test_warnings_are_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken plugin is announced on standard error without a place in our source."""
    import warnings

    broken = SimpleNamespace(name="fancy", load=lambda: 1 / 0, dist=None)
    monkeypatch.setattr(plugins_module, "entry_points", lambda group: [broken])
    plugins.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = run("renderers", "--json")
    assert result.stderr.startswith('attncore: warning: attncore plugin "fancy" could not be used: importing it raised')
    assert result.stderr.count("\n") == 1
    assert json.loads(result.stdout)[-1]["name"] == "fancy"


def test_info_shows_control_characters_of_strangers() -> None:
    """A file may come from anybody, and so may the names in it."""
    trace = example_trace(n_layers=1)
    layer = trace[0].replaced(name="evil\x1b]0;title\x07", notes=("line\x1b[31m",))
    attncore.AttentionTrace((layer,), trace.axes).save("evil.attn.safetensors")
    text = succeeded("info", "evil.attn.safetensors")
    assert "evil" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_show_says_when_a_terminal_cannot_show_it(saved: Path) -> None:
    """A renderer that draws HTML alone needs a file."""
    result = run("show", str(saved), "-r", "page")
    assert result.exit_code == 1
    assert 'renderer "page" draws text/html, which a terminal cannot show; give --save FILE' in result.stderr


@pytest.mark.parametrize("asked", [["--debug"], []])
def test_a_traceback_is_shown_when_it_is_asked_for(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By an option or the environment, for a report; the sentence comes last, and nothing in it controls a terminal."""
    if not asked:
        monkeypatch.setenv("ATTNCORE_DEBUG", "1")
    result = run(*asked, "info", "no\x1b[31mwhere")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Traceback (most recent call last)")
    assert "storage.py" in result.stderr
    assert result.stderr.endswith("FileNotFoundError: no file no␛[31mwhere\n\nattncore: no file no␛[31mwhere\n")


def test_the_traceback_has_what_a_strangers_code_raised() -> None:
    """Where in a factory it was, which the sentence alone does not say."""
    result = run("--debug", "trace", "cli_models:raising", "x", "-o", "f")
    assert "cli_models.py" in result.stderr
    assert "RuntimeError: no weights here" in result.stderr
