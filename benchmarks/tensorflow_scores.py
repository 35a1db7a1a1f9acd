"""Attention by hand in TensorFlow: masks, positions, caps, sinks, and mixing of heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_handwritten import scores_of
from tensorflow_numpy import BATCH, HEAD_DIM, HEADS, LENGTH, SCALE, causal, masked, softmax
from tensorflow_shell import Variants

variants = Variants()
cases = variants.cases
PLACES = np.arange(LENGTH)
DISTANCES = PLACES[:, None] - PLACES
Parameters = dict[str, np.ndarray]


def exact_scores(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Scaled products in numpy."""
    return np.asarray(q @ k.swapaxes(-1, -2) * SCALE)


def causal_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Each query sees itself and what is before it."""
    return masked(exact_scores(q, k), causal(LENGTH, LENGTH))


@variants("causal by tf.where and band_part", causal_weights)
def band(layer: Any, q: Any, k: Any, v: Any) -> Any:
    seen = tf.linalg.band_part(tf.ones((LENGTH, LENGTH), tf.bool), -1, 0)
    return tf.nn.softmax(tf.where(seen, scores_of(q, k), -np.inf)) @ v


@variants("causal by adding large negative numbers", causal_weights)
def added(layer: Any, q: Any, k: Any, v: Any) -> Any:
    unseen = 1.0 - tf.linalg.band_part(tf.ones((LENGTH, LENGTH)), -1, 0)
    return tf.nn.softmax(scores_of(q, k) + unseen * -1e9) @ v


@variants("causal by tf.range and the lowest number", causal_weights)
def ranged(layer: Any, q: Any, k: Any, v: Any) -> Any:
    places = tf.range(tf.shape(q)[2])
    seen = places[:, None] >= places[None]
    return tf.nn.softmax(tf.where(seen, scores_of(q, k), tf.float32.min)) @ v


def masked_after_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """exp, then zero, then divide."""
    return causal_weights(parameters, q, k)


@variants("masked after exp and normalised after that", masked_after_weights)
def masked_after(layer: Any, q: Any, k: Any, v: Any) -> Any:
    exponentials = tf.exp(scores_of(q, k)) * tf.linalg.band_part(tf.ones((LENGTH, LENGTH)), -1, 0)
    return (exponentials / tf.reduce_sum(exponentials, -1, keepdims=True)) @ v


def alibi_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Press et al. 2022, both directions."""
    slopes = 2.0 ** -np.arange(1.0, HEADS + 1).reshape(HEADS, 1, 1)
    return softmax(exact_scores(q, k) - np.abs(DISTANCES) * slopes)


@variants("ALiBi", alibi_weights)
def alibi(layer: Any, q: Any, k: Any, v: Any) -> Any:
    slopes = tf.pow(2.0, -tf.range(1.0, HEADS + 1.0))[:, None, None]
    places = tf.range(LENGTH)
    distances = tf.cast(tf.abs(places[:, None] - places), tf.float32)
    return tf.nn.softmax(scores_of(q, k) - slopes * distances) @ v


def table_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """A learned number for each head and distance."""
    return softmax(exact_scores(q, k) + parameters["table"][:, DISTANCES + LENGTH - 1])


@variants("a learned relative bias, gathered", table_weights)
def table(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.nn.softmax(scores_of(q, k) + tf.gather(layer["table"], DISTANCES + LENGTH - 1, axis=1)) @ v


def two_term_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Half of the features with a rotation of position one step a place, the other half without."""
    return softmax((q[..., :2] @ k[..., :2].swapaxes(2, 3) + 0.5 * q[..., 2:] @ k[..., 2:].swapaxes(2, 3)) * SCALE)


@variants("scores that are a sum of two products", two_term_weights)
def two_terms(layer: Any, q: Any, k: Any, v: Any) -> Any:
    one = tf.matmul(q[..., :2], k[..., :2], transpose_b=True)
    two = tf.matmul(q[..., 2:], k[..., 2:], transpose_b=True)
    return tf.nn.softmax((one + 0.5 * two) * SCALE) @ v


def rotary_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Su et al. 2021, by complex numbers."""
    angles = np.exp(1j * PLACES[:, None] * np.array([1.0, 0.01]))
    turned = [(x[..., :2] + 1j * x[..., 2:]) * angles for x in (q, k)]
    return softmax((turned[0] @ turned[1].conj().swapaxes(2, 3)).real * SCALE)


@variants("rotary positions", rotary_weights)
def rotary(layer: Any, q: Any, k: Any, v: Any) -> Any:
    angles = tf.cast(tf.range(LENGTH), tf.float32)[:, None] * tf.constant([1.0, 0.01])
    cos, sin = (tf.concat([f(angles)] * 2, -1) for f in (tf.cos, tf.sin))
    q, k = (x * cos + tf.concat([-x[..., 2:], x[..., :2]], -1) * sin for x in (q, k))
    return tf.nn.softmax(scores_of(q, k)) @ v


def capped_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Scores between -2 and 2."""
    return softmax(2 * np.tanh(exact_scores(q, k) / 2))


@variants("softcap", capped_weights)
def capped(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.nn.softmax(2.0 * tf.tanh(scores_of(q, k) / 2.0)) @ v


def normed_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Cosine similarity, ten times."""
    q, k = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (q, k))
    return softmax(10 * q @ k.swapaxes(2, 3))


