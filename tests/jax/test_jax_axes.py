"""What the axes of an attention are after operations that are not followed, moves of positions, and single queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import attncore

BATCH, LENGTH, HEADS, DIM, HEAD_DIM = 2, 6, 4, 8, 3
Doubles = np.ndarray[Any, np.dtype[np.float64]]


def numbers(*shape: int, seed: int = 0) -> jax.Array:
    """Random numbers of this shape."""
    return jax.random.normal(jax.random.key(seed), shape)


def parameters(key_heads: int = HEADS) -> dict[str, jax.Array]:
    """The projections of one attention, of which groups of heads may share their keys."""
    heads = {"query": HEADS, "key": key_heads, "value": key_heads}
    return {name: numbers(DIM, count, HEAD_DIM, seed=seed) for seed, (name, count) in enumerate(heads.items())}


def attend(params: dict[str, jax.Array], x: jax.Array, context: jax.Array | None = None) -> Any:
    """Attention of (batch, length, dim), to itself where no context is given."""
    context = x if context is None else context
    query = jnp.einsum("btd,dhe->bthe", x, params["query"])
    key, value = (jnp.einsum("btd,dhe->bthe", context, params[name]) for name in ("key", "value"))
    weights = jax.nn.softmax(jnp.einsum("bqhe,bkhe->bhqk", query, key))
    return jnp.einsum("bhqk,bkhe->bqhe", weights, value)


def softmax(scores: Doubles) -> Doubles:
    """In numpy."""
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def exact(params: dict[str, jax.Array], x: Any, context: Any = None) -> Doubles:
    """The weights in float64, (batch, heads, query, key)."""
    context = x if context is None else context
    query, key = (
        np.einsum("btd,dhe->bhte", np.asarray(states, np.float64), np.asarray(params[name], np.float64))
        for name, states in (("query", x), ("key", context))
    )
    return softmax(query @ key.repeat(HEADS // key.shape[1], axis=1).swapaxes(-1, -2))


def check(layer: Any, expected: Doubles, kind: str = "self") -> None:
    """These weights, and this kind."""
    assert layer.shape == expected.shape
    np.testing.assert_allclose(np.asarray(layer.weights, np.float64), expected, rtol=0, atol=2e-5)
    assert layer.kind == kind


def pooled(x: jax.Array) -> jax.Array:
    """Of every two positions the larger numbers."""
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 1), (1, 2, 1), "VALID")


def outside(x: jax.Array) -> Any:
    """Something that only Python knows."""
    return jax.pure_callback(lambda one: np.asarray(one) * 2, jax.ShapeDtypeStruct(x.shape, x.dtype), x)


def summed_in_pairs(x: jax.Array) -> jax.Array:
    """Each two positions into one."""
    return jax.vmap(lambda one: jax.ops.segment_sum(one, jnp.arange(LENGTH) // 2, LENGTH // 2))(x)


@pytest.mark.parametrize(
    "change",
    [pooled, outside, summed_in_pairs, lambda x: jnp.fft.fft(x, axis=1).real, lambda x: x.at[:, 0].set(0.0)],
    ids=["pooled", "a callback", "summed in pairs", "a fft", "written over"],
)
def test_items_stay_items_after_what_is_not_followed(change: Callable[[jax.Array], Any]) -> None:
    """Heads come from the features that parameters split, and from nothing else."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)
    (layer,) = attncore.trace(lambda params, x: attend(params, change(x)), (params, x))
    check(layer, exact(params, change(x)))


def test_keys_pooled_of_what_asks_are_self_attention() -> None:
    """They count the same positions, and those of another input do not."""
    params, x, other = parameters(), numbers(BATCH, LENGTH, DIM, seed=9), numbers(BATCH, LENGTH, DIM, seed=8)
    (layer,) = attncore.trace(lambda params, x: attend(params, x, pooled(x)), (params, x))
    check(layer, exact(params, x, pooled(x)))
    (layer,) = attncore.trace(lambda params, x, y: attend(params, x, pooled(y)), (params, x, other))
    check(layer, exact(params, x, pooled(other)), "cross")


@pytest.mark.parametrize("projected", [True, False])
def test_a_convention_that_a_guess_rests_on_is_reported(projected: bool) -> None:
    """Without parameters nothing tells heads from items, and after what is not followed not even the input does."""

    def call(x: jax.Array) -> jax.Array:
        query = outside(x)
        return jax.nn.softmax(query @ query.swapaxes(-1, -2)) @ query

    if projected:
        trace = attncore.trace(lambda params, x: attend(params, outside(x)), (parameters(), numbers(2, 5, DIM)))
        assert not trace.coverage.entries
        return
    x = numbers(BATCH, HEADS, LENGTH, HEAD_DIM)
    trace = attncore.trace(call, (x,))
    doubled = 2 * np.asarray(x, np.float64)
    check(trace[0], softmax(doubled @ doubled.swapaxes(-1, -2)))
    (entry,) = trace.coverage.entries
    assert entry.status == "uncertain"
    assert "nothing tells heads from batch items" in entry.reason


