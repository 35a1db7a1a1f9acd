"""Attention inside loops, branches and shards: each turn that ran is there, in its order, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax_blocks import block, hidden, model_parameters, reference, stacked

import attncore


def assert_weights(trace: attncore.AttentionTrace, expected: list[np.ndarray[Any, Any]], atol: float = 1e-5) -> None:
    """The layers of the trace have these weights, in this order."""
    assert len(trace) == len(expected), [layer.name for layer in trace]
    for layer, exact in zip(trace, expected, strict=True):
        np.testing.assert_allclose(np.asarray(layer.weights), exact, rtol=0, atol=atol)


def repeated(params: Any, x: Any, times: Any) -> Any:
    """A block a number of times that is known when it runs."""
    turn = lambda state: (state[0] + 1, jnp.tanh(block(params, state[1])))  # noqa: E731 - one line says it
    return lax.while_loop(lambda state: state[0] < times, turn, (0, x))[1]


def test_a_while_loop_longer_than_was_thought() -> None:
    """The buffers grow until every turn is in them; the output is that of the plain loop."""
    params, x = model_parameters(1)[0], hidden(1, 3, 24)
    trace = attncore.trace(repeated, (params, x, jnp.asarray(70)))
    assert [layer.call for layer in trace] == list(range(70))
    np.testing.assert_array_equal(trace.output, jax.jit(repeated)(params, x, jnp.asarray(70)))
    states = x
    for layer in list(trace)[:5]:
        np.testing.assert_allclose(layer.weights, reference([params], states)[0], rtol=0, atol=1e-5)
        states = jnp.tanh(block(params, states))


def test_a_while_loop_that_never_turns() -> None:
    """No turn, no attention."""
    params, x = model_parameters(1)[0], hidden()
    with pytest.raises(attncore.NoAttentionError, match="no softmax attention"):
        attncore.trace(repeated, (params, x, jnp.asarray(0)))


def test_layers_within_a_branch_within_a_loop() -> None:
    """A loop over layers in the branch that is taken, before and after other layers."""
    blocks, x = model_parameters(4), hidden()

    def call(first: Any, middle: Any, last: Any, x: Any, deep: Any) -> Any:
        x = block(first, x)
        layers = lambda x: lax.scan(lambda x, params: (block(params, x), None), x, middle)[0]  # noqa: E731
        return block(last, lax.cond(deep, layers, lambda x: x, x))

    inputs = (blocks[0], stacked(blocks[1:3]), blocks[3], x)
    deep, shallow = (attncore.trace(call, (*inputs, jnp.asarray(flag))) for flag in (True, False))
    assert_weights(deep, reference(blocks, x))
    assert_weights(shallow, reference([blocks[0], blocks[3]], x))
    assert [layer.index for layer in deep] == [0, 1, 2, 3]


def test_a_branch_is_chosen_in_each_turn() -> None:
    """Layers whose branch did not run in a turn are not in the trace."""
    blocks, x = model_parameters(3), hidden()

    def one(x: Any, item: tuple[Any, Any]) -> tuple[Any, None]:
        return lax.cond(item[1], lambda x: block(item[0], x), lambda x: x, x), None

    trace = attncore.trace(
        lambda blocks, flags, x: lax.scan(one, x, (blocks, flags))[0],
        (stacked(blocks), jnp.asarray([True, False, True]), x),
    )
    assert_weights(trace, reference([blocks[0], blocks[2]], x))


def test_the_outputs_of_transformed_models_are_the_plain_ones() -> None:
    """Loops and branches that are run anew give the bits of the user's own."""
    blocks, x = model_parameters(3), hidden()

    def call(blocks: Any, x: Any, flag: Any) -> Any:
        one = jax.checkpoint(lambda x, params: (block(params, x), x.sum()), prevent_cse=False)
        x, sums = lax.scan(one, x, blocks)
        return lax.cond(flag, lambda x: block(jax.tree.map(lambda a: a[0], blocks), x), jnp.sin, x), sums

    inputs = (stacked(blocks), x, jnp.asarray(True))
    found, plain = attncore.trace(call, inputs).output, jax.jit(call)(*inputs)
    for mine, other in zip(jax.tree.leaves(found), jax.tree.leaves(plain), strict=True):
        np.testing.assert_array_equal(mine, other)


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
import attncore
from jax_blocks import attend, hidden, model, model_parameters, reference

assert len(jax.devices()) == 4
blocks, x = model_parameters(2), hidden(4, 7, 24)
exact = reference(blocks, x)

# Arrays that lie on several devices: the compiler divides the work.
mesh = jax.make_mesh((4,), ("data",))
trace = attncore.trace(model, (blocks, jax.device_put(x, NamedSharding(mesh, P("data")))))
for layer, weights in zip(trace, exact, strict=True):
    np.testing.assert_allclose(np.asarray(layer.weights), weights, rtol=0, atol=1e-5)

# shard_map over the batch: each device has its own items.
mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
mapped = jax.shard_map(model, mesh=mesh, in_specs=(P(), P("data")), out_specs=P("data"))
trace = attncore.trace(jax.jit(mapped), (blocks, x))
for layer, weights in zip(trace, exact, strict=True):
    assert layer.shape == weights.shape, layer.shape
    np.testing.assert_allclose(np.asarray(layer.weights), weights, rtol=0, atol=1e-5)
