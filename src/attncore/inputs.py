"""How the user's inputs reach the model's call."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any


class Inputs:
    """Positional and keyword arguments for the model, said exactly: ``Inputs(x, mask=m)``.

    Args:
        *args: the positional arguments.
        **kwargs: the keyword arguments; no name of a model's own parameter can clash with an option of attncore.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = kwargs

    def __repr__(self) -> str:
        parts = [type(arg).__name__ for arg in self.args]
        parts += [f"{name}={type(value).__name__}" for name, value in self.kwargs.items()]
        return f"Inputs({', '.join(parts)})"

    @classmethod
    def of(cls, inputs: Any, *, mapping_is_one_argument: bool = False) -> Inputs:
        """A mapping becomes keywords, a tuple positional arguments, anything else the one argument."""
        if isinstance(inputs, Inputs):
            return inputs
        if isinstance(inputs, Mapping) and not mapping_is_one_argument:
            return cls(**inputs)
        # A named tuple is one value of the user's own type.
        if isinstance(inputs, tuple) and not hasattr(inputs, "_fields"):
            return cls(*inputs)
        return cls(inputs)


def is_one_argument(model: Any, inputs: Any) -> bool:
    """Whether a mapping is what Keras calls a model's inputs by name, and so its one argument.

    It is, unless every name is one that the model's own ``call`` has as a parameter.
    """
    models = getattr(sys.modules.get("keras"), "Model", ())
    if not isinstance(inputs, Mapping) or not isinstance(model, models):
        return False
    return not set(inputs) <= set(inspect.signature(model.call).parameters)
