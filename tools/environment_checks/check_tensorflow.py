"""TensorFlow alone: a Keras model and a SavedModel of it without its code, their weights against numpy."""

from __future__ import annotations

import tempfile

import keras
import numpy as np
import tensorflow as tf
from shared import heads_of, only, report, same_weights, saved_and_shown, softmax_of_products

import attncore

if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    states = keras.Input((6, 16))
    attention = keras.layers.MultiHeadAttention(4, 4)
    model = keras.Model(states, states + attention(states, states, use_causal_mask=True))
    inputs = np.random.default_rng(0).standard_normal((2, 6, 16)).astype(np.float32)
    held = {variable.path.split("/")[-2] + "/" + variable.name: np.array(variable) for variable in attention.variables}
    query, key = (
        heads_of(inputs, held[f"{name}/kernel"].reshape(16, 16), held[f"{name}/bias"].reshape(16), 4)
        for name in ("query", "key")
    )
    expected = {0: softmax_of_products(query, key, causal=True)}
    trace = attncore.trace(model, inputs)
    assert np.allclose(np.asarray(trace.output), model(inputs), rtol=0, atol=1e-6)
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        loaded = tf.saved_model.load(folder)  # what it serves lives no longer than this
        exported = attncore.trace(loaded.serve, inputs)
    report(
        only("tensorflow"),
        f"Keras {same_weights(trace, expected)}",
        f"a SavedModel {same_weights(exported, expected)}",
        saved_and_shown(trace),
    )
