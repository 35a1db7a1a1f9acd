"""Attention written in unusual ways: what is shown is what the model multiplied with its values, or it is reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import attncore

BATCH, HEADS, LENGTH, DIM, HEAD_DIM = 2, 3, 6, 12, 4
Softmax = Callable[[jax.Array], jax.Array]


def numbers(*shape: int, seed: int = 0) -> jax.Array:
    """Random numbers of this shape."""
    return jax.random.normal(jax.random.key(seed), shape) / 2


def parameters() -> dict[str, jax.Array]:
    """The projections of one attention."""
    return {name: numbers(DIM, HEADS, HEAD_DIM, seed=seed) for seed, name in enumerate(("query", "key", "value"))}


def projected(params: dict[str, jax.Array], x: jax.Array) -> tuple[jax.Array, ...]:
    """Query, key and value, (…, length, heads, head_dim)."""
    return tuple(jnp.einsum("...td,dhe->...the", x, params[name]) for name in ("query", "key", "value"))


def exact_scores(params: dict[str, jax.Array], x: jax.Array) -> np.ndarray[Any, Any]:
    """Query times key in float64, (batch, heads, query, key)."""
    doubles = {name: np.asarray(one, np.float64) for name, one in params.items()}
    query, key = (np.einsum("btd,dhe->bhte", np.asarray(x, np.float64), doubles[name]) for name in ("query", "key"))
    return query @ key.swapaxes(-1, -2)


def softmax(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """In numpy."""
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def attend(weigh: Softmax) -> Callable[[Any, jax.Array], jax.Array]:
    """A function of parameters and states, with this from scores to weights."""

    def call(params: Any, x: jax.Array) -> jax.Array:
        query, key, value = projected(params, x)
        return jnp.einsum("bhqk,bkhe->bqhe", weigh(jnp.einsum("bqhe,bkhe->bhqk", query, key)), value)

    return call


DECAY = np.exp(-np.abs(np.arange(LENGTH)[:, None] - np.arange(LENGTH)))
CAUSAL = np.tril(np.ones((LENGTH, LENGTH)))


@pytest.mark.parametrize(
    ("weigh", "expected"),
    [
        (lambda scores: jax.nn.softmax(scores) * jnp.tril(jnp.ones((LENGTH, LENGTH))), lambda w: w * CAUSAL),
        (lambda scores: jax.nn.softmax(scores) * jnp.asarray(DECAY, jnp.float32), lambda w: w * DECAY),
        (lambda scores: jnp.where(CAUSAL > 0, jax.nn.softmax(scores) * 0.5, 0.0), lambda w: w * 0.5 * CAUSAL),
    ],
    ids=["a mask", "a decay", "scaled and masked"],
)
def test_constants_that_change_the_weights_are_no_dropout(weigh: Softmax, expected: Any) -> None:
    """The weights are those applied, and the note says that they were changed."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)
    layer = attncore.trace(attend(weigh), (params, x))[0]
    np.testing.assert_allclose(layer.weights, expected(softmax(exact_scores(params, x))), rtol=0, atol=1e-5)
    assert any("changed" in note for note in layer.notes)
    assert not any("dropout" in note for note in layer.notes)


