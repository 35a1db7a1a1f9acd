"""Traces of models whose every call was followed, to hold others against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import attncore
from attncore.backends._torch_watch import Watcher


def followed_to_the_end(monkeypatch: pytest.MonkeyPatch, run: Callable[[], Any]) -> Any:
    """The same, with every tail followed."""
    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "pause", lambda self: False)
        patch.setattr(Watcher, "hold", lambda self: False)
        return run()


def calls_seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The functions that watchers see from now on, in order."""
    seen: list[Any] = []
    look = Watcher.__torch_function__

    def noted(self: Watcher, func: Any, *rest: Any) -> Any:
        seen.append(func)
        return look(self, func, *rest)

    monkeypatch.setattr(Watcher, "__torch_function__", noted)
    return seen


def assert_same_traces(one: attncore.AttentionTrace, other: attncore.AttentionTrace) -> None:
    """Layers, weights, axes and coverage are equal."""
    assert one.coverage == other.coverage
    assert {name: repr(axis) for name, axis in one.axes.items()} == {
        name: repr(axis) for name, axis in other.axes.items()
    }
    facts = [
        [(layer.name, layer.kind, layer.shape, layer.query_axis, layer.key_axis, layer.notes) for layer in trace]
        for trace in (one, other)
    ]
    assert facts[0] == facts[1]
    for layer, expected in zip(one, other, strict=True):
        assert np.array_equal(np.asarray(layer.weights), np.asarray(expected.weights))
