"""Loops, branches and caches in TensorFlow's graphs, each against numpy in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf
from tensorflow_blocks import (
    BATCH,
    DIM,
    HEAD_DIM,
    HEADS,
    LAYERS,
    LENGTH,
    attend,
    join,
    projections,
    split,
    stack_weights,
    states,
    weights_of,
)

import attncore


def assert_layers(trace: attncore.AttentionTrace, expected: list[np.ndarray]) -> None:
    """Every layer within 1e-5."""
    assert len(trace) == len(expected)
    for layer, weights in zip(trace, expected, strict=True):
        assert layer.weights.shape == weights.shape
        assert np.abs(np.asarray(layer.weights) - weights).max() <= 1e-5


class Stacked(tf.Module):
    """Layers in a loop over stacked kernels."""

    def __init__(self) -> None:
        super().__init__(name="stacked")
        self.kernels = tf.Variable(projections(), name="kernels")

    @tf.function
    def __call__(self, x: Any) -> Any:
        for place in tf.range(LAYERS):
            x = attend(x, self.kernels[place])
        return x


def test_a_loop_over_layers() -> None:
    """A layer for each turn, with its place in the name."""
    model, x = Stacked(), states()
    trace = attncore.trace(model, tf.constant(x))
    assert_layers(trace, stack_weights(x, projections()))
    assert [layer.name for layer in trace] == [f"stacked/{place}" for place in range(LAYERS)]
    np.testing.assert_allclose(trace.output, model(tf.constant(x)), rtol=0, atol=4e-6)


def test_a_loop_in_a_saved_model(tmp_path: Path) -> None:
    """Without the Python code, through its signature too."""
    model, x = Stacked(), states()
    tf.saved_model.save(model, str(tmp_path), signatures=model.__call__.get_concrete_function(tf.TensorSpec(x.shape)))
    loaded = tf.saved_model.load(str(tmp_path))
    for entry in (loaded, loaded.signatures["serving_default"]):
        given = attncore.Inputs(x=tf.constant(x)) if entry is not loaded else tf.constant(x)
        assert_layers(attncore.trace(entry, given), stack_weights(x, projections()))


def test_a_loop_whose_turns_share_a_layer() -> None:
    """Calls of one layer, numbered."""
    kernels, x = tf.Variable(projections(1)[0]), states()

    @tf.function
    def model(x: Any) -> Any:
        for _ in tf.range(2):
            x = attend(x, kernels)
        return x

    trace = attncore.trace(model, tf.constant(x))
    first, after = weights_of(x, projections(1)[0])
    assert_layers(trace, [first, weights_of(after, projections(1)[0])[0]])
    assert [layer.call for layer in trace] == [0, 1]


def test_a_loop_within_a_loop() -> None:
    """Two passes through stacked layers."""
    kernels, x = tf.Variable(projections()), states()

    @tf.function
    def model(x: Any) -> Any:
        for _ in tf.range(2):
            for place in tf.range(LAYERS):
                x = attend(x, kernels[place])
        return x

    trace = attncore.trace(model, tf.constant(x))
    twice = np.concatenate([projections(), projections()])
    assert_layers(trace, stack_weights(x, twice))


@pytest.mark.parametrize("yes", [True, False])
def test_a_branch(yes: bool) -> None:
    """Only the one that ran."""
    one, other = (tf.Variable(kernels) for kernels in projections(2))
    x = states()

    @tf.function
    def model(x: Any, which: Any) -> Any:
        if which:  # noqa: SIM108 - the statement is what is tested
            x = attend(x, one)
        else:
            x = attend(x, other)
        return x

    trace = attncore.trace(model, (tf.constant(x), tf.constant(yes)))
    assert_layers(trace, [weights_of(x, projections(2)[0 if yes else 1])[0]])


def test_a_branch_in_a_loop() -> None:
    """The first turn takes one, the others another, by `tf.switch_case`."""
    kernels, x = tf.Variable(projections(2)), states()

    @tf.function
    def model(x: Any) -> Any:
        for turn in tf.range(3):
            x = tf.switch_case(
                tf.minimum(turn, 1), [lambda x=x: attend(x, kernels[0]), lambda x=x: attend(x, kernels[1])]
            )
        return x

    expected = stack_weights(x, projections(2)[[0, 1, 1]])
    assert_layers(attncore.trace(model, tf.constant(x)), expected)


def decoded(x: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Causal weights (batch, heads, length, length) of steps that each see what is before them."""
    rows = [weights_of(x[:, : step + 1], kernels)[0][:, :, -1] for step in range(x.shape[1])]
    return np.stack([np.pad(row, ((0, 0), (0, 0), (0, LENGTH - row.shape[2]))) for row in rows], axis=2)


