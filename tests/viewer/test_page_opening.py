"""What a page opens with is in sight, whatever opened it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect
from viewer_page import ViewerPage

from attncore.testing import example_cross_trace, example_trace

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """One layer of four heads and 200 tokens, of which the page opens with query 150."""
    file = tmp_path_factory.mktemp("long") / "long.html"
    example_trace(1, 4, 200, lazy=True).render("d3", query=150).save(file)
    return type("Saved", (), {"file": file})


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """Forty layers of four heads."""
    file = tmp_path_factory.mktemp("deep") / "deep.html"
    example_trace(40, 4, 8, lazy=True).render("d3", view="model", layer=30).save(file)
    return type("Saved", (), {"file": file})


def expect_in_sight(viewer: ViewerPage, side: int, position: int) -> None:
    """Whether a token of the head view is whole within its column."""
    column = viewer.page.get_by_role("listbox").nth(side)
    row = column.locator(f'[aria-posinset="{position + 1}"]')
    expect(row).to_be_visible()
    inside, outside = row.bounding_box(), column.bounding_box()
    assert inside is not None
    assert outside is not None
    assert outside["y"] <= inside["y"]
    assert inside["y"] + inside["height"] <= outside["y"] + outside["height"]


def test_the_pinned_query_is_in_sight(open_page, long) -> None:
    """On opening, after a link with another one, and after a filter."""
    viewer = open_page(long)
    assert viewer.selection["query"] == 150
    expect_in_sight(viewer, 0, 150)
    viewer.page.evaluate("location.hash = '#query=20&heads=1'")
    viewer.settle()
    assert viewer.selection["query"] == 20
    expect_in_sight(viewer, 0, 20)
    viewer.page.evaluate("location.hash = '#query=none&key=180&heads=2'")
    viewer.settle()
    expect_in_sight(viewer, 1, 180)


def test_what_was_pinned_in_the_matrix_is_in_sight_in_the_head_view(open_page, long) -> None:
    """The key that changes the view does not lose the token."""
    viewer = open_page(long, "#view=matrix&query=90")
    viewer.press("1")
    assert viewer.selection["view"] == "head"
    expect_in_sight(viewer, 0, 90)


def test_the_selected_layer_is_in_sight_in_the_model_view(open_page, deep) -> None:
    """On opening, and after another layer was chosen elsewhere."""
    viewer = open_page(deep)
    cells = viewer.page.locator(".attn-model-cell")
    expect(cells.and_(viewer.page.get_by_label("Layer 30, head 0:")).first).to_be_in_viewport(ratio=1)
    viewer.press("1")
    viewer.select(layer=38)
    viewer.press("2")
    expect(cells.and_(viewer.page.get_by_label("Layer 38, head 0:")).first).to_be_in_viewport(ratio=1)


def exported_name(viewer: ViewerPage) -> str:
    """What the view's SVG is called."""
    viewer.press("e")
    with viewer.page.expect_download() as download:
        viewer.page.get_by_role("menuitem", name="SVG").click()
    return str(download.value.suggested_filename)


def test_an_export_keeps_its_words_inside(open_page, plain) -> None:
    """Every text of every view ends before the right edge, in a narrow window with all that there is to say."""
    filters = "special=discount&sink=discount&query=8"
    for view in ("head", "model", "neuron", "matrix"):
        viewer = open_page(plain, f"#view={view}&{filters}", viewport={"width": 480, "height": 800})
        viewer.press("e")
        with viewer.page.expect_download() as download:
            viewer.page.get_by_role("menuitem", name="SVG").click()
        picture = viewer.page.context.new_page()
        picture.set_content(Path(download.value.path()).read_text("utf8").split("?>", 1)[1])
        edges = picture.evaluate("""() => {
          const { right } = document.querySelector("svg").getBoundingClientRect();
          const texts = [...document.querySelectorAll("svg > text, svg > g > text")];
          return texts.map((text) => [text.textContent, text.getBoundingClientRect().right - right]);
        }""")
        picture.close()
        assert edges
        assert [words for words, beyond in edges if beyond > 0] == []


def test_an_exported_file_is_named_by_its_group(open_page, tmp_path) -> None:
    """Where layers of several kinds are counted apart."""
    file = tmp_path / "cross.html"
    example_cross_trace(lazy=True).render("d3").save(file)
    saved = type("Saved", (), {"file": file})
    names = [exported_name(open_page(saved, f"#view={view}&layer=0")) for view in ("model", "head")]
    assert names == ["ExampleEncoderDecoder-model-encoder.svg", "ExampleEncoderDecoder-head-encoder-layer-0.svg"]


@pytest.mark.parametrize(
    ("fragment", "name"),
    [
        ("#view=head&layer=1", "ExampleDecoder-head-layer-1"),
        ("#view=head&heads=2", "ExampleDecoder-head-layer-0-head-2"),
        ("#view=matrix&heads=1,3&shown=3", "ExampleDecoder-matrix-layer-0-head-3"),
        ("#view=matrix&heads=1,3&meanHeads=true", "ExampleDecoder-matrix-layer-0-mean-of-2-heads"),
        ("#view=neuron&layer=1&heads=2&query=8", "ExampleDecoder-neuron-layer-1-head-2"),
        ("#view=model", "ExampleDecoder-model"),
    ],
)
def test_an_exported_file_is_named_by_what_it_shows(open_page, plain, fragment: str, name: str) -> None:
    """With the head where it shows one."""
    assert exported_name(open_page(plain, fragment)) == f"{name}.svg"
