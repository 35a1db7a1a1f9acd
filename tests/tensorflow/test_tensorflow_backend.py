"""What the TensorFlow backend takes, what the options mean to it, and that it leaves models alone."""

from __future__ import annotations

import gc
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf
from keras import layers
from tensorflow_blocks import BATCH, DIM, HEAD_DIM, HEADS, LENGTH, attend, projections, split, stack_weights, states

import attncore
from attncore.api import choose_backend

# Keras reads a .keras file by handing its own variables to numpy, without the keyword that numpy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


class Encoder(tf.Module):
    """Two layers by hand."""

    def __init__(self) -> None:
        super().__init__(name="encoder")
        self.layers = [{"attn": tf.Variable(kernels)} for kernels in projections(2)]
        self.traced = 0

    @tf.function
    def __call__(self, x: Any) -> Any:
        self.traced += 1
        for layer in self.layers:
            x = attend(x, layer["attn"])
        return x


def keras_encoder() -> Any:
    """Two layers of Keras, embedded."""
    inputs = keras.Input((None,), dtype="int32", name="input_ids")
    x = layers.Embedding(20, DIM, name="embedding")(inputs)
    for place in range(2):
        x = x + layers.MultiHeadAttention(HEADS, HEAD_DIM, name=f"layer_{place}_attention")(x, x)
    return keras.Model(inputs, x, name="encoder")


IDS = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])


@pytest.fixture(scope="module")
def model() -> Encoder:
    """One for all tests that do not change it."""
    return Encoder()


def test_the_backend_is_chosen_by_the_object(model: Encoder) -> None:
    """A bound method, a concrete function, a partial and a plain function are TensorFlow's too."""
    x = tf.constant(states())

    def plain(x: Any) -> Any:
        return tf.identity(model(x))

    concrete = model.__call__.get_concrete_function(tf.TensorSpec(x.shape))
    for one in (model, model.__call__, concrete, partial(model), partial(plain, x=x), plain, keras_encoder()):
        assert choose_backend(one).name == "tensorflow", one


@pytest.mark.parametrize("entry", ["module", "method", "function", "lambda"])
def test_ways_to_give_a_model(model: Encoder, entry: str) -> None:
    """All show the same."""
    x = states()
    given = {
        "module": model,
        "method": model.__call__,
        "function": tf.function(lambda x: model(x)),
        "lambda": lambda x: model(tf.cast(x, tf.float32)),
    }[entry]
    trace = attncore.trace(given, tf.constant(x))
    for layer, weights in zip(trace, stack_weights(x, projections(2)), strict=True):
        assert np.abs(np.asarray(layer.weights) - weights).max() <= 1e-5


def test_names_axes_and_ids_of_a_keras_model() -> None:
    """Layers by Keras' paths, the axis by the model's input."""
    trace = attncore.trace(keras_encoder(), IDS)
    assert [layer.name for layer in trace] == ["layer_0_attention", "layer_1_attention"]
    assert [layer.kind for layer in trace] == ["self", "self"]
    assert list(trace.axes) == ["tokens"]
    assert trace.axes["tokens"].length == 5
    assert trace.provenance.backend == "tensorflow"


class TwoInputs(keras.Model):  # type: ignore[misc]
    """A model that somebody wrote as a class, with parameters of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = layers.MultiHeadAttention(HEADS, HEAD_DIM)

    def call(self, x: Any, scale: Any) -> Any:
        return self.attention(x * scale, x)


def test_a_mapping_is_what_the_keras_model_means_by_it() -> None:
    """Names of inputs make one argument; names of parameters of the model's own call are keywords."""
    x, scale = states(), np.float32(2)
    first, second = keras.Input((None, DIM), name="first"), keras.Input((None, DIM), name="second")
    attention = layers.MultiHeadAttention(HEADS, HEAD_DIM)
    model = keras.Model({"first": first, "second": second}, attention(first, second))
    _, expected = attention(x, x + 1, return_attention_scores=True)
    trace = attncore.trace(model, {"second": x + 1, "first": x})
    assert np.abs(np.asarray(trace[0].weights) - expected.numpy()).max() < 1e-6
    own = TwoInputs()
    _, expected = own.attention(x * scale, x, return_attention_scores=True)
    trace = attncore.trace(own, {"scale": tf.constant(scale), "x": x})
    assert np.abs(np.asarray(trace[0].weights) - expected.numpy()).max() < 1e-6


