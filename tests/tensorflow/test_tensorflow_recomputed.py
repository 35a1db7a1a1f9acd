"""Weights are computed again from query and key only where that gives what the model applied; else its own are held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf

import attncore

BATCH, LENGTH, HEADS, HEAD_DIM = 2, 6, 3, 4
DIM = HEADS * HEAD_DIM
CAUSAL = np.tril(np.ones((LENGTH, LENGTH), np.float32))
Numbers = np.ndarray[Any, Any]


class Attention(tf.Module):
    """One attention, with this from scores to weights."""

    def __init__(self, weigh: Callable[[Any], Any]) -> None:
        super().__init__(name="attn")
        generator = np.random.default_rng(0)
        self.weigh = weigh
        self.query, self.key, self.value = (
            tf.Variable(generator.standard_normal((DIM, HEADS, HEAD_DIM)).astype(np.float32) / 2) for _ in range(3)
        )

    def __call__(self, x: Any) -> Any:
        """The values, weighed."""
        query, key, value = (tf.einsum("btd,dhe->bhte", x, part) for part in (self.query, self.key, self.value))
        return tf.einsum("bhqk,bhke->bhqe", self.weigh(tf.einsum("bhqe,bhke->bhqk", query, key)), value)

    def exact_scores(self, x: Numbers) -> Numbers:
        """Query times key in float64."""
        query, key = (
            np.einsum("btd,dhe->bhte", x.astype(np.float64), part.numpy().astype(np.float64))
            for part in (self.query, self.key)
        )
        return query @ key.swapaxes(-1, -2)


STATES = np.random.default_rng(1).standard_normal((BATCH, LENGTH, DIM)).astype(np.float32)


def divided(numbers: Numbers, axis: int = -1) -> Numbers:
    """Divided by their sum."""
    return numbers / numbers.sum(axis, keepdims=True)


def by_sum(numbers: Any) -> Any:
    """Divided by their sum, in TensorFlow."""
    return numbers / tf.reduce_sum(numbers, -1, keepdims=True)


CHANGED: dict[str, tuple[Callable[[Any], Any], Callable[[Numbers], Numbers]]] = {
    "masked exponentials": (lambda s: by_sum(tf.exp(s) * CAUSAL), lambda s: divided(np.exp(s) * CAUSAL)),
    "a seventh of the weights": (lambda s: tf.nn.softmax(s) / 7.0, lambda s: divided(np.exp(s)) / 7),
    "another axis, then the keys": (
        lambda s: by_sum(tf.nn.softmax(s, axis=-2)),
        lambda s: divided(divided(np.exp(s), -2)),
    ),
    "length 1 by squares": (
        lambda s: tf.linalg.normalize(tf.exp(s), axis=-1)[0],
        lambda s: np.exp(s) / np.linalg.norm(np.exp(s), axis=-1, keepdims=True),
    ),
    "twice the logarithm": (lambda s: tf.exp(tf.nn.log_softmax(s) * 2), lambda s: divided(np.exp(s)) ** 2),
    "minus the largest of each key": (
        lambda s: tf.nn.softmax(s - tf.reduce_max(s, -2, keepdims=True)),
        lambda s: divided(np.exp(s - s.max(-2, keepdims=True))),
    ),
}
PLAIN: dict[str, Callable[[Any], Any]] = {
    "one operation": tf.nn.softmax,
    "exponentials by their sum": lambda s: by_sum(tf.exp(s - tf.reduce_max(s, -1, keepdims=True))),
    "minus the logarithm of a sum": lambda s: tf.exp(s - tf.reduce_logsumexp(s, -1, keepdims=True)),
    "the logarithm of a softmax": lambda s: tf.exp(tf.nn.log_softmax(s)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_step_that_is_not_known_has_the_weights_held(name: str) -> None:
    """They are those that the model applied, although queries and keys were asked for."""
    weigh, expected = CHANGED[name]
    model = Attention(weigh)
    (layer,) = attncore.trace(model, tf.constant(STATES), keep="qk")
    np.testing.assert_allclose(layer.weights, expected(model.exact_scores(STATES)), rtol=0, atol=2e-5)
    assert layer.computed == "observed"


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_softmax_is_computed_again(name: str) -> None:
    """However it is written, so that it need not be held. It is called as its module is, and not by an operation."""
    model = Attention(PLAIN[name])
    (layer,) = attncore.trace(model, tf.constant(STATES), keep="qk")
    np.testing.assert_allclose(layer.weights, divided(np.exp(model.exact_scores(STATES))), rtol=0, atol=2e-5)
    assert layer.computed == "recomputed"
    assert layer.name == "attn"


def test_a_sigmoid_is_no_softmax() -> None:
    """Its rows are divided by nothing; it is reported with other attention that has no softmax."""
    with pytest.raises(attncore.NoAttentionError, match="met values without a softmax"):
        attncore.trace(Attention(lambda s: 1 / (1 + tf.exp(-s))), tf.constant(STATES))