@pytest.mark.parametrize("key", [jax.random.key(0), jax.random.PRNGKey(0)], ids=["typed key", "raw key"])
@pytest.mark.parametrize(
    "drop",
    [
        lambda weights, kept: jnp.where(kept, weights / 0.8, 0.0),
        lambda weights, kept: jnp.where(kept, weights, 0.0) / 0.8,
        lambda weights, kept: weights * kept / 0.8,
        lambda weights, kept: jnp.where(kept, weights / (1 - jax.lax.stop_gradient(jnp.float32(0.2))), 0.0),
        lambda weights, kept: weights * (kept / 0.8),
    ],
    ids=["select of scaled", "scaled select", "product, scaled", "by a computed rate", "product with scaled"],
)
def test_dropout_is_told_by_its_random_numbers(drop: Any, key: jax.Array) -> None:
    """However it is written, and whatever the key, the weights are those before it."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)

    def call(params: Any, x: jax.Array, key: jax.Array) -> jax.Array:
        def weigh(scores: jax.Array) -> jax.Array:
            return drop(jax.nn.softmax(scores), jax.random.bernoulli(key, 0.8, scores.shape))

        return attend(weigh)(params, x)

    layer = attncore.trace(call, (params, x, key))[0]
    np.testing.assert_allclose(layer.weights, softmax(exact_scores(params, x)), rtol=0, atol=1e-5)
    assert len(layer.notes) == 1
    assert "dropout follows" in layer.notes[0]


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("token", [False, True], ids=["plain", "with a learned token in each window"])
def test_windows_of_learned_positions_are_items_of_the_batch(folded: bool, token: bool) -> None:
    """Positions that are parameters, added before the windows are cut, do not make heads of the windows."""
    params = parameters() | {"positions": numbers(4, 3, DIM, seed=7), "token": numbers(1, 1, 1, DIM, seed=8)}
    x = numbers(BATCH, 4, 3, DIM, seed=9)

    def cut(params: Any, x: jax.Array) -> jax.Array:
        x = x + params["positions"]
        if token:
            x = jnp.concatenate([jnp.broadcast_to(params["token"], (BATCH, 4, 1, DIM)), x], axis=2)
        x = x.swapaxes(1, 2)  # attention along the first of the two, as in space and time apart
        return x.reshape(-1, *x.shape[2:]) if folded else x

    def call(params: Any, x: jax.Array) -> jax.Array:
        query, key, value = projected(params, cut(params, x))
        weights = jax.nn.softmax(jnp.einsum("...qhe,...khe->...hqk", query, key))
        return jnp.einsum("...hqk,...khe->...qhe", weights, value)

    layer = attncore.trace(call, (params, x))[0]
    expected = softmax(exact_scores(parameters(), cut(params, x).reshape(-1, 4, DIM)))
    assert layer.shape == expected.shape
    np.testing.assert_allclose(layer.weights, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("keep", ["weights", "qk"])
@pytest.mark.parametrize(
    "weigh",
    [
        lambda scores: jnp.concatenate([jax.nn.softmax(scores[:, :1]), jax.nn.softmax(scores[:, 1:])], axis=1),
        lambda scores: jnp.concatenate([jax.nn.softmax(part) for part in jnp.split(scores, 2, axis=2)], axis=2),
        lambda scores: jnp.roll(jnp.roll(jax.nn.softmax(scores), 1, axis=-1), -1, axis=-1),
    ],
    ids=["heads", "queries", "rolled and back"],
)
def test_weights_put_together_of_pieces_are_whole(weigh: Softmax, keep: Any) -> None:
    """Not the first piece alone."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)
    (layer,) = attncore.trace(attend(weigh), (params, x), keep=keep)
    np.testing.assert_allclose(layer.weights, softmax(exact_scores(params, x)), rtol=0, atol=1e-5)


def test_heads_of_one_product_that_are_stacked_are_reported() -> None:
    """Where nothing tells what the new axis is, the first head is not shown for all."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)
    call = attend(lambda scores: jnp.stack([jax.nn.softmax(scores[:, head]) for head in range(HEADS)], axis=1))
    with pytest.raises(attncore.NoAttentionError, match="could not be told apart"):
        attncore.trace(call, (params, x))


@pytest.mark.parametrize("keep", ["weights", "qk"])
def test_a_part_of_the_weights_is_not_computed_as_the_whole(keep: Any) -> None:
    """The first row is left out after the softmax: of queries and keys there would be one row more."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)
    layer = attncore.trace(attend(lambda scores: jax.nn.softmax(scores)[:, :, 1:]), (params, x), keep=keep)[0]
    expected = softmax(exact_scores(params, x))[:, :, 1:]
    assert layer.shape == expected.shape
    np.testing.assert_allclose(layer.weights, expected, rtol=0, atol=1e-5)
    assert layer.query is None


