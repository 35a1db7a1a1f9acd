"""Positions that a model flips, shifts or picks: labels of inputs are for those in the inputs' order alone."""

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

LENGTH, DIM = 6, 8
IDS = np.array([[3, 1, 4, 1, 5, 9]])
LABELS = ("t3", "t1", "t4", "t1", "t5", "t9")
OTHERWISE = [2, 0, 1, 5, 4, 3]
Change = Callable[[Any], Any]


def spelled(ids: Any) -> list[str]:
    """A tokenizer."""
    return [f"t{one}" for one in ids]


class Applied(layers.Layer):  # type: ignore[misc]
    """A function of tensors."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change

    def call(self, states: Any) -> Any:
        """What it makes of them."""
        return self.change(states)


def model_of(changed: Any, length: int = LENGTH) -> Any:
    """Token embeddings, a layer or a function of them, and attention, which returns its weights."""
    ids = keras.Input((length,), dtype="int32", name="ids")
    layer = changed if isinstance(changed, layers.Layer) else Applied(changed)
    states = layer(layers.Embedding(20, DIM)(ids))
    return keras.Model(ids, layers.MultiHeadAttention(2, 4, name="att")(states, states, return_attention_scores=True))


def shifted(x: Any) -> Any:
    """To the right by one."""
    return tf.pad(x[:, :-1], [[0, 0], [1, 0], [0, 0]])


MOVED: dict[str, Any] = {
    "reversed": lambda x: tf.reverse(x, [1]),
    "sliced backwards": lambda x: x[:, ::-1],
    "flipped by keras": lambda x: keras.ops.flip(x, 1),
    "reversed in part": lambda x: tf.reverse_sequence(x, [4], seq_axis=1, batch_axis=0),
    "gathered": lambda x: tf.gather(x, OTHERWISE, axis=1),
    "taken by keras": lambda x: keras.ops.take(x, keras.ops.convert_to_tensor(OTHERWISE), axis=1),
    "sorted": lambda x: tf.gather(x, tf.argsort(x[:, :, 0], axis=1), batch_dims=1),
    "shuffled": lambda x: tf.transpose(tf.random.shuffle(tf.transpose(x, (1, 0, 2))), (1, 0, 2)),
    "rolled": lambda x: tf.roll(x, 1, 1),
    "rolled by hand": lambda x: tf.concat([x[:, 3:], x[:, :3]], 1),
    "even before odd": lambda x: tf.concat([x[:, ::2], x[:, 1::2]], 1),
    "shifted": shifted,
    "by a matrix": lambda x: tf.einsum("btd,st->bsd", x, tf.one_hot(OTHERWISE, LENGTH)),
    "recurrent backwards": layers.LSTM(DIM, return_sequences=True, go_backwards=True),
}
IN_PLACE: dict[str, Any] = {
    "reversed twice": lambda x: tf.reverse(tf.reverse(x, [1]), [1]),
    "added to what was reversed": lambda x: x + tf.reverse(x, [1]),
    "gathered in order": lambda x: tf.gather(x, tf.range(LENGTH), axis=1),
    "put together again": lambda x: tf.concat([x[:, :2], x[:, 2:]], 1),
    "another first token": lambda x: tf.concat([tf.zeros((1, 1, DIM)), x[:, 1:]], 1),
    "a causal convolution": layers.Conv1D(DIM, 3, padding="causal"),
    "recurrent both ways": layers.Bidirectional(layers.GRU(DIM, return_sequences=True), merge_mode="sum"),
    "step by step": layers.TimeDistributed(layers.Dense(DIM)),
}


def is_random(name: str) -> bool:
    """Whether each run has another order."""
    return name == "shuffled"


@pytest.mark.parametrize("name", MOVED)
def test_positions_in_another_order_have_no_labels_of_the_inputs(name: str) -> None:
    """They are an axis of their own that is counted, and labels are for it only where it is named."""
    model = model_of(MOVED[name])
    trace = attncore.trace(model, IDS)
    (layer,) = trace
    assert (layer.kind, layer.query_axis, layer.key_axis) == ("self", "tokens_reordered", "tokens_reordered")
    assert trace.axes["tokens_reordered"].labels == (tuple(f"place {at}" for at in range(LENGTH)),)
    if not is_random(name):
        np.testing.assert_allclose(layer.weights, model(IDS)[1], rtol=0, atol=1e-5)
    assert any("another order" in note for note in layer.notes)
    assert attncore.trace(model, IDS, tokens=spelled).axes["tokens_reordered"].kind == "position"
    with pytest.raises(attncore.TokenError, match=r'another order.*"tokens_reordered"'):
        attncore.trace(model, IDS, tokens=list("abcdef"))
    named = attncore.trace(model, IDS, tokens={"tokens_reordered": list("abcdef")})
    assert named.axes["tokens_reordered"].labels == (tuple("abcdef"),)


@pytest.mark.parametrize("name", IN_PLACE)
def test_positions_in_place_have_their_labels(name: str) -> None:
    """Whatever happened to them on the way."""
    trace = attncore.trace(model_of(IN_PLACE[name]), IDS, tokens=spelled)
    assert [(one.query_axis, one.key_axis) for one in trace] == [("tokens", "tokens")]
    assert trace.axes["tokens"].labels == (LABELS,)


def test_only_what_is_moved_is_another_axis() -> None:
    """A second layer reads the first one's positions backwards, a third both; a fourth asks backwards."""
    ids = keras.Input((LENGTH,), dtype="int32", name="ids")
    states = layers.Embedding(20, DIM)(ids)
    found = [layers.MultiHeadAttention(2, 4, name=f"att_{at}") for at in range(4)]
    first = found[0](states, states)
    turned = Applied(lambda x: tf.reverse(x, [1]))(first)
    second = found[1](turned, turned)
    third = found[2](first + second, first + second)
    model = keras.Model(ids, found[3](Applied(lambda x: x[:, ::-1])(third), third))
    trace = attncore.trace(model, IDS, tokens=spelled)
    assert [(one.query_axis, one.key_axis) for one in trace] == [
        ("tokens", "tokens"),
        ("tokens_reordered", "tokens_reordered"),
        ("tokens", "tokens"),
        ("tokens_reordered", "tokens"),
    ]
    assert trace.axes["tokens"].labels == (LABELS,)
    assert trace.axes["tokens_reordered"].labels == (tuple(f"place {at}" for at in range(LENGTH)),)


def test_items_of_a_batch_in_another_order_have_no_labels_of_others() -> None:
    """Each item has its own labels."""
    states = tf.random.stateless_normal((2, LENGTH, DIM), (0, 1))
    kernels = [tf.random.stateless_normal((DIM, DIM), (0, seed)) for seed in (2, 3)]

    @tf.function
    def call(x: Any) -> Any:
        query, key = (tf.reverse(x, [0]) @ kernel for kernel in kernels)
        return tf.nn.softmax(tf.matmul(query, key, transpose_b=True)) @ key

    (layer,) = attncore.trace(call, states)
    assert layer.key_axis == "tokens_reordered"
    with pytest.raises(attncore.TokenError, match="another order"):
        attncore.trace(call, states, tokens=[list("abcdef"), list("ghijkl")])
