"""What a page knows about a trace before it asks for numbers: the JSON that the viewer's types describe."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncore import AttentionTrace, UnavailableError
from attncore.patterns import head_statistics, strongest_pattern
from attncore.renderers import _page_statistics
from attncore.renderers._page_describe import HeldLayer, Precision, Start, describe_trace, with_weights
from attncore.testing import example_cross_trace, example_trace
from attncore.weights import DenseWeights

TYPES = Path(__file__).parent.parent / "src" / "renderers" / "viewer" / "src" / "source" / "trace-info.ts"
FIGURES = {
    "entropy": "entropy",
    "normalisedEntropy": "normalised_entropy",
    "distance": "distance",
    "maxWeight": "max_weight",
    "selfMass": "self_mass",
    "previousMass": "previous_mass",
    "nextMass": "next_mass",
    "firstMass": "first_mass",
    "specialMass": "special_mass",
    "separatorMass": "separator_mass",
}


def typescript_fields() -> dict[str, set[str]]:
    """The fields of each interface of the viewer's types."""
    text = re.sub(r"/\*.*?\*/", "", TYPES.read_text(), flags=re.DOTALL)
    found = {}
    for name, body in re.findall(r"export interface (\w+) \{(.*?)\n\}", text, flags=re.DOTALL):
        found[name] = set(re.findall(r"^  readonly (\w+)\??:", body, flags=re.MULTILINE))
    return found


@pytest.mark.parametrize("trace", [example_cross_trace(lazy=True), example_trace()], ids=["cross", "weights alone"])
def test_every_object_has_the_fields_of_the_viewers_types(trace: AttentionTrace) -> None:
    """No more and no fewer, all the way down; and every number in it is one that JSON has."""
    fields, info = typescript_fields(), describe_trace(trace)
    assert len(fields) == 9
    assert set(info) == fields["TraceInfo"]
    assert {frozenset(axis) for axis in info["axes"].values()} == {frozenset(fields["AxisInfo"])}
    assert {frozenset(layer) for layer in info["layers"]} == {frozenset(fields["LayerInfo"])}
    assert {frozenset(group) for group in info["groups"]} == {frozenset(fields["GroupInfo"])}
    assert {frozenset(entry) for entry in info["coverage"]} <= {frozenset(fields["CoverageInfo"])}
    assert set(info["precision"]) == fields["PrecisionInfo"]
    assert set(info["start"]) == fields["StartInfo"]
    for layer in info["layers"]:
        assert layer["scoring"] is None or set(layer["scoring"]) == fields["ScoringInfo"]
        assert {frozenset(item) for item in layer["statistics"]} == {frozenset(fields["StatisticsInfo"])}
    assert json.loads(json.dumps(info, allow_nan=False)) == info


def test_the_statistics_are_those_of_the_patterns() -> None:
    """Per batch item and head, to six digits; null where a figure means nothing."""
    trace = example_cross_trace(batch=2)
    info = describe_trace(trace)
    for described, layer in zip(info["layers"], trace, strict=True):
        for item, found in enumerate(described["statistics"]):
            stats = head_statistics(layer, item, axes=trace.axes_of(layer))
            for name, field in FIGURES.items():
                values = np.array(found[name], dtype=float)
                np.testing.assert_allclose(values, getattr(stats, field), rtol=1e-5, equal_nan=True)
            patterns = [strongest_pattern(stats, head) for head in range(4)]
            assert found["pattern"] == [name for name, _ in patterns]
            np.testing.assert_allclose(found["patternShare"], [share for _, share in patterns], rtol=1e-5)
            assert found["rowStep"] == 1
    cross = info["layers"][3]["statistics"][0]
    assert cross["distance"] == [None] * 4, "positions of two axes have no distance"


