"""The head view: what is drawn for a token, what stands out, and what an export says by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from viewer_page import ViewerPage

from attncore import AttentionTrace

pytestmark = pytest.mark.browser

STATUS = ".attn-columns-status"
STRESS = ".attn-columns-stress"
TOOLTIP = ".attn-tooltip"


@dataclass(frozen=True)
class Page:
    """A page that was written for these tests."""

    file: Path


def _page(trace: AttentionTrace, folder: Path, name: str) -> Page:
    file = folder / f"{name}.html"
    trace.render("d3").save(file)
    return Page(file)


@pytest.fixture(scope="module")
def broad(folder: Path) -> Page:
    """Two heads over 200 tokens, no weight of which is larger than 0.02."""
    weights = np.random.default_rng(3).uniform(0.5, 1.5, (1, 2, 200, 200))
    weights /= weights.sum(axis=-1, keepdims=True)
    tokens = [[f"token{place}" for place in range(200)]]
    return _page(AttentionTrace.from_arrays([weights.astype(np.float32)] * 2, tokens=tokens), folder, "broad")


@pytest.fixture(scope="module")
def long_token(folder: Path) -> Page:
    """Thirty short tokens and one of 300 characters."""
    weights = np.full((1, 1, 31, 31), 1 / 31, dtype=np.float32)
    tokens = [["x" * 300, *(f"word{place}" for place in range(30))]]
    return _page(AttentionTrace.from_arrays([weights], tokens=tokens), folder, "long-token")


def drawn_lines(viewer: ViewerPage) -> int:
    """How many lines the sentence below the picture counts."""
    found = re.search(r"([\d,]+) lines?\b", viewer.page.locator(STATUS).inner_text())
    assert found is not None
    return int(found[1].replace(",", ""))


def ink(viewer: ViewerPage, selector: str) -> int:
    """Pixels of a canvas that are not quite transparent and not white."""
    count = """canvas => {
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
      copy.drawImage(canvas, 0, 0);
      const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
      let found = 0;
      for (let at = 0; at < data.length; at += 4)
        if (data[at + 3] > 200 && data[at] + data[at + 1] + data[at + 2] < 600) found += 1;
      return found;
    }"""
    return int(viewer.page.locator(selector).evaluate(count))


def middle_of(viewer: ViewerPage, side: int, name: str) -> tuple[float, float]:
    """Where a token of the head view is."""
    box = viewer.option(side, name).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def between(viewer: ViewerPage, query: str, key: str, share: float) -> tuple[float, float]:
    """A point on the line from a query to a key, which is flatter at both of its ends."""
    left, right = viewer.option(0, query).bounding_box(), viewer.option(1, key).bounding_box()
    assert left is not None
    assert right is not None
    begin = (left["x"] + left["width"], left["y"] + left["height"] / 2)
    end = (right["x"], right["y"] + right["height"] / 2)
    rise = 0.45 * share + 0.55 * share**2 * (3 - 2 * share)
    return begin[0] + share * (end[0] - begin[0]), begin[1] + rise * (end[1] - begin[1])


def test_a_pointed_token_has_lines_whatever_the_threshold(open_page, broad) -> None:
    """Its strongest keys are drawn also when every weight is far below the threshold."""
    viewer = open_page(broad, "#threshold=0.9")
    assert drawn_lines(viewer) == 0
    assert ink(viewer, ".attn-columns-canvas:first-child") < 2_000
    viewer.page.mouse.move(*middle_of(viewer, 0, "token3"))
    viewer.settle()
    assert drawn_lines(viewer) >= 10
    assert ink(viewer, ".attn-columns-canvas:first-child") > 500


def test_lines_are_drawn_without_a_choice_of_threshold(open_page, broad) -> None:
    """A page of broad heads does not open with an empty picture."""
    viewer = open_page(broad)
    assert 0 < drawn_lines(viewer) < 200 * 200


def test_a_tooltip_does_not_outlive_what_it_is_about(open_page, broad) -> None:
    """Scrolling takes it away; when the picture rests, it says what is under the pointer then."""
    viewer = open_page(broad, "#threshold=0")
    viewer.page.mouse.move(*between(viewer, "token2", "token3", 0.5))
    viewer.settle()
    title = viewer.page.locator(f"{TOOLTIP} .attn-tooltip-title")
    before = title.inner_text()
    viewer.page.mouse.wheel(0, 1500)
    viewer.page.wait_for_function("() => document.querySelector('.attn-columns-scroller').scrollTop > 1000")
    viewer.page.wait_for_timeout(400)
    viewer.settle()
    shown = viewer.page.locator(TOOLTIP)
    assert shown.is_hidden() or title.inner_text() != before


def test_the_pointed_line_stands_out_with_its_tokens(open_page, known) -> None:
    """Both of its tokens are framed, and all is as before when the pointer leaves."""
    viewer = open_page(known)
    expect(viewer.page.locator(STRESS)).to_be_hidden()
    viewer.page.mouse.move(*between(viewer, "c", "a", 0.2))
    viewer.settle()
    expect(viewer.page.locator(STRESS)).to_be_visible()
    assert ink(viewer, STRESS) > 200
    framed = viewer.page.locator(".attn-end .attn-column-token").all_inner_texts()
    assert framed == ["c", "a"]
    expect(viewer.page.locator(f"{TOOLTIP} .attn-tooltip-title")).to_contain_text("“c” 2 → “a” 0")
    viewer.page.mouse.move(*middle_of(viewer, 0, "b"))
    viewer.settle()
    expect(viewer.page.locator(STRESS)).to_be_hidden()
    expect(viewer.page.locator(".attn-end")).to_have_count(0)


def test_a_pinned_pair_is_at_full_strength(open_page, known) -> None:
    """The weakest weight of a row, 0.05 beside 0.4, leaves as much ink as a strong one."""
    viewer = open_page(known, "#query=3&key=3")
    left, top = between(viewer, "d", "d", 0.5)
    canvas = viewer.page.locator(".attn-columns-canvas").first
    at = """(canvas, [x, y]) => {
      const box = canvas.getBoundingClientRect();
      const scale = canvas.width / box.width;
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
      copy.drawImage(canvas, 0, 0);
      const [left, top] = [Math.round((x - box.left) * scale), Math.round((y - box.top - 4) * scale)];
      const column = copy.getImageData(left, top, 1, Math.round(8 * scale)).data;
      return Math.min(...Array.from({ length: column.length / 4 }, (_, row) => column[4 * row]));
    }"""
    darkest = canvas.evaluate(at, [left, top])
    assert darkest < 140
    # Alone, the same line is hardly seen.
    weak = open_page(known, "#query=3&threshold=0")
    assert weak.page.locator(".attn-columns-canvas").first.evaluate(at, [left, top]) > darkest + 40


def test_one_long_token_does_not_take_the_room_of_the_lines(open_page, long_token) -> None:
    """Columns are as wide as most tokens need; the long one is cut, and whole at the pointer."""
    viewer = open_page(long_token)
    widths = [viewer.page.get_by_role("listbox").nth(side).bounding_box()["width"] for side in (0, 1)]
    stage = viewer.page.locator(".attn-columns-stage").bounding_box()["width"]
    assert stage - sum(widths) > 0.3 * stage
    viewer.page.mouse.move(*middle_of(viewer, 0, "xxx"))
    viewer.settle()
    assert "x" * 60 in viewer.page.locator(TOOLTIP).inner_text()


def test_an_export_stands_by_itself(open_page, broad, tmp_path) -> None:
    """It says the model's layer and heads, what colours and strengths mean, and how exact the numbers are."""
    viewer = open_page(broad, "#query=5")
    viewer.press("e")
    with viewer.page.expect_download() as download:
        viewer.page.get_by_role("menuitem", name="Save as SVG").click()
    file = tmp_path / "head.svg"
    download.value.save_as(file)
    text = file.read_text(encoding="utf-8")
    for words in ("layer 0", "head 0", "head 1", "mean of 2", broad_precision(viewer)):
        assert words in text, words
    legend = viewer.page.locator(".attn-columns-legend .attn-number").all_inner_texts()
    assert legend
    assert all(f">{sample}<" in text for sample in legend)


