"""A small causal transformer in plain JAX, and its weights in numpy float64: what the transforms are applied to."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax_shell import in_float64, random_array

LAYERS, BATCH, LENGTH, HEADS, HEAD_DIM = 3, 2, 7, 4, 6
DIM = HEADS * HEAD_DIM
SCALE = HEAD_DIM**-0.5

Array = Any
Parameters = dict[str, Any]


def block_parameters(seed: int) -> Parameters:
    """One block: attention and a feed-forward part."""
    shapes = {"query": (DIM, DIM), "key": (DIM, DIM), "value": (DIM, DIM), "out": (DIM, DIM)}
    attention = {name: random_array(seed + i, *shape) * DIM**-0.5 for i, (name, shape) in enumerate(shapes.items())}
    mlp = {"up": random_array(seed + 8, DIM, 2 * DIM) * 0.2, "down": random_array(seed + 9, 2 * DIM, DIM) * 0.2}
    return jax.tree.map(jnp.asarray, {"attention": attention, "mlp": mlp})  # type: ignore[no-any-return]


def model_parameters(layers: int = LAYERS) -> list[Parameters]:
    """Blocks of different weights."""
    return [block_parameters(100 + 20 * layer) for layer in range(layers)]


def stacked(blocks: list[Parameters]) -> Parameters:
    """The same with a leading axis of layers, as `jax.lax.scan` takes them."""
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *blocks)  # type: ignore[no-any-return]


def hidden(*shape: int) -> Array:
    """Random hidden states, (batch, length, dim)."""
    return jnp.asarray(random_array(99, *(shape or (BATCH, LENGTH, DIM))))


def attend(params: Parameters, x: Array) -> Array:
    """Causal self-attention of (batch, length, dim)."""
    query, key, value = (
        (x @ params[name]).reshape(*x.shape[:-1], HEADS, HEAD_DIM) for name in ("query", "key", "value")
    )
    scores = jnp.einsum("...qhd,...khd->...hqk", query, key) * SCALE
    allowed = jnp.tril(jnp.ones(scores.shape[-2:], dtype=bool))
    weights = jax.nn.softmax(jnp.where(allowed, scores, -jnp.inf))
    return jnp.einsum("...hqk,...khd->...qhd", weights, value).reshape(x.shape) @ params["out"]


def block(params: Parameters, x: Array) -> Array:
    """Attention and feed-forward, each with a residual connection."""
    x = x + attend(params["attention"], x)
    return x + jnp.maximum(x @ params["mlp"]["up"], 0) @ params["mlp"]["down"]


def model(blocks: list[Parameters], x: Array) -> Array:
    """The blocks one after the other."""
    for params in blocks:
        x = block(params, x)
    return x


def reference(blocks: list[Parameters], x: Array) -> list[np.ndarray]:
    """The weights of each block, (batch, heads, query, key), in numpy float64 and by another way to compute them."""
    states = np.asarray(x, dtype=np.float64)
    found = []
    for params in in_float64(blocks):
        query, key, value = (
            np.stack(np.split(states @ params["attention"][name], HEADS, axis=-1), axis=1)
            for name in ("query", "key", "value")
        )
        exponentials = np.tril(np.exp(query @ key.swapaxes(-1, -2) * SCALE))
        weights = exponentials / exponentials.sum(-1, keepdims=True)
        found.append(weights)
        states = states + np.concatenate(list((weights @ value).swapaxes(0, 1)), axis=-1) @ params["attention"]["out"]
        states = states + np.maximum(states @ params["mlp"]["up"], 0) @ params["mlp"]["down"]
    return found
