"""What the commands print reaches whom it is for: JSON its script, and nobody's terminal a control sequence."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from cli_runner import run, succeeded

import attncore
from attncore import TokenAxis
from attncore.cli_output import print_json, say, working
from attncore.testing import example_trace


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("text", ["日本語 é", "half of a pair \ud83d"])
def test_json_loses_no_text(encoding: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What standard output cannot hold is escaped; what it writes is JSON, which is always UTF-8."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="replace")
    monkeypatch.setattr(sys, "stdout", stream)
    print_json({"text": text})
    stream.flush()
    assert json.loads(raw.getvalue().decode("utf-8")) == {"text": text}


@pytest.mark.usefixtures("cli_folder")
def test_what_a_model_prints_is_no_part_of_the_result() -> None:
    """It goes to standard error, while the model is loaded and while it runs."""
    result = run("trace", "cli_models:talking", "abc", "-o", "t.attn.safetensors", "--json")
    assert json.loads(result.stdout)["file"] == "t.attn.safetensors"
    assert result.stderr.splitlines()[:2] == ["loading weights", "running"]


@pytest.mark.usefixtures("cli_folder")
def test_an_error_about_a_hostile_file_is_harmless() -> None:
    """Its text is shown, and what would control the terminal as signs."""
    layer = example_trace(1)[0].replaced(name="evil\x1b]0;title\x07\u202e\x9b31m")
    attncore.AttentionTrace((layer,), example_trace(1).axes).save("evil.attn.safetensors")
    result = run("show", "evil.attn.safetensors", "--view", "head", "--layer", "none")
    assert result.exit_code == 1
    assert '"evil␛]0;title␇‹U+202E›‹U+009B›31m"' in result.stderr
    assert not set("\x1b\x07\x9b\u202e") & set(result.output)


def test_what_is_said_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A command to copy stands on a line of its own, and letters that are joined stay so."""
    say("install it with\n    pip install it\nनमस्\u200dते")
    assert capsys.readouterr().err == "install it with\n    pip install it\nनमस्\u200dते\n"


def test_a_name_is_no_markup(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is loaded may be called anything."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with working("loading [/x]"):
        pass
    assert "loading [/x]" in capsys.readouterr().err


@pytest.mark.usefixtures("cli_folder")
def test_an_axis_without_labels_is_described(saved: Path) -> None:
    """As a file that somebody changed may have one."""
    trace = example_trace(1)
    axes = {name: TokenAxis(name, axis.length, ()) for name, axis in trace.axes.items()}
    attncore.AttentionTrace(trace.layers, axes).save(saved)
    assert 'axis "tokens", 12 x position:' in succeeded("info", str(saved))
