"""The JAX backend keeps the contract of a backend, for functions and for the modules of every library."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax_blocks import hidden, model, model_parameters, reference

import attncore
from attncore.backends.jax import JaxBackend
from attncore.testing import BackendCase, NumpyTransformer, check_backend

HEADS, DIM = 4, 24


class LinenBlock(nn.Module):
    """The library's attention, which sows its weights when asked to."""

    sow: bool = False

    @nn.compact
    def __call__(self, x: Any) -> Any:
        return x + nn.MultiHeadDotProductAttention(HEADS, name="attn")(x, sow_weights=self.sow)


class LinenEncoder(nn.Module):
    """Two blocks."""

    sow: bool = False

    @nn.compact
    def __call__(self, x: Any) -> Any:
        for number in range(2):
            x = LinenBlock(self.sow, name=f"block_{number}")(x)
        return x


class NnxEncoder(nnx.Module):
    """Two attentions of the library."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        attention = nnx.MultiHeadAttention
        self.blocks = nnx.List([attention(HEADS, DIM, decode=False, rngs=rngs) for _ in range(2)])

    def __call__(self, x: Any, sow: bool = False) -> Any:
        for block in self.blocks:
            x = x + block(x, sow_weights=sow)
        return x


class EquinoxEncoder(eqx.Module):
    """Two attentions of the library, on one item."""

    blocks: list[eqx.nn.MultiheadAttention]

    def __init__(self, key: Any) -> None:
        self.blocks = [eqx.nn.MultiheadAttention(HEADS, DIM, key=one) for one in jax.random.split(key)]

    def __call__(self, x: Any) -> Any:
        for block in self.blocks:
            x = x + block(x, x, x)
        return x


def function_case() -> BackendCase:
    """A jitted function and the weights in float64."""
    blocks, x = model_parameters(3), hidden()
    return BackendCase(jax.jit(model), (blocks, x), reference(blocks, x))


def linen_case() -> BackendCase:
    """``apply`` and the weights that the library sows."""
    module, x = LinenEncoder(), hidden()
    variables = module.init(jax.random.key(0), x)
    _, kept = LinenEncoder(sow=True).apply(variables, x, mutable=["intermediates"])
    return BackendCase(jax.jit(module.apply), (variables, x), _arrays(kept))


def nnx_case() -> BackendCase:
    """A module and the weights that a copy sows."""
    module, x = NnxEncoder(nnx.Rngs(0)), hidden()
    _, sown = nnx.capture(nnx.Intermediate)(lambda module, x: module(x, sow=True))(nnx.clone(module), x)
    return BackendCase(module, (x,), _arrays(sown))


def equinox_case() -> BackendCase:
    """A module on one item and the formula in numpy."""
    module, x = EquinoxEncoder(jax.random.key(1)), hidden(7, DIM)
    states, weights = x, []
    for block in module.blocks:
        weights.append(_weights_of(block, states))
        states = states + block(states, states, states)
    return BackendCase(module, (x,), weights)


def _weights_of(layer: Any, x: Any) -> np.ndarray[Any, Any]:
    exact = np.asarray(x, dtype=np.float64)
    query, key = (
        (exact @ np.asarray(linear.weight, dtype=np.float64).T).reshape(len(exact), HEADS, -1).swapaxes(0, 1)
        for linear in (layer.query_proj, layer.key_proj)
    )
    scores = np.exp(query @ key.mT * (DIM // HEADS) ** -0.5)
    return np.asarray(scores / scores.sum(-1, keepdims=True))[None]


def _arrays(tree: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


CASES: dict[str, tuple[Callable[[], BackendCase], float]] = {
    "function": (function_case, 0.0),
    "linen": (linen_case, 0.0),
    # Without a capture these two run one operation after the other, each rounded on its own.
    "nnx": (nnx_case, 2e-6),
    "equinox": (equinox_case, 2e-6),
}


@pytest.mark.parametrize("name", CASES)
def test_the_contract(name: str) -> None:
    """Weights, output, options, errors and repeated captures, as `check_backend` has them."""
    make, output_atol = CASES[name]
    check_backend(JaxBackend(), [make()], output_atol=output_atol)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (function_case, ["blocks/0/attention", "blocks/1/attention", "blocks/2/attention"]),
        (linen_case, ["block_0/attn", "block_1/attn"]),
        (nnx_case, ["blocks/0", "blocks/1"]),
        (equinox_case, ["blocks/0", "blocks/1"]),
    ],
)
def test_layers_are_called_by_their_parameters(make: Callable[[], BackendCase], names: list[str]) -> None:
    """The names are the paths under which the model keeps its parameters."""
    case = make()
    trace = attncore.trace(case.model, case.inputs)
    assert [layer.name for layer in trace] == names
    assert [layer.kind for layer in trace] == ["self"] * len(names)


def test_a_session_takes_calls() -> None:
    """Several calls of one session are several parts of the trace, each with axes of its own."""
    blocks, x = model_parameters(1), hidden()
    with attncore.capture(model) as session:
        first = session(blocks, x)
        session(blocks, x[:, :5])
    trace = session.trace()
    assert [layer.shape[2:] for layer in trace] == [(7, 7), (5, 5)]
    assert [layer.call for layer in trace] == [0, 1]
    np.testing.assert_array_equal(first, jax.jit(model)(blocks, x))


def test_token_ids_are_found_by_a_tokenizer() -> None:
    """Whole numbers of the length of the axis are what a tokenizer turns into labels."""
    blocks, table = model_parameters(1), hidden(11, DIM)

    def call(params: Any, input_ids: Any, attention_mask: Any) -> Any:
        return model(params["blocks"], params["table"][input_ids]) * attention_mask[..., None]

    ids = jnp.asarray([[1, 2, 3, 0], [4, 5, 6, 7]])
    inputs = ({"blocks": blocks, "table": table}, ids, (ids > 0).astype(jnp.int32))
    trace = attncore.trace(call, inputs, tokens=lambda numbers: [f"t{number}" for number in numbers])
    axis = trace.axes["tokens"]
    assert axis.labels == (("t1", "t2", "t3", "t0"), ("t4", "t5", "t6", "t7"))
    assert axis.padding is not None
    np.testing.assert_array_equal(axis.padding, np.asarray(ids) == 0)


def test_what_is_no_model_is_left_alone() -> None:
    """Other objects, classes and functions of other frameworks are not JAX's."""
    import torch

    backend = JaxBackend()
    others = [torch.nn.Linear(2, 2), torch.nn.Linear, NumpyTransformer(), "text", None, [1], {}, dict, np.ones(2)]
    assert not any(backend.matches(other) for other in others)
    assert not backend.matches(lambda x: torch.relu(x))
    assert not backend.matches(torch.nn.Linear(2, 2).forward)
    assert backend.matches(lambda x: jnp.tanh(x))


