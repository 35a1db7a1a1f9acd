"""The command line: what each command prints, and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runner import run, succeeded

import attncore
from attncore.testing import example_cross_trace

pytestmark = pytest.mark.usefixtures("cli_folder")


def test_trace_saves_a_models_attention() -> None:
    """The file holds the trace; the summary goes to standard output, and where it went to standard error."""
    result = run("trace", "cli_models:model_and_prepare", "hello", "-o", "t.attn.safetensors")
    assert result.exit_code == 0, result.output
    assert "3 attention layer(s)" in result.stdout
    assert "attncore show t.attn.safetensors" in result.stderr
    trace = attncore.load("t.attn.safetensors")
    assert trace.axes["tokens"].labels == (tuple("hello"),)
    assert [layer.shape for layer in trace] == [(1, 4, 5, 5)] * 3


def test_trace_takes_two_texts() -> None:
    """The second text reaches the model's own function."""
    succeeded("trace", "cli_models:model_and_prepare", "ab", "cd", "-o", "t.attn.safetensors")
    assert attncore.load("t.attn.safetensors").axes["tokens"].labels == (tuple("abcd"),)


def test_trace_of_a_model_that_takes_text() -> None:
    """A factory may return the model alone."""
    succeeded("trace", "cli_models:model_alone", "abc", "-o", "t.attn.safetensors")
    assert attncore.load("t.attn.safetensors")[0].shape == (1, 4, 3, 3)


@pytest.mark.parametrize(
    ("options", "layers", "heads"),
    [
        (["--layers", "1"], [1], None),
        (["--layers", "-1", "--layers", "blocks.0.*"], [0, 2], None),
        (["--layers", "1:"], [1, 2], None),
        (["--heads", "3,0", "--keep", "weights"], [0, 1, 2], (3, 0)),
    ],
)
def test_trace_keeps_what_is_asked(options: list[str], layers: list[int], heads: tuple[int, ...] | None) -> None:
    """Layers by index, slice, name or glob; heads by number."""
    succeeded("trace", "cli_models:model_and_prepare", "hello", "-o", "t.attn.safetensors", *options)
    trace = attncore.load("t.attn.safetensors")
    assert [layer.index for layer in trace] == layers
    assert {layer.heads for layer in trace} == {heads}


def test_trace_prints_json_for_scripts() -> None:
    """With ``--json``, standard output is JSON and nothing else."""
    found = json.loads(succeeded("trace", "cli_models:model_alone", "abc", "-o", "t.attn.safetensors", "--json"))
    assert found["file"] == "t.attn.safetensors"
    assert [layer["shape"] for layer in found["layers"]] == [[1, 4, 3, 3]] * 2
    assert found["provenance"]["backend"] == "numpy"


def test_a_module_in_the_current_folder_is_found() -> None:
    """People keep their model beside where they work."""
    Path("my_own_models.py").write_text(
        "from cli_models import model_and_prepare as make\nclass Shelf:\n    one = make\n"
    )
    succeeded("trace", "my_own_models:make", "abc", "-o", "t.attn.safetensors")
    succeeded("trace", "my_own_models:Shelf.one", "abc", "-o", "t.attn.safetensors")


def test_show_draws_a_saved_trace(saved: Path) -> None:
    """Each of the terminal's views, with the options given."""
    assert "layers.0.attention" in succeeded("show", str(saved))
    for view in attncore.renderers()["terminal"]:
        assert succeeded("show", str(saved), "--view", view).strip()
    one = succeeded(
        "show", str(saved), "--view", "head", *["--layer", "2", "--head", "0", "--query", "5", "--batch", "1"]
    )
    assert "layers.2.attention" in one
    by_name = succeeded(
        "show", str(saved), "-v", "head", "--layer", "layers.2.attention", "--head", "0", "--query", "5"
    )
    assert "layers.2.attention" in by_name


def test_show_runs_a_model() -> None:
    """A model and a text instead of a file."""
    assert "blocks.0.attention" in succeeded("show", "cli_models:model_and_prepare", "hello")


def test_show_writes_a_file(saved: Path) -> None:
    """``--save`` writes the picture, its options read as JSON where they are some."""
    result = run("show", str(saved), "-r", "page", "--save", "p.html", "-O", "title=a b", "-O", "size=41")
    assert result.exit_code == 0, result.output
    assert Path("p.html").read_text() == "<p>a b 42</p>"
    assert "written to p.html" in result.stderr


def test_info_describes_a_file(saved: Path) -> None:
    """Layers, axes with their first tokens, what is missing and where it is from."""
    text = succeeded("info", str(saved))
    for expected in (
        "3 attention layer(s)",
        "2 x 4 x 12 x 12",
        "layers.1.attention",
        "<s> The cat sat",
        "ran and showed no softmax attention",
        f"attncore {attncore.__version__}, backend example (made up)",
    ):
        assert expected in text


def test_info_as_json_holds_every_fact() -> None:
    """Layers, axes, coverage and provenance, in an encoder-decoder too."""
    example_cross_trace().save("cross.attn.safetensors")
    found = json.loads(succeeded("info", "cross.attn.safetensors", "--json"))
    assert [layer["kind"] for layer in found["layers"]] == ["self", "self", "self", "cross", "self", "cross"]
    assert {axis["name"]: axis["length"] for axis in found["axes"]} == {"encoder": 12, "decoder": 9}
    assert found["axes"][1]["labels"][0][:3] == ["<s>", "Die", "Katze"]
    assert found["coverage"] == []
    assert found["provenance"]["mechanism"] == "made up"


def test_renderers_and_backends_are_listed() -> None:
    """Names, views and distributions, as text and as JSON."""
    assert "terminal" in succeeded("renderers")
    assert "views: only" in succeeded("renderers")
    assert "options: layer, head, query, batch" in succeeded("renderers", "-v")
    assert "numpy         attncore-np 1" in succeeded("backends")
    found = {row["name"]: row for row in json.loads(succeeded("renderers", "--json"))}
    page = {name: found["page"][name] for name in ("name", "views", "distribution", "options")}
    assert page == {"name": "page", "views": ["only"], "distribution": "attncore-np 1", "options": ["title", "size"]}
    assert "torch" in {row["name"] for row in json.loads(succeeded("backends", "--json"))}
