"""Attention in JAX functions of other shapes: no batch, no heads, latents, windows, chunks, narrow keys."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax_case import Catalogue, Prepared
from jax_shell import FAMILY, in_float64, random_array, softmax

from attncore import Inputs

BATCH, LENGTH, HEADS, HEAD_DIM = 2, 8, 6, 4
DIM = HEADS * HEAD_DIM
SCALE = HEAD_DIM**-0.5
case = Catalogue(FAMILY)
cases = case.cases

Array = Any
Parameters = dict[str, Any]


def projections(**shapes: tuple[int, ...]) -> Parameters:
    """Random matrices of these shapes; those of a layer where none are given."""
    shapes = shapes or dict.fromkeys(("to_q", "to_k", "to_v", "to_out"), (DIM, DIM))
    each = enumerate(shapes.items())
    return {name: jnp.asarray(random_array(20 + i, *shape) / math.sqrt(shape[-2])) for i, (name, shape) in each}


def hidden(*shape: int) -> Array:
    """Random hidden states."""
    return jnp.asarray(random_array(10, *(shape or (BATCH, LENGTH, DIM))))


def exactly(params: Parameters, x: Array) -> tuple[Parameters, np.ndarray]:
    """Both in float64."""
    return in_float64(params), np.asarray(x, dtype=np.float64)


def heads_of(x: Array) -> Array:
    """(batch, length, dim) as (batch, heads, length, head_dim), in numpy or JAX."""
    return x.reshape(*x.shape[:2], HEADS, -1).swapaxes(1, 2)


def self_weights(params: Parameters, x: Array) -> np.ndarray:
    """The textbook's self-attention of (batch, length, dim)."""
    exact, states = exactly(params, x)
    query, key = (heads_of(states @ exact[name]) for name in ("to_q", "to_k"))
    return softmax(query @ key.mT * SCALE)


@case("no head dimension")
def one_head() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q, k, v = (x @ params[name] for name in ("to_q", "to_k", "to_v"))
        return jax.nn.softmax(q @ k.mT * SCALE) @ v @ params["to_out"]

    params, x = projections(), hidden()
    exact, states = exactly(params, x)
    weights = softmax(states @ exact["to_q"] @ (states @ exact["to_k"]).mT * SCALE)
    return Prepared(attend, Inputs(params, x), [weights[:, None]])


@case("no batch, no heads")
def unbatched() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q, k, v = (jnp.dot(x, params[name]) for name in ("to_q", "to_k", "to_v"))
        return jnp.dot(jax.nn.softmax(jnp.dot(q, k.T) * SCALE), v) @ params["to_out"]

    params, x = projections(), hidden(LENGTH, DIM)
    exact, states = exactly(params, x)
    weights = softmax(states @ exact["to_q"] @ (states @ exact["to_k"]).T * SCALE)
    return Prepared(attend, Inputs(params, x), [weights[None, None]])


@case("no batch, heads")
def unbatched_heads() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q, k, v = ((x @ params[name]).reshape(-1, HEADS, HEAD_DIM) for name in ("to_q", "to_k", "to_v"))
        p = jax.nn.softmax(jnp.einsum("qhd,khd->hqk", q, k) * SCALE)
        return jnp.einsum("hqk,khd->qhd", p, v).reshape(-1, DIM) @ params["to_out"]

    params, x = projections(), hidden(LENGTH, DIM)
    return Prepared(attend, Inputs(params, x), [self_weights(params, x[None])])


@case("one projection taken apart by split")
def fused_projection() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q, k, v = map(heads_of, jnp.split(x @ params["qkv"], 3, axis=-1))
        p = jax.nn.softmax(q @ k.mT * SCALE)
        return (p @ v).swapaxes(1, 2).reshape(x.shape) @ params["out"]

    params, x = projections(qkv=(DIM, 3 * DIM), out=(DIM, DIM)), hidden()
    exact, states = exactly(params, x)
    query, key, _ = map(heads_of, np.split(states @ exact["qkv"], 3, axis=-1))
    return Prepared(attend, Inputs(params, x), [softmax(query @ key.mT * SCALE)])