@variants("cosine similarity", normed_weights)
def normed(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.nn.softmax(10.0 * tf.matmul(tf.nn.l2_normalize(q, -1), tf.nn.l2_normalize(k, -1), transpose_b=True)) @ v


def sink_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """A learned score a head that takes mass and no value."""
    e = np.exp(exact_scores(q, k))
    return np.asarray(e / (e.sum(-1, keepdims=True) + np.exp(parameters["per_head"]).reshape(HEADS, 1, 1)))


@variants("a sink as a last column, cut off", sink_weights, notes="sink")
def sink(layer: Any, q: Any, k: Any, v: Any) -> Any:
    column = tf.broadcast_to(tf.reshape(layer["per_head"], (1, HEADS, 1, 1)), (BATCH, HEADS, LENGTH, 1))
    return tf.nn.softmax(tf.concat([scores_of(q, k), column], -1))[..., :-1] @ v


@variants("a sink in the denominator", sink_weights, notes="sink")
def sink_below(layer: Any, q: Any, k: Any, v: Any) -> Any:
    e = tf.exp(scores_of(q, k))
    return (e / (tf.reduce_sum(e, -1, keepdims=True) + tf.exp(layer["per_head"])[:, None, None])) @ v


def talking_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Shazeer et al. 2020: the softmax, before its heads are mixed again."""
    return softmax(np.einsum("bhqk,hg->bgqk", exact_scores(q, k), parameters["before"]))


@variants("talking heads", talking_weights, notes="mixed", applied=False)
def talking(layer: Any, q: Any, k: Any, v: Any) -> Any:
    weights = tf.nn.softmax(tf.einsum("bhqk,hg->bgqk", scores_of(q, k), layer["before"]))
    return tf.einsum("bhqk,hg->bgqk", weights, layer["after"]) @ v


def differential_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Ye et al. 2024: what multiplies the values is a difference."""
    one, two = (softmax(q[..., i : i + 2] @ k[..., i : i + 2].swapaxes(2, 3)) for i in (0, 2))
    return np.asarray(one - 0.3 * two)


@variants("the difference of two softmaxes", differential_weights, notes="changed the weights")
def differential(layer: Any, q: Any, k: Any, v: Any) -> Any:
    parts = [tf.nn.softmax(tf.matmul(q[..., i : i + 2], k[..., i : i + 2], transpose_b=True)) for i in (0, 2)]
    return (parts[0] - 0.3 * parts[1]) @ v


def tempered_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Each head by a temperature of its own."""
    return softmax(exact_scores(q, k) * np.exp(parameters["per_head"]).reshape(HEADS, 1, 1))


@variants("a learned temperature for each head", tempered_weights)
def tempered(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.nn.softmax(scores_of(q, k) * tf.exp(layer["per_head"])[:, None, None]) @ v


def memory_weights(parameters: Parameters, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """A key of zeros before the others, whose value is zero."""
    return softmax(np.pad(exact_scores(q, k), ((0, 0), (0, 0), (0, 0), (1, 0))))


@variants("a key and a value of zeros before the others", memory_weights, applied=False)
def memory(layer: Any, q: Any, k: Any, v: Any) -> Any:
    zero = tf.zeros((BATCH, HEADS, 1, HEAD_DIM))
    return tf.nn.softmax(scores_of(q, tf.concat([zero, k], 2))) @ tf.concat([zero, v], 2)
