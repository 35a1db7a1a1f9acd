"""Equinox models: the library's attention, single and under vmap, against its formula in numpy."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax_case import Catalogue, Prepared
from jax_shell import random_array, softmax

from attncore import Inputs

BATCH, LENGTH, CONTEXT, HEADS, DIM, LAYERS = 2, 7, 5, 4, 24, 2
case = Catalogue("Equinox")
cases = case.cases
Array = Any


def states(*shape: int) -> Array:
    """Random hidden states, (length, dim) unless said otherwise: Equinox's layers take one item."""
    return jnp.asarray(random_array(70, *(shape or (LENGTH, DIM))))


class Block(eqx.Module):
    """A residual block on one item."""

    attention: eqx.nn.MultiheadAttention
    mlp: eqx.nn.MLP

    def __init__(self, key: Array) -> None:
        one, two = jax.random.split(key)
        self.attention = eqx.nn.MultiheadAttention(HEADS, DIM, key=one)
        self.mlp = eqx.nn.MLP(DIM, DIM, 2 * DIM, 1, key=two)

    def __call__(self, x: Array) -> Array:
        x = x + self.attention(x, x, x)
        return x + jax.vmap(self.mlp)(x)


class Encoder(eqx.Module):
    """Blocks one after the other."""

    blocks: list[Block]

    def __init__(self, key: Array) -> None:
        self.blocks = [Block(each) for each in jax.random.split(key, LAYERS)]

    def __call__(self, x: Array) -> Array:
        for block in self.blocks:
            x = block(x)
        return x


class ScannedEncoder(eqx.Module):
    """Stacked blocks by scan."""

    blocks: Block

    def __init__(self, key: Array) -> None:
        self.blocks = eqx.filter_vmap(Block)(jax.random.split(key, LAYERS))

    def __call__(self, x: Array) -> Array:
        arrays, rest = eqx.partition(self.blocks, eqx.is_array)

        def step(x: Array, layer: Any) -> tuple[Array, None]:
            return eqx.combine(layer, rest)(x), None

        return jax.lax.scan(step, x, arrays)[0]


def weights_of(layer: eqx.nn.MultiheadAttention, x: Array, context: Array | None = None) -> np.ndarray:
    """The layer's formula in float64 for items (batch, length, dim)."""

    def projected(linear: eqx.nn.Linear, source: Array) -> np.ndarray:
        kernel = np.asarray(linear.weight, dtype=np.float64)
        made = np.asarray(source, dtype=np.float64) @ kernel.T
        return made.reshape(*made.shape[:-1], HEADS, -1).swapaxes(-2, -3)

    query, key = projected(layer.query_proj, x), projected(layer.key_proj, x if context is None else context)
    return softmax(query @ key.mT / np.sqrt(query.shape[-1]))


def references_of(blocks: list[Block], x: Array) -> list[np.ndarray]:
    """The weights of each block for items (batch, length, dim)."""
    found = []
    for block in blocks:
        found.append(weights_of(block.attention, x))
        x = jax.vmap(block)(x)
    return found


KEY = jax.random.key(3)


@case("MultiheadAttention, one item")
def attention() -> Prepared:
    layer, x = eqx.nn.MultiheadAttention(HEADS, DIM, key=KEY), states()
    return Prepared(layer, Inputs(x, x, x), [weights_of(layer, x[None])])


@case("MultiheadAttention, cross, a mask")
def cross() -> Prepared:
    layer, x, context = eqx.nn.MultiheadAttention(HEADS, DIM, key=KEY), states(), states(CONTEXT, DIM)
    mask = jnp.ones((LENGTH, CONTEXT), dtype=bool).at[:, 3:].set(False)
    weights = weights_of(layer, x[None], context[None, :3])
    reference = np.pad(weights, ((0, 0), (0, 0), (0, 0), (0, 2)))
    return Prepared(layer, Inputs(x, context, context, mask), [reference], kinds=["cross"])


