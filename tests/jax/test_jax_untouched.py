"""A capture changes nothing: outputs, modules, random numbers, inputs and settings are as after a plain call."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax_blocks import attend, hidden, model, model_parameters

import attncore


class Stateful(nnx.Module):
    """Attention with everything that a call changes: random numbers, running means, a cache and what it sows."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.attention = nnx.MultiHeadAttention(4, 24, decode=False, dropout_rate=0.5, deterministic=False, rngs=rngs)
        self.norm = nnx.BatchNorm(24, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.calls = nnx.Cache(jnp.zeros(()))

    def __call__(self, x: Any) -> Any:
        self.calls[...] += 1
        return self.dropout(self.norm(x + self.attention(x)))


def state_of(module: nnx.Module) -> list[np.ndarray[Any, Any]]:
    """Every variable of a module, random keys as numbers."""
    leaves = jax.tree.leaves(nnx.state(module))
    is_key = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    return [np.asarray(jax.random.key_data(leaf) if key else leaf) for leaf, key in zip(leaves, is_key, strict=True)]


@pytest.mark.parametrize("way", ["module", "argument", "closure", "method"])
def test_a_module_changes_as_in_a_plain_call(way: str) -> None:
    """Two calls move random numbers, running means and caches on as two plain calls do."""
    captured, plain, x = Stateful(nnx.Rngs(0)), Stateful(nnx.Rngs(0)), hidden()
    calls: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "module": (captured, (x,)),
        "argument": (lambda module, x: module(x), (captured, x)),
        "closure": (lambda x: captured(x), (x,)),
        "method": (captured.__call__, (x,)),
    }
    function, inputs = calls[way]
    jitted = nnx.jit(lambda module, x: module(x))
    for _ in range(2):
        found = attncore.trace(function, inputs).output
        np.testing.assert_allclose(found, jitted(plain, x), rtol=0, atol=1e-6)
    for mine, other in zip(state_of(captured), state_of(plain), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-6)
    assert nnx.graphdef(captured) == nnx.graphdef(plain)


def test_parameters_stay_the_same_arrays() -> None:
    """What a call does not change is not even copied."""
    module = Stateful(nnx.Rngs(0))
    before = module.attention.query.kernel.get_value()
    attncore.trace(module, hidden())
    assert module.attention.query.kernel.get_value() is before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing_behind(error: type[BaseException]) -> None:
    """A model that fails half way is as it was, and can be captured afterwards."""
    module, fails = Stateful(nnx.Rngs(0)), True

    def call(module: Stateful, x: Any) -> Any:
        out = module(x)
        if fails:
            raise error("half way")
        return out

    before = state_of(module)
    with pytest.raises(error, match="half way"):
        attncore.trace(call, (module, hidden()))
    for mine, other in zip(state_of(module), before, strict=True):
        np.testing.assert_array_equal(mine, other)
    fails = False
    assert len(attncore.trace(call, (module, hidden()))) == 1


def test_the_output_is_the_compiled_one_to_the_bit() -> None:
    """Compiled with its attention as a further output, the model gives the same numbers."""
    blocks, x = model_parameters(3), hidden()
    plain = jax.jit(model)(blocks, x)
    for keep in ("qk", "weights"):
        np.testing.assert_array_equal(attncore.trace(model, (blocks, x), keep=keep).output, plain)


def test_outputs_that_are_no_arrays_come_back() -> None:
    """The output's structure is the function's own."""

    def call(blocks: Any, x: Any) -> Any:
        return {"out": model(blocks, x), "name": "tiny", "none": None, "parts": (x, 3)}

    blocks, x = model_parameters(1), hidden()
    output = attncore.trace(call, (blocks, x)).output
    assert set(output) == {"out", "name", "none", "parts"}
    assert (output["name"], output["none"]) == ("tiny", None)
    assert output["parts"][1] == 3
    np.testing.assert_array_equal(output["parts"][0], x)


def test_settings_and_inputs_are_as_before() -> None:
    """JAX's configuration and the arrays that were given are the same objects and numbers."""
    blocks, x = model_parameters(1), np.array(hidden())
    before, settings = x.copy(), dict(jax.config.values)
    attncore.trace(model, (blocks, x))
    assert dict(jax.config.values) == settings
    np.testing.assert_array_equal(x, before)


def test_a_second_call_traces_nothing() -> None:
    """The compiled capture is kept with the function, for arguments of the same shapes."""
    traced = 0

    def call(blocks: Any, x: Any) -> Any:
        nonlocal traced
        traced += 1
        return model(blocks, x)

    blocks, x = model_parameters(1), hidden()
    first = attncore.trace(call, (blocks, x))
    second = attncore.trace(call, (blocks, x + 1))
    assert traced == 1
    assert np.abs(np.asarray(first[0].weights) - np.asarray(second[0].weights)).max() > 0
    attncore.trace(call, (blocks, x[:, :5]))
    assert traced == 2


def test_what_a_function_closes_over_is_never_out_of_date() -> None:
    """A second capture sees the arrays that the closure holds by then."""
    blocks, x = model_parameters(1)[0], hidden()

    def call(x: Any) -> Any:
        return attend(blocks["attention"], x)

    before = np.asarray(attncore.trace(call, x)[0].weights)
    blocks["attention"]["query"] = blocks["attention"]["query"] * 2
    after = attncore.trace(call, x)
    np.testing.assert_allclose(after.output, jax.jit(attend)(blocks["attention"], x), rtol=0, atol=1e-6)
    assert np.abs(np.asarray(after[0].weights) - before).max() > 1e-3


TABLE = np.arange(24)
KINDS = np.array(["self", "cross"])


