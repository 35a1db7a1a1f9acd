"""Where hooks go in a model, decided before the first is put on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import nn

from ._torch_hooked import LISTS, ModuleCode, has_own_tensors
from ._torch_keras import keras_children


@dataclass(eq=False)
class HookPlan:
    """What is to be known of a model's modules, by their qualified names.

    ``hooked`` are those that need hooks, ``block_lists`` the lists of blocks, the outer ones first, ``recurrent`` the
    classes of recurrent layers, ``scripted`` what cannot be seen. ``tails`` has, for blocks that only call others, the
    hooked modules inside: what comes after the last of them is layers and sums. ``layers`` are the layers of all tails,
    and ``attending`` the hooked modules before them; those in ``ending`` run nothing but layers themselves beside their
    own code.
    """

    hooked: list[tuple[str, nn.Module]] = field(default_factory=list)
    block_lists: dict[str, nn.Module] = field(default_factory=dict)
    recurrent: dict[str, str] = field(default_factory=dict)
    scripted: list[str] = field(default_factory=list)
    tails: dict[str, frozenset[str]] = field(default_factory=dict)
    layers: list[nn.Module] = field(default_factory=list)
    attending: list[nn.Module] = field(default_factory=list)
    ending: set[str] = field(default_factory=set)


def plan_hooks(model: nn.Module) -> HookPlan:
    """Walk over a model's modules; one that has several names keeps its first."""
    walk = _Walk()
    walk.visit(model, "")
    return walk.plan


def _children(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The modules directly inside one, by their qualified names."""
    for own, child in module._modules.items():
        if child is not None:
            # torch.compile puts a wrapper around a module, which is not part of the name people know.
            yield name if own == "_orig_mod" else f"{name}.{own}" if name else own, child


class _Walk:
    """One walk over a model."""

    def __init__(self) -> None:
        self.plan = HookPlan()
        self._seen: set[int] = set()
        self._code = ModuleCode()
        # How many modules were met that may run more than once in a block.
        self._repeated = 0

    def visit(self, module: nn.Module, name: str, *, in_block: bool = False, bare: bool = False) -> None:
        """Plan for a module and what it contains.

        A ``bare`` one needs no hook itself: inside the blocks of a list these are the modules that only call others.
        """
        self._seen.add(id(module))
        if isinstance(module, torch.jit.ScriptModule):
            self.plan.scripted.append(name)
            return
        of_list = isinstance(module, LISTS)
        if of_list:
            self.plan.block_lists[name] = module
        if isinstance(module, nn.RNNBase):
            self.plan.recurrent[name] = type(module).__name__
        if not bare:
            self.plan.hooked.append((name, module))
        elif not self._code.calls_each_once(module):
            self._repeated += 1
        # Blocks of a list are reported when they ran without attention, so they have a hook in any case.
        for child_name, child in (*keras_children(module, name), *_children(module, name)):
            if self._code.is_layer(child) if of_list else not self._code.may_attend(child):
                continue
            if id(child) in self._seen:
                self._repeated += 1
            elif of_list:
                self._visit_block(child, child_name)
            else:
                self.visit(child, child_name, in_block=in_block, bare=in_block and self._code.only_calls_others(child))

    def _visit_block(self, block: nn.Module, name: str) -> None:
        """Plan for a block of a list, and find out whether its tail is plain."""
        hooks, tails, repeated = len(self.plan.hooked), len(self.plan.tails), self._repeated
        self.visit(block, name, in_block=True)
        if len(self.plan.tails) != tails or self._repeated != repeated or not self._code.only_calls_others(block):
            return
        layers = self._code.layers_without_hook(block) if self._code.calls_each_once(block) else None
        if layers is not None:
            # Lists are not called themselves.
            called = [one for one in self.plan.hooked[hooks + 1 :] if type(one[1]).forward is not nn.Module.forward]
            self.plan.layers += layers
            self.plan.attending += [module for _, module in called]
            self.plan.tails[name] = frozenset(inner for inner, _ in called)
            for inner, module in called:
                self._visit_attention(module, inner)

    def _visit_attention(self, module: nn.Module, name: str) -> None:
        """Plan for a module that attends in such a block: what it runs may be like a tail too."""
        layers = self._code.layers_without_hook(module)
        if layers is not None and all(has_own_tensors(one) for one in (module, *layers)):
            self.plan.layers += layers
            self.plan.ending.add(name)
