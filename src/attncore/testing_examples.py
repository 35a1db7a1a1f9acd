"""Example traces without a model: deterministic, small, and looking like real attention.

Each position has a random vector as its key, and a head's query at position i points at the position that this head
is meant to attend to; so the weights come out of query and key by the usual formula, lazy or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice

import numpy as np

from attncore.arrays import FloatArray
from attncore.attention import AttentionTrace
from attncore.axis import TokenAxis
from attncore.coverage import Coverage, CoverageEntry
from attncore.layer import AttentionLayer, LayerKind
from attncore.provenance import Provenance
from attncore.scoring import Scoring
from attncore.tokens import AxisFacts, label_axes
from attncore.weights import DenseWeights, LazyWeights, RecomputedWeights

_HEAD_DIM = 32
# How strongly a head points at its position; this gives it most of the weight among a dozen keys, as in real models.
_STRENGTH = 0.9
# Head 0 points at the previous token, head 1 at the first one (a sink), head 2 nowhere, head 3 at itself; then again.
_PATTERNS = ("previous", "sink", "broad", "self")
_ENGLISH = ["<s>", "ĠThe", "Ġcat", "Ġsat", "Ġon", "Ġthe", "Ġmat", "Ġbecause", "Ġit", "Ġwas", "Ġtired", "."]
_GERMAN = ["<s>", "▁Die", "▁Katze", "▁saß", "▁auf", "▁der", "▁Matte", ",", "▁weil", "▁sie", "▁müde", "▁war", "."]


def example_trace(
    n_layers: int = 2,
    n_heads: int = 4,
    n_tokens: int = 12,
    batch: int = 1,
    *,
    lazy: bool = False,
    kv_heads: int | None = None,
    padding: int = 0,
    tokens: Sequence[str] | None = None,
    seed: int = 0,
) -> AttentionTrace:
    """A causal decoder's trace whose heads attend to the previous token, the first token, broadly, and to themselves.

    Args:
        n_layers: how many layers.
        n_heads: how many heads each.
        n_tokens: how many positions.
        batch: how many batch items; each has other noise.
        lazy: hold query, key and value, and compute the weights when read; otherwise hold the weights alone.
        kv_heads: key heads shared by groups of heads (grouped-query attention); by default one a head.
        padding: how many positions at the end of the last batch item are padding.
        tokens: labels, the same for every batch item; by default words of an English sentence, over and over.
        seed: of the noise.
    """
    labels = list(islice(cycle(_ENGLISH), n_tokens)) if tokens is None else list(tokens)
    padded = np.zeros((batch, n_tokens), dtype=bool)
    if padding:
        padded[-1, -padding:] = True
    axis = TokenAxis.of_positions("tokens", batch, n_tokens)
    axes = label_axes({"tokens": axis}, [labels] * batch, {"tokens": AxisFacts(padding=padded)})
    mask = None if not padding else ~padded[:, None, None, :]
    random = np.random.default_rng(seed)
    scoring = Scoring(scale=_HEAD_DIM**-0.5, causal=True, mask=mask)
    layers = [
        _layer(random, index, (batch, n_heads, kv_heads or n_heads, n_tokens, n_tokens), scoring, lazy=lazy)
        for index in range(n_layers)
    ]
    return AttentionTrace(tuple(layers), axes, _EXAMPLE_COVERAGE, Provenance("example", "made up", "ExampleDecoder"))


def example_cross_trace(
    n_layers: int = 2,
    n_heads: int = 4,
    n_source: int = 12,
    n_target: int = 9,
    batch: int = 1,
    *,
    lazy: bool = False,
    seed: int = 0,
) -> AttentionTrace:
    """An encoder-decoder's trace: encoder self-attention, decoder self-attention and cross-attention.

    Args:
        n_layers: how many layers each of encoder and decoder has.
        n_heads: how many heads each.
        n_source: positions of the axis "encoder".
        n_target: positions of the axis "decoder".
        batch: how many batch items.
        lazy: as for `example_trace`.
        seed: of the noise.
    """
    random = np.random.default_rng(seed)
    lengths = {"encoder": n_source, "decoder": n_target}
    words = {"encoder": _ENGLISH, "decoder": _GERMAN}
    plain = {name: TokenAxis.of_positions(name, batch, length) for name, length in lengths.items()}
    axes = label_axes(plain, {name: [list(islice(cycle(words[name]), lengths[name]))] * batch for name in plain})
    calls: list[tuple[LayerKind, str, str]] = [("self", "encoder", "encoder")] * n_layers
    for _ in range(n_layers):
        calls += [("self", "decoder", "decoder"), ("cross", "decoder", "encoder")]
    layers = []
    for index, (kind, query_axis, key_axis) in enumerate(calls):
        sizes = (batch, n_heads, n_heads, lengths[query_axis], lengths[key_axis])
        causal = kind == "self" and query_axis == "decoder"
        scoring = Scoring(scale=_HEAD_DIM**-0.5, causal=causal)
        name = f"{query_axis}.{index}.{kind}_attention"
        layer = _layer(random, index, sizes, scoring, lazy=lazy)
        layers.append(layer.replaced(name=name, kind=kind, stack=query_axis, query_axis=query_axis, key_axis=key_axis))
    provenance = Provenance("example", "made up", "ExampleEncoderDecoder")
    return AttentionTrace(tuple(layers), axes, provenance=provenance)


_EXAMPLE_COVERAGE = Coverage(
    (CoverageEntry("mixer.0", "ExampleMixer", "no-attention", "ran and showed no softmax attention"),)
)


def _layer(
    random: np.random.Generator, index: int, sizes: tuple[int, int, int, int, int], scoring: Scoring, *, lazy: bool
) -> AttentionLayer:
    """A self-attention layer; ``sizes`` are batch, heads, key heads, queries and keys."""
    batch, heads, kv_heads, queries, keys = sizes
    key = random.standard_normal((batch, kv_heads, keys, _HEAD_DIM)).astype(np.float32)
    query = _queries(random, key, heads, queries)
    value = random.standard_normal(key.shape).astype(np.float32)
    weights: LazyWeights = RecomputedWeights(query, key, scoring)
    if not lazy:
        weights = DenseWeights(np.asarray(weights))
    return AttentionLayer(
        name=f"layers.{index}.attention",
        index=index,
        query_axis="tokens",
        key_axis="tokens",
        stored_weights=weights,
        source="example",
        computed="recomputed" if lazy else "observed",
        module_class="ExampleAttention",
        model_dtype="float32",
        query=query if lazy else None,
        key=key if lazy else None,
        value=value if lazy else None,
        scoring=scoring if lazy else None,
    )


def _queries(random: np.random.Generator, key: FloatArray, heads: int, queries: int) -> FloatArray:
    """Query vectors (batch, heads, query, head_dim), each pointing at the key its head attends to."""
    batch, kv_heads, keys, _ = key.shape
    query = 0.5 * random.standard_normal((batch, heads, queries, _HEAD_DIM)).astype(np.float32)
    position = np.arange(queries)
    targets = {"previous": position - 1, "sink": np.zeros_like(position), "self": position}
    for head in range(heads):
        pattern = _PATTERNS[head % len(_PATTERNS)]
        if pattern in targets:
            target = np.clip(targets[pattern], 0, keys - 1)
            query[:, head] += _STRENGTH * key[:, head * kv_heads // heads, target]
    return np.asarray(query)
