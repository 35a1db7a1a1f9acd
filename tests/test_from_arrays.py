"""A trace from weights that somebody already has, in whatever form a framework returned them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import attncore
from attncore import ArrayError, AttentionTrace, TokenError


def softmaxed(*shape: int, kind: Any = np.float32) -> np.ndarray:
    """Random weights whose rows sum to one."""
    scores = np.exp(np.random.default_rng(sum(shape)).standard_normal(shape))
    return (scores / scores.sum(axis=-1, keepdims=True)).astype(kind)


LAYERS = [softmaxed(2, 3, 4, 4), softmaxed(2, 5, 4, 4)]
STACKED = np.stack([softmaxed(2, 3, 4, 4)] * 3)


@pytest.mark.parametrize("given", [LAYERS, tuple(LAYERS), iter(LAYERS), [layer.tolist() for layer in LAYERS]])
def test_a_list_has_one_array_a_layer(given: Any) -> None:
    """Lists, tuples, iterators, and arrays as nested lists of numbers."""
    trace = AttentionTrace.from_arrays(given)
    assert [layer.shape for layer in trace] == [(2, 3, 4, 4), (2, 5, 4, 4)]
    np.testing.assert_allclose(np.asarray(trace[1].weights), LAYERS[1], atol=1e-7)
    assert [layer.name for layer in trace] == ["attentions[0]", "attentions[1]"]


def test_one_stacked_array_is_taken_apart() -> None:
    """(layers, batch, heads, query, key) is three layers, and (batch, heads, query, key) is one."""
    assert [layer.shape for layer in AttentionTrace.from_arrays(STACKED)] == [(2, 3, 4, 4)] * 3
    assert [layer.shape for layer in AttentionTrace.from_arrays(STACKED[0])] == [(2, 3, 4, 4)]


def test_the_weights_are_not_copied() -> None:
    """An array that needs no correction is held as it is."""
    trace = AttentionTrace.from_arrays(LAYERS)
    assert np.shares_memory(trace[0].weights[:], LAYERS[0])


@pytest.mark.parametrize("kind", ["object", "mapping"])
def test_a_models_output_gives_its_fields_by_name(kind: str) -> None:
    """Encoder, decoder and cross-attention land in their stacks, on axes of their own lengths."""
    fields = {
        "last_hidden_state": np.zeros((1, 5, 8)),
        "encoder_attentions": (softmaxed(1, 2, 7, 7),) * 2,
        "decoder_attentions": (softmaxed(1, 2, 5, 5),) * 2,
        "cross_attentions": (softmaxed(1, 2, 5, 7),) * 2,
    }
    output = fields if kind == "mapping" else SimpleNamespace(**fields)
    trace = AttentionTrace.from_arrays(output, tokens={"encoder": list("abcdefg"), "decoder": list("vwxyz")})
    assert [(layer.kind, layer.stack) for layer in trace] == (
        [("self", "encoder")] * 2 + [("self", "decoder")] * 2 + [("cross", "decoder")] * 2
    )
    assert {name: axis.length for name, axis in trace.axes.items()} == {"encoder": 7, "decoder": 5}
    assert trace.axes["encoder"].labels == (tuple("abcdefg"),)
    assert [weights.shape for weights in trace.cross_attentions] == [(1, 2, 5, 7)] * 2


def test_encoder_decoder_arrays_can_be_given_by_name() -> None:
    """The three tuples as keyword arguments, without an output object."""
    trace = AttentionTrace.from_arrays(
        encoder_attentions=[softmaxed(1, 2, 7, 7)],
        decoder_attentions=[softmaxed(1, 2, 5, 5)],
        cross_attentions=[softmaxed(1, 2, 5, 7)],
    )
    assert [layer.name for layer in trace] == ["encoder_attentions[0]", "decoder_attentions[0]", "cross_attentions[0]"]
    assert (trace[2].query_axis, trace[2].key_axis) == ("decoder", "encoder")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (
            (1, 2, 7, 5),
            r"shape \(1, 2, 7, 5\).* the decoder has 5, the encoder has 7 positions; swap the last two axes",
        ),
        ((1, 2, 5, 6), r"the encoder has 7 positions$"),
    ],
)
def test_cross_attention_has_the_lengths_of_both(shape: tuple[int, ...], said: str) -> None:
    """Transposed it would be drawn with the wrong tokens on each side."""
    own = {"encoder_attentions": [softmaxed(1, 2, 7, 7)], "decoder_attentions": [softmaxed(1, 2, 5, 5)]}
    with pytest.raises(ArrayError, match=said):
        AttentionTrace.from_arrays(**own, cross_attentions=[softmaxed(*shape)])


def test_one_step_of_a_generation_has_lengths_of_its_own() -> None:
    """One query that asks all of the decoder's positions so far; and an encoder that sees windows of its input."""
    trace = AttentionTrace.from_arrays(
        encoder_attentions=[softmaxed(1, 2, 7, 3)],
        decoder_attentions=[softmaxed(1, 2, 1, 5)],
        cross_attentions=[softmaxed(1, 2, 1, 7)],
    )
    assert trace[2].shape == (1, 2, 1, 7)


