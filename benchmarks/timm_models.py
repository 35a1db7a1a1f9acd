"""timm's vision transformers, and its models without attention, as cases."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import library_models as library
import torch
from library_models import Arrange, Library
from model_case import ModelCase

FAMILY = "timm"
SMALL = {"depth": 2, "embed_dim": 48, "num_heads": 3}
SWIN = {"depths": (1, 2), "num_heads": (2, 4), "embed_dim": 16, "window_size": 4}
CONV = {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}
Row = tuple[str, str, dict[str, Any], int, Arrange | None, dict[str, Any]]


def cases() -> Iterator[ModelCase]:
    """Every model with timm's fused attention; those that have it also without."""
    for name, architecture, options, size, arrange, expected in rows():
        for fused in (True, False):
            words = name if fused else f"{name}, not fused"
            make = partial(create, architecture, {**options, **sized(architecture, size)}, fused=fused)
            kept = arrange or (lambda weights: weights)
            yield Library(FAMILY, words, make, library.image(size), kept, expected=expected).case()


def sized(architecture: str, size: int) -> dict[str, Any]:
    """The option for the picture's size, for models that are built for one size."""
    any_size = ("mobilevit", "metaformer", "convnext", "bot", "halo", "lambda", "pvt", "edgenext", "hiera", "mvit")
    return {} if architecture.startswith(any_size) else {"img_size": size}


def create(architecture: str, options: dict[str, Any], *, fused: bool) -> torch.nn.Module:
    """A model of timm's registry, or of one of its classes, with random weights."""
    import timm
    from timm.layers import set_fused_attn

    module, _, class_name = architecture.partition(".")
    set_fused_attn(fused)
    try:
        if class_name:
            made = getattr(getattr(timm.models, module), class_name)(num_classes=3, **options)
        else:
            made = timm.create_model(architecture, num_classes=3, **options)
    finally:
        set_fused_attn(True)
    assert isinstance(made, torch.nn.Module)
    return made


def rows() -> Iterator[Row]:
    """Name, architecture, options, size of the picture, arrangement of the softmaxes, expectations."""
    yield from transformers()
    yield from hybrids()
    none: dict[str, Any] = {}
    for name, architecture, options in (
        ("PoolFormer", "metaformer.MetaFormer", CONV),
        ("ConvNeXt", "convnext.ConvNeXt", CONV),
        ("MLP-Mixer", "mlp_mixer.MlpMixer", {"num_blocks": 2, "embed_dim": 24}),
    ):
        yield name, architecture, options, 64, library.nothing, none
    # A sum over products of scores and keys: linear attention.
    yield "MobileViTV2", "mobilevitv2_050", none, 64, library.nothing, none
    yield "LambdaNet", "lambda_resnet26t", none, 64, library.nothing, none
    yield "EdgeNeXt", "edgenext_xx_small", none, 64, library.nothing, {"coverage_contains": "channel"}


def transformers() -> Iterator[Row]:
    """Tokens from beginning to end."""

    def of_kind(count: int, *others: str) -> dict[str, Any]:
        return {"kinds": ["self"] * count + list(others)}

    yield "ViT", "vit_tiny_patch16_224", {"depth": 2}, 64, None, of_kind(2)
    yield "DeiT", "deit_tiny_distilled_patch16_224", {"depth": 2}, 64, None, of_kind(2)
    yield "Swin", "swin_tiny_patch4_window7_224", SWIN, 64, None, of_kind(3)
    yield "SwinV2", "swinv2_tiny_window8_256", SWIN, 64, None, of_kind(3)
    yield "EVA-02", "eva02_tiny_patch14_224", {"depth": 2}, 56, None, of_kind(2)
    yield "CaiT", "cait_xxs24_224", {"depth": 2}, 64, None, of_kind(4)
    yield "BEiT", "beit_base_patch16_224", SMALL, 64, None, of_kind(2)
    yield "SigLIP", "vit_base_patch16_siglip_224", SMALL, 64, None, of_kind(2, "cross")
    xcit = {**of_kind(2), "coverage_contains": "channel"}
    yield "XCiT", "xcit_nano_12_p16_224", {"depth": 2}, 64, library.without(32), xcit
    volo = {"embed_dims": (16, 32), "layers": (1, 1), "num_heads": (2, 4)}
    two = {"stem_hidden_dim": 16, "downsamples": (True, False), "outlook_attention": (True, False)}
    # Outlook attention makes its weights from one position alone: no key is asked.
    outlook = {**of_kind(3), "coverage_contains": "not from query times key"}
    yield "VOLO", "volo.VOLO", {**volo, **two}, 64, library.without(9), outlook
    yield "Twins", "twins_svt_small", {"depths": (2, 2, 2, 2)}, 64, library.windows_second, {}
    nest = {"num_levels": 2, "embed_dims": (24, 48), "num_heads": (2, 4), "depths": (1, 1)}
    yield "NesT", "nest.Nest", nest, 64, library.windows_third, {}
    yield "TNT", "tnt_s_patch16_224", {"depth": 2}, 64, None, of_kind(4)
    yield "GC ViT", "gcvit_xxtiny", {}, 64, None, {}
    yield "MaxViT", "maxvit_pico_rw_256", {}, 64, None, {}


def hybrids() -> Iterator[Row]:
    """Convolutions and attention."""
    yield "MobileViT", "mobilevit_xxs", {}, 64, None, {"kinds": ["self"] * 9}
    # Factorised: softmax(key)ᵀ value is summed up before it meets the query.
    yield "CoaT", "coat_tiny", {"serial_depths": (1, 1, 1, 1), "parallel_depth": 1}, 64, library.nothing, {}
    yield "PVT v2", "pvt_v2_b0", {}, 64, None, {"kinds": ["self"] * 8}
    yield "LeViT", "levit_128s", {}, 64, None, {"kinds": ["self"] * 11}
    yield "Hiera", "hiera_tiny_224", {"stages": (1, 1, 1, 1)}, 224, library.windows_third, {}
    yield "BoTNet", "botnet26t_256", {}, 256, library.heads_folded(4), {"kinds": ["self"] * 3}
    yield "HaloNet", "halonet26t", {}, 256, halo, {"kinds": ["self"] * 3}


def halo(weights: torch.Tensor) -> torch.Tensor:
    """(batch · heads, blocks, query, key) with the blocks as items of the batch."""
    return weights.unflatten(0, (2, -1)).transpose(1, 2).flatten(0, 1)
