"""Selecting layers and heads while a model runs, when later layers are not known yet, and afterwards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from attncore import AttentionTrace, CaptureOptions, OptionError, SelectionError
from attncore.selection import choose, choose_heads, may_match, parts_of
from attncore.testing import NumpyBackend, NumpyTransformer, example_trace


@dataclass
class Layer:
    """As much of a layer as a selector may look at."""

    name: str
    index: int
    call: int = 0


LAYERS = [
    Layer("encoder.0.self", 0),
    Layer("encoder.1.self", 1),
    Layer("decoder.0.self", 2),
    Layer("decoder.0.cross", 3),
    Layer("shared", 4, 0),
    Layer("shared", 5, 1),
]


def captured(**options: Any) -> AttentionTrace:
    """Of three layers."""
    with NumpyBackend().capture(NumpyTransformer(n_layers=3), CaptureOptions(**options)) as session:
        session([[1, 2, 3]])
    return session.trace()


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, [0, 1, 2, 3, 4, 5]),
        (0, [0]),
        (-1, [5]),
        (slice(-2, None), [4, 5]),
        (slice(None, None, 3), [0, 3]),
        ("decoder.*", [2, 3]),
        ("*.self", [0, 1, 2]),
        ("shared", [4, 5]),
        ("shared@1", [5]),
        (lambda layer: layer.name.endswith("cross"), [3]),
        ([0, "shared", -3], [0, 3, 4, 5]),
        ((5, 5, 5), [5]),
        ({1, 2}, [1, 2]),
    ],
)
def test_selectors_choose_layers_in_call_order(selector: Any, expected: list[int]) -> None:
    """What is selected comes once each, in the order the model called it."""
    parts = parts_of(selector)
    assert choose(parts, LAYERS) == expected
    possible = [layer.index for layer in LAYERS if may_match(parts, layer)]
    assert set(expected) <= set(possible), "a layer that is wanted in the end must not be dropped on the way"


@pytest.mark.parametrize(
    ("selector", "kept"), [(2, [2]), ("encoder.*", [0, 1]), (lambda layer: layer.index > 3, [4, 5])]
)
def test_what_cannot_be_wanted_is_not_kept(selector: Any, kept: list[int]) -> None:
    """An index, a name or a function decides while the model runs, so that memory is saved."""
    assert [layer.index for layer in LAYERS if may_match(parts_of(selector), layer)] == kept


def test_the_total_gives_negative_indices_their_meaning() -> None:
    """Of layers already thinned out, -1 is the last that ran, not the last that is held."""
    assert choose(parts_of(-1), [LAYERS[0], LAYERS[5]], total=6) == [1]
    assert choose(parts_of(5), [LAYERS[0], LAYERS[5]], total=6) == [1]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (3, [3]),
        (np.int64(3), [3]),
        (np.array([5, 2]), [2, 5]),
        (-1, [8]),
        ([-1, -4], [2, 8]),
        (slice(None), [2, 3, 5, 8]),
        (slice(-2, None), [5, 8]),
        (slice(3, None), [3, 5, 8]),
        (slice(0, 4), [2, 3]),
        (slice(4, -1), [5]),
        (slice(None, None, 2), [2, 5]),
        (slice(None, None, -2), [3, 8]),
        (slice(6, 2, -1), [3, 5]),
    ],
)
def test_of_some_layers_negative_numbers_count_those_held(selector: Any, expected: list[int]) -> None:
    """What is not negative is a layer's own index, in a slice too."""
    held = [Layer(f"layer.{index}", index) for index in (2, 3, 5, 8)]
    assert [held[place].index for place in choose(parts_of(selector), held)] == expected


@pytest.mark.parametrize(
    ("indices", "listed"), [((2, 3, 4), "3 attention layer(s), indices 2 to 4"), ((2, 5), "2, 5:")]
)
def test_the_indices_that_are_held_are_listed(indices: tuple[int, ...], listed: str) -> None:
    """As a range where none is missing, for a number, a negative number and a slice that select nothing."""
    held = [Layer("layer", index) for index in indices]
    for selector in (0, -4, slice(0, 2)):
        with pytest.raises(SelectionError, match=re.escape(listed)):
            choose(parts_of(selector), held)


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        (6, r"matches 6; this trace has 6 attention layer\(s\), indices 0 to 5"),
        (-7, r"matches -7"),
        ("encoder.2.self", r"'encoder\.2\.self' \(did you mean \"encoder"),
        ("vision.*", r"matches 'vision\.\*'"),
        (["shared", "nothing"], r"matches 'nothing'"),
        (slice(10, 20), r"matches slice\(10, 20, None\)"),
        (lambda layer: False, r"matches <function"),
    ],
)
def test_a_selector_that_means_nothing_is_refused(selector: Any, said: str) -> None:
    """Each part of a selector must select something; the message says what there is."""
    with pytest.raises(SelectionError, match=said):
        choose(parts_of(selector), LAYERS)


