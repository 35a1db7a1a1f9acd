"""The attention layers of Keras, each in the ways that its arguments allow."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers
from tensorflow_case import Catalogue, Prepared
from tensorflow_numpy import (
    BATCH,
    CONTEXT,
    DIM,
    GROUPS,
    HEAD_DIM,
    HEADS,
    LENGTH,
    SCALE,
    causal,
    layer_weights,
    masked,
    own_scores,
    random_array,
    set_random_weights,
)

from attncore import Inputs

case = Catalogue("Keras layers")
cases = case.cases
ALLOWED = np.random.default_rng(5).random((BATCH, LENGTH, LENGTH)) < 0.6
ALLOWED[:, np.arange(LENGTH), np.arange(LENGTH)] = True


def states(length: int = LENGTH, seed: int = 10) -> np.ndarray:
    """Random hidden states (batch, length, dim)."""
    return random_array(seed, BATCH, length, DIM)


def built(layer: Any, *inputs: np.ndarray) -> Any:
    """The layer with random weights."""
    layer(*inputs)
    set_random_weights(layer)
    return layer


def multi_head(
    *inputs: np.ndarray,
    allowed: np.ndarray | None = None,
    call: dict[str, Any] | None = None,
    own: dict[str, Any] | None = None,
    grouped: int = 0,
    fields: dict[str, Any] | None = None,
    **settings: Any,
) -> Prepared:
    """A layer called on ``inputs`` (query, value, and perhaps key) with ``call``'s options, and its formula."""
    inputs = inputs or (states(), states())
    if grouped:
        layer = layers.GroupQueryAttention(HEAD_DIM, HEADS, grouped, name="attention", **settings)
    else:
        layer = layers.MultiHeadAttention(HEADS, settings.pop("key_dim", HEAD_DIM), name="attention", **settings)
    built(layer, *inputs)
    options = call or {}
    weights = layer_weights(layer, inputs[0], inputs[-1], allowed)
    asked = {name: value for name, value in options.items() if name not in ("return_attention_scores", "training")}
    return Prepared(
        layer,
        Inputs(*inputs, **options),
        [weights],
        confirm=lambda: [(own_scores(layer, *inputs, **asked, **(own or {})), weights)],
        names=["attention"],
        **(fields or {}),
    )


@case("MultiHeadAttention, self")
def self_attention() -> Prepared:
    x = states()
    return multi_head(x, x, fields={"kinds": ["self"]})


@case("MultiHeadAttention, cross")
def cross() -> Prepared:
    return multi_head(states(), states(CONTEXT, 11), fields={"kinds": ["cross"]})


@case("MultiHeadAttention, keys that are not the values")
def own_keys() -> Prepared:
    return multi_head(states(), states(CONTEXT, 11), states(CONTEXT, 12))


@case("MultiHeadAttention, causal by its kernel")
def causal_kernel() -> Prepared:
    return multi_head(call={"use_causal_mask": True}, allowed=causal(LENGTH, LENGTH))


@case("MultiHeadAttention, attention_mask")
def masks() -> Prepared:
    return multi_head(call={"attention_mask": ALLOWED}, allowed=ALLOWED[:, None])


@case("MultiHeadAttention, causal and attention_mask")
def causal_and_mask() -> Prepared:
    allowed = ALLOWED[:, None] & causal(LENGTH, LENGTH)
    return multi_head(call={"attention_mask": ALLOWED, "use_causal_mask": True}, allowed=allowed)


@case("MultiHeadAttention, sliding window")
def sliding_window() -> Prepared:
    places = np.arange(LENGTH)
    near = np.abs(places[:, None] - places) < 2
    return multi_head(allowed=near, sliding_window=2)


@case("MultiHeadAttention, values wider than keys")
def wide_values() -> Prepared:
    return multi_head(value_dim=9)


@case("MultiHeadAttention, an output of its own shape")
def output_shape() -> Prepared:
    return multi_head(output_shape=(3, 5))


@case("MultiHeadAttention without biases")
def without_bias() -> Prepared:
    return multi_head(use_bias=False)


@case("MultiHeadAttention with a gate")
def with_gate() -> Prepared:
    return multi_head(use_gate=True)


