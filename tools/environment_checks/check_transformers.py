"""Transformers: a small BERT and a small Llama of random weights, against the weights that they return themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transformers
from shared import only, report, same_weights, saved_and_shown

import attncore


def against_eager(name: str, config: transformers.PretrainedConfig) -> str:
    """Captured under the fused kernel, compared with what the eager code of the same model returns."""
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config, attn_implementation="sdpa").train(False)  # type: ignore[no-untyped-call]
    ids = torch.arange(7)[None] + 3
    with torch.no_grad():
        trace = attncore.trace(model, {"input_ids": ids})
        model.set_attn_implementation("eager")
        returned = model(ids, output_attentions=True).attentions
    held = same_weights(trace, {index: weights.numpy().astype(np.float64) for index, weights in enumerate(returned)})
    return f"{name} {held.replace('numpy', 'eager')}, {saved_and_shown(trace)}"


if __name__ == "__main__":
    heads: dict[str, Any] = {"num_attention_heads": 4, "num_hidden_layers": 2}
    sizes = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, **heads}
    report(
        only("transformers"),
        against_eager("BERT", transformers.BertConfig(**sizes)),
        against_eager("Llama", transformers.LlamaConfig(num_key_value_heads=2, **sizes)),
    )
