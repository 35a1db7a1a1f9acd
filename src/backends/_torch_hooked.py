"""Which modules need a hook: those in whose own code attention might run.

A hook costs as much as a small operation, and most modules of a transformer are projections, norms and feed-forward
parts. One that does nothing but call such modules, add and multiply by number cannot attend, and its code says so.
"""

from __future__ import annotations

import dis
from functools import lru_cache
from inspect import unwrap
from types import CodeType, FunctionType
from typing import Any

from torch import nn

from . import _torch_functions as fn

_LINEAR_PARAMETERS = frozenset({"weight", "bias"})
# What plain arithmetic is written with, as `torch.tanh` and `math.sqrt`. None of it meets two tensors in a product.
_ARITHMETIC = frozenset(
    {
        "torch",
        "nn",
        "functional",
        "math",
        "pi",
        "sqrt",
        "tanh",
        "pow",
        "erf",
        "sigmoid",
        "float",
        "gelu",
        "silu",
        "relu",
    }
)


def is_block(module: nn.Module) -> bool:
    """Whether this is more than a single layer such as `nn.Linear`."""
    return not _is_layer(module)


def may_attend(module: nn.Module, known: dict[int, bool] | None = None) -> bool:
    """Whether attention might run in this module or in one inside it; when in doubt, it might.

    ``known`` holds the answers so far by the modules' ids: each is asked again by every module around it.
    """
    known = {} if known is None else known
    answer = known.get(id(module))
    if answer is None:
        known[id(module)] = True  # for a module that contains itself
        answer = known[id(module)] = not _is_layer(module) and _block_may_attend(module, known)
    return answer


def _block_may_attend(module: nn.Module, known: dict[int, bool]) -> bool:
    if isinstance(module, nn.ModuleList | nn.Sequential):  # their blocks are reported when they show no attention
        return True
    if not _is_plain(module, type(module).forward):
        return True
    return any(may_attend(child, known) for child in module._modules.values() if child is not None)


def only_calls_others(module: nn.Module) -> bool:
    """Whether a module's own code does nothing that attends, so that what is seen is of a module inside it.

    Decorators are taken to do nothing of the kind: if one does, its attention bears the name of the module around.
    """
    return _is_plain(module, unwrap(type(module).forward))


def _is_plain(module: nn.Module, forward: Any) -> bool:
    """Whether this forward does no more than call the modules inside, add, and multiply by number."""
    plain_call = type(module).__call__ is nn.Module.__call__ and "forward" not in vars(module)
    if not plain_call or not isinstance(forward, FunctionType):
        return False
    names = _names_of_plain_code(forward.__code__)
    return names is not None and not any(_is_more_than_plain(module, name) for name in names - _ARITHMETIC)


def _is_layer(module: nn.Module) -> bool:
    """Leaves such as `nn.Linear` and its like."""
    if module._modules or isinstance(module, nn.RNNBase):  # a recurrent layer is reported when it ran
        return False
    if type(module).__module__.startswith("torch.nn."):
        return True
    return bool(module._parameters) and _LINEAR_PARAMETERS.issuperset(module._parameters)


def _is_more_than_plain(module: nn.Module, name: str) -> bool:
    """Whether a name in a module's code may stand for something else than a module inside it or an activation."""
    if name in module._modules:
        return False
    value = vars(module).get(name)
    return not (isinstance(value, int | float | str) or _is_activation(value))


def _is_activation(value: Any) -> bool:
    return callable(value) and getattr(value, "__hash__", None) is not None and value in fn.ACTIVATIONS


@lru_cache(maxsize=4096)
def _names_of_plain_code(code: CodeType) -> frozenset[str] | None:
    """The attributes and globals that a function's code uses; None where a matrix product or inner code hides more."""
    if any(isinstance(constant, CodeType) for constant in code.co_consts) or code.co_freevars:
        return None
    if any(step.opname == "BINARY_OP" and "@" in step.argrepr for step in dis.get_instructions(code)):
        return None
    return frozenset(code.co_names)
