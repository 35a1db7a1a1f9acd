"""PyTorch, TensorFlow and JAX in one process, imported in every order: each backend still knows its own models."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

FRAMEWORKS = ("torch", "tensorflow", "jax")
PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
import numpy as np, torch, tensorflow as tf
import attncore
from attncore.api import choose_backend

x = np.random.default_rng(0).standard_normal((2, 5, 4)).astype(np.float32)
layer = torch.nn.MultiheadAttention(4, 2, batch_first=True)
kernel, bias = (tensor.detach().numpy().astype(np.float64) for tensor in (layer.in_proj_weight, layer.in_proj_bias))
q, k, _ = np.split(x.astype(np.float64) @ kernel.T + bias, 3, axis=-1)
q, k = (each.reshape(2, 5, 2, 2).swapaxes(1, 2) for each in (q, k))
scores = np.exp(q @ k.swapaxes(2, 3) / np.sqrt(2))
expected = scores / scores.sum(-1, keepdims=True)


def softmax_module():
    class Attend(tf.Module):
        @tf.function
        def __call__(self, q, k, v):
            return tf.nn.softmax(tf.matmul(q, k, transpose_b=True) / 2**0.5) @ v
    return Attend()


tensor = torch.from_numpy(x)
traces = {"torch": attncore.trace(layer, (tensor, tensor, tensor))}
arrays = [tf.constant(each, tf.float32) for each in (q, k, k)]
assert choose_backend(softmax_module()).name == "tensorflow"
traces["tensorflow"] = attncore.trace(softmax_module(), tuple(arrays))
import jax, jax.numpy as jnp
attend = jax.jit(lambda q, k, v: jax.nn.softmax(q @ k.mT / 2**0.5) @ v)
assert choose_backend(attend).name == "jax"
traces["jax"] = attncore.trace(attend, tuple(jnp.asarray(each, jnp.float32) for each in (q, k, k)))
for name, trace in traces.items():
    apart = np.abs(np.asarray(trace[0].weights) - expected).max()
    assert len(trace) == 1 and apart <= 1e-6, (name, apart)
print(*traces)
"""


@pytest.mark.skipif(any(find_spec(name) is None for name in FRAMEWORKS), reason="needs all three frameworks")
@pytest.mark.parametrize("order", list(itertools.permutations(FRAMEWORKS)), ids="-".join)
def test_every_import_order(order: tuple[str, ...]) -> None:
    """One attention, captured with every backend that is installed, in a fresh process."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, *order]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["torch", "tensorflow", "jax"]
