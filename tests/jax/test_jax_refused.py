"""Modules that cannot be captured as they are say what to do, and doing that works."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax_blocks import hidden

import attncore

HEADS = 4


class Counting(nn.Module):
    """Attention that counts its calls in a variable; ``names`` may be a list, which cannot be hashed."""

    names: Any = ()

    @nn.compact
    def __call__(self, x: Any) -> Any:
        calls = self.variable("cache", "calls", lambda: jnp.zeros(()))
        if self.is_mutable_collection("cache"):
            calls.value += 1
        return nn.MultiHeadDotProductAttention(HEADS, name="attn")(x)


def test_a_module_that_is_bound_to_be_changed_is_refused_and_untouched() -> None:
    """A capture would leave tracers in it; given to ``apply``, the changes come back instead."""
    module, x = Counting(), hidden()
    variables = module.init(jax.random.key(0), x)
    bound = module.bind(variables, mutable=["cache"])
    with pytest.raises(attncore.UnsupportedModelError, match=r"bound with mutable=.*module\.apply") as caught:
        attncore.trace(bound, x)
    assert "Counting" in str(caught.value)
    assert bound.variables["cache"]["calls"] == variables["cache"]["calls"]
    inputs = attncore.Inputs(variables, x, mutable=["cache"])
    trace = attncore.trace(module.apply, inputs)
    assert len(trace) == 1
    output, changes = trace.output
    assert changes["cache"]["calls"] == variables["cache"]["calls"] + 1
    np.testing.assert_allclose(output, module.apply(variables, x), rtol=0, atol=1e-6)


def test_modules_that_cannot_be_hashed_are_told_apart() -> None:
    """One after the other: each is called itself, not the program kept for an earlier one."""

    class Scaled(nn.Module):
        scales: list[float]

        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.MultiHeadDotProductAttention(HEADS, name="attn")(x * self.scales[0])

    x = hidden()
    variables = Scaled([1.0]).init(jax.random.key(0), x)
    for scale in (1.0, 3.0, 1.0):
        module = Scaled([scale])
        with pytest.raises(TypeError, match="unhashable"):
            hash(module)
        for form in (module.apply, module):
            trace = attncore.trace(form, attncore.Inputs(variables, x))
            np.testing.assert_allclose(trace.output, module.apply(variables, x), rtol=0, atol=1e-6)
        trace = attncore.trace(module.bind(variables), x)
        np.testing.assert_allclose(trace.output, module.apply(variables, x), rtol=0, atol=1e-6)


UNBUILT = """
import keras, numpy as np
import attncore

class Small(keras.Model):
    def __init__(self):
        super().__init__()
        self.attend = keras.layers.MultiHeadAttention(2, 4)

    def call(self, x):
        return self.attend(x, x)

model, inputs = Small(), np.random.default_rng(0).standard_normal((1, 5, 8)).astype("float32")
try:
    attncore.trace(model, inputs)
except attncore.UnsupportedModelError as error:
    assert "Small has no variables yet; call it once" in str(error), error
else:
    raise AssertionError("it was captured")
assert not model.built
model(inputs)
trace = attncore.trace(model, inputs)
own = model.attend(inputs, inputs, return_attention_scores=True)[1]
np.testing.assert_allclose(trace[0].weights, own, rtol=0, atol=1e-6)
"""


def test_a_keras_model_without_variables_is_refused_until_it_was_called() -> None:
    """Its variables would be made inside the trace; after a call it is captured."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", UNBUILT], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_linen_module_needs_its_variables() -> None:
    """It holds none, and the message says where they go."""
    module, x = nn.MultiHeadDotProductAttention(num_heads=4), jnp.ones((1, 5, 32))
    with pytest.raises(attncore.UnsupportedModelError, match=r"trace\(module\.apply, \(variables, x\)\)"):
        attncore.trace(module, x)
    variables = module.init(jax.random.key(0), x)
    assert len(attncore.trace(module, (variables, x))) == 1