def test_a_decoders_output_with_cross_attention_to_an_encoder() -> None:
    """What a decoder alone returns: ``attentions`` and ``cross_attentions``."""
    output = SimpleNamespace(attentions=(softmaxed(1, 2, 5, 5),), cross_attentions=(softmaxed(1, 2, 5, 7),))
    trace = AttentionTrace.from_arrays(output)
    assert [layer.kind for layer in trace] == ["self", "cross"]
    assert [axis.length for axis in trace.axes_of(trace[1])] == [5, 7]


def test_layers_of_other_lengths_get_axes_of_their_own() -> None:
    """A hierarchical model whose layers count fewer positions each keeps every layer."""
    trace = AttentionTrace.from_arrays([softmaxed(1, 2, 8, 8), softmaxed(1, 2, 4, 4)])
    assert [(layer.query_axis, layer.shape[2]) for layer in trace] == [("tokens", 8), ("tokens_2", 4)]


def test_skipped_layers_are_left_out() -> None:
    """Models return None for a layer that has no attention; the others keep their numbers and names."""
    trace = AttentionTrace.from_arrays([None, LAYERS[0], None, LAYERS[1]])
    assert [(layer.index, layer.name) for layer in trace] == [(1, "attentions[1]"), (3, "attentions[3]")]
    for names in (["a", "b", "c", "d"], ["b", "d"]):
        named = AttentionTrace.from_arrays([None, LAYERS[0], None, LAYERS[1]], names=names)
        assert [(layer.index, layer.name) for layer in named] == [(1, "b"), (3, "d")]
    with pytest.raises(ArrayError, match="3 names were given for 2 layers"):
        AttentionTrace.from_arrays([None, *LAYERS, None], names=["a", "b", "c"])


def test_rows_that_were_rounded_sum_to_one() -> None:
    """bfloat16 is read as float32, and its 8 bits are no fault of the softmax."""
    weights = softmaxed(1, 2, 30, 30).astype(np.float32)
    rounded = ((weights.view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32)
    assert np.abs(rounded.sum(-1) - 1).max() > 1e-3
    assert AttentionTrace.from_arrays([rounded])[0].notes == ()
    assert AttentionTrace.from_arrays([rounded * np.float32(0.98)])[0].notes == ("60 row(s) do not sum to 1",)


def test_a_mapping_of_layers_is_to_be_a_list() -> None:
    """It has none of the fields of an output; the message says where the names go."""
    with pytest.raises(ArrayError, match=r"the mapping has 'layer.0' and none of the fields .* names as names="):
        AttentionTrace.from_arrays({"layer.0": LAYERS[0]})


def test_names_are_given_one_a_layer() -> None:
    """A wrong number of names is refused with both numbers."""
    assert [layer.name for layer in AttentionTrace.from_arrays(LAYERS, names=["low", "high"])] == ["low", "high"]
    with pytest.raises(ArrayError, match="3 names were given for 2 layers"):
        AttentionTrace.from_arrays(LAYERS, names=["a", "b", "c"])


@pytest.mark.parametrize("names", [np.array(["low", "high"]), iter(["low", "high"])])
def test_names_come_in_any_iterable(names: Any, tmp_path: Path) -> None:
    """And are saved and loaded as plain strings."""
    AttentionTrace.from_arrays(LAYERS, names=names).save(tmp_path / "trace")
    assert [layer.name for layer in attncore.load(tmp_path / "trace")] == ["low", "high"]


@pytest.mark.parametrize(
    ("names", "said"),
    [([0, 1], r"names\[0\] is 0 \(int\); .*strings"), (["a", None], r"names\[1\] is None"), ("ab", "give a list")],
)
def test_names_that_are_no_strings_are_refused(names: Any, said: str) -> None:
    """A file could not be loaded again with them."""
    with pytest.raises(ArrayError, match=said):
        AttentionTrace.from_arrays(LAYERS, names=names)


def test_layers_of_one_name_are_its_calls() -> None:
    """So that each can be had by name."""
    trace = AttentionTrace.from_arrays([*LAYERS, LAYERS[0]], names=["x", "y", "x"])
    assert [trace["x@0"], trace["y"], trace["x@1"]] == list(trace)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64, np.bool_])
def test_numbers_of_any_type_are_taken(kind: Any) -> None:
    """Whole numbers and truth values become floats; floats stay what they are."""
    weights = np.eye(4, dtype=kind)[None, None]
    found = AttentionTrace.from_arrays([weights])[0].weights
    assert found.dtype == (kind if np.dtype(kind).kind == "f" else np.float32)
    np.testing.assert_array_equal(np.asarray(found, dtype=np.float64), np.eye(4)[None, None])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_torch_tensors_are_taken(dtype: str) -> None:
    """Tensors with a gradient and of types that numpy lacks become numpy with the same values."""
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(LAYERS[0], dtype=getattr(torch, dtype), requires_grad=True)
    trace = AttentionTrace.from_arrays((tensor, tensor))
    expected = tensor.detach().float().numpy()
    np.testing.assert_array_equal(np.asarray(trace[1].weights, dtype=np.float32), expected)


