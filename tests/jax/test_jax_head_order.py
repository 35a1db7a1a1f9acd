"""Heads of grouped-query attention are in the order in which the model lays out its queries, wherever they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import attncore

BATCH, LENGTH, DIM, KEY_HEADS, GROUPS, HEAD_DIM = 2, 6, 16, 2, 3, 4
HEADS = KEY_HEADS * GROUPS
Numbers = np.ndarray[Any, Any]
GENERATOR = np.random.default_rng(0)


def numbers(*shape: int) -> jax.Array:
    """Random numbers of this shape."""
    return jnp.asarray(GENERATOR.standard_normal(shape) / 2, jnp.float32)


X = numbers(BATCH, LENGTH, DIM)
PARAMETERS = {
    "query": numbers(DIM, HEADS * HEAD_DIM),
    "key": numbers(DIM, KEY_HEADS * HEAD_DIM),
    "value": numbers(DIM, KEY_HEADS * HEAD_DIM),
}
BIAS = numbers(HEADS, LENGTH, LENGTH)
MAJOR, MINOR = (KEY_HEADS, GROUPS), (GROUPS, KEY_HEADS)


def softmax(scores: Numbers) -> Numbers:
    """In numpy."""
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def exact(name: str, heads: int) -> Numbers:
    """What one projection gives in float64, (batch, heads, length, head_dim), heads as they are in it."""
    flat = np.asarray(X, np.float64) @ np.asarray(PARAMETERS[name], np.float64)
    return flat.reshape(BATCH, LENGTH, heads, HEAD_DIM).swapaxes(1, 2)


def expected(order: tuple[int, int], bias: Any = 0.0) -> Numbers:
    """The weights where a head of the keys has its groups side by side, or where all heads of a group are."""
    key = exact("key", KEY_HEADS)
    key = key.repeat(GROUPS, axis=1) if order == MAJOR else np.tile(key, (1, GROUPS, 1, 1))
    return softmax(exact("query", HEADS) @ key.swapaxes(-1, -2) + np.asarray(bias, np.float64))


def grouped(order: tuple[int, int], letters: str, bias: bool) -> Callable[[Any, jax.Array], jax.Array]:
    """Attention whose heads are split in this order, with weights of these axes (g: heads of the keys, r: groups)."""
    split = "bngrd" if order == MAJOR else "bnrgd"

    def call(params: Any, x: jax.Array) -> jax.Array:
        query = (x @ params["query"]).reshape(BATCH, LENGTH, *order, HEAD_DIM)
        key, value = ((x @ params[name]).reshape(BATCH, LENGTH, KEY_HEADS, HEAD_DIM) for name in ("key", "value"))
        scores = jnp.einsum(f"{split},bmgd->{letters}", query, key)
        if bias:
            scores += jnp.einsum(f"{split[2:4]}nm->{letters[1:]}", BIAS.reshape(*order, LENGTH, LENGTH))
        return jnp.einsum(f"{letters},bmgd->{split}", jax.nn.softmax(scores), value)

    return call


@pytest.mark.parametrize("keep", ["weights", "qk"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("letters", ["bgrnm", "brgnm"])
@pytest.mark.parametrize("order", [MAJOR, MINOR], ids=["heads of keys first", "groups first"])
def test_heads_are_as_the_queries_are_split(order: tuple[int, int], letters: str, bias: bool, keep: Any) -> None:
    """Whatever the order of the weights' axes; keys and values then are those of each head, if need be all of them."""
    layer = attncore.trace(grouped(order, letters, bias), (PARAMETERS, X), keep=keep)[0]
    np.testing.assert_allclose(layer.weights, expected(order, BIAS if bias else 0.0), rtol=0, atol=1e-5)
    assert layer.query is not None
    assert layer.key is not None
    assert layer.value is not None
    np.testing.assert_allclose(layer.query, exact("query", HEADS), rtol=0, atol=1e-5)
    value = exact("value", KEY_HEADS)
    shown = value if order == MAJOR else np.tile(value, (1, GROUPS, 1, 1))
    np.testing.assert_allclose(layer.value, shown, rtol=0, atol=1e-5)
    assert layer.key.shape[1] == (KEY_HEADS if order == MAJOR else HEADS)