@case("MultiHeadAttention, one head")
def one_head() -> Prepared:
    x = states()
    layer = built(layers.MultiHeadAttention(1, 5, name="attention"), x, x)
    weights = layer_weights(layer, x, x)
    return Prepared(layer, Inputs(x, x), [weights], confirm=lambda: [(own_scores(layer, x, x), weights)])


@case("MultiHeadAttention, return_attention_scores")
def with_scores() -> Prepared:
    return multi_head(call={"return_attention_scores": True})


@case("MultiHeadAttention, dropout in training")
def dropout_training() -> Prepared:
    fields = {"notes_contain": "dropout", "random_output": True, "changes_state": True}
    return multi_head(call={"training": True}, dropout=0.3, fields=fields)


@case("MultiHeadAttention, dropout that does not run")
def dropout_inference() -> Prepared:
    return multi_head(dropout=0.3, call={"training": False})


@case("MultiHeadAttention over the columns of each row of an image")
def one_axis_of_two() -> Prepared:
    x = random_array(10, BATCH, 3, LENGTH, DIM)
    layer = built(layers.MultiHeadAttention(HEADS, HEAD_DIM, attention_axes=(2,), name="attention"), x, x)
    weights = layer_weights(layer, x, x)
    flat = weights.reshape(BATCH * 3, HEADS, LENGTH, LENGTH)
    return Prepared(layer, Inputs(x, x), [flat], confirm=lambda: [(own_scores(layer, x, x), weights)])


@case("MultiHeadAttention over rows and columns of an image")
def both_axes() -> Prepared:
    x = random_array(10, BATCH, 3, 5, DIM)
    layer = built(layers.MultiHeadAttention(HEADS, HEAD_DIM, attention_axes=(1, 2), name="attention"), x, x)
    flat = x.reshape(BATCH, 15, DIM)
    weights = layer_weights(layer, flat, flat)
    own = weights.reshape(BATCH, HEADS, 3, 5, 3, 5)
    return Prepared(layer, Inputs(x, x), [weights], confirm=lambda: [(own_scores(layer, x, x), own)])


@case("MultiHeadAttention, float16 mixed")
def mixed_float16() -> Prepared:
    # Weights of float16 queries and keys: ten bits of significand in scores of size 4.
    x = states()
    fields = {"tolerance": 5e-3, "confirm_tolerance": 5e-3, "output_tolerance": 5e-3}
    return multi_head(x, x, dtype="mixed_float16", fields=fields)


@case("MultiHeadAttention, bfloat16 mixed")
def mixed_bfloat16() -> Prepared:
    # Seven bits of significand in scores of size 4.
    x = states()
    fields = {"tolerance": 4e-2, "confirm_tolerance": 4e-2, "output_tolerance": 4e-2}
    return multi_head(x, x, dtype="mixed_bfloat16", fields=fields)


@case("GroupQueryAttention")
def grouped() -> Prepared:
    return multi_head(grouped=GROUPS)


@case("GroupQueryAttention with one key head")
def multi_query() -> Prepared:
    return multi_head(grouped=1)


@case("GroupQueryAttention, cross, causal")
def grouped_cross() -> Prepared:
    options = {"use_causal_mask": True}
    return multi_head(states(), states(CONTEXT, 11), grouped=GROUPS, call=options, allowed=causal(LENGTH, CONTEXT))


@case("GroupQueryAttention, attention_mask, scores returned")
def grouped_scores() -> Prepared:
    options = {"attention_mask": ALLOWED, "return_attention_scores": True}
    return multi_head(grouped=3, call=options, allowed=ALLOWED[:, None])


def plain_attention(
    call: dict[str, Any] | None = None, allowed: np.ndarray | None = None, scale: bool = False, **fields: Any
) -> Prepared:
    """The layer `Attention`, which has no heads and no projections; its inputs are [query, value, key]."""
    query, value, key = states() * 0.4, states(CONTEXT, 11), states(CONTEXT, 12) * 0.4
    layer = layers.Attention(use_scale=scale, name="attention")
    layer([query, value, key])
    for variable in layer.variables:
        variable.assign(np.full(variable.shape, 0.7, np.float32))
    scores = query.astype(np.float64) @ key.astype(np.float64).swapaxes(1, 2) * (0.7 if scale else 1)
    weights = masked(scores, np.ones(1, bool) if allowed is None else allowed)[:, None]
    options = call or {}
    inputs = [query, value, key]
    asked = {**options, "return_attention_scores": True}
    own = lambda: [(layer(inputs, **asked)[1], weights[:, 0])]  # noqa: E731 - one line says it
    return Prepared(layer, Inputs(inputs, **options), [weights], confirm=own, names=["attention"], **fields)