def test_vectors_of_a_part_of_the_positions_are_not_shown() -> None:
    """Scores with blocks of keys beside one another: no block's keys are those of all columns."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)

    def call(params: Any, x: jax.Array) -> jax.Array:
        query, key, value = projected(params, x)
        blocks = [jnp.einsum("bqhe,bkhe->bhqk", query, part) for part in jnp.split(key, 2, axis=1)]
        return jnp.einsum("bhqk,bkhe->bqhe", jax.nn.softmax(jnp.concatenate(blocks, axis=-1)), value)

    layer = attncore.trace(call, (params, x))[0]
    np.testing.assert_allclose(layer.weights, softmax(exact_scores(params, x)), rtol=0, atol=1e-5)
    assert layer.key is None
    assert layer.query is not None
    assert layer.value is not None
    assert layer.value.shape[2] == LENGTH


def over_heads(params: Any, x: jax.Array) -> jax.Array:
    """Each position's heads ask one another."""
    query, key, value = projected(params, x)
    return jnp.einsum("bthg,btge->bthe", jax.nn.softmax(jnp.einsum("bthe,btge->bthg", query, key)), value)


def over_channels(params: Any, x: jax.Array) -> jax.Array:
    """The features of each head ask one another, as in XCiT."""
    query, key, value = projected(params, x)
    return jnp.einsum("bhef,bthf->bthe", jax.nn.softmax(jnp.einsum("bthe,bthf->bhef", query, key)), value)


@pytest.mark.parametrize("call", [over_heads, over_channels])
def test_attention_over_features_is_reported(call: Any) -> None:
    """There is no matrix of positions in it."""
    with pytest.raises(attncore.NoAttentionError, match="over features"):
        attncore.trace(call, (parameters(), numbers(BATCH, LENGTH, DIM, seed=9)))


@pytest.mark.parametrize(
    "weigh",
    [lambda scores: jax.nn.softmax(scores, axis=1), lambda scores: jax.nn.softmax(scores[..., ::-1])[..., ::-1]],
    ids=["a softmax over heads", "turned around and back"],
)
def test_what_is_not_followed_is_reported(weigh: Softmax) -> None:
    """Values weighed by a softmax of query times key are in the trace or in what it says of itself."""
    with pytest.raises(attncore.NoAttentionError, match="not over the keys, or moved about"):
        attncore.trace(attend(weigh), (parameters(), numbers(BATCH, LENGTH, DIM, seed=9)))


@pytest.mark.parametrize("letters", ["bgmnk", "bngmk", "bnkgm"])
def test_learned_queries_of_grouped_heads(letters: str) -> None:
    """Learned queries and groups of heads are both of parameters; wherever they stand, the queries are the queries."""
    params = {"query": numbers(DIM, 4, 4, seed=1), "key": numbers(DIM, 2, 4, seed=2), "latent": numbers(5, DIM, seed=3)}
    x = numbers(BATCH, LENGTH, DIM, seed=9)

    def call(params: Any, x: jax.Array) -> jax.Array:
        latent = jnp.broadcast_to(params["latent"], (BATCH, 5, DIM))
        query = jnp.einsum("btd,dhe->bthe", latent, params["query"]).reshape(BATCH, 5, 2, 2, 4)
        key = jnp.einsum("btd,dhe->bthe", x, params["key"])
        weights = jax.nn.softmax(jnp.einsum(f"bngme,bkge->{letters}", query, key), axis=letters.index("k"))
        return jnp.einsum(f"{letters},bkge->bngme", weights, key)

    layer = attncore.trace(call, (params, x))[0]
    doubles = {name: np.asarray(one, np.float64) for name, one in params.items()}
    query = np.einsum("td,dhe->hte", doubles["latent"], doubles["query"])
    key = np.einsum("btd,dhe->bhte", np.asarray(x, np.float64), doubles["key"]).repeat(2, axis=1)
    expected = softmax(query @ key.swapaxes(-1, -2))
    assert layer.shape == expected.shape
    np.testing.assert_allclose(layer.weights, expected, rtol=0, atol=1e-5)
    assert layer.kind == "cross"


