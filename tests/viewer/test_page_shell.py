"""What stands around the views: it says nothing false, agrees with the picture, and fits small windows."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from viewer_page import VIEWS, wait_until_drawn

from attncore import AttentionTrace
from attncore.renderers._page_html import built_viewer
from attncore.testing import example_trace

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Saved:
    """A page's file."""

    file: Path


def panel(viewer):
    """The details at the side."""
    return viewer.page.get_by_role("complementary", name="Details")


@pytest.fixture(scope="module")
def lacking(tmp_path_factory):
    """A trace, and a page of it that holds only the largest keys of each query."""
    trace = example_trace(n_layers=1, n_heads=4, n_tokens=200, lazy=True)
    viewer = built_viewer()
    rendered = trace.render("d3", max_bytes=len(viewer.script.encode()) + len(viewer.style.encode()) + 90_000)
    assert rendered.details["precision"] == "top"
    file = tmp_path_factory.mktemp("lacking") / "lacking.html"
    rendered.save(file)
    return type("Saved", (), {"trace": trace, "file": file})()


def test_a_weight_that_is_not_in_the_file_is_not_said_to_be_nothing(open_page, lacking) -> None:
    """What the rest is below is above every weight that was left out, and close to the smallest that is held."""
    row = np.asarray(lacking.trace[0].weights, dtype=np.float64)[0, 0, 150]
    viewer = open_page(lacking, "#heads=0&query=150")
    text = panel(viewer).inner_text()
    bound = float(re.search(r"Other weights are below (\S+) where this file leaves them out", text)[1])
    top = int(re.match(r"top (\d+) keys", viewer.page.locator(".attn-precision").inner_text())[1])
    held, left = np.sort(row)[::-1][:top], np.sort(row)[::-1][top:]
    assert left.max() <= bound <= 1.15 * held.min()
    assert "No weight" not in text


def test_a_mean_of_weights_that_are_held_in_part_is_a_bound(open_page, lacking) -> None:
    """At least what the heads that are held give; the list is led by a number that is not more than the true one."""
    mean = np.asarray(lacking.trace[0].weights, dtype=np.float64)[0, :, 150].mean(axis=0)
    viewer = open_page(lacking, "#meanHeads=true&query=150")
    first = panel(viewer).locator(".attn-weights").first.locator("li").first
    label, number = first.inner_text().split("\n")[:2], first.locator(".attn-weight").inner_text()
    position = int(re.findall(r"\d+", label[1] if len(label) > 1 else label[0])[-1])
    assert float(number.removeprefix("≥ ").strip()) <= 1.03 * mean[position] + 5e-5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_column_of_the_figures_is_in_sight(open_page, lacking, theme) -> None:
    """Also the one with the share that the file holds, with the widest figures that there are."""
    details = panel(open_page(lacking, f"#theme={theme}"))
    expect(details.get_by_role("columnheader", name="Kept")).to_be_visible()
    row = details.locator(".attn-table tbody tr").first
    widest = ["8.36", "120.8", "previous token", "98.7 %", "> 99.9 %"]
    row.evaluate("(row, texts) => texts.forEach((text, at) => (row.cells[at + 1].textContent = text))", widest)
    assert details.evaluate("panel => panel.scrollWidth <= panel.clientWidth")


@pytest.mark.parametrize("width", [320, 420, 480, 520, 700])
def test_every_tab_can_be_clicked_at_any_width(open_page, plain, width) -> None:
    """Nothing lies over them, and nothing is wider than the window."""
    viewer = open_page(plain, viewport={"width": width, "height": 800})
    for place, view in reversed(list(enumerate(VIEWS))):
        viewer.click(viewer.page.get_by_role("tab").nth(place))
        assert viewer.selection["view"] == view
        assert viewer.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("view", VIEWS)
