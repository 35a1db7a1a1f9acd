"""Shrink any Hugging Face default configuration to a tiny one, by rule.

A rule looks at an attribute's name, its value and its neighbours, never at the architecture. Per-layer lists keep the
first layer of every kind.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

from hf_rules import (
    HEAD_DIM,
    INNER,
    MISSING,
    NUMBER_RULES,
    STAGE_LIST,
    TEXT_TOKENS,
    VOCAB,
    WIDTH,
    Neighbours,
    counts_stages,
    is_hierarchical,
    stage_width,
)
from transformers import PreTrainedConfig, ResNetConfig

MAX_LAYERS = 6
MAX_LISTED_LAYERS = 4
LAYER_COUNT = re.compile(
    r"(.*_)?(num_hidden_layers|num_layers|n_layers?|num_(encoder|decoder|spatial|temporal|auxiliary|attention|pooler"
    r"|conv|mem)_?(layers|blocks)|(encoder|decoder|[lxr]|memory_attention|prompt|text_encoder_num"
    r"|text_encoder_proj|query_dec)_layers|depth|num_blocks)"
)
TOKEN_ID = re.compile(
    r".*(token_ids?|token_index|_(bos|eos|pad)_id|_token_id_\w+|image_patch_id|im_\w+_id|stream_\w+_id)"
)
INDEX_LIST = re.compile(r".*(indexes|indices|idxs|_ids|_layers|_blocks|layer_ids|hook_ids|layer)|extract_layers")
STAGE_WIDTH = re.compile(
    r".*(hidden_sizes|embed_dims?|channel_list|in_channels|out_channels|mid_channels|stem_channels|embed_dim_per_stage"
    r"|fusion_dims|feature_dims|out_features|attn_unit_dims|features_channels)"
)


@dataclass
class SharedTokens:
    """New small ids for special tokens: the same old id gets the same new id in every tower."""

    known: dict[int, int] = field(default_factory=dict)

    def small(self, old: int) -> int:
        """``old`` where it is small enough already, else an id from the top of the small vocabulary."""
        if old < TEXT_TOKENS[0]:
            return old
        return self.known.setdefault(old, VOCAB - 1 - len(self.known) % (VOCAB - TEXT_TOKENS[1]))


@dataclass(frozen=True)
class LayerPlan:
    """Which layers of a tower stay: ``kept`` are indices into its ``total`` default layers."""

    total: int
    kept: tuple[int, ...]


def shrink(
    config: PreTrainedConfig, tokens: SharedTokens | None = None, overrides: dict[str, Any] | None = None
) -> PreTrainedConfig:
    """A tiny configuration of the same class, every tower shrunk by the same rules.

    ``overrides`` are values that no rule can know, by attribute; a dot leads into a nested configuration.
    """
    tokens = tokens or SharedTokens()
    overrides = overrides or {}
    neighbours = {name: value for name, value in vars(config).items() if is_own(name)}
    plan = plan_layers(config, neighbours)
    # Every attribute is passed on, changed or not: a tower's own default may differ from its class's default.
    changes: dict[str, Any] = {}
    for name, value in neighbours.items():
        if isinstance(value, PreTrainedConfig):
            inner = {path[len(name) + 1 :]: v for path, v in overrides.items() if path.startswith(name + ".")}
            changes[name] = (
                small_backbone(value) if value.model_type == "timm_backbone" else shrink(value, tokens, inner)
            )
        else:
            changes[name] = shrink_value(name, value, neighbours, plan, tokens)
    changes.update(backbone_stages(config, neighbours, plan))
    changes.update({path: value for path, value in overrides.items() if "." not in path})
    return type(config)(**changes)


def backbone_stages(config: PreTrainedConfig, neighbours: Neighbours, plan: LayerPlan) -> dict[str, Any]:
    """A backbone's chosen stages, which it keeps in a private attribute."""
    chosen = getattr(config, "_out_indices", None)
    if chosen is None or not hasattr(config, "stage_names"):
        return {}
    if is_hierarchical(neighbours):
        return {"out_indices": list(chosen)}
    return {"out_indices": move_indices(list(chosen), plan)}


def small_backbone(config: PreTrainedConfig) -> PreTrainedConfig:
    """A tiny ResNet of transformers' own in the place of one from timm."""
    resnet: Any = ResNetConfig
    return shrink(resnet(out_indices=list(config.out_indices)))


def is_own(name: str) -> bool:
    """Whether an attribute describes the architecture, not the library's bookkeeping."""
    return not name.startswith("_") and name not in (
        "id2label",
        "label2id",
        "stage_names",
        "transformers_version",
        "dtype",
        "ignore_keys_at_rope_validation",
    )


def shrink_value(name: str, value: Any, neighbours: Neighbours, plan: LayerPlan, tokens: SharedTokens) -> Any:
    """The tiny counterpart of one attribute."""
    if value is None:
        return MISSING.get(name) if name in MISSING else None
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return 0.2 if name in ("initializer_range", "init_std") and value < 0.2 else value
    if isinstance(value, dict):
        return shrink_rope(value) if "rope" in name else value
    if re.fullmatch(r".*feature_layers?", name):
        return late_layers(value)
    if TOKEN_ID.fullmatch(name):
        return small_token_ids(value, tokens)
    if isinstance(value, int):
        return shrink_number(name, value, neighbours, plan)
    if isinstance(value, (list, tuple)):
        return type(value)(shrink_list(name, list(value), neighbours, plan))
    return value


