"""A capture changes neither the output nor the model nor PyTorch, whatever happens inside it."""

import copy
import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_models import Language, Stack, TinyAttention, assert_weights, expected, hidden, state, token_ids, untouched

import attncore
from attncore.backends import _torch_switches

HOWS = ("sdpa", "manual")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("grad", [True, False])
def test_the_output_is_the_same_to_the_bit(how: str, grad: bool) -> None:
    """The model's own result, with gradients and without, is what it is without a capture."""
    model, x = Stack(how=how), hidden()
    with torch.set_grad_enabled(grad):
        plain = model(x)
        with untouched(model):
            trace = attncore.trace(model, x)
    assert torch.equal(trace.output, plain)
    assert trace.output.requires_grad == grad


def test_gradients_are_the_same_to_the_bit() -> None:
    """A backward pass through a captured forward gives the parameters the gradients that it always gives."""
    model, x = Stack(), hidden()
    other = copy.deepcopy(model)
    other(x).square().sum().backward()
    attncore.trace(model, x).output.square().sum().backward()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert one.grad is not None
        assert two.grad is not None
        assert torch.equal(one.grad, two.grad)


def test_training_draws_the_same_random_numbers() -> None:
    """Dropout drops the same values, and the random state afterwards is that of an uncaptured run."""
    model = nn.TransformerEncoderLayer(24, 4, 24, dropout=0.5, batch_first=True).train()
    x = hidden()
    torch.manual_seed(1)
    plain, after = model(x), torch.get_rng_state()
    torch.manual_seed(1)
    trace = attncore.trace(model, x)
    assert torch.equal(trace.output, plain)
    assert torch.equal(torch.get_rng_state(), after)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("how", HOWS)
def test_an_error_inside_the_forward(error: type[BaseException], how: str) -> None:
    """The error arrives as it was raised, and nothing is left behind."""
    model, x = Stack(how=how), hidden()

    def fail() -> None:
        raise error("stop here")

    model.blocks[1].before = fail
    with untouched(model):
        with pytest.raises(error, match="stop here"):
            attncore.trace(model, x)
        gc.collect()


def test_an_error_that_is_caught_inside_the_block() -> None:
    """The session goes on, and the next call is captured in full."""
    model, x = Stack(), hidden()
    references = expected(model, x)
    failures: Iterator[bool] = iter([True, False])

    def fail_once() -> None:
        if next(failures):
            raise ValueError("only once")

    model.blocks[1].before = fail_once
    with untouched(model):
        with attncore.capture(model) as session:
            with pytest.raises(ValueError, match="only once"):
                model(x)
            model(x)
        layers = session.trace().layers
    assert_weights(layers[-2:], references)
    assert [layer.name for layer in layers[-2:]] == ["blocks.0.attention", "blocks.1.attention"]


def test_an_error_in_the_block_but_outside_the_model() -> None:
    """What the user's own code raises passes through."""
    model, x = Stack(), hidden()

    def run() -> None:
        with attncore.capture(model) as session:
            session(x)
            raise ZeroDivisionError

    with untouched(model), pytest.raises(ZeroDivisionError):
        run()


def test_nested_captures() -> None:
    """A capture inside a capture sees the same, and neither leaves anything."""
    model, x = Stack(), hidden()
    references = expected(model, x)
    with untouched(model):
        with attncore.capture(model) as outer, attncore.capture(model) as inner:
            plain = model(x)
        traces = outer.trace(), inner.trace()
    assert torch.equal(plain, model(x))
    for trace in traces:
        assert_weights(trace, references)


def test_a_capture_of_a_part_inside_a_capture_of_the_whole() -> None:
    """A part has its own names, the whole has the full ones."""
    model, x = Stack(), hidden()
    with untouched(model), attncore.capture(model) as whole, attncore.capture(model.blocks[1]) as part:
        model(x)
    assert [layer.name for layer in whole.trace()] == ["blocks.0.attention", "blocks.1.attention"]
    assert [layer.name for layer in part.trace()] == ["attention"]


def test_repeated_captures() -> None:
    """The third trace is the first, to the bit."""
    model, x = Stack(), hidden()
    with untouched(model):
        traces = [attncore.trace(model, x) for _ in range(3)]
    first = traces[0]
    for trace in traces[1:]:
        for one, two in zip(first, trace, strict=True):
            assert np.array_equal(np.asarray(one.weights), np.asarray(two.weights))


def test_a_session_that_is_entered_and_dropped() -> None:
    """Without the end of its block, a session that nobody holds takes its hooks with it."""
    model, x = Stack(), hidden()
    with untouched(model):
        session: Any = attncore.capture(model)
        session.__enter__()
        model(x)
        del session
        gc.collect()
    model(x)


def test_a_session_that_is_never_entered() -> None:
    """Making a session does nothing yet."""
    model = Stack()
    with untouched(model):
        session = attncore.capture(model)
        assert session is not None


def test_a_model_with_hooks_of_its_own() -> None:
    """The user's hooks run as before and stay."""
    model, x = Stack(), hidden()
    seen: list[str] = []
    model.blocks[0].register_forward_pre_hook(lambda module, args: seen.append("before"))
    model.blocks[0].register_forward_hook(lambda module, args, output: output * 2)
    plain = model(x)
    with untouched(model):
        trace = attncore.trace(model, x)
    assert torch.equal(trace.output, plain)
    assert seen == ["before", "before"]


def test_frozen_parameters_and_a_mixed_training_mode() -> None:
    """A half-frozen model, partly in training, stays so."""
    model, x = Stack(), hidden()
    model.blocks[0].requires_grad_(False).eval()
    with untouched(model):
        attncore.trace(model, x)
    assert not any(parameter.requires_grad for parameter in model.blocks[0].parameters())