@case("MultiheadAttention, a mask by head")
def head_mask() -> Prepared:
    layer, x = eqx.nn.MultiheadAttention(HEADS, DIM, key=KEY), states()
    allowed = np.tril(np.ones((HEADS, LENGTH, LENGTH), dtype=bool), np.arange(HEADS).max())
    allowed[1] = np.tril(allowed[1])
    weights = weights_of(layer, x[None]) * allowed
    reference = weights / weights.sum(-1, keepdims=True)
    return Prepared(layer, Inputs(x, x, x, mask=jnp.asarray(allowed)), [reference])


@case("MultiheadAttention under vmap, a function of the module")
def vmapped() -> Prepared:
    layer, x = eqx.nn.MultiheadAttention(HEADS, DIM, key=KEY), states(BATCH, LENGTH, DIM)
    return Prepared(lambda layer, x: jax.vmap(layer)(x, x, x), Inputs(layer, x), [weights_of(layer, x)])


@case("encoder, one item")
def encoder() -> Prepared:
    model, x = Encoder(KEY), states()
    return Prepared(model, Inputs(x), references_of(model.blocks, x[None]), names=["0", "1"], kinds=["self"] * LAYERS)


@case("encoder under jax.vmap")
def encoder_vmap() -> Prepared:
    model, x = Encoder(KEY), states(BATCH, LENGTH, DIM)
    return Prepared(jax.vmap(model), Inputs(x), references_of(model.blocks, x))


@case("encoder under filter_vmap")
def encoder_filter_vmap() -> Prepared:
    model, x = Encoder(KEY), states(BATCH, LENGTH, DIM)
    return Prepared(eqx.filter_vmap(model), Inputs(x), references_of(model.blocks, x))


@case("encoder under filter_jit")
def encoder_filter_jit() -> Prepared:
    model, x = Encoder(KEY), states()
    return Prepared(eqx.filter_jit(model), Inputs(x), references_of(model.blocks, x[None]))


@case("filter_jit of a vmap, the module an argument")
def encoder_filter_jit_vmap() -> Prepared:
    model, x = Encoder(KEY), states(BATCH, LENGTH, DIM)
    function = eqx.filter_jit(lambda model, x: jax.vmap(model)(x))
    return Prepared(function, Inputs(model, x), references_of(model.blocks, x), names=["0", "1"])


@case("stacked blocks by scan, one item")
def scan() -> Prepared:
    model, x = ScannedEncoder(KEY), states()
    return Prepared(model, Inputs(x), references_of(taken_apart(model), x[None]), names=["blocks"] * LAYERS)


@case("stacked blocks by scan within vmap")
def scan_vmap() -> Prepared:
    model, x = ScannedEncoder(KEY), states(BATCH, LENGTH, DIM)
    function = lambda model, x: jax.vmap(model)(x)  # noqa: E731 - one line says it
    return Prepared(function, Inputs(model, x), references_of(taken_apart(model), x), names=["blocks"] * LAYERS)


def taken_apart(model: ScannedEncoder) -> list[Block]:
    """The blocks of a stack one by one."""
    arrays, rest = eqx.partition(model.blocks, eqx.is_array)
    return [eqx.combine(jax.tree.map(lambda array: array[i], arrays), rest) for i in range(LAYERS)]  # noqa: B023


@case("filter_checkpoint of each block")
def checkpointed() -> Prepared:
    model, x = Encoder(KEY), states(BATCH, LENGTH, DIM)

    def call(model: Encoder, x: Array) -> Array:
        for block in model.blocks:
            x = eqx.filter_checkpoint(lambda block, x: jax.vmap(block)(x))(block, x)
        return x

    return Prepared(call, Inputs(model, x), references_of(model.blocks, x))


@case("partition and combine")
def partitioned() -> Prepared:
    model, x = Encoder(KEY), states(BATCH, LENGTH, DIM)
    arrays, rest = eqx.partition(model, eqx.is_inexact_array)
    function = lambda arrays, x: jax.vmap(eqx.combine(arrays, rest))(x)  # noqa: E731 - one line says it
    return Prepared(function, Inputs(arrays, x), references_of(model.blocks, x), names=["0", "1"])
