"""Models for the command line's tests, as ``cli_models:factory``: in numpy, so that no framework is needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from attncore.testing import NumpyTransformer


def prepare(text: str, text_b: str | None) -> tuple[Any, Any]:
    """The characters as token ids, and as labels."""
    characters = text + (text_b or "")
    return (np.array([[ord(character) % 100 for character in characters]]),), [list(characters)]


def model_and_prepare() -> Any:
    """A model with a function of its own for texts."""
    return NumpyTransformer(n_layers=3), prepare


class TakesText(NumpyTransformer):
    """A model that takes the text itself."""

    def __call__(self, text: Any, *, return_attentions: bool = False) -> Any:
        """Run the model on the characters."""
        return super().__call__(prepare(text, None)[0][0])


def model_alone() -> Any:
    """A model, and nothing beside it."""
    return TakesText()


def model_of_numbers() -> Any:
    """A model that takes no text."""
    return NumpyTransformer()


def raising() -> Any:
    """A factory that fails."""
    raise RuntimeError("no weights here\nand a second line")


def three_things() -> Any:
    """More than anybody asked for."""
    return 1, 2, 3


def model_and_number() -> Any:
    """Something that is neither a tokenizer nor a function."""
    return NumpyTransformer(), 7


def raising_prepare() -> Any:
    """A function that fails on the text."""

    def fails(text: str, text_b: str | None) -> Any:
        raise KeyError(text)

    return NumpyTransformer(), fails


def forgetful_prepare() -> Any:
    """A function that returns the inputs alone."""
    return NumpyTransformer(), lambda text, text_b: [[1, 2]]


not_a_function = 3
