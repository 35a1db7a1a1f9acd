"""Shrink any Hugging Face default configuration to a tiny one, by rule.

A rule looks at an attribute's name (a regular expression), its value and its neighbours, never at the architecture.
Widths become one constant, so that towers that must agree still agree; lists of stages are divided by a constant, so
that their ratios stay; per-layer lists keep the first layer of every kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedConfig, ResNetConfig

WIDTH = 64
HEADS = 4
HEAD_DIM = 16
INNER = 32
VOCAB = 99
PATCH = 8
POSITIONS = 128
STAGE_DIVISOR = 8
MAX_LAYERS = 6
MAX_LISTED_LAYERS = 4
# Ordinary text tokens are drawn from this range; no special token is left inside it.
TEXT_TOKENS = (20, 60)

LAYER_COUNT = re.compile(
    r"(.*_)?(num_hidden_layers|num_layers|n_layers?|num_(encoder|decoder|spatial|temporal|auxiliary|attention|pooler"
    r"|conv|mem)_?(layers|blocks)|(encoder|decoder|[lxr]|memory_attention|prompt|text_encoder_num"
    r"|text_encoder_proj|query_dec)_layers|depth|num_blocks)"
)
TOKEN_ID = re.compile(r".*(token_ids?|token_index|_(bos|eos|pad)_id|_token_id_\w+|image_patch_id|im_\w+_id|stream_\w+_id)")
INDEX_LIST = re.compile(r".*(indexes|indices|idxs|_ids|_layers|_blocks|layer_ids|hook_ids|layer)|extract_layers")
STAGE_LIST = re.compile(
    r"depths?|blocks_per_stage|num_block_repeats|n_attn_blocks|block_sizes|stage_num_blocks|stage_numb_of_layers|num_blocks"
)
STAGE_WIDTH = re.compile(
    r".*(hidden_sizes|embed_dims?|channel_list|in_channels|out_channels|mid_channels|stem_channels|embed_dim_per_stage"
    r"|fusion_dims|feature_dims|out_features|attn_unit_dims|features_channels)"
)
# What some default configurations leave open although the model needs it.
MISSING = {
    "head_dim": HEAD_DIM,
    "num_key_value_heads": HEADS,
    "num_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "top_k_experts": 2,
    "moe_intermediate_size": INNER,
    "vocab_size": VOCAB,
    "prediction_length": 4,
}


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


Rule = Callable[[int, "dict[str, Any]"], int]


def at_most(limit: int) -> Rule:
    """A rule that lowers values above ``limit``."""
    return lambda value, neighbours: min(value, limit)


def width(value: int, neighbours: dict[str, Any]) -> int:
    """Model widths: one constant; under stage lists, the stages' own divisor."""
    return stage_width(value) if is_hierarchical(neighbours) else min(value, WIDTH)