def test_a_small_window_scrolls_instead_of_crushing_the_view(open_page, plain, view) -> None:
    """1280 x 800 at 200 %: the view keeps a height that is of use."""
    viewer = open_page(plain, f"#view={view}", viewport={"width": 640, "height": 400})
    size = viewer.page.evaluate(
        "[document.querySelector('.attn-stage').clientHeight, document.documentElement.scrollHeight]"
    )
    assert size[0] >= 360
    assert size[1] > 400
    large = open_page(plain, f"#view={view}")
    assert large.page.evaluate("document.documentElement.scrollHeight") == 800


def test_the_wheel_goes_on_to_the_page_around(browser, plain, tmp_path) -> None:
    """In a notebook, where the head view and the details have nothing to scroll."""
    frame = plain.trace.render("d3", height=900)._repr_mimebundle_()["text/html"]
    host = tmp_path / "host.html"
    host.write_text(f"<!doctype html><body>{frame}<div style='height:3000px'></div>", encoding="utf-8")
    context = browser.new_context(viewport={"width": 1200, "height": 700}, offline=True)
    page = context.new_page()
    page.goto(host.as_uri())
    page.frame_locator("iframe").get_by_role("tab").first.wait_for()
    wait_until_drawn(page.frames[1])
    for x in (400, 1100):
        page.evaluate("scrollTo(0, 0)")
        page.mouse.move(x, 400)
        page.mouse.wheel(0, 200)
        page.wait_for_function("scrollY > 100")
    context.close()


def test_only_what_a_view_does_is_said(open_page, plain) -> None:
    """The model view shows no mean, whatever is averaged elsewhere."""
    fragment = "#meanHeads=true&meanLayers=true"
    notes = ".attn-reader-notes:not([hidden]), .attn-chips:not([hidden])"
    model = open_page(plain, f"{fragment}&view=model")
    assert "ean of" not in " ".join(model.page.locator(notes).all_inner_texts())
    head = open_page(plain, fragment)
    said = " ".join(head.page.locator(notes).all_inner_texts())
    assert "The mean of 4 heads is shown." in said
    assert "Mean of all layers" in said


def test_the_panel_lists_the_head_that_the_matrix_shows(open_page, plain) -> None:
    """The first of the selected heads, or the one chosen in the strip, which the link keeps."""
    weights = np.asarray(plain.trace[0].weights, dtype=np.float64)[0, :, 5]
    for fragment, head in (("", 0), ("&shown=2", 2), ("&shown=2&heads=1,3", 1)):
        viewer = open_page(plain, f"#view=matrix&query=5{fragment}")
        expect(panel(viewer)).to_contain_text(f"head {head}")
        numbers = panel(viewer).locator(".attn-weights").first.locator(".attn-weight").all_inner_texts()
        largest = np.sort(weights[head])[::-1][: len(numbers)]
        assert [float(number) for number in numbers] == pytest.approx(largest.tolist(), abs=6e-4)


def test_figures_say_that_they_are_over_all_tokens(open_page, plain) -> None:
    """They are of whole rows of one layer; where the picture is not, that is written below them."""
    assert "These figures" not in panel(open_page(plain)).inner_text()
    assert "over all tokens" in panel(open_page(plain, "#special=hide")).inner_text()
    assert "of layer 0 alone" in panel(open_page(plain, "#meanLayers=true")).inner_text()


def test_a_head_in_the_panel_is_a_button(open_page, plain) -> None:
    """It shows that head alone, by keyboard too, and keeps the keyboard."""
    viewer = open_page(plain)
    button = panel(viewer).get_by_role("button", name="Show head 2 alone")
    button.focus()
    viewer.press("Enter")
    assert viewer.selection["heads"] == [2]
    expect(panel(viewer).get_by_role("button", name="Show head 2 alone")).to_be_focused()


def test_escape_leaves_the_search_when_it_is_empty(open_page, plain) -> None:
    """The first takes the text away; after the second, letters and figures are commands again."""
    viewer = open_page(plain)
    viewer.press("/")
    viewer.page.keyboard.type("cat")
    viewer.press("Escape")
    expect(viewer.page.get_by_role("searchbox")).to_be_focused()
    viewer.press("Escape", "4")
    assert viewer.selection["view"] == "matrix"
    assert viewer.selection["search"] == ""


