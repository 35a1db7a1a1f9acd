"""The notebook widget without a browser: what is synced, what is refused, and questions answered by message."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traitlets

import attncore
from attncore import AttentionTrace, live
from attncore.renderers import _page_widget
from attncore.renderers._page_widget import AttentionWidget
from attncore.testing import example_cross_trace, example_trace


class Page:
    """Stands in for the browser: keeps what the widget sends, and sends it messages."""

    def __init__(self, widget: AttentionWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        self.widget = widget
        self.received: list[tuple[dict[str, Any], list[bytes]]] = []
        monkeypatch.setattr(widget.comm, "send", self._receive)

    def _receive(self, data: Any = None, metadata: Any = None, buffers: Any = None) -> None:
        self.received.append((data, buffers or []))

    def send(self, data: Any, buffers: Any = ()) -> None:
        """A message as the kernel hands it to the widget."""
        self.widget._handle_msg({"content": {"data": data}, "buffers": list(buffers)})

    def select(self, **state: Any) -> None:
        """A selection made in the page."""
        self.send({"method": "update", "state": state, "buffer_paths": []})

    def ask(self, question: Any, id: Any = "a-1") -> tuple[Any, bytes]:
        """A question and its answer."""
        self.received.clear()
        self.send({"method": "custom", "content": {"id": id, "question": question}})
        [(data, buffers)] = self.received
        assert data["method"] == "custom"
        assert data["content"]["id"] == id
        assert len(buffers) < 2
        return data["content"]["answer"], b"".join(buffers)

    def synced(self) -> dict[str, Any]:
        """What the page was told of the widget's state since the last look."""
        told: dict[str, Any] = {}
        for data, _ in self.received:
            if data["method"] == "update":
                told |= data["state"]
        self.received.clear()
        return told


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """A page that shows an example of 3 layers."""
    return Page(example_trace(n_layers=3, lazy=True).widget(), monkeypatch)


QUESTION = {"ask": "tile", "layer": 2, "head": 1, "item": 0, "queries": [0, 12], "keys": [0, 12]} | {
    "maxRows": 12,
    "maxColumns": 12,
}


def test_a_widget_opens_with_what_was_asked() -> None:
    """A view, a layer by index or by name, heads by the model's numbers."""
    trace = example_trace(n_layers=4, n_heads=6).select(layers=[1, 3], heads=[5, 2, 0])
    widget = trace.widget(view="matrix", layer="layers.3.attention", heads=[0, 5], theme="dark", height=420)
    assert (widget.view, widget.layer, widget.heads) == ("matrix", 1, [0, 2])
    assert (widget.theme, widget.height) == ("dark", 420)
    assert [trace[widget.layer].head_numbers()[place] for place in widget.heads] == [5, 0]
    plain = trace.widget()
    assert (plain.view, plain.heads, plain.query, plain.key) == ("head", [0, 1, 2], None, None)


def test_a_layer_is_asked_for_by_its_own_index() -> None:
    """As for a file, where a trace holds some layers only; what is selected is a place in it."""
    trace = example_trace(n_layers=4).select(layers=[1, 3])
    assert [trace.widget(layer=layer).layer for layer in (1, 3, -1)] == [0, 1, 1]
    with pytest.raises(attncore.SelectionError, match=r"no attention layer matches 0; .* indices 1, 3"):
        trace.widget(layer=0)
    live.make_app(trace, token="t", hosts=("localhost",), layer=3)
    with pytest.raises(attncore.SelectionError, match="no attention layer matches 0"):
        live.make_app(trace, token="t", hosts=("localhost",), layer=0)


def test_the_state_holds_the_description_and_the_viewer() -> None:
    """Everything that the page needs before its first question."""
    widget = example_trace().widget()
    state = widget.get_state()
    static = Path(_page_widget.__file__).parent / "static"
    assert state["_esm"] == (static / "widget.js").read_text()
    assert state["_css"] == (static / "viewer.css").read_text()
    assert [layer["name"] for layer in state["_trace"]["layers"]] == ["layers.0.attention", "layers.1.attention"]
    assert {"view", "layer", "heads", "item", "query", "key", "theme", "height"} < set(state)


def test_a_question_is_answered_by_message(page: Page) -> None:
    """The description, a tile in a buffer, and an error in words."""
    description, _ = page.ask({"ask": "trace"})
    assert description == page.widget.get_state()["_trace"]
    answer, buffer = page.ask(QUESTION, id=7)
    assert (answer["rows"], answer["columns"]) == (12, 12)
    expected = np.asarray(example_trace(n_layers=3, lazy=True)[2].weights)[0, 1]
    np.testing.assert_array_equal(np.frombuffer(buffer, "<f4").reshape(12, 12), expected)
    answer, buffer = page.ask({**QUESTION, "head": 99})
    assert (list(answer), buffer) == (["error"], b"")
    answer, _ = page.ask(None)
    assert "a question is a JSON object" in answer["error"]


def test_messages_that_are_no_questions_are_left_alone(page: Page) -> None:
    """Other parts of a notebook may send messages of their own."""
    for content in ({"id": 1}, [], "question", None, {"kind": "anywidget-command"}):
        page.send({"method": "custom", "content": content})
    assert page.received == []


