"""How the user's inputs reach the model's call."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from attncore.errors import AttncoreError


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


@contextmanager
def inputs_named(inputs: Inputs) -> Iterator[None]:
    """Where the model fails on text, lists or numpy's arrays, its error gets a note that says what it was given."""
    try:
        yield
    except AttncoreError:
        raise
    except Exception as error:
        given = (*inputs.args, *inputs.kwargs.values())
        advice = ""
        if any(isinstance(one, str | list) or hasattr(one, "convert_ids_to_tokens") for one in given):
            advice = "for a text, give what its tokenizer returns, and the tokenizer as tokens="
        elif any(isinstance(one, np.ndarray) for one in given):
            advice = "PyTorch's take torch.from_numpy(array), or what a tokenizer returns with return_tensors='pt'"
        if advice:
            error.add_note(
                f"attncore called the model with {repr(inputs).removeprefix('Inputs')}, as given. Most models take "
                f"arrays or tensors of their framework: {advice}"
            )
        raise


def is_one_argument(model: Any, inputs: Any) -> bool:
    """Whether a mapping is what Keras calls a model's inputs by name, and so its one argument.

    It is, unless every name is one that the model's own ``call`` has as a parameter.
    """
    models = getattr(sys.modules.get("keras"), "Model", ())
    if not isinstance(inputs, Mapping) or not isinstance(model, models):
        return False
    return not set(inputs) <= set(inspect.signature(model.call).parameters)
