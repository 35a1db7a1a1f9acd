"""Attention by hand in JAX: sinks, mixing of heads, and heads that share keys."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax_shell import BATCH, GROUPS, HEAD_DIM, HEADS, LENGTH, SCALE, Array, Parameters, Variants, softmax
from jax_softmax_forms import by_softmax, scores_of

variants = Variants()
cases = variants.cases


# Sinks.


def sink_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """A learned score a head that takes mass and no value."""
    e = np.exp(scores_of(q, k))
    return np.asarray(e / (e.sum(-1, keepdims=True) + np.exp(params["per_head"]).reshape(HEADS, 1, 1)))


@variants("a sink as a last column, cut off", sink_weights, notes="sink")
def sink(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    column = jnp.broadcast_to(params["per_head"][None, :, None, None], (BATCH, HEADS, LENGTH, 1))
    return jax.nn.softmax(jnp.concatenate([scores_of(q, k), column], axis=-1))[..., :-1] @ v


def zero_sink_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """A sink with score 0."""
    e = np.exp(scores_of(q, k))
    return np.asarray(e / (e.sum(-1, keepdims=True) + 1))


@variants("a sink as a first column, cut off", zero_sink_weights, notes="sink")
def sink_first(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return jax.nn.softmax(jnp.pad(scores_of(q, k), ((0, 0), (0, 0), (0, 0), (1, 0))))[..., 1:] @ v


@variants("a sink in the denominator", sink_weights)
def sink_below(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    sinks = params["per_head"][:, None, None]
    s = scores_of(q, k)
    largest = jnp.maximum(s.max(-1, keepdims=True), sinks)
    e = jnp.exp(s - largest)
    return (e / (e.sum(-1, keepdims=True) + jnp.exp(sinks - largest))) @ v


def memory_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Three learned keys before those of the tokens."""
    learned = np.broadcast_to(params["latents"].reshape(3, HEADS, HEAD_DIM).swapaxes(0, 1), (BATCH, HEADS, 3, HEAD_DIM))
    return softmax(scores_of(q, np.concatenate([learned, k], axis=2)))


@variants("learned keys and values before those of the tokens", memory_weights)
def memory(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    learned = params["latents"].reshape(1, 3, HEADS, HEAD_DIM).swapaxes(1, 2)
    learned = jnp.broadcast_to(learned, (BATCH, HEADS, 3, HEAD_DIM))
    return by_softmax(params, q, jnp.concatenate([learned, k], axis=2), jnp.concatenate([learned, v], axis=2))


# Mixing of heads.


def talking_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Shazeer et al. 2020: the softmax, before its heads are mixed again."""
    return softmax(np.einsum("bhqk,hg->bgqk", scores_of(q, k), params["before"]))


@variants("talking heads", talking_weights, notes="mixed")
def talking(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    p = jax.nn.softmax(jnp.einsum("bhqk,hg->bgqk", scores_of(q, k), params["before"]))
    return jnp.einsum("bhqk,hg->bgqk", p, params["after"]) @ v


@variants("re-attention: heads mixed after the softmax", notes="mixed")
def re_attention(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return jnp.einsum("bhij,hg->bgij", jax.nn.softmax(scores_of(q, k)), params["after"]) @ v


def scaled_after_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Each head by a number between 0 and 1."""
    return softmax(scores_of(q, k)) / (1 + np.exp(-params["per_head"])).reshape(HEADS, 1, 1)


@variants("head scales after the softmax", scaled_after_weights, notes="changed the weights")
def scaled_after(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return (jax.nn.softmax(scores_of(q, k)) * jax.nn.sigmoid(params["per_head"])[:, None, None]) @ v


def differential_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Ye et al. 2024: what multiplies the values is a difference."""
    one, two = (softmax(q[..., i : i + 2] @ k[..., i : i + 2].mT) for i in (0, 2))
    return one - 0.3 * two


@variants("the difference of two softmaxes", differential_weights, notes="changed the weights")
def differential(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    one, two = (jax.nn.softmax(q[..., i : i + 2] @ k[..., i : i + 2].mT) for i in (0, 2))
    return (one - 0.3 * two) @ v


@variants("the output gated by head")
def gated(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return by_softmax(params, q, k, v) * jax.nn.sigmoid(params["per_head"])[:, None, None]


# Heads that share keys.


@variants("grouped, keys repeated", kv_heads=GROUPS)
def repeated(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    k, v = (jnp.repeat(part, HEADS // GROUPS, axis=1) for part in (k, v))
    return by_softmax(params, q, k, v)


@variants("grouped, keys broadcast and reshaped", kv_heads=GROUPS)
def broadcast(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    shape = (BATCH, GROUPS, HEADS // GROUPS, LENGTH, HEAD_DIM)
    k, v = (jnp.broadcast_to(part[:, :, None], shape).reshape(BATCH, HEADS, LENGTH, HEAD_DIM) for part in (k, v))
    return by_softmax(params, q, k, v)


@variants("grouped einsum bhgqk", kv_heads=GROUPS)
def grouped(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    q = q.reshape(BATCH, GROUPS, HEADS // GROUPS, LENGTH, HEAD_DIM)
    p = jax.nn.softmax(jnp.einsum("bhgqd,bhkd->bhgqk", q, k) * SCALE)
    return jnp.einsum("bhgqk,bhkd->bhgqd", p, v).reshape(BATCH, HEADS, LENGTH, HEAD_DIM)


@variants("grouped einsum bkgqs on (batch, length, heads, head_dim)", kv_heads=GROUPS)
def grouped_length_first(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    q, k, v = (part.swapaxes(1, 2) for part in (q, k, v))
    q = q.reshape(BATCH, LENGTH, GROUPS, HEADS // GROUPS, HEAD_DIM)
    p = jax.nn.softmax(jnp.einsum("btkgh,bskh->bkgts", q, k) * SCALE)
    return jnp.einsum("bkgts,bskh->btkgh", p, v).reshape(BATCH, LENGTH, HEADS, HEAD_DIM).swapaxes(1, 2)


@variants("one key head, einsum bhqd,bkd", kv_heads=1)
def multi_query(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    p = jax.nn.softmax(jnp.einsum("bhqd,bkd->bhqk", q, k[:, 0]) * SCALE)
    return jnp.einsum("bhqk,bkd->bhqd", p, v[:, 0])


@variants("one key head, heads in the rows", kv_heads=1)
def multi_query_rows(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    rows = q.reshape(BATCH, HEADS * LENGTH, HEAD_DIM)
    p = jax.nn.softmax(rows @ k[:, 0].mT * SCALE)
    return (p @ v[:, 0]).reshape(BATCH, HEADS, LENGTH, HEAD_DIM)
