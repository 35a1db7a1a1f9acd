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
# Operations after which a softmax's result is still attention weights, and a product still scores. Views need no
# mention: they share storage.
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
SCORED = FOLLOWED | {"add", "add_", "sub", "sub_", "div_", "tanh"}
# Scores below this are masked, whatever value a model masks with.
MASKED = -1e4


@dataclass
class Applied:
    """Weights (…, query, key) that were multiplied with values; whether a product of two tensors made their scores."""

    weights: torch.Tensor
    from_product: bool


class AppliedWeights(TorchDispatchMode):
    """While active, keeps every softmax result that meets its values, in the order of the products."""

    def __init__(self, parameters: Iterable[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parameters = {storage(parameter) for parameter in parameters}
        self.found: list[Applied] = []
        self.largest_score = 0.0
        # Following goes by storage, so every followed tensor is kept: freed storage would be used again.
        self.scores: dict[int, torch.Tensor] = {}
        self.followed: dict[int, torch.Tensor] = {}
        self.made_by_product: dict[int, bool] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, then see what it does to what is followed."""
        result = func(*args, **(kwargs or {}))
        name = func.__name__.split(".")[0]
        if func in SOFTMAX:
            self.note_scores(args[0])
            self.follow(result, storage(args[0]) in self.scores)
        elif func in PRODUCTS:
            left, right = (args[place] for place in PRODUCTS[func])
            self.note_product(left, right)
            if self.is_data(left) and self.is_data(right):
                self.scores[storage(result)] = result
        elif name in SCORED:
            self.pass_on(name, args, result)
        return result

    def pass_on(self, name: str, args: Any, result: Any) -> None:
        """A copy or an element-wise change of something followed is followed too."""
        flat = [item for arg in args for item in (arg if isinstance(arg, (list, tuple)) else (arg,))]
        places = [storage(item) for item in flat if isinstance(item, torch.Tensor)]
        first = result[0] if isinstance(result, (list, tuple)) else result
        if any(place in self.scores for place in places):
            self.scores[storage(first)] = first
        sources = [place for place in places if place in self.followed]
        if sources and name in FOLLOWED:
            self.follow(first, self.made_by_product[sources[0]])

    def is_data(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is no parameter."""
        return storage(tensor) not in self.parameters

    def note_scores(self, scores: torch.Tensor) -> None:
        """Remember how large the scores get, for the tolerance."""
        visible = scores.detach()[scores.detach() > MASKED]
        if visible.numel():
            self.largest_score = max(self.largest_score, float(visible.abs().max()))

    def note_product(self, left: torch.Tensor, right: torch.Tensor) -> None:
        """Keep the weights of a product where exactly one side is followed and the other no parameter."""
        sides = [storage(side) in self.followed for side in (left, right)]
        if sides == [True, False] and self.is_data(right):
            self.found.append(Applied(left.detach().clone(), self.made_by_product[storage(left)]))
        if sides == [False, True] and self.is_data(left):
            weights = right.detach().transpose(-1, -2).clone()
            self.found.append(Applied(weights, self.made_by_product[storage(right)]))

    def follow(self, result: Any, made_by_product: bool) -> None:
        """Follow a softmax's result."""
        if isinstance(result, torch.Tensor) and result.is_floating_point():
            self.followed[storage(result)] = result
            self.made_by_product[storage(result)] = made_by_product


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
