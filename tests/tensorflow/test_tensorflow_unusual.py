"""Attention written in unusual ways in TensorFlow: what is shown is what the model applied, or it is reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf
from keras import layers

import attncore

BATCH, LENGTH, HEADS, HEAD_DIM = 2, 6, 3, 4
DIM = HEADS * HEAD_DIM
GENERATOR = np.random.default_rng(0)


def numbers(*shape: int) -> Any:
    """Random numbers of this shape."""
    return GENERATOR.standard_normal(shape).astype(np.float32) / 2


def attend(weigh: Callable[[Any], Any]) -> Any:
    """A compiled function of states that gives back its output and the weights it applied."""
    query_kernel, key_kernel, value_kernel = (tf.Variable(numbers(DIM, DIM)) for _ in range(3))

    @tf.function
    def call(x: Any) -> Any:
        kernels = (query_kernel, key_kernel, value_kernel)
        split = [tf.reshape(x @ kernel, (BATCH, LENGTH, HEADS, HEAD_DIM)) for kernel in kernels]
        query, key, value = (tf.transpose(part, (0, 2, 1, 3)) for part in split)
        weights = weigh(tf.matmul(query, key, transpose_b=True))
        return tf.matmul(weights, value), weights

    return call


@pytest.mark.parametrize(
    ("weigh", "note"),
    [
        (lambda scores: tf.nn.softmax(scores) * np.exp(-np.arange(LENGTH, dtype=np.float32)), "changed"),
        (lambda scores: tf.linalg.band_part(tf.nn.softmax(scores), -1, 0), "changed"),
        (lambda scores: tf.concat([tf.nn.softmax(part) for part in tf.split(scores, 2, axis=2)], axis=2), ""),
    ],
    ids=["a decay", "a band", "pieces"],
)
def test_weights_are_those_applied(weigh: Any, note: str) -> None:
    """A constant that changes them is no dropout, and pieces are put together."""
    call, x = attend(weigh), tf.constant(numbers(BATCH, LENGTH, DIM))
    (layer,) = attncore.trace(call, x)
    np.testing.assert_allclose(layer.weights, call(x)[1], rtol=0, atol=1e-5)
    assert note in " ".join(layer.notes)
    assert "dropout" not in " ".join(layer.notes)


def multiplied(query: Any, key: Any, value: Any) -> tuple[Any, Any]:
    """Products as multiplications and sums."""
    weights = tf.nn.softmax(tf.reduce_sum(query[:, :, :, None] * key[:, :, None], -1))
    return tf.reduce_sum(weights[..., None] * value[:, :, None], 3), weights


def tiled(query: Any, key: Any, value: Any) -> tuple[Any, Any]:
    """The same with each side tiled, and the axis that is summed over kept."""
    length = tf.shape(query)[2]
    queries = tf.tile(tf.expand_dims(query, 3), [1, 1, 1, length, 1])
    product = queries * tf.tile(tf.expand_dims(key, 2), [1, 1, length, 1, 1])
    weights = tf.nn.softmax(tf.reduce_sum(product, -1, keepdims=True), axis=3)
    return tf.reduce_sum(weights * tf.expand_dims(value, 2), 3), weights[..., 0]


@pytest.mark.parametrize("keep", ["weights", "qk"])
@pytest.mark.parametrize("key_heads", [HEADS, 1])
@pytest.mark.parametrize("weigh", [multiplied, tiled])
def test_a_multiplication_and_a_sum_are_a_product(weigh: Any, key_heads: int, keep: Any) -> None:
    """With lengths that are not known before the run, too."""
    kernels = [tf.Variable(numbers(DIM, heads, HEAD_DIM)) for heads in (HEADS, key_heads, key_heads)]

    @tf.function(input_signature=[tf.TensorSpec((None, None, DIM), tf.float32)])
    def call(x: Any) -> Any:
        return weigh(*(tf.einsum("btd,dhe->bhte", x, kernel) for kernel in kernels))

    x = tf.constant(numbers(BATCH, LENGTH, DIM))
    trace = attncore.trace(call, x, keep=keep)
    np.testing.assert_allclose(trace[0].weights, call(x)[1], rtol=0, atol=1e-5)
    assert len(trace) == 1
    assert trace[0].kind == "self"
    assert not trace.coverage.entries


class Positions(layers.Layer):
    """Adds learned numbers for each place of a grid."""

    def build(self, shape: Any) -> None:
        """One vector a place."""
        self.places = self.add_weight(shape=shape[1:], initializer="random_normal")

    def call(self, x: Any) -> Any:
        """The states with their places."""
        return x + self.places


def test_rows_of_a_grid_with_learned_positions_are_items_of_the_batch() -> None:
    """Positions that are parameters do not make heads of the rows."""
    inputs = keras.Input((4, 5, DIM))
    states = Positions()(inputs)
    attention = layers.MultiHeadAttention(HEADS, HEAD_DIM, attention_axes=(2,))
    model = keras.Model(inputs, attention(states, states, return_attention_scores=True))
    x = numbers(BATCH, 4, 5, DIM)
    (layer,) = attncore.trace(model, x)
    assert layer.shape == (BATCH * 4, HEADS, 5, 5)
    np.testing.assert_allclose(layer.weights, np.reshape(model(x)[1], layer.shape), rtol=0, atol=1e-5)


def test_attention_over_channels_is_reported() -> None:
    """There is no matrix of positions in it."""
    kernels = [tf.Variable(numbers(DIM, DIM)) for _ in range(3)]

    @tf.function
    def call(x: Any) -> Any:
        query, key, value = (x @ kernel for kernel in kernels)
        return tf.matmul(value, tf.nn.softmax(tf.matmul(query, key, transpose_a=True)), transpose_b=True)

    with pytest.raises(attncore.NoAttentionError, match="over features"):
        attncore.trace(call, tf.constant(numbers(BATCH, LENGTH, DIM)))


def test_a_training_step_shows_each_attention_once_and_nothing_else() -> None:
    """Nothing of the backward pass is attention, nor reported as what looks like it."""
    attention, x = layers.MultiHeadAttention(HEADS, HEAD_DIM), tf.constant(numbers(BATCH, LENGTH, DIM))
    attention(x, x)

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(attention(x, x) ** 2)
        return loss, tape.gradient(loss, attention.trainable_variables)

    trace = attncore.trace(step, x)
    assert len(trace) == 1
    assert not trace.coverage.entries


def test_the_backward_pass_of_a_contrastive_loss_is_no_attention() -> None:
    """It multiplies a softmax of products with data, and is reported."""
    kernel = tf.Variable(numbers(DIM, DIM))

    @tf.function
    def step(images: Any, texts: Any) -> Any:
        with tf.GradientTape() as tape:
            scores = tf.matmul(images @ kernel, texts @ kernel, transpose_b=True)
            loss = -tf.reduce_mean(tf.linalg.diag_part(tf.nn.log_softmax(scores)))
        return loss, tape.gradient(loss, [kernel])

    with pytest.raises(attncore.NoAttentionError, match="backward pass alone"):
        attncore.trace(step, (tf.constant(numbers(5, DIM)), tf.constant(numbers(5, DIM))))
