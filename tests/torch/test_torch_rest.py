"""What comes after the kernel in a module that attends is not followed where it is known to attend no more."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from ending_attention import (
    ATTENDS_AGAIN,
    ByEager,
    ByHeldFunction,
    ByOtherPlace,
    Failing,
    Gated,
    Keeping,
    Projected,
    Writing,
    WritingByName,
    stack_of,
)
from tail_blocks import DIM, Block, attend
from tail_traces import assert_same_traces, calls_seen, followed_to_the_end
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import attncore
from attncore.backends._torch_rest import RestOfForward, mentions_after
from attncore.backends._torch_watch import Watcher


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether the watcher could be held, for each attention whose rest was found plain."""
    answers: list[bool] = []
    hold = Watcher.hold

    def noted(self: Watcher) -> bool:
        answers.append(hold(self))
        return answers[-1]

    monkeypatch.setattr(Watcher, "hold", noted)
    yield answers
    assert torch._C._is_torch_function_enabled()
    assert torch._C._len_torch_function_stack() == 0


@pytest.mark.parametrize("kind", [Projected, ByEager])
@pytest.mark.parametrize("keep", ["qk", "weights"])
def test_the_rest_of_like_modules_is_not_followed(
    kind: Any, keep: Any, held: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but that of the first; the trace is the same, and so is the model's output."""
    model, x = stack_of(kind), torch.randn(2, 5, DIM)
    expected = model(x)
    trace = attncore.trace(model, x, keep=keep)
    assert held == [True] * 3
    assert torch.equal(trace.output, expected)
    assert_same_traces(trace, followed_to_the_end(monkeypatch, lambda: attncore.trace(model, x, keep=keep)))


def test_fewer_calls_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three projections of each of four, and the output and the feed-forward part of the first."""
    seen = calls_seen(monkeypatch)
    attncore.trace(stack_of(Projected), torch.randn(2, 5, DIM))
    assert (seen.count(F.linear), seen.count(F.scaled_dot_product_attention)) == (3 * 4 + 3, 4)


@pytest.mark.parametrize("kind", ATTENDS_AGAIN, ids=lambda kind: kind.__name__)
def test_attention_after_the_kernel_is_not_lost(kind: Any, held: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever way it comes: the last two of four attend twice, and all six are in the trace."""
    model, x = stack_of(kind), torch.randn(2, 5, DIM)
    expected = model(x)
    trace = attncore.trace(model, x)
    assert len(trace) + len([entry for entry in trace.coverage if entry.status == "rejected"]) == 6
    assert not any(held)
    assert torch.equal(trace.output, expected)
    assert_same_traces(trace, followed_to_the_end(monkeypatch, lambda: attncore.trace(model, x)))


def test_a_kernel_called_in_another_place(held: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after one place says nothing of another."""
    model, x = stack_of(ByOtherPlace), torch.randn(2, 5, DIM)
    trace = attncore.trace(model, x)
    assert len(trace) == 6
    assert held == [True]
    assert_same_traces(trace, followed_to_the_end(monkeypatch, lambda: attncore.trace(model, x)))


def test_a_function_that_only_one_module_holds(held: list[bool]) -> None:
    """Each module's own attributes are looked at, not those of the first."""
    model = stack_of(ByHeldFunction)
    model[2].attention.last = attend
    trace = attncore.trace(model, torch.randn(2, 5, DIM))
    assert [layer.name for layer in trace] == [
        "0.attention", "1.attention", "2.attention", "2.attention", "3.attention"
    ]  # fmt: skip
    assert held == [True, True]


@pytest.mark.parametrize("kind", [Writing, WritingByName])
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_writes_after_the_kernel_are_seen(kind: Any, context: Any, held: list[bool]) -> None:
    """The queries are kept as they were when they attended."""
    model, x = stack_of(kind), torch.randn(2, 5, DIM)
    given = [x]
    with context():
        trace = attncore.trace(model, x, keep="qk")
        for block in model:
            given.append(block(given[-1]))
        expected = [
            block.attention.heads_of(block.first(before))[0] for block, before in zip(model, given[:-1], strict=True)
        ]
    assert held == []
    assert len(trace) == len(expected)
    for layer, query in zip(trace, expected, strict=True):
        assert torch.allclose(torch.tensor(np.asarray(layer.query)), query, atol=1e-6)


def test_an_error_after_the_kernel(held: list[bool]) -> None:
    """It is the model's own, and everything is on again afterwards; what was captured before it is kept."""
    model, x = stack_of(Failing), torch.randn(2, 5, DIM)
    with attncore.capture(model) as session:
        with pytest.raises(RuntimeError, match="shape"):
            session(x)
        assert torch._C._is_torch_function_enabled()
        for block in model:
            block.attention.later = False
        session(x)
    assert len(session.trace()) == 3 + 4
    assert any(held)


def test_an_interrupt_after_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while nothing is followed: all is on again when the session ends."""
    model, x = stack_of(Projected), torch.randn(2, 5, DIM)
    hold = Watcher.hold

    def then_interrupted(self: Watcher) -> bool:
        hold(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Watcher, "hold", then_interrupted)
    with pytest.raises(KeyboardInterrupt), attncore.capture(model) as session:
        session(x)
    assert torch._C._is_torch_function_enabled()


class Doubling(Tensor):
    """A tensor of a class of its own, such as quantized ones, which projects in its own way."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = super().__torch_function__(func, types, args, kwargs or {})
        return 2 * out.as_subclass(Tensor) if func is F.linear else out


class Turned(nn.Module):
    """Makes one of what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return x.as_subclass(Doubling)


class Plain(TorchFunctionMode):
    """A function mode that changes nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def test_tensors_of_other_classes_keep_their_ways(held: list[bool]) -> None:
    """Where the first blocks met only PyTorch's own."""
    model, x = stack_of(Keeping), torch.randn(2, 5, DIM)
    model.insert(2, Turned())
    expected = model(x)
    trace = attncore.trace(model, x)
    assert torch.equal(trace.output, expected)
    assert held == [True]


class Making(Projected):
    """A later one makes tensors of another class itself."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        value = value.as_subclass(Doubling) if self.later else value
        x = self.kernel(query, key, value)
        return self.out(x.flatten(2))


def test_tensors_of_other_classes_made_inside(held: list[bool]) -> None:
    """They show when the kernel is called."""
    model, x = stack_of(Making), torch.randn(2, 5, DIM)
    expected = model(x)
    trace = attncore.trace(model, x)
    assert torch.equal(trace.output.as_subclass(Tensor), expected.as_subclass(Tensor))
    assert held == [True]


def test_parameters_of_other_classes_keep_their_ways(held: list[bool]) -> None:
    """Each module's own are looked at."""
    model, x = stack_of(Projected), torch.randn(2, 5, DIM)
    ordinary = model(x)
    for block in model[1:]:
        weight = block.attention.out.weight
        block.attention.out.weight = nn.Parameter(weight.detach().as_subclass(Doubling), requires_grad=False)
    expected = model(x)
    assert not torch.equal(ordinary, expected)
    assert torch.equal(attncore.trace(model, x).output, expected)
    assert not any(held)


@pytest.mark.parametrize("where", ["parameter", "argument"])
def test_what_else_the_module_uses_keeps_its_ways(where: str, held: list[bool]) -> None:
    """A parameter of the module itself, and what it was given beside the hidden states."""
    gate = torch.full((DIM,), 0.5).as_subclass(Halving)
    model, x = nn.Sequential(*(Giving() for _ in range(4))), torch.randn(2, 5, DIM)
    for block in model:
        if where == "parameter":
            block.attention.gate = nn.Parameter(gate, requires_grad=False)
        else:
            block.register_buffer("given", gate)
    expected = model(x)
    assert torch.equal(attncore.trace(model, x).output.as_subclass(Tensor), expected.as_subclass(Tensor))
    assert not any(held)


class Giving(Block):
    """Gives its attention something to multiply by."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Gated()
        self.register_buffer("given", None)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(x, self.given)


class Halving(Tensor):
    """What is multiplied by one of these is halved."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = super().__torch_function__(func, types, args, kwargs or {})
        return 0.5 * out.as_subclass(Tensor) if func in (Tensor.mul, Tensor.__mul__) else out


class Counting(TorchFunctionMode):
    """Counts calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


def test_a_function_mode_that_the_model_enters(held: list[bool]) -> None:
    """It is above the watcher, which sees nothing of it, and sees what it sees without a capture."""
    counted = Counting()

    class Entering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = stack_of(Projected)

        def forward(self, x: Tensor) -> Tensor:
            with counted:
                return self.blocks(x)

    model, x = Entering(), torch.randn(2, 5, DIM)
    model(x)
    alone, counted.calls = counted.calls, 0
    assert len(attncore.trace(model, x)) == 4
    assert counted.calls == alone
    assert not any(held)


def test_under_another_function_mode_all_is_followed(held: list[bool]) -> None:
    """Its order among the modes is kept."""
    model, x = stack_of(Projected), torch.randn(2, 5, DIM)
    with Plain():
        trace = attncore.trace(model, x)
    assert len(trace) == 4
    assert not any(held)


# What is read from code.


def _after_call(function: Callable[..., Any], name: str) -> Any:
    """What the function's code mentions after its only call of ``name``."""
    steps = list(dis.get_instructions(function.__code__))
    place = next(number for number, step in enumerate(steps) if step.argval == name)
    call = next(step for step in steps[place:] if step.opname.startswith("CALL"))
    return mentions_after(function.__code__, call.offset)


def _attended(x: Tensor) -> Tensor:
    return x


def _assigned(self: Any, x: Any) -> Any:
    y = _attended(x)
    return self.out(y).reshape(-1)


def _branch(self: Any, x: Any, other: Any) -> Any:
    y = _attended(x) if x is None else other(x)
    return y.reshape(-1)


def _added(x: Any) -> Any:
    return x + _attended(x)


def _inside_another(x: Any, other: Any) -> Any:
    return other(_attended(x))


def _then_given(x: Any, other: Any) -> Any:
    y = _attended(x)
    return other(y)


def _then_product(x: Any) -> Any:
    y = _attended(x)
    return y @ x


def test_what_is_left_after_a_call() -> None:
    """Only what may still run counts, and nothing that waits for the call's result."""
    assert set(_after_call(_assigned, "_attended").own) == {"out"}
    assert _after_call(_assigned, "_attended").others == {"reshape"}
    assert _after_call(_branch, "_attended") is not None
    for function in (_added, _inside_another, _then_given, _then_product):
        assert _after_call(function, "_attended") is None


def test_a_frame_outside_of_any_module() -> None:
    """No module is found around it, so nothing is known."""
    frames: list[FrameType] = []

    class Noting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            import sys

            frames.append(sys._getframe())
            return x

    module = Noting()
    module(torch.zeros(1))
    assert not RestOfForward().is_plain(frames[0], module)