def test_a_decoding_loop_with_a_growing_cache() -> None:
    """One layer: the steps are its queries."""
    kernels, x = tf.Variable(projections(1)[0]), states()

    @tf.function
    def model(x: Any) -> Any:
        keys = values = tf.zeros((BATCH, HEADS, 0, HEAD_DIM))
        mixed = tf.zeros((BATCH, 0, DIM))
        for step in tf.range(LENGTH):
            tf.autograph.experimental.set_loop_options(
                shape_invariants=[
                    (keys, tf.TensorShape((BATCH, HEADS, None, HEAD_DIM))),
                    (values, tf.TensorShape((BATCH, HEADS, None, HEAD_DIM))),
                    (mixed, tf.TensorShape((BATCH, None, DIM))),
                ]
            )
            token = x[:, step : step + 1]
            keys = tf.concat([keys, split(token @ kernels[1])], axis=2)
            values = tf.concat([values, split(token @ kernels[2])], axis=2)
            scores = tf.matmul(split(token @ kernels[0]), keys, transpose_b=True) * HEAD_DIM**-0.5
            mixed = tf.concat([mixed, join(tf.nn.softmax(scores) @ values)], axis=1)
        return mixed

    assert_layers(attncore.trace(model, tf.constant(x)), [decoded(x, projections(1)[0])])


def test_a_decoding_loop_with_a_cache_of_fixed_size() -> None:
    """Written to by one-hot rows, and masked where nothing is yet."""
    kernels, x = tf.Variable(projections(1)[0]), states()

    @tf.function
    def model(x: Any) -> Any:
        keys = values = tf.zeros((BATCH, HEADS, LENGTH, HEAD_DIM))
        mixed = tf.TensorArray(tf.float32, size=LENGTH)
        for step in tf.range(LENGTH):
            token = x[:, step : step + 1]
            here = (tf.range(LENGTH) == step)[:, None]
            keys = tf.where(here, split(token @ kernels[1]), keys)
            values = tf.where(here, split(token @ kernels[2]), values)
            scores = tf.matmul(split(token @ kernels[0]), keys, transpose_b=True) * HEAD_DIM**-0.5
            scores = tf.where(tf.range(LENGTH) <= step, scores, -np.inf)
            mixed = mixed.write(step, join(tf.nn.softmax(scores) @ values))
        return mixed.stack()

    trace = attncore.trace(model, tf.constant(x))
    assert_layers(trace, [decoded(x, projections(1)[0])])


def test_steps_in_calls_of_their_own() -> None:
    """A prompt and its steps with a cache that the caller carries become one layer."""
    kernels, x = tf.Variable(projections(1)[0]), states()

    @tf.function
    def model(x: Any, cache: Any) -> Any:
        keys, values = (
            tf.concat([held, split(x @ kernels[place])], axis=2) for place, held in zip((1, 2), cache, strict=True)
        )
        scores = tf.matmul(split(x @ kernels[0]), keys, transpose_b=True) * HEAD_DIM**-0.5
        places = tf.range(tf.shape(keys)[2])
        seen = places[-tf.shape(x)[1] :, None] >= places
        return join(tf.nn.softmax(tf.where(seen, scores, -np.inf)) @ values), (keys, values)

    empty = tf.zeros((BATCH, HEADS, 0, HEAD_DIM))
    with attncore.capture(model) as session:
        _, cache = session(tf.constant(x[:, :4]), (empty, empty))
        for step in range(4, LENGTH):
            _, cache = session(tf.constant(x[:, step : step + 1]), cache)
    trace = session.trace()
    assert_layers(trace, [decoded(x, projections(1)[0])])
    assert any("merged" in note for note in trace[0].notes)


def test_numbers_of_a_loop_are_not_those_of_operations_around_it_with_the_same_names() -> None:
    """TensorFlow counts names anew in each function: each has a "transpose/perm" of its own here."""
    kernels = [tf.Variable(tf.random.stateless_normal((DIM, DIM), (0, seed))) for seed in range(2)]

    @tf.function
    def call(x: Any) -> Any:
        def turn(step: Any, x: Any, _: Any) -> Any:
            query, key = (
                tf.transpose(tf.reshape(x @ kernel, (2, 6, HEADS, HEAD_DIM)), (0, 2, 1, 3)) for kernel in kernels
            )
            weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True))
            return step + 1, x + tf.reshape(tf.transpose(weights @ key, (0, 2, 1, 3)), x.shape), weights

        start = tf.zeros((2, HEADS, 6, 6))
        return tf.while_loop(lambda step, *_: step < 2, turn, (0, tf.transpose(x, (1, 0, 2)), start))[1:]

    x = tf.random.stateless_normal((6, 2, DIM), (0, 5))
    trace = attncore.trace(call, x)
    assert [one.shape for one in trace] == [(2, HEADS, 6, 6)] * 2
    np.testing.assert_allclose(trace[1].weights, call(x)[1], rtol=0, atol=1e-5)