np.testing.assert_array_equal(trace.output, jax.jit(mapped)(blocks, x))

# shard_map over the heads: each device has the columns of its own head, and the outputs are summed.
def of_some_heads(params, x):
    query, key, value = ((x @ params[name]).reshape(*x.shape[:-1], -1, 6) for name in ("query", "key", "value"))
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * 6**-0.5
    scores = jnp.where(jnp.tril(jnp.ones(scores.shape[-2:], dtype=bool)), scores, -jnp.inf)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), value)
    return jax.lax.psum(mixed.reshape(*x.shape[:-1], -1) @ params["out"], "data")

columns = {name: P(None, "data") for name in ("query", "key", "value")} | {"out": P("data", None)}
mapped = jax.shard_map(of_some_heads, mesh=mesh, in_specs=(columns, P()), out_specs=P())
trace = attncore.trace(jax.jit(mapped), (blocks[0]["attention"], x))
np.testing.assert_allclose(np.asarray(trace[0].weights), exact[0], rtol=0, atol=1e-5)
"""


def test_arrays_on_several_devices() -> None:
    """Divided by the compiler or by shard_map, the weights are those of the whole."""
    benchmarks = Path(__file__).parent.parent.parent / "benchmarks"
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    code = f"import sys; sys.path.insert(0, {str(benchmarks)!r})\n{SHARDED}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]


def test_steps_of_a_generation_in_calls_of_their_own() -> None:
    """A prompt and single tokens with a cache are one attention; what starts anew is not."""
    blocks, x = model_parameters(1), hidden()
    empty = {name: jnp.zeros((2, 9, 4, 6)) for name in ("key", "value")}

    @jax.jit
    def step(params: Any, x: Any, cache: Any, place: Any) -> Any:
        own, rows = params["attention"], x.shape[1]
        query, key, value = ((x @ own[name]).reshape(2, rows, 4, 6) for name in ("query", "key", "value"))
        cache = {
            name: lax.dynamic_update_slice(cache[name], new, (0, place, 0, 0))
            for name, new in (("key", key), ("value", value))
        }
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, cache["key"]) * 6**-0.5
        allowed = jnp.arange(9) <= place + jnp.arange(rows)[:, None]
        weights = jax.nn.softmax(jnp.where(allowed, scores, -jnp.inf))
        return jnp.einsum("bhqk,bkhd->bqhd", weights, cache["value"]).reshape(x.shape) @ own["out"], cache

    with attncore.capture(step) as session:
        _, cache = session(blocks[0], x[:, :4], empty, 0)
        for place in range(4, 7):
            _, cache = session(blocks[0], x[:, place : place + 1], cache, place)
    trace = session.trace()
    assert_weights(trace, [np.pad(reference(blocks, x)[0], ((0, 0), (0, 0), (0, 0), (0, 2)))])
    assert "4 calls merged" in " ".join(trace[0].notes)
    steps = trace.axes[trace[0].key_axis].steps
    assert steps is not None
    assert steps.tolist() == [0, 0, 0, 0, 1, 2, 3, 0, 0]

    with attncore.capture(step) as session:
        session(blocks[0], x[:, :4], empty, 0)
        session(blocks[0], x[:, 4:5], empty, 0)
    assert [layer.shape[2] for layer in session.trace()] == [4, 1]


def test_a_scan_of_newer_jax_is_understood() -> None:
    """JAX 0.11 keeps a scan's parts as a tree (constant, carried, stacked) in place of two numbers."""
    from attncore.backends._jax_private import scan_counts

    class Tree:
        def unpack(self) -> tuple[list[None], list[None], list[None]]:
            return [None] * 3, [None] * 2, [None]

    assert scan_counts({"ft_in": Tree()}) == scan_counts({"num_consts": 3, "num_carry": 2}) == (3, 2)


def softmax_by_hand(scores: jax.Array) -> jax.Array:
    """A softmax in JAX's own operations."""
    exponentials = jnp.exp(scores - jax.lax.stop_gradient(scores.max(-1, keepdims=True)))
    return exponentials / exponentials.sum(-1, keepdims=True)


@pytest.mark.parametrize("softmax", [jax.nn.softmax, softmax_by_hand])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_backward_pass_is_no_attention(softmax: Any, batch: int) -> None:
    """A training step shows each attention once, however its softmax is differentiated."""

    def attend(parameters: dict[str, jax.Array], x: jax.Array) -> jax.Array:
        query, key, value = (jnp.einsum("btd,dhe->bthe", x, parameters[name]) for name in ("query", "key", "value"))
        scores = jnp.einsum("bqhe,bkhe->bhqk", query / 8**0.5, key)
        return jnp.einsum("bhqk,bkhe->bqhe", softmax(scores), value)

    keys = dict(zip(("query", "key", "value"), jax.random.split(jax.random.key(0), 3), strict=True))
    parameters = {name: jax.random.normal(key, (32, 4, 8)) / 6 for name, key in keys.items()}
    x = jax.random.normal(jax.random.key(1), (batch, 7, 32))
    plain = attncore.trace(attend, (parameters, x))
    step = attncore.trace(jax.value_and_grad(lambda *given: (attend(*given) ** 2).mean()), (parameters, x))
    assert len(step) == len(plain) == 1
    assert not step.coverage.entries
    np.testing.assert_allclose(step[0].weights[...], plain[0].weights[...], rtol=0, atol=1e-6)
