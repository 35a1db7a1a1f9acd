"""Positions that a function flips, shifts or picks: labels of inputs are for those in the inputs' order alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import attncore

LENGTH, DIM = 6, 8
IDS = np.array([[3, 1, 4, 1, 5, 9]])
LABELS = ("t3", "t1", "t4", "t1", "t5", "t9")
OTHERWISE = np.array([2, 0, 1, 5, 4, 3])
PARAMETERS = {
    name: jax.random.normal(jax.random.key(seed), shape)
    for seed, (name, shape) in enumerate({"table": (20, DIM), "query": (DIM, 2, 4), "key": (DIM, 2, 4)}.items())
}
Change = Callable[[Any], Any]


def spelled(ids: Any) -> list[str]:
    """A tokenizer."""
    return [f"t{one}" for one in ids]


def attend(params: Any, x: Any, context: Any = None) -> Any:
    """Attention of (batch, length, dim), to itself where no context is given."""
    query = jnp.einsum("btd,dhe->bhte", x, params["query"])
    key = jnp.einsum("btd,dhe->bhte", x if context is None else context, params["key"])
    weights = jax.nn.softmax(jnp.einsum("bhqe,bhke->bhqk", query, key))
    return jnp.einsum("bhqk,bhke->bqhe", weights, key).reshape(x.shape)


def of_states(change: Change) -> Any:
    """A function whose token embeddings are changed before it attends."""
    return lambda params, ids: attend(params, change(params["table"][ids]))


def of_ids(change: Change) -> Any:
    """A function whose token ids are changed before they are looked up."""
    return lambda params, ids: attend(params, params["table"][change(ids)])


def by_turns(x: Any) -> Any:
    """Sums of the positions from the first on."""
    return jnp.moveaxis(
        jax.lax.scan(lambda total, one: (total + one, total + one), 0.0 * x[:, 0], jnp.moveaxis(x, 1, 0))[1], 0, 1
    )


MOVED: dict[str, Change] = {
    "flipped": lambda x: jnp.flip(x, 1),
    "sliced backwards": lambda x: x[:, ::-1],
    "indexed": lambda x: x[:, OTHERWISE],
    "taken": lambda x: jnp.take(x, jnp.asarray(OTHERWISE), axis=1),
    "counted from the end": lambda x: x[:, LENGTH - 1 - jnp.arange(LENGTH)],
    "permuted": lambda x: jax.random.permutation(jax.random.key(0), x, axis=1),
    "rolled": lambda x: jnp.roll(x, 1, 1),
    "shifted": lambda x: jnp.zeros_like(x).at[:, 1:].set(x[:, :-1]),
    "padded": lambda x: jnp.concatenate([jnp.zeros_like(x[:, :1]), x[:, :-1]], 1),
}


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize("made", [of_states, of_ids])
def test_positions_in_another_order_have_no_labels_of_the_inputs(made: Any, name: str) -> None:
    """They are an axis of their own that is counted, and labels are for it only where it is named."""
    function, given = made(MOVED[name]), attncore.Inputs(PARAMETERS, IDS)
    trace = attncore.trace(function, given)
    (layer,) = trace
    assert (layer.kind, layer.query_axis, layer.key_axis) == ("self", "tokens_reordered", "tokens_reordered")
    assert trace.axes["tokens_reordered"].labels == (tuple(f"place {at}" for at in range(LENGTH)),)
    assert any("another order" in note for note in layer.notes)
    assert attncore.trace(function, given, tokens=spelled).axes["tokens_reordered"].kind == "position"
    with pytest.raises(attncore.TokenError, match=r'another order.*"tokens_reordered"'):
        attncore.trace(function, given, tokens=list("abcdef"))


@pytest.mark.parametrize("sort", [jnp.sort, lambda ids, _: jnp.take_along_axis(ids, jnp.argsort(ids, 1), 1)])
def test_ids_that_are_sorted_have_no_labels_of_the_inputs(sort: Any) -> None:
    """However they are sorted."""
    (layer,) = attncore.trace(of_ids(lambda ids: sort(ids, 1)), attncore.Inputs(PARAMETERS, IDS))
    assert layer.key_axis == "tokens_reordered"


@pytest.mark.parametrize(
    "change",
    [
        lambda x: jnp.flip(jnp.flip(x, 1), 1),
        lambda x: x + jnp.flip(x, 1),
        lambda x: x[:, jnp.arange(LENGTH)],
        lambda x: jnp.concatenate([jnp.zeros_like(x[:, :1]), x[:, 1:]], 1),
        by_turns,
        lambda x: jnp.flip(by_turns(jnp.flip(x, 1)), 1),
    ],
    ids=["flipped twice", "added", "counted", "another first token", "by turns", "by turns from the end"],
)
def test_positions_in_place_have_their_labels(change: Change) -> None:
    """Whatever happened to them on the way."""
    trace = attncore.trace(of_states(change), attncore.Inputs(PARAMETERS, IDS), tokens=spelled)
    assert [(one.query_axis, one.key_axis) for one in trace] == [("tokens", "tokens")]
    assert trace.axes["tokens"].labels == (LABELS,)


def test_a_scan_over_flipped_positions_gives_flipped_ones() -> None:
    """What each turn gives belongs to what it takes."""
    turned = of_states(lambda x: by_turns(jnp.flip(x, 1)))
    (layer,) = attncore.trace(turned, attncore.Inputs(PARAMETERS, IDS))
    assert layer.key_axis == "tokens_reordered"


def test_different_orders_are_different_axes() -> None:
    """Of queries and keys, and the same order is the same axis; a table given as data is no sequence."""

    def call(table: Any, ids: Any, query: Any, key: Any) -> Any:
        params, x = {"query": query, "key": key}, table[ids]
        x = attend(params, x, jnp.flip(x, 1))
        x = attend(params, x[:, OTHERWISE], x[:, OTHERWISE[::-1].copy()])
        return attend(params, x)

    given = attncore.Inputs(PARAMETERS["table"], IDS, PARAMETERS["query"], PARAMETERS["key"])
    trace = attncore.trace(call, given, tokens=spelled)
    assert [(one.kind, one.query_axis, one.key_axis) for one in trace] == [
        ("self", "tokens", "tokens_reordered"),
        ("self", "tokens_3_reordered", "tokens_2_reordered"),
        ("self", "tokens_3_reordered", "tokens_3_reordered"),
    ]
    assert trace.axes["tokens"].labels == (LABELS,)
