"""Flax linen models: the library's own attention against the weights that it sows, and modules by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax_case import Catalogue, Prepared
from jax_shell import in_float64, random_array, softmax

from attncore import Inputs

BATCH, LENGTH, CONTEXT, HEADS, DIM, LAYERS = 2, 7, 5, 4, 24, 2
case = Catalogue("Flax linen")
cases = case.cases
Array = Any


def states(length: int = LENGTH, seed: int = 50) -> Array:
    """Random hidden states (batch, length, dim)."""
    return jnp.asarray(random_array(seed, BATCH, length, DIM))


def random_like(tree: Any) -> Any:
    """The tree with random numbers of the sizes that an initialiser would choose."""
    leaves, structure = jax.tree.flatten(tree)
    drawn = [random_array(60 + i, *leaf.shape) * max(1, leaf.shape[0]) ** -0.5 for i, leaf in enumerate(leaves)]
    return structure.unflatten([jnp.asarray(a, dtype=leaf.dtype) for a, leaf in zip(drawn, leaves, strict=True)])


def variables_of(module: nn.Module, *inputs: Any, **options: Any) -> Any:
    """Random parameters, and zeros in the other collections."""
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, **options))
    zeros = {name: jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), tree) for name, tree in shapes.items()}
    return {**zeros, "params": random_like(shapes["params"])}


class Attention(nn.Module):
    """The library's attention, sowing its weights where it is asked to."""

    sow: bool = False
    options: Any = None

    @nn.compact
    def __call__(self, x: Array, context: Array | None = None, mask: Array | None = None) -> Array:
        attention = nn.MultiHeadDotProductAttention(HEADS, **dict(self.options or {}), name="attn")
        return attention(x, x if context is None else context, mask=mask, sow_weights=self.sow)


class Block(nn.Module):
    """A residual block."""

    sow: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = x + Attention(self.sow, name="attention")(nn.LayerNorm()(x))
        return x + nn.Dense(DIM)(nn.gelu(nn.Dense(2 * DIM)(nn.LayerNorm()(x))))


class Encoder(nn.Module):
    """Blocks one after the other, each made by ``kind``."""

    sow: bool = False
    kind: Callable[..., nn.Module] = Block

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for layer in range(LAYERS):
            x = self.kind(self.sow, name=f"block_{layer}")(x)
        return nn.LayerNorm()(x)


class Scanned(nn.Module):
    """The same blocks by `flax.linen.scan`."""

    sow: bool = False
    remat: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        class Step(nn.Module):
            sow: bool = False

            @nn.compact
            def __call__(self, x: Array, _: None) -> tuple[Array, None]:
                return Block(self.sow, name="block")(x), None

        step: Any = nn.remat(Step, prevent_cse=False) if self.remat else Step
        axes = {"params": 0, "intermediates": 0}
        blocks = nn.scan(step, variable_axes=axes, split_rngs={"params": True}, length=LAYERS)
        x, _ = blocks(self.sow, name="blocks")(x, None)
        return nn.LayerNorm()(x)


def sown(module: nn.Module, variables: Any, *args: Any, **kwargs: Any) -> list[np.ndarray]:
    """The weights that a sowing twin keeps, in the order of the layers' names, (batch, heads, query, key)."""
    twin = module.clone(sow=True)
    _, kept = jax.jit(lambda v, a, k: twin.apply(v, *a, **k, mutable=["intermediates"]))(variables, args, kwargs)
    arrays = [np.asarray(leaf, dtype=np.float64) for leaf in jax.tree.leaves(kept["intermediates"])]
    return [weights for array in arrays for weights in (array if array.ndim == 5 else [array])]


def prepared(module: nn.Module, *inputs: Any, **fields: Any) -> Prepared:
    """``module.apply`` against its sown weights."""
    variables = variables_of(module, *inputs)
    references = sown(module, variables, *inputs)
    return Prepared(module.apply, Inputs(variables, *inputs), references, reference="own", **fields)


@case("MultiHeadDotProductAttention")
def attention() -> Prepared:
    return prepared(Attention(), states(), names=["attn"], kinds=["self"])


@case("MultiHeadDotProductAttention, cross")
def cross_attention() -> Prepared:
    return prepared(Attention(), states(), states(CONTEXT, 51), kinds=["cross"])


@case("MultiHeadDotProductAttention, a causal mask")
def masked_attention() -> Prepared:
    return prepared(Attention(), states(), None, nn.make_causal_mask(jnp.ones((BATCH, LENGTH))))


@case("MultiHeadDotProductAttention, query and key normalised, no bias")
def normalised_attention() -> Prepared:
    options = (("normalize_qk", True), ("use_bias", False))
    return prepared(Attention(options=options), states())


@case("MultiHeadDotProductAttention, bfloat16")
def bfloat16_attention() -> Prepared:
    options = (("dtype", jnp.bfloat16),)
    return prepared(Attention(options=options), states(), bfloat16_steps=2, tolerance=0.0, output_tolerance=2**-6)


