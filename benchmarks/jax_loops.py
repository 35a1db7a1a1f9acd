"""A small transformer in plain JAX in loops and branches: scanned layers, decoding with a cache, cond and switch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax_blocks import (
    BATCH,
    DIM,
    HEAD_DIM,
    HEADS,
    LAYERS,
    LENGTH,
    SCALE,
    Array,
    Parameters,
    attend,
    block,
    hidden,
    model,
    model_parameters,
    reference,
    stacked,
)
from jax_case import Catalogue, Prepared

from attncore import Inputs

case = Catalogue("JAX loops and branches")
cases = case.cases


def scanned(function: Callable[[Parameters, Array], Any], layers: int = LAYERS) -> Prepared:
    """``function(stacked blocks, x)`` with the reference of the plain model."""
    blocks, x = model_parameters(layers), hidden()
    return Prepared(function, Inputs(stacked(blocks), x), reference(blocks, x), kinds=["self"] * layers)


def step(x: Array, params: Parameters) -> tuple[Array, None]:
    """One turn of a scan over the layers."""
    return block(params, x), None


# Layers.


@case("scan over the layers")
def scan_layers() -> Prepared:
    return scanned(lambda blocks, x: lax.scan(step, x, blocks)[0])


@case("scan over the layers, unrolled by two, jit")
def scan_unrolled() -> Prepared:
    return scanned(jax.jit(lambda blocks, x: lax.scan(step, x, blocks, unroll=2)[0]))


@case("scan over the layers, each under remat")
def scan_remat() -> Prepared:
    policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    one = jax.checkpoint(step, policy=policy, prevent_cse=False)
    return scanned(lambda blocks, x: lax.scan(one, x, blocks)[0])


@case("scan over the layers within vmap over the batch")
def scan_vmap() -> Prepared:
    return scanned(jax.vmap(lambda blocks, x: lax.scan(step, x, blocks)[0], in_axes=(None, 0)))


@case("scan over the layers that also returns every layer's states")
def scan_states() -> Prepared:
    def call(blocks: Parameters, x: Array) -> Any:
        return lax.scan(lambda x, params: (block(params, x),) * 2, x, blocks)

    return scanned(call)


@case("scan over the layers, backwards")
def scan_reverse() -> Prepared:
    blocks, x = model_parameters(), hidden()
    return Prepared(
        lambda blocks, x: lax.scan(step, x, blocks, reverse=True)[0],
        Inputs(stacked(blocks[::-1]), x),
        reference(blocks, x),
    )


@case("scan over groups of layers, each a scan")
def scan_nested() -> Prepared:
    blocks, x = model_parameters(4), hidden()
    groups = stacked([stacked(blocks[:2]), stacked(blocks[2:])])

    def call(groups: Parameters, x: Array) -> Array:
        return lax.scan(lambda x, group: lax.scan(step, x, group), x, groups)[0]

    return Prepared(call, Inputs(groups, x), reference(blocks, x))


@case("scan over pairs of different layers")
def scan_pairs() -> Prepared:
    blocks, x = model_parameters(4), hidden()

    def pair(x: Array, params: tuple[Parameters, Parameters]) -> tuple[Array, None]:
        return block(params[1], block(params[0], x)), None

    pairs = (stacked(blocks[::2]), stacked(blocks[1::2]))
    return Prepared(lambda pairs, x: lax.scan(pair, x, pairs)[0], Inputs(pairs, x), reference(blocks, x))


@case("fori_loop over the layers, weights picked by the counter")
def fori_layers() -> Prepared:
    def call(blocks: Parameters, x: Array) -> Array:
        return lax.fori_loop(0, LAYERS, lambda i, x: block(jax.tree.map(lambda array: array[i], blocks), x), x)

    return scanned(call)


@case("the same layer in a fori_loop")
def fori_shared() -> Prepared:
    blocks, x = model_parameters(1), hidden()
    function = lambda params, x: lax.fori_loop(0, 3, lambda _, x: block(params, x), x)  # noqa: E731 - one line says it
    return Prepared(function, Inputs(blocks[0], x), reference(blocks * 3, x))


@case("the same layer in a while_loop of unknown length")
def while_shared() -> Prepared:
    blocks, x = model_parameters(1), hidden()

    def call(params: Parameters, x: Array, times: Array) -> Array:
        def turn(state: tuple[Array, Array]) -> tuple[Array, Array]:
            return state[0] + 1, block(params, state[1])

        return lax.while_loop(lambda state: state[0] < times, turn, (0, x))[1]

    return Prepared(call, Inputs(blocks[0], x, jnp.asarray(3)), reference(blocks * 3, x))


@case("items of the batch one by one by lax.map")
def map_batch() -> Prepared:
    blocks, x = model_parameters(2), hidden()
    return Prepared(lambda blocks, x: lax.map(partial(model, blocks), x), Inputs(blocks, x), reference(blocks, x))


# Branches.


@case("cond, the branch that ran")
def cond() -> Prepared:
    blocks, x = model_parameters(2), hidden()

    def call(blocks: list[Parameters], x: Array, first: Array) -> Array:
        return lax.cond(first, partial(block, blocks[0]), partial(block, blocks[1]), x)

    return Prepared(call, Inputs(blocks, x, jnp.asarray(False)), reference(blocks[1:], x))


@case("cond, one branch without attention, after a layer")
def cond_skipped() -> Prepared:
    blocks, x = model_parameters(2), hidden()

    def call(blocks: list[Parameters], x: Array, skip: Array) -> Array:
        return lax.cond(skip, lambda x: x, partial(block, blocks[1]), block(blocks[0], x))

    return Prepared(call, Inputs(blocks, x, jnp.asarray(True)), reference(blocks[:1], x))


@case("switch among three layers")
def switch() -> Prepared:
    blocks, x = model_parameters(3), hidden()

    def call(blocks: list[Parameters], x: Array, which: Array) -> Array:
        return lax.switch(which, [partial(block, params) for params in blocks], x)

    return Prepared(call, Inputs(blocks, x, jnp.asarray(2)), reference(blocks[2:], x))


@case("scan over the layers, each with or without attention by a flag")
def scan_cond() -> Prepared:
    blocks, x = model_parameters(3), hidden()
    flags = jnp.asarray([True, False, True])

    def call(blocks: Parameters, flags: Array, x: Array) -> Array:
        def one(x: Array, item: tuple[Parameters, Array]) -> tuple[Array, None]:
            params, flag = item
            mixed = lax.cond(flag, lambda x: attend(params["attention"], x), jnp.zeros_like, x)
            x = x + mixed
            return x + jnp.maximum(x @ params["mlp"]["up"], 0) @ params["mlp"]["down"], None

        return lax.scan(one, x, (blocks, flags))[0]

    def exact() -> list[np.ndarray]:
        without = {**blocks[1], "attention": jax.tree.map(jnp.zeros_like, blocks[1]["attention"])}
        first, _, third = reference([blocks[0], without, blocks[2]], x)
        return [first, third]

    return Prepared(call, Inputs(stacked(blocks), flags, x), exact())


# Decoding, a token at a time.


def one_token(params: Parameters, cache: tuple[Array, Array], x: Array, place: Array) -> tuple[Any, Array]:
    """A block on one position (batch, 1, dim), with keys and values of the earlier ones in a cache."""
    own = params["attention"]
    query, key, value = ((x @ own[name]).reshape(BATCH, 1, HEADS, HEAD_DIM) for name in ("query", "key", "value"))
    keys, values = (lax.dynamic_update_slice(c, new, (0, place, 0, 0)) for c, new in zip(cache, (key, value)))  # noqa: B905
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, keys) * SCALE
    weights = jax.nn.softmax(jnp.where(jnp.arange(keys.shape[1]) <= place, scores, -jnp.inf))
    x = x + jnp.einsum("bhqk,bkhd->bqhd", weights, values).reshape(x.shape) @ own["out"]
    return (keys, values), x + jnp.maximum(x @ params["mlp"]["up"], 0) @ params["mlp"]["down"]


def empty_caches(layers: int, longest: int = LENGTH) -> list[tuple[Array, Array]]:
    """A cache for each layer."""
    return [(jnp.zeros((BATCH, longest, HEADS, HEAD_DIM)),) * 2 for _ in range(layers)]


def decode_step(blocks: list[Parameters], caches: Any, x: Array, place: Array) -> tuple[Any, Array]:
    """All layers on one position."""
    new = []
    for params, cache in zip(blocks, caches, strict=True):
        cache, x = one_token(params, cache, x, place)
        new.append(cache)
    return new, x


@case("one step of decoding, the caches an argument")
def decode_once() -> Prepared:
    blocks, x = model_parameters(1), hidden()
    query = np.asarray(x)
    caches = [tuple((x @ blocks[0]["attention"][n]).reshape(BATCH, LENGTH, HEADS, HEAD_DIM) for n in ("key", "value"))]

    def call(blocks: list[Parameters], x: Array, cache: Any, place: Array) -> Any:
        return decode_step(blocks, cache, x, place)

    last = jnp.asarray(query[:, -1:])
    references = [reference(blocks, x)[0][:, :, -1:]]
    return Prepared(call, Inputs(blocks, last, caches, jnp.asarray(LENGTH - 1)), references, kinds=["self"])


def decoding(loop: Callable[..., Any], longest: int = LENGTH) -> Prepared:
    """A loop over the positions of two layers: each layer's steps are its rows."""
    blocks, x = model_parameters(2), hidden()
    unwritten = ((0, 0), (0, 0), (0, 0), (0, longest - LENGTH))
    references = [np.pad(weights, unwritten) for weights in reference(blocks, x)]
    return Prepared(loop, Inputs(blocks, x), references, kinds=["self"] * 2)


