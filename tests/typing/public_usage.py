"""Every public name as users of attncore type it; checked by `make types` with pyright and mypy, never run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_type

import numpy as np

import attncore
from attncore import (
    AttentionLayer,
    AttentionTrace,
    Backend,
    Coverage,
    LazyWeights,
    Provenance,
    Rendered,
    Renderer,
    Session,
    TokenAxis,
)
from attncore.testing import check_renderer, example_trace


def capturing(model: object, inputs: Mapping[str, object]) -> AttentionTrace:
    """One call, and several."""
    trace = attncore.trace(model, attncore.Inputs(1, mask=2), tokens=["a", "b"], layers=[0, -1], keep="qk")
    assert_type(trace, AttentionTrace)
    with attncore.capture(model, heads=[1], values=False) as session:
        assert_type(session, Session)
        session(**inputs)
    return session.trace(tokens=["a", "b"])


def reading(trace: AttentionTrace) -> None:
    """A trace is a sequence of layers, and layers have names."""
    assert_type(trace[0], AttentionLayer)
    assert_type(trace["encoder.layer.3"], AttentionLayer)
    assert_type(trace[:4], AttentionTrace)
    assert_type(trace.select(kind="cross", layers=[0], heads=[1, 2]), AttentionTrace)
    assert_type([layer.name for layer in trace], list[str])
    assert_type(trace.coverage, Coverage)
    assert_type(trace.provenance, Provenance)
    assert_type(trace.axes["tokens"], TokenAxis)
    weights = trace[0].weights
    assert_type(weights, LazyWeights)
    assert_type(weights.shape, tuple[int, int, int, int])
    row: np.ndarray[Any, Any] = weights[0, 5, 3]
    print(row.sum(), np.asarray(weights).mean(), trace[0].query_axis, trace[0].scale)


def files(trace: AttentionTrace, path: Path) -> AttentionTrace:
    """Saved and loaded, by string and by path."""
    trace.save(path)
    trace.save(str(path))
    return attncore.load(path)


def drawing(trace: AttentionTrace, path: Path) -> Path:
    """By name, with options."""
    rendered = trace.render("d3", view="head", layer=1)
    assert_type(rendered, Rendered)
    assert_type(attncore.render(trace, "terminal"), Rendered)
    assert_type(rendered.bundle, Mapping[str, str | bytes])
    return rendered.save(path)


class MyRenderer:
    """A plugin's renderer needs no base class."""

    name = "mine"
    views = ("only",)

    def render(self, trace: AttentionTrace, *, view: str, title: str = "") -> Rendered:
        """One line of text."""
        return Rendered({"text/plain": f"{title}: {len(trace)} layers"})


def plugin() -> tuple[Renderer, str]:
    """What the contract asks for is what the protocol says."""
    renderer: Renderer = MyRenderer()
    check_renderer(renderer)
    return renderer, renderer.name


def backend(one: Backend) -> tuple[str, bool]:
    """What a backend is asked."""
    return one.name, one.matches(example_trace())


def given(weights: list[np.ndarray[Any, Any]]) -> AttentionTrace:
    """Weights that somebody has."""
    try:
        return AttentionTrace.from_arrays(weights, tokens=["a", "b"])
    except attncore.AttncoreError as error:
        raise SystemExit(str(error)) from error