def test_tokens_label_the_axis() -> None:
    """As with every backend."""
    trace = attncore.trace(keras_encoder(), IDS[:1], tokens=["a", "b", "c", "d", "e"])
    assert list(trace.axes["tokens"].labels[0]) == ["a", "b", "c", "d", "e"]


def test_lists_of_numbers_are_arrays_to_keras() -> None:
    """Keras takes them so as well."""
    trace = attncore.trace(keras_encoder(), attncore.Inputs(IDS.tolist()))
    assert trace[0].shape == (2, HEADS, 5, 5)


def test_keep_qk_computes_what_keep_weights_holds(model: Encoder) -> None:
    """And holds the queries and keys alone."""
    x = tf.constant(states())
    held = attncore.trace(model, x, keep="weights")
    computed = attncore.trace(model, x, keep="qk", values=False)
    for one, other in zip(held, computed, strict=True):
        assert (one.computed, other.computed) == ("observed", "recomputed")
        np.testing.assert_allclose(one.weights, other.weights, rtol=0, atol=1e-6)
        assert other.value is None
        assert other.query.shape == other.key.shape == (BATCH, HEADS, LENGTH, HEAD_DIM)


def test_query_key_and_value_are_the_models_own(model: Encoder) -> None:
    """(batch, heads, length, head_dim), of the first layer."""
    x = states()
    layer = attncore.trace(model, tf.constant(x))[0]
    for place, found in enumerate((layer.query, layer.key, layer.value)):
        expected = split(tf.constant(x @ projections(2)[0][place])).numpy()
        np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=1e-5)


def test_layers_and_heads_are_chosen(model: Encoder) -> None:
    """By place, by name and by number."""
    x = tf.constant(states())
    whole = attncore.trace(model, x)
    last = attncore.trace(model, x, layers=[-1], heads=[2])
    assert [layer.name for layer in last] == [whole[1].name]
    np.testing.assert_array_equal(last[0].weights, np.asarray(whole[1].weights)[:, 2:])
    by_name = attncore.trace(model, x, layers=whole[0].name)
    assert [layer.index for layer in by_name] == [0]
    with pytest.raises(attncore.SelectionError, match="layers/7"):
        attncore.trace(model, x, layers="layers/7")


def test_reduce_keeps_the_result_alone(model: Encoder) -> None:
    """What `reduce` returns, and no arrays."""
    x = tf.constant(states())
    whole = attncore.trace(model, x)
    trace = attncore.trace(model, x, reduce=lambda layer: np.asarray(layer.weights).mean(axis=1))
    np.testing.assert_allclose(trace[0].reduced, np.asarray(whole[0].weights).mean(axis=1), rtol=0, atol=1e-7)
    assert trace[0].query is None


def test_weights_in_another_type(model: Encoder) -> None:
    """float16 as numpy's own, bfloat16 read as float32."""
    x = tf.constant(states())
    assert attncore.trace(model, x, keep="weights", dtype="float16")[0].weights[...].dtype == np.float16
    rough = attncore.trace(model, x, keep="weights", dtype="bfloat16")[0]
    exact = attncore.trace(model, x)[0]
    assert np.abs(np.asarray(rough.weights) - np.asarray(exact.weights)).max() <= 2**-8
    for wrong in ({"dtype": "int8"}, {"device": "gpu:0"}):
        with pytest.raises(attncore.OptionError, match=next(iter(wrong))):
            attncore.trace(model, x, **wrong)


def test_the_gradient_of_the_loss_by_the_weights(model: Encoder) -> None:
    """Against differences of the loss, in numpy in float64, at each weight of a row."""
    x, kernels = states(), projections(1)[0]

    def loss(x: Any) -> Any:
        return tf.reduce_sum(attend(x, tf.constant(kernels)) ** 2)

    layer = attncore.trace(tf.function(loss), tf.constant(x), grad=True)[0]
    value = (x.astype(np.float64) @ kernels[2]).reshape(BATCH, LENGTH, HEADS, HEAD_DIM).swapaxes(1, 2)
    weights = stack_weights(x, kernels[None])[0]
    mixed = x.reshape(BATCH, LENGTH, HEADS, HEAD_DIM).swapaxes(1, 2) + weights @ value
    np.testing.assert_allclose(layer.weights_grad, 2 * mixed @ value.swapaxes(2, 3), rtol=1e-4, atol=1e-4)
    with pytest.raises(attncore.CaptureError, match="loss"):
        attncore.trace(model, tf.constant(x), grad=True)


