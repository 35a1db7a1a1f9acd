"""A package that is also a function: `attncore.renderers` holds the renderers, `attncore.renderers()` lists them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def make_callable(module_name: str, function: Callable[[], Any]) -> None:
    """Let calling the module of this name call ``function``."""

    class CallableModule(ModuleType):
        """A module that can be called."""

        __doc__ = function.__doc__

        def __call__(self) -> Any:
            return function()

    sys.modules[module_name].__class__ = CallableModule