def test_statistics_of_long_inputs_look_at_some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that describing stays quick; the distance between the rows is said."""
    monkeypatch.setattr(_page_statistics, "_MOST_WEIGHTS", 2 * 4 * 100 * 100 // 5)
    trace = example_trace(n_tokens=100)
    found = describe_trace(trace)["layers"][0]["statistics"][0]
    expected = head_statistics(trace[0], axes=trace.axes_of(trace[0]), max_rows=20)
    assert found["rowStep"] == 5
    np.testing.assert_allclose(found["entropy"], expected.entropy, rtol=1e-5)


def test_the_axes_are_described_item_by_item() -> None:
    """Labels, padding and special tokens; raw spellings only where they differ."""
    trace = example_trace(batch=2, padding=3)
    axis = describe_trace(trace)["axes"]["tokens"]
    ours = trace.axes["tokens"]
    assert axis["labels"] == [list(row) for row in ours.labels]
    assert axis["raw"] == [list(row) for row in ours.raw]
    assert axis["padding"] == [[0] * 12, [0] * 9 + [1] * 3]
    assert axis["special"] == [[1] + [0] * 11] * 2
    plain = AttentionTrace.from_arrays([np.asarray(layer.weights) for layer in trace])
    assert describe_trace(plain)["axes"]["tokens"]["raw"] is None


def test_an_axis_that_all_items_share_is_given_to_each() -> None:
    """Layers of several batch items may count positions that have labels once."""
    one, two = example_trace(padding=2), example_trace(batch=2)
    trace = AttentionTrace(two.layers, one.axes)
    info = describe_trace(trace)
    assert info["axes"]["tokens"]["labels"] == [list(one.axes["tokens"].labels[0])] * 2
    assert info["axes"]["tokens"]["padding"] == [[0] * 10 + [1] * 2] * 2
    second = head_statistics(two[0], 1)
    assert info["layers"][0]["statistics"][1]["maxWeight"] != pytest.approx(second.max_weight), "padding is not counted"


def test_layers_of_one_kind_stack_and_axes_are_a_group() -> None:
    """An encoder-decoder has three; a model of one kind has one without a name."""
    assert describe_trace(example_trace(n_layers=3))["groups"] == [{"name": "", "layers": [0, 1, 2]}]
    assert describe_trace(example_cross_trace())["groups"] == [
        {"name": "encoder", "layers": [0, 1]},
        {"name": "decoder", "layers": [2, 4]},
        {"name": "cross", "layers": [3, 5]},
    ]


def test_groups_of_one_name_are_told_apart() -> None:
    """By kind, then by what they count."""
    trace = example_cross_trace(n_layers=1)
    layers = [trace[0].replaced(stack=None), trace[1].replaced(stack=None), trace[2].replaced(stack=None)]
    groups = describe_trace(AttentionTrace(tuple(layers), trace.axes))["groups"]
    assert [group["name"] for group in groups] == [
        "self, encoder to encoder",
        "self, decoder to decoder",
        "cross, decoder to encoder",
    ]
    layers = [trace[2].replaced(stack="encoder"), trace[2]]
    groups = describe_trace(AttentionTrace(tuple(layers), trace.axes))["groups"]
    assert [group["name"] for group in groups] == ["encoder cross", "decoder cross"]


def test_what_a_source_holds_less_of_is_said_by_layer() -> None:
    """The share that is kept, why vectors are missing, and the bias that was left out."""
    trace = example_trace(lazy=True)
    scoring = trace[1].scoring
    assert scoring is not None
    bias = np.zeros((12, 12), dtype=np.float32)
    layers = (trace[0], trace[1].replaced(scoring=replace(scoring, bias=bias, sinks=np.array([-np.inf, 0, 1, 2]))))
    trace = AttentionTrace(layers, trace.axes)
    held = [HeldLayer(kept=[[0.5] * 4], no_vectors="elsewhere"), HeldLayer(bias=False)]
    precision = Precision("top", "some", decimals=2, significant=2, top=3)
    info = describe_trace(trace, precision=precision, held=held, start=Start(view="model", heads=(1, 2)))
    first, second = info["layers"]
    assert (first["kept"], first["vectors"], first["noVectors"]) == ([[0.5] * 4], None, "elsewhere")
    assert (second["kept"], second["vectors"], second["noVectors"]) == (None, {"headDim": 32, "keyHeads": 4}, "")
    assert (second["scoring"]["bias"], second["scoring"]["biasHeld"]) == (True, False)
    assert second["scoring"]["sinks"][0] < -1e38, "a sink of minus infinity takes nothing"
    assert info["precision"]["kind"] == "top"
    assert info["start"]["heads"] == [1, 2]
    assert describe_trace(trace)["layers"][1]["scoring"]["biasHeld"] is True


@pytest.mark.parametrize(("dtype", "decimals"), [(np.float32, 6), (np.float64, 6), (np.float16, 3)])
def test_no_decimal_is_made_up(dtype: Any, decimals: int) -> None:
    """An exact source shows what the captured numbers are good for."""
    trace = example_trace()
    layers = [layer.replaced(stored_weights=DenseWeights(np.asarray(layer.weights, dtype=dtype))) for layer in trace]
    precision = describe_trace(AttentionTrace(tuple(layers), trace.axes))["precision"]
    assert precision["kind"] == "exact"
    assert precision["decimals"] == decimals


def test_layers_without_weights_are_left_out_and_named() -> None:
    """A trace that has none at all is an error that says why."""
    trace = example_trace(n_layers=3, lazy=True)
    reduced = trace[1].replaced(stored_weights=None, reduced=1)
    shown, facts = with_weights(AttentionTrace((trace[0], reduced, trace[2]), trace.axes))
    assert [layer.index for layer in shown] == [0, 2]
    assert facts == [("left out", "layer(s) 1: captured with reduce=, so their weights were not kept")]
    assert ["left out", facts[0][1]] in describe_trace(shown, facts=facts)["facts"]
    assert with_weights(trace) == (trace, [])
    with pytest.raises(UnavailableError, match=r"all 1 layer\(s\) were captured with reduce="):
        with_weights(AttentionTrace((reduced,), trace.axes))
    with pytest.raises(UnavailableError, match="no attention layers"):
        with_weights(AttentionTrace((), {}))


def test_the_levels_are_reached_by_so_many_keys_of_a_query() -> None:
    """The viewer's first threshold comes from them: sorting all weights of the rows that count gives the same."""
    trace = example_trace(n_layers=1, n_heads=3, n_tokens=40, batch=2, padding=4)
    layer = trace[0]
    for item, figures in enumerate(_page_statistics.statistics_of(layer, trace.axes_of(layer))):
        rows = ~trace.axes_of(layer)[0].padding_of(item)
        for head, levels in enumerate(figures["levels"]):
            weights = np.sort(np.asarray(layer.weights[item, head])[rows].ravel())[::-1]
            expected = [weights[round(count * rows.sum()) - 1] for count in (0.25, 0.5, 1, 2, 4)]
            np.testing.assert_allclose(levels[:5], expected, rtol=0.006)
            assert levels == sorted(levels, reverse=True)
