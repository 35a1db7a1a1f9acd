"""The rules by which numbers of a Hugging Face configuration get small.

A rule is found by an attribute's name (a regular expression) and sees its value and its neighbours. Widths become one
constant, so that towers that must agree still agree; under stages that grow in width, they are divided by a constant,
so that their ratios stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

WIDTH = 64
HEADS = 4
HEAD_DIM = 16
INNER = 32
VOCAB = 99
PATCH = 8
POSITIONS = 128
STAGE_DIVISOR = 8
# Ordinary text tokens are drawn from this range; no special token is left inside it.
TEXT_TOKENS = (20, 60)

STAGE_LIST = re.compile(
    r"depths?|blocks_per_stage|num_block_repeats|n_attn_blocks|block_sizes|stage_num_blocks|stage_numb_of_layers|num_blocks"
)
# What some default configurations leave open although the model needs it.
MISSING = {
    "head_dim": HEAD_DIM,
    "num_key_value_heads": HEADS,
    "num_experts": 4,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "image_token_index": VOCAB - 1,
    "num_experts_per_tok": 2,
    "top_k_experts": 2,
    "moe_intermediate_size": INNER,
    "vocab_size": VOCAB,
    "prediction_length": 4,
}

Neighbours = dict[str, Any]
Rule = Callable[[int, Neighbours], int]


def at_most(limit: int) -> Rule:
    """A rule that lowers values above ``limit``."""
    return lambda value, neighbours: min(value, limit)


def width(value: int, neighbours: Neighbours) -> int:
    """Model widths: one constant; under stage lists, the stages' own divisor."""
    return stage_width(value) if is_hierarchical(neighbours) else min(value, WIDTH)