def test_a_model_without_layers_has_a_message_too() -> None:
    """There is nothing to list then."""
    with pytest.raises(SelectionError, match="there are no layers"):
        choose([0], [])


@pytest.mark.parametrize("empty", [[], (), set(), iter([])])
def test_an_empty_selection_is_never_taken_for_everything(empty: Any) -> None:
    """``layers=[]`` is a mistake in the caller's code, and is said to be."""
    with pytest.raises(OptionError, match="layers= is empty"):
        parts_of(empty)
    with pytest.raises(OptionError, match="layers= is empty"):
        CaptureOptions(layers=[])


@pytest.mark.parametrize("wrong", [True, [1.5], [None], [["a"]], [False, 1]])
def test_what_names_no_layer_is_refused(wrong: Any) -> None:
    """Truth values and numbers with a fraction are mistakes, not indices."""
    with pytest.raises(OptionError, match=r"layers= holds .*give an index, a name"):
        parts_of(wrong)


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        (None, (0, 1, 2, 3)),
        (2, (2,)),
        (-1, (3,)),
        (slice(None, None, -1), (3, 2, 1, 0)),
        ([2, 0, 2], (2, 0, 2)),
        (range(2), (0, 1)),
        (np.int64(1), (1,)),
        (np.array(1), (1,)),
        (np.array([2, -1], dtype=np.int8), (2, 3)),
    ],
)
def test_heads_come_in_the_order_asked(heads: Any, expected: tuple[int, ...]) -> None:
    """Numbers, negative numbers, slices and lists of them."""
    assert choose_heads(heads, 4, "layer 0") == expected


@pytest.mark.parametrize("wrong", [1.0, "1", [1.0], np.array([True, False, True, True]), np.array([[1, 2]])])
def test_what_names_no_head_is_refused(wrong: Any) -> None:
    """A mask of heads too, which is not the list of numbers that it would be read as."""
    with pytest.raises(OptionError, match=r"heads= holds .*; give head numbers"):
        choose_heads(wrong, 4, "layer 0")


def test_numpy_numbers_select_while_a_model_runs() -> None:
    """Layers and heads, and the provenance says which."""
    options: dict[str, Any] = {"layers": [np.int64(-1)], "heads": np.array([1, 2])}
    trace = captured(**options)
    assert [(layer.index, layer.heads) for layer in trace] == [(2, (1, 2))]
    assert trace.provenance.options["heads"] == "array([1, 2])"


def test_a_head_that_does_not_exist_names_the_layer() -> None:
    """The message says which layer and how many heads it has."""
    with pytest.raises(SelectionError, match=r"layer 0 has 4 heads and head -5 was asked for; give 0 to 3"):
        choose_heads([-5], 4, "layer 0")


def test_a_mapping_selects_nothing() -> None:
    """Its keys are no heads, and no layers; a choice for each layer would pass for one for all."""
    with pytest.raises(OptionError, match=r"heads= is a mapping; give head numbers, which hold for every layer"):
        captured(heads={0: [1], 1: [0]})
    with pytest.raises(OptionError, match=r"layers= holds \{0: \[1\]\} \(dict\)"):
        example_trace().select(layers={0: [1]})  # type: ignore[dict-item]


def test_a_function_that_asks_for_too_much_is_told_what_there_is() -> None:
    """Its own mistakes stay what they are."""
    with pytest.raises(OptionError, match=r"asks for layer.stack, .* a layer has name, index and call"):
        choose(parts_of(lambda layer: layer.stack is not None), LAYERS)
    with pytest.raises(AttributeError, match="nothing"):
        example_trace().select(layers=lambda layer: layer.name.nothing)


@pytest.mark.parametrize("dtype", [np.float16, np.dtype("float16"), "float16"])
def test_a_type_may_be_numpys_own(dtype: Any) -> None:
    """As for numpy's functions."""
    trace = captured(dtype=dtype, keep="weights")
    assert trace[0].weights.dtype == np.float16
    assert trace.provenance.options["dtype"] == "'float16'"


@pytest.mark.parametrize("option", ["values", "grad"])
def test_a_flag_is_true_or_false(option: str) -> None:
    """A text would count as true, whatever it says."""
    with pytest.raises(OptionError, match=rf"{option} is True or False; 'no' was given"):
        CaptureOptions(**{option: "no"})
