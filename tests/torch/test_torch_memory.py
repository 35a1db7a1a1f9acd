"""What was captured is given back as soon as nobody holds it: at long inputs it is gigabytes."""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch_models import Stack, hidden

import attncore


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Without Python's collector of circles, only the last reference frees."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def traced(model: Stack, x: torch.Tensor, **options: Any) -> attncore.AttentionTrace:
    """The trace of one call."""
    return attncore.trace(model, x, **options)


def by_session(model: Stack, x: torch.Tensor, **options: Any) -> attncore.AttentionTrace:
    """The trace of a session that made two calls."""
    with attncore.capture(model, **options) as session:
        session(x)
        session(x)
    return session.trace()


def tensors_alive() -> list[weakref.ref[torch.Tensor]]:
    """Every tensor there is, parameters aside."""
    # By their exact type: to ask anything else of all objects there are wakes some that warn.
    return [weakref.ref(each) for each in gc.get_objects() if type(each) is torch.Tensor]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("run", [traced, by_session])
@pytest.mark.parametrize("how", ["sdpa", "manual"])
@pytest.mark.parametrize(
    "options",
    [{}, {"keep": "weights"}, {"keep": "qk"}, {"grad": True}, {"reduce": lambda weights: np.asarray(weights).max(-1)}],
    ids=["auto", "weights", "qk", "grad", "reduce"],
)
def test_nothing_is_kept_of_a_trace_that_was_dropped(
    run: Callable[..., attncore.AttentionTrace], how: str, options: dict[str, Any]
) -> None:
    """As many tensors are alive afterwards as before; while the trace is held there are more."""
    model, x = Stack(how=how), hidden()
    before = len(tensors_alive())
    trace = run(model, x, **options)
    if "grad" in options:
        trace.output.sum().backward()
        assert trace[-1].weights_grad is not None
        model.zero_grad(set_to_none=True)
    assert len(tensors_alive()) > before or "reduce" in options
    del trace
    assert len(tensors_alive()) == before


@pytest.mark.usefixtures("no_collector")
def test_a_trace_outlives_its_session() -> None:
    """What the session was holding beside goes; the trace's own weights stay as they were."""
    model, x = Stack(), hidden()
    reference = np.asarray(attncore.trace(model, x)[0].weights)
    trace = by_session(model, x)
    assert np.array_equal(trace[0].weights, reference)
