"""A stand-in for torchvision where it is not installed: enough for ``import timm`` and ``import vit_pytorch``.

Both import names of torchvision that building and calling a model never uses. The stand-in answers every such name with
a class that does nothing but say, when it is made or called, that it is a stand-in. A real torchvision is left alone.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any

VERSION = "0.0.0+standin"
MESSAGE = "torchvision is not installed; this is a stand-in that can only be imported"
_NAMES = (
    "torchvision",
    "torchvision.datasets",
    "torchvision.models",
    "torchvision.models.feature_extraction",
    "torchvision.ops",
    "torchvision.ops.misc",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "torchvision.utils",
)


def install() -> bool:
    """Put the stand-in into ``sys.modules`` unless torchvision is there; whether the stand-in is what is used."""
    loaded = sys.modules.get("torchvision")
    if loaded is not None:
        return getattr(loaded, "__version__", "") == VERSION
    if importlib.util.find_spec("torchvision") is not None:
        return False
    for name in _NAMES:
        module = _StandIn(name, MESSAGE)
        module.__spec__ = importlib.machinery.ModuleSpec(name, loader=None, is_package=True)
        module.__path__ = []
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
    sys.modules["torchvision"].__dict__["__version__"] = VERSION
    return True


class _StandIn(ModuleType):
    """A module in which every public name is a class that refuses to be used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (_Refuses,), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


class _RefusesNames(type):
    """Members such as those of an enumeration are answered too."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return f"{cls.__name__}.{name}"


class _Refuses(metaclass=_RefusesNames):
    """Cannot be made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__module__}.{type(self).__name__}: {MESSAGE}")