def broad_precision(viewer: ViewerPage) -> str:
    """The sentence on precision that the page has."""
    return str(viewer.page.evaluate("async () => (await window.attncore.ready).store.trace.precision.sentence"))


@pytest.mark.parametrize("width", [320, 420])
def test_headings_do_not_run_into_each_other(open_page, plain, width) -> None:
    """Not even in a very narrow window."""
    viewer = open_page(plain, viewport={"width": width, "height": 700})
    boxes = [
        viewer.page.locator(f".attn-columns-side-{side} .attn-columns-name").bounding_box() for side in ("query", "key")
    ]
    middle = viewer.page.locator(".attn-columns-middle span:visible").last.bounding_box()
    assert boxes[0]["x"] + boxes[0]["width"] <= middle["x"] + 1
    assert middle["x"] + middle["width"] <= boxes[1]["x"] + 1


def test_a_special_token_can_be_read_on_a_highlighted_row(open_page, plain) -> None:
    """It is muted only where there is no colour behind it, and readable too where it is pinned."""
    viewer = open_page(plain)
    ink = "row => getComputedStyle(row.querySelector('.attn-column-token')).color"
    special, other = (viewer.page.locator(".attn-column-key .attn-column-row").nth(place) for place in (0, 1))
    assert special.evaluate("row => row.classList.contains('attn-special')")
    assert special.evaluate(ink) != other.evaluate(ink)
    viewer.select(query=5)
    assert special.evaluate(ink) == other.evaluate(ink)
    viewer.select(query=None, key=0)
    pinned = special.evaluate(ink)
    viewer.select(key=1)
    assert other.evaluate(ink) == pinned