def stage_width(value: int) -> int:
    """A stage's width divided by the common divisor, up to the next multiple of the number of heads."""
    if value <= STAGE_DIVISOR:
        return value
    return -(-value // (STAGE_DIVISOR * HEADS)) * HEADS


def key_value_heads(value: int, neighbours: dict[str, Any]) -> int:
    """Keep the kind of sharing: none, all heads on one, or two groups."""
    most = max((v for k, v in neighbours.items() if k.endswith(("heads", "n_head")) and isinstance(v, int)), default=value)
    if value == 1 and most > 1:
        return 1
    return HEADS if value >= most else HEADS // 2


def heads(value: int, neighbours: dict[str, Any]) -> int:
    """Attention heads: four, unless there are fewer."""
    return min(value, HEADS)


def combined_head_dim(value: int, neighbours: dict[str, Any]) -> int:
    """MLA: the query-key size is the sum of its part with and its part without a rotary position."""
    return 2 * HEAD_DIM if "qk_nope_head_dim" in neighbours else HEAD_DIM


def head_dim(value: int, neighbours: dict[str, Any]) -> int:
    """The size of one head; a Mamba-2 layer's heads share its expanded width."""
    return state_head_dim(value, neighbours) if "expand" in neighbours else min(value, HEAD_DIM)


def state_head_dim(value: int, neighbours: dict[str, Any]) -> int:
    """Mamba's inner width is its expansion times the hidden width, over its heads."""
    return int(next((v for k, v in neighbours.items() if k.endswith("expand")), 2)) * WIDTH // HEADS


def none_shared(value: int, neighbours: dict[str, Any]) -> int:
    """The few layers that are left all keep their own keys and values."""
    return 0


def image_side(value: int, neighbours: dict[str, Any]) -> int:
    """Four patches a side, or 64 pixels where stages halve the image."""
    if is_hierarchical(neighbours) or not neighbours.get("patch_size"):
        return min(value, 64)
    return min(value, 4 * PATCH)


def patch_side(value: int, neighbours: dict[str, Any]) -> int:
    """Patches of at most 8 pixels."""
    return value if is_hierarchical(neighbours) else min(value, PATCH)


def offset_in_period(value: int, neighbours: dict[str, Any]) -> int:
    """Positions within a period of two layers."""
    return min(value, 1)


NUMBER_RULES: tuple[tuple[str, Rule], ...] = (
    (r".*vocab_size.*|.*vocab_size|num_embeddings|num_hash_buckets", at_most(VOCAB)),
    (r".*codebook_size|codebook_dim", at_most(64)),
    (r".*(key_value_heads|kv_heads|num_key_value_attention_heads)", key_value_heads),
    (r".*(attention_heads|num_heads|n_heads?|num_attn_heads|attn_heads|resampler_heads|linear_num_heads|nheads)", heads),
    (r"mamba_d_ssm", at_most(2 * WIDTH)),
    (r"mamba_(d_head|head_dim|headdim)", state_head_dim),
    (r"qk_head_dim", combined_head_dim),
    (r".*(head_dim|d_kv|d_head|head_size|dim_head|kv_channels|headdim|rotary_dim|key_dim|value_dim)", head_dim),
    (r".*(intermediate|inner|ffn|feed_?forward|mlp|d_ff|dff|dim_ff|linear_units).*(size|dim|units|feedforward)?", at_most(INNER)),
    (r".*(experts_per_tok|experts_per_token|moe_topk|moe_k|num_selected_experts|topk_group)", at_most(2)),
    (r".*(num_experts|local_experts|routed_experts|zero_expert_num)", at_most(4)),
    (r"n_group|num_expert_group|n_groups", at_most(2)),
    (r".*(lora_rank|_rank)", at_most(16)),
    (r".*(position_embeddings|max_.*positions?|n_positions|n_ctx|max_seq_len|context_length|model_max_length)", at_most(POSITIONS)),
    (r".*(sliding_window|sliding_window_size|local_attention|attention_window_size)", at_most(4)),
    (r"num_kv_shared_layers", none_shared),
    (r"n_filters|num_filters", at_most(8)),
    (r"base_channels|.*conv_channels|upsample_initial_channel", at_most(32)),
    (r"num_groups|upsample_groups", at_most(HEADS)),
    (r".*out_hidden_size|condition_dim|adapter_in_dim|adapter_input_size", at_most(WIDTH)),
    (r".*_(period|interval|frequency|step)|sliding_window_pattern|_sliding_window_pattern|.*every_n_layers", at_most(2)),
    (r".*_offset", offset_in_period),
    (r"first_k_dense_replace|max_window_layers|num_dense_layers|moe_layer_start_index", at_most(1)),
    (r"num_queries|num_query_tokens|num_latents|.*resampler_num_latents|latent_query_num|two_stage_num_proposals", at_most(6)),
    (r".*image_size|.*img_size|input_size|crop_size", image_side),
    (r"patch_size", patch_side),
    (r"num_frames|frames_per_clip", at_most(4)),
    (
        r".*(hidden_size|d_model|hidden_dim|embed_dim|emb_dim|n_embd|embedding_size|embedding_dim|projection_dim|proj_dims?"
        r"|attention_dim|hidden_channels|d_latents|emb_size|_width|out_hidden_size|output_dim|conv_dim|query_dim)|dim",
        width,
    ),
)


def is_hierarchical(neighbours: dict[str, Any]) -> bool:
    """Whether the tower's width grows from stage to stage."""
    return any(STAGE_LIST.fullmatch(name) and isinstance(value, (list, tuple)) for name, value in neighbours.items())


def shrink(config: PreTrainedConfig, tokens: SharedTokens | None = None) -> PreTrainedConfig:
    """A tiny configuration of the same class, every tower shrunk by the same rules."""
    tokens = tokens or SharedTokens()
    neighbours = {name: value for name, value in vars(config).items() if is_own(name)}
    plan = plan_layers(config, neighbours)
    # Every attribute is passed on, changed or not: a tower's own default may differ from its class's default.
    changes = {name: shrink_value(name, value, neighbours, plan, tokens) for name, value in neighbours.items()}
    changes.update(backbone_stages(config, neighbours, plan))
    return type(config)(**changes)


def backbone_stages(config: PreTrainedConfig, neighbours: dict[str, Any], plan: LayerPlan) -> dict[str, Any]:
    """A backbone's chosen stages, which it keeps in a private attribute."""
    chosen = getattr(config, "_out_indices", None)
    if chosen is None or not hasattr(config, "stage_names"):
        return {}
    if is_hierarchical(neighbours):
        return {"out_indices": list(chosen)}
    return {"out_indices": move_indices(list(chosen), plan)}


def small_backbone(config: PreTrainedConfig) -> PreTrainedConfig:
    """A tiny ResNet of transformers' own in the place of one from timm."""
    return shrink(ResNetConfig(out_indices=list(config.out_indices)))


def is_own(name: str) -> bool:
    """Whether an attribute describes the architecture, not the library's bookkeeping."""
    return not name.startswith("_") and name not in ("id2label", "label2id", "stage_names", "transformers_version", "dtype", "ignore_keys_at_rope_validation")


def shrink_value(name: str, value: Any, neighbours: dict[str, Any], plan: LayerPlan, tokens: SharedTokens) -> Any:
    """The tiny counterpart of one attribute."""
    if isinstance(value, PreTrainedConfig):
        return small_backbone(value) if value.model_type == "timm_backbone" else shrink(value, tokens)
    if value is None:
        return MISSING.get(name) if name in MISSING else None
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return 0.2 if name in ("initializer_range", "init_std") and value < 0.2 else value
    if isinstance(value, dict):
        return shrink_rope(value, plan) if "rope" in name else value
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


def shrink_number(name: str, value: int, neighbours: dict[str, Any], plan: LayerPlan) -> int:
    """Apply the first rule whose name matches."""
    if LAYER_COUNT.fullmatch(name):
        return len(plan.kept) if value == plan.total else min(value, 2)
    for pattern, rule in NUMBER_RULES:
        if re.fullmatch(pattern, name):
            return rule(value, neighbours) if value > 0 else value
    return value


def shrink_list(name: str, values: list[Any], neighbours: dict[str, Any], plan: LayerPlan) -> list[Any]:
    """Lists of stages, of layers, of layer numbers and of sizes."""
    if not values or not all(isinstance(v, (int, float, str, type(None))) for v in values):
        return values
    numbers = all(isinstance(v, int) and not isinstance(v, bool) for v in values)
    if numbers and is_index_list(name, values, plan):
        return move_indices(values, plan)
    if len(values) == plan.total and plan.total > 2:
        kept = [values[i] for i in plan.kept]
        return [shrink_number(name, v, neighbours, plan) for v in kept] if numbers else kept
    if not numbers:
        return values
    if STAGE_LIST.fullmatch(name):
        return [min(v, 2) for v in values]
    if STAGE_WIDTH.fullmatch(name):
        return [stage_width(v) for v in values]
    if name.endswith(("conv_dim", "tdnn_dim")):
        return [min(v, INNER) for v in values]
    if name.endswith(("image_size", "patch_size", "intermediate_size")):
        return [shrink_number(name, v, neighbours, plan) for v in values]
    return values


def is_index_list(name: str, values: list[int], plan: LayerPlan) -> bool:
    """Whether a list names layers by number: increasing and below the number of layers."""
    increasing = all(a < b for a, b in zip(values, values[1:], strict=False))
    return bool(INDEX_LIST.fullmatch(name)) and increasing and plan.total > 2 and 0 <= values[0] and values[-1] <= plan.total


def move_indices(values: list[int], plan: LayerPlan) -> list[int]:
    """The same number of layers, moved to the end of the short tower."""
    count = len(plan.kept)
    if len(values) >= plan.total:
        return list(range(count))
    kept = values[:MAX_LISTED_LAYERS]
    first = count - len(kept) + (1 if values[-1] == plan.total else 0)
    return [first + i for i in range(len(kept))]


def plan_layers(config: PreTrainedConfig, neighbours: dict[str, Any]) -> LayerPlan:
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
    listed = [v for k, v in neighbours.items() if isinstance(v, (list, tuple)) and v and all(isinstance(i, int) for i in v)
              and len(v) < total and is_index_list(k, list(v), whole)]
    wanted = max([2] + [min(len(v), MAX_LISTED_LAYERS) + 1 for v in listed])
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


def shrink_rope(parameters: dict[str, Any], plan: LayerPlan) -> dict[str, Any]:
    """Rotary sections (multimodal RoPE) must still add up to half the head size."""
    result = dict(parameters)
    for key, value in parameters.items():
        if isinstance(value, dict):
            result[key] = shrink_rope(value, plan)
        elif key.endswith("_section") and sum(value):
            scaled = [max(1, v * HEAD_DIM // (2 * sum(value))) for v in value]
            scaled[-1] += HEAD_DIM // 2 - sum(scaled)
            result[key] = scaled
    return result
