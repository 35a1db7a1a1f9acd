"""The capture options in JAX: what is kept, where and as what, and gradients."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax_blocks import HEAD_DIM, HEADS, SCALE, block, hidden, model, model_parameters, reference, stacked

import attncore
from attncore.weights import DenseWeights, RecomputedWeights


def captured(**options: Any) -> attncore.AttentionTrace:
    """The trace of a small model."""
    return attncore.trace(model, (model_parameters(), hidden()), **options)


def test_keep_qk_holds_no_weights() -> None:
    """Queries and keys are held, and give the model's weights when they are read."""
    trace = captured(keep="qk")
    for layer, expected in zip(trace, reference(model_parameters(), hidden()), strict=True):
        assert isinstance(layer.stored_weights, RecomputedWeights)
        assert layer.computed == "recomputed"
        np.testing.assert_allclose(layer.weights, expected, rtol=0, atol=5e-6)


def test_keep_weights_holds_the_models_own() -> None:
    """What was computed by the model is held as it was."""
    for layer in captured(keep="weights"):
        assert isinstance(layer.stored_weights, DenseWeights)
        assert layer.computed == "observed"


def test_auto_holds_what_is_smaller() -> None:
    """Weights of a short input are small, queries and keys of a long one."""
    blocks = model_parameters(1)
    short, long = (attncore.trace(model, (blocks, hidden(1, length, 24))) for length in (4, 64))
    assert isinstance(short[0].stored_weights, DenseWeights)
    assert isinstance(long[0].stored_weights, RecomputedWeights)
    exact = reference(blocks, hidden(1, 64, 24))[0]
    np.testing.assert_allclose(long[0].weights, exact, rtol=0, atol=5e-6)


def test_query_key_and_value_are_the_models() -> None:
    """The vectors are (batch, heads, length, head_dim), as the model projects them."""
    blocks, x = model_parameters(), hidden()
    layer = captured()[0]
    for role, found in (("query", layer.query), ("key", layer.key), ("value", layer.value)):
        projected = np.asarray(x @ blocks[0]["attention"][role])
        expected = projected.reshape(*x.shape[:2], HEADS, HEAD_DIM).swapaxes(1, 2)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_dtype_of_held_weights(dtype: str) -> None:
    """Held weights are of this type; bfloat16 reads as float32, which it is a part of."""
    expected = reference(model_parameters(), hidden())
    step = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 1e-5}[dtype]
    for layer, exact in zip(captured(keep="weights", dtype=dtype), expected, strict=True):
        assert layer.weights.held_bytes == layer.weights.size * (4 if dtype == "float32" else 2)
        np.testing.assert_allclose(np.asarray(layer.weights), exact, rtol=0, atol=step)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "int32"}, "no floating type"),
        ({"dtype": "nonsense"}, "no floating type"),
        ({"device": "nonsense"}, "cannot be used here"),
        ({"device": "cpu:99"}, "cannot be used here"),
    ],
)
def test_options_that_cannot_be_met(options: dict[str, str], words: str) -> None:
    """They are refused before anything runs."""
    with pytest.raises(attncore.OptionError, match=words):
        attncore.capture(model, **options)  # type: ignore[arg-type]


def test_device() -> None:
    """Arrays are put where they are asked for."""
    np.testing.assert_array_equal(captured(device="cpu")[0].weights, captured()[0].weights)


def test_layers_of_a_scan_by_name_and_place() -> None:
    """The turns of a loop over layers are layers that can be asked for."""

    def call(blocks: Any, x: Any) -> Any:
        return jax.lax.scan(lambda x, params: (block(params, x), None), x, blocks)[0]

    blocks, x = model_parameters(), hidden()
    expected = reference(blocks, x)
    everything = attncore.trace(call, (stacked(blocks), x))
    assert [layer.name for layer in everything] == ["attention/0", "attention/1", "attention/2"]
    for selector, place in (("attention/1", 1), (-1, 2), ([0], 0)):
        chosen = attncore.trace(call, (stacked(blocks), x), layers=selector)  # type: ignore[arg-type]
        assert [layer.index for layer in chosen] == [place]
        np.testing.assert_allclose(chosen[0].weights, expected[place], rtol=0, atol=5e-6)


def test_reduce_sees_named_layers() -> None:
    """The function is given each layer with its name and weights; only its result is kept."""
    trace = captured(reduce=lambda layer: (layer.name, float(np.asarray(layer.weights).max())))
    assert [layer.reduced[0] for layer in trace] == [layer.name for layer in trace]
    assert all(layer.query is None and layer.stored_weights is None for layer in trace)


def loss(blocks: Any, x: Any) -> Any:
    """A number to differentiate."""
    return (model(blocks, x) ** 2).mean()


def shifted_loss(shifts: list[Any], blocks: list[Any], x: Any) -> Any:
    """The same written out again, with something added to the weights of each layer."""
    for shift, params in zip(shifts, blocks, strict=True):
        own = params["attention"]
        query, key, value = (
            (x @ own[name]).reshape(*x.shape[:2], HEADS, HEAD_DIM) for name in ("query", "key", "value")
        )
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * SCALE
        scores = jnp.where(jnp.tril(jnp.ones(scores.shape[-2:], dtype=bool)), scores, -jnp.inf)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores) + shift, value)
        x = x + mixed.reshape(x.shape) @ own["out"]
        x = x + jnp.maximum(x @ params["mlp"]["up"], 0) @ params["mlp"]["down"]
    return (x**2).mean()


def scanned_loss(blocks: Any, x: Any) -> Any:
    """The layers as turns of a loop."""
    return (jax.lax.scan(lambda x, params: (block(params, x), None), x, stacked(blocks))[0] ** 2).mean()


@pytest.mark.parametrize("function", [loss, scanned_loss, jax.jit(lambda *args: (loss(*args), "more"[:0] or None))])
def test_gradients_by_the_weights(function: Any) -> None:
    """They are those of the same model written with something added to its weights."""
    blocks, x = model_parameters(), hidden()
    trace = attncore.trace(function, (blocks, x), grad=True)
    expected = jax.grad(shifted_loss)([jnp.zeros(layer.shape) for layer in trace], blocks, x)
    for layer, exact in zip(trace, expected, strict=True):
        largest = float(jnp.abs(exact).max())
        np.testing.assert_allclose(layer.weights_grad, exact, rtol=0, atol=1e-5 * largest)
    one = attncore.trace(function, (blocks, x), grad=True, heads=[2])
    np.testing.assert_array_equal(one[1].weights_grad, trace[1].weights_grad[:, [2]])


def test_gradients_need_a_loss() -> None:
    """The error says what to capture instead."""
    with pytest.raises(attncore.CaptureError, match="returns the loss"):
        captured(grad=True)


def test_no_gradient_through_a_loop_of_unknown_length() -> None:
    """JAX cannot differentiate it backwards, and neither can we."""

    def call(blocks: Any, x: Any, times: Any) -> Any:
        return jax.lax.while_loop(lambda s: s[0] < times, lambda s: (s[0] + 1, block(blocks[0], s[1])), (0, x))[1].sum()

    with pytest.raises(attncore.CaptureError, match="inside a while"):
        attncore.trace(call, (model_parameters(1), hidden(), jnp.asarray(2)), grad=True)


def test_without_grad_there_is_none() -> None:
    """Reading it says how to get it."""
    with pytest.raises(attncore.UnavailableError, match="grad=True"):
        _ = captured()[0].weights_grad
