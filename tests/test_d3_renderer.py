"""The d3 renderer: its options, what it gives to a notebook and to a file, and what it refuses."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_decoder import DecodedPage, decode_page

import attncore
from attncore import AttentionTrace, AttncoreError, OptionError, Rendered, SelectionError, UnavailableError
from attncore.renderers import _page_payload, d3
from attncore.renderers._page_html import built_viewer
from attncore.renderers.d3 import D3Renderer
from attncore.testing import check_renderer, example_cross_trace, example_trace


def page_of(rendered: Rendered) -> DecodedPage:
    """The data of the page that is saved."""
    html = rendered.files["text/html"]
    assert isinstance(html, str)
    return decode_page(html)


def start_of(trace: AttentionTrace, **options: Any) -> dict[str, Any]:
    """What the page opens with."""
    start = page_of(trace.render("d3", **options)).info["start"]
    assert isinstance(start, dict)
    return start


def test_it_keeps_the_contract_of_a_renderer() -> None:
    """The suite that every renderer passes."""
    check_renderer(D3Renderer())


def test_it_is_the_default_in_a_notebook() -> None:
    """It is the first renderer that is asked; what `attncore show` prints in a terminal is its own default."""
    assert list(attncore.plugins.plugins().renderers)[:2] == ["d3", "terminal"]
    assert example_trace().render().details["view"] == "head"


def test_the_file_is_the_page_that_the_notebook_frames(tmp_path: Path) -> None:
    """It is made once: `save` writes the whole page, a notebook has it inside a frame, a terminal a line of text."""
    rendered = example_trace(lazy=True).render("d3", view="model", height=500)
    page = rendered.files["text/html"]
    saved = rendered.save(tmp_path / "x.html").read_text(encoding="utf-8")
    assert saved == page
    assert set(rendered.bundle) == {"text/html", "text/plain"}
    frames = _Frames(str(rendered.bundle["text/html"]))
    assert frames.pages == [page]
    assert "height:500px" in str(rendered.bundle["text/html"])
    assert str(rendered).startswith("Attention of ExampleDecoder: an interactive page of ")
    assert '.save("attention.html")' in str(rendered)
    assert rendered.details["bytes"] == len(saved.encode())
    assert rendered.details["held"] == page_of(rendered).info["precision"]["sentence"]
    assert rendered.save(tmp_path / "x.txt").read_text(encoding="utf-8") == str(rendered)


class _Frames(HTMLParser):
    """The pages inside the frames of some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pages: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "iframe":
            self.pages.append(dict(attrs)["srcdoc"])


def test_the_options_say_what_the_page_opens_with() -> None:
    """Names and the model's own numbers become places on the page."""
    trace = example_trace(n_layers=4, batch=2, lazy=True).select(heads=[3, 1])
    assert start_of(trace) == {
        "view": "head",
        "layer": None,
        "heads": None,
        "item": 0,
        "query": None,
        "theme": "auto",
    }
    assert start_of(trace, view="matrix", layer=-1, heads=[1], query="sat", batch=1, theme="dark") == {
        "view": "matrix",
        "layer": 3,
        "heads": [1],
        "item": 1,
        "query": 3,
        "theme": "dark",
    }
    assert start_of(trace, layer="layers.2.attention", heads=3, query=-1)["layer"] == 2
    assert start_of(trace, heads=3)["heads"] == [0]
    assert start_of(trace, query=np.int64(-1))["query"] == 11


def test_layers_chooses_what_the_page_holds() -> None:
    """The layer to open with is counted in the trace, and its place on the page is another."""
    page = page_of(example_trace(n_layers=4, lazy=True).render("d3", layers=slice(1, 3), layer=2))
    assert [layer["index"] for layer in page.info["layers"]] == [1, 2]
    assert page.info["start"]["layer"] == 1
    assert ["layers in this file", "2 of the 4 that were captured"] in page.info["facts"]
    assert {name for name in page.blocks if name.startswith("weights")} == {"weights-0", "weights-1"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"view": "heads"}, OptionError, 'no view "heads"'),
        ({"theme": "drak"}, OptionError, r"theme is one of light, dark, auto; 'drak' was given \(did you mean"),
        ({"theme": 3}, OptionError, "theme is one of"),
        ({"layer": 2}, SelectionError, "2 attention layer"),
        ({"layer": "encoder"}, SelectionError, "no attention layer matches 'encoder'"),
        ({"layer": 1.5}, OptionError, "layer is an index or a name; 1.5 was given"),
        ({"layer": True}, OptionError, "layer is an index or a name"),
        ({"layer": 1, "layers": [0]}, OptionError, "layer=1 is not among the layers that the page is to hold"),
        ({"layers": 7}, SelectionError, "no attention layer matches 7"),
        ({"layers": []}, OptionError, "layers"),
        ({"heads": [7]}, SelectionError, "has no head 7 to select; its heads are 0, 1, 2, 3"),
        ({"heads": []}, OptionError, "leave it out to select all 4"),
        ({"heads": "all"}, OptionError, "heads is a list of the model's own head numbers; 'a' was given"),
        ({"query": 12}, SelectionError, "query 12 was asked for; give 0 to 11"),
        ({"query": "dog"}, SelectionError, 'no token "dog"'),
        ({"query": 1.0}, OptionError, "query is a position or a token"),
        ({"batch": 1}, SelectionError, "item 1 was asked for; give 0 to 0"),
        ({"batch": None}, OptionError, "batch is the number of one batch item"),
        ({"height": 50}, OptionError, "height is 50; give 200 to 10000"),
        ({"height": "tall"}, OptionError, "height is the page's height in a notebook, in pixels; 'tall' was given"),
        ({"max_bytes": "16 MB"}, OptionError, "max_bytes is a number of bytes"),
        ({"max_bytes": 1000}, OptionError, "max_bytes is 1,000, and the page without any numbers takes"),
        ({"colour": "red"}, OptionError, 'no option "colour"'),
    ],
)
def test_an_option_that_is_not_understood_is_refused(
    options: dict[str, Any], error: type[AttncoreError], message: str
) -> None:
    """The message says what was given and what there is."""
    with pytest.raises(error, match=message):
        example_trace().render("d3", **options)


