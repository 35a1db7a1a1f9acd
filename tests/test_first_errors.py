"""What people get wrong first, and that the message says what to do next."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import attncore
from attncore import TokenAxis
from attncore.api import choose_backend, make_options
from attncore.cli_output import command_name
from attncore.inputs import Inputs, inputs_named
from attncore.plugins import Plugins, PluginWarning, Registered
from attncore.testing import NumpyBackend, NumpyTransformer
from attncore.tokens import AxisFacts, label_axes


@pytest.mark.parametrize("model", ["bert-base-uncased", Path("saved")])
def test_a_name_or_a_path_is_to_be_loaded_first(model: Any) -> None:
    """The message names what loads one."""
    with pytest.raises(attncore.UnsupportedModelError, match=r"is a name or a path and no model; load it first"):
        attncore.trace(model, np.zeros((1, 3)))


def test_a_class_is_to_be_called_first() -> None:
    """A class is no model."""
    with pytest.raises(attncore.UnsupportedModelError, match=r"Path is a class; give a model that was made of it"):
        attncore.trace(Path, np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("the cat", ["what its tokenizer returns"]),
        (["the", "cat"], ["what its tokenizer returns"]),
        (np.zeros(3), ["torch.from_numpy(array)"]),
        (SimpleNamespace(convert_ids_to_tokens=str), ["what its tokenizer returns"]),
        (7, []),
    ],
)
def test_a_model_that_fails_on_what_it_was_given_is_explained(given: Any, advice: list[str]) -> None:
    """The model's own error stays, with a note on what it was given, and what it may want instead."""
    with pytest.raises(TypeError, match="must be Tensor") as caught, inputs_named(Inputs(given)):
        raise TypeError("must be Tensor")
    said = getattr(caught.value, "__notes__", [])
    assert len(said) == len(advice)
    for note, words in zip(said, advice, strict=True):
        assert f"({type(given).__name__})" in note
        assert words in note


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"token": []}, r'no option "token" \(did you mean "tokens"\?\)'),
        ({"output_attentions": True}, r"goes into the inputs, as attncore.Inputs\(…, output_attentions=…\)"),
        ({"tokens": []}, r"labels are given when the trace is asked for: session.trace\(tokens=…\)"),
    ],
)
def test_what_is_no_option_is_told_where_it_goes(option: Any, said: str) -> None:
    """A word that is nearly one, an argument of the model, and labels for a capture."""
    with pytest.raises(attncore.OptionError, match=said):
        make_options(option)


def test_a_backend_that_fails_at_looking_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a warning that names it; another may know the model."""

    class Failing(NumpyBackend):
        name = "failing"

        def matches(self, model: Any) -> bool:
            raise RuntimeError("no idea")

    known = {"failing": Registered(Failing(), "attncore-failing 1"), "numpy": Registered(NumpyBackend(), "x 1")}
    monkeypatch.setattr("attncore.api.plugins", lambda: Plugins(backends=known))
    with pytest.warns(
        PluginWarning, match=r'backend "failing" of attncore-failing 1 could not .* RuntimeError: no idea'
    ):
        assert choose_backend(NumpyTransformer()).name == "numpy"


def test_errors_of_our_own_get_no_note() -> None:
    """They say what to do already."""
    with pytest.raises(attncore.TokenError) as caught, inputs_named(Inputs("the cat")):
        raise attncore.TokenError("x")
    assert not hasattr(caught.value, "__notes__")


def test_labels_of_another_number_may_be_left_out() -> None:
    """Two labels for three positions: the message has both numbers and the ways out."""
    weights = np.full((1, 2, 3, 3), 1 / 3)
    with pytest.raises(
        attncore.TokenError, match=r"2 tokens .* 3 positions .*; give a label for each, or the tokenizer"
    ):
        attncore.AttentionTrace.from_arrays([weights], tokens=["a", "b"])


@pytest.mark.parametrize(
    ("called", "said"),
    [(".venv/bin/attncore", ".venv/bin/attncore"), ("attncore", "attncore"), ("/usr/lib/pytest", "attncore")],
)
def test_the_next_command_can_be_typed(monkeypatch: pytest.MonkeyPatch, called: str, said: str) -> None:
    """As a path where it was called by one, as `make demo` does."""
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert command_name() == said


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (str, r"returned a str for 3 ids; it must return a list with a label for each"),
        (lambda ids: "abc", r"returned a str for 3 ids"),
        (lambda ids: None, r"returned a NoneType for 3 ids"),
        (lambda ids: ["a"], r"returned 1 labels for 3 ids"),
        (lambda ids: ids.lower(), r"was called with a list of 3 token ids and raised AttributeError: .*no attribute"),
    ],
)
def test_a_function_of_ids_gives_a_label_for_each(function: Any, said: str) -> None:
    """A tokenizer's `decode` gives one text, whose letters are no labels, and its `tokenize` takes none of ids."""
    facts = {"tokens": AxisFacts(ids=np.array([[7, 8, 9]]))}
    axes = {"tokens": TokenAxis.of_positions("tokens", 1, 3)}
    with pytest.raises(attncore.TokenError, match=said):
        label_axes(axes, function, facts)
    assert label_axes(axes, lambda ids: [b"the", "cat", None], facts)["tokens"].labels == (("the", "cat", "<9>"),)


def test_a_token_that_is_nearly_there_is_named() -> None:
    """An uncased tokenizer has no capitals."""
    axis = TokenAxis("tokens", 3, (("[CLS]", "the", "cat"),))
    with pytest.raises(
        attncore.SelectionError, match=r'no token "The" in batch item 0 \(did you mean "the"\?\); its tokens begin'
    ):
        axis.find("The")
