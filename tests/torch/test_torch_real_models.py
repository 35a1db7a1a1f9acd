"""Real pretrained models: what is captured under SDPA equals what the model itself returns under eager attention."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import attncore
from attncore.cli_demo import MODELS, folder_of
from attncore.errors import AttncoreError
from attncore.model_loading import load_transformers_model


def loaded(name: str, text: str) -> tuple[Any, Any, Any]:
    """A model from its package, inputs and tokenizer."""
    demo = MODELS[name]
    try:
        folder = folder_of(demo)
    except AttncoreError as error:
        pytest.skip(str(error))
    result = load_transformers_model(str(folder), text, gguf_file=demo.gguf_file)
    return result.model, result.inputs, result.tokens


@pytest.mark.parametrize(("name", "layers", "shape"), [("minilm", 6, (1, 12)), ("smollm2", 30, (1, 9))])
def test_a_real_model(
    name: str, layers: int, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every layer and head, to 1e-5; and the same from the file."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model, inputs, tokenizer = loaded(name, "The cat sat on the mat because it was tired.")
    with torch.no_grad():
        trace = attncore.trace(model, inputs, tokens=tokenizer)
        assert {layer.source for layer in trace} == {"sdpa"}
        model.set_attn_implementation("eager")
        own = model(**inputs, output_attentions=True).attentions
    trace.save(tmp_path / "real.attn.safetensors")
    for kept in (trace, attncore.load(tmp_path / "real.attn.safetensors")):
        assert len(kept) == layers == len(own)
        for layer, weights in zip(kept, own, strict=True):
            assert layer.weights.shape[:2] == shape
            assert np.abs(np.asarray(layer.weights) - weights.numpy()).max() <= 1e-5
        assert "cat" in kept.axes["tokens"].labels_of(0)
