"""Inputs for any Hugging Face model, from the names in its forward signature.

Several candidates are offered, the richest first (a language model with a vision tower gets an image before it gets
text alone); the caller takes the first that the model accepts.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from hf_makers import BATCH, InputMaker, makers
from transformers import PreTrainedModel

Tensors = dict[str, Any]

COMPANIONS = (
    "attention_mask",
    "decoder_input_ids",
    "bbox",
    "input_features_mask",
    "visual_feats",
    "visual_pos",
    "future_time_features",
    "future_values",
    "actions",
    "rewards",
    "returns_to_go",
    "timesteps",
)
IMAGE_PARTS = ("pixel_values", "image_grid_thw", "mm_token_type_ids", "spatial_shapes", "pixel_attention_mask")


def required(make: InputMaker) -> list[str]:
    """Forward parameters without a default."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, p in make.parameters.items() if p.default is p.empty and p.kind in kinds]


def main_inputs(make: InputMaker) -> list[str]:
    """What the model names as its main input, with the parameters that it cannot do without."""
    main: Any = make.model.main_input_name
    names = list(main) if isinstance(main, list) else [main]
    return list(dict.fromkeys([name for name in names if name in make.parameters] + required(make)))


def candidates(model: PreTrainedModel) -> Iterator[Tensors]:
    """Inputs to try in turn, the richest first."""
    make = InputMaker(model)
    base = main_inputs(make)
    companions = [name for name in COMPANIONS if name in make.parameters]
    if {"pixel_values", "input_ids"} <= set(make.parameters):
        images = [name for name in IMAGE_PARTS if name in make.parameters]
        make.image_tokens = count_image_tokens(make)
        yield collect(make, ["input_ids", *base, *companions, *images])
        make.image_tokens, make.images_per_item = 0, 2
        yield collect(make, ["input_ids", *base, *companions, *images])
        make.images_per_item = 0
    yield collect(make, base + companions)
    yield collect(make, base)
    yield from variants(make, base, companions)


def variants(make: InputMaker, base: list[str], companions: list[str]) -> Iterator[Tensors]:
    """The same inputs with their axes in the other order, or with one more axis."""
    if "input_features" in make.parameters:
        for make.frequency_first in (True, False):
            yield collect(make, ["input_features", *base, *companions])
            yield collect(make, ["input_features", *base])
    if "input_values" in base:
        make.waveform_channel = True
        yield collect(make, base)
    if "pixel_values" in base:
        make.images_per_item = 2
        yield collect(make, base + companions)


def collect(make: InputMaker, names: list[str]) -> Tensors:
    """Make every named input; a text mask only where there is text of its length."""
    known = makers(make)
    wanted = list(dict.fromkeys(names))
    for missing, dependent in (("input_ids", ("attention_mask", "bbox")), ("input_features", ("input_features_mask",))):
        if missing not in wanted:
            wanted = [name for name in wanted if name not in dependent]
    return {name: known[name]() for name in wanted if name in known}


def count_image_tokens(make: InputMaker) -> int:
    """How many text positions one image takes: as many as the model makes image features."""
    getter = getattr(make.model, "get_image_features", None)
    if getter is None or make.image_token() is None:
        return 0
    allowed = inspect.signature(getter).parameters
    inputs = {name: maker() for name, maker in makers(make).items() if name in allowed and name in IMAGE_PARTS}
    try:
        with torch.no_grad():
            output = getter(**inputs)
    except Exception:  # any failure means that the text must do without images
        return 0
    features = getattr(output, "pooler_output", output)
    pieces = features if isinstance(features, (list, tuple)) else [features]
    return sum(int(piece.shape[:-1].numel()) for piece in pieces) // BATCH