def late_layers(value: Any) -> Any:
    """Layers whose features another tower reads, counted from the end: the last or the last but one."""
    if isinstance(value, (list, tuple)):
        return type(value)(late_layers(item) for item in value)
    return max(value, -2) if value < 0 else -1


def small_token_ids(value: Any, tokens: SharedTokens) -> Any:
    """Special tokens inside the small vocabulary; the first of several ends of text."""
    if isinstance(value, (list, tuple)):
        return type(value)(tokens.small(item) for item in value)
    return tokens.small(value)


def shrink_number(name: str, value: int, neighbours: Neighbours, plan: LayerPlan) -> int:
    """Apply the first rule whose name matches."""
    if LAYER_COUNT.fullmatch(name):
        if is_hierarchical(neighbours):
            return value if counts_stages(value, neighbours) else min(value, 2)
        return len(plan.kept) if value == plan.total else min(value, 2)
    for pattern, rule in NUMBER_RULES:
        if re.fullmatch(pattern, name):
            return rule(value, neighbours) if value > 0 else value
    return value


def shrink_list(name: str, values: list[Any], neighbours: Neighbours, plan: LayerPlan) -> list[Any]:
    """Lists of stages, of layers, of layer numbers and of sizes."""
    if not values or not all(isinstance(v, (int, float, str, type(None))) for v in values):
        return values
    numbers = all(isinstance(v, int) and not isinstance(v, bool) for v in values)
    if numbers and is_index_list(name, values, plan):
        return move_indices(values, plan)
    if len(values) == plan.total and plan.total > 2:
        kept = [values[i] for i in plan.kept]
        name = name.removesuffix("_per_layer")
        return [shrink_number(name, v, neighbours, plan) for v in kept] if numbers else kept
    if not numbers:
        return values
    if STAGE_LIST.fullmatch(name):
        return [min(v, 2) for v in values]
    if STAGE_WIDTH.fullmatch(name) and len(set(values)) == 1:
        return [min(v, WIDTH) for v in values]
    if STAGE_WIDTH.fullmatch(name):
        return [stage_width(v) for v in values]
    if name.endswith(("conv_dim", "tdnn_dim")):
        return [min(v, INNER) for v in values]
    if name.endswith(("image_size", "patch_size", "intermediate_size")):
        return [shrink_number(name, v, neighbours, plan) for v in values]
    return values


def is_index_list(name: str, values: list[int], plan: LayerPlan) -> bool:
    """Whether a list names layers by number: increasing and below the number of layers."""
    increasing = all(a < b for a, b in itertools.pairwise(values))
    return (
        bool(INDEX_LIST.fullmatch(name))
        and increasing
        and plan.total > 2
        and values[0] >= 0
        and values[-1] <= plan.total
    )


def move_indices(values: list[int], plan: LayerPlan) -> list[int]:
    """The same number of layers, moved to the end of the short tower."""
    count = len(plan.kept)
    if len(values) >= plan.total:
        return list(range(count))
    kept = values[:MAX_LISTED_LAYERS]
    first = count - len(kept) + (1 if values[-1] == plan.total else 0)
    return [first + i for i in range(len(kept))]


def plan_layers(config: PreTrainedConfig, neighbours: Neighbours) -> LayerPlan:
    """Two layers, or as many as show every kind of layer that the per-layer lists name."""
    if is_hierarchical(neighbours):
        return LayerPlan(0, ())
    total = next((v for k, v in neighbours.items() if k in main_layer_names(config) and isinstance(v, int)), 0)
    if total < 2:
        return LayerPlan(total, tuple(range(total)))
    lists = [v for v in neighbours.values() if isinstance(v, (list, tuple)) and len(v) == total > 2]
    kinds = [tuple(str(values[i]) for values in lists if not is_counting(values)) for i in range(total)]
    kept = sorted({kinds.index(kind) for kind in kinds})[:MAX_LAYERS]
    whole = LayerPlan(total, tuple(range(total)))
    listed = [
        v
        for k, v in neighbours.items()
        if isinstance(v, (list, tuple))
        and v
        and all(isinstance(i, int) for i in v)
        and len(v) < total
        and is_index_list(k, list(v), whole)
    ]
    patterns = [v for k, v in neighbours.items() if k.endswith("block_types") and isinstance(v, (list, tuple))]
    wanted = max(
        [2] + [len(v) for v in patterns if len(v) <= MAX_LAYERS] + [min(len(v), MAX_LISTED_LAYERS) + 1 for v in listed]
    )
    for index in range(total):
        if len(kept) >= wanted:
            break
        if index not in kept:
            kept.append(index)
    return LayerPlan(total, tuple(sorted(kept)))


def main_layer_names(config: PreTrainedConfig) -> tuple[str, ...]:
    """The attribute that counts the layers of this tower, under the names it goes by."""
    alias = type(config).attribute_map.get("num_hidden_layers", "num_hidden_layers")
    return (alias, "num_hidden_layers", "depth", "num_layers", "encoder_layers")


def is_counting(values: Any) -> bool:
    """Whether a per-layer list merely numbers the layers."""
    return list(values) == list(range(len(values)))


def shrink_rope(parameters: dict[str, Any]) -> dict[str, Any]:
    """Rotary parameters; the sections of a multimodal rotary embedding must add up to half the rotated size.

    Several models keep those sections in their code, sized for their default heads, so they are always given.
    """
    result = {key: shrink_rope(value) if isinstance(value, dict) else value for key, value in parameters.items()}
    if "rope_type" in parameters:
        half = int(HEAD_DIM * float(parameters.get("partial_rotary_factor", 1.0))) // 2
        part = half * 3 // 8
        result["mrope_section"] = [part, part, half - 2 * part]
    return result