KEPT = np.array([0, 2, 4])


def kept_at_random(x: jax.Array) -> jax.Array:
    """Other positions of each item, as a masked autoencoder keeps them."""
    order = jnp.argsort(jax.random.uniform(jax.random.key(1), x.shape[:2]), axis=1)
    return jnp.take_along_axis(x, order[:, :4, None], axis=1)


@pytest.mark.parametrize(
    "move",
    [
        lambda x: x[:, KEPT],
        lambda x: jnp.take(x, KEPT, axis=1),
        lambda x: x[jnp.arange(BATCH)[:, None], jnp.tile(KEPT, (BATCH, 1))],
        kept_at_random,
        lambda x: jnp.take_along_axis(x, jnp.argsort(x[:, :, :1], axis=1), axis=1),
        lambda x: jax.image.resize(x, (BATCH, 9, DIM), "bilinear"),
    ],
    ids=["indexed", "taken", "indexed twice", "at random", "in order", "resized"],
)
@pytest.mark.parametrize("embedded", [True, False])
def test_positions_that_are_chosen_or_resized_stay_positions(move: Any, embedded: bool) -> None:
    """They are no features, whatever chose them."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)
    params["embedding"] = numbers(DIM, DIM, seed=7) / 3

    def states(params: Any, x: jax.Array) -> jax.Array:
        return move(x @ params["embedding"] if embedded else x)

    (layer,) = attncore.trace(lambda params, x: attend(params, states(params, x)), (params, x))
    check(layer, exact(params, states(params, x)))


@pytest.mark.parametrize("embedded", [True, False])
@pytest.mark.parametrize("ending", ["self", "keys"])
def test_positions_that_parameters_mix_stay_positions(embedded: bool, ending: str) -> None:
    """As in a mixer, or for the keys of a Linformer."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)
    params |= {"embedding": numbers(DIM, DIM, seed=7) / 3, "mixer": numbers(LENGTH, 5, seed=6) / 2}

    def states(params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = x @ params["embedding"] if embedded else x
        mixed = jnp.einsum("btd,ts->bsd", x, params["mixer"])
        return (mixed if ending == "self" else x), mixed

    (layer,) = attncore.trace(lambda params, x: attend(params, *states(params, x)), (params, x))
    check(layer, exact(params, *states(params, x)))


def test_features_of_what_the_user_gave_stay_features() -> None:
    """A product along the last axis is a projection, also where one along an earlier one was said to mix positions."""
    params, x = {"mix": numbers(DIM, DIM, seed=5), **parameters()}, numbers(BATCH, LENGTH, DIM, seed=9)

    def over_channels(params: Any, x: jax.Array) -> jax.Array:
        states = x @ params["mix"]
        return jnp.einsum("bfe,bte->btf", jax.nn.softmax(jnp.einsum("btf,bte->bfe", states, states)), states)

    with pytest.raises(attncore.NoAttentionError, match="over features"):
        attncore.trace(over_channels, (params, x))


def grouped(params: dict[str, jax.Array], x: jax.Array, cache: dict[str, jax.Array], form: str) -> Any:
    """A step of a decoder whose heads share keys, in several ways of writing it, and the longer cache."""
    query, key, value = (jnp.einsum("btd,dhe->bthe", x, params[name]) for name in ("query", "key", "value"))
    if cache:
        key, value = (jnp.concatenate(pair, 1) for pair in ((cache["key"], key), (cache["value"], value)))
    rows, shared = query.shape[1], key.shape[2]
    split = query.reshape(BATCH, rows, shared, HEADS // shared, HEAD_DIM)
    if form == "no axis":
        weights = jax.nn.softmax(jnp.einsum("bkge,bske->bkgs", split[:, 0], key))
        out = jnp.einsum("bkgs,bske->bkge", weights, value)
    else:
        scores = jnp.einsum("btkge,bske->bkgts", split, key)
        allowed = jnp.arange(key.shape[1]) <= jnp.arange(rows)[:, None] + key.shape[1] - rows
        out = jnp.einsum("bkgts,bske->btkge", jax.nn.softmax(jnp.where(allowed, scores, -jnp.inf)), value)
    return out, {"key": key, "value": value}


@pytest.mark.parametrize("key_heads", [1, 2])
@pytest.mark.parametrize("form", ["no axis", "an axis of length 1"])
def test_groups_of_heads_of_one_query_are_heads(key_heads: int, form: str) -> None:
    """And the one query is a query, whether it has an axis or not."""
    params, x = parameters(key_heads), numbers(BATCH, LENGTH, DIM, seed=9)
    cache = {name: jnp.einsum("btd,dhe->bthe", x[:, :-1], params[name]) for name in ("key", "value")}
    last = x[:, -1:]
    (layer,) = attncore.trace(lambda params, x, cache: grouped(params, x, cache, form), (params, last, cache))
    check(layer, exact(params, last, x))


def test_a_prompt_and_steps_of_grouped_heads_are_one_layer() -> None:
    """Each step adds a row."""
    params, x = parameters(2), numbers(BATCH, LENGTH, DIM, seed=9)
    with attncore.capture(lambda params, x, cache: grouped(params, x, cache, "")) as session:
        _, cache = session(params, x[:, :4], {})
        _, cache = session(params, x[:, 4:5], cache)
        session(params, x[:, 5:], cache)
    (layer,) = session.trace()
    with np.errstate(divide="ignore"):
        scores = np.log(exact(params, x)) + np.where(np.tril(np.ones((LENGTH, LENGTH))), 0, -np.inf)
    check(layer, softmax(scores))


def test_a_query_that_is_one_parameter_keeps_its_positions() -> None:
    """They are no groups of heads, though all its axes are of one array."""
    params, x = parameters() | {"asked": numbers(5, HEADS, HEAD_DIM, seed=8)}, numbers(BATCH, LENGTH, DIM, seed=9)

    def call(params: Any, x: jax.Array) -> jax.Array:
        key = jnp.einsum("btd,dhe->bthe", x, params["key"])
        return jnp.einsum("bhqk,bkhe->bqhe", jax.nn.softmax(jnp.einsum("qhe,bkhe->bhqk", params["asked"], key)), key)

    (layer,) = attncore.trace(call, (params, x))
    key = np.einsum("btd,dhe->bthe", np.asarray(x, np.float64), np.asarray(params["key"], np.float64))
    check(layer, softmax(np.einsum("qhe,bkhe->bhqk", np.asarray(params["asked"], np.float64), key)), "cross")


@pytest.mark.parametrize("learned", [False, True])
def test_heads_in_groups_of_one_leave_the_queries_alone(learned: bool) -> None:
    """An axis of length 1 is that of the groups here, not of a single query."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)
    latent = numbers(5, DIM, seed=8)

    def call(params: Any, x: jax.Array) -> jax.Array:
        states = jnp.broadcast_to(params["latent"], (BATCH, 5, DIM))
        query, key = jnp.einsum("btd,dhe->bthe", states, params["query"]), jnp.einsum("btd,dhe->bthe", x, params["key"])
        return given(query, key, key)

    def given(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        weights = jax.nn.softmax(jnp.einsum("btkge,bske->bkgts", query[:, :, :, None], key))
        return jnp.einsum("bkgts,bske->btkge", weights, value)

    if learned:
        (layer,) = attncore.trace(call, (params | {"latent": latent}, x))
        check(layer, exact(params, jnp.broadcast_to(latent, (BATCH, 5, DIM)), x), "cross")
        return
    query, key = (numbers(BATCH, length, HEADS, HEAD_DIM, seed=length) for length in (5, 7))
    (layer,) = attncore.trace(given, (query, key, key))
    doubles = (np.asarray(one, np.float64).swapaxes(1, 2) for one in (query, key))
    check(layer, softmax(next(doubles) @ next(doubles).swapaxes(-1, -2)), "cross")


@pytest.mark.parametrize("letters", ["bkgte", "btkge"])
def test_groups_of_given_queries_are_heads(letters: str) -> None:
    """Without parameters, the axis that is of the same one as the keys' heads is the groups."""
    at = letters.index("t") if letters.startswith("bt") else 2
    query = numbers(BATCH, LENGTH, HEADS, HEAD_DIM, seed=1)
    key, value = (numbers(BATCH, 7, 2, HEAD_DIM, seed=seed) for seed in (2, 3))
    shape = (BATCH, LENGTH, 2, 2, HEAD_DIM) if at == 1 else (BATCH, 2, 2, LENGTH, HEAD_DIM)
    keys = "bske" if at == 1 else "bkse"
    given = (query, key, value) if at == 1 else tuple(one.swapaxes(1, 2) for one in (query, key, value))

    def call(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        weights = jax.nn.softmax(jnp.einsum(f"{letters},{keys}->bkgts", query.reshape(shape), key))
        return jnp.einsum(f"bkgts,{keys}->{letters}", weights, value)

    (layer,) = attncore.trace(call, given)
    doubles = [np.asarray(one, np.float64).swapaxes(1, 2) for one in (query, key)]
    check(layer, softmax(doubles[0] @ doubles[1].repeat(2, axis=1).swapaxes(-1, -2)), "cross")