def test_outputs_keep_their_structure() -> None:
    """Dictionaries, tuples and None as the function returns them."""

    @tf.function
    def model(x: Any, flag: bool = False) -> Any:
        y = attend(x, tf.constant(projections(1)[0]))
        return {"hidden": y, "pair": (y, None), "flag": flag}

    x = tf.constant(states())
    trace = attncore.trace(model, attncore.Inputs(x, flag=True))
    plain = model(x, flag=True)
    assert set(trace.output) == set(plain)
    assert trace.output["pair"][1] is None
    np.testing.assert_allclose(trace.output["hidden"], plain["hidden"], rtol=0, atol=4e-6)


def test_ragged_input() -> None:
    """Rows of their own lengths, padded inside the model."""

    @tf.function
    def model(x: Any) -> Any:
        return attend(x.to_tensor(), tf.constant(projections(1)[0]))

    x = states()
    ragged = tf.RaggedTensor.from_tensor(tf.constant(x), lengths=[LENGTH, 4])
    padded = x.copy()
    padded[1, 4:] = 0
    trace = attncore.trace(model, attncore.Inputs(ragged))
    np.testing.assert_allclose(trace[0].weights, stack_weights(padded, projections(1))[0], rtol=0, atol=1e-5)


def test_a_program_is_kept_for_each_signature() -> None:
    """The Python code runs once for a shape, and the model's own cache of programs is left alone."""
    model = Encoder()
    for _ in range(3):
        attncore.trace(model, tf.constant(states()))
    assert model.traced == 1
    attncore.trace(model, tf.constant(states(length=5)))
    assert model.traced == 2
    assert model.__call__.experimental_get_tracing_count() == 0


def test_a_changed_variable_is_seen_by_a_kept_program() -> None:
    """Variables are read when it runs."""
    model, x = Encoder(), states()
    attncore.trace(model, tf.constant(x))
    kernels = projections(2) * 0.5
    for layer, one in zip(model.layers, kernels, strict=True):
        layer["attn"].assign(one)
    for layer, weights in zip(attncore.trace(model, tf.constant(x)), stack_weights(x, kernels), strict=True):
        np.testing.assert_allclose(layer.weights, weights, rtol=0, atol=1e-5)


def test_a_changed_attribute_of_a_keras_layer_is_seen() -> None:
    """Python code of a model that is not compiled may mean something else later."""
    layer = layers.MultiHeadAttention(HEADS, HEAD_DIM, dropout=0.5)
    x = states()
    inputs = attncore.Inputs(x, x, training=True)
    assert any("dropout" in note for note in attncore.trace(layer, inputs)[0].notes)
    layer._dropout_layer.rate = 0.0
    assert not any("dropout" in note for note in attncore.trace(layer, inputs)[0].notes)


def test_a_model_can_be_forgotten() -> None:
    """What is kept for a model does not keep it alive."""
    model = Encoder()
    attncore.trace(model, tf.constant(states()))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_losses_of_layers_are_as_before() -> None:
    """Keras notes tensors of the graph while it is traced; none is left behind."""
    layer = layers.MultiHeadAttention(HEADS, HEAD_DIM, kernel_regularizer="l2")
    x = states()
    layer(x, x)
    before = [float(loss) for loss in layer.losses]
    attncore.trace(layer, attncore.Inputs(x, x))
    assert [float(loss) for loss in layer.losses] == before


def test_a_saved_file_is_untouched(tmp_path: Path) -> None:
    """Loaded, captured, and still the same bytes."""
    model = keras_encoder()
    model.save(tmp_path / "model.keras")
    before = (tmp_path / "model.keras").read_bytes()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(attncore.trace(loaded, IDS)) == 2
    assert (tmp_path / "model.keras").read_bytes() == before


def test_a_loaded_model_without_a_call_is_its_signature(tmp_path: Path) -> None:
    """The only one, or the one for serving."""
    model = Encoder()
    signature = model.__call__.get_concrete_function(tf.TensorSpec((None, LENGTH, DIM), tf.float32, name="x"))
    holder = tf.Module()
    holder.model = model
    tf.saved_model.save(holder, str(tmp_path), signatures={"encode": signature})
    loaded = tf.saved_model.load(str(tmp_path))
    trace = attncore.trace(loaded, attncore.Inputs(x=tf.constant(states())))
    assert len(trace) == 2
    assert trace.provenance.model == "signature_wrapper"  # without TensorFlow's frame and number around it