def test_the_neuron_view_needs_queries_and_keys() -> None:
    """Without any it says how to capture them; with those of some layers it opens with the first of these."""
    with pytest.raises(UnavailableError, match='keep="qk"'):
        example_trace().render("d3", view="neuron")
    dense, lazy = example_trace(n_layers=1), example_trace(n_layers=2, lazy=True)
    trace = AttentionTrace((dense[0], lazy[1]), lazy.axes)
    assert start_of(trace, view="neuron")["layer"] == 1
    assert start_of(trace, view="neuron", layer=0)["layer"] == 0


def test_layers_that_were_reduced_are_left_out() -> None:
    """The page says which; to open with one is refused, and so is a trace that has no other."""
    trace = example_trace(n_layers=3)
    layers = (trace[0].replaced(stored_weights=None, reduced=1), trace[1], trace[2])
    trace = AttentionTrace(layers, trace.axes)
    page = page_of(trace.render("d3", layer=2))
    assert [layer["index"] for layer in page.info["layers"]] == [1, 2]
    assert page.info["start"]["layer"] == 1
    assert any(label == "left out" and "reduce=" in text for label, text in page.info["facts"])
    with pytest.raises(UnavailableError, match="layer=0 was captured with reduce="):
        trace.render("d3", layer=0)
    with pytest.raises(UnavailableError, match="no attention weights to show"):
        trace.render("d3", layers=0)
    with pytest.raises(UnavailableError, match="no attention layers"):
        AttentionTrace((), {}).render("d3")


@pytest.mark.parametrize(("tokens", "limit"), [(512, 16_000_000), (513, 24_000_000), (1025, 32_000_000)])
def test_the_default_budget_grows_with_the_text(tokens: int, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 MB up to 512 tokens, 24 MB up to 1,024, 32 MB beyond; the viewer itself counts."""
    rooms: list[int] = []
    real = _page_payload.payload_of

    def watched(*args: Any, room: int, **others: Any) -> Any:
        rooms.append(room)
        return real(*args, room=room, **others)

    monkeypatch.setattr(d3, "payload_of", watched)
    rendered = example_trace(n_layers=1, n_heads=1, n_tokens=tokens, lazy=True).render("d3")
    page = rendered.files["text/html"]
    assert rooms == [limit - len(str(page).encode()) + _length_of_data(str(page))]


def _length_of_data(page: str) -> int:
    """What a page has more than one without a trace."""
    elements = re.findall(r'<script type="application/.*</script>\n', page)
    empty = '<script type="application/json" id="attncore-trace">{"blocks":{}}</script>\n'
    return sum(len(one.encode()) for one in elements) - len(empty)


@pytest.mark.parametrize(("room", "kind"), [(160_000, "top"), (500_000, "top"), (2_700_000, "log8")])
def test_a_file_is_never_larger_than_asked_for(room: int, kind: str, tmp_path: Path) -> None:
    """Whatever has to be left out; the page says what. The viewer itself counts too."""
    viewer = built_viewer()
    limit = len(viewer.script.encode()) + len(viewer.style.encode()) + room
    trace = example_trace(n_layers=4, n_heads=8, n_tokens=300, lazy=True)
    rendered = trace.render("d3", max_bytes=limit)
    assert rendered.save(tmp_path / "page.html").stat().st_size <= limit
    assert rendered.details["precision"] == kind


def test_a_bare_trace_in_a_notebook_is_a_small_page() -> None:
    """The picture is the page's; the text stays the summary, which a file without pictures shows."""
    trace = example_trace(lazy=True)
    bundle = trace._repr_mimebundle_()
    assert "<iframe" in bundle["text/html"]
    assert bundle["text/plain"] == repr(trace)
    assert len(example_trace(n_layers=12, n_heads=12, n_tokens=400)._repr_mimebundle_()["text/html"]) < 8_600_000


def test_a_bare_trace_that_is_long_is_summarised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the page would take long to make, or cannot be made, another renderer is asked."""
    monkeypatch.setattr(d3, "_GLANCE_WEIGHTS", 100)
    assert "<iframe" not in example_trace()._repr_mimebundle_()["text/html"]
    assert "<pre" in example_trace()._repr_mimebundle_()["text/html"]
    reduced = AttentionTrace((example_trace()[0].replaced(stored_weights=None),), example_trace().axes)
    assert "<pre" in reduced._repr_mimebundle_()["text/html"]


def test_a_bare_trace_in_a_terminal_is_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython asks for a picture there too, and shows none."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert set(example_trace()._repr_mimebundle_()) == {"text/plain"}


def test_a_models_name_controls_no_terminal() -> None:
    """The line of text for a terminal has no control characters, whoever named the model."""
    trace = example_cross_trace()
    provenance = trace.provenance.__class__("x", "y", "\x1b]0;title\x07Model")
    renamed = AttentionTrace(trace.layers, trace.axes, trace.coverage, provenance)
    text = str(renamed.render("d3"))
    assert text.isprintable()
    assert "Model" in text
