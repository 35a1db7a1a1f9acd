"""Models for the command line's tests, as ``cli_models:factory``: in numpy, so that no framework is needed."""

from __future__ import annotations

import sys
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


def nothing() -> None:
    """A factory that forgets to return what it made."""


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


class FailsInTheMiddle(NumpyTransformer):
    """A model that takes what it is given, and breaks."""

    def __call__(self, ids: Any, *, return_attentions: bool = False) -> Any:
        """Fail as a framework does."""
        raise RuntimeError("the size of tensor a (662) must match b (512)")


def failing_forward() -> Any:
    """A model that fails on what its own function prepared."""
    return FailsInTheMiddle(), prepare


def exiting() -> Any:
    """A factory that ends the program."""
    sys.exit("goodbye")


def exiting_prepare() -> Any:
    """A function that ends the program."""
    return NumpyTransformer(), lambda text, text_b: sys.exit(0)


class Talks(NumpyTransformer):
    """A model that prints while it runs."""

    def __call__(self, ids: Any, *, return_attentions: bool = False) -> Any:
        """Print, and run."""
        print("running")
        return super().__call__(ids)


def talking() -> Any:
    """A factory that prints, as its model does."""
    print("loading weights")
    return Talks(), prepare


not_a_function = 3