def test_what_cannot_be_traced_says_so() -> None:
    """With what to do about it."""

    def model(x: Any) -> Any:
        return attend(x, tf.constant(projections(1)[0])) * float(tf.reduce_sum(x).numpy())

    with pytest.raises(attncore.UnsupportedModelError, match=r"graph of model, .*numpy.* Where it asks") as caught:
        attncore.trace(model, tf.constant(states()))
    assert "in user code" not in str(caught.value)


def test_a_fixed_signature_says_which_types_came() -> None:
    """TensorFlow's own error, with a note on what the call was traced with."""

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)])
    def model(ids: Any) -> Any:
        return attend(tf.one_hot(ids, DIM), tf.constant(projections(1)[0]))

    ids = np.arange(BATCH * LENGTH).reshape(BATCH, LENGTH)
    with pytest.raises((TypeError, ValueError)) as caught:
        attncore.trace(model, ids)
    notes = " ".join(caught.value.__notes__)
    assert f"int64 ({BATCH}, {LENGTH})" in notes
    assert "tf.constant(x, tf.int32)" in notes
    assert len(attncore.trace(model, tf.constant(ids, tf.int32))) == 1


def test_a_users_own_error_stays_theirs(model: Encoder) -> None:
    """And the session can be used again."""
    with attncore.capture(model) as session:
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            session(tf.zeros((BATCH, LENGTH, DIM + 1)))
        session(tf.constant(states()))
    assert len(session.trace()) == 2


def test_a_session_must_be_open_and_called(model: Encoder) -> None:
    """And not inside a graph."""
    session = attncore.capture(model)
    with pytest.raises(attncore.CaptureError, match="inside its block"):
        session(tf.constant(states()))
    with session as opened:
        model(tf.constant(states()))
        with pytest.raises(attncore.CaptureError, match="already"):
            opened.__enter__()
        with pytest.raises(attncore.CaptureError, match="was not called"):
            opened.trace()
        with pytest.raises(attncore.CaptureError, match="builds a graph"):
            tf.function(lambda x: opened(x))(tf.constant(states()))


def test_random_numbers_are_as_after_a_plain_call() -> None:
    """The state of Keras' generators moves on once, as it would without a capture."""

    def run(captured: bool) -> Any:
        keras.utils.set_random_seed(3)
        layer = layers.MultiHeadAttention(HEADS, HEAD_DIM, dropout=0.5)
        x = states()
        layer(x, x)
        if captured:
            attncore.trace(layer, attncore.Inputs(x, x, training=True))
        else:
            layer(x, x, training=True)
        return layer(x, x, training=True).numpy()

    np.testing.assert_allclose(run(True), run(False), rtol=0, atol=1e-6)


def test_values_and_output_in_one_product() -> None:
    """A product of three sums over keys and heads at once; only the keys are the last axis of the weights."""
    random = np.random.default_rng(3)
    shapes = {"query": (24, 4, 6), "key": (24, 4, 6), "value": (24, 4, 6), "out": (4, 6, 24)}
    kernels = {name: tf.Variable(random.normal(size=shape), dtype=tf.float32) for name, shape in shapes.items()}
    x = random.normal(size=(1, 5, 24)).astype(np.float32)

    @tf.function
    def layer(x: Any) -> Any:
        query, key, value = (tf.einsum("btd,dhe->bhte", x, kernels[name]) for name in ("query", "key", "value"))
        weights = tf.nn.softmax(tf.einsum("bhqe,bhke->bhqk", query, key) * 6**-0.5)
        return tf.einsum("bhqk,bhke,hed->bqd", weights, value, kernels["out"])

    found = attncore.trace(layer, tf.constant(x))[0]
    query, key = (
        np.einsum("btd,dhe->bhte", x.astype(np.float64), kernels[name].numpy().astype(np.float64))
        for name in ("query", "key")
    )
    scores = np.exp(query @ key.swapaxes(-1, -2) * 6**-0.5)
    np.testing.assert_allclose(found.weights[:], scores / scores.sum(-1, keepdims=True), atol=1e-5)
