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


def has_own_tensors(module: nn.Module) -> bool:
    """Whether a module's parameters and buffers are of PyTorch's own classes, not quantized or distributed ones."""
    tensors = (*module._parameters.values(), *module._buffers.values())
    return all(tensor is None or type(tensor) in OWN_CLASSES for tensor in tensors)


class _ModuleClass:
    """What a class of modules says of all its modules.

    ``forward`` is None where it was scripted, and ``body`` is the forward without its decorators. ``calls_forward``
    says that a call of the module runs it, ``of_pytorch`` that it is a layer of PyTorch's, and ``own_forward`` that its
    forward is PyTorch's too.
    """

    __slots__ = ("body", "calls_forward", "forward", "is_list", "is_recurrent", "of_pytorch", "own_forward")

    def __init__(self, kind: type[nn.Module]) -> None:
        self.forward: Any = None if issubclass(kind, torch.jit.ScriptModule) else kind.forward
        self.body = None if self.forward is None else unwrap(self.forward)
        self.calls_forward = kind.__call__ is nn.Module.__call__
        self.is_list = issubclass(kind, LISTS)
        self.is_recurrent = issubclass(kind, nn.RNNBase)
        self.of_pytorch = kind.__module__.startswith("torch.nn.")
        self.own_forward = self.of_pytorch and str(getattr(self.forward, "__module__", "")).startswith("torch.nn.")


class ModuleCode:
    """What the modules of a model might do, by their code. Answers are kept: modules around one ask again."""

    def __init__(self) -> None:
        self._plain = PlainCode()
        self._classes: dict[type[nn.Module], _ModuleClass] = {}
        self._may_attend: dict[int, bool] = {}
        self._only_calls: dict[int, bool] = {}

    def is_layer(self, module: nn.Module) -> bool:
        """Whether this is a single layer, such as `nn.Linear` and its like."""
        if module._modules:
            return False
        of_class = self._class_of(module)
        if of_class.is_recurrent:  # it is reported when it ran
            return False
        parameters = module._parameters
        return of_class.of_pytorch or (bool(parameters) and _LINEAR_PARAMETERS.issuperset(parameters))

    def may_attend(self, module: nn.Module) -> bool:
        """Whether attention might run in this module or in one inside it; when in doubt, it might."""
        answer = self._may_attend.get(id(module))
        if answer is None:
            self._may_attend[id(module)] = True  # for a module that contains itself
            answer = self._may_attend[id(module)] = not self.is_layer(module) and self._block_may_attend(module)
        return answer

    def only_calls_others(self, module: nn.Module) -> bool:
        """Whether a module's own code does nothing that attends, so that what is seen is of a module inside it.

        Decorators are taken to do nothing of the kind: if one does, its attention bears the name of the module around.
        """
        answer = self._only_calls.get(id(module))
        if answer is None:
            answer = self._only_calls[id(module)] = self._runs_plain(module, self._class_of(module).body)
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
        for name in self._plain.mentioned_again(type(module), forward):
            child = module._modules.get(name)
            if child is not None and self.may_attend(child):
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
            # Lists are not called themselves, but what is in them.
            if self.may_attend(child) and not isinstance(child, nn.ModuleList) and not self.only_calls_others(child):
                continue  # it has a hook, and is followed
            found.append(child)
            if child._modules:
                if not self._are_only_layers(child, found):
                    return False
            elif not self._is_own_layer(child) and not self._runs_plain(child, type(child).forward):
                return False
        return True

    def _is_own_layer(self, module: nn.Module) -> bool:
        """PyTorch's own, as PyTorch has it, and writing nowhere but into its result."""
        attributes = module.__dict__
        return self._class_of(module).own_forward and "forward" not in attributes and not attributes.get("inplace")

    def _block_may_attend(self, module: nn.Module) -> bool:
        of_class = self._class_of(module)
        # The blocks of lists are reported when they show no attention.
        if of_class.is_list or not self._runs_plain(module, of_class.forward):
            return True
        for child in module._modules.values():  # noqa: SIM110 - without a generator: for every block of every capture
            if child is not None and self.may_attend(child):
                return True
        return False

    def _runs_plain(self, module: nn.Module, forward: Any) -> bool:
        """Whether calling the module runs this forward, and it does nothing that attends."""
        plain_call = self._class_of(module).calls_forward and "forward" not in module.__dict__
        return plain_call and self._plain.is_plain(module, forward)

    def _class_of(self, module: nn.Module) -> _ModuleClass:
        kind = type(module)
        found = self._classes.get(kind)
        if found is None:
            found = self._classes[kind] = _ModuleClass(kind)
        return found


def _is_of_known_library(decorated: Any) -> bool:
    """Whether a decorator is PyTorch's or of transformers itself, not of one of its models."""
    name = getattr(decorated, "__globals__", {}).get("__name__", "")
    return name.startswith(("torch.", "transformers.")) and not name.startswith("transformers.models.")
