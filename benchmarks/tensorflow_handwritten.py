"""Attention by hand in TensorFlow: the ways to write the two products and the softmax between them."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from tensorflow_numpy import BATCH, GROUPS, HEAD_DIM, HEADS, LENGTH, SCALE
from tensorflow_shell import Variants

variants = Variants()
cases = variants.cases


def scores_of(q: Any, k: Any) -> Any:
    """Scaled products (batch, heads, query, key)."""
    return tf.matmul(q, k, transpose_b=True) * SCALE


@variants("matmul and tf.nn.softmax")
def plain(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.nn.softmax(scores_of(q, k)) @ v


@variants("matmul and tf.nn.softmax, cross", cross=True)
def plain_cross(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.nn.softmax(scores_of(q, k)) @ v


@variants("jit_compile", jit_compile=True)
def compiled(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.nn.softmax(scores_of(q, k)) @ v


@variants("einsum, heads before lengths")
def by_einsum(layer: Any, q: Any, k: Any, v: Any) -> Any:
    weights = tf.nn.softmax(tf.einsum("bhqd,bhkd->bhqk", q, k) * SCALE)
    return tf.einsum("bhqk,bhkd->bhqd", weights, v)


@variants("einsum, lengths before heads", cross=True)
def by_einsum_lengths(layer: Any, q: Any, k: Any, v: Any) -> Any:
    q, k, v = (tf.transpose(x, (0, 2, 1, 3)) for x in (q, k, v))
    weights = tf.nn.softmax(tf.einsum("bqhd,bkhd->bhqk", q, k) * SCALE)
    return tf.transpose(tf.einsum("bhqk,bkhd->bqhd", weights, v), (0, 2, 1, 3))


@variants("einsum, softmax along the third axis of (batch, query, key, heads)", cross=True)
def heads_last(layer: Any, q: Any, k: Any, v: Any) -> Any:
    weights = tf.nn.softmax(tf.einsum("bhqd,bhkd->bqkh", q, k) * SCALE, axis=2)
    return tf.einsum("bqkh,bhkd->bhqd", weights, v)


@variants("key times query, softmax along the key's axis", cross=True)
def key_first(layer: Any, q: Any, k: Any, v: Any) -> Any:
    weights = tf.nn.softmax(tf.matmul(k, q, transpose_b=True) * SCALE, axis=-2)
    return tf.matmul(weights, v, transpose_a=True)


@variants("heads folded into the batch")
def folded(layer: Any, q: Any, k: Any, v: Any) -> Any:
    q, k, v = (tf.reshape(x, (BATCH * HEADS, -1, HEAD_DIM)) if x is not v else x for x in (q, k, v))
    weights = tf.nn.softmax(tf.linalg.matmul(q, k, transpose_b=True) * SCALE)
    return tf.reshape(weights, (BATCH, HEADS, LENGTH, LENGTH)) @ v


@variants("tf.linalg.matmul with tf.math.divide")
def divided(layer: Any, q: Any, k: Any, v: Any) -> Any:
    scores = tf.linalg.matmul(q, k, adjoint_b=True) / tf.math.sqrt(tf.cast(tf.shape(k)[-1], tf.float32))
    return tf.linalg.matmul(tf.nn.softmax(scores, axis=3), v)


@variants("scale divided between query and key")
def scaled_before(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.nn.softmax((q * SCALE**0.5) @ tf.transpose(k * SCALE**0.5, (0, 1, 3, 2))) @ v


@variants("exp by sum of exp")
def exp_sum(layer: Any, q: Any, k: Any, v: Any) -> Any:
    exponentials = tf.exp(scores_of(q, k))
    return (exponentials / tf.reduce_sum(exponentials, -1, keepdims=True)) @ v


@variants("exp by sum of exp, the maximum subtracted first", cross=True)
def exp_sum_safe(layer: Any, q: Any, k: Any, v: Any) -> Any:
    scores = scores_of(q, k)
    exponentials = tf.exp(scores - tf.reduce_max(scores, -1, keepdims=True))
    return tf.math.divide_no_nan(exponentials, tf.reduce_sum(exponentials, -1, keepdims=True)) @ v


@variants("exp of log-softmax")
def log_softmax(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.exp(tf.nn.log_softmax(scores_of(q, k))) @ v


@variants("exp of scores minus their logsumexp")
def logsumexp(layer: Any, q: Any, k: Any, v: Any) -> Any:
    scores = scores_of(q, k)
    return tf.exp(scores - tf.reduce_logsumexp(scores, -1, keepdims=True)) @ v


@variants("deferred normalisation: the mixed values divided by the sum", cross=True)
def deferred(layer: Any, q: Any, k: Any, v: Any) -> Any:
    exponentials = tf.exp(scores_of(q, k))
    return (exponentials @ v) / tf.reduce_sum(exponentials, -1, keepdims=True)


@variants("keras.ops.softmax and keras.ops.matmul")
def keras_ops(layer: Any, q: Any, k: Any, v: Any) -> Any:
    scores = keras.ops.matmul(q, keras.ops.transpose(k, (0, 1, 3, 2)))
    return keras.ops.matmul(keras.ops.softmax(scores * SCALE, axis=-1), v)


@variants("keras.ops.softmax along the key's axis, keras.ops.einsum", cross=True)
def keras_ops_key_first(layer: Any, q: Any, k: Any, v: Any) -> Any:
    weights = keras.ops.softmax(keras.ops.einsum("bhkd,bhqd->bhkq", k, q) * SCALE, axis=2)
    return keras.ops.einsum("bhkq,bhkd->bhqd", weights, v)


@variants("tf.map_fn, one batch item after the other", cross=True)
def by_item(layer: Any, q: Any, k: Any, v: Any) -> Any:
    def item(parts: Any) -> Any:
        q, k, v = parts
        return tf.nn.softmax(tf.einsum("hqd,hkd->hqk", q, k) * SCALE) @ v

    return tf.map_fn(item, (q, k, v), fn_output_signature=tf.float32)


@variants("tf.vectorized_map over the batch")
def vectorised(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.vectorized_map(lambda parts: tf.nn.softmax(scores_of(parts[0], parts[1])) @ parts[2], (q, k, v))


@variants("tf.repeat of the key heads", kv_heads=GROUPS)
def repeated(layer: Any, q: Any, k: Any, v: Any) -> Any:
    k, v = (tf.repeat(x, HEADS // GROUPS, axis=1) for x in (k, v))
    return tf.nn.softmax(scores_of(q, k)) @ v


@variants("query heads in groups, keys not repeated", kv_heads=GROUPS)
def groups(layer: Any, q: Any, k: Any, v: Any) -> Any:
    q = tf.reshape(q, (BATCH, GROUPS, HEADS // GROUPS, LENGTH, HEAD_DIM))
    weights = tf.nn.softmax(tf.einsum("bgrqd,bgkd->bgrqk", q, k) * SCALE)
    mixed = tf.einsum("bgrqk,bgkd->bgrqd", weights, v)
    return tf.reshape(mixed, (BATCH, HEADS, LENGTH, -1))


@variants("one key head broadcast to all", kv_heads=1)
def multi_query(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.nn.softmax(scores_of(q, k)) @ v


@variants("the output gated by a sigmoid")
def gated(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return (tf.nn.softmax(scores_of(q, k)) @ v) * tf.sigmoid(tf.ones_like(q[..., :1]) * 100.0)


@variants("tf.recompute_grad")
def recomputed(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.recompute_grad(plain)(layer, q, k, v)


@variants("a tf.function within the function")
def nested(layer: Any, q: Any, k: Any, v: Any) -> Any:
    return tf.function(plain)(layer, q, k, v)


@variants("a custom gradient")
def custom_gradient(layer: Any, q: Any, k: Any, v: Any) -> Any:
    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def attend(q: Any, k: Any, v: Any) -> Any:
        return plain(layer, q, k, v), lambda grad: (grad, grad, grad)

    return attend(q, k, v)