def test_a_function_without_attention() -> None:
    """The error says that nothing was found."""
    with pytest.raises(attncore.NoAttentionError, match="no softmax attention"):
        attncore.trace(lambda params, x: jax.nn.softmax(x @ params["w"]), ({"w": hidden(DIM, 3)}, hidden()))


def test_a_function_that_asks_for_numbers() -> None:
    """What JAX cannot trace is refused with what to do about it."""

    def branches(x: Any) -> Any:
        return x if float(x.sum()) > 0 else -x

    with pytest.raises(attncore.UnsupportedModelError, match=r"jax\.lax\.cond"):
        attncore.trace(branches, hidden())


def test_a_session_inside_jit_says_what_to_capture() -> None:
    """Within a trace there are no numbers to keep."""
    with attncore.capture(model) as session, pytest.raises(attncore.CaptureError, match="while JAX traces"):
        jax.jit(lambda x: session(model_parameters(1), x))(hidden())


KERAS = """
import keras, numpy as np
import attncore

x = h = keras.Input((7, 24))
for number in range(2):
    h = h + keras.layers.MultiHeadAttention(4, 6, dropout=0.1, name=f"attn_{number}")(h, h)
model = keras.Model(x, keras.layers.BatchNormalization()(h))
inputs = np.random.default_rng(0).standard_normal((2, 7, 24)).astype("float32")

trace = attncore.trace(model, inputs)
assert trace.provenance.backend == "jax"
assert [layer.name for layer in trace] == ["attn_0", "attn_1"]
own = model.get_layer("attn_0")(inputs, inputs, return_attention_scores=True)[1]
np.testing.assert_allclose(trace[0].weights, own, rtol=0, atol=1e-6)
np.testing.assert_allclose(trace.output, model(inputs), rtol=0, atol=1e-6)

# In training a call moves the running means and the seeds on, as a plain call does.
twin = keras.models.clone_model(model)
for mine, other in zip(model.variables, twin.variables):
    other.assign(mine)
attncore.trace(model, attncore.Inputs(inputs, training=True))
twin(inputs, training=True)
for mine, other in zip(model.variables, twin.variables):
    np.testing.assert_allclose(mine.value, other.value, rtol=0, atol=1e-6)
"""


def test_keras_on_jax() -> None:
    """A model of Keras is captured with its variables, and they are as after a plain call."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", KERAS], env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]


def test_values_that_are_projected_before_they_are_weighed() -> None:
    """The product with the values sums over keys and heads at once; only the keys are the last axis of the weights."""
    random = np.random.default_rng(3)
    shapes = {"query": (24, 4, 6), "key": (24, 4, 6), "value": (24, 4, 6), "out": (4, 6, 24)}
    params = {name: jnp.asarray(random.normal(size=shape), jnp.float32) for name, shape in shapes.items()}
    x = jnp.asarray(random.normal(size=(2, 5, 24)), jnp.float32)

    def layer(params: dict[str, Any], x: Any) -> Any:
        query, key, value = (jnp.einsum("btd,dhe->bhte", x, params[name]) for name in ("query", "key", "value"))
        weights = jax.nn.softmax(jnp.einsum("bhqe,bhke->bhqk", query, key) * 6**-0.5)
        projected = jnp.einsum("bhke,hed->bhkd", value, params["out"])
        return jnp.einsum("bhqk,bhkd->bqd", weights, projected)

    found = attncore.trace(layer, (params, x))[0]
    query, key = (np.einsum("btd,dhe->bhte", *map(np.float64, (x, params[name]))) for name in ("query", "key"))
    scores = np.exp(query @ key.mT * 6**-0.5)
    np.testing.assert_allclose(found.weights[:], scores / scores.sum(-1, keepdims=True), atol=1e-5)
    assert not found.notes
