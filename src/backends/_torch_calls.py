"""What the model's calls say about tokens: ids, padding and segments, in the arguments of the forward."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ._torch_arrays import data_address

_IDS = ("input_ids", "decoder_input_ids")
# Masks that are true (or 1) where a token is real, and those that are true where it is padding.
_REAL = ("attention_mask", "decoder_attention_mask", "pixel_attention_mask")
_REAL_IN_MEMORY = ("encoder_attention_mask",)
_PADDING = ("src_key_padding_mask", "tgt_key_padding_mask", "memory_key_padding_mask", "key_padding_mask")
_SEGMENTS = ("token_type_ids",)
# What says something of the text, where a model is given text and something else.
_OF_IDS = ("input_ids", "attention_mask", "token_type_ids")
_NAMES = frozenset((*_IDS, *_REAL, *_REAL_IN_MEMORY, *_PADDING, *_SEGMENTS))
# Arguments that hold whole numbers, and not the ids of the model's own tokens. Any other name may be that of the ids.
_NO_IDS = frozenset(
    (
        "decoder_input_ids", "encoder_attention_mask", *_REAL, *_PADDING, *_SEGMENTS,
        "mask", "attn_mask", "padding_mask", "cross_attention_mask", "global_attention_mask", "special_tokens_mask",
        "head_mask", "feature_attention_mask", "bool_masked_pos", "position_ids", "decoder_position_ids",
        "cache_position", "segment_ids", "mm_token_type_ids", "langs", "labels", "decoder_labels", "mc_labels",
        "image_grid_thw", "video_grid_thw", "image_sizes", "entity_ids", "entity_attention_mask",
    )
)  # fmt: skip
# Part of a model that is no module of it: what a decoder attends to, when it is given to the model as it is.
MEMORY = "memory"
# In place of a module's name: inputs beside the ids.
BESIDE = "beside the ids"


@dataclass(eq=False)
class RootCall:
    """One outermost call: integer and mask arrays by (module name, argument name), and the images' size.

    ``inputs`` are, where there are token ids, these and whatever else may have positions of its own: the argument's
    name, and where its memory begins.
    """

    arrays: dict[tuple[str, str], np.ndarray[Any, Any]] = field(default_factory=dict)
    image: tuple[int, int] | None = None
    module_class: str = ""
    inputs: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        function: Callable[..., Any] | None = None,
    ) -> RootCall:
        """From the outermost call, its positional arguments named by the signature of the function, or the forward."""
        call = cls(module_class=type(module).__name__)
        named = _named(function or module.forward, args, kwargs)
        call.take("", named)
        first = next((value for argument, value in named.items() if argument not in _NO_IDS), None)
        if (
            isinstance(first, Tensor)
            and not first.is_floating_point()
            and first.dim() == 2
            and first.dtype != torch.bool
        ):
            call._add("", "input_ids", first)
        call._note_inputs(named, named.get("input_ids", first))
        for value in (*args, *kwargs.values()):
            if isinstance(value, Tensor) and value.dim() == 4 and value.is_floating_point() and call.image is None:
                call.image = (int(value.shape[-2]), int(value.shape[-1]))
        return call

    def _note_inputs(self, named: dict[str, Any], ids: Any) -> None:
        """Note the ids and the inputs beside them, whose positions are others even if they are as many."""
        if ("", "input_ids") not in self.arrays or not isinstance(ids, Tensor):
            return
        self.inputs.append(("", data_address(ids)))
        for argument, value in named.items():
            if argument in _NO_IDS or not isinstance(value, Tensor) or value is ids or data_address(value) == 0:
                continue
            whole_numbers = value.dim() == 2 and not value.is_floating_point() and value.dtype != torch.bool
            if whole_numbers or (value.dim() > 2 and value.is_floating_point()):
                self.inputs.append(("image" if value.dim() == 4 else argument, data_address(value)))
                if whole_numbers:
                    self._add(BESIDE, argument, value)

    def input_named(self, number: int) -> str | None:
        """The argument of an input beside the ids, by its number."""
        return self.inputs[number][0] if 0 < number < len(self.inputs) else None

    def join(self, name: str, other: RootCall) -> None:
        """Add what a part of the same call was given: the module of this name, or all of them."""
        for (_, argument), array in other.arrays.items():
            self.arrays.setdefault((name, argument), array)
        self.image = self.image or other.image

    def take(self, name: str, arguments: dict[str, Any]) -> None:
        """Keep the interesting ones among named arguments."""
        for argument in _NAMES.intersection(arguments):
            value = arguments[argument]
            if isinstance(value, Tensor) and value.dim() == 2:
                self._add(name, argument, value)

    def _add(self, name: str, argument: str, value: Tensor) -> None:
        if (name, argument) not in self.arrays and value.device.type != "meta":
            with torch._C.DisableTorchFunction(), torch.no_grad():
                if value.is_floating_point():
                    # Padding is minus infinity (or very negative) in the masks that are added.
                    value = _is_real(value) if argument in (*_REAL, *_REAL_IN_MEMORY) else value < -1
                self.arrays[(name, argument)] = value.detach().cpu().numpy().copy()

    def ids_for(self, stack: str | None) -> np.ndarray[Any, Any] | None:
        """Token ids of a stack: those its own module was given, else the root's by the argument's name."""
        return self._find(stack, _IDS)

    def segments_for(self, stack: str | None) -> np.ndarray[Any, Any] | None:
        """Segment numbers of a stack's tokens."""
        return self._find(stack, _SEGMENTS)

    def padding_for(self, stack: str | None) -> np.ndarray[Any, Any] | None:
        """True where a stack's tokens are padding, or where `MEMORY` is."""
        # What is attended to is no module's own: whichever was told of it knows.
        real = self._find(None, _REAL_IN_MEMORY) if stack == MEMORY else self._find(stack, _REAL)
        if real is not None:
            return None if _is_causal(real) else np.asarray(real == 0)
        wanted = {
            "decoder": ("tgt_key_padding_mask",),
            None: ("src_key_padding_mask", "key_padding_mask"),
            MEMORY: ("memory_key_padding_mask", "src_key_padding_mask"),
        }
        for argument in wanted.get(stack, ("src_key_padding_mask", "memory_key_padding_mask")):
            found = self.arrays.get(("", argument))
            if found is not None:
                return np.asarray(found.astype(bool))
        return None

    def _find(self, stack: str | None, names: tuple[str, ...]) -> np.ndarray[Any, Any] | None:
        for (module, argument), array in self.arrays.items():
            if stack is not None and stack in module.split(".") and argument in names:
                return array
        if stack in ("vision", "audio") and self.ids_for(None) is not None:
            names = tuple(argument for argument in names if argument not in _OF_IDS)
        prefix = "decoder_" if stack == "decoder" else ""
        for argument in names:
            if argument.startswith("decoder_") == bool(prefix) and ("", argument) in self.arrays:
                return self.arrays[("", argument)]
        if stack is None:  # a wrapper around the model that was given the ids
            for (_, argument), array in self.arrays.items():
                if argument in names and not argument.startswith("decoder_"):
                    return array
        return None


