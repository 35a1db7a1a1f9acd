"""One array for several arguments: positions of one input, unless it is read by an encoder and by a decoder."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import attncore

HEADS, DIM, LENGTH = 4, 24, 5


def states(seed: int = 0) -> Any:
    """Hidden states, another array at each call."""
    return jax.random.normal(jax.random.key(seed), (1, LENGTH, DIM))


def attend(kernel: Any, query: Any, key: Any, value: Any) -> Any:
    """One head by hand; the kernel is an array like the others to a reader of the signature."""
    query, key = query @ kernel[0], key @ kernel[1]
    return jax.nn.softmax(query @ key.swapaxes(-1, -2)) @ value


def with_heads(*arrays: Any) -> Any:
    """JAX's own, on two heads."""
    return jax.nn.dot_product_attention(*(one.reshape(1, LENGTH, 2, -1) for one in arrays))


def each_way() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Attention as each library writes it, with what is to come before query, key and value."""
    linen = nn.MultiHeadDotProductAttention(HEADS)
    variables = linen.init(jax.random.key(0), states(), states(), states())
    equinox = eqx.nn.MultiheadAttention(HEADS, DIM, key=jax.random.key(0))
    kernels = jax.random.normal(jax.random.key(1), (2, DIM, DIM))
    return {
        "nnx": (nnx.MultiHeadAttention(HEADS, DIM, decode=False, rngs=nnx.Rngs(0)), ()),
        "linen": (linen.apply, (variables,)),
        "equinox": (eqx.filter_jit(lambda model, *arrays: jax.vmap(model)(*arrays)), (equinox,)),
        "by hand": (attend, (kernels,)),
        "jitted": (jax.jit(attend), (kernels,)),
        "jax.nn": (
            lambda *arrays: jax.nn.dot_product_attention(*(one.reshape(1, LENGTH, 2, -1) for one in arrays)),
            (),
        ),
    }


@pytest.mark.parametrize("name", each_way())
def test_the_same_array_as_query_key_and_value_is_self_attention(name: str) -> None:
    """The very array three times is one input, and an equal one is another; the same function is asked for both."""
    model, before = each_way()[name]
    x = states()
    expected = np.asarray(model(*before, x, x, x))
    for _ in range(2):
        trace = attncore.trace(model, (*before, x, x, x))
        assert [(one.kind, one.query_axis, one.key_axis) for one in trace] == [("self", "tokens", "tokens")]
        np.testing.assert_allclose(np.asarray(trace.output), expected, atol=1e-6)
        trace = attncore.trace(model, (*before, x, x + 0, states(1)))
        assert [(one.kind, one.query_axis, one.key_axis) for one in trace] == [("cross", "tokens", "memory")]


def test_a_numpy_array_is_one_too() -> None:
    """Arrays of numpy are known by being the same object as well, by keyword too."""
    x = np.asarray(states())
    model = nnx.MultiHeadAttention(HEADS, DIM, decode=False, rngs=nnx.Rngs(0))
    for inputs in ((x, x), attncore.Inputs(x, inputs_k=x), attncore.Inputs(inputs_q=x, inputs_k=x, inputs_v=x)):
        assert [one.kind for one in attncore.trace(model, inputs)] == ["self"]
    assert [one.kind for one in attncore.trace(model, (x, x.copy()))] == ["cross"]


class EncoderDecoder(nnx.Module):
    """A layer each, and the decoder's look at the encoder."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.embedding = nnx.Embed(20, DIM, rngs=rngs)
        for name in ("encoder", "decoder", "decoder_cross"):
            setattr(self, name, nnx.MultiHeadAttention(HEADS, DIM, decode=False, rngs=rngs))

    def __call__(self, encoder_ids: Any, decoder_ids: Any) -> Any:
        source, target = self.embedding(encoder_ids), self.embedding(decoder_ids)
        memory = source + self.encoder(source)
        hidden = target + self.decoder(target)
        return hidden + self.decoder_cross(hidden, memory)


@pytest.mark.parametrize("copied", [False, True])
def test_a_decoder_that_reads_what_the_encoder_reads_attends_across(copied: bool) -> None:
    """Whether or not both get the same array, and both axes have its labels."""
    ids = jnp.array([[3, 1, 4, 1, 5]])
    trace = attncore.trace(
        EncoderDecoder(nnx.Rngs(0)), (ids, ids.copy() if copied else ids), tokens=lambda row: [f"t{one}" for one in row]
    )
    assert [(one.name, one.kind, one.query_axis, one.key_axis) for one in trace] == [
        ("encoder", "self", "encoder", "encoder"),
        ("decoder", "self", "decoder", "decoder"),
        ("decoder_cross", "cross", "decoder", "encoder"),
    ]
    assert {name: axis.labels for name, axis in trace.axes.items()} == dict.fromkeys(
        ("encoder", "decoder"), (("t3", "t1", "t4", "t1", "t5"),)
    )


def test_parameters_that_are_one_array_stay_apart() -> None:
    """Tied weights go by both their names, and nothing is made data of them."""
    kernel, x = jax.random.normal(jax.random.key(1), (DIM, DIM)), states()

    def model(params: dict[str, Any], x: Any) -> Any:
        return attend((params["query"], params["key"]), x, x, x)

    (layer,) = attncore.trace(model, ({"query": kernel, "key": kernel}, x))
    scores = np.asarray(x[0] @ kernel @ (x[0] @ kernel).T, np.float64)
    expected = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(layer.weights[0, 0], expected / expected.sum(-1, keepdims=True), atol=1e-5)
    assert layer.kind == "self"
