"""What we ship keeps its own contracts: every backend on a model of its framework, every renderer on their traces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attncore
from attncore.api import choose_backend
from attncore.plugins import plugins
from attncore.testing import check_backend, check_renderer

BATCH, LENGTH, HEADS, HEAD_DIM = 2, 5, 3, 4
DIM = HEADS * HEAD_DIM
# A few roundings: a compiled program where the framework would run operation by operation.
ROUNDINGS = 4e-6


def kernels() -> list[dict[str, np.ndarray[Any, Any]]]:
    """Two layers of random projections."""
    generator = np.random.default_rng(2)
    names = ("query", "key", "value", "out")
    return [{name: generator.normal(0, 0.3, (DIM, DIM)).astype(np.float32) for name in names} for _ in range(2)]


def states() -> np.ndarray[Any, Any]:
    """Random hidden states (batch, length, dim)."""
    return np.random.default_rng(3).standard_normal((BATCH, LENGTH, DIM)).astype(np.float32)


def run(library: Any, layers: Any, x: Any, softmax: Any) -> tuple[Any, list[Any]]:
    """The model in any library with numpy's names: its output, and the weights of each layer."""
    weights = []
    for layer in layers:
        query, key, value = (
            library.transpose(library.reshape(x @ layer[name], (BATCH, LENGTH, HEADS, HEAD_DIM)), (0, 2, 1, 3))
            for name in ("query", "key", "value")
        )
        weights.append(softmax(library.matmul(query, library.transpose(key, (0, 1, 3, 2))) * HEAD_DIM**-0.5))
        mixed = library.transpose(library.matmul(weights[-1], value), (0, 2, 1, 3))
        x = x + library.reshape(mixed, (BATCH, LENGTH, DIM)) @ layer["out"]
    return x, weights


def reference() -> list[np.ndarray[Any, Any]]:
    """The weights in numpy in float64."""

    def softmax(scores: Any) -> Any:
        exponentials = np.exp(scores - scores.max(-1, keepdims=True))
        return exponentials / exponentials.sum(-1, keepdims=True)

    exact = [{name: array.astype(np.float64) for name, array in layer.items()} for layer in kernels()]
    return run(np, exact, states().astype(np.float64), softmax)[1]


def torch_case() -> tuple[Any, Any, list[np.ndarray[Any, Any]]]:
    """Scaled dot-product attention in a module."""
    torch = pytest.importorskip("torch")

    class Model(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(
                torch.nn.ParameterDict({name: torch.from_numpy(array) for name, array in layer.items()})
                for layer in kernels()
            )

        def forward(self, x: Any) -> Any:
            for layer in self.layers:
                query, key, value = (
                    (x @ layer[name]).reshape(BATCH, LENGTH, HEADS, HEAD_DIM).transpose(1, 2)
                    for name in ("query", "key", "value")
                )
                mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value)
                x = x + mixed.transpose(1, 2).reshape(BATCH, LENGTH, DIM) @ layer["out"]
            return x

    return Model(), torch.from_numpy(states()), reference()


def jax_case() -> tuple[Any, Any, list[np.ndarray[Any, Any]]]:
    """One jitted function of parameters and data."""
    jax = pytest.importorskip("jax")
    model = jax.jit(lambda params, x: run(jax.numpy, params, x, jax.nn.softmax)[0])
    params = jax.tree.map(jax.numpy.asarray, kernels())
    return model, (params, jax.numpy.asarray(states())), reference()


def tensorflow_case() -> tuple[Any, Any, list[np.ndarray[Any, Any]]]:
    """A compiled function that closes over variables."""
    tf = pytest.importorskip("tensorflow")
    layers = [{name: tf.Variable(array) for name, array in layer.items()} for layer in kernels()]
    model = tf.function(lambda x: run(tf, layers, x, tf.nn.softmax)[0])
    return model, tf.constant(states()), reference()


CASES = {"torch": torch_case, "jax": jax_case, "tensorflow": tensorflow_case}


@pytest.mark.parametrize("name", CASES)
def test_a_backend_keeps_the_contract(name: str) -> None:
    """On a model of its own framework."""
    case = CASES[name]()
    backend = choose_backend(case[0])
    assert backend.name == name
    check_backend(backend, [case], output_atol=0.0 if name == "torch" else ROUNDINGS)


# Hostile tokens hold control characters, whose signs no usual font has: matplotlib rightly warns of each.
@pytest.mark.filterwarnings("ignore:no installed font has")
def test_renderers_draw_every_backends_traces() -> None:
    """The same renderers, unchanged, whatever the trace came from."""
    traces = []
    for make in CASES.values():
        model, inputs, _ = make()
        traces += [attncore.trace(model, inputs, keep=keep) for keep in ("weights", "qk")]
    for registered in plugins().renderers.values():
        check_renderer(registered.thing, traces=traces)
