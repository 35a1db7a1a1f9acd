"""What a capture in JAX and TensorFlow costs: a compiled encoder captured, and the same plainly compiled, in turns.

Twelve layers of 12 heads x 64, batch 1, queries and keys kept and the weights never held. One plain run, one captured
run and so on in one process, so that whatever else the machine does hits both; the ratio is that of the medians. The
first call, which traces and compiles, is timed on its own. ``--write`` keeps the result and writes
docs/cost-jax-tensorflow.md from it.

Usage: ``python benchmarks/program_cost.py [--rounds N] [--lengths 128,512,1024] [--write]``
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
from program_cost_report import PAGE, RESULTS, Measured, page, table

import attncore

LAYERS, HEADS, HEAD_DIM = 12, 12, 64
DIM = HEADS * HEAD_DIM
OPTIONS: dict[str, Any] = {"keep": "qk", "values": False}


class Encoder(NamedTuple):
    """A compiled encoder in one framework."""

    framework: str
    model: Callable[..., Any]
    inputs: tuple[Any, ...]
    wait: Callable[[Any], Any]


def parameters() -> list[dict[str, np.ndarray[Any, Any]]]:
    """Random kernels of each layer."""
    generator = np.random.default_rng(0)
    shapes = {"query": (DIM, DIM), "key": (DIM, DIM), "value": (DIM, DIM), "out": (DIM, DIM)}
    shapes |= {"inner": (DIM, 4 * DIM), "outer": (4 * DIM, DIM)}
    return [
        {name: generator.normal(0, 0.02, shape).astype(np.float32) for name, shape in shapes.items()}
        for _ in range(LAYERS)
    ]


def in_jax(length: int) -> Encoder:
    """Plain JAX under one jit."""

    def split(x: Any) -> Any:
        return x.reshape(1, length, HEADS, HEAD_DIM)

    @jax.jit
    def model(layers: Any, x: Any) -> Any:
        for layer in layers:
            query, key, value = (split(x @ layer[name]) for name in ("query", "key", "value"))
            mixed = jax.nn.dot_product_attention(query, key, value)
            x = x + mixed.reshape(x.shape) @ layer["out"]
            x = x + jax.nn.gelu(x @ layer["inner"]) @ layer["outer"]
        return x

    x = jax.random.normal(jax.random.key(1), (1, length, DIM))
    return Encoder("JAX", model, (jax.tree.map(jnp.asarray, parameters()), x), jax.block_until_ready)


def in_tensorflow(length: int) -> Encoder:
    """A tf.function over variables."""
    layers = [{name: tf.Variable(array) for name, array in layer.items()} for layer in parameters()]

    def split(x: Any) -> Any:
        return tf.transpose(tf.reshape(x, (1, length, HEADS, HEAD_DIM)), (0, 2, 1, 3))

    @tf.function  # type: ignore[untyped-decorator]
    def model(x: Any) -> Any:
        for layer in layers:
            query, key, value = (split(x @ layer[name]) for name in ("query", "key", "value"))
            weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) * HEAD_DIM**-0.5)
            x = x + tf.reshape(tf.transpose(weights @ value, (0, 2, 1, 3)), x.shape) @ layer["out"]
            x = x + tf.nn.gelu(x @ layer["inner"], approximate=True) @ layer["outer"]
        return x

    x = tf.constant(np.random.default_rng(1).standard_normal((1, length, DIM)), tf.float32)
    return Encoder("TensorFlow", model, (x,), lambda output: output.numpy())


def seconds(run: Callable[[], Any]) -> float:
    """How long one run takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(encoder: Encoder, length: int, rounds: int) -> Measured:
    """Plain and captured in turns, in an order that changes from round to round."""

    def plain() -> Any:
        return encoder.wait(encoder.model(*encoder.inputs))

    def captured() -> Any:
        with attncore.capture(encoder.model, **OPTIONS) as session:
            return encoder.wait(session(*encoder.inputs))

    first_plain, first_captured = seconds(plain), seconds(captured)
    pairs = []
    for turn in range(rounds):
        if turn % 2:
            later = seconds(captured)
            pairs.append((seconds(plain), later))
        else:
            pairs.append((seconds(plain), seconds(captured)))
    ratios = sorted(one / other for other, one in pairs)
    return Measured(
        encoder.framework,
        length,
        statistics.median(one for one, _ in pairs),
        statistics.median(other for _, other in pairs),
        first_plain,
        first_captured,
        (ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]),
    )


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--lengths", default="128,512,1024")
    parser.add_argument("--write", action="store_true", help="keep the result and write the page of the docs")
    options = parser.parse_args()
    measured = []
    for length in map(int, options.lengths.split(",")):
        for make in (in_jax, in_tensorflow):
            measured.append(measure(make(length), length, options.rounds))
            print(table(measured[-1:]).splitlines()[-1], flush=True)
    print(table(measured))
    if options.write:
        about = (
            f"{os.cpu_count()} cores, Python {platform.python_version()}, jax {version('jax')}, "
            f"tensorflow-cpu {version('tensorflow-cpu')}, {options.rounds} pairs each"
        )
        result = {"about": about, "rows": [one._asdict() for one in measured]}
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
        PAGE.write_text(page(result), encoding="utf-8")


if __name__ == "__main__":
    main()
