"""Which modules need a hook: those in whose own code attention might run.

A hook costs as much as a small operation, and most modules of a transformer are projections, norms and feed-forward
parts. One that does nothing but call such modules, add and multiply by number cannot attend, and its code says so.
"""

from __future__ import annotations

from inspect import unwrap
from typing import Any

import torch
from torch import nn

from ._torch_arrays import OWN_CLASSES
from ._torch_plain import PlainCode

LISTS = (nn.ModuleList, nn.Sequential)
_LINEAR_PARAMETERS = frozenset({"weight", "bias"})


def is_block(module: nn.Module) -> bool:
    """Whether this is more than a single layer such as `nn.Linear`."""
    return not _is_layer(module)


def has_own_tensors(module: nn.Module) -> bool:
    """Whether a module's parameters and buffers are of PyTorch's own classes, not quantized or distributed ones."""
    tensors = (*module._parameters.values(), *module._buffers.values())
    return all(tensor is None or type(tensor) in OWN_CLASSES for tensor in tensors)


class ModuleCode:
    """What the modules of a model might do, by their code. Answers are kept: modules around one ask again."""

    def __init__(self) -> None:
        self._plain = PlainCode()
        self._may_attend: dict[int, bool] = {}
        self._only_calls: dict[int, bool] = {}

    def may_attend(self, module: nn.Module) -> bool:
        """Whether attention might run in this module or in one inside it; when in doubt, it might."""
        answer = self._may_attend.get(id(module))
        if answer is None:
            self._may_attend[id(module)] = True  # for a module that contains itself
            answer = self._may_attend[id(module)] = not _is_layer(module) and self._block_may_attend(module)
        return answer

    def only_calls_others(self, module: nn.Module) -> bool:
        """Whether a module's own code does nothing that attends, so that what is seen is of a module inside it.

        Decorators are taken to do nothing of the kind: if one does, its attention bears the name of the module around.
        """
        answer = self._only_calls.get(id(module))
        if answer is None:
            forward = _forward_of(module)
            answer = self._only_calls[id(module)] = forward is not None and self._runs_plain(module, unwrap(forward))
        return answer

    def calls_each_once(self, module: nn.Module) -> bool:
        """Whether a module that only calls others calls none of those that may attend more than once.

        Decorators that are not known to do nothing but call might call it again, or anything else.
        """
        forward = type(module).forward
        while hasattr(forward, "__wrapped__"):
            if not _is_of_known_library(forward):
                return False
            forward = forward.__wrapped__
        for name, count in self._plain.mentioned_modules(module, forward).items():
            child = module._modules.get(name)
            if count > 1 and child is not None and self.may_attend(child):
                return False
        return True

    def layers_without_hook(self, module: nn.Module) -> list[nn.Module] | None:
        """What runs without a hook of ours in this module; None unless it is plain to the last layer."""
        found: list[nn.Module] = []
        return found if self._are_only_layers(module, found) else None

    def _are_only_layers(self, module: nn.Module, found: list[nn.Module]) -> bool:
        for child in module._modules.values():
            if child is None:
                continue
            is_list = isinstance(child, nn.ModuleList)  # which is not called itself, but what is in it
            if self.may_attend(child) and not is_list and not self.only_calls_others(child):
                continue  # it has a hook, and is followed
            found.append(child)
            if child._modules:
                if not self._are_only_layers(child, found):
                    return False
            elif not _is_own_layer(child) and not self._runs_plain(child, type(child).forward):
                return False
        return True

    def _block_may_attend(self, module: nn.Module) -> bool:
        if isinstance(module, LISTS):  # their blocks are reported when they show no attention
            return True
        forward = _forward_of(module)
        if forward is None or not self._runs_plain(module, forward):
            return True
        return any(child is not None and self.may_attend(child) for child in module._modules.values())

    def _runs_plain(self, module: nn.Module, forward: Any) -> bool:
        """Whether calling the module runs this forward, and it does nothing that attends."""
        plain_call = type(module).__call__ is nn.Module.__call__ and "forward" not in vars(module)
        return plain_call and self._plain.is_plain(module, forward)


def _forward_of(module: nn.Module) -> Any:
    """The forward of a module's class; None where it was scripted."""
    return None if isinstance(module, torch.jit.ScriptModule) else type(module).forward


def _is_of_known_library(decorated: Any) -> bool:
    """Whether a decorator is PyTorch's or of transformers itself, not of one of its models."""
    name = getattr(decorated, "__globals__", {}).get("__name__", "")
    return name.startswith(("torch.", "transformers.")) and not name.startswith("transformers.models.")


def _is_layer(module: nn.Module) -> bool:
    """Leaves such as `nn.Linear` and its like."""
    if module._modules or isinstance(module, nn.RNNBase):  # a recurrent layer is reported when it ran
        return False
    if type(module).__module__.startswith("torch.nn."):
        return True
    return bool(module._parameters) and _LINEAR_PARAMETERS.issuperset(module._parameters)


def _is_own_layer(module: nn.Module) -> bool:
    """PyTorch's own, as PyTorch has it, and writing nowhere but into its result."""
    attributes = vars(module)
    if "forward" in attributes or attributes.get("inplace", False):
        return False
    return type(module).__module__.startswith("torch.nn.") and _forward_of(module).__module__.startswith("torch.nn.")
