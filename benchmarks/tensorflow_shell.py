"""Attention as people write it in TensorFlow: one small function, and what every variant has in common.

Each variant is a function ``(layer, query, key, value) -> output`` on (batch, heads, length, head_dim). The module
around it projects a random input. The reference computes the same queries and keys in numpy float64 and takes its
weights from a second, plain formula. Identity as values makes the variant itself confirm it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_case import Pairs, Prepared, TensorFlowCase
from tensorflow_numpy import BATCH, CONTEXT, HEAD_DIM, HEADS, LENGTH, SCALE, random_array, softmax

from attncore import Inputs

FAMILY = "TensorFlow by hand"
Mix = Callable[[Any, Any, Any, Any], Any]
Reference = Callable[[dict[str, np.ndarray], np.ndarray, np.ndarray], np.ndarray]


def plain_weights(parameters: dict[str, np.ndarray], query: np.ndarray, key: np.ndarray) -> np.ndarray:
    """The textbook's formula."""
    return softmax(query @ key.swapaxes(-1, -2) * SCALE)


def parameters_of(kv_heads: int) -> dict[str, np.ndarray]:
    """Projections of a layer, and what some variants need besides."""
    dim, narrow = HEADS * HEAD_DIM, kv_heads * HEAD_DIM
    return {
        "q_proj": random_array(1, dim, dim) / math.sqrt(dim),
        "k_proj": random_array(2, dim, narrow) / math.sqrt(dim),
        "v_proj": random_array(3, dim, narrow) / math.sqrt(dim),
        "out_proj": random_array(4, dim, dim) / math.sqrt(dim),
        "per_head": random_array(5, HEADS),
        "table": random_array(6, HEADS, 2 * LENGTH - 1),
        "before": random_array(7, HEADS, HEADS) / math.sqrt(HEADS),
        "after": random_array(8, HEADS, HEADS) / math.sqrt(HEADS),
    }


class ByHand(tf.Module):  # type: ignore[misc]
    """Projections, a way to mix, an output projection."""

    def __init__(self, mix: Mix, kv_heads: int, jit_compile: bool) -> None:
        super().__init__(name="by_hand")
        self.mix, self.kv_heads = mix, kv_heads
        self.values = {name: tf.Variable(value, name=name) for name, value in parameters_of(kv_heads).items()}
        self.run = tf.function(self.forward, jit_compile=jit_compile)

    def __call__(self, x: Any, context: Any = None) -> Any:
        """The output (batch, length, dim)."""
        return self.run(x, x if context is None else context)

    def forward(self, x: Any, source: Any) -> Any:
        """The layer, to be compiled."""
        query = split(x @ self.values["q_proj"], HEADS)
        key, value = (split(source @ self.values[name], self.kv_heads) for name in ("k_proj", "v_proj"))
        mixed = tf.transpose(self.mix(self.values, query, key, value), (0, 2, 1, 3))
        return tf.reshape(mixed, (tf.shape(x)[0], -1, HEADS * HEAD_DIM)) @ self.values["out_proj"]


def split(x: Any, heads: int) -> Any:
    """(batch, length, heads * head_dim) as (batch, heads, length, head_dim)."""
    shape = tf.shape(x)
    return tf.transpose(tf.reshape(x, (shape[0], shape[1], heads, HEAD_DIM)), (0, 2, 1, 3))


@dataclass(frozen=True)
class Variant:
    """One way to write attention and the weights that it must show.

    ``applied`` false means that identity as values gives something else than the weights, which a note says.
    """

    name: str
    mix: Mix
    reference: Reference = plain_weights
    kv_heads: int = HEADS
    cross: bool = False
    jit_compile: bool = False
    applied: bool = True
    notes: str = ""

    def prepare(self) -> Prepared:
        """The module with its reference."""
        model = ByHand(self.mix, self.kv_heads, self.jit_compile)
        x = random_array(11, BATCH, LENGTH, HEADS * HEAD_DIM)
        source = random_array(12, BATCH, CONTEXT, HEADS * HEAD_DIM) if self.cross else x
        exact = {name: value.numpy().astype(np.float64) for name, value in model.values.items()}
        query = heads_of(x.astype(np.float64) @ exact["q_proj"], HEADS)
        key = heads_of(source.astype(np.float64) @ exact["k_proj"], self.kv_heads)
        weights = self.reference(exact, query, key.repeat(HEADS // self.kv_heads, axis=1))

        def confirm() -> Pairs:
            length = key.shape[2]
            identity = np.broadcast_to(np.eye(length, dtype=np.float32), (BATCH, self.kv_heads, length, length))
            tensors = [tf.constant(array, tf.float32) for array in (query, key, identity)]
            return [(self.mix(model.values, *tensors), weights)]

        return Prepared(
            model,
            Inputs(tf.constant(x), tf.constant(source)) if self.cross else Inputs(tf.constant(x)),
            [weights],
            confirm=confirm if self.applied else None,
            kinds=["cross" if self.cross else "self"],
            notes_contain=self.notes,
        )


def heads_of(x: np.ndarray, heads: int) -> np.ndarray:
    """(batch, length, heads * head_dim) as (batch, heads, length, head_dim), in numpy."""
    return x.reshape(x.shape[0], x.shape[1], heads, -1).swapaxes(1, 2)


class Variants:
    """Collects variants under the names that their decorator gives."""

    def __init__(self) -> None:
        self.all: list[Variant] = []

    def __call__(self, name: str, reference: Reference = plain_weights, **needs: Any) -> Callable[[Mix], Mix]:
        def register(mix: Mix) -> Mix:
            self.all.append(Variant(name, mix, reference, **needs))
            return mix

        return register

    def cases(self) -> Iterator[TensorFlowCase]:
        """A case for each."""
        for variant in self.all:
            yield TensorFlowCase(FAMILY, variant.name, variant.prepare)
