"""Attention by hand in JAX: masks, positions, norms and caps of the scores."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax_shell import (
    BATCH,
    HEAD_DIM,
    HEADS,
    LENGTH,
    SCALE,
    Array,
    Parameters,
    Variants,
    causal,
    softmax,
)
from jax_softmax_forms import by_softmax, causal_weights, scores_of

variants = Variants()
cases = variants.cases
PLACES = np.arange(LENGTH)
DISTANCES = PLACES[:, None] - PLACES


# Masks.


@variants("causal by where and minus infinity", causal_weights)
def masked(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((LENGTH, LENGTH), bool)), scores_of(q, k), -jnp.inf)) @ v


@variants("causal by where and the lowest number", causal_weights)
def masked_lowest(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    s = scores_of(q, k)
    rows, columns = jnp.arange(LENGTH)[:, None], jnp.arange(LENGTH)
    return jax.nn.softmax(jnp.where(rows >= columns, s, jnp.finfo(s.dtype).min)) @ v


@variants("causal by adding large negative numbers", causal_weights)
def masked_added(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return jax.nn.softmax(scores_of(q, k) + (1.0 - jnp.tril(jnp.ones((LENGTH, LENGTH)))) * -1e9) @ v


def window_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Two positions to each side."""
    return softmax(np.where(np.abs(DISTANCES) <= 2, scores_of(q, k), -np.inf))


