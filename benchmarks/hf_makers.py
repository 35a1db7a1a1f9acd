"""Small values for the parameters of any Hugging Face model's forward, from the sizes in its configuration.

Two batch items; where there is a text mask the second item is padded on the right.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import torch
from hf_rules import TEXT_TOKENS, WIDTH
from transformers import PreTrainedConfig, PreTrainedModel

BATCH = 2
LENGTH = 12
DECODER_LENGTH = 7
PADDING = 4
GRID = 4
FRAMES = 64
SAMPLES = 6400

Makers = dict[str, Callable[[], Any]]


def all_configs(config: PreTrainedConfig) -> list[PreTrainedConfig]:
    """A configuration and everything nested in it, the outermost first."""
    found = [config]
    for item in found:
        found += [value for value in vars(item).values() if isinstance(value, PreTrainedConfig)]
    return found


def find(config: PreTrainedConfig, *names: str, tower: str = "", default: Any = None) -> Any:
    """The first of ``names`` that any tower's config sets; towers whose name holds ``tower`` are asked first."""
    configs = all_configs(config)
    configs.sort(key=lambda item: tower not in f"{type(item).__name__} {item.model_type}".lower())
    for name in names:
        for item in configs:
            value = getattr(item, name, None)
            if value is not None and not isinstance(value, str):
                return value
    return default


def head_counts(config: PreTrainedConfig) -> set[int]:
    """Every number of heads that the configuration or a tower's mentions."""
    counts: set[int] = set()
    for item in all_configs(config):
        for name, value in vars(item).items():
            if re.search(r"heads|n_head", name):
                values = value if isinstance(value, (list, tuple)) else [value]
                counts |= {v for v in values if isinstance(v, int) and not isinstance(v, bool)}
    return counts


def pair(value: Any) -> tuple[int, int]:
    """A height and a width from a number, a pair, or a mapping."""
    if isinstance(value, dict):
        return int(value["height"]), int(value["width"])
    if isinstance(value, (list, tuple)):
        return int(value[-2]), int(value[-1])
    return int(value), int(value)