def stage_width(value: int) -> int:
    """A stage's width divided by the common divisor, up to the next multiple of the number of heads."""
    if value <= STAGE_DIVISOR:
        return value
    return -(-value // (STAGE_DIVISOR * HEADS)) * HEADS


def key_value_heads(value: int, neighbours: Neighbours) -> int:
    """Keep the kind of sharing: none, all heads on one, or two groups."""
    most = max(
        (v for k, v in neighbours.items() if k.endswith(("heads", "n_head")) and isinstance(v, int)), default=value
    )
    if value == 1 and most > 1:
        return 1
    return HEADS if value >= most else HEADS // 2


def heads(value: int, neighbours: Neighbours) -> int:
    """Attention heads: four, unless there are fewer."""
    return min(value, HEADS)


def combined_head_dim(value: int, neighbours: Neighbours) -> int:
    """Latent attention: the query-key size is the sum of its part with and its part without a rotary position."""
    return 2 * HEAD_DIM if "qk_nope_head_dim" in neighbours else HEAD_DIM


def head_dim(value: int, neighbours: Neighbours) -> int:
    """The size of one head; a Mamba-2 layer's heads share its expanded width."""
    if "expand" in neighbours:
        return state_head_dim(value, neighbours)
    combined = value == neighbours.get("qk_nope_head_dim", 0) + neighbours.get("qk_rope_head_dim", 0)
    return combined_head_dim(value, neighbours) if combined else min(value, HEAD_DIM)


def state_head_dim(value: int, neighbours: Neighbours) -> int:
    """Mamba's inner width is its expansion times the hidden width, over its heads."""
    return int(next((v for k, v in neighbours.items() if k.endswith("expand")), 2)) * WIDTH // HEADS


def none_shared(value: int, neighbours: Neighbours) -> int:
    """The few layers that are left all keep their own keys and values."""
    return 0


def image_side(value: int, neighbours: Neighbours) -> int:
    """Four patches a side, or 64 pixels where stages halve the image."""
    if is_hierarchical(neighbours) or not neighbours.get("patch_size"):
        return min(value, 64)
    return min(value, 4 * PATCH)


def patch_side(value: int, neighbours: Neighbours) -> int:
    """Patches of at most 8 pixels."""
    return value if is_hierarchical(neighbours) else min(value, PATCH)


def window_side(value: int, neighbours: Neighbours) -> int:
    """Windows of two by two patches, whether they are counted in patches or in pixels."""
    return min(value, 4 * PATCH) if value >= 64 else min(value, 2)


def offset_in_period(value: int, neighbours: Neighbours) -> int:
    """Positions within a period of two layers."""
    return min(value, 1)


NUMBER_RULES: tuple[tuple[str, Rule], ...] = (
    (r".*vocab_size.*|.*vocab_size|num_embeddings|num_hash_buckets", at_most(VOCAB)),
    (r".*codebook_size|codebook_dim", at_most(64)),
    (r".*(key_value_heads|kv_heads|num_key_value_attention_heads)", key_value_heads),
    (
        r".*(attention_heads|num_heads|n_heads?|num_attn_heads|attn_heads|resampler_heads|linear_num_heads|nheads|n_mamba_heads)",
        heads,
    ),
    (r"mamba_d_ssm", at_most(2 * WIDTH)),
    (r"mamba_(d_head|head_dim|headdim)", state_head_dim),
    (r"qk_head_dim", combined_head_dim),
    (
        r".*(head_dim|d_kv|d_head|head_size|dim_head|kv_channels|headdim|rotary_dim|key_dim|value_dim|bbox_projection)",
        head_dim,
    ),
    (
        r".*(intermediate|inner|ffn|feed_?forward|mlp|d_ff|dff|dim_ff|linear_units).*(size|dim|units|feedforward)?",
        at_most(INNER),
    ),
    (r".*(experts_per_tok|experts_per_token|moe_topk|moe_k|num_selected_experts|topk_group)", at_most(2)),
    (r".*(num_experts|local_experts|routed_experts|zero_expert_num)", at_most(4)),
    (r"n_group|num_expert_group|n_groups", at_most(2)),
    (r".*(lora_rank|_rank)", at_most(16)),
    (
        r".*(position_embeddings|max_.*positions?|n_positions|n_ctx|max_seq_len|context_length|model_max_length)",
        at_most(POSITIONS),
    ),
    (r".*(sliding_window|sliding_window_size|local_attention|attention_window_size|attention_window)", at_most(4)),
    (r"num_kv_shared_layers", none_shared),
    (r"n_filters|num_filters", at_most(8)),
    (r"base_channels|.*conv_channels|upsample_initial_channel", at_most(32)),
    (r"num_groups|upsample_groups", at_most(HEADS)),
    (r".*out_hidden_size|condition_dim|adapter_in_dim|adapter_input_size", at_most(WIDTH)),
    (
        r".*_(period|interval|frequency|step)|sliding_window_pattern|_sliding_window_pattern|.*every_n_layers",
        at_most(2),
    ),
    (r".*_offset", offset_in_period),
    (r"first_k_dense_replace|max_window_layers|num_dense_layers|moe_layer_start_index", at_most(1)),
    (
        r"num_queries|num_query_tokens|num_latents|.*resampler_num_latents|latent_query_num|two_stage_num_proposals",
        at_most(6),
    ),
    (r".*image_size|.*img_size|input_size|crop_size", image_side),
    (r"image_embedding_size", at_most(4)),
    (r"patch_size", patch_side),
    (r"window_size", window_side),
    (r"num_pos_feats", at_most(WIDTH // 2)),
    (r"num_(first|last)_.*_layers", at_most(1)),
    (r"num_frames|frames_per_clip", at_most(4)),
    (
        r".*(hidden_size|d_model|hidden_dim|embed_dim|emb_dim|n_embd|embedding_size|embedding_dim|projection_dim|proj_dims?"
        r"|attention_dim|hidden_channels|d_latents|emb_size|_width|out_hidden_size|output_dim|conv_dim|query_dim|output_channels|projection_size|bottleneck_size|vit_dim"
        r"|quantization_hidden_dimension)|dim",
        width,
    ),
)


def is_hierarchical(neighbours: Neighbours) -> bool:
    """Whether the tower's width grows from stage to stage."""
    return any(STAGE_LIST.fullmatch(name) and isinstance(value, (list, tuple)) for name, value in neighbours.items())


def counts_stages(value: int, neighbours: Neighbours) -> bool:
    """Whether a number is how many stages there are."""
    return any(
        STAGE_LIST.fullmatch(k) and isinstance(v, (list, tuple)) and len(v) == value for k, v in neighbours.items()
    )