class Replicated(nn.Module):
    """Runs a copy of its module for each item of the batch in a thread of its own, as `nn.DataParallel` does."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        results: dict[int, Tensor] = {}

        def work(place: int, replica: Any, part: Tensor) -> None:
            results[place] = replica(part)

        threads = [
            threading.Thread(target=work, args=(place, replica_of(self.inner), part))
            for place, part in enumerate(x.chunk(2))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return torch.cat([results[place] for place in sorted(results)])


def replica_of(module: nn.Module) -> Any:
    """A replica as `nn.DataParallel` makes it, hooks and parameters shared."""
    made: Any = module._replicate_for_data_parallel()
    made._parameters = dict(module._parameters)
    made._modules = {name: replica_of(child) for name, child in module._modules.items() if child is not None}
    return made


def test_worker_threads() -> None:
    """What replicas compute in worker threads is captured, and the threads leave nothing."""
    model, x = Replicated(Stack()), hidden()
    halves = [reference for part in x.chunk(2) for reference in expected(model.inner, part)]
    plain = model(x)
    with untouched(model):
        trace = attncore.trace(model, x)
    assert torch.equal(trace.output, plain)
    assert sorted({layer.name for layer in trace}) == ["inner.blocks.0.attention", "inner.blocks.1.attention"]
    assert len(trace) == len(halves)
    for reference in halves:
        differences = [
            np.abs(np.asarray(layer.weights) - reference).max() for layer in trace if layer.shape == reference.shape
        ]
        assert min(differences) <= 1e-5


def test_models_of_other_threads_are_not_captured() -> None:
    """Only the model asked for is captured, though another runs at the same time."""
    model, other, x = Stack(), Stack(depth=3), hidden()
    references = expected(model, x)
    running, done = threading.Event(), threading.Event()

    def work() -> None:
        while not done.is_set():
            other(x)
            running.set()

    thread = threading.Thread(target=work)
    thread.start()
    running.wait(10)
    try:
        trace = attncore.trace(model, x)
    finally:
        done.set()
        thread.join()
    assert_weights(trace, references)


def test_captures_in_several_threads() -> None:
    """Captures that begin and end in any order do not disturb each other."""
    models = [Stack(depth=depth) for depth in (1, 2, 3)]
    x = hidden()
    references = [expected(model, x) for model in models]
    before = state(models[0])["stance"]
    traces: dict[int, Any] = {}

    def work(place: int) -> None:
        for _ in range(5):
            traces[place] = attncore.trace(models[place], x)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(models))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, reference in enumerate(references):
        assert_weights(traces[place], reference)
    assert state(models[0])["stance"] == before


def test_a_dropped_session_may_be_collected_while_another_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector runs at any point, so also where the switches that all captures share are being turned."""
    model, x = Stack(), hidden()
    references = expected(model, x)
    traces: list[attncore.AttentionTrace] = []

    class Dropped:
        """Is in a circle, so that only the collector ends its session."""

        def __init__(self) -> None:
            self.circle = self
            self.session = attncore.capture(Stack())
            self.session.__enter__()

    def work() -> None:
        gc.disable()
        try:
            Dropped()
            traces.append(attncore.trace(model, x))
        finally:
            gc.enable()

    monkeypatch.setattr(_torch_switches, "sys", Collecting())
    before = _torch_switches._active
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "the capture waits for itself"
    assert_weights(traces[0], references)
    assert _torch_switches._active == before


class Collecting:
    """Stands for the module `sys`; whoever asks for the modules has the collector run first."""

    @property
    def modules(self) -> dict[str, Any]:
        gc.collect()
        return sys.modules


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("fails", [False, True])
def test_no_tensor_outlives_the_trace(how: str, fails: bool) -> None:
    """When the trace is gone, so is every tensor of the forward."""
    model = Stack(how=how)
    tensors: list[weakref.ref[Tensor]] = []

    def fail() -> None:
        raise RuntimeError

    model.blocks[1].before = fail if fails else None
    for module in model.modules():
        if isinstance(module, nn.Linear | TinyAttention):
            module.register_forward_hook(lambda module, args, output: tensors.append(weakref.ref(output)))
    with suppress(RuntimeError):
        trace = attncore.trace(model, hidden(), keep="weights")
        del trace
    gc.collect()
    assert tensors
    assert [tensor for tensor in tensors if tensor() is not None] == []


def test_a_session_holds_no_inputs() -> None:
    """After the block, the session holds what it captured and not the hidden states between."""
    model = Language()
    kept: list[weakref.ref[Tensor]] = []
    model.embedding.register_forward_hook(lambda module, args, output: kept.append(weakref.ref(output)))
    with torch.no_grad(), attncore.capture(model) as session:
        model(token_ids())
    gc.collect()
    assert kept
    assert kept[0]() is None
    assert len(session.trace()) == 2


def test_a_call_that_no_rule_foresaw(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in following tensors is reported, and the model runs on as if nothing had happened."""
    from attncore.backends import _torch_follow

    def fault(*args: object) -> None:
        raise IndexError("not foreseen")

    monkeypatch.setattr(_torch_follow, "_elementwise", fault)
    monkeypatch.setattr(_torch_follow, "_unchanged", fault)
    model, x = Stack(), hidden()
    plain = model(x)
    with untouched(model):
        trace = attncore.trace(model, x)
    assert torch.equal(trace.output, plain)
    assert any("could not follow" in entry.reason for entry in trace.coverage.with_status("opaque"))
