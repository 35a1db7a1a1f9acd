"""Models of x-transformers as cases: what can be switched on in its attention, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import library_models as library
import torch
from library_models import Arrange, Library
from model_case import ModelCase

from attncore import Inputs

FAMILY = "x-transformers"
SIZES = {"dim": 32, "depth": 2, "heads": 4, "attn_dim_head": 8}
LENGTH, VOCABULARY = 7, 20
SELF: dict[str, Any] = {"kinds": ["self", "self"]}
SWITCHES: dict[str, dict[str, Any]] = {
    "decoder": {},
    "ALiBi": {"alibi_pos_bias": True},
    "data-dependent ALiBi": {"attn_data_dependent_alibi": True},
    "T5 bias": {"rel_pos_bias": True},
    "dynamic bias": {"dynamic_pos_bias": True},
    "rotary": {"rotary_pos_emb": True},
    "rotary xpos": {"rotary_xpos": True},
    "contextual positions": {"attn_use_cope": True},
    "grouped keys": {"attn_kv_heads": 2},
    "one key head": {"attn_one_kv_head": True},
    "memory keys and values": {"attn_num_mem_kv": 3},
    "zero key and value": {"attn_add_zero_kv": True},
    "query-key norm": {"attn_qk_norm": True},
    "query-key norm with scales": {"attn_qk_norm": True, "attn_qk_norm_dim_scale": True},
    "top-k": {"attn_sparse_topk": 3},
    "softclamp": {"attn_softclamp_logits": True},
    "distances": {"attn_l2_distance": True},
    "head scales of the output": {"attn_head_scale": True},
    "gated values": {"attn_gate_values": True},
    "attention on attention": {"attn_on_attn": True},
    "selective": {"attn_selective": True},
    "laser": {"attn_laser": True},
    "value residual": {"add_value_residual": True},
    "sandwich norm": {"sandwich_norm": True},
}
FLASH: dict[str, dict[str, Any]] = {
    "flash": {},
    "flash, ALiBi": {"alibi_pos_bias": True},
    "flash, grouped keys": {"attn_kv_heads": 2},
    "flash, memory keys and values": {"attn_num_mem_kv": 3},
    "flash, query-key norm": {"attn_qk_norm": True},
}
Model = torch.nn.Module


def cases() -> Iterator[ModelCase]:
    """Decoders with one switch each, then encoders and whole models."""
    for name, options in SWITCHES.items():
        yield decoder_case(name, options)
    for name, options in FLASH.items():
        plain = partial(decoder, options)
        fused = partial(decoder, {**options, "attn_flash": True})
        yield Library(FAMILY, name, fused, ids, twin=plain, expected=SELF).case()
    yield from after_the_softmax()
    yield from whole_models()


def after_the_softmax() -> Iterator[ModelCase]:
    """What changes the weights, and what has none."""
    mixed = {**SELF, "notes_contain": "mixed"}
    talking = {"attn_pre_talking_heads": True, "attn_post_talking_heads": True}
    yield decoder_case("talking heads", talking, expected=mixed)
    sink = {"attn_head_learned_sink": True}
    yield decoder_case("softmax1, a learned sink", sink, library.no_sink, {**SELF, "notes_contain": "sink"})
    yield decoder_case("hard attention", {"attn_hard": True}, library.hardened)
    no_softmax = {"coverage_contains": "without a softmax"}
    yield decoder_case("sigmoid attention", {"attn_sigmoid": True}, library.nothing, no_softmax)


def whole_models() -> Iterator[ModelCase]:
    """Encoders, sequence to sequence, and pictures."""
    yield Library(FAMILY, "encoder", encoder, ids, expected=SELF).case()
    yield Library(FAMILY, "encoder, masked", encoder, masked_ids, expected=SELF).case()
    cross = {"kinds": ["self", "cross"] * 2}
    yield Library(
        FAMILY, "decoder with context", partial(decoder, {"cross_attend": True}), context, expected=cross
    ).case()
    both = {"kinds": ["self"] * 2 + ["self", "cross"] * 2}
    yield Library(FAMILY, "sequence to sequence", sequence_to_sequence, two_ids, expected=both).case()
    yield Library(FAMILY, "vision transformer", vision, library.image(32), expected=SELF).case()


def decoder_case(
    name: str, options: dict[str, Any], arrange: Arrange | None = None, expected: dict[str, Any] | None = None
) -> ModelCase:
    """A decoder with these switches."""
    kept = arrange or (lambda weights: weights)
    wanted = SELF if expected is None else expected
    return Library(FAMILY, name, partial(decoder, options), ids, kept, expected=wanted).case()


def decoder(options: dict[str, Any]) -> Model:
    """A small language model."""
    from x_transformers import Decoder, TransformerWrapper

    layers = Decoder(**SIZES, **options)
    return made(TransformerWrapper(num_tokens=VOCABULARY, max_seq_len=16, attn_layers=layers))


def encoder() -> Model:
    """A small encoder."""
    from x_transformers import Encoder, TransformerWrapper

    return made(TransformerWrapper(num_tokens=VOCABULARY, max_seq_len=16, attn_layers=Encoder(**SIZES)))


def sequence_to_sequence() -> Model:
    """Encoder and decoder."""
    from x_transformers import XTransformer

    part = {"num_tokens": VOCABULARY, "depth": 2, "heads": 4, "max_seq_len": 16}
    parts = {f"{side}_{key}": value for side in ("enc", "dec") for key, value in part.items()}
    return made(XTransformer(dim=32, **parts))


def vision() -> Model:
    """A vision transformer."""
    from x_transformers import Encoder, ViTransformerWrapper

    return made(ViTransformerWrapper(image_size=32, patch_size=8, num_classes=3, attn_layers=Encoder(**SIZES)))


def made(model: Any) -> Model:
    """The library has no types."""
    assert isinstance(model, torch.nn.Module)
    return model


def random_ids(length: int = LENGTH) -> torch.Tensor:
    """Random token ids."""
    return torch.randint(0, VOCABULARY, (2, length))


def ids() -> Inputs:
    """Token ids alone."""
    return Inputs(random_ids())


def masked_ids() -> Inputs:
    """The second item is padded."""
    mask = torch.ones(2, LENGTH, dtype=torch.bool)
    mask[1, -2:] = False
    return Inputs(random_ids(), mask=mask)


def context() -> Inputs:
    """Token ids and hidden states to attend to."""
    return Inputs(random_ids(), context=torch.randn(2, 5, 32))


def two_ids() -> Inputs:
    """Ids of source and target."""
    return Inputs(random_ids(), random_ids(6))
