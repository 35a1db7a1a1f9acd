"""JAX alone: a function of arrays, plain and with layers in a scan, its weights against numpy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from shared import heads_of, only, report, same_weights, saved_and_shown, softmax_of_products

import attncore

Parameters = dict[str, jax.Array]


def block(states: jax.Array, parameters: Parameters) -> jax.Array:
    """Causal self-attention of four heads: (batch, length, 16) to the same."""
    query, key, value = (
        (states @ parameters[name]).reshape(*states.shape[:2], 4, 4) for name in ("query", "key", "value")
    )
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / 2.0
    scores = jnp.where(jnp.tril(jnp.ones(scores.shape[-2:], bool)), scores, -jnp.inf)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores, axis=-1), value)
    return states + mixed.reshape(states.shape)


def in_a_row(parameters: list[Parameters], states: jax.Array) -> jax.Array:
    """One block after the other."""
    for own in parameters:
        states = block(states, own)
    return states


def in_a_scan(parameters: Parameters, states: jax.Array) -> jax.Array:
    """The same blocks as one loop over stacked parameters."""
    return jax.lax.scan(lambda carried, own: (block(carried, own), None), states, parameters)[0]


if __name__ == "__main__":
    random = np.random.default_rng(0)
    layers = [{name: random.standard_normal((16, 16), np.float32) / 4 for name in ("query", "key", "value")}] * 2
    layers[1] = {name: -array for name, array in layers[0].items()} | {"key": layers[0]["query"]}
    states = inputs = random.standard_normal((2, 6, 16), np.float32)
    expected = {}
    for index, own in enumerate(layers):
        query, key = (heads_of(np.asarray(states), own[name], np.zeros(16), 4) for name in ("query", "key"))
        expected[index] = softmax_of_products(query, key, causal=True)
        states = np.asarray(block(jnp.asarray(states), {name: jnp.asarray(array) for name, array in own.items()}))
    row = attncore.trace(in_a_row, (layers, inputs))
    stacked = {name: np.stack([own[name] for own in layers]) for name in layers[0]}
    scan = attncore.trace(in_a_scan, (stacked, inputs))
    assert np.array_equal(np.asarray(row.output), np.asarray(jax.jit(in_a_row)(layers, inputs)))
    report(only("jax"), same_weights(row, expected), f"in a scan {same_weights(scan, expected)}", saved_and_shown(row))
