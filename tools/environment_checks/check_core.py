"""The core with no framework at all: import, load, the terminal, the page, the command line, and honest refusals."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from shared import FRAMEWORKS, only, refused, report, same_weights, saved_and_shown, softmax_of_products

import attncore
from attncore.testing import example_trace


def command(*arguments: str, code: int = 0, cwd: str | None = None) -> str:
    """What the installed command prints."""
    program = Path(sys.executable).parent / "attncore"
    done = subprocess.run(
        [program, *arguments], cwd=cwd, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def command_line() -> str:
    """Every command that needs no framework does its work, and those that need one say so."""
    with tempfile.TemporaryDirectory() as folder:
        example_trace(lazy=True, kv_heads=2).save(Path(folder) / "saved.attn.safetensors")
        assert command("--version").split()[-1] == attncore.__version__
        assert "layers.1.attention" in command("info", "saved.attn.safetensors", cwd=folder)
        assert "cat" in command("show", "saved.attn.safetensors", "--view", "head", cwd=folder)
        command("show", "saved.attn.safetensors", "-r", "d3", "--save", "page.html", cwd=folder)
        assert (Path(folder) / "page.html").stat().st_size > 10_000
        assert "terminal" in command("renderers")
        assert "torch" in command("backends")
        for arguments in (("trace", "some/model", "text", "-o", "f"), ("serve", "saved.attn.safetensors")):
            said = command(*arguments, code=1, cwd=folder)
            assert said.startswith("attncore: "), said
            assert "pip install" in said, said
        assert (Path(folder) / "f").exists() is False
    return "the command line"


def own_arrays() -> attncore.AttentionTrace:
    """A trace of weights that numpy worked out."""
    random = np.random.default_rng(0)
    query, key = random.standard_normal((2, 1, 2, 5, 8))
    weights = softmax_of_products(query, key, causal=True)
    trace = attncore.AttentionTrace.from_arrays([weights], tokens=["the", "cat", "sat", "down", "."])
    same_weights(trace, {0: weights})
    return trace


if __name__ == "__main__":
    assert not FRAMEWORKS & set(sys.modules)
    lazy = example_trace(lazy=True, kv_heads=2)
    layer = lazy[0]
    key = np.repeat(np.asarray(layer.key), 2, axis=1)
    same_weights(lazy[:1], {0: softmax_of_products(np.asarray(layer.query), key, causal=True)})
    refused(lambda: attncore.trace(object(), 1), "backend")
    refused(lambda: lazy.render("matplotlib", view="matrix"), "pip install 'attncore[matplotlib]'")
    refused(lambda: lazy.widget(), 'pip install "attncore[notebook]"')
    report(only(None), saved_and_shown(own_arrays()), saved_and_shown(lazy), command_line())
