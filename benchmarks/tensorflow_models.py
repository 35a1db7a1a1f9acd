"""Whole Keras models and SavedModels, whose attention is the Keras layer's or written by hand."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tensorflow_case import Catalogue, Pairs, Prepared
from tensorflow_numpy import BATCH, DIM, HEAD_DIM, HEADS, LENGTH, layer_weights, own_scores, random_array
from tensorflow_numpy import set_random_weights as randomise

from attncore import Inputs

case = Catalogue("Keras models")
cases = case.cases


def hidden() -> np.ndarray:
    """Random hidden states (batch, length, dim)."""
    return random_array(10, BATCH, LENGTH, DIM)


def attention(name: str) -> layers.MultiHeadAttention:
    """A layer of six heads."""
    return layers.MultiHeadAttention(HEADS, HEAD_DIM, name=name)


@keras.saving.register_keras_serializable("attncore")
class Block(layers.Layer):  # type: ignore[misc]
    """Attention and a dense layer, each added to its input."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.attend, self.dense = attention("attend"), layers.Dense(DIM, activation="relu", name="dense")

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        self.attend.build(input_shape, input_shape)
        self.dense.build(input_shape)

    def call(self, x: Any) -> Any:
        """(batch, length, dim)."""
        x = x + self.attend(x, x)
        return x + self.dense(x)


class Stack(keras.Model):  # type: ignore[misc]
    """Blocks one after the other, a block perhaps more than once."""

    def __init__(self, blocks: int = 2, times: int = 1) -> None:
        super().__init__()
        self.blocks = [Block(name=f"block_{i}") for i in range(blocks)]
        self.times = times

    def call(self, x: Any) -> Any:
        """(batch, length, dim)."""
        for block in self.blocks * self.times:
            x = block(x)
        return x


