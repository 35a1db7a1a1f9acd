"""Words in figures: legible, apart, inside, never formulas, in fonts that have the letters."""

from __future__ import annotations

import warnings
from itertools import combinations, pairwise
from typing import Any

import pytest

pytest.importorskip("matplotlib")

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

import attncore
from attncore.renderers import _matplotlib_text
from attncore.renderers.matplotlib import MatplotlibRenderer
from attncore.testing import example_trace

VIEWS = MatplotlibRenderer.views
HOSTILE = ("$x^2$", r"\frac{", "a\nb", "nul\0", "\x1b[31m", "w" * 200)


def labelled(*labels: str, **options: Any) -> attncore.AttentionTrace:
    """A trace whose tokens are these, as they are."""
    trace = example_trace(n_tokens=len(labels), **options)
    (axis,) = trace.axes.values()
    axes = {axis.name: axis.replaced(labels=(labels,), raw=())}
    return attncore.AttentionTrace(trace.layers, axes, trace.coverage, trace.provenance)


def draw(trace: attncore.AttentionTrace, view: str, **options: Any) -> Any:
    """The figure of a view, laid out."""
    figure = trace.render("matplotlib", view=view, **options).figure  # type: ignore[attr-defined]
    FigureCanvasAgg(figure).draw()
    return figure


def shown(figure: Any) -> list[Text]:
    """Every text that can be seen: not the ticks of axes that are off, nor those beyond the ends of an axis."""
    hidden = []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            beyond = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            hidden += [text for unseen in (beyond if ax.axison else [axis]) for text in unseen.findobj(Text)]
    texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    return [text for text in texts if text not in hidden]


@pytest.mark.parametrize("tokens", [12, 128, 1024])
def test_labels_do_not_overlap(tokens: int) -> None:
    """Smaller letters first, then fewer of them, never below five points."""
    figure = draw(example_trace(n_tokens=tokens, lazy=True), "matrix", head=0)
    labels = [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
    assert all(label.get_fontsize() >= 5 for label in labels)
    assert len(boxes) >= min(tokens, 20)
    # The boxes hold room for accents; the letters themselves must be apart.
    assert all(above.y0 - below.y0 >= 0.8 * below.height for below, above in pairwise(boxes))


@pytest.mark.parametrize("size", [6, 10, 14])
@pytest.mark.parametrize("view", VIEWS)
def test_words_stay_apart_and_inside_one_column(view: str, size: int) -> None:
    """3.3 inches wide, at each size of letters that journals ask for."""
    with matplotlib.rc_context({"font.size": size}):
        figure = draw(example_trace(n_layers=6, n_heads=12), view, figsize=(3.3, 3.6))
        found = [(text, text.get_window_extent()) for text in shown(figure)]
    around = figure.bbox.padded(1)
    assert [text for text, box in found if around.count_contains(box.corners()) < 4] == []
    letter = {text: 0.35 * text.get_fontsize() * figure.dpi / 72 for text, _ in found}
    assert [
        (one, other)
        for (one, first), (other, second) in combinations(found, 2)
        if overlap(first, second) > min(letter[one], letter[other])
    ] == []


def overlap(first: Any, second: Any) -> float:
    """By how much two boxes overlap, in the direction in which they do so less; below 0 if they are apart."""
    return float(
        min(min(first.x1, second.x1) - max(first.x0, second.x0), min(first.y1, second.y1) - max(first.y0, second.y0))
    )


@pytest.mark.parametrize("tokens", [6, 128])
@pytest.mark.parametrize(("layers", "heads"), [(1, 1), (1, 2), (2, 1), (1, 12)])
def test_the_title_is_apart_from_the_label_of_a_short_colour_bar(layers: int, heads: int, tokens: int) -> None:
    """The maps of a few heads are lower than the label is long."""
    figure = draw(example_trace(layers, heads, tokens, lazy=True), "model")
    maps, bar = figure.axes
    label = bar.yaxis.label.get_window_extent()
    assert overlap(maps.title.get_window_extent(), label) <= 0.35 * maps.title.get_fontsize() * figure.dpi / 72
    assert figure.bbox.padded(1).count_contains(label.corners()) == 4


@pytest.mark.parametrize("view", ["matrix", "head"])
def test_tokens_are_never_formulas(view: str) -> None:
    """A dollar sign is one, a broken formula breaks nothing, and what cannot be seen or is endless gets a sign."""
    texts = shown(draw(labelled(*HOSTILE), view, head=0))
    expected = ["$x^2$", r"\frac{", "a·b", "nul·", "·[31m", "w" * 19 + "…"]
    for token in expected:
        found = [text for text in texts if text.get_text() == token]
        assert len(found) == 2
        assert not any(text.get_parse_math() or text.get_usetex() for text in found)


@pytest.mark.parametrize("view", VIEWS)
def test_strange_tokens_are_drawn_in_every_view(view: str) -> None:
    """And saved as each kind of file, without a warning."""
    rendered = labelled(*HOSTILE).render("matplotlib", view=view)
    assert all(rendered.files[mime] for mime in ("image/png", "image/svg+xml", "application/pdf"))


def test_missing_characters_are_said_once_and_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install; saving says nothing more."""
    monkeypatch.setattr(_matplotlib_text, "_installed", lambda: ())
    trace = labelled("\N{HANGUL SYLLABLE GA}", "b", "c")
    with pytest.warns(_matplotlib_text.MissingGlyphWarning, match="fonts-noto") as said:
        rendered = trace.render("matplotlib", view="matrix")
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rendered.bundle["image/png"]


def fonts_of(text: Text) -> list[str]:
    """The families that a text is drawn in."""
    return list(text.get_fontfamily())


@pytest.mark.parametrize(
    ("token", "language"), [("中文", "SC"), ("日本語のかな", "JP"), ("한국어", "KR"), ("カナ", "JP")]
)
def test_chinese_japanese_and_korean_have_a_font_of_their_country(token: str, language: str) -> None:
    """An installed one, after the style's own."""
    if not any("CJK" in name for name, _ in _matplotlib_text._installed()):
        pytest.fail("the tests need Noto's fonts: on Debian, as root, `make browser` installs them")
    for view in ("matrix", "head"):
        (text, _) = (text for text in shown(draw(labelled(token, "b"), view, head=0)) if text.get_text() == token)
        assert fonts_of(text) == ["sans-serif", f"Noto Sans CJK {language}"]


def test_colour_emoji_are_a_clear_warning() -> None:
    """Since matplotlib cannot draw fonts in colour."""
    names = {name for name, _ in _matplotlib_text._installed()}
    if any("Symbola" in name or "Emoji" in name for name in names):
        pytest.skip("a font of outlines for emoji is installed")
    with pytest.warns(_matplotlib_text.MissingGlyphWarning, match="such as 🦊.*cannot draw fonts in colour"):
        labelled("🦊", "b").render("matplotlib", view="head")


def test_letters_that_join_are_put_together_or_said_not_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arabic takes less room joined than its letters apart; a matplotlib without shaping warns."""
    word = "عربية"
    if _matplotlib_text._SHAPES:
        assert _matplotlib_text.text_width(word, 10) < 0.95 * sum(_matplotlib_text.text_width(c, 10) for c in word)
        labelled(word, "שלום").render("matplotlib", view="matrix")
    monkeypatch.setattr(_matplotlib_text, "_SHAPES", False)
    for token in (word, "שלום"):
        with pytest.warns(_matplotlib_text.ShapingWarning, match=r"3\.11"):
            labelled(token, "b").render("matplotlib", view="head")
