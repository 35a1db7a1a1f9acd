"""`jax.nn.dot_product_attention` with everything that it takes, on (batch, length, heads, head_dim)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax_case import Catalogue, Prepared
from jax_shell import random_array, softmax

from attncore import Inputs

BATCH, LENGTH, CONTEXT, HEADS, GROUPS, HEAD_DIM = 2, 7, 5, 6, 2, 4
DIM = HEADS * HEAD_DIM
SCALE = HEAD_DIM**-0.5
case = Catalogue("jax.nn.dot_product_attention")
cases = case.cases
Array = Any


def parameters(kv_heads: int) -> dict[str, Array]:
    """Projections of a layer."""
    shapes = {"query": HEADS, "key": kv_heads, "value": kv_heads, "out": HEADS}
    return {
        name: jnp.asarray(random_array(30 + i, DIM, heads, HEAD_DIM) * DIM**-0.5)
        for i, (name, heads) in enumerate(shapes.items())
    }


def scores_of(params: dict[str, Array], x: Array, context: Array) -> np.ndarray:
    """Scaled products (batch, heads, query, key) in float64."""
    query, key = (
        np.einsum("btd,dhe->bhte", np.asarray(states, np.float64), np.asarray(params[name], np.float64))
        for states, name in ((x, "query"), (context, "key"))
    )
    return query @ key.repeat(HEADS // key.shape[1], axis=1).mT * SCALE


def prepared(
    *, kv_heads: int = HEADS, cross: bool = False, change: Any = None, allowed: Any = None, **options: Any
) -> Prepared:
    """A layer around the function, called with these options, and a formula for what they mean.

    ``change`` makes the scores of the reference what the options make of them; ``allowed`` is where a query sees a key.
    """
    params = {"attention": parameters(kv_heads)}
    x = jnp.asarray(random_array(40, BATCH, LENGTH, DIM))
    context = jnp.asarray(random_array(41, BATCH, CONTEXT, DIM)) if cross else x

    def layer(params: dict[str, dict[str, Array]], x: Array, context: Array | None = None) -> Array:
        own = params["attention"]
        source = x if context is None else context
        query = jnp.einsum("btd,dhe->bthe", x, own["query"])
        key, value = (jnp.einsum("btd,dhe->bthe", source, own[name]) for name in ("key", "value"))
        mixed = jax.nn.dot_product_attention(query, key, value, **options)
        return jnp.einsum("bthe,dhe->btd", mixed, own["out"])

    scores = scores_of(params["attention"], x, context)
    scores = change(scores) if change else scores
    weights = softmax(scores if allowed is None else np.where(allowed, scores, -np.inf))
    inputs = Inputs(params, x, context) if cross else Inputs(params, x)
    return Prepared(layer, inputs, [weights], kinds=["cross" if cross else "self"])


ROWS, COLUMNS = np.arange(LENGTH)[:, None], np.arange(LENGTH)


@case("plain")
def plain() -> Prepared:
    return prepared()


@case("cross")
def cross() -> Prepared:
    return prepared(cross=True)


@case("grouped queries")
def grouped() -> Prepared:
    return prepared(kv_heads=GROUPS)


@case("grouped queries, cross, causal mask by hand")
def grouped_cross() -> Prepared:
    allowed = np.arange(LENGTH)[:, None] >= np.arange(CONTEXT)
    return prepared(kv_heads=GROUPS, cross=True, mask=jnp.asarray(allowed)[None, None], allowed=allowed)


@case("one key head")
def multi_query() -> Prepared:
    return prepared(kv_heads=1)


@case("causal")
def causal() -> Prepared:
    return prepared(is_causal=True, allowed=ROWS >= COLUMNS)


@case("grouped queries, causal")
def grouped_causal() -> Prepared:
    return prepared(kv_heads=GROUPS, is_causal=True, allowed=ROWS >= COLUMNS)


@case("a mask of padding")
def mask() -> Prepared:
    allowed = np.arange(LENGTH) < np.asarray([LENGTH, 4])[:, None, None, None]
    return prepared(mask=jnp.asarray(allowed), allowed=allowed)


@case("a bias by head")
def bias() -> Prepared:
    added = random_array(42, 1, HEADS, LENGTH, LENGTH)
    return prepared(bias=jnp.asarray(added), change=lambda scores: scores + added)


@case("a bias, a mask and causal")
def everything() -> Prepared:
    added = random_array(43, BATCH, HEADS, LENGTH, LENGTH)
    allowed = (ROWS >= COLUMNS) & ((COLUMNS != 2) | (ROWS == 2))
    options: dict[str, Any] = {"bias": jnp.asarray(added), "mask": jnp.asarray(allowed)[None, None], "is_causal": True}
    return prepared(**options, change=lambda scores: scores + added, allowed=allowed)


@case("a scale of its own")
def scale() -> Prepared:
    return prepared(scale=0.3, change=lambda scores: scores / SCALE * 0.3)


@case("a local window")
def local_window() -> Prepared:
    return prepared(local_window_size=2, allowed=np.abs(ROWS - COLUMNS) <= 2)


@case("a local window to the left")
def left_window() -> Prepared:
    return prepared(local_window_size=(3, 0), allowed=(ROWS - COLUMNS <= 3) & (ROWS >= COLUMNS))


@case("lengths of the key sequences")
def key_lengths() -> Prepared:
    allowed = np.arange(LENGTH) < np.asarray([LENGTH, 3])[:, None, None, None]
    return prepared(key_value_seq_lengths=jnp.asarray([LENGTH, 3]), allowed=allowed)


@case("no batch")
def unbatched() -> Prepared:
    params, x = {"attention": parameters(HEADS)}, jnp.asarray(random_array(44, LENGTH, DIM))

    def layer(params: dict[str, dict[str, Array]], x: Array) -> Array:
        query, key, value = (jnp.einsum("td,dhe->the", x, params["attention"][n]) for n in ("query", "key", "value"))
        return jax.nn.dot_product_attention(query, key, value)

    return Prepared(layer, Inputs(params, x), [softmax(scores_of(params["attention"], x[None], x[None]))])


@case("bare, query, key and value given")
def bare() -> Prepared:
    query, key, value = (jnp.asarray(random_array(45 + i, BATCH, LENGTH, HEADS, HEAD_DIM)) for i in range(3))
    exact = [np.asarray(part, np.float64).swapaxes(1, 2) for part in (query, key)]
    reference = softmax(exact[0] @ exact[1].mT * SCALE)
    return Prepared(jax.nn.dot_product_attention, Inputs(query, key, value), [reference])


@case("bare, one argument a keyword")
def bare_keyword() -> Prepared:
    query, key, value = (jnp.asarray(random_array(48 + i, BATCH, LENGTH, HEADS, HEAD_DIM)) for i in range(3))
    exact = [np.asarray(part, np.float64).swapaxes(1, 2) for part in (query, key)]
    reference = softmax(np.where(ROWS >= COLUMNS, exact[0] @ exact[1].mT * SCALE, -np.inf))

    def call(query: Array, key: Array, value: Array) -> Array:
        return jax.nn.dot_product_attention(query, key, value=value, is_causal=True)

    return Prepared(call, Inputs(query, key, value=value), [reference])