@case("one einsum for query, key and value, unstacked")
def unstacked_projection() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q, k, v = jnp.einsum("btd,dshe->sbhte", x, params["qkv"])
        p = jax.nn.softmax(jnp.einsum("bhqd,bhkd->bhqk", q, k) * SCALE)
        return jnp.einsum("bhqk,bhkd,hde->bqe", p, v, params["out"])

    params, x = projections(qkv=(DIM, 3, HEADS, HEAD_DIM), out=(HEADS, HEAD_DIM, DIM)), hidden()
    exact, states = exactly(params, x)
    query, key, _ = np.einsum("btd,dshe->sbhte", states, exact["qkv"])
    return Prepared(attend, Inputs(params, x), [softmax(query @ key.mT * SCALE)])


@case("a batch of one")
def batch_of_one() -> Prepared:
    params, x = projections(), hidden(1, LENGTH, DIM)
    return Prepared(multi_head, Inputs(params, x), [self_weights(params, x)])


@case("length one")
def length_one() -> Prepared:
    params, x = projections(), hidden(BATCH, 1, DIM)
    return Prepared(multi_head, Inputs(params, x), [self_weights(params, x)])


@case("batch, length and dimension alike")
def alike() -> Prepared:
    params, x = projections(), hidden(DIM, DIM, DIM)
    return Prepared(multi_head, Inputs(params, x), [self_weights(params, x)])


@case("batch and heads alike")
def batch_like_heads() -> Prepared:
    params, x = projections(), hidden(HEADS, LENGTH, DIM)
    return Prepared(multi_head, Inputs(params, x), [self_weights(params, x)])


def multi_head(params: Parameters, x: Array) -> Array:
    """The textbook's self-attention."""
    q, k, v = (heads_of(x @ params[name]) for name in ("to_q", "to_k", "to_v"))
    p = jax.nn.softmax(jnp.einsum("bhqd,bhkd->bhqk", q, k) * SCALE)
    return jnp.einsum("bhqk,bhkd->bhqd", p, v).swapaxes(1, 2).reshape(x.shape) @ params["to_out"]


@case("two batch axes")
def two_batch_axes() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q, k, v = ((x @ params[name]).reshape(*x.shape[:-1], HEADS, HEAD_DIM) for name in ("to_q", "to_k", "to_v"))
        p = jax.nn.softmax(jnp.einsum("...qhd,...khd->...hqk", q, k) * SCALE)
        return jnp.einsum("...hqk,...khd->...qhd", p, v).reshape(x.shape) @ params["to_out"]

    params, x = projections(), hidden(BATCH, 3, LENGTH, DIM)
    return Prepared(attend, Inputs(params, x), [self_weights(params, x.reshape(-1, LENGTH, DIM))])


@case("the query of the first token only")
def first_token() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q = heads_of(x[:, :1] @ params["to_q"])
        k, v = (heads_of(x @ params[name]) for name in ("to_k", "to_v"))
        return (jax.nn.softmax(q @ k.mT * SCALE) @ v).reshape(BATCH, DIM) @ params["to_out"]

    params, x = projections(), hidden()
    return Prepared(attend, Inputs(params, x), [self_weights(params, x)[:, :, :1]])


@case("query and key are one projection")
def shared_projection() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q, v = (heads_of(x @ params[name]) for name in ("to_q", "to_v"))
        return (jax.nn.softmax(q @ q.mT * SCALE) @ v).swapaxes(1, 2).reshape(x.shape)

    params, x = projections(), hidden()
    return Prepared(attend, Inputs(params, x), [self_weights({**params, "to_k": params["to_q"]}, x)])


@case("no projections at all")
def no_projections() -> Prepared:
    def attend(x: Array) -> Array:
        return jax.nn.softmax(x @ x.mT) @ x

    x = hidden()
    states = np.asarray(x, dtype=np.float64)
    return Prepared(attend, Inputs(x), [softmax(states @ states.mT)[:, None]])


