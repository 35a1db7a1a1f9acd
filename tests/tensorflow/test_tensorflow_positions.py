"""Which positions an attention's queries and keys are, where the caller or the model uses some twice or in part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf
from keras import layers
from tensorflow_blocks import DIM, HEAD_DIM, HEADS, states

import attncore

IDS = np.array([[3, 1, 4, 1, 5]])


def spelled(ids: Any) -> list[str]:
    """A tokenizer."""
    return [f"t{one}" for one in ids]


def attention(name: str) -> Any:
    """Keras' own."""
    return layers.MultiHeadAttention(HEADS, HEAD_DIM, name=name)


def test_the_same_tensor_as_query_and_value_is_self_attention() -> None:
    """The very tensor twice is one input, and an equal one is another."""
    x, layer = tf.constant(states()), attention("attention")
    layer(x, x)
    for value, kind, axes in (
        (x, "self", ("tokens", "tokens")),
        (tf.constant(states()), "cross", ("tokens", "memory")),
    ):
        (found,) = attncore.trace(layer, (x, value))
        assert (found.kind, (found.query_axis, found.key_axis)) == (kind, axes)


@pytest.mark.parametrize("copied", [False, True])
def test_a_decoder_that_reads_what_the_encoder_reads_attends_across(copied: bool) -> None:
    """Whether or not both get the same array, and both axes have its labels."""
    source = keras.Input((None,), dtype="int32", name="encoder_ids")
    target = keras.Input((None,), dtype="int32", name="decoder_ids")
    embed = layers.Embedding(20, DIM)
    memory, hidden = embed(source), embed(target)
    memory = memory + attention("encoder_attention")(memory, memory)
    hidden = hidden + attention("decoder_attention")(hidden, hidden)
    model = keras.Model([source, target], attention("decoder_cross")(hidden, memory))
    trace = attncore.trace(model, [IDS, IDS.copy() if copied else IDS], tokens=spelled)
    assert {one.name: (one.kind, one.query_axis, one.key_axis) for one in trace} == {
        "encoder_attention": ("self", "encoder", "encoder"),
        "decoder_attention": ("self", "decoder", "decoder"),
        "decoder_cross": ("cross", "decoder", "encoder"),
    }
    assert {name: axis.labels for name, axis in trace.axes.items()} == dict.fromkeys(
        ("encoder", "decoder"), (("t3", "t1", "t4", "t1", "t5"),)
    )


class PartOfTheQueries(keras.Model):
    """Some of the positions attend to all, as the class token of CaiT does in its last layers."""

    def __init__(self, part: slice) -> None:
        super().__init__()
        self.part = part
        self.embedding, self.attention = layers.Embedding(20, DIM), attention("class_attention")

    def call(self, inputs: Any) -> Any:
        ids = inputs["ids"] if isinstance(inputs, dict) else inputs
        hidden = self.embedding(ids)
        return self.attention(hidden[:, self.part], hidden)


@pytest.mark.parametrize("part", [slice(0, 1), slice(3, 5), slice(None, None, 2)], ids=str)
@pytest.mark.parametrize("tokens", [None, list("abcde"), spelled], ids=["none", "list", "tokenizer"])
def test_queries_that_are_a_part_have_no_labels_of_others(part: slice, tokens: Any) -> None:
    """They are counted as queries: neither the labels nor the numbers of the first positions stand beside them."""
    trace = attncore.trace(PartOfTheQueries(part), IDS, tokens=tokens)
    (layer,) = trace
    rows = len(range(5)[part])
    assert (layer.shape[2:], layer.kind, layer.query_axis) == ((rows, 5), "self", "tokens_queries")
    labels = {None: tuple("01234"), spelled: ("t3", "t1", "t4", "t1", "t5")}.get(
        tokens if not isinstance(tokens, list) else "", tuple("abcde")
    )
    assert trace.axes["tokens"].labels == (labels,)
    assert trace.axes["tokens_queries"].labels == (tuple(f"query {row}" for row in range(rows)),)


def test_ids_of_something_else_are_no_labels_of_a_part_of_the_queries() -> None:
    """One whole number for each item, such as a task's, has the size of the class token's query."""
    model = PartOfTheQueries(slice(0, 1))
    trace = attncore.trace(model, ({"ids": IDS, "task": np.array([[7]])},), tokens=spelled)
    assert trace.axes["tokens"].labels == (("t3", "t1", "t4", "t1", "t5"),)
    assert trace.axes["tokens_queries"].labels == (("query 0",),)


def test_queries_without_the_rest_have_their_own_labels() -> None:
    """With keys from a cache, the ids that are given are those of the queries."""
    embedding = tf.Variable(tf.random.stateless_normal((20, DIM), (0, 1)), name="embedding")

    @tf.function
    def step(ids: Any, cache: Any) -> Any:
        new = tf.gather(embedding, ids)
        keys = tf.concat([cache, new], axis=1)
        return tf.nn.softmax(new @ tf.transpose(keys, (0, 2, 1))) @ keys

    trace = attncore.trace(step, (IDS[:, :2], tf.random.stateless_normal((1, 4, DIM), (0, 2))), tokens=spelled)
    (layer,) = trace
    assert layer.shape[2:] == (2, 6)
    assert trace.axes[layer.query_axis].labels == (("t3", "t1"),)


@pytest.mark.parametrize("names", [("transformer_encoder_layer_0", "transformer_decoder_layer_0"), ("first", "second")])
def test_an_encoder_never_has_the_labels_of_the_decoder(names: tuple[str, str]) -> None:
    """Layers are named as KerasHub's are, or say nothing of where they are; both have as many tokens."""
    source, target = (keras.Input((None,), dtype="int32", name=f"{side}_token_ids") for side in ("encoder", "decoder"))
    embed = layers.Embedding(20, DIM)
    memory, hidden = embed(source), embed(target)
    memory = attention(names[0])(memory, memory)
    hidden = attention(names[1])(hidden, hidden)
    model = keras.Model([source, target], attention(f"{names[1]}_cross")(hidden, memory))
    trace = attncore.trace(model, {"encoder_token_ids": IDS, "decoder_token_ids": IDS + 10})
    assert sorted(one.kind for one in trace) == ["cross", "self", "self"]
    if names[0] == "first":
        with pytest.raises(attncore.TokenError, match="no token ids"):
            attncore.trace(model, {"encoder_token_ids": IDS, "decoder_token_ids": IDS + 10}, tokens=spelled)
        return
    trace = attncore.trace(model, {"encoder_token_ids": IDS, "decoder_token_ids": IDS + 10}, tokens=spelled)
    labels = {one.name: trace.axes[one.key_axis].labels[0][0] for one in trace}
    assert labels == {names[0]: "t3", names[1]: "t13", f"{names[1]}_cross": "t3"}
