"""The trace: a sequence of layers that can be named, cut down and handed to other tools."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from attncore import (
    AttentionTrace,
    AttncoreError,
    Coverage,
    OptionError,
    SelectionError,
    TokenAxis,
    UnavailableError,
)
from attncore.describe import size_text
from attncore.testing import example_cross_trace, example_trace


def shared_layer_trace() -> AttentionTrace:
    """One layer called three times, as ALBERT does, between two others."""
    trace = example_trace(n_layers=5)
    names = ["first", "shared", "shared", "shared", "last"]
    calls = [0, 0, 1, 2, 0]
    layers = [layer.replaced(name=n, call=c) for layer, n, c in zip(trace, names, calls, strict=True)]
    return AttentionTrace(tuple(layers), trace.axes)


def test_a_trace_is_a_sequence_of_layers() -> None:
    """Length, iteration, membership, reversal and negative indices are those of a tuple of layers."""
    trace = example_trace(n_layers=3)
    assert len(trace) == 3
    assert list(trace) == list(trace.layers)
    assert trace[-1] is trace.layers[2]
    assert trace.layers[1] in trace
    assert next(reversed(trace)) is trace.layers[2]


@pytest.mark.parametrize("index", [3, -4, 10**9])
def test_an_index_out_of_range_says_how_many_there_are(index: int) -> None:
    """It is an IndexError, as sequences need, and a SelectionError that teaches."""
    with pytest.raises(SelectionError, match=r"3 attention layer\(s\), indices 0 to 2") as caught:
        example_trace(n_layers=3)[index]
    assert isinstance(caught.value, IndexError)


@pytest.mark.parametrize("index", [None, 1.0, (0, 1), [0], True])
def test_what_is_no_index_is_refused(index: Any) -> None:
    """With what to use instead."""
    with pytest.raises(SelectionError, match=r"takes the place of a layer, .*trace\.select\(\).*weights\[item, head"):
        example_trace()[index]


def test_a_layers_own_index_is_not_its_place_in_a_slice() -> None:
    """The brackets count the layers held, and say where another number was meant; numpy's numbers are numbers."""
    held = example_trace(n_layers=6)[2:6]
    index: Any = np.int64(-1)
    assert held[index].index == held.select(layers=-1)[0].index == 5
    with pytest.raises(SelectionError, match=r"indices 2 to 5: .*trace\.select\(layers=4\) takes a layer's own index"):
        held[4]
    with pytest.raises(SelectionError, match=r"attention'?\"$"):
        held[9]


def test_a_slice_is_a_trace_with_the_axes_it_uses() -> None:
    """A slice of the encoder's layers has no decoder axis left."""
    trace = example_cross_trace(n_layers=2)
    encoder = trace[:2]
    assert isinstance(encoder, AttentionTrace)
    assert [layer.stack for layer in encoder] == ["encoder", "encoder"]
    assert list(encoder.axes) == ["encoder"]


def test_layers_are_found_by_name() -> None:
    """The qualified name gives the layer; a wrong one is met with the nearest and with what there is."""
    trace = example_trace(n_layers=3)
    assert trace["layers.1.attention"] is trace[1]
    with pytest.raises(SelectionError, match=r"'layers\.1\.atention' \(did you mean \"layers\.1\.attention\"\?\)"):
        trace["layers.1.atention"]


def test_a_shared_layer_is_named_with_its_call() -> None:
    """``name@2`` is the third call; the bare name is refused, since it does not say which."""
    trace = shared_layer_trace()
    assert trace["shared@0"] is trace[1]
    assert trace["shared@2"] is trace[3]
    assert trace["last@0"] is trace["last"]
    with pytest.raises(SelectionError, match=r'was called 3 times; say which, "shared@0" to "shared@2"'):
        trace["shared"]
    assert [layer.call for layer in trace.select(layers="shared")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (1, [1]),
        (-1, [4]),
        ([3, 0], [0, 3]),
        (slice(1, None, 2), [1, 3]),
        ("*.2.*", [2]),
        (["layers.0.attention", -1], [0, 4]),
        (lambda layer: layer.index % 2 == 0, [0, 2, 4]),
        (range(2), [0, 1]),
    ],
)
def test_select_takes_any_way_of_naming_layers(layers: Any, expected: list[int]) -> None:
    """Index, name, glob, slice, function, or a list of these, always in call order."""
    assert [layer.index for layer in example_trace(n_layers=5).select(layers=layers)] == expected


