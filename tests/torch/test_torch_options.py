"""What can be asked of a capture: layers, heads, what to keep, types, gradients, reductions, generation."""

import copy
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_models import DIM, HEADS, Language, Stack, assert_weights, expected, hidden, token_ids, untouched

import attncore

HOWS: list[dict[str, Any]] = [{"how": "sdpa"}, {"how": "manual"}, {"how": "sdpa", "kv_heads": 2, "causal": True}]
NAMES = [f"blocks.{number}.attention" for number in range(3)]


def three() -> Stack:
    """Three layers."""
    return Stack(depth=3)


# Layers and heads.


@pytest.mark.parametrize(
    ("layers", "places"),
    [
        (0, [0]),
        (-1, [2]),
        (NAMES[1], [1]),
        ("blocks.[02].*", [0, 2]),
        (slice(1, None), [1, 2]),
        (slice(None, None, 2), [0, 2]),
        (lambda layer: layer.index > 0, [1, 2]),
        (lambda layer: layer.name.startswith("blocks.0"), [0]),
        ([0, "blocks.2.attention"], [0, 2]),
        ([2, 0], [0, 2]),
        (None, [0, 1, 2]),
    ],
)
def test_layers(layers: Any, places: list[int]) -> None:
    """Indices, names, globs, slices and functions choose layers, which keep their index in the model."""
    model, x = three(), hidden()
    references = expected(model, x)
    with untouched(model):
        trace = attncore.trace(model, x, layers=layers)
    assert [layer.name for layer in trace] == [NAMES[place] for place in places]
    assert [layer.index for layer in trace] == places
    assert_weights(trace, [references[place] for place in places])


@pytest.mark.parametrize(
    ("layers", "named"), [(7, "3"), (-4, "3"), ("blocks.9.*", NAMES[0]), ([0, "nothing"], "nothing")]
)
def test_layers_that_do_not_exist(layers: Any, named: str) -> None:
    """The error says what there is."""
    model, x = three(), hidden()
    with untouched(model), pytest.raises(attncore.SelectionError) as caught:
        attncore.trace(model, x, layers=layers)
    assert named in str(caught.value)


def test_a_layer_almost_named() -> None:
    """The error suggests the nearest name."""
    with pytest.raises(attncore.SelectionError, match=r"did you mean .*blocks\.1\.attention"):
        attncore.trace(three(), hidden(), layers="blocks.1.atention")


@pytest.mark.parametrize("options", HOWS, ids=str)
@pytest.mark.parametrize("keep", ["weights", "qk", "auto"])
@pytest.mark.parametrize("heads", [[1, 3], 2, -1, slice(0, 2), [3, 0]])
def test_heads(options: dict[str, Any], keep: Any, heads: Any) -> None:
    """Some heads have the weights that they have among all, and their own numbers."""
    model, x = Stack(**options), hidden()
    chosen = (
        [heads % HEADS] if isinstance(heads, int) else list(range(HEADS))[heads] if isinstance(heads, slice) else heads
    )
    trace = attncore.trace(model, x, heads=heads, keep=keep)
    assert_weights(trace, [reference[:, chosen] for reference in expected(model, x)])
    assert {layer.head_numbers() for layer in trace} == {tuple(chosen)}
    assert trace[0].query is None or trace[0].query.shape[1] == len(chosen)


@pytest.mark.parametrize("heads", [99, -5, [0, 4]])
def test_heads_that_do_not_exist(heads: Any) -> None:
    """The error says how many there are, and the model is as it was."""
    model, x = Stack(), hidden()
    with untouched(model), pytest.raises(attncore.SelectionError, match="4 heads"):
        attncore.trace(model, x, heads=heads)


# What to keep.


@pytest.mark.parametrize("options", HOWS, ids=str)
def test_keep(options: dict[str, Any]) -> None:
    """Held or computed when read, the weights are equal."""
    model, x = Stack(**options), hidden()
    references = expected(model, x)
    traces = {keep: attncore.trace(model, x, keep=keep) for keep in ("weights", "qk", "auto")}
    for trace in traces.values():
        assert_weights(trace, references)
    for held, computed in zip(traces["weights"], traces["qk"], strict=True):
        assert np.abs(np.asarray(held.weights) - np.asarray(computed.weights)).max() <= 1e-6
        assert np.allclose(computed.weights[1, 2], np.asarray(computed.weights)[1, 2], atol=1e-6)


