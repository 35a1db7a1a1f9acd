"""What has a softmax and products and is no attention, in TensorFlow and Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tensorflow_case import Catalogue, Prepared
from tensorflow_numpy import BATCH, DIM, LENGTH, random_array, softmax

from attncore import Inputs

case = Catalogue("TensorFlow, no attention")
cases = case.cases


def states() -> Any:
    """Random hidden states."""
    return tf.constant(random_array(10, BATCH, LENGTH, DIM))


def matrix(seed: int, *shape: int) -> Any:
    """A parameter."""
    return tf.Variable(random_array(seed, *shape) * 0.3)


def compiled(function: Callable[..., Any], **options: Any) -> Prepared:
    """A tf.function on the hidden states."""
    return Prepared(tf.function(function), Inputs(states()), **options)


@case("a classifier's head")
def classifier() -> Prepared:
    inputs = keras.Input((LENGTH, DIM))
    pooled = layers.GlobalAveragePooling1D()(layers.Dense(DIM, activation="relu")(inputs))
    model = keras.Model(inputs, layers.Dense(5, activation="softmax")(pooled))
    return Prepared(model, Inputs(states()))


@case("a language model's head, expected embedding")
def expected_embedding() -> Prepared:
    table = matrix(1, 11, DIM)
    return compiled(lambda x: tf.nn.softmax(tf.matmul(x, table, transpose_b=True)) @ table)


@case("a router of experts")
def router() -> Prepared:
    gate, experts = matrix(1, DIM, 3), matrix(2, 3, DIM, DIM)

    def mixture(x: Any) -> Any:
        return tf.einsum("bte,bted->btd", tf.nn.softmax(x @ gate), tf.einsum("btd,edf->btef", x, experts))

    return compiled(mixture)


@case("a router of the two best experts")
def best_experts() -> Prepared:
    gate, experts = matrix(1, DIM, 3), matrix(2, 3, DIM, DIM)

    def mixture(x: Any) -> Any:
        shares, which = tf.math.top_k(tf.nn.softmax(x @ gate), 2)
        return tf.reduce_sum(shares[..., None] * tf.einsum("btd,btkdf->btkf", x, tf.gather(experts, which)), 2)

    return compiled(mixture)


@case("sampling")
def sampling() -> Prepared:
    head = matrix(1, DIM, 11)

    def sample(x: Any) -> Any:
        probabilities = tf.nn.softmax(x[:, -1] @ head)
        return tf.random.stateless_categorical(tf.math.log(probabilities), 1, seed=(1, 2))

    return compiled(sample)


@case("linear attention, whose one softmax over positions has learned queries")
def linear() -> Prepared:
    # Shen et al. 2018 call these d weights over all positions global attention maps.
    projections = [matrix(i, DIM, DIM) for i in range(3)]

    def attend(x: Any) -> Any:
        q, k, v = (x @ projection for projection in projections)
        return tf.nn.softmax(q, -1) @ tf.matmul(tf.nn.softmax(k, -2), v, transpose_a=True)

    scores = states().numpy().astype(np.float64) @ projections[1].numpy().astype(np.float64)
    return compiled(attend, references=[softmax(scores.swapaxes(1, 2))[:, None]], notes_contain="queries are learned")


@case("a gate")
def gate() -> Prepared:
    one, two = matrix(1, DIM, DIM), matrix(2, DIM, DIM)
    return compiled(lambda x: (tf.nn.softmax(x @ one) * x) @ two)


@case("an LSTM")
def lstm() -> Prepared:
    inputs = keras.Input((LENGTH, DIM))
    return Prepared(keras.Model(inputs, layers.LSTM(6, return_sequences=True)(inputs)), Inputs(states()))


@case("a convolution with squeeze and excitation")
def squeeze() -> Prepared:
    inputs = keras.Input((LENGTH, DIM))
    x = layers.Conv1D(DIM, 3, padding="same")(inputs)
    shares = layers.Dense(DIM, activation="sigmoid")(layers.GlobalAveragePooling1D()(x))
    return Prepared(keras.Model(inputs, x * layers.Reshape((1, DIM))(shares)), Inputs(states()))


@case("scores of query and key that weigh nothing")
def loss() -> Prepared:
    return compiled(lambda x: tf.reduce_sum(tf.nn.log_softmax(tf.matmul(x, x, transpose_b=True)), -1))