def _named(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name, in the order of the signature; the first one as "" where that cannot be read."""
    if not args:
        return dict(kwargs)
    try:
        named = dict(inspect.signature(function).bind_partial(*args, **kwargs).arguments)
    except (TypeError, ValueError):  # a signature that cannot be read or does not fit: the model will say so
        return {"": args[0], **kwargs}
    named[next(iter(named))] = args[0]  # of *args the first alone
    return named | (named.pop("kwargs") if isinstance(named.get("kwargs"), dict) else {})


def _is_real(mask: Tensor) -> Tensor:
    """Where tokens are real: 1 in a mask of ones and zeros, 0 in one that is added to the scores."""
    return mask > 0.5 if bool((mask > 0).any()) else mask > -1


def _is_causal(mask: np.ndarray[Any, Any]) -> bool:
    """Whether this is (query, key), each query seeing the keys up to its own, and no mask of padding."""
    rows, columns = mask.shape
    return rows == columns > 1 and np.array_equal(mask != 0, np.tri(rows, dtype=bool))


def note_call(root: RootCall, name: str, kwargs: dict[str, Any]) -> None:
    """Keep what an inner module was given by name: encoder and decoder get their ids this way."""
    if not _NAMES.isdisjoint(kwargs):
        root.take(name, kwargs)