@case("Attention")
def dot() -> Prepared:
    return plain_attention(kinds=["cross"])


@case("Attention with a learned scale")
def dot_scaled() -> Prepared:
    return plain_attention(scale=True)


@case("Attention, causal")
def dot_causal() -> Prepared:
    return plain_attention({"use_causal_mask": True}, causal(LENGTH, CONTEXT))


@case("Attention, a mask of the values")
def dot_masked() -> Prepared:
    seen = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], bool)
    return plain_attention({"mask": [None, seen]}, seen[:, None])


@case("Attention, scores returned")
def dot_scores() -> Prepared:
    return plain_attention({"return_attention_scores": True})


@case("Attention in concat mode has no product of query and key")
def concat() -> Prepared:
    layer = layers.Attention(score_mode="concat")
    inputs = [states(), states(CONTEXT, 11)]
    layer(inputs)
    return Prepared(layer, Inputs(inputs), reported=True, note="reported, not captured")


@case("AdditiveAttention has no product of query and key")
def additive() -> Prepared:
    layer = layers.AdditiveAttention()
    inputs = [states(), states(CONTEXT, 11)]
    layer(inputs)
    return Prepared(layer, Inputs(inputs), reported=True, note="reported, not captured")


def products(allowed: np.ndarray, factor: float, added: np.ndarray | float = 0.0, **options: Any) -> Prepared:
    """keras.ops.dot_product_attention on (batch, length, heads, head_dim); identity as values gives the weights."""
    shapes = [(BATCH, LENGTH, HEADS), (BATCH, CONTEXT, HEADS), (BATCH, CONTEXT, HEADS)]
    arrays = [random_array(20 + i, *shape, HEAD_DIM) for i, shape in enumerate(shapes)]
    model_inputs = [keras.Input(array.shape[1:]) for array in arrays]
    model = keras.Model(model_inputs, keras.ops.dot_product_attention(*model_inputs, **options))
    query, key = (array.astype(np.float64).swapaxes(1, 2) for array in arrays[:2])
    weights = masked(query @ key.swapaxes(2, 3) * factor + added, allowed)
    identity = np.broadcast_to(np.eye(CONTEXT, dtype=np.float32)[None, :, None], (BATCH, CONTEXT, HEADS, CONTEXT))

    def own() -> list[tuple[Any, np.ndarray]]:
        mixed = keras.ops.dot_product_attention(*arrays[:2], identity, **options)
        return [(mixed, weights.swapaxes(1, 2))]

    return Prepared(model, Inputs(arrays), [weights], confirm=own)


@case("keras.ops.dot_product_attention, bias and scale")
def ops_bias() -> Prepared:
    bias = random_array(30, 1, HEADS, LENGTH, CONTEXT)
    return products(np.ones(1, bool), 0.3, bias, bias=bias, scale=0.3)


@case("keras.ops.dot_product_attention, causal")
def ops_causal() -> Prepared:
    return products(causal(LENGTH, CONTEXT), SCALE, is_causal=True)


@case("Dot, Softmax and Dot layers")
def dot_layers() -> Prepared:
    query, memory = keras.Input((LENGTH, DIM)), keras.Input((CONTEXT, DIM))
    scores = layers.Dot(axes=2)([layers.Dense(DIM, name="q")(query), layers.Dense(DIM, name="k")(memory)])
    weights = layers.Softmax(name="align")(scores)
    model = keras.Model([query, memory], layers.Dot(axes=(2, 1))([weights, memory]))
    set_random_weights(model)
    x, source = states() * 0.5, states(CONTEXT, 11) * 0.5
    kernels = {name: [w.astype(np.float64) for w in model.get_layer(name).get_weights()] for name in "qk"}
    q, k = (array.astype(np.float64) @ kernels[n][0] + kernels[n][1] for array, n in ((x, "q"), (source, "k")))
    reference = masked(q @ k.swapaxes(1, 2), np.ones(1, bool))
    own = keras.Model([query, memory], weights)
    return Prepared(model, Inputs([x, source]), [reference[:, None]], confirm=lambda: [(own([x, source]), reference)])