def test_a_fully_masked_row_of_nan_becomes_zeros_and_a_note() -> None:
    """Softmax of a row of -inf is NaN; the row is shown as attending to nothing, and the layer says so."""
    weights = LAYERS[0].copy()
    weights[1, :, 2] = np.nan
    layer = AttentionTrace.from_arrays([weights])[0]
    np.testing.assert_array_equal(layer.weights[1, :, 2], np.zeros((3, 4)))
    assert layer.notes == ("3 row(s) were all NaN: taken as fully masked, shown as zeros",)
    assert np.isnan(weights[1, :, 2]).all(), "the user's array must not be written to"


def test_some_nan_in_a_row_is_an_error_that_says_where() -> None:
    """A model that diverged is not taken for one that masks."""
    weights = LAYERS[0].copy()
    weights[1, 2, 3, 0] = np.nan
    with pytest.raises(ArrayError, match=r"attentions\[1\]: batch 1, head 2, query 3 has NaN .*1 such rows"):
        AttentionTrace.from_arrays([LAYERS[0], weights])


def test_rows_that_are_no_probabilities_are_noted() -> None:
    """Weights after dropout, or scores given by mistake, are kept with a note."""
    assert AttentionTrace.from_arrays(LAYERS)[0].notes == ()
    assert AttentionTrace.from_arrays([LAYERS[0] * 0.5])[0].notes == ("24 row(s) do not sum to 1",)
    assert "negative" in AttentionTrace.from_arrays([LAYERS[0] - 0.5])[0].notes[0]
    assert "24 row(s)" in AttentionTrace.from_arrays([LAYERS[0] * np.inf])[0].notes[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, r"no attention weights were given; .*eager"),
        ([], r"no attention weights were given"),
        (SimpleNamespace(attentions=None), r"no attention weights were given"),
        ([np.zeros((3, 4, 4))], r"attentions\[0\] has shape \(3, 4, 4\); .*\(batch, heads, query, key\)"),
        (np.zeros((4, 4)), r"one array of shape \(4, 4\)"),
        ([np.zeros((1, 2, 0, 4))], r"attentions\[0\] has shape \(1, 2, 0, 4\), which is empty"),
        ("attention", r"a list of arrays and a str was given"),
        (3, r"a list of arrays and a int was given"),
        ([np.array([["a"]])], r"array of numbers and found dtype <U1"),
        ([object()], r"array of numbers and found dtype object"),
        ([[[1, 2], [3]]], r"array of numbers and found a list that is none"),
        ([np.zeros((3, 4, 4))], r"of one batch item, add the axis: array\[None\]"),
        ([np.ma.masked_greater(LAYERS[0], 0.5)], r"found a masked one.*array\.filled\(0\)"),
        ((tuple(LAYERS), tuple(LAYERS)), r"one a generation step .*attentions\[0\], or attncore\.capture"),
        ({"attention": LAYERS}, r"has 'attention' \(did you mean \"attentions\"\?\)"),
        ({"encoder_last_hidden_state": LAYERS}, r"no attention weights were given"),
    ],
)
def test_what_is_no_attention_is_refused(given: Any, said: str) -> None:
    """Each wrong input is met with its shape or type and with what is needed."""
    with pytest.raises(ArrayError, match=said):
        AttentionTrace.from_arrays(given)


def test_tokens_are_counted() -> None:
    """Labels are checked against the weights."""
    trace = AttentionTrace.from_arrays(LAYERS, tokens=[list("abcd"), list("efgh")])
    assert trace.axes["tokens"].labels[1] == tuple("efgh")
    with pytest.raises(TokenError, match=r"3 tokens were given and the axis has 4 positions"):
        AttentionTrace.from_arrays(LAYERS[:1], tokens=[list("abc"), list("efgh")])


@pytest.mark.parametrize("tokens", [[b"a", b"b", b"c", b"d"], {"tokens": [[b"a"]]}, np.array([b"a", b"b"])])
def test_labels_that_are_bytes_are_refused(tokens: Any) -> None:
    """As bytes, and not as rows of labels, which they could be taken for."""
    with pytest.raises(TokenError, match=r"tokens holds .*bytes.* decode them"):
        AttentionTrace.from_arrays(LAYERS, tokens=tokens)


def test_the_trace_says_where_it_comes_from() -> None:
    """Provenance of given weights is that they were given."""
    provenance = AttentionTrace.from_arrays(LAYERS).provenance
    assert (provenance.backend, provenance.attncore) == ("arrays", attncore.__version__)
