"""Choosing a renderer, checking what is asked of it, and what comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import attncore
from attncore import OptionError, PluginError, Rendered, Renderer, SelectionError
from attncore.testing import example_trace

PNG = b"\x89PNG\r\n"
PICTURE = Rendered({"text/html": "<p>é</p>", "text/plain": "é", "image/png": PNG}, title="a picture")


class EchoRenderer:
    """Says what it was asked for."""

    name = "echo"
    views = ("head", "model")

    def render(self, trace: Any, *, view: str, layer: int = 0, palette: str = "plain") -> Rendered:
        return Rendered({"text/plain": f"{view} {layer} {palette}"})


class TextViews(EchoRenderer):
    """Names its one view without the comma that makes a tuple."""

    views = "head"  # type: ignore[assignment]


class AnythingRenderer(EchoRenderer):
    """Takes any option and checks them itself."""

    def render(self, trace: Any, *, view: str, **options: Any) -> Rendered:
        return Rendered({"text/plain": f"{view} {sorted(options)}"})


def test_the_default_view_is_the_first() -> None:
    """Without ``view=`` the renderer's first view is drawn; options reach it."""
    assert isinstance(EchoRenderer(), Renderer)
    trace = example_trace()
    assert str(trace.render(EchoRenderer())) == "head 0 plain"
    assert str(attncore.render(trace, EchoRenderer(), view="model", layer=3, palette="warm")) == "model 3 warm"


def test_an_unknown_view_is_refused_with_the_views() -> None:
    """The message names the renderer, the nearest view and all of them."""
    with pytest.raises(OptionError, match=r'"echo" has no view "modle" \(did you mean "model"\?\); .* head, model'):
        example_trace().render(EchoRenderer(), view="modle")


def test_an_unknown_option_is_refused_with_the_options() -> None:
    """The message names the nearest option and all of them; ``view`` and ``trace`` are none."""
    with pytest.raises(OptionError, match=r'no option "layers" \(did you mean "layer"\?\); .* layer, palette$'):
        example_trace().render(EchoRenderer(), layers=1)


def test_a_renderer_that_takes_anything_is_given_anything() -> None:
    """Options of ``**options`` are the renderer's own to check."""
    assert str(example_trace().render(AnythingRenderer(), whatever=1)) == "head ['whatever']"


def test_an_unknown_renderer_is_refused_with_the_names() -> None:
    """A renderer is found by name, or there is a list of names."""
    with pytest.raises(PluginError, match=r'no renderer "terminl" \(did you mean "terminal"\?\)'):
        example_trace().render("terminl")


def test_without_a_name_an_installed_renderer_draws() -> None:
    """``trace.render()`` always shows something."""
    assert example_trace().render().bundle


@pytest.mark.parametrize(
    ("name", "content"),
    [("p.html", "<p>é</p>".encode()), ("p.txt", "é".encode()), ("p.png", PNG), ("P.HTML", "<p>é</p>".encode())],
)
def test_the_ending_chooses_what_is_saved(name: str, content: bytes, tmp_path: Path) -> None:
    """Text is written as UTF-8 and pictures as they are; the path is given back."""
    written = PICTURE.save(tmp_path / name)
    assert written == tmp_path / name
    assert written.read_bytes() == content


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (EchoRenderer, r"EchoRenderer is a class; give a renderer made of it: EchoRenderer\(\)"),
        (3, r"a int is no renderer; give the name of one \(.*terminal.*\), or an object with name, views and render"),
        (TextViews(), r"gives 'head' as its views, which must be a tuple of names"),
    ],
)
def test_what_is_no_renderer_is_refused(given: Any, said: str) -> None:
    """Before it is called."""
    with pytest.raises(PluginError, match=said):
        example_trace().render(given)


def test_a_name_without_an_ending_is_told_so() -> None:
    """The ending is what chooses."""
    with pytest.raises(OptionError, match=r"saved under a name without an ending; use one of \.html, \.txt, \.png"):
        PICTURE.save("p")


