"""all-MiniLM-L6-v2, a real BERT of 6 layers x 12 heads, as a Keras 3 model and as a SavedModel that needs no code.

Traces the same sentence with both and prints how far their weights are apart. Needs TensorFlow and the packages of
requirements-demo.txt. Usage: ``python examples/minilm_keras.py``.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from safetensors.numpy import load_file
from transformers import AutoTokenizer

import attncore
from attncore.cli_demo import MODELS, folder_of

LAYERS, HEADS, DIM, INNER = 6, 12, 384, 1536
VOCABULARY, POSITIONS, SEGMENTS = 30522, 512, 2
TEXT = "The cat sat on the mat because it was tired."


class Embeddings(layers.Layer):  # type: ignore[misc]
    """The sum of word, position and segment embeddings; every token is of the first segment."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.word = layers.Embedding(VOCABULARY, DIM, name="word")
        self.position = layers.Embedding(POSITIONS, DIM, name="position")
        self.segment = layers.Embedding(SEGMENTS, DIM, name="segment")

    def build(self, input_shape: Any) -> None:
        """Make the three tables."""
        for table in (self.word, self.position, self.segment):
            table.build(input_shape)

    def call(self, ids: Any) -> Any:
        """(batch, tokens) to (batch, tokens, dim)."""
        shape: Any = ops.shape(ids)
        places = ops.arange(shape[1])
        return self.word(ids) + ops.expand_dims(self.position(places), 0) + self.segment(ops.zeros_like(ids))


def exact_gelu(x: Any) -> Any:
    """BERT's activation, with the error function."""
    return ops.gelu(x, approximate=False)


def norm(name: str) -> layers.LayerNormalization:
    """A layer normalisation with BERT's epsilon."""
    return layers.LayerNormalization(epsilon=1e-12, name=name)


def make_model() -> keras.Model:
    """BERT without its pooler: ids and mask (batch, tokens) to hidden states (batch, tokens, dim)."""
    ids = keras.Input((None,), dtype="int32", name="input_ids")
    mask = keras.Input((None,), dtype="int32", name="attention_mask")
    x = norm("embeddings_norm")(Embeddings(name="embeddings")(ids))
    for i in range(LAYERS):
        attention = layers.MultiHeadAttention(HEADS, DIM // HEADS, name=f"layer_{i}_attention")
        x = norm(f"layer_{i}_attention_norm")(x + attention(x, x, attention_mask=ops.expand_dims(mask, 1)))
        inner = layers.Dense(INNER, activation=exact_gelu, name=f"layer_{i}_inner")(x)
        x = norm(f"layer_{i}_norm")(x + layers.Dense(DIM, name=f"layer_{i}_outer")(inner))
    return keras.Model([ids, mask], x, name="minilm")


def set_weights(model: keras.Model, weights: dict[str, np.ndarray[Any, Any]]) -> None:
    """Give the model the weights of PyTorch's, whose matrices are the other way round."""

    def pair(name: str) -> list[np.ndarray[Any, Any]]:
        return [weights[f"{name}.weight"].T, weights[f"{name}.bias"]]

    tables = [weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")]
    model.get_layer("embeddings").set_weights(tables)
    model.get_layer("embeddings_norm").set_weights(pair("embeddings.LayerNorm"))
    for i in range(LAYERS):
        block = f"encoder.layer.{i}"
        projections = []
        for name in ("query", "key", "value"):
            kernel, bias = pair(f"{block}.attention.self.{name}")
            projections += [kernel.reshape(DIM, HEADS, -1), bias.reshape(HEADS, -1)]
        kernel, bias = pair(f"{block}.attention.output.dense")
        model.get_layer(f"layer_{i}_attention").set_weights([*projections, kernel.reshape(HEADS, -1, DIM), bias])
        model.get_layer(f"layer_{i}_attention_norm").set_weights(pair(f"{block}.attention.output.LayerNorm"))
        model.get_layer(f"layer_{i}_inner").set_weights(pair(f"{block}.intermediate.dense"))
        model.get_layer(f"layer_{i}_outer").set_weights(pair(f"{block}.output.dense"))
        model.get_layer(f"layer_{i}_norm").set_weights(pair(f"{block}.output.LayerNorm"))


def load_minilm() -> tuple[keras.Model, Any]:
    """The model with its real weights, and its tokenizer.

    Raises:
        ModelLoadError: the package that carries the weights is not installed.
    """
    folder = folder_of(MODELS["minilm"])
    model = make_model()
    set_weights(model, load_file(folder / "model.safetensors"))
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)


def inputs_of(tokenizer: Any, text: str) -> list[Any]:
    """Ids and mask, as the Keras model takes them."""
    encoded = tokenizer([text], return_tensors="np")
    return [tf.constant(encoded[name].astype(np.int32)) for name in ("input_ids", "attention_mask")]


def demo(text: str) -> tuple[Any, attncore.Inputs, list[str]]:
    """What `attncore.trace` is to be given for a text: the model, its inputs, and the tokens."""
    model, tokenizer = load_minilm()
    inputs = inputs_of(tokenizer, text)
    return model, attncore.Inputs(inputs), tokenizer.convert_ids_to_tokens(inputs[0].numpy()[0].tolist())


def main() -> None:
    """Trace the sentence with the model and with its SavedModel."""
    model, inputs, labels = demo(TEXT)
    trace = attncore.trace(model, inputs, tokens=labels)
    print(trace)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "minilm")
        model.export(path, verbose=False)
        loaded = tf.saved_model.load(path)
        saved = attncore.trace(loaded.serve, inputs, tokens=labels)
    apart = max(np.abs(np.asarray(a.weights) - np.asarray(b.weights)).max() for a, b in zip(trace, saved, strict=True))
    print(f"The SavedModel, loaded without this file: {len(saved)} layers, weights within {apart:.1e} of the model's")


if __name__ == "__main__":
    main()
