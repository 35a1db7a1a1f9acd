"""Rows that a model rescales after a fused kernel, by what the kernel says of its normaliser.

A kernel that takes no learned sink returns the logarithm of each row's normaliser beside its output, and the model
multiplies the output with the share that is left beside the sink. The weights it applied are those of the kernel times
that share: `follow` finds the product, by what was computed from the logarithm.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from . import _torch_functions as fn
from ._torch_flex import FlexWeights

if TYPE_CHECKING:
    from ._torch_record import Record
    from ._torch_recorder import Recorder

NOTE = "the model rescales each row after the kernel, as beside a learned sink: rows sum to less than 1"
_TOO_LATE = (
    "the model rescales each row after the kernel, when reduce= had seen the weights already; capture without reduce="
)


class Rescaling:
    """The outputs of fused kernels that gave their normaliser away, and what was computed from it."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.outputs: dict[int, tuple[weakref.ref[Tensor], Record, FlexWeights]] = {}
        self._from_normaliser: dict[int, weakref.ref[Tensor]] = {}

    def watch(self, output: Tensor, normaliser: Tensor, record: Record, weights: FlexWeights) -> None:
        """Look out for a product of ``output`` with something computed from ``normaliser``."""
        self.outputs[id(output)] = (weakref.ref(output), record, weights)
        self._from_normaliser[id(normaliser)] = weakref.ref(normaliser)

    def follow(self, function: Any, args: tuple[Any, ...], result: Any) -> None:
        """Note one more call: something computed from a normaliser, or the product that is looked for."""
        given = [value for value in _tensors(args) if self._comes_from_normaliser(value)]
        if not given:
            return
        if function in fn.SCALE_UP:
            for value in _tensors(args):
                watched = self.outputs.get(id(value))
                if watched is not None and watched[0]() is value:
                    self._rescale(watched[1], watched[2], given[0])
                    return
        if isinstance(result, Tensor):
            self._from_normaliser[id(result)] = weakref.ref(result)

    def _comes_from_normaliser(self, value: Tensor) -> bool:
        reference = self._from_normaliser.get(id(value))
        return reference is not None and reference() is value

    def _rescale(self, record: Record, weights: FlexWeights, factor: Tensor) -> None:
        if record.reduced is not None:
            self.recorder.reject(record, _TOO_LATE)
            return
        with torch._C.DisableTorchFunction(), torch.no_grad():
            weights.rescale_rows(factor)
        record.notes = (*record.notes, NOTE)

    def clear(self) -> None:
        """Forget everything, at the end of a root call."""
        self.outputs.clear()
        self._from_normaliser.clear()


def _tensors(args: tuple[Any, ...]) -> list[Tensor]:
    """The tensors among the arguments, also those in a list."""
    found = []
    for value in args:
        found += [part for part in (value if isinstance(value, list | tuple) else (value,)) if isinstance(part, Tensor)]
    return found
