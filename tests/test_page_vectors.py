"""Queries and keys on a page: they give the weights again, and are left out where there is no room for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from page_decoder import Array, DecodedPage, page_in

from attncore import AttentionTrace, OptionError
from attncore.renderers._page_describe import Start
from attncore.renderers._page_payload import payload_of
from attncore.testing import example_cross_trace, example_trace
from attncore.weights import RecomputedWeights


def recomputed(page: DecodedPage, place: int) -> Array:
    """The weights by the formula, from what the page holds of queries, keys, bias and mask."""
    vectors, layer = page.vectors(place), page.info["layers"][place]
    query, key, scoring = vectors["query"], vectors["key"], layer["scoring"]
    assert query is not None
    assert key is not None
    scores = scoring["scale"] * query @ key.repeat(query.shape[1] // key.shape[1], axis=1).swapaxes(2, 3)
    if scoring["softcap"] is not None:
        scores = scoring["softcap"] * np.tanh(scores / scoring["softcap"])
    scores = scores + (0 if vectors["bias"] is None else vectors["bias"])
    if vectors["allowed"] is not None:
        scores = np.where(vectors["allowed"], scores, -np.inf)
    sinks = -np.inf * np.ones(query.shape[1]) if scoring["sinks"] is None else np.array(scoring["sinks"])
    whole = np.concatenate([scores, np.broadcast_to(sinks[:, None, None], (*scores.shape[:3], 1))], axis=-1)
    whole = np.exp(whole - whole.max(axis=-1, keepdims=True))
    return (whole / whole.sum(axis=-1, keepdims=True))[..., :-1]


def scored(trace: AttentionTrace, **changes: Any) -> AttentionTrace:
    """A lazy trace whose layers depend on more than query and key."""
    layers = []
    for layer in trace:
        assert layer.query is not None
        assert layer.key is not None
        assert layer.scoring is not None
        scoring = replace(layer.scoring, **changes)
        weights = RecomputedWeights(layer.query, layer.key, scoring)
        layers.append(layer.replaced(scoring=scoring, stored_weights=weights))
    return AttentionTrace(tuple(layers), trace.axes)


RANDOM = np.random.default_rng(1)
VECTOR_TRACES = {
    "causal": example_trace(lazy=True),
    "grouped": example_trace(lazy=True, kv_heads=2, batch=2),
    "padded": example_trace(lazy=True, batch=2, padding=4),
    "one token": example_trace(lazy=True, n_tokens=1),
    "cross": example_cross_trace(lazy=True),
    "some heads": example_trace(lazy=True, kv_heads=2).select(layers=[1], heads=[3, 1]),
    "window": scored(example_trace(lazy=True), window=3),
    "bias of heads": scored(example_trace(lazy=True), bias=RANDOM.standard_normal((1, 4, 12, 12)).astype(np.float32)),
    "bias of keys": scored(example_trace(lazy=True), bias=np.linspace(0, 3, 12, dtype=np.float32)),
    "mask": scored(example_trace(lazy=True), causal=False, mask=RANDOM.random((12, 12)) + np.eye(12) > 0.5),
    "softcap": scored(example_trace(lazy=True), softcap=2.0),
    "sinks": scored(example_trace(lazy=True), sinks=np.array([0, 1, -np.inf, 3], dtype=np.float32)),
}


@pytest.mark.parametrize("name", VECTOR_TRACES)
def test_small_vectors_come_along_and_add_up_to_the_weights(name: str) -> None:
    """Queries, keys, bias and mask give the weights again by the formula, within float16."""
    trace = VECTOR_TRACES[name]
    page = page_in(trace)
    for place, layer in enumerate(trace):
        described = page.info["layers"][place]
        assert described["noVectors"] == ""
        assert described["vectors"]["headDim"] == 32
        assert described["scoring"]["biasHeld"] == described["scoring"]["bias"] == ("bias" in name)
        np.testing.assert_allclose(recomputed(page, place), np.asarray(layer.weights), atol=0.005)


def test_a_bias_that_is_a_mask_stays_finite() -> None:
    """An additive mask of the lowest float32 is beyond float16, and infinity would make a row of it NaN."""
    bias = np.where(np.eye(12) > 0, 0, np.finfo(np.float32).min).astype(np.float32)
    page = page_in(scored(example_trace(lazy=True), bias=bias))
    written = page.vectors(0)["bias"]
    assert written is not None
    assert np.isfinite(written).all()
    np.testing.assert_allclose(recomputed(page, 0)[0, 0], np.eye(12), atol=1e-6)


def test_large_vectors_are_left_out_unless_asked_for() -> None:
    """Every layer says so, and what to do. What is large: more than there is room for beside all weights."""
    trace = example_trace(n_layers=8, n_heads=8, n_tokens=200, lazy=True)
    assert len([name for name in page_in(trace, 8_000_000).blocks if name.startswith("vectors")]) == 8
    page = page_in(trace, 3_300_000)
    assert page.info["precision"]["kind"] == "log8"
    assert not [name for name in page.blocks if name.startswith("vectors")]
    assert all(layer["vectors"] is None for layer in page.info["layers"])
    assert all('view="neuron"' in layer["noVectors"] for layer in page.info["layers"])
    whole = page_in(trace, 8_000_000, vectors=True)
    assert len([name for name in whole.blocks if name.startswith("vectors")]) == 8


@pytest.mark.parametrize(
    ("of_whole", "held"), [(0.9, False), (0.985, False), (0.999, False), (1.0, True), (1.01, True)]
)
def test_unasked_vectors_are_held_exactly_where_they_fit_beside_all_weights(of_whole: float, held: bool) -> None:
    """What is estimated beforehand decides nothing near the limit: the page is written and measured."""
    trace = example_trace(n_layers=8, n_heads=8, n_tokens=200, lazy=True)
    whole = payload_of(trace, Start(), room=8_000_000, vectors=False).length()
    payload = payload_of(trace, Start(), room=int(of_whole * whole), vectors=False)
    assert payload.length() <= of_whole * whole
    assert payload.description["precision"]["kind"] == "log8"
    assert all((layer["vectors"] is not None) == held for layer in payload.description["layers"])


def test_asked_for_vectors_are_those_nearest_to_the_layer_shown() -> None:
    """As many layers as half of the room holds, around the one that the page opens with."""
    trace = example_trace(n_layers=8, n_heads=8, n_tokens=200, lazy=True)
    payload = payload_of(trace, Start(layer=5), room=2_000_000, vectors=True)
    held = [layer["vectors"] is not None for layer in payload.description["layers"]]
    assert held == [False, False, False, True, True, True, True, False]
    assert payload.length() <= 2_000_000
    assert "no room for the queries" in payload.description["layers"][0]["noVectors"]
    assert payload.description["precision"]["kind"] == "top"
    with pytest.raises(OptionError, match=r"queries and keys of layer 5 take about 0\.\d MB"):
        payload_of(trace, Start(layer=5), room=300_000, vectors=True)


def test_a_bias_that_does_not_fit_is_left_out_and_said_to_be() -> None:
    """Queries and keys alone are of more use than nothing."""
    bias = RANDOM.standard_normal((1, 8, 200, 200)).astype(np.float32)
    trace = scored(example_trace(n_layers=1, n_heads=8, n_tokens=200, lazy=True), bias=bias)
    page = page_in(trace, 700_000, vectors=True)
    assert page.vectors(0)["bias"] is None
    assert page.info["layers"][0]["scoring"]["bias"] is True
    assert page.info["layers"][0]["scoring"]["biasHeld"] is False


def test_a_layer_captured_without_vectors_says_so() -> None:
    """It is not this file that leaves them out."""
    page = page_in(example_trace())
    assert all('keep="qk"' in layer["noVectors"] for layer in page.info["layers"])
    assert all(layer["scoring"] is None for layer in page.info["layers"])


def test_scoring_is_optional() -> None:
    """Queries and keys may be known where the formula is not."""
    trace = example_trace(lazy=True)
    layers = tuple(layer.replaced(scoring=None) for layer in trace)
    page = page_in(AttentionTrace(layers, trace.axes))
    assert page.vectors(0)["allowed"] is None
    assert page.info["layers"][0]["scoring"] is None