class InputMaker:
    """Values for the forward parameters of one model."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.config = model.config
        self.parameters = inspect.signature(model.forward).parameters
        self.random = torch.Generator().manual_seed(0)
        self.image_tokens = 0
        # What models disagree about: candidates() tries both.
        self.frequency_first = True
        self.waveform_channel = False
        self.images_per_item = 0

    # Text

    def token_ids(self, length: int) -> torch.Tensor:
        """Ordinary tokens only, no special ones."""
        low, high = TEXT_TOKENS
        high = min(high, int(find(self.config, "vocab_size", default=high)))
        return torch.randint(low, high, (BATCH, length), generator=self.random)

    def input_ids(self) -> torch.Tensor:
        """Text, with room for the images where there are any."""
        ids = self.token_ids(LENGTH)
        token = self.image_token()
        if not self.image_tokens or token is None:
            return ids
        image = torch.full((BATCH, self.image_tokens), token)
        return torch.cat([ids[:, :3], image, ids[:, 3:]], dim=1)

    def attention_mask(self) -> torch.Tensor:
        """Ones, except the second item's last tokens."""
        mask = torch.ones(BATCH, LENGTH + self.image_tokens, dtype=torch.long)
        mask[1, -PADDING:] = 0
        return mask

    def image_token(self) -> int | None:
        """The token that stands for a piece of an image."""
        token = find(self.config, "image_token_id", "image_token_index")
        return None if token is None else int(token)

    def decoder_input_ids(self) -> torch.Tensor:
        """A short target text."""
        return self.token_ids(DECODER_LENGTH)

    def mm_token_type_ids(self) -> torch.Tensor:
        """One where a token is a piece of an image."""
        kinds = torch.zeros(BATCH, LENGTH + self.image_tokens, dtype=torch.long)
        kinds[:, 3 : 3 + self.image_tokens] = 1
        return kinds

    def bbox(self) -> torch.Tensor:
        """Increasing box corners, as real layouts have."""
        size = find(self.config, "dim_bbox", default=4)
        return torch.arange(size).repeat(BATCH, LENGTH, 1)

    # Images

    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        size = find(self.config, "image_size", "img_size", "input_size", tower="vision", default=64)
        return pair(size)

    def channels(self) -> int:
        """Colours of an image."""
        return int(find(self.config, "num_channels", "in_channels", "in_chans", tower="vision", default=3))

    def normal(self, *shape: int) -> torch.Tensor:
        """Random numbers, the same in every run."""
        return torch.randn(*shape, generator=self.random)

    def patch_values(self) -> torch.Tensor:
        """Flattened patches, a grid of them for each batch item."""
        height, width = pair(find(self.config, "patch_size", tower="vision", default=16))
        frames = int(find(self.config, "temporal_patch_size", "patch_temporal", tower="vision", default=1))
        return self.normal(BATCH * GRID * GRID, self.channels() * frames * height * width)

    def pixel_values(self) -> torch.Tensor:
        """Images, or flat patches where the model takes those."""
        if {"image_grid_thw", "grid_thw"} & set(self.parameters):
            return self.patch_values()
        if "spatial_shapes" in self.parameters:
            patches = self.patch_values()
            return patches.reshape(BATCH, GRID * GRID, patches.shape[-1])
        if self.images_per_item:
            return self.normal(BATCH, self.images_per_item, self.channels(), *self.image_size())
        frames = find(self.config, "num_frames", "frames_per_clip")
        if frames is not None and "pixel_values_videos" not in self.parameters:
            return self.normal(BATCH, int(frames), self.channels(), *self.image_size())
        return self.normal(BATCH, self.channels(), *self.image_size())

    def pixel_values_videos(self) -> torch.Tensor:
        """A few frames for each batch item."""
        frames = int(find(self.config, "num_frames", "frames_per_clip", default=4))
        return self.normal(BATCH, frames, self.channels(), *self.image_size())

    def grid_thw(self) -> torch.Tensor:
        """Frames, rows and columns of patches of each image."""
        return torch.tensor([[1, GRID, GRID]] * BATCH)

    # Audio

    def input_values(self) -> torch.Tensor:
        """A waveform, or the spectrogram that some models call by this name."""
        if find(self.config, "num_mel_bins") is not None:
            length = int(find(self.config, "max_length", default=FRAMES))
            return self.normal(BATCH, length, int(self.config.num_mel_bins))
        if self.waveform_channel:
            return self.normal(BATCH, 1, SAMPLES)
        channels = find(self.config, "audio_channels")
        if channels is not None or "codec" in self.config.model_type:
            return self.normal(BATCH, int(channels or 1), SAMPLES)
        return self.normal(BATCH, SAMPLES)

    def mel_bins(self) -> int:
        """Frequencies of a spectrogram."""
        names = ("num_mel_bins", "feature_projection_input_dim", "input_feat_per_channel", "input_feat_size")
        return int(find(self.config, *names, tower="audio", default=80))

    def input_features(self) -> torch.Tensor:
        """Spectrogram frames; models disagree about which axis comes first."""
        positions = find(self.config, "max_source_positions", tower="audio")
        frames = 2 * int(positions) if positions is not None and self.frequency_first else FRAMES
        shape = (self.mel_bins(), frames) if self.frequency_first else (frames, self.mel_bins())
        return self.normal(BATCH, *shape)

    def input_features_mask(self) -> torch.Tensor:
        """Every frame counts."""
        return torch.ones(BATCH, self.input_features().shape[2 if self.frequency_first else 1], dtype=torch.long)

    # Time series

    def past_length(self) -> int:
        """How much of the past a model of time series reads."""
        context = int(find(self.config, "context_length", "prediction_length", default=32))
        return context + int(max(find(self.config, "lags_sequence", default=[0])))

    def past_values(self) -> torch.Tensor:
        """The series so far."""
        channels = getattr(self.config, "num_input_channels", None)
        shape = (BATCH, self.past_length()) if channels is None else (BATCH, self.past_length(), channels)
        return self.normal(*shape)

    def past_time_features(self) -> torch.Tensor:
        """What is known about each past step."""
        return self.normal(BATCH, self.past_length(), int(find(self.config, "num_time_features", default=1)))

    def past_observed_mask(self) -> torch.Tensor:
        """Every value was observed."""
        return torch.ones(BATCH, self.past_length())

    def future_time_features(self) -> torch.Tensor:
        """What is known about each step to come."""
        length = int(find(self.config, "prediction_length", default=4))
        return self.normal(BATCH, length, int(find(self.config, "num_time_features", default=1)))

    def future_values(self) -> torch.Tensor:
        """The series to come, which some decoders read."""
        return self.normal(BATCH, int(find(self.config, "prediction_length", default=4)))

    # What one or two models ask for

    def vectors(self, length: int) -> torch.Tensor:
        """Hidden vectors of a model that takes no raw input."""
        return self.normal(BATCH, length, int(find(self.config, "d_model", "hidden_size", default=WIDTH)))


