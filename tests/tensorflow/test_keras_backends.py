"""One Keras model on Keras' three backends: each goes to the backend of its framework, with the same names."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import json, sys
import numpy as np, keras
from keras import layers
import attncore

inputs = keras.Input((None, 12), name="x")
x = inputs
for place in range(2):
    x = x + layers.MultiHeadAttention(3, 4, name=f"layer_{place}_attention")(x, x)
model = keras.Model(inputs, x, name="encoder")
generator = np.random.default_rng(0)
model.set_weights([generator.normal(0, 0.3, array.shape) for array in model.get_weights()])
x = np.random.default_rng(1).standard_normal((2, 5, 12)).astype(np.float32)
trace = attncore.trace(model, keras.ops.convert_to_tensor(x))
# The same model with inputs that have names takes a mapping of them as its one argument.
shift = keras.Input((None, 12), name="shift")
named = keras.Model({"states": inputs, "shift": shift}, model(inputs - shift))
again = attncore.trace(named, {"shift": keras.ops.zeros(x.shape), "states": keras.ops.convert_to_tensor(x)})
for layer, other in zip(trace, again, strict=True):
    np.testing.assert_allclose(np.asarray(other.weights), np.asarray(layer.weights), atol=1e-6)
names, kinds = [layer.name for layer in trace], [layer.kind for layer in trace]
weights = [np.asarray(layer.weights).tolist() for layer in trace]
print(json.dumps([trace.provenance.backend, names, kinds, weights]))
"""


def test_the_same_names_and_weights_on_every_backend() -> None:
    """In processes of their own, since Keras chooses its backend when it is imported."""
    for framework in ("torch", "jax", "tensorflow", "keras"):
        pytest.importorskip(framework)
    found = {}
    for backend in ("tensorflow", "jax", "torch"):
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        found[backend] = json.loads(done.stdout.splitlines()[-1])
    own = found["tensorflow"]
    for backend, (used, names, kinds, weights) in found.items():
        assert used == backend
        assert (names, kinds) == (own[1], own[2])
        assert np.abs(np.asarray(weights) - np.asarray(own[3])).max() <= 2e-6
