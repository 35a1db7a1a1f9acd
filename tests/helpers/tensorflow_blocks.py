"""Attention by hand in TensorFlow with its weights in numpy, for tests of what surrounds it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

BATCH, LENGTH, HEADS, HEAD_DIM = 2, 7, 3, 4
DIM = HEADS * HEAD_DIM
LAYERS = 3


def states(seed: int = 0, length: int = LENGTH) -> np.ndarray:
    """Random hidden states (batch, length, dim)."""
    return np.random.default_rng(seed).standard_normal((BATCH, length, DIM)).astype(np.float32)


def projections(layers: int = LAYERS) -> np.ndarray:
    """Random kernels (layers, 3, dim, dim) of queries, keys and values."""
    return (np.random.default_rng(9).standard_normal((layers, 3, DIM, DIM)) * 0.25).astype(np.float32)


def split(x: Any) -> Any:
    """(batch, length, dim) as (batch, heads, length, head_dim)."""
    return tf.transpose(tf.reshape(x, (BATCH, -1, HEADS, HEAD_DIM)), (0, 2, 1, 3))


def join(x: Any) -> Any:
    """The other way round."""
    return tf.reshape(tf.transpose(x, (0, 2, 1, 3)), (BATCH, -1, DIM))


def attend(x: Any, kernels: Any) -> Any:
    """One layer, added to its input; ``kernels`` is (3, dim, dim)."""
    query, key, value = (split(x @ kernels[place]) for place in range(3))
    weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) * HEAD_DIM**-0.5)
    return x + join(weights @ value)


def weights_of(x: np.ndarray, kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (batch, heads, query, key) and output of `attend` in float64."""
    x = x.astype(np.float64)

    def heads(kernel: np.ndarray) -> np.ndarray:
        return (x @ kernel.astype(np.float64)).reshape(BATCH, -1, HEADS, HEAD_DIM).swapaxes(1, 2)

    query, key, value = (heads(kernel) for kernel in kernels)
    scores = np.exp(query @ key.swapaxes(2, 3) * HEAD_DIM**-0.5)
    weights = scores / scores.sum(-1, keepdims=True)
    return weights, x + (weights @ value).swapaxes(1, 2).reshape(x.shape)


def stack_weights(x: np.ndarray, kernels: np.ndarray) -> list[np.ndarray]:
    """The weights of layers one after the other."""
    found = []
    for one in kernels:
        weights, x = weights_of(x, one)
        found.append(weights)
    return found