@case("latents ask the tokens (Perceiver)")
def latents() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        asked = jnp.broadcast_to(params["latents"], (BATCH, 5, DIM))
        q = heads_of(asked @ params["to_q"])
        k, v = (heads_of(x @ params[name]) for name in ("to_k", "to_v"))
        return (jax.nn.softmax(q @ k.mT * SCALE) @ v).swapaxes(1, 2).reshape(BATCH, 5, DIM) @ params["to_out"]

    params, x = {**projections(), "latents": hidden(5, DIM)}, hidden()
    exact, states = exactly(params, x)
    query, key = heads_of(exact["latents"][None] @ exact["to_q"]), heads_of(states @ exact["to_k"])
    return Prepared(attend, Inputs(params, x), [softmax(query @ key.mT * SCALE)], kinds=["cross"])


@case("latents ask the tokens, by einsum without a batch of latents")
def latents_unbatched() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q = (params["latents"] @ params["to_q"]).reshape(5, HEADS, HEAD_DIM)
        k, v = ((x @ params[name]).reshape(BATCH, LENGTH, HEADS, HEAD_DIM) for name in ("to_k", "to_v"))
        p = jax.nn.softmax(jnp.einsum("qhd,bkhd->bhqk", q, k) * SCALE)
        return jnp.einsum("bhqk,bkhd->bqhd", p, v).reshape(BATCH, 5, DIM) @ params["to_out"]

    params, x = {**projections(), "latents": hidden(5, DIM)}, hidden()
    exact, states = exactly(params, x)
    query, key = heads_of(exact["latents"][None] @ exact["to_q"]), heads_of(states @ exact["to_k"])
    return Prepared(attend, Inputs(params, x), [softmax(query @ key.mT * SCALE)], kinds=["cross"])


@case("narrow keys and values with a shared rotary part (MLA)")
def low_rank() -> Prepared:
    def parts(xp: Any, params: Parameters, x: Array) -> tuple[Array, Array, Array]:
        q = heads_of(x @ params["q_down"] @ params["q_up"])
        low, place = xp.split(x @ params["kv_down"], [10], axis=-1)
        kv = heads_of(low @ params["kv_up"])
        shared = xp.broadcast_to(place[:, None], (BATCH, HEADS, LENGTH, 2))
        return q, xp.concatenate([kv[..., :HEAD_DIM], shared], axis=-1), kv[..., HEAD_DIM:]

    def attend(params: Parameters, x: Array) -> Array:
        q, k, v = parts(jnp, params, x)
        p = jax.nn.softmax(jnp.einsum("bhqd,bhkd->bhqk", q, k) * SCALE)
        return (p @ v).swapaxes(1, 2).reshape(BATCH, LENGTH, -1) @ params["out"]

    wide = HEADS * (HEAD_DIM + 2), HEADS * (HEAD_DIM + 3)
    shapes = {"q_down": (DIM, 9), "q_up": (9, wide[0]), "kv_down": (DIM, 12), "kv_up": (10, wide[1])}
    params, x = projections(**shapes, out=(HEADS * 3, DIM)), hidden()
    query, key, _ = parts(np, *exactly(params, x))
    return Prepared(attend, Inputs(params, x), [softmax(query @ key.mT * SCALE)])


@case("narrow keys, their projection absorbed by the query")
def absorbed() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q = jnp.einsum("bqhd,hdr->bqhr", (x @ params["q"]).reshape(BATCH, LENGTH, HEADS, HEAD_DIM), params["k_up"])
        low = x @ params["down"]
        p = jax.nn.softmax(jnp.einsum("bqhr,bkr->bhqk", q, low) * SCALE)
        mixed = jnp.einsum("bhqk,bkr->bqhr", p, low)
        return jnp.einsum("bqhr,hdr->bqhd", mixed, params["v_up"]).reshape(x.shape)

    up = (HEADS, HEAD_DIM, 10)
    params, x = projections(q=(DIM, DIM), down=(DIM, 10), k_up=up, v_up=up), hidden()
    exact, states = exactly(params, x)
    query, low = heads_of(states @ exact["q"]) @ exact["k_up"], (states @ exact["down"])[:, None]
    return Prepared(attend, Inputs(params, x), [softmax(query @ low.mT * SCALE)])


