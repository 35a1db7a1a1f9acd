"""An independent look at which weights a model really multiplies its values with.

It works below autograd, on the operations that reach the dispatcher, and shares nothing with the way attncore finds
attention: a softmax's result is followed through copies and element-wise changes until it is one side of a batched
product with something that is not a parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
SOFTMAX = {aten._softmax.default, aten._safe_softmax.default}
PRODUCTS = {aten.bmm.default: (0, 1), aten.mm.default: (0, 1), aten.baddbmm.default: (1, 2)}
# Operations after which a softmax's result is still attention weights. Views need no mention: they share storage.
FOLLOWED = {
    "clone",
    "_to_copy",
    "_unsafe_view",
    "mul",
    "mul_",
    "masked_fill",
    "masked_fill_",
    "where",
    "nan_to_num",
    "native_dropout",
    "constant_pad_nd",
    "div",
    "cat",
    "index_select",
}
# Scores below this are masked, whatever value a model masks with.
MASKED = -1e4


@dataclass
class Applied:
    """Weights (…, query, key) that were multiplied with values."""

    weights: torch.Tensor


class AppliedWeights(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, keeps every softmax result that meets its values, in the order of the products."""

    def __init__(self, parameters: Iterable[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parameters = {storage(parameter) for parameter in parameters}
        self.found: list[Applied] = []
        self.largest_score = 0.0
        # Following goes by storage, so every followed tensor is kept: freed storage would be used again.
        self.followed: dict[int, torch.Tensor] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in SOFTMAX:
            self.note_scores(args[0])
            self.follow(result)
        elif func in PRODUCTS:
            left, right = (args[place] for place in PRODUCTS[func])
            self.note_product(left, right)
        elif func.__name__.split(".")[0] in FOLLOWED and self.has_followed(args):
            self.follow(result)
        return result

    def note_scores(self, scores: torch.Tensor) -> None:
        """Remember how large the scores get, for the tolerance."""
        visible = scores.detach()[scores.detach() > MASKED]
        if visible.numel():
            self.largest_score = max(self.largest_score, float(visible.abs().max()))

    def note_product(self, left: torch.Tensor, right: torch.Tensor) -> None:
        """Keep the weights of a product where exactly one side is followed and the other no parameter."""
        sides = [storage(side) in self.followed for side in (left, right)]
        if sides == [True, False] and storage(right) not in self.parameters:
            self.found.append(Applied(left.detach().clone()))
        if sides == [False, True] and storage(left) not in self.parameters:
            self.found.append(Applied(right.detach().transpose(-1, -2).clone()))

    def has_followed(self, args: Any) -> bool:
        """Whether an argument, or an item of a list of them, is followed."""
        flat = [item for arg in args for item in (arg if isinstance(arg, (list, tuple)) else (arg,))]
        return any(isinstance(item, torch.Tensor) and storage(item) in self.followed for item in flat)

    def follow(self, result: Any) -> None:
        """Follow a tensor, or the first of several."""
        first = result[0] if isinstance(result, (list, tuple)) else result
        if isinstance(first, torch.Tensor) and first.is_floating_point():
            self.followed[storage(first)] = first


def storage(tensor: torch.Tensor) -> int:
    """What tells whether two tensors are views of the same memory."""
    return tensor.untyped_storage().data_ptr()


def same_values(first: torch.Tensor, second: torch.Tensor, tolerance: float = 1e-6) -> bool:
    """Whether two tensors hold the same values, in any order: heads and batch may be laid out differently."""
    if first.numel() != second.numel():
        return False
    one, two = (tensor.detach().float().flatten().nan_to_num() for tensor in (first, second))
    if torch.equal(one, two):
        return True
    return bool((one.sort().values - two.sort().values).abs().max() <= tolerance)
