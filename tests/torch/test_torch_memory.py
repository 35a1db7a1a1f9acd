"""What was captured is given back as soon as nobody holds it, at long inputs gigabytes; a little stays at hand."""

import ctypes
import gc
import os
import subprocess
import sys
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


PIECES_ASKED_OF_THE_SYSTEM = """
import ctypes
import sys

import torch

import attncore


class Counts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "free", "small", "pieces", "rest")] + [
        ("more", ctypes.c_size_t * 5)
    ]


library = ctypes.CDLL(None)
library.mallinfo2.restype = Counts
model = torch.nn.Linear(2, 2)
if sys.argv[1] == "captured":
    with attncore.capture(model):
        pass
before = library.mallinfo2().pieces
held = torch.ones(3_000_000)
print(library.mallinfo2().pieces - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.pythonapi, "mallinfo2"), reason="the counts of glibc 2.33 and later")
@pytest.mark.parametrize(("how", "pieces"), [("plain", 1), ("captured", 0)])
def test_freed_memory_stays_for_the_next_capture(how: str, pieces: int) -> None:
    """After a capture 12 MB are no longer a piece of their own, which goes back to the system when it is freed."""
    # What the C library learns by itself, in a process of its own: nothing set from outside.
    environment = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    command = [sys.executable, "-c", PIECES_ASKED_OF_THE_SYSTEM, how]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(answer.stdout) == pieces
