"""What a module's code does, read from its bytecode: whether it calls layers and adds, or may do more.

The answer is "no more" only where everything that the code mentions is known: attributes of the module itself, of
tensors and of PyTorch's own namespaces, and functions. A product of two tensors, a softmax, a loop, a function that
was passed in or an object of unknown kind is more.
"""

from __future__ import annotations

import builtins
import dis
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from types import CodeType, FunctionType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn

from . import _torch_functions as fn

# What plain layers do to tensors, as methods or attributes of them.
_OF_TENSORS = frozenset(
    {
        "abs", "any", "bfloat16", "bool", "clamp", "clip", "contiguous", "cos", "device", "dim", "dtype", "erf", "exp",
        "flatten", "float", "half", "is_floating_point", "isinf", "log", "max", "mean", "min", "numel", "permute",
        "pow", "relu", "reshape", "rsqrt", "shape", "sigmoid", "sin", "size", "sqrt", "square", "squeeze", "tanh", "to",
        "transpose", "type_as", "unsqueeze", "var", "view",
    }
)  # fmt: skip
# What they take from PyTorch's own namespaces. None of it meets two tensors in a product, but for `addmm` and `linear`
# with weights. An object that was passed in may have methods of these names that do anything.
_OF_PYTORCH = _OF_TENSORS | {
    "addmm", "dropout", "finfo", "float16", "float32", "functional", "gelu", "layer_norm", "linear", "nn", "pi", "silu",
    "softplus",
}  # fmt: skip
_NAMESPACES = (torch, torch.nn, F, math)
_BUILTINS = frozenset({bool, float, hasattr, int, isinstance, len, max, min, range, tuple})
# Functions of libraries that do nothing but call what they are given, which is looked at where it is mentioned.
_ONLY_CALL = frozenset({("transformers.pytorch_utils", "apply_chunking_to_forward")})
# Opcodes of loops, contexts, generators, imports, and writes into a tensor or an object.
_MORE = (
    "FOR_ITER",
    "JUMP_BACKWARD",
    "WITH",
    "SEND",
    "YIELD",
    "IMPORT",
    "STORE_SUBSCR",
    "STORE_SLICE",
    "STORE_ATTR",
    "DELETE",
)
# Arguments that make a function write into what it was given.
_WRITES = frozenset({"inplace", "out"})
_CONSTANTS = (int, float, str, torch.dtype, torch.device)
_MISSING = object()


@dataclass(frozen=True)
class Mentions:
    """What a code object mentions.

    ``own`` are attributes of its first argument, and how often; ``of_globals`` and ``others`` those of globals and of
    anything else; ``outside`` the globals.
    """

    own: Counter[str]
    of_globals: frozenset[str]
    others: frozenset[str]
    outside: frozenset[str]


class PlainCode:
    """Tells which functions of a model's modules are plain; what is outside of modules is looked at once."""

    def __init__(self) -> None:
        # What a function mentions; None where it does more, or what it mentions outside of its module does.
        self._mentions: dict[FunctionType, Mentions | None] = {}
        self._under_way: set[FunctionType] = set()
        self._again: dict[tuple[type[nn.Module], Any], list[str]] = {}

    def is_plain(self, module: nn.Module | None, function: Any) -> bool:
        """Whether a function does no more than call the modules inside this one, add, and multiply by number.

        ``module`` is the first argument; None for a function outside, whose first argument may be a tensor.
        """
        if not isinstance(function, FunctionType) or function in self._under_way:
            return False
        mentions = self._mentions[function] if function in self._mentions else self._find_mentions(function)
        if mentions is None:
            return False
        if module is None:
            return mentions.own.keys() <= _OF_TENSORS
        self._under_way.add(function)
        answer = self.are_plain_attributes(module, mentions)
        self._under_way.discard(function)
        return answer

    def _find_mentions(self, function: FunctionType) -> Mentions | None:
        self._mentions[function] = None  # for one that calls itself
        mentions = _mentions_of(function.__code__)
        if mentions is not None and self.mentions_are_plain(mentions, function.__globals__):
            self._mentions[function] = mentions
        return self._mentions[function]

    def are_plain_attributes(self, module: nn.Module, mentions: Mentions) -> bool:
        """Whether what a code mentions of its first argument is plain in this module."""
        modules = module._modules
        for name in mentions.own:  # noqa: SIM110 - without a generator: for every block of every capture
            if name not in modules and not self._is_plain_attribute(module, name):  # modules are judged by themselves
                return False
        return True

    def mentioned_again(self, kind: type[nn.Module], function: Any) -> list[str]:
        """The attributes that a plain function of this class, and the methods that it calls, mention more than once."""
        found = self._again.get((kind, function))
        if found is None:
            total = _mentioned(kind, function)
            found = self._again[(kind, function)] = [name for name, count in total.items() if count > 1]
        return found

    def mentions_are_plain(self, mentions: Mentions, namespace: dict[str, Any]) -> bool:
        """Whether a code mentions nothing but what is plain, beside the attributes of its first argument."""
        known = mentions.others <= _OF_TENSORS and mentions.of_globals <= _OF_PYTORCH
        return known and all(self._is_plain_global(namespace, name) for name in mentions.outside)

    def _is_plain_attribute(self, module: nn.Module, name: str) -> bool:
        """Whether this attribute is a module inside, a number or such, an activation, or a plain method."""
        if name in module._modules or name in module._parameters or name in module._buffers:
            return True  # modules are judged by themselves
        if name in vars(module):
            return _is_plain_value(vars(module)[name])
        value = _of_class(type(module), name)
        if value is _MISSING:  # whoever asks for it gets an error, unless the class makes attributes up
            return type(module).__getattr__ is nn.Module.__getattr__
        return _is_plain_value(value) or self.is_plain(module, value)

    def _is_plain_global(self, namespace: dict[str, Any], name: str) -> bool:
        value = namespace.get(name, getattr(builtins, name, None))
        if any(value is namespace for namespace in _NAMESPACES) or _is_plain_value(value):
            return True
        if isinstance(value, type):
            return value in _BUILTINS or issubclass(value, Exception | Tensor)
        if isinstance(value, FunctionType):
            return (value.__module__, value.__name__) in _ONLY_CALL or self.is_plain(None, value)
        return getattr(value, "__hash__", None) is not None and value in _BUILTINS


