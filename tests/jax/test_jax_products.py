"""Products written as a multiplication and a sum are attention as any other; what only resembles one is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import attncore

BATCH, HEADS, LENGTH, DIM, HEAD_DIM = 2, 3, 6, 12, 4
Attention = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def numbers(*shape: int, seed: int = 0) -> jax.Array:
    """Random numbers of this shape."""
    return jax.random.normal(jax.random.key(seed), shape) / 2


def parameters(key_heads: int = HEADS) -> dict[str, jax.Array]:
    """The projections of one attention."""
    heads = {"query": HEADS, "key": key_heads, "value": key_heads}
    return {name: numbers(DIM, heads[name], HEAD_DIM, seed=seed) for seed, name in enumerate(heads)}


def exact(params: dict[str, jax.Array], x: jax.Array, allowed: Any = True) -> np.ndarray[Any, Any]:
    """The weights in float64, (batch, heads, query, key)."""
    query, key = (
        np.einsum("btd,dhe->bhte", np.asarray(x, np.float64), np.asarray(params[name], np.float64))
        for name in ("query", "key")
    )
    scores = np.where(allowed, query @ key.swapaxes(-1, -2) / 2, -np.inf)
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def with_heads_first(attend: Attention) -> Callable[[Any, jax.Array], jax.Array]:
    """A function of parameters and states around attention of (batch, heads, length, head_dim)."""

    def call(params: Any, x: jax.Array) -> jax.Array:
        return attend(*(jnp.einsum("btd,dhe->bhte", x, params[name]) for name in ("query", "key", "value")))

    return call


def plain(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """The scale after the sum."""
    scores = (query[:, :, :, None] * key[:, :, None]).sum(-1) / 2
    return (jax.nn.softmax(scores)[..., None] * value[:, :, None]).sum(3)


def scaled_within(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """The scale within the sum, and a dot product with the values."""
    scores = (query[:, :, :, None] * key[:, :, None] * 0.5).astype(jnp.float32).sum(-1)
    return jax.nn.softmax(scores) @ value


def repeated(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """Both sides repeated by hand, and the axis that is summed over kept."""
    shape = (BATCH, HEADS, LENGTH, LENGTH, HEAD_DIM)
    product = jnp.broadcast_to(query[:, :, :, None], shape) * jnp.broadcast_to(key[:, :, None], shape)
    weights = jax.nn.softmax(product.sum(-1, keepdims=True) / 2, axis=3)
    return (weights * value[:, :, None]).sum(3)


def mapped(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """One query's attention, mapped over queries, heads and items."""

    def one(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        weights = jax.nn.softmax((query * key).sum(-1) / 2)
        return (weights[:, None] * value).sum(0)

    return jax.vmap(jax.vmap(jax.vmap(one, (0, None, None))))(query, key, value)


def divided_late(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """A mask on the exponentials, whose sum divides the values."""
    allowed = jnp.tril(jnp.ones((LENGTH, LENGTH)))
    exponentials = jnp.exp((query[:, :, :, None] * key[:, :, None]).sum(-1) / 2)
    mixed = ((exponentials * allowed)[..., None] * value[:, :, None]).sum(3)
    return mixed / (exponentials * allowed).sum(-1)[..., None]


@pytest.mark.parametrize("keep", ["weights", "qk"])
@pytest.mark.parametrize(
    ("attend", "key_heads"),
    [
        (mapped, HEADS),  # a map is over axes of one length
        *((attend, heads) for attend in (plain, scaled_within, repeated, divided_late) for heads in (HEADS, 1)),
    ],
)
def test_a_multiplication_and_a_sum_are_a_product(attend: Attention, key_heads: int, keep: Any) -> None:
    """Heads, positions and vectors are those of the same attention with `@`."""
    params, x = parameters(key_heads), numbers(BATCH, LENGTH, DIM, seed=9)
    call = with_heads_first(attend)
    trace = attncore.trace(call, (params, x), keep=keep)
    (layer,) = trace
    allowed = np.tril(np.ones((LENGTH, LENGTH))) > 0 if attend is divided_late else True
    np.testing.assert_allclose(layer.weights, exact(params, x, allowed), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(trace.output, jax.jit(call)(params, x))
    assert layer.query is not None
    assert layer.key is not None
    assert layer.query.shape == (BATCH, HEADS, LENGTH, HEAD_DIM)
    assert layer.key.shape == (BATCH, key_heads, LENGTH, HEAD_DIM)
    assert layer.kind == "self"
    assert not trace.coverage.entries


def test_positions_before_heads() -> None:
    """Arrays of (batch, length, heads, head_dim), whose weights end in the heads."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)

    def call(params: Any, x: jax.Array) -> jax.Array:
        query, key, value = (jnp.einsum("btd,dhe->bthe", x, params[name]) for name in ("query", "key", "value"))
        weights = jax.nn.softmax((query[:, :, None] * key[:, None]).sum(-1) / 2, axis=2)
        return (weights[..., None] * value[:, None]).sum(2)

    np.testing.assert_allclose(attncore.trace(call, (params, x))[0].weights, exact(params, x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("row", [True, False], ids=["in a row", "without an axis"])
def test_one_query(row: bool) -> None:
    """The last position asks all."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)

    def attend(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        query = query[:, :, -1, None]
        if row:
            query, key, value = query[:, :, :, None], key[:, :, None], value[:, :, None]
        weights = jax.nn.softmax((query * key).sum(-1) / 2)
        return (weights[..., None] * value).sum(-2)

    (layer,) = attncore.trace(with_heads_first(attend), (params, x))
    np.testing.assert_allclose(layer.weights, exact(params, x)[:, :, -1:], rtol=0, atol=1e-5)


def test_a_training_step_shows_it_once() -> None:
    """The backward pass of such products is sums of products too."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)
    call = with_heads_first(plain)
    (layer,) = attncore.trace(jax.value_and_grad(lambda params, x: (call(params, x) ** 2).sum()), (params, x))
    np.testing.assert_allclose(layer.weights, exact(params, x), rtol=0, atol=1e-5)


def additive(query: jax.Array, key: jax.Array, value: jax.Array, by_sum: bool) -> jax.Array:
    """Bahdanau's: a learned vector times the tanh of query and key."""
    bent, learned = jnp.tanh(query[:, :, :, None] + key[:, :, None]), jnp.arange(1.0, 1 + HEAD_DIM)
    scores = (bent * learned).sum(-1) if by_sum else bent @ learned
    return jax.nn.softmax(scores) @ value


@pytest.mark.parametrize("by_sum", [True, False])
def test_additive_attention_is_reported(by_sum: bool) -> None:
    """Its queries are no items of a batch whose one query is the learned vector."""
    call = with_heads_first(lambda *vectors: additive(*vectors, by_sum))
    with pytest.raises(attncore.NoAttentionError, match="additive attention"):
        attncore.trace(call, (parameters(), numbers(BATCH, LENGTH, DIM, seed=9)))


@pytest.mark.parametrize("keep", ["weights", "qk"])
def test_one_learned_query_for_all_heads(keep: Any) -> None:
    """There is one matrix a head, which a query that they share does not make by itself."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)
    params["latent"] = numbers(HEAD_DIM, seed=5)

    def call(params: Any, x: jax.Array) -> jax.Array:
        key, value = (jnp.einsum("btd,dhe->bhte", x, params[name]) for name in ("key", "value"))
        return jnp.einsum("bhk,bhke->bhe", jax.nn.softmax(jnp.einsum("e,bhke->bhk", params["latent"], key)), value)

    (layer,) = attncore.trace(call, (params, x), keep=keep)
    key = np.einsum("btd,dhe->bhte", np.asarray(x, np.float64), np.asarray(params["key"], np.float64))
    scores = np.exp(key @ np.asarray(params["latent"], np.float64))[:, :, None]
    np.testing.assert_allclose(layer.weights, scores / scores.sum(-1, keepdims=True), rtol=0, atol=1e-5)


def router(params: Any, x: jax.Array) -> jax.Array:
    """A mixture of experts."""
    outputs = jnp.einsum("btd,dhe->bthe", x, params["value"])
    return (jax.nn.softmax(jnp.einsum("btd,dhe->bth", x, params["query"]))[..., None] * outputs).sum(2)


def expected_value(params: Any, x: jax.Array) -> jax.Array:
    """The mean of a distribution, and its entropy, behind a norm."""
    x = x / jnp.sqrt((x * x).mean(-1, keepdims=True))
    weights = jax.nn.softmax(x)
    return (weights * jnp.arange(float(DIM))).sum(-1) - (weights * jnp.log(weights)).sum(-1)


@pytest.mark.parametrize("call", [router, expected_value])
def test_sums_of_products_that_are_no_attention(call: Any) -> None:
    """Neither is shown."""
    with pytest.raises(attncore.NoAttentionError):
        attncore.trace(call, (parameters(), numbers(BATCH, LENGTH, DIM, seed=9)))