def test_learned_queries_that_ask_one_another_later() -> None:
    """After a first look at the input they are self-attention, and each layer has its own name."""

    def layer(params: Any, states: jax.Array, context: jax.Array) -> jax.Array:
        query, _, _ = projected(params, states)
        _, key, value = projected(params, context)
        weights = jax.nn.softmax(jnp.einsum("bqhe,bkhe->bhqk", query, key))
        return jnp.einsum("bhqk,bkhe->bqhe", weights, value).reshape(states.shape)

    def call(params: Any, x: jax.Array) -> jax.Array:
        states = jnp.broadcast_to(params["latent"], (BATCH, 5, DIM))
        for block in params["blocks"]:
            states = states + layer(block["cross"], states, x)
            states = states + layer(block["self"], states, states)
        return states

    blocks = [{"cross": parameters(), "self": parameters()} for _ in range(2)]
    params = {"latent": numbers(5, DIM, seed=3), "blocks": blocks}
    trace = attncore.trace(call, (params, numbers(BATCH, LENGTH, DIM, seed=9)))
    assert [one.kind for one in trace] == ["cross", "self", "cross", "self"]
    expected = ["blocks/0/cross", "blocks/0/self", "blocks/1/cross", "blocks/1/self"]
    assert [one.name for one in trace] == expected
    assert not trace.coverage.entries


@pytest.mark.parametrize("context", ["its own", "another"])
def test_a_single_query_asks_itself_or_others(context: str) -> None:
    """One query has no axis to tell by: whether the keys are made of what it is made of does."""
    params, x = parameters(), numbers(BATCH, 1, DIM, seed=9)
    cache = {name: numbers(BATCH, LENGTH, HEADS, HEAD_DIM, seed=seed) for seed, name in enumerate(("key", "value"))}

    def call(params: Any, x: jax.Array, cache: Any, memory: jax.Array) -> jax.Array:
        query, key, value = projected(params, x)
        if context == "its own":
            key, value = (jnp.concatenate(pair, 1) for pair in ((cache["key"], key), (cache["value"], value)))
        else:
            _, key, value = projected(params, memory)
        weights = jax.nn.softmax(jnp.einsum("bqhe,bkhe->bhqk", query, key))
        return jnp.einsum("bhqk,bkhe->bqhe", weights, value)

    layer = attncore.trace(call, (params, x, cache, numbers(BATCH, 4, DIM, seed=8)))[0]
    assert layer.kind == ("self" if context == "its own" else "cross")


def contrastive(params: Any, images: jax.Array, texts: jax.Array) -> jax.Array:
    """A loss whose backward pass multiplies a softmax of products with data."""
    scores = (images @ params["weight"]) @ (texts @ params["weight"]).T
    return -jnp.diagonal(jax.nn.log_softmax(scores)).mean()


def test_the_backward_pass_of_a_contrastive_loss_is_no_attention() -> None:
    """It is reported."""
    inputs = ({"weight": numbers(DIM, DIM)}, numbers(5, DIM, seed=1), numbers(5, DIM, seed=2))
    with pytest.raises(attncore.NoAttentionError, match="backward pass alone"):
        attncore.trace(jax.value_and_grad(contrastive), inputs)


@pytest.mark.parametrize("scanned", [False, True])
def test_what_a_backward_pass_computes_again_is_no_second_attention(scanned: bool) -> None:
    """Rematerialisation shows each layer once, and says that there was more."""
    x = numbers(BATCH, LENGTH, DIM, seed=9)
    blocks = [parameters(), parameters()]
    one = jax.checkpoint(lambda x, params: (x + attend(jax.nn.softmax)(params, x).reshape(x.shape), None))

    def loss(params: Any, x: jax.Array) -> jax.Array:
        if scanned:
            return (jax.lax.scan(one, x, params)[0] ** 2).sum()
        for block in params:
            x, _ = one(x, block)
        return (x**2).sum()

    params = jax.tree.map(lambda *arrays: jnp.stack(arrays), *blocks) if scanned else blocks
    trace = attncore.trace(jax.value_and_grad(loss), (params, x))
    assert len(trace) == len(attncore.trace(loss, (params, x))) == 2
    assert "computed again" in str(trace.coverage)


def test_forward_derivatives_are_no_second_attention() -> None:
    """The tangents of the values are weighed by the same weights, which are shown once."""
    params, x = parameters(), numbers(BATCH, LENGTH, DIM, seed=9)
    call = lambda params, x: jax.jvp(lambda x: attend(jax.nn.softmax)(params, x), (x,), (x,))  # noqa: E731
    (layer,) = attncore.trace(call, (params, x))
    np.testing.assert_allclose(layer.weights, softmax(exact_scores(params, x)), rtol=0, atol=1e-5)
