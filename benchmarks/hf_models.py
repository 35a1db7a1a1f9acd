"""The Hugging Face architectures of the conformance benchmark: which there are, and a tiny one of each."""

from __future__ import annotations

import copy
from typing import Any

import torch
import transformers
from hf_configs import shrink
from transformers import CONFIG_MAPPING, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

# More weights than this is no tiny model: the rules have missed something.
MAX_PARAMETERS = 25_000_000

# What no rule can know. Keys are paths into the configuration.
OVERRIDES: dict[str, dict[str, Any]] = {
    # A default that leaves open which layers attend, or that has none that do.
    "bamba": {"attn_layer_indices": [1]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    # Tied layers: there must be two of the kind that is shared. Its heads split twice the hidden size.
    "zamba": {
        "num_hidden_layers": 4,
        "layers_block_type": ["linear_attention", "hybrid"] * 2,
        "attention_hidden_size": 128,
        "attention_head_dim": 32,
    },
    "zamba2": {"attention_hidden_size": 128, "attention_head_dim": 32},
    # Sizes that must add up to the hidden size, divide it, or agree with another tower.
    "layoutlmv3": {"coordinate_size": 12, "shape_size": 8},
    "lilt": {"hidden_size": 96},
    "reformer": {"axial_pos_embds_dim": (16, 48)},
    "depth_pro": {"patch_size": 32},
    "seggpt": {"merge_index": 0},
    # A block that halves its queries cannot attend globally.
    "sam2": {"vision_config.backbone_config.global_attention_blocks": [4]},
    "sam2_vision_model": {"backbone_config.global_attention_blocks": [4]},
    "sam2_hiera_det_model": {"global_attention_blocks": [4]},
    # A list as long as a stage's depth is indexed with the stage's number.
    "cvt": {"depth": (1, 2, 3)},
    # No default for what the forward pass needs.
    "esm": {"pad_token_id": 1, "mask_token_id": 4},
    "step3p7": {"text_config.sliding_window": 4},
    "lw_detr": {"backbone_config.image_size": 64, "projector_scale_factors": [1.0]},
    "xmod": {"default_language": "en_XX"},
}


def architectures() -> list[str]:
    """Every model type for which transformers has a base model, by name."""
    return sorted(MODEL_MAPPING_NAMES)


def model_class(model_type: str) -> type[PreTrainedModel]:
    """The base model's class, the first where there are several."""
    name: Any = MODEL_MAPPING_NAMES[model_type]
    cls: type[PreTrainedModel] = getattr(transformers, name if isinstance(name, str) else name[0])
    return cls


def tiny_config(model_type: str) -> PreTrainedConfig:
    """The default configuration, shrunk by rule."""
    return shrink(CONFIG_MAPPING[model_type](), overrides=OVERRIDES.get(model_type))


def build(model_type: str, implementation: str) -> PreTrainedModel:
    """A tiny random model, in float32 and evaluation mode, the same weights every time."""
    config = tiny_config(model_type)
    cls: Any = model_class(model_type)
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in cls._from_config(copy.deepcopy(config)).parameters())
    if size > MAX_PARAMETERS:
        raise ValueError(f"still has {size / 1e6:.0f} million parameters after shrinking")
    torch.manual_seed(0)
    try:
        model: Any = cls._from_config(config, attn_implementation=implementation)
    except ValueError as error:
        if implementation == "eager" or "does not support an attention implementation" not in str(error):
            raise
        torch.manual_seed(0)
        model = mixed(cls._from_config(config, attn_implementation="eager"), implementation)
    small: PreTrainedModel = model.float().eval()
    return small


def mixed(model: PreTrainedModel, implementation: str) -> PreTrainedModel:
    """The implementation for every tower that supports it, eager for the others."""
    flag = {"sdpa": "_supports_sdpa", "flex_attention": "_supports_flex_attn"}[implementation]
    # A parent comes before its towers, and setting its configuration sets theirs.
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            module.config._attn_implementation = implementation if getattr(module, flag) else "eager"
    return model
