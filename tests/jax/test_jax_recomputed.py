"""Weights are computed again from query and key only where that gives what the model applied; else its own are held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import attncore

BATCH, HEADS, LENGTH, DIM, HEAD_DIM = 2, 3, 7, 12, 4
CAUSAL = np.tril(np.ones((LENGTH, LENGTH)))
DECAY = np.exp(-0.3 * np.abs(np.arange(LENGTH)[:, None] - np.arange(LENGTH)))
Numbers = np.ndarray[Any, Any]


def numbers(*shape: int, seed: int) -> jax.Array:
    """Random numbers of this shape."""
    return jax.random.normal(jax.random.key(seed), shape) / 2


ROLES = ("query", "key", "value")
PARAMETERS = {name: numbers(DIM, HEADS, HEAD_DIM, seed=seed) for seed, name in enumerate(ROLES)}
STATES = numbers(BATCH, LENGTH, DIM, seed=9)


def attend(weigh: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """A function of parameters and states, with this from scores to weights."""

    def call(params: Any, x: Any) -> Any:
        query, key, value = (jnp.einsum("btd,dhe->bthe", x, params["attn"][name]) for name in ROLES)
        return jnp.einsum("bhqk,bkhe->bqhe", weigh(jnp.einsum("bqhe,bkhe->bhqk", query, key)), value)

    return call


def exact_scores() -> Numbers:
    """Query times key in float64, (batch, heads, query, key)."""
    states, doubles = (np.asarray(STATES, np.float64), {n: np.asarray(p, np.float64) for n, p in PARAMETERS.items()})
    query, key = (np.einsum("btd,dhe->bhte", states, doubles[name]) for name in ("query", "key"))
    return query @ key.swapaxes(-1, -2)


def divided(numbers: Numbers, axis: int = -1) -> Numbers:
    """Divided by their sum."""
    return numbers / numbers.sum(axis, keepdims=True)


def by_sum(numbers: Any, axis: int = -1) -> Any:
    """Divided by their sum, in JAX."""
    return numbers / numbers.sum(axis, keepdims=True)


def off_by_one(scores: Any) -> Any:
    """A softmax whose rows may give less than everything away."""
    peak = scores.max(-1, keepdims=True)
    exponentials = jnp.exp(scores - peak)
    return exponentials / (exponentials.sum(-1, keepdims=True) + jnp.exp(-peak))


def balanced(scores: Any) -> Any:
    """Columns and rows divided in turn, as in Sinkhorn's iteration."""
    weights = jnp.exp(scores)
    for _ in range(2):
        weights = by_sum(by_sum(weights, -2))
    return weights


def exact_balanced(scores: Numbers) -> Numbers:
    """The same in numpy."""
    weights = np.exp(scores)
    for _ in range(2):
        weights = divided(divided(weights, -2))
    return weights


def times_inverse(scores: Any) -> Any:
    """Exponentials times one by their sum."""
    exponentials = jnp.exp(scores)
    return exponentials * (1 / exponentials.sum(-1, keepdims=True))


def fraction(scores: Any) -> Any:
    """A sigmoid with exponentials above and below."""
    exponentials = jnp.exp(scores)
    return exponentials / (1 + exponentials)


