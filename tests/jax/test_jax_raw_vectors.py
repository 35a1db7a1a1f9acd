"""Queries, keys and values given as they are, with fewer heads of keys and without a batch: no parameter tells axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import attncore

LENGTH, CONTEXT, KEY_HEADS, GROUPS, HEAD_DIM = 5, 7, 2, 3, 4
HEADS = KEY_HEADS * GROUPS
Attention = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def numbers(*shape: int, seed: int = 0) -> jax.Array:
    """Random numbers of this shape."""
    return jax.random.normal(jax.random.key(seed), shape) / 2


def exact(query: jax.Array, key: jax.Array) -> np.ndarray[Any, Any]:
    """The weights in float64, of arrays of (…, heads, length, head_dim)."""
    queries, keys = np.asarray(query, np.float64), np.asarray(key, np.float64)
    scores = np.exp(queries @ keys.swapaxes(-1, -2))
    return scores / scores.sum(-1, keepdims=True)


def split_first(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """Of (heads, length, head_dim), in groups."""
    query = query.reshape(KEY_HEADS, GROUPS, *query.shape[1:])
    return jnp.einsum("grnm,gmd->grnd", jax.nn.softmax(jnp.einsum("grnd,gmd->grnm", query, key)), value)


def split_second(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """Of (length, heads, head_dim), in groups."""
    query = query.reshape(-1, KEY_HEADS, GROUPS, HEAD_DIM)
    return jnp.einsum("grnm,mgd->ngrd", jax.nn.softmax(jnp.einsum("ngrd,mgd->grnm", query, key)), value)


def repeated_first(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """Of (heads, length, head_dim), the keys repeated."""
    key, value = (jnp.repeat(one, GROUPS, axis=0) for one in (key, value))
    return jax.nn.softmax(query @ key.swapaxes(-1, -2)) @ value


def repeated_second(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """Of (length, heads, head_dim), the keys repeated."""
    key, value = (jnp.repeat(one, GROUPS, axis=1) for one in (key, value))
    return jnp.einsum("hnm,mhd->nhd", jax.nn.softmax(jnp.einsum("nhd,mhd->hnm", query, key)), value)


@pytest.mark.parametrize("keep", ["weights", "qk"])
@pytest.mark.parametrize("attend", [split_first, split_second, repeated_first, repeated_second])
def test_grouped_heads_without_a_batch(attend: Attention, keep: Any) -> None:
    """What was split into heads and groups, or repeated for them, are heads, and no items of a batch."""
    vectors = [numbers(*shape, HEAD_DIM, seed=9) for shape in ((HEADS, LENGTH), (KEY_HEADS, CONTEXT))]
    query, key = vectors
    given = (query, key, key + 1)
    if attend in (split_second, repeated_second):
        given = tuple(one.swapaxes(0, 1) for one in given)
    trace = attncore.trace(attend, given, keep=keep)
    assert trace[0].shape == (1, HEADS, LENGTH, CONTEXT)
    np.testing.assert_allclose(trace[0].weights[0], exact(query, key.repeat(GROUPS, axis=0)), rtol=0, atol=1e-5)
    assert not trace.coverage.entries


def one_key_head(letters: str) -> Attention:
    """Attention of all heads to one of the keys, with weights of these axes (h: heads, n: queries)."""
    query, key = letters.replace("m", "d"), "bmd" if "b" in letters else "md"

    def call(query_given: jax.Array, key_given: jax.Array, value: jax.Array) -> jax.Array:
        weights = jax.nn.softmax(jnp.einsum(f"{query},{key}->{letters}", query_given, key_given))
        return jnp.einsum(f"{letters},{key}->{query}", weights, value)

    return call


@pytest.mark.parametrize("keep", ["weights", "qk"])
@pytest.mark.parametrize("batch", [(), (2,)], ids=["without a batch", "with a batch"])
@pytest.mark.parametrize("context", [CONTEXT, LENGTH])
def test_one_head_of_keys_for_heads_first(batch: tuple[int, ...], context: int, keep: Any) -> None:
    """Positions are the axis beside the keys; where neither order nor length says it, the trace says so."""
    query = numbers(*batch, HEADS, LENGTH, HEAD_DIM, seed=1)
    key = numbers(*batch, context, HEAD_DIM, seed=2)
    trace = attncore.trace(one_key_head("bhnm" if batch else "hnm"), (query, key, key + 1), keep=keep)
    expected = exact(query, key[..., None, :, :])
    np.testing.assert_allclose(trace[0].weights, expected if batch else expected[None], rtol=0, atol=1e-5)
    assert ["uncertain"] * (context != LENGTH) == [entry.status for entry in trace.coverage]


@pytest.mark.parametrize("batch", [(), (2,)], ids=["without a batch", "with a batch"])
def test_one_head_of_keys_for_positions_first(batch: tuple[int, ...]) -> None:
    """The model itself brings the positions beside the keys."""
    query = numbers(*batch, LENGTH, HEADS, HEAD_DIM, seed=1)
    key = numbers(*batch, CONTEXT, HEAD_DIM, seed=2)
    given, wanted, keys = ("bnhd", "bhnm", "bmd") if batch else ("nhd", "hnm", "md")

    def call(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        weights = jax.nn.softmax(jnp.einsum(f"{given},{keys}->{wanted}", query, key))
        return jnp.einsum(f"{wanted},{keys}->{given}", weights, value)

    trace = attncore.trace(call, (query, key, key + 1))
    expected = exact(query.swapaxes(-2, -3), key[..., None, :, :])
    np.testing.assert_allclose(trace[0].weights, expected if batch else expected[None], rtol=0, atol=1e-5)
    assert not trace.coverage.entries


def test_positions_on_a_grid_are_no_heads() -> None:
    """Queries and keys both have rows and columns."""
    query, key = numbers(2, 2, 3, HEAD_DIM, seed=1), numbers(2, 4, 3, HEAD_DIM, seed=2)

    def call(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        scores = jnp.einsum("bxyd,buvd->bxyuv", query, key)
        weights = jax.nn.softmax(scores, axis=(-2, -1))
        return jnp.einsum("bxyuv,buvd->bxyd", weights, value)

    layer = attncore.trace(call, (query, key, key))[0]
    expected = exact(query.reshape(2, 1, 6, HEAD_DIM), key.reshape(2, 1, 12, HEAD_DIM))
    np.testing.assert_allclose(layer.weights, expected, rtol=0, atol=1e-5)