@pytest.mark.parametrize("keep", ["weights", "qk"])
@pytest.mark.parametrize("shape", [(KEY_HEADS, 1), (1, GROUPS)], ids=["for heads of keys", "for groups"])
def test_a_bias_of_some_of_the_heads_axes(shape: tuple[int, int], keep: Any) -> None:
    """It is repeated along the other one."""
    bias = numbers(*shape, LENGTH, LENGTH)

    def call(params: Any, x: jax.Array, bias: jax.Array) -> jax.Array:
        query = (x @ params["query"]).reshape(BATCH, LENGTH, *MAJOR, HEAD_DIM)
        key, value = ((x @ params[name]).reshape(BATCH, LENGTH, KEY_HEADS, HEAD_DIM) for name in ("key", "value"))
        weights = jax.nn.softmax(jnp.einsum("bngrd,bmgd->bgrnm", query, key) + bias)
        return jnp.einsum("bgrnm,bmgd->bngrd", weights, value)

    whole = np.broadcast_to(bias, (*MAJOR, LENGTH, LENGTH)).reshape(HEADS, LENGTH, LENGTH)
    layer = attncore.trace(call, (PARAMETERS, X, bias), keep=keep)[0]
    np.testing.assert_allclose(layer.weights, expected(MAJOR, whole), rtol=0, atol=1e-5)


def test_queries_cut_from_a_joint_projection() -> None:
    """Each head of the keys has its queries, its key and its value side by side, as in Falcon."""
    kernel = numbers(DIM, KEY_HEADS * (GROUPS + 2) * HEAD_DIM)

    def call(params: Any, x: jax.Array) -> jax.Array:
        fused = (x @ params["kernel"]).reshape(BATCH, LENGTH, KEY_HEADS, GROUPS + 2, HEAD_DIM)
        weights = jax.nn.softmax(jnp.einsum("bngrd,bmgd->bgrnm", fused[..., :-2, :], fused[..., -2, :]))
        return jnp.einsum("bgrnm,bmgd->bngrd", weights, fused[..., -1, :])

    fused = np.asarray(X, np.float64) @ np.asarray(kernel, np.float64)
    fused = fused.reshape(BATCH, LENGTH, KEY_HEADS, GROUPS + 2, HEAD_DIM).transpose(0, 2, 3, 1, 4)
    query = fused[:, :, :-2].reshape(BATCH, HEADS, LENGTH, HEAD_DIM)
    weights = softmax(query @ fused[:, :, -2].repeat(GROUPS, axis=1).swapaxes(-1, -2))
    layer = attncore.trace(call, ({"kernel": kernel}, X))[0]
    np.testing.assert_allclose(layer.weights, weights, rtol=0, atol=1e-5)


@pytest.mark.parametrize("keep", ["weights", "qk"])
def test_positions_on_a_grid_are_in_the_order_of_the_queries(keep: Any) -> None:
    """Where the scores have rows and columns of the grid the other way round."""
    grid = numbers(BATCH, 2, 3, DIM)

    def call(params: Any, grid: jax.Array) -> jax.Array:
        query, key, value = ((grid @ part).reshape(BATCH, 2, 3, HEADS, HEAD_DIM) for part in params["parts"])
        scores = jnp.einsum("bxyhd,buvhd->bhyxuv", query, key)
        weights = jax.nn.softmax(scores.reshape(BATCH, HEADS, 3, 2, 6)).reshape(scores.shape)
        return jnp.einsum("bhyxuv,buvhd->bxyhd", weights, value)

    kernel = np.asarray(PARAMETERS["query"], np.float64)
    query, key = (
        (np.asarray(grid, np.float64) @ part).reshape(BATCH, 6, HEADS, HEAD_DIM).swapaxes(1, 2)
        for part in (kernel, kernel[::-1])
    )
    parts = [PARAMETERS["query"], PARAMETERS["query"][::-1], PARAMETERS["query"]]
    layer = attncore.trace(call, ({"parts": parts}, grid), keep=keep)[0]
    np.testing.assert_allclose(layer.weights, softmax(query @ key.swapaxes(-1, -2)), rtol=0, atol=1e-5)