def test_what_is_held_does_not_change_with_the_model() -> None:
    """A trace keeps its values when the model's inputs and parameters are overwritten afterwards."""
    model, x = Stack(), hidden()
    references = expected(model, x)
    traces = [attncore.trace(model, x, keep=keep) for keep in ("weights", "qk")]
    with torch.no_grad():
        x.zero_()
        for parameter in model.parameters():
            parameter.zero_()
    for trace in traces:
        assert_weights(trace, references)


@pytest.mark.parametrize("keep", ["weights", "qk"])
def test_query_key_and_value(keep: Any) -> None:
    """They are the model's own, with key heads not repeated more than the model repeats them."""
    model, x = Stack(depth=1), hidden()
    attention = model.blocks[0].attention
    layer = attncore.trace(model, x, keep=keep)[0]
    with torch.no_grad():
        own = attention.split(model.blocks[0].norm(x))
    for held, tensor in zip((layer.query, layer.key, layer.value), own, strict=True):
        assert held is not None
        assert np.allclose(np.asarray(held), tensor.numpy(), atol=1e-6)
    assert layer.scale == pytest.approx((DIM // HEADS) ** -0.5)


@pytest.mark.parametrize("how", ["sdpa", "manual"])
def test_without_values(how: str) -> None:
    """``values=False`` drops the value vectors and nothing else."""
    model, x = Stack(how=how), hidden()
    trace = attncore.trace(model, x, values=False)
    assert [layer.value for layer in trace] == [None, None]
    assert trace[0].query is not None
    assert_weights(trace, expected(model, x))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float16", 1e-3), ("bfloat16", 1e-2), ("float32", 1e-6), ("float64", 1e-6)]
)
@pytest.mark.parametrize("how", ["sdpa", "manual"])
def test_dtype(how: str, dtype: str, tolerance: float) -> None:
    """Held weights have the type asked for."""
    model, x = Stack(how=how), hidden()
    trace = attncore.trace(model, x, keep="weights", dtype=dtype)
    # numpy has no bfloat16: it is held in two bytes and read as float32.
    assert str(trace[0].weights.dtype) == ("float32" if dtype == "bfloat16" else dtype)
    assert trace[0].weights.held_bytes == trace[0].weights.size * (
        4 if dtype == "float32" else 8 if dtype == "float64" else 2
    )
    assert_weights(trace, expected(model, x), tolerance)


def test_device() -> None:
    """``device="cpu"`` is understood and changes nothing on a CPU."""
    model, x = Stack(), hidden()
    assert_weights(attncore.trace(model, x, device="cpu"), expected(model, x))


def test_a_model_without_numbers() -> None:
    """What is read of a trace on the device "meta" says why there is nothing to read."""
    model = three().to("meta")
    trace = attncore.trace(model, hidden().to("meta"))
    assert trace[0].shape[1] == HEADS
    with pytest.raises(attncore.UnavailableError, match='device "meta", which holds shapes alone'):
        trace[0].weights[0, 0]


# Gradients.


def gradients_by_hand(model: Stack, x: Tensor, loss: Callable[[Tensor], Tensor]) -> list[np.ndarray[Any, Any]]:
    """What ``retain_grad`` gives in a copy of the model that computes its weights in the open."""
    other = copy.deepcopy(model)
    for block in other.blocks:
        block.attention.how = "kept"
    loss(other(x)).backward()
    return [block.attention.kept[0].grad.numpy() for block in other.blocks]


@pytest.mark.parametrize("options", HOWS, ids=str)
@pytest.mark.parametrize("more", [{}, {"keep": "weights"}, {"keep": "qk", "values": False}], ids=str)
def test_gradients(options: dict[str, Any], more: dict[str, Any]) -> None:
    """The gradient with respect to the weights is that of ``retain_grad``, for fused kernels too."""
    model, x = Stack(**options), hidden()

    def loss(output: Tensor) -> Tensor:
        return output.square().mean()

    references = gradients_by_hand(model, x, loss)
    trace = attncore.trace(model, x, grad=True, **more)
    loss(trace.output).backward()
    for layer, reference in zip(trace, references, strict=True):
        gradient = np.asarray(layer.weights_grad)
        assert gradient.shape == reference.shape
        allowed = np.asarray(layer.weights) > 0  # a masked weight's gradient goes nowhere
        assert np.abs(gradient - reference)[allowed].max() <= 1e-6 * max(1.0, np.abs(reference).max())


@pytest.mark.parametrize("options", HOWS, ids=str)
def test_gradients_of_some_heads(options: dict[str, Any]) -> None:
    """Chosen while capturing or afterwards, heads keep their own gradient."""
    model, x = Stack(**options), hidden()
    traces = [
        attncore.trace(model, x, grad=True, heads=[2, 0]),
        attncore.trace(model, x, grad=True).select(heads=[2, 0]),
    ]
    (traces[0].output.square().sum() + traces[1].output.square().sum()).backward()
    for one, two in zip(*traces, strict=True):
        assert one.weights_grad.shape == (2, 2, 6, 6)
        assert np.allclose(one.weights_grad, two.weights_grad, atol=1e-6)


def test_no_gradient_without_a_backward() -> None:
    """The error says what is missing: the option, or the backward pass."""
    model, x = Stack(), hidden()
    with pytest.raises(attncore.UnavailableError, match="grad=True"):
        _ = attncore.trace(model, x)[0].weights_grad
    with pytest.raises(attncore.UnavailableError, match="backward"):
        _ = attncore.trace(model, x, grad=True)[0].weights_grad
    with torch.no_grad(), pytest.raises(attncore.UnavailableError, match="backward"):
        _ = attncore.trace(model, x, grad=True)[0].weights_grad


# Reductions.


@pytest.mark.parametrize("options", HOWS, ids=str)
def test_reduce(options: dict[str, Any]) -> None:
    """The function sees each layer's weights while the model runs; only its result is kept."""
    model, x = Stack(**options), hidden()
    seen: list[str] = []

    def strongest(layer: attncore.AttentionLayer) -> Any:
        seen.append(layer.name)
        return np.asarray(layer.weights).max(axis=-1)

    trace = attncore.trace(model, x, reduce=strongest)
    assert seen == [layer.name for layer in trace]
    for layer, reference in zip(trace, expected(model, x), strict=True):
        assert np.allclose(layer.reduced, reference.max(-1), atol=1e-5)
        assert layer.query is layer.key is layer.value is None
        with pytest.raises(attncore.UnavailableError, match="reduce="):
            _ = layer.weights


def test_reduce_with_layers_and_heads() -> None:
    """Only what was chosen is reduced."""
    model, x = three(), hidden()
    trace = attncore.trace(model, x, layers=[1], heads=[3], reduce=lambda layer: layer.shape)
    assert [layer.reduced for layer in trace] == [(2, 1, 6, 6)]


def test_an_error_in_reduce() -> None:
    """The user's error arrives as it is, and nothing is left behind."""
    model, x = Stack(), hidden()
    with untouched(model), pytest.raises(ZeroDivisionError):
        attncore.trace(model, x, reduce=lambda layer: 1 / 0)


# Options that are wrong.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"keep": "everything"}, "weights"),
        ({"dtype": "int8"}, "float16"),
        ({"dtype": "float33"}, "float16"),
        ({"layers": []}, "empty"),
        ({"layers": True}, "True"),
        ({"layers": 1.5}, "1.5"),
        ({"layers": [0, None]}, "None"),
        ({"heads": []}, "nothing"),
        ({"heads": "all"}, "head numbers"),
        ({"heads": [1.5]}, "1.5"),
        ({"reduce": 3}, "function"),
        ({"reduce": len, "grad": True}, "one of the two"),
        ({"layer": 1}, 'did you mean "layers"'),
        ({"device": "nowhere"}, "nowhere"),
    ],
    ids=str,
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    """An option that is not understood is an error that says what would be, and nothing is left behind."""
    model, x = Stack(), hidden()
    with untouched(model), pytest.raises(attncore.OptionError) as caught:
        attncore.trace(model, x, **options)
    assert words in str(caught.value)


