"""A small transformer in plain JAX under the transformations that people use, and given in the ways that they do."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jax_blocks import (
    Array,
    Parameters,
    attend,
    block,
    hidden,
    model,
    model_parameters,
    reference,
)
from jax_case import Catalogue, Prepared

from attncore import Inputs

case = Catalogue("JAX transforms")
cases = case.cases
POLICIES = jax.checkpoint_policies


def prepared(function: Any, layers: int = 2, **fields: Any) -> Prepared:
    """``function(blocks, x)`` with the reference of the plain model."""
    blocks, x = model_parameters(layers), hidden()
    return Prepared(function, Inputs(blocks, x), reference(blocks, x), kinds=["self"] * layers, **fields)


@case("a list of blocks in Python")
def plain() -> Prepared:
    return prepared(model)


@case("jit")
def jit() -> Prepared:
    return prepared(jax.jit(model))


@case("jit within jit")
def nested_jit() -> Prepared:
    inner = jax.jit(jax.jit(block))
    return prepared(jax.jit(lambda blocks, x: inner(blocks[1], inner(blocks[0], x))))


@case("jit of a function that many layers share, inlined")
def shared_jit() -> Prepared:
    inner = jax.jit(attend, inline=True)

    def call(blocks: list[Parameters], x: Array) -> Array:
        for params in blocks:
            x = x + inner(params["attention"], x)
            x = x + jnp.maximum(x @ params["mlp"]["up"], 0) @ params["mlp"]["down"]
        return x

    return prepared(call)


def remat(policy: Any, **options: Any) -> Prepared:
    """Each block computed again in a backward pass."""
    one = jax.checkpoint(block, policy=policy, **options)

    def call(blocks: list[Parameters], x: Array) -> Array:
        for params in blocks:
            x = one(params, x)
        return x

    return prepared(call)


@case("remat")
def remat_plain() -> Prepared:
    return remat(None)


@case("remat, nothing saved")
def remat_nothing() -> Prepared:
    return remat(POLICIES.nothing_saveable, prevent_cse=False)


@case("remat, products saved")
def remat_dots() -> Prepared:
    return remat(POLICIES.dots_saveable)


@case("remat, products without a batch saved")
def remat_dots_without_batch() -> Prepared:
    return remat(POLICIES.dots_with_no_batch_dims_saveable)


@case("remat, named values saved")
def remat_names() -> Prepared:
    @partial(jax.checkpoint, policy=POLICIES.save_only_these_names("mixed"))
    def one(params: Parameters, x: Array) -> Array:
        x = x + checkpoint_name(attend(params["attention"], x), "mixed")
        return x + jnp.maximum(x @ params["mlp"]["up"], 0) @ params["mlp"]["down"]

    return prepared(lambda blocks, x: one(blocks[1], one(blocks[0], x)))


@case("remat within jit within remat")
def remat_nested() -> Prepared:
    one = jax.checkpoint(jax.jit(jax.checkpoint(block)))
    return prepared(lambda blocks, x: one(blocks[1], one(blocks[0], x)))


@case("vmap over the batch")
def vmap_batch() -> Prepared:
    return prepared(jax.vmap(model, in_axes=(None, 0)))


@case("vmap over the batch within jit")
def vmap_batch_jit() -> Prepared:
    return prepared(jax.jit(lambda blocks, x: jax.vmap(partial(model, blocks))(x)))


@case("vmap over a batch that comes last")
def vmap_batch_last() -> Prepared:
    blocks, x = model_parameters(2), hidden()
    function = jax.vmap(model, in_axes=(None, 2), out_axes=2)
    return Prepared(function, Inputs(blocks, x.transpose(1, 2, 0)), reference(blocks, x))


@case("vmap twice")
def vmap_twice() -> Prepared:
    blocks, x = model_parameters(2), hidden(3, 2, 7, 24)
    references = reference(blocks, x.reshape(6, 7, 24))
    function = jax.vmap(jax.vmap(model, in_axes=(None, 0)), in_axes=(None, 0))
    return Prepared(function, Inputs(blocks, x), references)


def head(query: Array, key: Array, value: Array) -> Array:
    """One head of one item, (length, head_dim)."""
    scores = query @ key.T * query.shape[-1] ** -0.5
    allowed = jnp.tril(jnp.ones(scores.shape, dtype=bool))
    return jax.nn.softmax(jnp.where(allowed, scores, -jnp.inf)) @ value


def with_heads(heads: Any) -> Any:
    """The model, its heads computed by ``heads`` on (batch, length, heads, head_dim)."""

    def call(blocks: list[Parameters], x: Array) -> Array:
        for params in blocks:
            own = params["attention"]
            parts = ((x @ own[name]).reshape(*x.shape[:2], 4, 6) for name in ("query", "key", "value"))
            x = x + heads(*parts).reshape(x.shape) @ own["out"]
            x = x + jnp.maximum(x @ params["mlp"]["up"], 0) @ params["mlp"]["down"]
        return x

    return call


@case("vmap over heads and batch")
def vmap_heads() -> Prepared:
    return prepared(with_heads(jax.vmap(jax.vmap(head, in_axes=1, out_axes=1))))


@case("vmap over batch and heads, in the other order")
def vmap_heads_outside() -> Prepared:
    return prepared(with_heads(jax.vmap(jax.vmap(head), in_axes=2, out_axes=2)))


@case("vmap over projections stacked by head")
def vmap_projections() -> Prepared:
    def one_head(query: Array, key: Array, value: Array, x: Array) -> Array:
        return jax.vmap(head)(x @ query, x @ key, x @ value)

    def call(blocks: list[Parameters], x: Array) -> Array:
        for params in blocks:
            own = {name: array.reshape(24, 4, 6) for name, array in params["attention"].items()}
            mixed = jax.vmap(one_head, in_axes=(1, 1, 1, None))(own["query"], own["key"], own["value"], x)
            x = x + mixed.transpose(1, 2, 0, 3).reshape(x.shape) @ params["attention"]["out"]
            x = x + jnp.maximum(x @ params["mlp"]["up"], 0) @ params["mlp"]["down"]
        return x

    return prepared(call)


@case("custom_jvp around the attention")
def custom_jvp() -> Prepared:
    @jax.custom_jvp
    def layer(params: Parameters, x: Array) -> Array:
        return attend(params, x)

    layer.defjvp(lambda primals, tangents: jax.jvp(attend, primals, tangents))
    return prepared(replaced(layer))


@case("custom_vjp around the attention")
def custom_vjp() -> Prepared:
    @jax.custom_vjp
    def layer(params: Parameters, x: Array) -> Array:
        return attend(params, x)

    layer.defvjp(lambda params, x: jax.vjp(attend, params, x), lambda backward, gradient: backward(gradient))
    return prepared(replaced(layer))


def replaced(layer: Any) -> Any:
    """The model with another function for its attention."""

    def call(blocks: list[Parameters], x: Array) -> Array:
        for params in blocks:
            x = x + layer(params["attention"], x)
            x = x + jnp.maximum(x @ params["mlp"]["up"], 0) @ params["mlp"]["down"]
        return x

    return call


@case(
    "named scopes",
)
def named_scopes() -> Prepared:
    def layer(params: Parameters, x: Array) -> Array:
        with jax.named_scope("self_attention"):
            return attend(params, x)

    return prepared(replaced(layer), names=["attention"] * 2)


@case("a callback to Python besides")
def callback() -> Prepared:
    def layer(params: Parameters, x: Array) -> Array:
        shift = jax.pure_callback(lambda a: np.zeros_like(a), jax.ShapeDtypeStruct(x.shape, x.dtype), x)
        return attend(params, x) + shift

    return prepared(replaced(layer))


@case("the loss and its gradient")
def gradient() -> Prepared:
    return prepared(jax.value_and_grad(lambda blocks, x: (model(blocks, x) ** 2).mean()))


@case("the same layer twice")
def shared_layer() -> Prepared:
    blocks, x = model_parameters(1), hidden()
    function = partial(repeated, 2)
    return Prepared(function, Inputs(blocks[0], x), reference(blocks * 2, x))


def repeated(times: int, params: Parameters, x: Array) -> Array:
    """One block a few times."""
    for _ in range(times):
        x = block(params, x)
    return x


@case("bfloat16")
def bfloat16() -> Prepared:
    blocks, x = model_parameters(1), hidden()
    low = jax.tree.map(lambda array: array.astype(jnp.bfloat16), (blocks, x))
    weights = own_bfloat16_weights(*low)
    return Prepared(
        model, Inputs(*low), [weights], tolerance=0.0, bfloat16_steps=2, output_tolerance=2**-6, reference="own"
    )


def own_bfloat16_weights(blocks: list[Parameters], x: Array) -> np.ndarray:
    """The weights of the first block as it computes them in bfloat16."""

    def weights(params: Parameters, x: Array) -> Array:
        query, key = ((x @ params[name]).reshape(*x.shape[:2], 4, 6) for name in ("query", "key"))
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * 6**-0.5
        return jax.nn.softmax(jnp.where(jnp.tril(jnp.ones(scores.shape[-2:], dtype=bool)), scores, -jnp.inf))

    return np.asarray(jax.jit(weights)(blocks[0]["attention"], x), dtype=np.float64)
