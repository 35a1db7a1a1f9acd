"""Attention as people write it in JAX: one small function, and what every variant has in common.

Each variant is a function ``(params, query, key, value) -> output`` on (batch, heads, length, head_dim) in jax.numpy.
The function around it projects a random input. The reference computes the same queries and keys in numpy float64 and
takes its weights from a second, plain formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax_case import JaxCase, Prepared

from attncore import Inputs

# All sizes differ, so that no two dimensions can be taken for one another.
BATCH, HEADS, LENGTH, CONTEXT, HEAD_DIM, GROUPS = 2, 6, 7, 5, 4, 2
SCALE = 1 / math.sqrt(HEAD_DIM)
FAMILY = "JAX by hand"

Array = Any
Parameters = dict[str, Any]
Mix = Callable[[Parameters, Array, Array, Array], Array]
# Weights from parameters, query and key in numpy float64, key heads repeated: (batch, heads, query, key).
Reference = Callable[[Parameters, np.ndarray, np.ndarray], Any]


def softmax(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """The softmax in numpy, zero where a whole row is masked."""
    exponentials = np.exp(scores - np.maximum(scores.max(axis=axis, keepdims=True), -1e30))
    sums = exponentials.sum(axis=axis, keepdims=True)
    return np.asarray(exponentials / np.where(sums == 0, 1, sums))


def plain_weights(params: Parameters, query: np.ndarray, key: np.ndarray) -> np.ndarray:
    """The textbook's formula."""
    return softmax(query @ key.swapaxes(-1, -2) * SCALE)


def causal(rows: int, columns: int) -> np.ndarray:
    """True where attention is allowed."""
    return np.tril(np.ones((rows, columns), dtype=bool), columns - rows)


def random_array(seed: int, *shape: int) -> np.ndarray:
    """Standard normal float32 numbers that depend on the seed alone."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def make_parameters(heads: int = HEADS, kv_heads: int = HEADS, seed: int = 0) -> Parameters:
    """Projections of a layer, and what some variants need besides, named as people name them."""
    dim = heads * HEAD_DIM
    made = {
        "q_proj": random_array(seed + 1, dim, dim) / math.sqrt(dim),
        "k_proj": random_array(seed + 2, dim, kv_heads * HEAD_DIM) / math.sqrt(dim),
        "v_proj": random_array(seed + 3, dim, kv_heads * HEAD_DIM) / math.sqrt(dim),
        "out_proj": random_array(seed + 4, dim, dim) / math.sqrt(dim),
        "per_head": random_array(seed + 5, heads),
        "table": random_array(seed + 6, heads, 2 * LENGTH - 1),
        "before": random_array(seed + 7, heads, heads) / math.sqrt(heads),
        "after": random_array(seed + 8, heads, heads) / math.sqrt(heads),
        "latents": random_array(seed + 9, 3, dim),
    }
    return {name: jnp.asarray(array) for name, array in made.items()}


def in_float64(params: Any) -> Any:
    """Parameters in numpy float64."""
    return jax.tree.map(lambda array: np.asarray(array, dtype=np.float64), params)


def split(x: Array, heads: int) -> Array:
    """(batch, length, heads * head_dim) as (batch, heads, length, head_dim), in numpy or JAX."""
    return x.reshape(x.shape[0], x.shape[1], heads, -1).swapaxes(1, 2)


@dataclass(frozen=True)
class Variant:
    """One way to write attention, what the function around it needs, and the weights that it must show.

    ``layers`` is how many layers of (batch, heads) it shows; the reference gives as many then, as a list.
    """

    name: str
    mix: Mix
    reference: Reference = plain_weights
    kv_heads: int = HEADS
    heads: int = HEADS
    cross: bool = False
    same_length: bool = False
    notes: str = ""
    coverage: str = ""
    reported: bool = False
    note: str = ""

    def prepare(self) -> Prepared:
        """The function with its reference."""
        params = {"attention": make_parameters(self.heads, self.kv_heads)}
        inputs = [random_array(11, BATCH, LENGTH, self.heads * HEAD_DIM)]
        if self.cross:
            inputs.append(random_array(12, BATCH, LENGTH if self.same_length else CONTEXT, self.heads * HEAD_DIM))
        references = [] if self.reported else self.references(params["attention"], inputs)
        return Prepared(
            partial(forward, self.mix, self.heads, self.kv_heads),
            Inputs(params, *map(jnp.asarray, inputs)),
            references,
            kinds=["cross" if self.cross else "self"] * len(references),
            notes_contain=self.notes,
            coverage_contains=self.coverage,
            note=self.note,
        )

    def references(self, params: Parameters, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """The weights in float64."""
        exact, (x, source) = in_float64(params), (inputs[0].astype(np.float64), inputs[-1].astype(np.float64))
        query, key = split(x @ exact["q_proj"], self.heads), split(source @ exact["k_proj"], self.kv_heads)
        weights = self.reference(exact, query, key.repeat(self.heads // self.kv_heads, axis=1))
        return weights if isinstance(weights, list) else [weights]


def forward(
    mix: Mix, heads: int, kv_heads: int, params: dict[str, Parameters], x: Array, context: Array | None = None
) -> Array:
    """Projections, a way to mix, an output projection."""
    layer, source = params["attention"], x if context is None else context
    query = split(x @ layer["q_proj"], heads)
    key, value = (split(source @ layer[name], kv_heads) for name in ("k_proj", "v_proj"))
    mixed = mix(layer, query, key, value)
    return mixed.swapaxes(1, 2).reshape(mixed.shape[0], -1, heads * HEAD_DIM) @ layer["out_proj"]


class Variants:
    """Collects variants under the names that their decorator gives."""

    def __init__(self) -> None:
        self.all: list[Variant] = []

    def __call__(self, name: str, reference: Reference = plain_weights, **needs: Any) -> Callable[[Mix], Mix]:
        def register(mix: Mix) -> Mix:
            self.all.append(Variant(name, mix, reference, **needs))
            return mix

        return register

    def cases(self) -> Iterator[JaxCase]:
        """A case for each."""
        for variant in self.all:
            yield JaxCase(FAMILY, variant.name, variant.prepare)