@variants("a sliding window", window_weights)
def window(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    near = jnp.abs(jnp.arange(LENGTH)[:, None] - jnp.arange(LENGTH)) <= 2
    return jax.nn.softmax(jnp.where(near, scores_of(q, k), -1e30)) @ v


def top_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The three largest scores of each row."""
    s = scores_of(q, k)
    return softmax(np.where(s >= np.sort(s, -1)[..., -3:-2], s, -np.inf))


@variants("sparse top-k", top_weights)
def sparse(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    s = scores_of(q, k)
    smallest = jax.lax.top_k(s, 3)[0][..., -1:]
    return jax.nn.softmax(jnp.where(s < smallest, -jnp.inf, s)) @ v


# Positions.


def alibi_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Press et al. 2022, both directions."""
    slopes = 2.0 ** -np.arange(1.0, HEADS + 1).reshape(HEADS, 1, 1)
    return softmax(scores_of(q, k) - np.abs(DISTANCES) * slopes)


@variants("ALiBi", alibi_weights)
def alibi(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    slopes = 2.0 ** -jnp.arange(1.0, HEADS + 1)
    bias = -jnp.abs(jnp.arange(LENGTH)[:, None] - jnp.arange(LENGTH)) * slopes[:, None, None]
    return jax.nn.softmax(scores_of(q, k) + bias) @ v


def table_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """A learned bias for each distance and head, the scores not scaled, as in T5."""
    return softmax(q @ k.swapaxes(-1, -2) + params["table"][:, DISTANCES + LENGTH - 1])


@variants("relative bias from a table (T5)", table_weights)
def relative_bias(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    places = jnp.arange(LENGTH)
    bias = jnp.take(params["table"], places[:, None] - places + LENGTH - 1, axis=1)
    p = jax.nn.softmax(jnp.einsum("bhqd,bhkd->bhqk", q, k) + bias[None])
    return jnp.einsum("bhqk,bhkd->bhqd", p, v)


def shaw_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Shaw et al. 2018: an embedding of each distance besides the key."""
    embedded = params["table"][:HEAD_DIM].T[DISTANCES + LENGTH - 1]
    return softmax((q @ k.swapaxes(-1, -2) + np.einsum("bhqd,qkd->bhqk", q, embedded)) * SCALE)


@variants("relative positions, a second product (Shaw)", shaw_weights)
def shaw(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    embedded = params["table"][:HEAD_DIM].T[jnp.asarray(DISTANCES + LENGTH - 1)]
    s = jnp.einsum("bhqd,bhkd->bhqk", q, k) + jnp.einsum("bhqd,qkd->bhqk", q, embedded)
    return jax.nn.softmax(s * SCALE) @ v


def shifted_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Dai et al. 2019: two products, the second shifted by a place a row."""
    by_place = (q + 0.1) @ params["table"][:HEAD_DIM, :LENGTH]
    padded = np.pad(by_place, ((0, 0), (0, 0), (0, 0), (1, 0))).reshape(BATCH, HEADS, LENGTH + 1, LENGTH)
    return softmax(((q + 0.2) @ k.swapaxes(-1, -2) + padded[:, :, 1:]) * SCALE)


@variants("relative positions, shifted (Transformer-XL)", shifted_weights)
def shifted(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    by_place = jnp.einsum("bhqd,dk->bhqk", q + 0.1, params["table"][:HEAD_DIM, :LENGTH])
    padded = jnp.concatenate([jnp.zeros((BATCH, HEADS, LENGTH, 1)), by_place], axis=-1)
    by_place = padded.reshape(BATCH, HEADS, LENGTH + 1, LENGTH)[:, :, 1:].reshape(by_place.shape)
    return jax.nn.softmax((jnp.einsum("bhqd,bhkd->bhqk", q + 0.2, k) + by_place) * SCALE) @ v


def turned(xp: Array, x: Array) -> Array:
    """Rotary positions, halves rotated, in numpy or JAX."""
    angles = xp.arange(x.shape[-2])[:, None] * xp.asarray([1.0, 0.1, 1.0, 0.1])
    first, second = x[..., :2], x[..., 2:]
    return x * xp.cos(angles) + xp.concatenate([-second, first], axis=-1) * xp.sin(angles)


def rotary_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Su et al. 2021."""
    return softmax(scores_of(turned(np, q), turned(np, k)))


@variants("rotary", rotary_weights)
@variants("rotary, cross", rotary_weights, cross=True)
def rotary(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return by_softmax(params, turned(jnp, q), turned(jnp, k), v)


@variants("rotary with complex numbers", rotary_weights)
def rotary_complex(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    turns = jnp.exp(1j * jnp.arange(LENGTH)[:, None] * jnp.asarray([1.0, 0.1]))

    def turn(x: Array) -> Array:
        number = jax.lax.complex(x[..., :2], x[..., 2:]) * turns
        return jnp.concatenate([number.real, number.imag], axis=-1)

    return by_softmax(params, turn(q), turn(k), v)


def turned_pairs(xp: Array, x: Array) -> Array:
    """Rotary positions, neighbours rotated, in numpy or JAX."""
    angles = xp.arange(x.shape[-2])[:, None] * xp.asarray([1.0, 1.0, 0.1, 0.1])
    other = xp.stack([-x[..., 1::2], x[..., ::2]], axis=-1).reshape(x.shape)
    return x * xp.cos(angles) + other * xp.sin(angles)


@variants(
    "rotary of interleaved pairs",
    lambda params, q, k: softmax(scores_of(turned_pairs(np, q), turned_pairs(np, k))),
)
def rotary_pairs(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return by_softmax(params, turned_pairs(jnp, q), turned_pairs(jnp, k), v)


def two_term_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Half of the dimensions turned, the others as they are."""
    angles = PLACES[:, None] * np.asarray([1.0, 0.1])
    turn = np.cos(angles) + np.sin(angles)
    return softmax((q[..., :2] @ k[..., :2].mT + (q[..., 2:] * turn) @ (k[..., 2:] * turn).mT) * SCALE)


@variants("scores of two terms, with and without positions", two_term_weights)
def two_terms(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    angles = jnp.arange(LENGTH)[:, None] * jnp.asarray([1.0, 0.1])
    turn = jnp.cos(angles) + jnp.sin(angles)
    content = jnp.einsum("bhqd,bhkd->bhqk", q[..., :2], k[..., :2])
    place = jnp.einsum("bhqd,bhkd->bhqk", q[..., 2:] * turn, k[..., 2:] * turn)
    return jax.nn.softmax((content + place) * SCALE) @ v


# Norms and caps.


def unit(x: Array) -> Array:
    """Vectors of length one, in numpy or JAX."""
    return x / (x * x).sum(-1, keepdims=True) ** 0.5


def cosine_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Liu et al. 2022: cosines by a learned temperature."""
    return softmax(unit(q) @ unit(k).mT * np.exp(np.minimum(params["per_head"], 4.0)).reshape(HEADS, 1, 1))


@variants("query and key normalised, a learned temperature", cosine_weights)
def cosine(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    s = jnp.einsum("bhqd,bhkd->bhqk", unit(q), unit(k))
    return jax.nn.softmax(s * jnp.exp(jnp.minimum(params["per_head"], 4.0))[:, None, None]) @ v


def softcap_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Gemma 2's cap, causal."""
    return softmax(np.where(causal(LENGTH, LENGTH), 3.0 * np.tanh(scores_of(q, k) / 3.0), -np.inf))


@variants("softcap", softcap_weights)
def softcap(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    s = jnp.tanh(scores_of(q, k) / 3.0) * 3.0
    return jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((LENGTH, LENGTH), bool)), s, -1e30)) @ v
