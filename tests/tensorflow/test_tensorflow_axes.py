"""What the axes of an attention are after operations that are not followed, convolutions, and moves of positions."""

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

BATCH, LENGTH, DIM = 2, 6, 8
Change = Callable[[Any], Any]


def numbers(*shape: int, seed: int = 0) -> Any:
    """Random numbers of this shape."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Changed(layers.Layer):  # type: ignore[misc]
    """What a function of tensors makes of the states."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change

    def call(self, states: Any) -> Any:
        return self.change(states)


def check(model: Any, x: Any, returned: Any) -> None:
    """One self-attention, with the weights that the model returned."""
    (layer,) = attncore.trace(model, x)
    assert layer.shape == returned.shape
    np.testing.assert_allclose(np.asarray(layer.weights), returned, rtol=0, atol=2e-5)
    assert layer.kind == "self"


def in_python(x: Any) -> Any:
    """Something that only Python knows."""
    return tf.ensure_shape(tf.numpy_function(lambda one: one * 2, [x], tf.float32), x.shape)


def by_size(x: Any) -> Any:
    """The positions in the order of their first feature."""
    return tf.gather(x, tf.argsort(x[:, :, 0], axis=1), batch_dims=1)


def one_by_one(x: Any) -> Any:
    """Each item by itself."""
    return tf.map_fn(lambda one: one * 2, x)


def from_pairs(x: Any) -> Any:
    """Places of items and positions together."""
    places = tf.stack(tf.meshgrid(tf.range(BATCH), tf.constant([0, 2, 4]), indexing="ij"), -1)
    return tf.gather_nd(x, places)


def chosen(x: Any) -> Any:
    """A few positions."""
    return tf.gather(x, tf.constant([0, 2, 4]), axis=1)


def framed(x: Any) -> Any:
    """Overlapping pieces of a signal."""
    return tf.signal.frame(tf.reshape(x, (BATCH, LENGTH * DIM)), 8, 4)


def patches(x: Any) -> Any:
    """Squares of an image."""
    image = tf.reshape(x, (BATCH, LENGTH, 4, 2))
    return tf.reshape(tf.image.extract_patches(image, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"), (BATCH, 6, 8))


def to_depth(x: Any) -> Any:
    """Squares of an image, another way."""
    return tf.reshape(tf.nn.space_to_depth(tf.reshape(x, (BATCH, LENGTH, 4, 2)), 2), (BATCH, 6, 8))


@pytest.mark.parametrize(
    "change",
    [in_python, by_size, one_by_one, from_pairs, chosen, framed, patches, to_depth],
    ids=lambda one: one.__name__,
)
def test_items_and_positions_stay_what_they_are(change: Change) -> None:
    """Heads come from the features that parameters split, and from nothing else."""
    given = keras.Input((LENGTH, DIM))
    states = Changed(change)(given)
    out, weights = layers.MultiHeadAttention(2, 4, name="attention")(states, states, return_attention_scores=True)
    model, x = keras.Model(given, [out, weights]), tf.constant(numbers(BATCH, LENGTH, DIM))
    check(model, x, model(x)[1].numpy())


@pytest.mark.parametrize(
    "resized",
    [
        lambda: layers.MaxPool2D(2),
        lambda: layers.Conv2DTranspose(DIM, 2, strides=2),
        lambda: layers.UpSampling2D(2, interpolation="bilinear"),
    ],
    ids=["pooled", "transposed", "resized"],
)
def test_images_of_another_size_keep_their_positions(resized: Callable[[], Any]) -> None:
    """Items, positions and features are those before."""
    given = keras.Input((4, 4, 3))
    states = layers.Reshape((-1, DIM))(resized()(layers.Conv2D(DIM, 3, padding="same")(given)))
    out, weights = layers.MultiHeadAttention(2, 4, name="attention")(states, states, return_attention_scores=True)
    model, x = keras.Model(given, [out, weights]), tf.constant(numbers(BATCH, 4, 4, 3))
    check(model, x, model(x)[1].numpy())


class OfConvolutions(tf.Module):  # type: ignore[misc]
    """Attention whose query, key and value are convolutions, over the positions or over the channels."""

    def __init__(self, heads: int, over_channels: bool) -> None:
        super().__init__(name="attention")
        self.heads, self.over_channels = heads, over_channels
        self.kernels = [tf.Variable(numbers(1, 1, 3, DIM, seed=at), name=name) for at, name in enumerate("qkv")]

    def __call__(self, x: Any) -> Any:
        made = (tf.nn.conv2d(x, kernel, 1, "SAME") for kernel in self.kernels)
        apart = (tf.reshape(one, (BATCH, 16, self.heads, DIM // self.heads)) for one in made)
        order = (0, 2, 3, 1) if self.over_channels else (0, 2, 1, 3)
        query, key, value = (tf.transpose(one, order) for one in apart)
        return tf.nn.softmax(query @ tf.transpose(key, (0, 1, 3, 2))) @ value


@pytest.mark.parametrize("heads", [1, 2])
def test_channels_of_a_convolution_are_of_its_kernel(heads: int) -> None:
    """Positions are asked by positions, in as many heads as the channels were split into."""
    model, x = OfConvolutions(heads, over_channels=False), numbers(BATCH, 4, 4, 3)
    states = [np.einsum("bhwc,cd->bhwd", np.float64(x), np.float64(one)[0, 0]) for one in model.kernels[:2]]
    query, key = (one.reshape(BATCH, 16, heads, -1).swapaxes(1, 2) for one in states)
    exponentials = np.exp(query @ key.swapaxes(-1, -2))
    check(model, (tf.constant(x),), exponentials / exponentials.sum(-1, keepdims=True))


def test_attention_over_the_channels_of_a_convolution_is_reported() -> None:
    """There is no matrix of positions in it."""
    with pytest.raises(attncore.NoAttentionError, match="over features"):
        attncore.trace(OfConvolutions(2, over_channels=True), (tf.constant(numbers(BATCH, 4, 4, 3)),))
