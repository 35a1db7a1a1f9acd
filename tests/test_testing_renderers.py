"""The suite for renderers: passed by a good one, and failed by each way of breaking the contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attncore
from attncore import (
    AttentionTrace,
    OptionError,
    Rendered,
    UnavailableError,
)
from attncore.testing import (
    check_renderer,
    example_trace,
)
from attncore.testing_renderers import HOSTILE_TOKENS

TOKEN_IDS = np.arange(10).reshape(2, 5)


class TextRenderer:
    """A renderer that keeps the contract."""

    name = "text"
    views = ("head", "neuron")

    def render(self, trace: AttentionTrace, *, view: str, layer: int = 0) -> Rendered:
        chosen = trace[layer]
        if view == "neuron" and chosen.query is None:
            raise UnavailableError("the neuron view needs queries and keys; capture with keep='qk'")
        from html import escape

        axis = trace.axes[chosen.query_axis]
        text = " ".join(label.replace("\x1b", "?") for label in axis.labels[0])
        shape = chosen.weights.shape
        html = f"<p title='{escape(text)}'>{escape(text)} {shape} {escape(chosen.name)}</p>"
        return Rendered({"text/html": html, "text/plain": f"{view} {text}\n"})


def test_a_good_renderer_passes() -> None:
    """Drawing what it can and refusing the rest in words is enough."""
    check_renderer(TextRenderer())


def renderer_with(**members: Any) -> Any:
    """The good renderer with something broken."""
    return type("BrokenRenderer", (TextRenderer,), members)()


def drawing(draw: Any) -> Any:
    """A renderer whose picture is what ``draw(trace, picture)`` returns."""

    def render(self: Any, trace: AttentionTrace, *, view: str, layer: int = 0) -> Any:
        return draw(trace, TextRenderer.render(self, trace, view=view, layer=layer))

    return renderer_with(render=render)


def raw_html(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Labels straight into the page."""
    return Rendered({"text/html": "<p>" + " ".join(trace.axes[trace[0].query_axis].labels[0]) + "</p>"})


def raw_attribute(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Labels with < escaped and quotes not."""
    labels = [label.replace("<", "&lt;") for label in trace.axes[trace[0].query_axis].labels[0]]
    return Rendered({"text/html": "".join(f'<p title="{label}"></p>' for label in labels)})


def raw_layer_name(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """The name of a layer, straight into the page."""
    return Rendered({"text/html": f"<h1>{trace[0].name}</h1>"})


def raw_spelling(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """The tokenizer's spelling, with its control characters, straight to the terminal."""
    return Rendered({"text/plain": " ".join(trace.axes[trace[0].query_axis].raw[0]) + "\n"})


def writing(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Normalises the weights where they lie."""
    if trace[0].source == "example" and trace[0].query is None:
        trace[0].weights[0, 0][:] = 0
    return picture


def one_token_fails(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Divides by the number of tokens less one."""
    return Rendered({"text/plain": f"{1 // (trace[0].weights.shape[2] - 1)}."})


def laconic(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Refuses cross-attention without a word of help."""
    if len(trace.axes) > 1:
        raise UnavailableError("cannot")
    return picture


BROKEN_RENDERERS = {
    "no name": (renderer_with(name=""), "name must not be empty"),
    "no views": (renderer_with(views=()), "declares no view"),
    "views in a list": (renderer_with(views=["head"]), "views must be a tuple"),
    "a view twice": (renderer_with(views=("head", "head")), "declares a view twice"),
    "no picture": (drawing(lambda trace, picture: "text"), "returned a str; it must return a Rendered"),
    "empty picture": (drawing(lambda trace, picture: Rendered({})), "empty bundle"),
    "empty text": (drawing(lambda trace, picture: Rendered({"text/plain": ""})), "text/plain is empty"),
    "bytes as text": (drawing(lambda trace, picture: Rendered({"text/plain": b"x"})), "text/plain holds a bytes"),
    "any option": (
        renderer_with(render=lambda self, trace, *, view, **options: TextRenderer.render(self, trace, view=view)),
        "accepted {'no_such_option': 1}",
    ),
    "raw html": (drawing(raw_html), "tokens as markup"),
    "raw attribute": (drawing(raw_attribute), "became markup on the page: .*onmouseover"),
    "raw layer name": (drawing(raw_layer_name), "as markup"),
    "raw control characters": (drawing(raw_spelling), "control sequence reaches the terminal"),
    "writes": (drawing(writing), r"changed the trace: layers\.0\.attention\.weights"),
    "one token": (drawing(one_token_fails), "one token: raised ZeroDivisionError"),
    "laconic": (drawing(laconic), 'said only "cannot"'),
}


@pytest.mark.parametrize("case", BROKEN_RENDERERS)
def test_a_renderer_that_breaks_the_contract_is_found(case: str) -> None:
    """Each way of breaking it fails the suite with a message that says what."""
    renderer, said = BROKEN_RENDERERS[case]
    with pytest.raises(AssertionError, match=said):
        check_renderer(renderer)


@pytest.mark.parametrize("name", attncore.renderers())
def test_every_installed_renderer_keeps_the_contract(name: str) -> None:
    """Our own renderers pass what plugin authors are asked to pass."""
    from attncore.plugins import find_renderer

    check_renderer(find_renderer(name))


def test_hostile_tokens_are_drawn_by_the_default_renderer() -> None:
    """The trace that the suite uses holds every hostile token."""
    trace = example_trace(n_tokens=len(HOSTILE_TOKENS), tokens=HOSTILE_TOKENS)
    assert trace.axes["tokens"].raw[0] == HOSTILE_TOKENS
    with pytest.raises(OptionError):
        trace.render(view="no-such-view")
