"""What every check of an installed attncore does with a trace; run outside the repository, so that the wheel is meant.

Each check is a program: it prints what it found and exits with an error where something does not hold.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import attncore

FRAMEWORKS = frozenset({"torch", "tensorflow", "keras", "jax", "transformers", "flax"})
Array = npt.NDArray[Any]


def softmax_of_products(query: Array, key: Array, *, causal: bool = False) -> Array:
    """The reference, in float64: softmax(q kT / sqrt(d)); (batch, heads, query, key)."""
    query, key = query.astype(np.float64), key.astype(np.float64)
    scores = np.einsum("bhqd,bhkd->bhqk", query, key) / np.sqrt(query.shape[-1])
    if causal:
        scores = np.where(np.tri(scores.shape[-2], scores.shape[-1], dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def heads_of(states: Array, weight: Array, bias: Array, heads: int) -> Array:
    """A projection (batch, length, features) split into heads: (batch, heads, length, head_dim)."""
    projected = states.astype(np.float64) @ weight.astype(np.float64) + bias
    batch, length, features = projected.shape
    return np.asarray(projected.reshape(batch, length, heads, features // heads).transpose(0, 2, 1, 3))


def same_weights(trace: attncore.AttentionTrace, expected: Mapping[int, Array]) -> str:
    """Compare layers with the reference.

    Raises:
        AssertionError: a layer is missing, too much, or differs by more than float32 explains.
    """
    assert len(trace) == len(expected), f"{len(expected)} layers were expected:\n{trace}"
    worst = 0.0
    for index, weights in expected.items():
        found = np.asarray(trace[index].weights, dtype=np.float64)
        assert found.shape == weights.shape, (found.shape, weights.shape)
        worst = max(worst, float(np.abs(found - weights).max()))
    assert worst < 1e-5, f"the weights differ from numpy's by {worst:.1e}"
    return f"weights within {worst:.0e} of numpy's"


def saved_and_shown(trace: attncore.AttentionTrace) -> str:
    """Save, load, and draw with what the core has: the same numbers, each view of the terminal, a page."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.attn.safetensors"
        trace.save(path)
        loaded = attncore.load(path)
        for before, after in zip(trace, loaded, strict=True):
            assert np.array_equal(np.asarray(before.weights), np.asarray(after.weights))
        for view in attncore.renderers()["terminal"]:
            assert str(loaded.render("terminal", view=view)).strip()
        page = loaded.render("d3").save(Path(folder) / "page.html").read_text(encoding="utf-8")
        assert "</html>" in page
        assert len(page) > 10_000
    return "saved, loaded, shown"


def only(framework: str | None) -> str:
    """That no other framework is installed.

    Raises:
        AssertionError: one is.
    """
    names = {(found.metadata["Name"] or "").lower() for found in distributions()}
    names = {"tensorflow" if name.startswith("tensorflow-cpu") else name for name in names}
    allowed = {"tensorflow": {"tensorflow", "keras"}, "transformers": {"transformers", "torch"}}
    others = (names & FRAMEWORKS) - allowed.get(framework or "", {framework})
    assert not others, f"{sorted(others)} is installed too: this environment is not clean"
    return f"{framework or 'no framework'} alone"


def refused(call: Callable[[], Any], words: str) -> None:
    """That ``call`` is an error of attncore that says ``words``.

    Raises:
        AssertionError: it is none, or says something else.
    """
    said = None
    try:
        call()
    except attncore.AttncoreError as error:
        said = str(error)
    assert said is not None, f"no error that says {words!r}"
    assert words in said, said


def report(*findings: str) -> None:
    """Print what held, after a last look at where attncore came from."""
    assert "site-packages" in attncore.__file__, f"{attncore.__file__} is not the installed one"
    print(f"Python {sys.version.split()[0]}: " + "; ".join(findings))