CHANGED: dict[str, tuple[Callable[[Any], Any], Callable[[Numbers], Numbers]]] = {
    "masked exponentials": (
        lambda s: by_sum(jnp.exp(s - s.max(-1, keepdims=True)) * CAUSAL),
        lambda s: divided(np.exp(s) * CAUSAL),
    ),
    "decayed exponentials": (lambda s: by_sum(jnp.exp(s) * DECAY), lambda s: divided(np.exp(s) * DECAY)),
    "squared exponentials": (lambda s: by_sum(jnp.exp(s) ** 2), lambda s: divided(np.exp(2 * s))),
    "exponentials and a constant": (lambda s: by_sum(jnp.exp(s) + 0.5), lambda s: divided(np.exp(s) + 0.5)),
    "another axis, then the keys": (
        lambda s: by_sum(jax.nn.softmax(s, axis=-2)),
        lambda s: divided(divided(np.exp(s), -2)),
    ),
    "columns and rows in turn": (balanced, exact_balanced),
    "half of the weights": (lambda s: jax.nn.softmax(s) * 0.5, lambda s: divided(np.exp(s)) / 2),
    "one more in the sum": (off_by_one, lambda s: np.exp(s) / (1 + np.exp(s).sum(-1, keepdims=True))),
    "twice the logarithm": (lambda s: jnp.exp(jax.nn.log_softmax(s) * 2), lambda s: divided(np.exp(s)) ** 2),
    "a bias on the logarithm": (
        lambda s: jnp.exp(jax.nn.log_softmax(s) + jnp.log(DECAY)),
        lambda s: divided(np.exp(s)) * DECAY,
    ),
    "minus the largest of each key": (
        lambda s: jax.nn.softmax(s - s.max(-2, keepdims=True)),
        lambda s: divided(np.exp(s - s.max(-2, keepdims=True))),
    ),
    "the largest taken away before a cap": (
        lambda s: jax.nn.softmax(2 * jnp.tanh((s - s.max(-1, keepdims=True)) / 2)),
        lambda s: divided(np.exp(2 * np.tanh((s - s.max(-1, keepdims=True)) / 2))),
    ),
    "sums of the columns": (
        lambda s: jnp.exp(s) / jnp.exp(s).sum(-1)[:, :, None, :],
        lambda s: np.exp(s) / np.exp(s).sum(-1)[:, :, None, :],
    ),
}
PLAIN: dict[str, Callable[[Any], Any]] = {
    "one operation": jax.nn.softmax,
    "exponentials by their sum": lambda s: by_sum(jnp.exp(s)),
    "the largest taken away": lambda s: by_sum(jnp.exp(s - s.max(-1, keepdims=True))),
    "times one by the sum": times_inverse,
    "the logarithm of a softmax": lambda s: jnp.exp(jax.nn.log_softmax(s)),
    "minus the logarithm of a sum": lambda s: jnp.exp(s - jax.nn.logsumexp(s, axis=-1, keepdims=True)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_step_that_is_not_known_has_the_weights_held(name: str) -> None:
    """They are those that the model applied, whatever the options ask to be held."""
    weigh, expected = CHANGED[name]
    (layer,) = attncore.trace(attend(weigh), ({"attn": PARAMETERS}, STATES), keep="qk")
    np.testing.assert_allclose(layer.weights, expected(exact_scores()), rtol=0, atol=2e-5)
    assert layer.computed == "observed"


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_softmax_is_computed_again(name: str) -> None:
    """However it is written, so that it need not be held."""
    (layer,) = attncore.trace(attend(PLAIN[name]), ({"attn": PARAMETERS}, STATES), keep="qk")
    assert layer.computed == "recomputed"
    np.testing.assert_allclose(layer.weights, divided(np.exp(exact_scores())), rtol=0, atol=2e-5)


def test_long_inputs_show_what_was_applied_by_default() -> None:
    """Where queries and keys are smaller than the weights, a mask on the exponentials is in the weights still."""
    length = 64
    states, causal = numbers(1, length, DIM, seed=3), np.tril(np.ones((length, length)))

    def weigh(scores: Any) -> Any:
        return by_sum(jnp.exp(scores - scores.max(-1, keepdims=True)) * causal)

    (layer,) = attncore.trace(attend(weigh), ({"attn": PARAMETERS}, states))
    weights = np.asarray(layer.weights)
    assert (weights[..., causal == 0] == 0).all()
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=0, atol=1e-5)


def test_a_softmax_with_one_more_in_its_sum_says_so() -> None:
    """Its rows sum to less than 1, and the note says why."""
    (layer,) = attncore.trace(attend(off_by_one), ({"attn": PARAMETERS}, STATES))
    assert any("sink" in note for note in layer.notes)


@pytest.mark.parametrize(
    "weigh",
    [
        lambda s: 1 / (1 + jnp.exp(-s)),
        fraction,
        lambda s: jnp.log1p(jnp.exp(s)),
        jax.nn.sigmoid,
    ],
    ids=["one by one and exp", "exp by one and exp", "softplus", "one operation"],
)
def test_a_sigmoid_is_no_softmax(weigh: Any) -> None:
    """Its rows are divided by nothing; it is reported with other attention that has no softmax."""
    with pytest.raises(attncore.NoAttentionError, match="met values without a softmax"):
        attncore.trace(attend(weigh), ({"attn": PARAMETERS}, STATES))


def recurrent(params: Any, x: Any) -> Any:
    """Attention over the states of a recurrence, without a projection of its own."""

    def step(state: Any, one: Any) -> tuple[Any, Any]:
        state = jnp.tanh(one @ params["cell"]["input"] + state @ params["cell"]["state"])
        return state, state

    states = jax.lax.scan(step, jnp.zeros((BATCH, DIM)), x.swapaxes(0, 1))[1].swapaxes(0, 1)
    with jax.named_scope("pooling"):
        return jax.nn.softmax(states @ states.swapaxes(-1, -2)) @ states


def test_attention_over_a_recurrence_is_not_called_by_its_cell() -> None:
    """The cell's parameters project nothing into queries."""
    params = {"cell": {"input": numbers(DIM, DIM, seed=1), "state": numbers(DIM, DIM, seed=2)}}
    assert [layer.name for layer in attncore.trace(recurrent, (params, STATES))] == ["pooling"]


def test_projections_made_in_a_loop_name_their_attention() -> None:
    """A loop whose turns do not depend on one another projects as a product does."""

    def call(params: Any, x: Any) -> Any:
        heads = lambda name: jax.lax.map(lambda kernel: x @ kernel, params["attn"][name])  # noqa: E731
        query, key, value = heads("query"), heads("key"), heads("value")
        return jax.nn.softmax(query @ key.swapaxes(-1, -2)) @ value

    params = {"attn": {name: numbers(HEADS, DIM, HEAD_DIM, seed=seed) for seed, name in enumerate(ROLES)}}
    assert [layer.name for layer in attncore.trace(call, (params, STATES))] == ["attn"]
