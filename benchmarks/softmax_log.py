"""An independent reference: every softmax that a model computes, fused attention taken apart by PyTorch itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

import attncore

SOFTMAX = {torch.ops.aten._softmax.default, torch.ops.aten._safe_softmax.default}


class SoftmaxLog(TorchDispatchMode):
    """While active, keeps a copy of every softmax result in the order of the calls."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.results: list[torch.Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in SOFTMAX:
            self.results.append(result.detach().clone())
        return result


def softmaxes(
    model: torch.nn.Module,
    inputs: attncore.Inputs,
    arrange: Callable[[torch.Tensor], torch.Tensor | None] = lambda weights: weights,
) -> list[np.ndarray]:
    """The softmax results of one call; ``arrange`` brings them to (batch, heads, query, key) or drops them (None)."""
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), SoftmaxLog() as log:
        torch.manual_seed(0)
        model(*inputs.args, **inputs.kwargs)
    arranged = [arrange(result) for result in log.results]
    return [weights.double().numpy() for weights in arranged if weights is not None]
