"""What Keras models have before and around their attention: text and tables in front, and names of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf
from keras import layers

import attncore

LENGTH, DIM = 6, 8


def text() -> tuple[Any, Any, Any]:
    """Sentences, cut into words and padded."""
    words = layers.TextVectorization(max_tokens=20, output_sequence_length=LENGTH)
    words.adapt(["the cat sat on the mat"])
    given = keras.Input((), dtype="string")
    return given, words(given), tf.constant(["the cat sat", "on the mat"])


def words() -> tuple[Any, Any, Any]:
    """Words, looked up in a table."""
    given = keras.Input((3,), dtype="string")
    numbers = layers.StringLookup(vocabulary=["a", "b", "c"])(given)
    return given, numbers, tf.constant([["a", "b", "c"], ["c", "b", "z"]])


def whole_numbers() -> tuple[Any, Any, Any]:
    """Numbers of things, looked up in a table."""
    given = keras.Input((3,), dtype="int64")
    numbers = layers.IntegerLookup(vocabulary=[5, 6, 7])(given)
    return given, numbers, tf.constant([[5, 6, 7], [7, 6, 5]], tf.int64)


@pytest.mark.parametrize("front", [text, words, whole_numbers])
def test_a_front_end_of_text_or_tables_is_no_obstacle(front: Any) -> None:
    """The attention behind it is captured, as the model's own weights have it."""
    given, numbers, x = front()
    states = layers.Embedding(20, DIM)(numbers)
    outputs = layers.MultiHeadAttention(2, 4, name="att")(states, states, return_attention_scores=True)
    model = keras.Model(given, outputs)
    (layer,) = attncore.trace(model, x)
    np.testing.assert_allclose(layer.weights, model(x)[1], rtol=0, atol=1e-5)
    assert (layer.name, layer.kind) == ("att", "self")


def test_an_array_of_unknown_rank_is_data_where_its_axes_are_known_again() -> None:
    """What a Python function returns has no shape until the model says it."""

    @tf.function
    def call(x: Any) -> Any:
        states = tf.ensure_shape(tf.numpy_function(lambda one: one * 2, [x], tf.float32) + 1.0, x.shape)
        query, key = (tf.einsum("btd,dhe->bhte", states, kernel) for kernel in kernels)
        weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True))
        return tf.matmul(weights, key), weights

    generator = np.random.default_rng(0)
    kernels = [tf.Variable(generator.standard_normal((DIM, 2, 4)).astype(np.float32)) for _ in range(2)]
    x = tf.constant(generator.standard_normal((2, LENGTH, DIM)).astype(np.float32))
    (layer,) = attncore.trace(call, x)
    np.testing.assert_allclose(layer.weights, call(x)[1], rtol=0, atol=1e-5)
    assert layer.kind == "self"


def test_layers_without_parameters_have_their_own_names() -> None:
    """Also those that Keras numbers, and one that is called twice."""
    given = keras.Input((LENGTH, DIM))
    first, second = layers.Attention(name="attention"), layers.Attention(name="attention_1")
    states = first([given, given])
    states = second([states, states])
    model = keras.Model(given, first([states, states]))
    trace = attncore.trace(model, np.random.default_rng(0).standard_normal((2, LENGTH, DIM)).astype(np.float32))
    assert [(one.name, one.call) for one in trace] == [("attention", 0), ("attention_1", 0), ("attention", 1)]


class Encoder(keras.Model):  # type: ignore[misc]
    """A recurrence and attention over its states."""

    def __init__(self) -> None:
        super().__init__(name="model")
        self.states = layers.LSTM(DIM, return_sequences=True, name="enc")
        self.attention = layers.Attention(name="att")

    def call(self, x: Any) -> Any:
        """The states, pooled."""
        states = self.states(x)
        return self.attention([states, states])


@pytest.mark.parametrize("functional", [True, False])
def test_attention_over_a_recurrence_is_called_by_its_layer(functional: bool) -> None:
    """The cell's parameters project nothing into queries."""
    given = keras.Input((LENGTH, DIM))
    states = layers.LSTM(DIM, return_sequences=True, name="enc")(given)
    model = keras.Model(given, layers.Attention(name="att")([states, states])) if functional else Encoder()
    trace = attncore.trace(model, np.random.default_rng(0).standard_normal((2, LENGTH, DIM)).astype(np.float32))
    assert [one.name.split("/")[-1] for one in trace] == ["att"]
