"""Questions of a live page: what is asked wrongly is refused in words, whoever asks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attncore import AttentionLayer, AttentionTrace, TokenAxis
from attncore.renderers._page_answers import Answers
from attncore.scoring import Scoring
from attncore.testing import example_trace
from attncore.weights import RecomputedWeights

Json = dict[str, Any]

TILE: Json = {"ask": "tile", "layer": 0, "head": 0, "item": 0, "queries": [0, 12], "keys": [0, 12]} | {
    "maxRows": 12,
    "maxColumns": 12,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ask": "tiles"}, 'did you mean "tile"?'),
        ({"ask": "x" * 10_000}, '"ask" is one of trace, tile, vectors'),
        ({"ask": None}, '"ask" is one of trace, tile, vectors; None was given'),
        ({"ask": ["tile"]}, '"ask" is one of trace, tile, vectors'),
        ({"maxRows": None}, '"maxRows" is a whole number; None was given'),
        ({"maxRows": 0}, '"maxRows" is how many the answer may have, 1 or more; 0 was given'),
        ({"maxColumns": -3}, '"maxColumns" is how many'),
        ({"layer": 2}, '"layer" is 2, and the trace has 2 layer(s), counted from 0; give 0 to 1'),
        ({"layer": -1}, '"layer" is -1'),
        ({"layer": True}, '"layer" is a whole number; True was given'),
        ({"layer": 0.0}, '"layer" is a whole number; 0.0 was given'),
        ({"layer": 10**400}, '"layer" is a whole number up to 2**53'),
        ({"head": 4}, '"head" is 4, and layer 0 "layers.0.attention" has 4 head(s)'),
        ({"item": 1}, '"item" is 1, and layer 0 "layers.0.attention" has 1 item(s)'),
        ({"queries": 3}, '"queries" is two numbers'),
        ({"queries": [1, 2, 3]}, '"queries" is two numbers'),
        ({"queries": "ab"}, '"queries" is two numbers'),
        ({"queries": [3, 3]}, "a stop after it, at most 12"),
        ({"queries": [0, 13]}, '"queries" is [0, 13], and layer 0 "layers.0.attention" has 12 queries'),
        ({"keys": [-1, 3]}, '"keys" is [-1, 3]'),
        ({"keys": [0, "3"]}, "\"keys\" is a whole number; '3' was given"),
        ({"keys": [[], {}]}, '"keys" is a whole number; [] was given'),
    ],
)
def test_wrong_questions_are_refused_in_words(changes: Json, expected: str) -> None:
    """What was asked, what was found and what to do; short, whatever was sent."""
    answer, buffer = Answers(example_trace()).answer({**TILE, **changes})
    assert buffer == b""
    assert list(answer) == ["error"]
    assert expected in answer["error"]
    assert len(answer["error"]) < 300


@pytest.mark.parametrize("question", [None, [], "tile", 3, {}])
def test_what_is_no_question_is_refused(question: Any) -> None:
    """Anything that JSON can be."""
    answer, _ = Answers(example_trace()).answer(question)
    assert "error" in answer


@pytest.mark.parametrize("name", TILE)
def test_a_missing_field_is_named(name: str) -> None:
    """Each of them is needed."""
    answer, _ = Answers(example_trace()).answer({key: value for key, value in TILE.items() if key != name})
    assert ('"ask" is one of' if name == "ask" else f"{name} is missing") in answer["error"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


# Slow on a busy machine only: how long the nested values take to draw says nothing about the answers.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*TILE, "other"]), JSON_VALUES | st.integers(-2, 14)), st.booleans())
def test_no_question_raises(fields: Json, complete: bool) -> None:
    """Hostile questions get an answer or an error in words, never an exception."""
    answer, buffer = ANSWERS.answer({**TILE, **fields} if complete else fields)
    assert ("error" in answer) == (not buffer and "format" not in answer)


ANSWERS = Answers(example_trace())


def test_an_answer_has_its_limit() -> None:
    """16,384 x 16,384 single weights are a gigabyte: refused, with what to ask instead."""
    vectors = np.zeros((1, 1, 16_384, 1), dtype=np.float32)
    weights = RecomputedWeights(vectors, vectors, Scoring(1.0))
    layer = AttentionLayer("long", 0, "t", "t", weights, query=vectors, key=vectors)
    answers = Answers(AttentionTrace((layer,), {"t": TokenAxis.of_positions("t", 1, 16_384)}))
    question = {**TILE, "queries": [0, 16_384], "keys": [0, 16_384], "maxRows": 6000, "maxColumns": 6000}
    error = answers.answer(question)[0]["error"]
    assert error == (
        "the tile has 29,833,444 numbers, and an answer at most 16,777,216; give a smaller maxRows or maxColumns"
    )
    block = {name: question[name] for name in ("layer", "head", "item", "queries", "keys")}
    assert "ask for fewer queries at once" in answers.answer({"ask": "vectors", **block})[0]["error"]
