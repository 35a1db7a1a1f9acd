"""What the references of the TensorFlow cases are made of: attention in numpy float64, random numbers, masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# All sizes differ, so that no two dimensions can be taken for one another.
BATCH, HEADS, LENGTH, CONTEXT, HEAD_DIM, GROUPS = 2, 6, 7, 5, 4, 2
DIM = HEADS * HEAD_DIM
SCALE = 1 / math.sqrt(HEAD_DIM)


def softmax(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """The softmax in numpy."""
    exponentials = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=axis, keepdims=True))


def random_array(seed: int, *shape: int) -> np.ndarray:
    """Standard normal float32 numbers that depend on the seed alone."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def causal(rows: int, columns: int) -> np.ndarray:
    """True where attention is allowed, the first row with the first column."""
    return np.tril(np.ones((rows, columns), dtype=bool))


def masked(scores: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Softmax over the allowed keys; every row must have one."""
    assert np.broadcast_to(allowed, scores.shape).any(-1).all()
    return softmax(np.where(allowed, scores, -np.inf))


def set_random_weights(model: Any, seed: int = 1) -> None:
    """Weights far from zero, so that attention is far from uniform; the scale of a normalisation stays near one."""
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        shape = tuple(variable.shape)
        size = 1.0 if len(shape) < 2 else 1.6 / math.sqrt(shape[0])
        offset = 1.0 if variable.path.endswith("gamma") else 0.0
        variable.assign(offset + 0.5 * size * generator.standard_normal(shape) * (1 if len(shape) < 2 else 2))


def projected(states: np.ndarray, kernel: Any, bias: Any = None) -> np.ndarray:
    """(…, length, dim) through a kernel (dim, heads, head_dim), in float64: (…, heads, length, head_dim)."""
    result = np.einsum("...ld,dhe->...lhe", np.asarray(states, np.float64), np.asarray(kernel, np.float64))
    if bias is not None:
        result = result + np.asarray(bias, np.float64)
    return np.asarray(result.swapaxes(-3, -2))


def layer_scores(layer: Any, query: Any, key: Any) -> np.ndarray:
    """Scaled scores (batch, heads, query, key) of a Keras layer with query and key projections, from its weights."""
    weights = [np.asarray(weight) for weight in layer.get_weights()]
    biased = layer._use_bias if hasattr(layer, "_use_bias") else layer.use_bias
    step = 2 if biased else 1
    queries = projected(np.asarray(query), *weights[:step])
    # A grouped layer with a gate makes the gate's weights between those of key and value.
    keys = projected(np.asarray(key), *weights[step : 2 * step])
    keys = np.repeat(keys, queries.shape[-3] // keys.shape[-3], axis=-3)
    return np.asarray(queries @ keys.swapaxes(-1, -2) / math.sqrt(queries.shape[-1]))


def layer_weights(layer: Any, query: Any, key: Any, allowed: np.ndarray | None = None) -> np.ndarray:
    """What `layer_scores` become, where ``allowed`` (broadcastable to them) says which keys each query sees."""
    scores = layer_scores(layer, query, key)
    return masked(scores, np.ones(1, bool) if allowed is None else allowed)


def own_scores(layer: keras.Layer, *inputs: Any, **options: Any) -> Any:
    """The weights that a Keras layer gives away when asked."""
    return layer(*inputs, return_attention_scores=True, **options)[1]


def float64(arrays: Sequence[Any]) -> list[np.ndarray]:
    """All in float64."""
    return [np.asarray(array, dtype=np.float64) for array in arrays]
