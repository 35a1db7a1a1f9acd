"""Attention by hand in JAX: the ways to write the softmax, and the ways to write the two products."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax_shell import BATCH, HEAD_DIM, HEADS, LENGTH, SCALE, Array, Parameters, Variants, causal, softmax

variants = Variants()
cases = variants.cases


def scores_of(q: Array, k: Array) -> Array:
    """Scaled products, (batch, heads, query, key)."""
    return q @ k.swapaxes(-1, -2) * SCALE


# The softmax.


@variants("jax.nn.softmax")
@variants("jax.nn.softmax, cross", cross=True)
@variants("jax.nn.softmax, cross of equal lengths", cross=True, same_length=True)
@variants("jax.nn.softmax, one head", heads=1, kv_heads=1)
def by_softmax(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return jax.nn.softmax(scores_of(q, k), axis=-1) @ v


@variants("maximum, exp, sum and division")
def by_hand(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    s = scores_of(q, k)
    e = jnp.exp(s - s.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True)) @ v


@variants("the maximum without a gradient")
def stopped(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    s = scores_of(q, k)
    e = jnp.exp(s - lax.stop_gradient(s.max(axis=-1, keepdims=True)))
    return lax.div(e, jnp.broadcast_to(e.sum(axis=-1, keepdims=True), e.shape)) @ v


@variants("multiplied by the reciprocal")
def by_reciprocal(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    e = jnp.exp(scores_of(q, k))
    return (e * jnp.reciprocal(e.sum(axis=-1, keepdims=True))) @ v


@variants("no maximum")
def no_maximum(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    e = jnp.exp(scores_of(q, k))
    return (e / e.sum(axis=-1, keepdims=True)) @ v


@variants("the sum by a product with ones")
def sum_by_product(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    e = jnp.exp(scores_of(q, k))
    return (e / (e @ jnp.ones((e.shape[-1], 1)))) @ v


@variants("exp of log_softmax")
def by_log_softmax(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return jnp.exp(jax.nn.log_softmax(scores_of(q, k))) @ v


@variants("exp minus logsumexp")
def by_logsumexp(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    s = scores_of(q, k)
    return jnp.exp(s - jax.nn.logsumexp(s, axis=-1, keepdims=True)) @ v


@variants("powers of two")
def by_exp2(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    s = scores_of(q, k) * jnp.log2(jnp.e)
    e = jnp.exp2(s - s.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True)) @ v


def off_by_one_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """One is added to the denominator."""
    e = np.exp(scores_of(q, k))
    return np.asarray(e / (1 + e.sum(-1, keepdims=True)))


@variants("softmax off by one", off_by_one_weights)
def off_by_one(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    e = jnp.exp(scores_of(q, k))
    return (e / (1 + e.sum(axis=-1, keepdims=True))) @ v


def causal_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The textbook's causal mask."""
    return softmax(np.where(causal(q.shape[2], k.shape[2]), scores_of(q, k), -np.inf))