@pytest.mark.parametrize("name", ["p.svg", "p.pdf", "p"])
def test_an_ending_that_fits_nothing_is_refused(name: str, tmp_path: Path) -> None:
    """The message lists the endings that this picture has, and no file is written."""
    with pytest.raises(OptionError, match=r"use one of \.html, \.txt, \.png"):
        PICTURE.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_shows_itself_in_a_notebook_and_at_the_prompt() -> None:
    """The MIME bundle goes to the notebook; the text to the terminal; the title where there is no text."""
    assert PICTURE._repr_mimebundle_() == {"text/html": "<p>é</p>", "text/plain": "é", "image/png": PNG}
    assert str(PICTURE) == repr(PICTURE) == "é"
    assert str(Rendered({"image/png": PNG}, title="a picture")) == "a picture"


def test_a_trace_shows_itself_in_a_notebook() -> None:
    """The bundle of a trace has text for those who cannot draw."""
    assert "text/plain" in example_trace()._repr_mimebundle_()


class NoPicture(EchoRenderer):
    """Returns what it was given to return, or has no views."""

    def __init__(self, returned: Any, views: tuple[str, ...] = ("head",)) -> None:
        self.returned, self.views = returned, views

    def render(self, trace: Any, *, view: str, layer: int = 0, palette: str = "plain") -> Any:
        return self.returned


@pytest.mark.parametrize(
    ("renderer", "said"),
    [
        (NoPicture(None), 'view "head" of renderer "echo" returned a NoneType; it must return a Rendered'),
        (NoPicture("text"), "returned a str"),
        (NoPicture(PICTURE, views=()), 'renderer "echo" has no views'),
    ],
)
def test_a_renderer_that_breaks_its_contract_is_named(renderer: Any, said: str) -> None:
    """Instead of an error somewhere behind it."""
    with pytest.raises(PluginError, match=said):
        example_trace().render(renderer)


def test_a_picture_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails, the picture that was there is left, and nothing beside it."""
    path = tmp_path / "p.txt"
    PICTURE.save(path)

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        Rendered({"text/plain": "another"}).save(path)
    assert path.read_text() == "é"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("asked", "drawn"), [({"layer": 4}, 2), ({"layer": 2}, 0), ({"layer": -1}, -1), ({}, 0), ({"layer": "a"}, "a")]
)
def test_a_layer_is_asked_for_by_the_number_that_is_shown(asked: dict[str, Any], drawn: int | str) -> None:
    """A trace of layers 2, 3 and 4 has a layer 4, whose place is 2; names and negative numbers stay as they are."""
    assert str(example_trace(5)[2:].render(EchoRenderer(), **asked)) == f"head {drawn} plain"


@pytest.mark.parametrize("layer", [0, 1, 5])
def test_a_number_that_is_not_held_is_refused_with_those_that_are(layer: int) -> None:
    """It is the place of another layer, which would be drawn without a word."""
    with pytest.raises(SelectionError, match=r"3 attention layer.*2"):
        example_trace(5)[2:].render(EchoRenderer(), layer=layer)


def test_layers_that_share_a_number_are_told_by_their_places() -> None:
    """As in a trace that somebody puts together of two."""
    one = example_trace(1)
    both = attncore.AttentionTrace((one[0], one[0]), one.axes)
    assert str(both.render(EchoRenderer(), layer=1)) == "head 1 plain"


@pytest.mark.parametrize(
    ("renderer", "view", "options", "message"),
    [
        ("terminal", "summary", {"layer": 1}, 'view "summary" does not use layer=; .* view="head" or "matrix"'),
        ("terminal", "matrix", {"query": 1}, 'view "matrix" does not use query=; .* view="head"'),
        ("matplotlib", "matrix", {"heads": [1]}, 'view "matrix" does not use heads=; .* view="heads"'),
        ("matplotlib", "heads", {"head": 1}, 'view "heads" does not use head=; .* view="matrix" or "head"'),
        ("matplotlib", "matrix", {"figsize": 3}, r"width and height in inches, such as \(6, 4\); 3 was given"),
    ],
)
def test_options_of_other_views_are_refused(renderer: str, view: str, options: dict[str, Any], message: str) -> None:
    """Another picture than the one that was meant is not drawn."""
    with pytest.raises(OptionError, match=message):
        example_trace().render(renderer, view=view, **options)