# Several calls.


def causal_model(family: str, implementation: str) -> Any:
    """A tiny language model with a cache."""
    transformers: Any = pytest.importorskip("transformers")
    sizes = {"vocab_size": 40, "bos_token_id": 1, "eos_token_id": None, "pad_token_id": 0}
    if family == "llama":
        part = {"hidden_size": 24, "intermediate_size": 24, "num_hidden_layers": 2}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
        config = transformers.LlamaConfig(**sizes, **part, **heads)
    else:
        config = transformers.GPT2Config(**sizes, n_embd=24, n_layer=2, n_head=4, n_positions=32)
    return transformers.AutoModelForCausalLM.from_config(config, attn_implementation=implementation).eval()


@pytest.mark.parametrize("keep", ["auto", "weights", "qk"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_generation(family: str, implementation: str, keep: Any) -> None:
    """The steps of a generation are one attention, equal to that of one forward over the whole text."""
    model = causal_model(family, implementation)
    ids = torch.randint(2, 40, (2, 5))
    plain = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False)
    with untouched(model), attncore.capture(model, keep=keep) as session:
        text = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False)
    assert torch.equal(text, plain)
    trace = session.trace()
    whole = attncore.trace(model, {"input_ids": text[:, :-1]}, keep="weights")
    assert_weights(trace, [np.asarray(layer.weights, dtype=np.float64) for layer in whole])
    assert trace[0].shape == (2, 4, 8, 8)
    steps = trace.axes_of(trace[0])[1].steps
    assert steps is not None
    assert steps.tolist() == [0, 0, 0, 0, 0, 1, 2, 3]