def test_a_fault_of_ours_is_an_answer_too(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the page would wait for ever."""

    def fails(question: Any) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(page.widget._answers, "answer", fails)
    answer, _ = page.ask(QUESTION)
    assert answer == {"error": "the kernel failed on this question: RuntimeError: out of luck"}


def test_what_python_selects_reaches_the_page(page: Page) -> None:
    """Assignments are sent, numpy's numbers as Python's, and only when something changed."""
    page.widget.query = np.asarray(page.widget._answers.trace[0].weights)[0, 0, 5].argmax()
    page.widget.heads = [3, 1, 3]
    page.widget.view = "neuron"
    assert page.synced() == {"query": 4, "heads": [1, 3], "view": "neuron"}
    page.widget.heads = (1, 3)
    page.widget.heads = []
    assert page.synced() == {"heads": [0, 1, 2, 3]}


def test_what_the_page_selects_reaches_python(page: Page) -> None:
    """All of it in one change, and those who observe hear of it once."""
    heard: list[Any] = []
    page.widget.observe(lambda change: heard.append((change.name, change.new)), ["layer", "query"])
    page.select(layer=2, heads=[1], query=7, key=3, view="head")
    widget = page.widget
    assert (widget.layer, widget.heads, widget.query, widget.key) == (2, [1], 7, 3)
    assert sorted(heard) == [("layer", 2), ("query", 7)]
    page.select(query=None)
    assert widget.query is None


def test_another_layer_drops_what_it_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoder and encoder differ in length; the page does the same."""
    trace = example_cross_trace(n_layers=1, n_source=12, n_target=9)
    first = trace[0].with_heads([0, 1])
    page = Page(AttentionTrace((first, *trace.layers[1:]), trace.axes).widget(), monkeypatch)
    assert page.widget.heads == [0, 1]
    page.widget.query, page.widget.key = 11, 10
    page.widget.layer = 2  # cross-attention: 9 queries, 12 keys
    assert (page.widget.query, page.widget.key, page.widget.heads) == (None, 10, [0, 1])
    page.widget.heads = [2, 3]
    page.widget.layer = 0
    assert page.widget.heads == [0, 1]


@pytest.mark.parametrize(
    ("name", "value", "kind", "expected"),
    [
        ("layer", 3, attncore.SelectionError, "layer = 3, and the trace has 3; places count from 0, so give 0 to 2"),
        ("layer", -1, attncore.SelectionError, "give 0 to 2"),
        ("item", 1, attncore.SelectionError, 'item = 1, and layer 0 "layers.0.attention" has 1'),
        ("query", 12, attncore.SelectionError, "give 0 to 11"),
        ("key", -1, attncore.SelectionError, "give 0 to 11"),
        ("heads", [0, 4], attncore.SelectionError, "heads holds 4, and layer 0"),
        ("view", "heads", attncore.OptionError, 'did you mean "head"'),
        ("theme", "blue", attncore.OptionError, "theme is one of light, dark, auto"),
        ("height", 3, attncore.OptionError, "height is 3; give 200 to"),
        ("layer", True, traitlets.TraitError, "expected a whole number, not the bool True"),
        ("layer", None, traitlets.TraitError, "expected a whole number, not the NoneType None"),
        ("query", 1.5, traitlets.TraitError, "expected a whole number or None, not the float 1.5"),
        ("query", np.zeros(2), traitlets.TraitError, "expected a whole number or None"),
        ("heads", 3, traitlets.TraitError, "expected a list"),
        ("heads", ["a"], traitlets.TraitError, "expected a whole number"),
    ],
)
def test_wrong_values_are_refused_and_taken_back(
    page: Page, name: str, value: Any, kind: type[Exception], expected: str
) -> None:
    """Whether Python assigns them or the page sends them."""
    before = getattr(page.widget, name)
    with pytest.raises(kind, match=expected.replace("(", r"\(")) as caught:
        setattr(page.widget, name, value)
    assert isinstance(caught.value, traitlets.TraitError)
    if not isinstance(value, np.ndarray):
        page.select(**{name: value})  # the kernel logs the error: nobody is there to catch it
    assert getattr(page.widget, name) == before


def test_the_description_cannot_be_assigned(page: Page) -> None:
    """A widget shows the trace that it was made for."""
    with pytest.raises(traitlets.TraitError, match="read-only"):
        page.widget._trace = {}


def test_a_widget_that_cannot_open_says_why() -> None:
    """Options are checked like those of render."""
    trace = example_trace()
    with pytest.raises(attncore.OptionError, match=r'no option "layr" \(did you mean "layer"\?\)'):
        trace.widget(layr=1)
    with pytest.raises(attncore.OptionError, match='did you mean "matrix"'):
        trace.widget(view="matrx")
    with pytest.raises(attncore.SelectionError):
        trace.widget(layer=5)
    with pytest.raises(attncore.SelectionError):
        trace.widget(heads=[9])


def test_renderers_without_widgets_are_told_apart() -> None:
    """By name, with those that have them."""
    with pytest.raises(attncore.PluginError, match='renderer "terminal" cannot make notebook widgets; these can: d3'):
        live.make_widget(example_trace(), "terminal")


def test_without_anywidget_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with an extra."""
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "attncore.renderers._page_widget")
    with pytest.raises(attncore.UnavailableError, match=r'pip install "attncore\[notebook\]"'):
        example_trace().widget()