@case("encoder of two blocks")
def encoder() -> Prepared:
    return prepared(Encoder(), states(), names=["block_0", "block_1"], kinds=["self"] * LAYERS)


@case("encoder, apply jitted")
def encoder_jit() -> Prepared:
    module, x = Encoder(), states()
    variables = variables_of(module, x)
    return Prepared(jax.jit(module.apply), Inputs(variables, x), sown(module, variables, x), reference="own")


@case("encoder, blocks under remat")
def encoder_remat() -> Prepared:
    return prepared(Encoder(kind=nn.remat(Block)), states(), names=["block_0", "block_1"])


@case("encoder, blocks under nn.jit")
def encoder_lifted_jit() -> Prepared:
    return prepared(Encoder(kind=nn.jit(Block)), states(), names=["block_0", "block_1"])


@case("encoder by nn.scan")
def encoder_scan() -> Prepared:
    return prepared(Scanned(), states(), names=["blocks"] * LAYERS, kinds=["self"] * LAYERS)


@case("encoder by nn.scan, blocks under remat")
def encoder_scan_remat() -> Prepared:
    return prepared(Scanned(remat=True), states(), names=["blocks"] * LAYERS)


@case("a bound module")
def bound() -> Prepared:
    module, x = Encoder(), states()
    variables = variables_of(module, x)
    references = sown(module, variables, x)
    return Prepared(
        module.bind(variables),
        Inputs(x),
        references,
        plain=lambda: jax.jit(module.apply)(variables, x),
        reference="own",
    )


class ByHand(nn.Module):
    """Attention written with einsum, its weights returned besides."""

    with_weights: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Any:
        query, key, value = (nn.DenseGeneral((HEADS, DIM // HEADS), name=name)(x) for name in ("query", "key", "value"))
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / jnp.sqrt(DIM // HEADS)
        weights = nn.softmax(jnp.where(nn.make_causal_mask(x[..., 0]), scores, -1e9))
        out = nn.DenseGeneral(DIM, axis=(-2, -1), name="out")(jnp.einsum("bhqk,bkhd->bqhd", weights, value))
        return (out, weights) if self.with_weights else out


@case("attention by hand in a module")
def by_hand() -> Prepared:
    module, x = ByHand(), states()
    variables = variables_of(module, x)
    weights = np.asarray(ByHand(with_weights=True).apply(variables, x)[1], dtype=np.float64)
    return Prepared(module.apply, Inputs(variables, x), [weights], reference="own", kinds=["self"])


@case("attention that returns its weights")
def returned() -> Prepared:
    module, x = ByHand(with_weights=True), states()
    variables = variables_of(module, x)
    weights = np.asarray(module.apply(variables, x)[1], dtype=np.float64)
    return Prepared(module.apply, Inputs(variables, x), [weights], reference="own")


@case("vmap over the batch of a module without one")
def vmapped() -> Prepared:
    module, x = Encoder(), states()
    variables = variables_of(module, x)
    function = jax.vmap(lambda variables, item: module.apply(variables, item), in_axes=(None, 0))
    return Prepared(function, Inputs(variables, x), sown(module, variables, x), reference="own")


@case("dropout of weights in training")
def dropout() -> Prepared:
    module, x = Attention(options=(("dropout_rate", 0.3), ("deterministic", False))), states()
    variables = variables_of(Attention(), x)
    references = sown(Attention(), variables, x)

    def call(variables: Any, x: Array, key: Array) -> Array:
        return module.apply(variables, x, rngs={"dropout": key})

    inputs = Inputs(variables, x, jax.random.key(1))
    return Prepared(call, inputs, references, notes_contain="dropout", reference="own")


@case("one step of decoding with the library's cache")
def decode() -> Prepared:
    module, x = nn.MultiHeadDotProductAttention(HEADS, decode=True), states()
    variables = variables_of(module, x)
    apply = jax.jit(lambda variables, x: module.apply(variables, x, mutable=["cache"]))
    for place in range(3):
        _, changed = apply(variables, x[:, place : place + 1])
        variables = {**variables, **changed}
    exact, inputs = in_float64(variables["params"]), np.asarray(x, dtype=np.float64)
    parts = {n: np.einsum("btd,dhe->bhte", inputs, exact[n]["kernel"]) for n in ("query", "key")}
    query, key = (part + exact[name]["bias"][:, None] for name, part in parts.items())
    weights = softmax(query[:, :, 3:4] @ key[:, :, :4].mT * (DIM // HEADS) ** -0.5)
    reference = np.pad(weights, ((0, 0), (0, 0), (0, 0), (0, LENGTH - 4)))

    def call(variables: Any, token: Array) -> Any:
        return module.apply(variables, token, mutable=["cache"])

    return Prepared(call, Inputs(variables, x[:, 3:4]), [reference], kinds=["self"])
