"""Flax nnx models, called in every way that nnx offers, against the weights that the library's attention sows."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax_case import Catalogue, Prepared
from jax_shell import random_array

from attncore import Inputs

BATCH, LENGTH, CONTEXT, HEADS, DIM, LAYERS = 2, 7, 5, 4, 24, 2
case = Catalogue("Flax nnx")
cases = case.cases
Array = Any


def states(length: int = LENGTH, seed: int = 50) -> Array:
    """Random hidden states (batch, length, dim)."""
    return jnp.asarray(random_array(seed, BATCH, length, DIM))


class Block(nnx.Module):
    """A residual block around the library's attention."""

    def __init__(self, rngs: nnx.Rngs, **options: Any) -> None:
        self.norm = nnx.LayerNorm(DIM, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(HEADS, DIM, decode=False, rngs=rngs, **options)
        self.up, self.down = nnx.Linear(DIM, 2 * DIM, rngs=rngs), nnx.Linear(2 * DIM, DIM, rngs=rngs)

    def __call__(self, x: Array, sow: bool = False) -> Array:
        x = x + self.attention(self.norm(x), sow_weights=sow)
        return x + self.down(nnx.relu(self.up(x)))


class Encoder(nnx.Module):
    """Blocks one after the other, each perhaps under remat."""

    def __init__(self, rngs: nnx.Rngs, layers: int = LAYERS, remat: bool = False) -> None:
        self.blocks = nnx.List([Block(rngs) for _ in range(layers)])
        self.remat = remat

    def __call__(self, x: Array, sow: bool = False) -> Array:
        for block in self.blocks:
            x = nnx.remat(lambda module, x: module(x))(block, x) if self.remat else block(x, sow)
        return x


class ScannedEncoder(nnx.Module):
    """The blocks stacked by vmap and run by scan."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        @nnx.split_rngs(splits=LAYERS)
        @nnx.vmap(in_axes=(0,), out_axes=0)
        def make(rngs: nnx.Rngs) -> Block:
            return Block(rngs)

        self.blocks = make(rngs)

    def __call__(self, x: Array, sow: bool = False) -> Array:
        @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        def run(x: Array, block: Block) -> Array:
            return block(x, sow)

        return run(x, self.blocks)


def sown(model: nnx.Module, *args: Any, **kwargs: Any) -> list[np.ndarray]:
    """The weights that a copy of the model sows, (batch, heads, query, key) each."""
    copy = nnx.clone(model)
    copy(*args, **kwargs)
    arrays = [np.asarray(leaf, dtype=np.float64) for leaf in jax.tree.leaves(nnx.pop(copy, nnx.Intermediate))]
    return [weights for array in arrays for weights in (array if array.ndim == 5 else [array])]


def encoder(**options: Any) -> tuple[Encoder, Array, list[np.ndarray]]:
    """A model, an input, and the model's own weights."""
    model, x = Encoder(nnx.Rngs(0), **options), states()
    plain = Encoder(nnx.Rngs(0))
    return model, x, sown(plain, x, sow=True)


NAMES = ["0", "1"]


@case("a module called")
def called() -> Prepared:
    model, x, references = encoder()
    return Prepared(model, Inputs(x), references, names=NAMES, kinds=["self"] * LAYERS, reference="own")


@case("a module as an argument of a function")
def argument() -> Prepared:
    model, x, references = encoder()
    return Prepared(lambda model, x: model(x), Inputs(model, x), references, names=NAMES, reference="own")


@case("split and merged, the state an argument")
def split_merge() -> Prepared:
    model, x, references = encoder()
    graph, state = nnx.split(model)
    function = lambda state, x: nnx.merge(graph, state)(x)  # noqa: E731 - one line says it
    return Prepared(function, Inputs(state, x), references, names=NAMES, reference="own")


@case("split, the graph an argument too")
def split_graph() -> Prepared:
    model, x, references = encoder()
    graph, state = nnx.split(model)

    def call(graph: Any, state: Any, x: Array) -> Array:
        return nnx.merge(graph, state)(x)

    return Prepared(call, Inputs(graph, state, x), references, names=NAMES, reference="own")


@case("split, parameters apart from the other state")
def split_parameters() -> Prepared:
    model, x, references = encoder()
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def call(params: Any, rest: Any, x: Array) -> Array:
        return nnx.merge(graph, params, rest)(x)

    return Prepared(call, Inputs(params, rest, x), references, names=NAMES, reference="own")


@case("nnx.jit, the module an argument")
def jitted() -> Prepared:
    model, x, references = encoder()
    function = nnx.jit(lambda model, x: model(x))
    return Prepared(function, Inputs(model, x), references, plain=lambda: function(model, x), reference="own")


@case("a module in a closure")
def closure() -> Prepared:
    model, x, references = encoder()
    return Prepared(lambda x: model(x), Inputs(x), references, reference="own")


@case("a method of a module")
def method() -> Prepared:
    model, x, references = encoder()
    return Prepared(model.__call__, Inputs(x), references, plain=lambda: nnx.jit(Encoder.__call__)(model, x))


@case("blocks under nnx.remat")
def remat() -> Prepared:
    model, x, references = encoder(remat=True)
    return Prepared(model, Inputs(x), references, reference="own")


@case("stacked blocks by nnx.scan")
def scan() -> Prepared:
    model, x = ScannedEncoder(nnx.Rngs(0)), states()
    references = sown_of_stack(model, x)
    return Prepared(model, Inputs(x), references, names=["blocks"] * LAYERS, reference="own")


@case("stacked blocks by nnx.scan within nnx.jit")
def scan_jit() -> Prepared:
    model, x = ScannedEncoder(nnx.Rngs(0)), states()
    function = nnx.jit(lambda model, x: model(x))
    plain = lambda: function(model, x)  # noqa: E731 - one line says it
    return Prepared(function, Inputs(model, x), sown_of_stack(model, x), plain=plain, reference="own")


def sown_of_stack(model: ScannedEncoder, x: Array) -> list[np.ndarray]:
    """The weights of stacked blocks, which are taken apart and called one by one."""
    graph, state = nnx.split(model.blocks)
    found = []
    for layer in range(LAYERS):
        block = nnx.merge(graph, jax.tree.map(lambda array: array[layer], state))  # noqa: B023 - used at once
        found += sown(block, x, sow=True)
        x = block(x)
        nnx.pop(block, nnx.Intermediate)
    return found


@case("cross attention, a mask")
def cross() -> Prepared:
    layer = nnx.MultiHeadAttention(HEADS, DIM, decode=False, rngs=nnx.Rngs(0))
    x, context = states(), states(CONTEXT, 51)
    mask = jnp.arange(CONTEXT) < jnp.asarray([CONTEXT, 3])[:, None, None, None]
    inputs = Inputs(x, context, mask=mask)
    references = sown(layer, *inputs.args, **inputs.kwargs, sow_weights=True)
    return Prepared(layer, inputs, references, kinds=["cross"], reference="own")


@case("bfloat16")
def bfloat16() -> Prepared:
    layer = nnx.MultiHeadAttention(HEADS, DIM, dtype=jnp.bfloat16, decode=False, rngs=nnx.Rngs(0))
    x = states()
    graph, state = nnx.split(layer)

    @jax.jit
    def own(state: Any, x: Array) -> Any:
        copy = nnx.merge(graph, state)
        copy(x, sow_weights=True)
        return nnx.pop(copy, nnx.Intermediate)

    references = [np.asarray(leaf, dtype=np.float64) for leaf in jax.tree.leaves(own(state, x))]
    return Prepared(
        layer,
        Inputs(x),
        references,
        tolerance=0.0,
        # XLA leaves out roundings to bfloat16 between operations that it fuses, which are not the same in both.
        bfloat16_steps=6,
        output_tolerance=2**-6,
        reference="own",
    )


@case("a step of decoding with the module's cache")
def decode() -> Prepared:
    x = states()

    def fresh() -> nnx.MultiHeadAttention:
        layer = nnx.MultiHeadAttention(HEADS, DIM, decode=True, rngs=nnx.Rngs(0))
        layer.init_cache((BATCH, LENGTH, DIM))
        for place in range(3):
            layer(x[:, place : place + 1])
        return layer

    token = x[:, 3:4]
    references = sown(fresh(), token, sow_weights=True)
    return Prepared(
        fresh(), Inputs(token), references, plain=lambda: fresh()(token), changes_state=True, reference="own"
    )


class ByHand(nnx.Module):
    """Attention written out, its weights returned where asked for."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.qkv = nnx.LinearGeneral(DIM, (3, HEADS, DIM // HEADS), rngs=rngs)
        self.out = nnx.LinearGeneral((HEADS, DIM // HEADS), DIM, axis=(-2, -1), rngs=rngs)

    def __call__(self, x: Array, with_weights: bool = False) -> Any:
        query, key, value = jnp.moveaxis(self.qkv(x), 2, 0)
        weights = nnx.softmax(jnp.einsum("bqhd,bkhd->bhqk", query, key) * (DIM // HEADS) ** -0.5)
        out = self.out(jnp.einsum("bhqk,bkhd->bqhd", weights, value))
        return (out, weights) if with_weights else out


@case("attention by hand in a module")
def by_hand() -> Prepared:
    model, x = ByHand(nnx.Rngs(0)), states()
    reference = np.asarray(model(x, with_weights=True)[1], dtype=np.float64)
    return Prepared(model, Inputs(x), [reference], kinds=["self"], reference="own")