@pytest.mark.parametrize("keep", ["auto", "weights", "qk"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_generation_with_a_static_cache(implementation: str, keep: Any) -> None:
    """A cache with room for keys that are not written yet gives the same attention as one that grows."""
    model = causal_model("llama", implementation)
    ids = torch.randint(2, 40, (2, 5))
    settings: Any = {"max_new_tokens": 4, "do_sample": False, "cache_implementation": "static"}
    with attncore.capture(model, keep=keep) as session:
        text = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    whole = attncore.trace(model, {"input_ids": text[:, :-1]}, keep="weights")
    trace = session.trace()
    assert_weights(trace, [np.asarray(layer.weights, dtype=np.float64) for layer in whole])
    assert trace[0].shape == (2, 4, 8, 8)
    assert trace.axes_of(trace[0])[0].length == 8


@pytest.mark.parametrize("keep", ["auto", "weights", "qk"])
def test_generation_of_some_layers_and_heads(keep: Any) -> None:
    """What is chosen of each step is what is chosen of the whole."""
    model = causal_model("llama", "sdpa")
    ids = torch.randint(2, 40, (1, 5))
    with attncore.capture(model, layers=[-1], heads=[1, 2], keep=keep) as session:
        text = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False)
    whole = attncore.trace(model, {"input_ids": text[:, :-1]}, keep="weights")
    assert_weights(session.trace(), [np.asarray(whole[1].weights, dtype=np.float64)[:, [1, 2]]])


def test_generation_without_a_cache() -> None:
    """Each step is a call over the whole text so far; none is lost."""
    model = causal_model("gpt2", "sdpa")
    ids = torch.randint(2, 40, (1, 5))
    with attncore.capture(model) as session:
        text = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=3, do_sample=False, use_cache=False
        )
    trace = session.trace()
    whole = attncore.trace(model, {"input_ids": text[:, :-1]})
    assert len(trace) == 6
    assert_weights(trace[-2:], [np.asarray(layer.weights, dtype=np.float64) for layer in whole])


def test_generation_with_beams() -> None:
    """Beams change places between steps: every step has the weights that were applied, and rows sum to 1."""
    model = causal_model("llama", "eager")
    ids = torch.randint(2, 40, (1, 5))
    with attncore.capture(model) as session:
        model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False, num_beams=3)
    for layer in session.trace():
        assert np.allclose(np.asarray(layer.weights).sum(-1), 1, atol=1e-5)


def test_unrelated_calls_stay_apart() -> None:
    """Two calls in one session are layers of their own, each with its own weights and axes."""
    model, one, two = Language(), token_ids(), token_ids(length=4)
    references = expected(model, one) + expected(model, two)
    with untouched(model), attncore.capture(model) as session:
        model(one)
        model(two)
    trace = session.trace()
    assert_weights(trace, references)
    assert [layer.call for layer in trace] == [0, 0, 1, 1]
    assert trace[0].query_axis != trace[2].query_axis
    assert [layer.index for layer in trace] == [0, 1, 2, 3]


def test_the_same_call_twice_stays_apart() -> None:
    """Calls of equal shape, even with equal inputs, are no generation."""
    model, ids = Language(), token_ids()
    references = expected(model, ids)
    with attncore.capture(model) as session:
        model(ids)
        model(ids)
    assert_weights(session.trace(), references * 2)


def test_a_session_used_again() -> None:
    """A session that is entered a second time begins afresh."""
    model, ids = Language(), token_ids()
    session = attncore.capture(model)
    for _ in range(2):
        with session:
            session(ids)
        assert len(session.trace()) == 2


def test_a_reduction_keeps_no_weights_of_earlier_layers() -> None:
    """While a layer is reduced, the n x n arrays of the layers before it are gone already."""
    n, alive = 37, []

    def count(layer: attncore.AttentionLayer) -> int:
        square = [o for o in gc.get_objects() if type(o) is torch.Tensor and o.shape[-2:] == (n, n)]
        alive.append(len({tensor.untyped_storage().data_ptr() for tensor in square}))
        return layer.index

    model = torch.nn.Sequential(*[Stack(how="manual") for _ in range(4)])
    with torch.no_grad():
        trace = attncore.trace(model, torch.randn(1, n, 24), reduce=count)
    assert len(trace) == len(alive) >= 8
    assert max(alive) <= alive[0] + 1