def _mentioned(kind: type[nn.Module], function: Any) -> Counter[str]:
    """How often a plain function of this class, and the methods that it calls, mention each attribute."""
    mentions = _mentions_of(function.__code__) if isinstance(function, FunctionType) else None
    total = Counter[str]() if mentions is None else Counter(mentions.own)
    for name, count in list(total.items()):
        for inner, times in _mentioned(kind, _of_class(kind, name)).items():
            total[inner] += count * times
    return total


def _of_class(kind: type[nn.Module], name: str) -> Any:
    """What a class holds under this name itself, not what a descriptor makes of it."""
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return _MISSING


def _is_plain_value(value: Any) -> bool:
    if isinstance(value, partial):
        value = value.func
    if value is None or isinstance(value, _CONSTANTS):
        return True
    return callable(value) and getattr(value, "__hash__", None) is not None and value in fn.ACTIVATIONS


@lru_cache(maxsize=4096)
def _mentions_of(code: CodeType) -> Mentions | None:
    """What the code mentions; None where an operator, a loop or a call of something passed in may hide more."""
    if any(isinstance(constant, CodeType) for constant in code.co_consts) or code.co_freevars or code.co_cellvars:
        return None
    return mentions_in(code, steps_of(code))


def steps_of(code: CodeType) -> list[dis.Instruction]:
    """The instructions of a code that do something."""
    return [step for step in dis.get_instructions(code) if step.opname not in ("EXTENDED_ARG", "NOP", "NOT_TAKEN")]


def mentions_in(code: CodeType, steps: Sequence[dis.Instruction]) -> Mentions | None:
    """What these steps of a code mention; None as for the whole of it."""
    # The names of keyword arguments are constants of the code.
    if any(isinstance(constant, tuple) and not _WRITES.isdisjoint(constant) for constant in code.co_consts):
        return None
    first = code.co_varnames[0] if code.co_argcount else None
    own: Counter[str] = Counter()
    of_globals: set[str] = set()
    others: set[str] = set()
    outside: set[str] = set()
    after_global = False
    for before, step, *after in zip([None, *steps], steps, [*steps[1:], None], [*steps[2:], None, None], strict=False):
        if _does_more(step) or first in _stored(step):
            return None
        if step.opname == "PUSH_NULL" and not _calls_a_name(before, *after):
            return None
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            if first is not None and before is not None and _last_loaded(before) == first:
                own[step.argval] += 1
            else:
                (of_globals if after_global else others).add(step.argval)
            continue  # `torch.nn.functional` is a chain of them
        after_global = step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
        if after_global:
            outside.add(step.argval)
    return Mentions(own, frozenset(of_globals), frozenset(others), frozenset(outside))


def _does_more(step: dis.Instruction) -> bool:
    if step.opname == "BINARY_OP":
        return "@" in step.argrepr or step.argrepr.endswith("=")
    return any(word in step.opname for word in _MORE)


def _calls_a_name(before: dis.Instruction | None, *after: dis.Instruction | None) -> bool:
    """Whether what is called is an attribute or a global, not something passed in: Python marks it before or after."""
    if sys.version_info >= (3, 13):  # before the mark is what is called; after it are the arguments
        return before is not None and before.opname in ("LOAD_ATTR", "LOAD_GLOBAL")
    target, attribute = after
    if target is None or attribute is None:
        return False
    return target.opname == "LOAD_GLOBAL" or attribute.opname in ("LOAD_ATTR", "LOAD_METHOD")


def _stored(step: dis.Instruction) -> tuple[str, ...]:
    """The local variables that this step may give another value; Python 3.13 stores and loads two in one step."""
    if "STORE_FAST" not in step.opname:
        return ()
    return step.argval if isinstance(step.argval, tuple) else (step.argval,)


def _last_loaded(step: dis.Instruction) -> str | None:
    """The local variable that is on top after this step."""
    if not step.opname.startswith("LOAD_FAST"):
        return None
    return str(step.argval[-1] if isinstance(step.argval, tuple) else step.argval)