def test_a_note_does_not_move_the_view(open_page, plain) -> None:
    """The bottom line stays one line, however much is said there."""
    heights = [
        open_page(plain, fragment).page.locator(".attn-stage").bounding_box()["height"]
        for fragment in ("", "#sink=discount&special=discount&meanHeads=true&meanLayers=true")
    ]
    assert heights[0] == heights[1]


def test_the_threshold_is_automatic_until_it_is_chosen(open_page, lacking) -> None:
    """It follows the heads; moving it ends that, and the button gives it back."""
    viewer = open_page(lacking)
    number = viewer.page.locator(".attn-threshold-number")
    automatic = viewer.page.get_by_role("button", name="Auto", exact=True)
    expect(automatic).to_have_attribute("aria-pressed", "true")
    before = float(number.inner_text())
    viewer.select(heads=[1])
    assert float(number.inner_text()) < before
    viewer.click(automatic)
    assert viewer.selection["threshold"] == float(number.inner_text())
    viewer.click(automatic)
    assert viewer.selection["threshold"] is None


def test_keys_are_printed_one_a_cap(open_page, plain) -> None:
    """No cap holds a separator or half a name."""
    for view in VIEWS:
        viewer = open_page(plain, f"#view={view}")
        viewer.press("?")
        caps = viewer.page.get_by_role("dialog", name="Keys").locator("kbd").all_inner_texts()
        assert not {"Page", "Up", "Down", "or", ","} & set(caps)
        assert "/" in caps  # the key that goes to the search


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_says_what_it_shows(open_page, plain, view) -> None:
    """One sentence, in sight at any width."""
    for width in (1280, 420):
        viewer = open_page(plain, f"#view={view}", viewport={"width": width, "height": 800})
        about = viewer.page.locator(".attn-about")
        expect(about).to_be_visible()
        assert about.evaluate("one => one.scrollWidth <= one.clientWidth + 1")


@pytest.mark.parametrize(("width", "roomy"), [(1280, True), (900, False), (420, False)])
def test_the_details_open_by_themselves_where_there_is_room(open_page, plain, width, roomy) -> None:
    """Elsewhere the view has all of the window until somebody asks for them."""
    viewer = open_page(plain, "#view=matrix", viewport={"width": width, "height": 500})
    expect(panel(viewer)).to_have_count(1 if roomy else 0)
    viewer.click(viewer.page.get_by_role("button", name="Details"))
    expect(panel(viewer)).to_have_count(0 if roomy else 1)


def test_a_token_of_a_generation_says_which_step_wrote_it(open_page, plain, tmp_path) -> None:
    """The prompt's own are told apart from those; without a generation nothing is said."""
    trace = example_trace(1, 2, 12, lazy=True)
    axes = {name: replace(axis, steps=np.array([0] * 8 + [1, 2, 3, 4])) for name, axis in trace.axes.items()}
    file = tmp_path / "steps.html"
    AttentionTrace(trace.layers, axes).render("d3").save(file)
    viewer = open_page(Saved(file), "#view=head&query=9")
    section = viewer.page.get_by_role("region", name="Token")
    expect(section).to_contain_text("Written by generation step 2.")
    viewer.select(query=7)
    expect(section).to_contain_text("Of the prompt.")
    assert "prompt" not in open_page(plain, "#view=head&query=9").page.locator(".attn-details").inner_text()


def test_many_heads_have_the_whole_width_of_a_narrow_window(open_page, tmp_path) -> None:
    """All 32 of them are in sight."""
    file = tmp_path / "many.html"
    example_trace(1, 32, 12, lazy=True).render("d3").save(file)
    viewer = open_page(Saved(file), viewport={"width": 400, "height": 800})
    expect(viewer.page.locator(".attn-heads .attn-head")).to_have_count(32)
    for head in viewer.page.locator(".attn-heads .attn-head").all():
        expect(head).to_be_in_viewport(ratio=1)
