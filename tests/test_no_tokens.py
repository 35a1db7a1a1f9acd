"""Attention without a single token is refused where the layer is made, with the same sentence wherever that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attncore
from attncore import ArrayError, AttentionTrace, FileFormatError, layer
from attncore.layer import AttentionLayer
from attncore.scoring import Scoring
from attncore.testing import example_trace
from attncore.weights import DenseWeights, LazyWeights, RecomputedWeights

EMPTY = r"has shape \(1, 4, 0, 0\), which is empty; attention weights need .* at least 1 each.*at least one token"


def dense(tokens: int) -> LazyWeights:
    """Weights that are held."""
    return DenseWeights(np.ones((1, 4, tokens, tokens)) / max(1, tokens))


def recomputed(tokens: int) -> LazyWeights:
    """Weights that are computed when they are read."""
    vectors = np.ones((1, 4, tokens, 2))
    return RecomputedWeights(vectors, vectors, Scoring(1.0))


@pytest.mark.parametrize("make", [dense, recomputed])
def test_a_layer_needs_a_token(make: Callable[[int], LazyWeights]) -> None:
    """Weights that would be computed are refused without being computed; one token is enough."""
    assert AttentionLayer("attn", 0, "tokens", "tokens", make(1)).shape == (1, 4, 1, 1)
    with pytest.raises(ArrayError, match=f'layer 3 "attn" {EMPTY}'):
        AttentionLayer("attn", 3, "tokens", "tokens", make(0))


def test_arrays_need_a_token() -> None:
    """The same of arrays that somebody has."""
    with pytest.raises(ArrayError, match=rf"attentions\[0\] {EMPTY}"):
        AttentionTrace.from_arrays([np.zeros((1, 4, 0, 0))])


def test_a_file_needs_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of such a layer, which nothing writes any more, is refused when it is loaded."""
    with monkeypatch.context() as before:
        before.setattr(layer, "check_not_empty", lambda *_: None)
        empty = example_trace(n_layers=1, n_tokens=2)[0].replaced(
            name="attn", stored_weights=dense(0), query=None, key=None, value=None, scoring=None
        )
        axis = attncore.TokenAxis.of_positions("tokens", 1, 0)
        AttentionTrace((empty,), {"tokens": axis}).save(tmp_path / "empty.attn.safetensors")
    with pytest.raises(FileFormatError, match=f'layer 0 "attn" {EMPTY}'):
        attncore.load(tmp_path / "empty.attn.safetensors")


def torch_model() -> tuple[Any, Any]:
    """A layer of PyTorch's own."""
    torch = pytest.importorskip("torch")
    return torch.nn.TransformerEncoderLayer(8, 4, batch_first=True).train(False), torch.zeros(1, 0, 8)


def jax_model() -> tuple[Any, Any]:
    """A layer of Flax."""
    nnx = pytest.importorskip("flax.nnx")
    return nnx.MultiHeadAttention(4, 8, decode=False, rngs=nnx.Rngs(0)), np.zeros((1, 0, 8), np.float32)


def keras_model() -> tuple[Any, Any]:
    """A layer of Keras on TensorFlow."""
    pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
    x = keras.Input((None, 8))
    return keras.Model(x, keras.layers.MultiHeadAttention(4, 2)(x, x)), np.zeros((1, 0, 8), np.float32)


@pytest.mark.parametrize("make", [torch_model, jax_model, keras_model])
@pytest.mark.parametrize("keep", ["qk", "weights"])
def test_a_model_needs_a_token(make: Callable[[], tuple[Any, Any]], keep: str) -> None:
    """A model that runs on nothing says so, whatever is kept."""
    model, inputs = make()
    with pytest.raises(ArrayError, match=f'layer 0 ".*" {EMPTY}'):
        attncore.trace(model, inputs, keep=keep)


def test_a_cache_may_be_empty() -> None:
    """What is empty at the first step of a generation is joined with keys, and no reason to refuse anything."""
    jax = pytest.importorskip("jax")

    def step(params: Any, x: Any, cache: Any) -> Any:
        keys = jax.numpy.concatenate([cache, (x @ params).reshape(1, -1, 4, 2)], axis=1)
        return jax.nn.dot_product_attention((x @ params).reshape(1, -1, 4, 2), keys, keys)

    kernel = np.eye(8, dtype=np.float32)
    (found,) = attncore.trace(step, (kernel, np.ones((1, 3, 8), np.float32), np.zeros((1, 0, 4, 2), np.float32)))
    assert found.shape == (1, 4, 3, 3)
    np.testing.assert_allclose(found.weights[0, 0], np.full((3, 3), 1 / 3), rtol=1e-6)