@case("keys on a grid of two dimensions")
def grid_of_keys() -> Prepared:
    def attend(params: Parameters, x: Array, grid: Array) -> Array:
        q = (x @ params["to_q"]).reshape(BATCH, LENGTH, HEADS, HEAD_DIM)
        k, v = ((grid @ params[name]).reshape(BATCH, 3, 5, HEADS, HEAD_DIM) for name in ("to_k", "to_v"))
        s = jnp.einsum("bqhd,bxyhd->bhqxy", q, k) * SCALE
        p = jax.nn.softmax(s, axis=(-2, -1))
        return jnp.einsum("bhqxy,bxyhd->bqhd", p, v).reshape(BATCH, LENGTH, DIM) @ params["to_out"]

    params, x, grid = projections(), hidden(), hidden(BATCH, 3, 5, DIM)
    exact, states = exactly(params, x)
    source = np.asarray(grid, dtype=np.float64).reshape(BATCH, 15, DIM)
    query, key = heads_of(states @ exact["to_q"]), heads_of(source @ exact["to_k"])
    return Prepared(attend, Inputs(params, x, grid), [softmax(query @ key.mT * SCALE)], kinds=["cross"])


@case("blocks of positions attend within themselves")
def block_local() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q, k, v = (
            (x @ params[name]).reshape(BATCH, LENGTH // 4, 4, HEADS, HEAD_DIM) for name in ("to_q", "to_k", "to_v")
        )
        p = jax.nn.softmax(jnp.einsum("bnqhd,bnkhd->bnhqk", q, k) * SCALE)
        return jnp.einsum("bnhqk,bnkhd->bnqhd", p, v).reshape(x.shape) @ params["to_out"]

    params, x = projections(), hidden()
    return Prepared(attend, Inputs(params, x), [self_weights(params, x.reshape(-1, 4, DIM))])


@case("chunks of queries by lax.map")
def query_chunks() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q, k, v = (heads_of(x @ params[name]) for name in ("to_q", "to_k", "to_v"))

        def chunk(rows: Array) -> Array:
            return jax.nn.softmax(jnp.einsum("bhqd,bhkd->bhqk", rows, k) * SCALE) @ v

        chunks = q.reshape(BATCH, HEADS, 4, LENGTH // 4, HEAD_DIM).transpose(2, 0, 1, 3, 4)
        mixed = lax.map(chunk, chunks).transpose(1, 2, 0, 3, 4).reshape(BATCH, HEADS, LENGTH, HEAD_DIM)
        return mixed.swapaxes(1, 2).reshape(x.shape) @ params["to_out"]

    params, x = projections(), hidden()
    return Prepared(attend, Inputs(params, x), [self_weights(params, x)])


@case("chunks of keys with a running maximum (online softmax)")
def key_chunks() -> Prepared:
    def attend(params: Parameters, x: Array) -> Array:
        q, k, v = (heads_of(x @ params[name]) for name in ("to_q", "to_k", "to_v"))

        def step(carry: tuple[Array, Array, Array], chunk: tuple[Array, Array]) -> tuple[Any, None]:
            largest, total, mixed = carry
            s = jnp.einsum("bhqd,bhkd->bhqk", q, chunk[0]) * SCALE
            new = jnp.maximum(largest, s.max(-1, keepdims=True))
            e, old = jnp.exp(s - new), jnp.exp(largest - new)
            return (new, total * old + e.sum(-1, keepdims=True), mixed * old + e @ chunk[1]), None

        chunks = tuple(part.reshape(BATCH, HEADS, 2, 4, HEAD_DIM).transpose(2, 0, 1, 3, 4) for part in (k, v))
        shape = (BATCH, HEADS, LENGTH, 1)
        start = jnp.full(shape, -jnp.inf), jnp.zeros(shape), jnp.zeros((BATCH, HEADS, LENGTH, HEAD_DIM))
        (_, total, mixed), _ = lax.scan(step, start, chunks)
        return (mixed / total).swapaxes(1, 2).reshape(x.shape) @ params["to_out"]

    params, x = projections(), hidden()
    return Prepared(attend, Inputs(params, x), coverage_contains="online", note="reported, not captured")