def numpy_block(block: Block, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and output of a block in float64."""
    weights = layer_weights(block.attend, x, x)
    kernels = [np.asarray(w, np.float64) for w in block.attend.get_weights()]
    values = np.einsum("bld,dhe->bhle", x, kernels[4]) + kernels[5][:, None]
    x = x + np.einsum("bhqk,bhke,hed->bqd", weights, values, kernels[6]) + kernels[7]
    kernel, bias = (np.asarray(w, np.float64) for w in block.dense.get_weights())
    return weights, x + np.maximum(x @ kernel + bias, 0)


def of_blocks(model: Any, blocks: list[Block], keyword: str = "", **options: Any) -> Prepared:
    """A model that is these blocks one after the other; a signature takes its input by ``keyword`` alone."""
    states = hidden()
    inputs = Inputs(**{keyword: tf.constant(states)}) if keyword else Inputs(tf.constant(states))
    expected, exact = [], states.astype(np.float64)
    for block in blocks:
        weights, exact = numpy_block(block, exact)
        expected.append(weights)

    def confirm() -> Pairs:
        output = model(*inputs.args, **inputs.kwargs)
        return [(output["output_0"] if isinstance(output, dict) else output, exact)]

    # The output grows with the blocks, and the bound is on float32 numbers of that size.
    size = float(np.abs(exact).max())
    return Prepared(model, inputs, expected, confirm=confirm, confirm_tolerance=4e-6 * max(1, size), **options)


def stacked(blocks: int = 2, times: int = 1) -> Stack:
    """A subclassed model with random weights."""
    model = Stack(blocks, times)
    model(hidden())
    randomise(model)
    return model


@case("subclassed")
def subclassed() -> Prepared:
    model = stacked()
    return of_blocks(model, model.blocks, names=["block_0/attend", "block_1/attend"], kinds=["self", "self"])


@case("subclassed, blocks shared by two passes")
def shared() -> Prepared:
    model = stacked(2, 2)
    for variable in model.variables:  # four blocks of full size would make rounding grow beyond any bound
        variable.assign(0.5 * variable)
    return of_blocks(model, model.blocks * 2)


def sequence(length: int | None = LENGTH) -> keras.Model:
    """A sequential model with random weights."""
    model = keras.Sequential([keras.Input((length, DIM)), Block(name="one"), Block(name="two")])
    randomise(model)
    return model


@case("sequential")
def sequential() -> Prepared:
    model = sequence()
    return of_blocks(model, model.layers, names=["one/attend", "two/attend"])


@case("sequential, unknown length")
def dynamic() -> Prepared:
    model = sequence(None)
    return of_blocks(model, model.layers)


@case("functional, a model within a model")
def nested() -> Prepared:
    inner, inputs = sequence(), keras.Input((LENGTH, DIM))
    last = Block(name="last")
    model = keras.Model(inputs, last(inner(inputs)))
    randomise(last, 3)
    for variable in model.variables:  # three blocks of full size would make rounding grow beyond any bound
        variable.assign(0.5 * variable)
    return of_blocks(model, [*inner.layers, last], names=["one/attend", "two/attend", "last/attend"])


@case("compiled by Keras with jit_compile")
def jitted() -> Prepared:
    model = sequence()
    model.compile(jit_compile=True)
    return of_blocks(model, model.layers)


@case("a tf.function of a Keras model")
def function() -> Prepared:
    model = stacked()
    return of_blocks(tf.function(model), model.blocks)


@case("a tf.function of a Keras model, jit_compile")
def function_jit() -> Prepared:
    model = stacked()
    return of_blocks(tf.function(model, jit_compile=True), model.blocks, output_tolerance=1e-5)


@case("a concrete function")
def concrete() -> Prepared:
    model = stacked()
    specification = tf.TensorSpec((None, None, DIM), tf.float32)
    return of_blocks(tf.function(model).get_concrete_function(specification), model.blocks, owner=model)


@case("a .keras file")
def keras_file() -> Prepared:
    model = sequence()
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        loaded = keras.models.load_model(Path(folder) / "model.keras")
    return of_blocks(loaded, model.layers)


def saved(model: Any, folder: str) -> Any:
    """Exported by Keras and loaded without the code."""
    model.export(folder, verbose=False)
    return tf.saved_model.load(folder)


@case("a SavedModel of model.export, serve")
def exported() -> Prepared:
    model = sequence(None)
    with tempfile.TemporaryDirectory() as folder:
        loaded = saved(model, folder)
    return of_blocks(loaded.serve, model.layers, owner=loaded)


@case("a SavedModel of tf.saved_model.save, a module's method")
def saved_module() -> Prepared:
    model, module = stacked(), tf.Module()
    module.model = model
    module.run = tf.function(model, input_signature=[tf.TensorSpec((None, None, DIM), tf.float32)])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder)
        loaded = tf.saved_model.load(folder)
    return of_blocks(loaded.run, model.blocks, owner=loaded)


@case("a SavedModel's signature")
def signature() -> Prepared:
    model, module = stacked(), tf.Module()
    module.model = model
    run = tf.function(lambda x: {"output_0": model(x)}, input_signature=[tf.TensorSpec((None, None, DIM), name="x")])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=run)
        loaded = tf.saved_model.load(folder)
    return of_blocks(loaded.signatures["serving_default"], model.blocks, owner=loaded, keyword="x")


@case("MultiHeadAttention told by the masks of an Embedding")
def embedding_mask() -> Prepared:
    ids = np.array([[4, 2, 9, 5, 1, 3, 7], [4, 2, 9, 5, 0, 0, 0]])
    inputs = keras.Input((LENGTH,), dtype="int32")
    embedding, layer = layers.Embedding(11, DIM, mask_zero=True), attention("attend")
    x = embedding(inputs)
    model = keras.Model(inputs, layer(query=x, value=x, key=x))
    randomise(model)
    states = np.asarray(embedding(ids))
    real = (ids != 0)[:, None]
    weights = layer_weights(layer, states, states, real[:, None])
    # Rows of padding mask every key, which Keras fills with equal weights; they are left out of the comparison.
    weights = np.where((ids != 0)[:, None, :, None], weights, np.nan)

    def confirm() -> Pairs:
        own = np.asarray(own_scores(layer, states, states, attention_mask=real))
        known = np.broadcast_to((ids != 0)[:, None, :, None], weights.shape)
        return [(own[known], weights[known])]

    return Prepared(model, Inputs(tf.constant(ids, tf.int32)), [weights], confirm=confirm)