def with_tables(blocks: Any, x: Any) -> Any:
    """A model with numpy's own functions of numpy's arrays, in its type and its 64 bits."""
    assert isinstance(TABLE, np.ndarray)
    assert KINDS[0] == "self"
    scale = float(np.asarray(TABLE)[3] * 10**12 / 1e12)
    return model(blocks, x * scale + jnp.asarray(np.sin(TABLE), jnp.float32))


class WithTable(eqx.Module):
    """The same with the table as a field, which `eqx.filter_jit` leaves as it is."""

    blocks: Any
    table: np.ndarray[Any, Any]

    def __call__(self, x: Any) -> Any:
        return model(self.blocks, x * 3 + np.sin(self.table).astype(np.float32))


def test_arrays_of_numpy_that_a_model_holds_stay_numpy() -> None:
    """What the model does with them before JAX comes in is as without a capture."""
    blocks, x = model_parameters(2), hidden()
    expected = jax.jit(with_tables)(blocks, x)
    trace = attncore.trace(with_tables, (blocks, x))
    np.testing.assert_array_equal(trace.output, expected)
    held = attncore.trace(WithTable(blocks, np.arange(24.0)), x)
    np.testing.assert_allclose(held.output, expected, rtol=0, atol=1e-5)
    for one, other in zip(trace, held, strict=True):
        np.testing.assert_allclose(one.weights, other.weights, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_weights_in_numpy_have_their_names(kind: Any) -> None:
    """As they are, or as a part of one array; a second capture sees what is in them by then."""
    weights = jax.tree.map(lambda array: np.array(array, kind), model_parameters(2))
    stacked = {"attention": {"fused": np.array(jax.random.normal(jax.random.key(5), (4, 24, 24)), np.float32)}}
    x, traced = hidden(), 0

    def call(x: Any) -> Any:
        nonlocal traced
        traced += 1
        return model(weights, x)

    def fused(x: Any) -> Any:
        query, key, value = (x @ part for part in stacked["attention"]["fused"][1:])
        return jax.nn.softmax(query @ key.swapaxes(-1, -2)) @ value

    trace = attncore.trace(call, x)
    assert [one.name for one in trace] == ["weights/0/attention", "weights/1/attention"]
    np.testing.assert_array_equal(attncore.trace(call, x).output, trace.output)
    assert traced == 1
    weights[0]["attention"]["query"] = weights[0]["attention"]["query"] * 2
    after = attncore.trace(call, x)
    np.testing.assert_allclose(after.output, jax.jit(model)(weights, x), rtol=0, atol=1e-5)
    assert np.abs(np.asarray(after[0].weights) - np.asarray(trace[0].weights)).max() > 1e-3
    assert attncore.trace(fused, x)[0].name == "stacked/attention"


class Plain:
    """An object that JAX does not know as a tree, with an array of few numbers."""

    def __init__(self) -> None:
        self.blocks, self.scale = model_parameters(1), jnp.ones(3)

    def call(self, x: Any) -> Any:
        return model(self.blocks, x * self.scale[0])


def test_a_method_sees_the_arrays_that_its_object_holds_by_then() -> None:
    """Also those of few numbers."""
    held, x = Plain(), hidden()
    attncore.trace(held.call, x)
    held.scale = held.scale * 3
    np.testing.assert_allclose(attncore.trace(held.call, x).output, held.call(x), rtol=0, atol=1e-4)


def through(weights: Any, x: Any) -> Any:
    """Attention whose queries, keys and values are by the order of a mapping."""
    query, key, value = (x @ weights["layers"][0][name] for name in weights["layers"][0])
    return jax.nn.softmax(query @ key.swapaxes(-1, -2)) @ value


def closed_over(weights: Any) -> Any:
    """The same with the mapping in a closure."""
    return lambda x: through(weights, x)


class Through(eqx.Module):
    """The same with the mapping in a field."""

    weights: Any

    def __call__(self, x: Any) -> Any:
        return through(self.weights, x)


@pytest.mark.parametrize("way", ["closure", "argument", "module", "partial"])
def test_mappings_keep_their_order(way: str) -> None:
    """JAX sorts the keys of what it is given; a function that goes through its own must find them as they are."""
    x = jax.random.normal(jax.random.key(3), (2, 5, 8))
    kernels = {name: jax.random.normal(jax.random.key(at), (8, 8)) for at, name in enumerate(("q", "k", "b"))}
    for names in ("qkb", "kqb"):
        weights = {"layers": [{name: kernels[name] for name in names}]}
        calls: dict[str, tuple[Any, tuple[Any, ...]]] = {
            "closure": (closed_over(weights), (x,)),
            "argument": (through, (weights, x)),
            "module": (Through(weights), (x,)),
            "partial": (functools.partial(through, weights), (x,)),
        }
        function, inputs = calls[way]
        np.testing.assert_allclose(attncore.trace(function, inputs).output, through(weights, x), rtol=0, atol=1e-5)
        assert "".join(weights["layers"][0]) == names


def test_python_numbers_are_part_of_the_program() -> None:
    """Another number is another program, as for `jax.jit` with static arguments."""

    def call(blocks: Any, x: Any, layers: int = 1) -> Any:
        return model(blocks[:layers], x)

    blocks, x = model_parameters(2), hidden()
    assert [len(attncore.trace(call, (blocks, x, layers))) for layers in (1, 2)] == [1, 2]


def test_looking_for_a_backend_imports_no_jax() -> None:
    """Neither `import attncore` nor asking the backend brings JAX in."""
    code = (
        "import attncore, sys\n"
        "from attncore.backends.jax import JaxBackend\n"
        "assert not JaxBackend().matches(lambda x: x)\n"
        "assert 'jax' in attncore.backends()\n"
        "assert not {'jax', 'flax', 'equinox'} & set(sys.modules), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
