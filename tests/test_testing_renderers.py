"""The suite for renderers: passed by a good one, and failed by each way of breaking the contract."""

from __future__ import annotations

from html import escape
from pathlib import Path
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
from attncore.testing_hostile import HOSTILE_TOKENS

TOKEN_IDS = np.arange(10).reshape(2, 5)


class TextRenderer:
    """A renderer that keeps the contract."""

    name = "text"
    views = ("head", "neuron")

    def render(self, trace: AttentionTrace, *, view: str, layer: int = 0) -> Rendered:
        chosen = trace[layer]
        if view == "neuron" and chosen.query is None:
            raise UnavailableError("the neuron view needs queries and keys; capture with keep='qk'")
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

    return renderer_with(render=render, views=("head",))


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


def writing_mask(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Lets every query attend to padding."""
    mask = trace[0].mask if len(trace) else None
    if mask is not None:
        mask[...] = True
    return picture


def failing_when(condition: Any, error: Exception | None = None) -> Any:
    """A renderer that fails on some traces."""

    def draw(trace: AttentionTrace, picture: Rendered) -> Rendered:
        if condition(trace):
            raise error or ValueError("boom")
        return picture

    return drawing(draw)


def svg(token: str, text: str) -> Any:
    """A renderer of an SVG that holds one hostile token, unescaped, wherever it meets it."""

    def draw(trace: AttentionTrace, picture: Rendered) -> Rendered:
        met = len(trace) > 0 and token in trace.axes[trace[0].query_axis].labels[0]
        inner = text.format(label=token) if met else ""
        return Rendered({"image/svg+xml": f'<svg xmlns="http://www.w3.org/2000/svg"><g/>{inner}</svg>'})

    return drawing(draw)


def raw_file(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """A frame that is harmless around a file that is not."""
    page = raw_html(trace, picture).bundle["text/html"]
    return Rendered({"text/plain": "a page"}, files={"text/html": page})


def raw_colour(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """The tokenizer's spelling in the text with colour."""
    return Rendered({"text/plain": "text"}, terminal_text=str(raw_spelling(trace, picture).bundle["text/plain"]))


def laconic(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Refuses cross-attention without a word of help."""
    if len(trace.axes) > 1:
        raise UnavailableError("cannot")
    return picture


def one_picture(self: Any, trace: AttentionTrace, *, view: str, layer: int = 0) -> Rendered:
    """Takes the view and draws the same."""
    return TextRenderer.render(self, trace, view="head", layer=layer)


def one_view_only(self: Any, trace: AttentionTrace, *, view: str, layer: int = 0) -> Rendered:
    """Has no branch for the second view that it declares."""
    return {"head": TextRenderer.render(self, trace, view="head", layer=layer)}[view]


def bare_index(self: Any, trace: AttentionTrace, *, view: str, layer: int = 0) -> Rendered:
    """Indexes its own list with what the user gave."""
    names = [one.name for one in trace]
    return Rendered({"text/plain": f"{view} {names[layer]}"})


def free_options(self: Any, trace: AttentionTrace, *, view: str, **options: Any) -> Rendered:
    """Takes any option and passes over what it does not know."""
    return TextRenderer.render(self, trace, view=view)


def strict_options(self: Any, trace: AttentionTrace, *, view: str, **options: Any) -> Rendered:
    """Takes any option and fails by itself on what it does not know."""
    if options:
        raise KeyError(next(iter(options)))
    return TextRenderer.render(self, trace, view=view)


def length(trace: AttentionTrace) -> int:
    """Positions of the longest axis."""
    return max((axis.length for axis in trace.axes.values()), default=0)


def longest(trace: AttentionTrace) -> int:
    """Characters of the longest label."""
    return max((len(label) for axis in trace.axes.values() for row in axis.labels for label in row), default=0)


ALWAYS_SAVES = type("AlwaysSaves", (Rendered,), {"save": lambda self, path: Path(__file__)})

BROKEN_RENDERERS = {
    "a class": (TextRenderer, "is a class; check"),
    "no render": (renderer_with(render=property(lambda self: self.nothing)), "lacks one of name, views, render"),
    "a name that is a number": (renderer_with(name=3), "name must be text, and 3 is not"),
    "no name": (renderer_with(name=""), "name must not be empty"),
    "no views": (renderer_with(views=()), "declares no view"),
    "views in a list": (renderer_with(views=["head"]), "views must be a tuple"),
    "a view that is a number": (renderer_with(views=("head", 2)), "views must be texts"),
    "a view twice": (renderer_with(views=("head", "head")), "declares a view twice"),
    "a view that is not drawn": (
        renderer_with(render=one_view_only),
        r'view "neuron" of renderer "text" is declared and does not draw the plain trace .*KeyError.*take it out',
    ),
    "a view that refuses everything": (
        failing_when(lambda trace: True, UnavailableError("this view needs what no trace has, and says so")),
        r'view "head" of renderer "text" is declared and does not draw the plain trace .*UnavailableError',
    ),
    "one picture for two views": (renderer_with(render=one_picture), '"head" and "neuron" .* draw the same picture'),
    "no picture": (drawing(lambda trace, picture: "text"), "returned a str; it must return a Rendered"),
    "empty picture": (drawing(lambda trace, picture: Rendered({})), "empty bundle"),
    "empty text": (drawing(lambda trace, picture: Rendered({"text/plain": ""})), "text/plain is empty"),
    "bytes as text": (drawing(lambda trace, picture: Rendered({"text/plain": b"x"})), "text/plain holds a bytes"),
    "any option": (renderer_with(render=free_options), r"accepted \{'no_such_option': 1\}; .*keyword-only parameter"),
    "an option that fails": (
        renderer_with(render=strict_options),
        r"given \{'no_such_option': 1\} and raised KeyError.*must raise OptionError",
    ),
    "a layer that does not exist": (renderer_with(render=bare_index), "layer=10000 raised IndexError.*Subject.of"),
    "raw html": (drawing(raw_html), r"tokens as markup: .*html\.escape"),
    "raw attribute": (drawing(raw_attribute), r"became markup on the page: .*onmouseover.*html\.escape"),
    "raw layer name": (drawing(raw_layer_name), "as markup"),
    "raw html in the file": (drawing(raw_file), "tokens as markup"),
    "raw svg": (svg("<attncore-hostile>", "<text>{label}</text>"), "the SVG is no XML any more"),
    "svg element": (svg("<attncore-hostile>", "{label}</attncore-hostile>"), "became an element of the SVG"),
    "svg attribute": (
        svg("' onmouseover='attncore_hostile()", "<text id='{label}'/>"),
        "became an event handler of the SVG",
    ),
    "raw control characters": (drawing(raw_spelling), r"control sequence reaches the terminal; .*axis\.labels"),
    "raw control characters in colour": (drawing(raw_colour), "control sequence reaches the terminal"),
    "writes": (drawing(writing), r"ValueError: assignment destination is read-only"),
    "writes into the mask": (drawing(writing_mask), r"changed the trace: .*layers\.0\.attention\.mask.*change a copy"),
    "batch": (failing_when(lambda trace: any(axis.batch == 3 for axis in trace.axes.values())), "a batch of 3: raised"),
    "cross": (failing_when(lambda trace: len(trace.axes) > 1), "cross-attention: raised ValueError: boom; .*refuse it"),
    "laconic": (drawing(laconic), 'said only "cannot"'),
    "one token": (failing_when(lambda trace: length(trace) == 1), "one token: raised ValueError"),
    "long": (failing_when(lambda trace: length(trace) > 500), "600 tokens: raised ValueError"),
    "deep": (failing_when(lambda trace: len(trace) > 10), "12 layers of 12 heads: raised ValueError"),
    "a long token": (failing_when(lambda trace: longest(trace) > 1000), "a token of 2,000 characters: raised"),
    "saves anything": (drawing(lambda trace, picture: ALWAYS_SAVES(picture.bundle)), "saved with an ending"),
}


@pytest.mark.parametrize("case", BROKEN_RENDERERS)
def test_a_renderer_that_breaks_the_contract_is_found(case: str) -> None:
    """Each way of breaking it fails the suite with a message that says what."""
    renderer, said = BROKEN_RENDERERS[case]
    with pytest.raises(AssertionError, match=said):
        check_renderer(renderer)


# Hostile tokens hold control characters, whose signs no usual font has: matplotlib rightly warns of each.
@pytest.mark.filterwarnings("ignore:no installed font has")
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