@case("decoding by scan")
def decode_scan() -> Prepared:
    def call(blocks: list[Parameters], x: Array) -> Array:
        def turn(caches: Any, item: tuple[Array, Array]) -> tuple[Any, Array]:
            return decode_step(blocks, caches, item[1][:, None], item[0])

        outputs = lax.scan(turn, empty_caches(2), (jnp.arange(LENGTH), x.swapaxes(0, 1)))[1]
        return outputs[:, :, 0].swapaxes(0, 1)

    return decoding(call)


@case("decoding by fori_loop")
def decode_fori() -> Prepared:
    def call(blocks: list[Parameters], x: Array) -> Array:
        def turn(place: Array, state: tuple[Any, Array]) -> tuple[Any, Array]:
            caches, out = state
            now = lax.dynamic_slice(x, (0, place, 0), (BATCH, 1, DIM))
            caches, new = decode_step(blocks, caches, now, place)
            return caches, lax.dynamic_update_slice(out, new, (0, place, 0))

        return lax.fori_loop(0, LENGTH, turn, (empty_caches(2), jnp.zeros_like(x)))[1]

    return decoding(call)


@case("decoding by while_loop, a cache longer than the text")
def decode_while() -> Prepared:
    def call(blocks: list[Parameters], x: Array) -> Array:
        def turn(state: tuple[Array, Any, Array]) -> tuple[Array, Any, Array]:
            place, caches, out = state
            now = lax.dynamic_slice(x, (0, place, 0), (BATCH, 1, DIM))
            caches, new = decode_step(blocks, caches, now, place)
            return place + 1, caches, lax.dynamic_update_slice(out, new, (0, place, 0))

        start = (jnp.asarray(0), empty_caches(2, LENGTH + 3), jnp.zeros_like(x))
        return lax.while_loop(lambda state: state[0] < LENGTH, turn, start)[2]

    return decoding(call, LENGTH + 3)


@case("decoding by scan, the layers scanned within")
def decode_scan_layers() -> Prepared:
    blocks, x = model_parameters(2), hidden()

    def call(blocks: Parameters, x: Array) -> Array:
        def turn(caches: Any, item: tuple[Array, Array]) -> tuple[Any, Array]:
            def layer(x: Array, part: tuple[Parameters, Any]) -> tuple[Array, Any]:
                cache, x = one_token(part[0], part[1], x, item[0])
                return x, cache

            out, caches = lax.scan(layer, item[1][:, None], (blocks, caches))
            return caches, out

        caches = jax.tree.map(lambda *arrays: jnp.stack(arrays), *empty_caches(2))
        outputs = lax.scan(turn, caches, (jnp.arange(LENGTH), x.swapaxes(0, 1)))[1]
        return outputs[:, :, 0].swapaxes(0, 1)

    return Prepared(call, Inputs(stacked(blocks), x), reference(blocks, x))