def test_select_by_kind_and_stack() -> None:
    """Cross-attention and the encoder can be had alone."""
    trace = example_cross_trace(n_layers=2)
    assert {layer.kind for layer in trace.select(kind="cross")} == {"cross"}
    assert [layer.stack for layer in trace.select(stack="encoder")] == ["encoder"] * 2
    with pytest.raises(SelectionError, match=r"no layer is left .*there is: .*cross attention in stack 'decoder'"):
        trace.select(kind="cross", stack="encoder")
    with pytest.raises(OptionError, match=r'kind is "self" or "cross"; \'crossed\''):
        trace.select(kind="crossed")


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("heads", "numbers"), [(2, (2,)), ([3, 0], (3, 0)), (slice(1, 3), (1, 2)), (-1, (3,)), ([1, 1], (1, 1))]
)
def test_selected_heads_keep_their_numbers_and_weights(lazy: bool, heads: Any, numbers: tuple[int, ...]) -> None:
    """Heads come in the order asked, know their own numbers, and have the weights they had."""
    trace = example_trace(lazy=lazy, kv_heads=2, batch=2)
    chosen = trace.select(heads=heads)
    for layer, whole in zip(chosen, trace, strict=True):
        assert layer.head_numbers() == numbers
        np.testing.assert_allclose(np.asarray(layer.weights), np.asarray(whole.weights)[:, list(numbers)], atol=1e-6)


def test_selecting_heads_twice_composes() -> None:
    """Head numbers stay the model's own, for the second selection too; negative ones count the heads that are held."""
    some = example_trace(lazy=True).select(heads=[3, 0, 1])
    for heads, numbers in ((3, (3,)), ([1, 0], (1, 0)), (-1, (1,)), (slice(1, 4), (3, 1)), (slice(-2, None), (0, 1))):
        assert some.select(heads=heads)[0].heads == numbers
    with pytest.raises(SelectionError, match=r"has 3 heads and head 2 was asked for; give 3, 0, 1"):
        some.select(heads=2)
    twice = some.select(heads=[1])
    assert twice[0].head_numbers() == (1,)
    np.testing.assert_allclose(np.asarray(twice[0].weights)[:, 0], example_trace(lazy=True)[0].weights[:, 1], atol=1e-6)


def test_selecting_heads_takes_query_key_value_and_scoring_along() -> None:
    """Query, key, value and what the scoring has per head are those of the heads selected."""
    random = np.random.default_rng(0)
    layer = example_trace(lazy=True, kv_heads=2)[0]
    scoring = layer.scoring
    assert scoring is not None
    bias = random.random((1, 4, 12, 12))
    layer = layer.replaced(scoring=type(scoring)(scale=0.5, bias=bias, sinks=np.arange(4.0), mask=None))
    cut = layer.with_heads([3, 0])
    assert cut.query is not None
    assert cut.key is not None
    np.testing.assert_array_equal(np.asarray(cut.query), np.asarray(layer.query)[:, [3, 0]])
    np.testing.assert_array_equal(np.asarray(cut.key), np.asarray(layer.key)[:, [1, 0]])
    np.testing.assert_array_equal(np.asarray(cut.bias), bias[:, [3, 0]])
    np.testing.assert_array_equal(np.asarray(cut.sinks), [3, 0])


@pytest.mark.parametrize(
    ("heads", "error", "said"),
    [
        (4, SelectionError, r"has 4 heads and head 4 was asked for; give 0 to 3"),
        ([], OptionError, r"selects nothing .*4 heads"),
        (slice(9, None), OptionError, r"selects nothing"),
        ([True], OptionError, r"heads= holds True \(bool\)"),
        (["0"], OptionError, r"heads= holds '0' \(str\)"),
    ],
)
def test_heads_that_do_not_exist_are_refused(heads: Any, error: type[Exception], said: str) -> None:
    """An empty selection is never taken for all heads, and nothing but numbers names one."""
    with pytest.raises(error, match=said):
        example_trace().select(heads=heads)


def test_the_tuples_are_what_hugging_face_models_return() -> None:
    """``attentions`` and its relatives hold one (batch, heads, query, key) array a layer, split by stack."""
    trace = example_cross_trace(n_layers=2, n_heads=3, n_source=7, n_target=5)
    shapes = {
        name: [weights.shape for weights in getattr(trace, name)]
        for name in ("encoder_attentions", "decoder_attentions", "cross_attentions")
    }
    assert shapes == {
        "encoder_attentions": [(1, 3, 7, 7)] * 2,
        "decoder_attentions": [(1, 3, 5, 5)] * 2,
        "cross_attentions": [(1, 3, 5, 7)] * 2,
    }
    assert [weights.shape for weights in example_trace().attentions] == [(1, 4, 12, 12)] * 2