def makers(make: InputMaker) -> Makers:
    """How to make each forward parameter that some model cannot do without."""
    return {**text_makers(make), **image_makers(make), **audio_makers(make), **series_makers(make)}


def text_makers(make: InputMaker) -> Makers:
    """Tokens and what goes with them."""
    return {
        "input_ids": make.input_ids,
        "attention_mask": make.attention_mask,
        "decoder_input_ids": make.decoder_input_ids,
        "qformer_input_ids": make.decoder_input_ids,
        "mm_token_type_ids": make.mm_token_type_ids,
        "bbox": make.bbox,
        "query_embeds": lambda: make.vectors(LENGTH),
        "inputs": lambda: make.vectors(LENGTH),
        "inputs_embeds": lambda: make.vectors(LENGTH),
        "task_inputs": lambda: make.token_ids(LENGTH),
    }


def image_makers(make: InputMaker) -> Makers:
    """Images, patches and features of images."""
    return {
        "pixel_values": make.pixel_values,
        "pixel_values_videos": make.pixel_values_videos,
        "image_grid_thw": make.grid_thw,
        "grid_thw": make.grid_thw,
        "hidden_states": make.patch_values,
        "spatial_shapes": lambda: torch.tensor([[GRID, GRID]] * BATCH),
        "pixel_attention_mask": lambda: torch.ones(BATCH, GRID * GRID, dtype=torch.long),
        "prompt_pixel_values": make.pixel_values,
        "prompt_masks": make.pixel_values,
        "merge_sizes": lambda: torch.ones(BATCH, dtype=torch.long),
        "visual_feats": lambda: make.normal(BATCH, LENGTH, int(make.config.visual_feat_dim)),
        "visual_pos": lambda: make.normal(BATCH, LENGTH, int(make.config.visual_pos_dim)),
    }


def audio_makers(make: InputMaker) -> Makers:
    """Waveforms and spectrograms."""
    return {
        "input_values": make.input_values,
        "input_features": make.input_features,
        "input_features_mask": make.input_features_mask,
        "latents": lambda: make.vectors(LENGTH).transpose(1, 2),
    }


def series_makers(make: InputMaker) -> Makers:
    """Time series and episodes."""
    return {
        "past_values": make.past_values,
        "past_time_features": make.past_time_features,
        "past_observed_mask": make.past_observed_mask,
        "future_time_features": make.future_time_features,
        "future_values": make.future_values,
        "past_values_padding": lambda: torch.zeros(BATCH, make.past_length()),
        "states": lambda: make.normal(BATCH, DECODER_LENGTH, make.config.state_dim),
        "actions": lambda: make.normal(BATCH, DECODER_LENGTH, make.config.act_dim),
        "rewards": lambda: make.normal(BATCH, DECODER_LENGTH, 1),
        "returns_to_go": lambda: make.normal(BATCH, DECODER_LENGTH, 1),
        "timesteps": lambda: torch.arange(DECODER_LENGTH).repeat(BATCH, 1),
        "freq": lambda: torch.zeros(BATCH, 1, dtype=torch.long),
    }