@variants("jax.nn.softmax with where=", causal_weights)
def where_softmax(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return jax.nn.softmax(scores_of(q, k), where=causal(LENGTH, LENGTH)) @ v


@jax.custom_jvp
def softmax_with_rule(s: Array) -> Array:
    """A softmax with a rule of its own for derivatives."""
    e = jnp.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@softmax_with_rule.defjvp
def _softmax_jvp(primals: Array, tangents: Array) -> tuple[Array, Array]:
    p = softmax_with_rule(primals[0])
    return p, p * (tangents[0] - (p * tangents[0]).sum(-1, keepdims=True))


@variants("custom_jvp softmax")
def by_custom_jvp(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return softmax_with_rule(scores_of(q, k)) @ v


@jax.custom_vjp
def softmax_with_backward(s: Array) -> Array:
    """A softmax with a backward pass of its own."""
    return jax.nn.softmax(s)


softmax_with_backward.defvjp(
    lambda s: (jax.nn.softmax(s),) * 2, lambda p, g: (p * (g - (p * g).sum(-1, keepdims=True)),)
)


@variants("custom_vjp softmax")
def by_custom_vjp(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return softmax_with_backward(scores_of(q, k)) @ v


@variants("deferred normalisation", notes="divided")
def deferred(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    s = scores_of(q, k)
    e = jnp.exp(s - s.max(-1, keepdims=True))
    return (e @ v) / e.sum(-1, keepdims=True)


@variants("softmax, then zeros for what is not a number")
def cleaned(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return jnp.nan_to_num(jax.nn.softmax(scores_of(q, k))) @ v


@variants("softmax jitted by itself")
def jitted_softmax(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return jax.jit(jax.nn.softmax)(scores_of(q, k)) @ v


# The products.


@variants("einsum bhqk")
@variants("einsum bhqk, cross", cross=True)
def by_einsum(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    p = jax.nn.softmax(jnp.einsum("bhqd,bhkd->bhqk", q, k) * SCALE)
    return jnp.einsum("bhqk,bhkd->bhqd", p, v)


@variants("einsum on (batch, length, heads, head_dim)")
def by_einsum_length_first(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    q, k, v = (part.swapaxes(1, 2) for part in (q, k, v))
    p = jax.nn.softmax(jnp.einsum("...qhd,...khd->...hqk", q * SCALE, k))
    return jnp.einsum("...hqk,...khd->...qhd", p, v).swapaxes(1, 2)


@variants("einsum bqkh, heads last")
@variants("einsum bqkh, heads last, cross", cross=True)
def by_einsum_heads_last(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    p = jax.nn.softmax(jnp.einsum("bhqd,bhkd->bqkh", q, k) * SCALE, axis=2)
    return jnp.einsum("bqkh,bhkd->bhqd", p, v)


@variants("einsum hbqk, heads first")
def by_einsum_heads_first(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    p = jax.nn.softmax(jnp.einsum("bhqd,bhkd->hbqk", q, k) * SCALE)
    return jnp.einsum("hbqk,bhkd->bhqd", p, v)


@variants("einsum bhkq, key first")
@variants("einsum bhkq, key first, cross", cross=True)
def by_einsum_key_first(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    p = jax.nn.softmax(jnp.einsum("bhkd,bhqd->bhkq", k, q) * SCALE, axis=-2)
    return jnp.einsum("bhkq,bhkd->bhqd", p, v)


@variants("matmul, key and values first")
def values_first(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    p = jax.nn.softmax(k @ q.swapaxes(-1, -2) * SCALE, axis=2)
    return (v.swapaxes(-1, -2) @ p).swapaxes(-1, -2)


@variants("lax.dot_general")
def by_dot_general(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    s = lax.dot_general(q, k, (((3,), (3,)), ((0, 1), (0, 1)))) * SCALE
    return lax.dot_general(jax.nn.softmax(s), v, (((3,), (2,)), ((0, 1), (0, 1))))


@variants("heads in the batch")
@variants("heads in the batch, cross", cross=True)
def folded(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    q, k, v = (part.reshape(-1, part.shape[2], HEAD_DIM) for part in (q, k, v))
    p = jax.nn.softmax(jnp.einsum("nqd,nkd->nqk", q, k) * SCALE)
    return (p @ v).reshape(BATCH, HEADS, LENGTH, HEAD_DIM)


@variants("batch in the heads")
def folded_heads_first(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    q, k, v = (part.swapaxes(0, 1).reshape(-1, part.shape[2], HEAD_DIM) for part in (q, k, v))
    p = jax.nn.softmax(jnp.einsum("nqd,nkd->nqk", q, k) * SCALE)
    return (p @ v).reshape(HEADS, BATCH, LENGTH, HEAD_DIM).swapaxes(0, 1)


def first_half_weights(params: Parameters, q: np.ndarray, k: np.ndarray) -> list[np.ndarray]:
    """A layer for each head."""
    p = softmax(scores_of(q, k))
    return [p[:, head : head + 1] for head in range(HEADS)]


@variants("a loop over the heads in Python", first_half_weights)
def head_by_head(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    outputs = [jax.nn.softmax(q[:, i] @ k[:, i].mT * SCALE) @ v[:, i] for i in range(HEADS)]
    return jnp.stack(outputs, axis=1)


@variants("a dropout's mask after the softmax", notes="dropout")
def dropped(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    p = jax.nn.softmax(scores_of(q, k))
    kept = jax.random.bernoulli(jax.random.key(0), 0.8, p.shape)
    return jnp.where(kept, p / 0.8, 0.0) @ v


@variants("softmax in float32 of bfloat16 scores, cast back", note="the casts are the model's own")
def cast_back(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return jax.nn.softmax(scores_of(q, k).astype(jnp.float32)).astype(q.dtype) @ v


@variants("a product and a sum in place of the second product")
def product_and_sum(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return (jax.nn.softmax(scores_of(q, k))[..., None] * v[:, :, None]).sum(3)


@variants("sigmoid in place of the softmax", reported=True, coverage="without a softmax")
def by_sigmoid(params: Parameters, q: Array, k: Array, v: Array) -> Array:
    return jax.nn.sigmoid(scores_of(q, k)) @ v
