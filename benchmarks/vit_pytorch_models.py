"""Models of vit-pytorch as cases."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import library_models as library
import torch
from library_models import Arrange, Library
from model_case import ModelCase

from attncore import Inputs

FAMILY = "vit-pytorch"
PICTURE: dict[str, Any] = {"image_size": 32, "num_classes": 3}
VIT: dict[str, Any] = {**PICTURE, "patch_size": 8, "dim": 24, "depth": 2, "heads": 3, "mlp_dim": 24, "dim_head": 8}
LINE = {key: value for key, value in VIT.items() if key != "image_size"}
CLIP = {key: value for key, value in VIT.items() if key != "patch_size"}
CLIP |= {"depth": 1, "frames": 4, "image_patch_size": 8, "frame_patch_size": 2}

PLAIN = {
    "ViT": ("vit", "ViT"),
    "SimpleViT": ("simple_vit", "SimpleViT"),
    "DeepViT": ("deepvit", "DeepViT"),
    "ViT for small datasets": ("vit_for_small_dataset", "ViT"),
    "ViT with learnable memory": ("learnable_memory_vit", "ViT"),
    "parallel ViT": ("parallel_vit", "ViT"),
    "ViT with registers": ("simple_vit_with_register_tokens", "SimpleViT"),
    "ViT with query-key norm": ("simple_vit_with_qk_norm", "SimpleViT"),
    "ViT with value residual": ("simple_vit_with_value_residual", "SimpleViT"),
    "normalised ViT": ("normalized_vit", "nViT"),
}


def cases() -> Iterator[ModelCase]:
    """A case for each."""
    for name, (module, class_name) in PLAIN.items():
        yield picture(name, module, class_name, VIT)
    yield from others()
    yield from shapes()


def others() -> Iterator[ModelCase]:
    """Pictures with more to them than patches and layers."""
    yield picture("CaiT", "cait", "CaiT", {**VIT, "cls_depth": 1})
    yield picture("XCiT", "xcit", "XCiT", {**VIT, "cls_depth": 1}, library.without(8))
    yield picture("PiT", "pit", "PiT", {**VIT, "depth": (1, 1)})
    merger = {**VIT, "patch_merge_layer": 1, "patch_merge_num_tokens": 4}
    yield picture("patch merger", "vit_with_patch_merger", "ViT", merger, queries_only)
    small = {"embedding_dim": 24, "n_conv_layers": 1, "num_layers": 2, "num_heads": 3, "mlp_ratio": 1.0}
    compact = {"img_size": 32, "num_classes": 3, "positional_embedding": "learnable", **small}
    yield picture("CCT", "cct", "CCT", compact, pooled)
    tokens = {**PICTURE, "dim": 24, "depth": 2, "heads": 3, "mlp_dim": 24, "t2t_layers": ((7, 4), (3, 2))}
    yield picture("T2T", "t2t", "T2TViT", tokens)
    nested = {**PICTURE, "patch_size": 4, "dim": 12, "heads": 3, "num_hierarchies": 2, "block_repeats": (1, 1)}
    yield picture("NesT", "nest", "NesT", nested)
    rotary = {key: value for key, value in VIT.items() if key != "dim_head"}
    yield picture("RvT", "rvt", "RvT", {**rotary, "depth": 1}, library.heads_folded(3))
    level = {"stages": 2, "dim": (16, 16), "depth": 1, "heads": (2, 2), "mlp_mult": 2}
    yield picture("LeViT", "levit", "LeViT", {"image_size": 64, "num_classes": 3, **level}, size=64)
    yield picture("CrossViT", "cross_vit", "CrossViT", {**PICTURE, "depth": 1, **crossed()})
    fused = partial(make, "simple_flash_attn_vit", "SimpleViT", {**VIT, "use_flash": True})
    plain = partial(without_flash, {**VIT, "use_flash": False})
    yield Library(FAMILY, "SimpleViT, flash", fused, library.image(32), twin=plain).case()


def crossed() -> dict[str, Any]:
    """Two branches that attend to each other."""
    both = {"dim": 24, "enc_depth": 1, "enc_heads": 2, "enc_mlp_dim": 24}
    branches = {f"{branch}_{key}": value for branch in ("sm", "lg") for key, value in both.items()}
    return {**branches, "sm_patch_size": 8, "lg_patch_size": 16, "cross_attn_depth": 1, "cross_attn_heads": 2}


def shapes() -> Iterator[ModelCase]:
    """Inputs that are not one picture each."""
    yield model("ViT of clips", "simple_vit_3d", "SimpleViT", CLIP, (1, 3, 4, 32, 32))
    yield model("ViT of sequences", "vit_1d", "ViT", {**LINE, "seq_len": 32}, (2, 3, 32))
    packed = partial(make, "na_vit", "NaViT", VIT)
    yield Library(FAMILY, "NaViT, pictures of all sizes in one row", packed, mixed_pictures).case()


def mixed_pictures() -> Inputs:
    """Two rows of pictures of different sizes."""
    return Inputs([[torch.randn(3, 16, 24), torch.randn(3, 8, 8)], [torch.randn(3, 24, 8)]])


def picture(
    name: str, module: str, class_name: str, options: dict[str, Any], arrange: Arrange | None = None, size: int = 32
) -> ModelCase:
    """A case of a model called with pictures."""
    return model(name, module, class_name, options, (2, 3, size, size), arrange)


def model(
    name: str,
    module: str,
    class_name: str,
    options: dict[str, Any],
    shape: tuple[int, ...],
    arrange: Arrange | None = None,
) -> ModelCase:
    """A case of a model called with one tensor."""
    built = partial(make, module, class_name, options)
    kept = arrange or (lambda weights: weights)
    return Library(FAMILY, name, built, partial(library.random_inputs, shape), kept).case()


def make(module: str, class_name: str, options: dict[str, Any]) -> torch.nn.Module:
    """A model with random weights."""
    made: torch.nn.Module = getattr(importlib.import_module(f"vit_pytorch.{module}"), class_name)(**options)
    return made


def without_flash(options: dict[str, Any]) -> torch.nn.Module:
    """The same without the kernel, which as published calls a function it does not import, without a head's letter."""
    module = importlib.import_module("vit_pytorch.simple_flash_attn_vit")
    vars(module)["einsum"] = lambda equation, *tensors: torch.einsum(equation.replace("b j d", "b h j d"), *tensors)
    return make("simple_flash_attn_vit", "SimpleViT", options)


def queries_only(weights: torch.Tensor) -> torch.Tensor:
    """Learned queries of one head: (batch, query, key)."""
    return weights[:, None] if weights.dim() == 3 else weights


def pooled(weights: torch.Tensor) -> torch.Tensor:
    """A pooling of all positions: (batch, key)."""
    return weights[:, None, None] if weights.dim() == 2 else weights
