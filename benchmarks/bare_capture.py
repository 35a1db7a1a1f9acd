"""What hooks and a function mode take by themselves: they hold what the kernel is given, and do nothing else.

Nothing is named, followed or checked, so this is no capture. Nor is it the least that one can take: this mode is on for
the whole call, and attncore's only up to each block's last attention.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import nn
from torch.overrides import TorchFunctionMode

from attncore.backends._torch_hook_plan import plan_hooks


class _Holding(TorchFunctionMode):
    """Holds the arguments of `scaled_dot_product_attention`."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is F.scaled_dot_product_attention:
            self.held.append((args, kwargs))
        return out


def _before(module: nn.Module, args: Any, kwargs: Any) -> None:
    return None


def _after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
    return None


def bare_capture(model: nn.Module, inputs: dict[str, Any]) -> Callable[[], Any]:
    """A call of the model with hooks that do nothing on the modules where attncore has hooks, and such a mode."""
    hooked = [module for _, module in plan_hooks(model).hooked]

    def call() -> Any:
        handles = []
        for module in hooked:
            handles += [
                module.register_forward_pre_hook(_before, with_kwargs=True),
                module.register_forward_hook(_after, with_kwargs=True, prepend=True, always_call=True),
            ]
        try:
            with _Holding() as mode:
                model(**inputs)
        finally:
            for handle in handles:
                handle.remove()
        return mode.held

    return call
