"""Backbones of KerasHub with random weights, against the softmaxes of the model's own eager run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import keras_hub
import numpy as np
import tensorflow as tf
from tensorflow_case import Catalogue, Prepared, plain_numpy

from attncore import Inputs

case = Catalogue("KerasHub")
cases = case.cases
HEADS, DIM, LENGTH = 4, 16, 9
IDS = np.array([[5, 3, 8, 1, 9, 2, 7, 4, 6], [2, 7, 1, 3, 5, 0, 0, 0, 0]], np.int32)
SIZES: dict[str, Any] = {"num_layers": 2, "num_heads": HEADS, "hidden_dim": DIM, "intermediate_dim": 32}
LLAMA: dict[str, Any] = {
    "vocabulary_size": 20,
    "num_layers": 2,
    "num_query_heads": HEADS,
    "num_key_value_heads": 2,
    "hidden_dim": DIM,
    "intermediate_dim": 32,
}


def text() -> dict[str, np.ndarray]:
    """Two sentences, the second padded."""
    return {"token_ids": IDS, "padding_mask": (IDS != 0).astype(np.int32)}


def segmented() -> dict[str, np.ndarray]:
    """As BERT wants them."""
    return {**text(), "segment_ids": np.zeros_like(IDS)}


def both_sides() -> dict[str, np.ndarray]:
    """For an encoder and a decoder."""
    sides = {"encoder": IDS, "decoder": IDS[:, :6]}
    ids = {f"{side}_token_ids": array for side, array in sides.items()}
    return ids | {f"{side}_padding_mask": (array != 0).astype(np.int32) for side, array in sides.items()}


@contextmanager
def softmaxes() -> Iterator[list[np.ndarray]]:
    """The result of every softmax over scores that runs inside, in order."""
    seen: list[np.ndarray] = []
    own = tf.nn.softmax

    def watched(logits: Any, axis: Any = None, name: Any = None) -> Any:
        result = own(logits, axis=axis, name=name)
        if len(result.shape) >= 4:
            seen.append(plain_numpy(result))
        return result

    with mock.patch.object(tf.nn, "softmax", watched):
        yield seen


def backbone(kind: str, inputs: Any, **settings: Any) -> Prepared:
    """A model of random weights, of size enough to make heads differ."""
    model = getattr(keras_hub.models, kind)(**settings)
    generator = np.random.default_rng(3)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign(generator.normal(0, 0.25, variable.shape))
    with softmaxes() as own:
        model(inputs)
    references = [array.reshape(array.shape[0], -1, *array.shape[-2:]) for array in own]
    return Prepared(model, Inputs(inputs), references, reference="its own softmax, run eagerly")


@case("BERT")
def bert() -> Prepared:
    return backbone("BertBackbone", segmented(), vocabulary_size=20, max_sequence_length=LENGTH, **SIZES)


@case("RoBERTa")
def roberta() -> Prepared:
    return backbone("RobertaBackbone", text(), vocabulary_size=20, max_sequence_length=LENGTH, **SIZES)


@case("DistilBERT")
def distilbert() -> Prepared:
    return backbone("DistilBertBackbone", text(), vocabulary_size=20, max_sequence_length=LENGTH, **SIZES)


@case("GPT-2")
def gpt2() -> Prepared:
    return backbone("GPT2Backbone", text(), vocabulary_size=20, max_sequence_length=LENGTH, **SIZES)


@case("GPT-NeoX")
def neox() -> Prepared:
    return backbone("GPTNeoXBackbone", text(), vocabulary_size=20, rotary_percentage=0.5, **SIZES)


@case("OPT")
def opt() -> Prepared:
    return backbone("OPTBackbone", text(), vocabulary_size=20, max_sequence_length=LENGTH, **SIZES)


@case("Bloom")
def bloom() -> Prepared:
    return backbone("BloomBackbone", text(), vocabulary_size=20, **SIZES)


@case("Llama")
def llama() -> Prepared:
    return backbone("LlamaBackbone", text(), **LLAMA)


@case("Mistral")
def mistral() -> Prepared:
    # Without padding: of a row that sees padding alone Keras makes zeros, after the softmax that is the reference.
    whole = {"token_ids": IDS[:1], "padding_mask": np.ones_like(IDS[:1])}
    return backbone("MistralBackbone", whole, sliding_window=4, **LLAMA)


@case("Qwen 3")
def qwen() -> Prepared:
    return backbone("Qwen3Backbone", text(), head_dim=4, **LLAMA)


@case("Phi-3")
def phi() -> Prepared:
    return backbone("Phi3Backbone", text(), **LLAMA)


@case("Gemma")
def gemma() -> Prepared:
    return backbone("GemmaBackbone", text(), head_dim=4, **LLAMA)


@case("T5")
def t5() -> Prepared:
    return backbone("T5Backbone", both_sides(), vocabulary_size=20, **SIZES)


@case("BART")
def bart() -> Prepared:
    return backbone("BartBackbone", both_sides(), vocabulary_size=20, max_sequence_length=LENGTH, **SIZES)


@case("ViT")
def vit() -> Prepared:
    image = np.random.default_rng(1).standard_normal((2, 16, 16, 3)).astype(np.float32)
    return backbone(
        "ViTBackbone",
        image,
        image_shape=(16, 16, 3),
        patch_size=4,
        num_layers=2,
        num_heads=HEADS,
        hidden_dim=DIM,
        mlp_dim=32,
    )


@case("Whisper")
def whisper() -> Prepared:
    features = np.random.default_rng(1).standard_normal((2, 20, 8)).astype(np.float32)
    inputs = {
        "encoder_features": features,
        "decoder_token_ids": IDS[:, :6],
        "decoder_padding_mask": (IDS[:, :6] != 0).astype(np.int32),
    }
    sizes = {"max_encoder_sequence_length": 20, "max_decoder_sequence_length": 6}
    return backbone("WhisperBackbone", inputs, vocabulary_size=20, num_mels=8, **sizes, **SIZES)