def test_a_layer_must_count_axes_that_exist() -> None:
    """A trace whose layer names an unknown axis cannot be made."""
    trace = example_trace()
    with pytest.raises(AttncoreError, match=r"counts the axis 'tokens'; the trace has \['others'\]"):
        AttentionTrace(trace.layers, {"others": TokenAxis.of_positions("others", 1, 12)})


def test_a_trace_does_not_change() -> None:
    """Fields cannot be set and axes cannot be replaced, so a trace can be shared."""
    trace = example_trace()
    with pytest.raises(FrozenInstanceError):
        trace.layers = ()
    with pytest.raises(TypeError):
        trace.axes["tokens"] = trace.axes["tokens"]


def test_the_summary_counts_layers_axes_and_gaps() -> None:
    """``repr`` says how many layers of which kind, the axes, what is held, and that something is not covered."""
    text = repr(example_trace(n_layers=3))
    assert "AttentionTrace of ExampleDecoder: 3 attention layer(s)" in text
    assert "3 x self-attention (batch, heads, query, key) (1, 4, 12, 12), from example" in text
    assert '"tokens": 12 text positions, batch of 1' in text
    assert "1 no-attention (see trace.coverage)" in text


@pytest.mark.parametrize(("count", "text"), [(0, "0.0 kB"), (48_700, "48.7 kB"), (603_900_000, "603.9 MB")])
def test_sizes_are_read_at_a_glance(count: int, text: str) -> None:
    """A sentence's trace is not 0.0 MB."""
    assert size_text(count) == text


def test_positions_without_a_kind_are_only_counted() -> None:
    """Nothing is known of them, and nothing is said."""
    plain = AttentionTrace.from_arrays([np.full((1, 1, 3, 3), 1 / 3)])
    assert '"tokens": 3 positions, batch of 1' in repr(plain)
    assert '"tokens": 12 text positions, batch of 1' in repr(example_trace())
    assert '"tokens": 1 text position, batch of 1' in repr(example_trace(n_tokens=1))


def test_the_prompt_shows_coverage_in_sentences() -> None:
    """What stands alone in a notebook's cell is read by a person."""
    assert repr(Coverage()) == "everything that ran is in the trace"
    coverage = example_trace().coverage
    assert repr(coverage) == "mixer.0: ExampleMixer: ran and showed no softmax attention"


def test_reduced_layers_say_that_their_weights_were_not_kept() -> None:
    """Reading them is an error that tells what to read instead, and the summary still works."""
    layer = example_trace()[0].replaced(stored_weights=None, reduced=np.zeros(2))
    trace = AttentionTrace((layer,), example_trace().axes)
    with pytest.raises(UnavailableError, match=r"captured with reduce=.* read layer\.reduced"):
        _ = layer.weights
    assert "reduced while capturing" in repr(trace)
    assert "reduced" in repr(layer)
    assert trace.select(layers=0)[0].reduced is layer.reduced


def test_gradients_follow_the_heads_selected() -> None:
    """``weights_grad`` of some heads is those heads of the gradient; without one the error says how to get it."""
    gradient = np.random.default_rng(0).random((1, 4, 12, 12))
    layer = example_trace()[0].replaced(gradient=lambda: gradient)
    np.testing.assert_array_equal(layer.with_heads([2, 0]).weights_grad, gradient[:, [2, 0]])
    with pytest.raises(UnavailableError, match=r"grad=True"):
        _ = example_trace()[0].weights_grad


def test_row_sums_are_one_except_where_nothing_is_attended_to() -> None:
    """The rows of a probability distribution sum to one."""
    np.testing.assert_allclose(example_trace(batch=2)[0].row_sums(batch=1), np.ones((4, 12)), atol=1e-6)


def test_scoring_is_reported_where_it_is_known() -> None:
    """``scale``, ``mask``, ``bias``, ``softcap``, ``sinks`` and ``window`` are None for weights given as they are."""
    known, unknown = example_trace(lazy=True, padding=2)[0], example_trace()[0]
    assert known.scale == pytest.approx(32**-0.5)
    assert known.mask is not None
    assert known.mask.shape == (1, 1, 1, 12)
    fields = ("scale", "mask", "bias", "softcap", "sinks", "window")
    assert [getattr(unknown, name) for name in fields] == [None] * 6
