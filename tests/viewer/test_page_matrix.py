"""The matrix view in a browser: what it says of weights that are not held, what a link keeps of it, and its room."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect
from viewer_page import ViewerPage

from attncore.testing import example_trace

PANE = ".attn-matrix-pane"


def title(viewer: ViewerPage) -> str:
    """Which layer and head are shown large."""
    return viewer.page.locator(".attn-matrix-title").inner_text()


def corner(viewer: ViewerPage) -> dict[str, float]:
    """Where the picture is in the window, and its size."""
    box = viewer.page.locator(PANE).bounding_box()
    assert box is not None
    return dict(box)


def zoom_in(viewer: ViewerPage) -> list[int]:
    """Zooms twice around the middle; what the link then keeps of it."""
    viewer.page.locator(PANE).focus()
    viewer.press("+", "+")
    viewer.page.wait_for_function("() => location.hash.includes('window=')")
    kept: list[int] = viewer.selection["window"]
    return kept


@pytest.fixture(scope="session")
def partial(folder: Path) -> SimpleNamespace:
    """400 tokens in a file that has room for the largest weights of each query only."""
    trace = example_trace(1, 4, 400, lazy=True)
    file = folder / "partial.html"
    trace.render("d3", max_bytes=520_000).save(file)
    assert "keys of each query" in file.read_text("utf8")
    return SimpleNamespace(trace=trace, file=file)


def point(viewer: ViewerPage, row: int, column: int, window: list[int]) -> str:
    """Points at a cell of the part in sight; what the tooltip says."""
    box = corner(viewer)
    top, bottom, left, right = window
    x = box["x"] + box["width"] * (column - left + 0.5) / (right - left)
    y = box["y"] + box["height"] * (row - top + 0.5) / (bottom - top)
    viewer.page.mouse.move(x, y)
    viewer.settle()
    return viewer.page.get_by_role("tooltip").inner_text()


def test_a_weight_that_is_not_held_is_said_to_be_below_its_bound(open_page, partial) -> None:
    """Never 0: the bound is one that the real weight is below, and a weight that is held is the real one."""
    window = [370, 390, 60, 80]
    viewer = open_page(partial, f"#view=matrix&window={','.join(map(str, window))}")
    reference = np.asarray(partial.trace[0].weights)[0, 0]
    seen = {"held": 0, "left out": 0}
    for row in range(371, 389, 3):
        for column in range(61, 79, 4):
            text = point(viewer, row, column, window)
            left_out = re.search(r"not in this file \(< (0\.\d+)\)", text)
            if left_out is None:
                found = re.search(r"weight\s+(0\.\d+)", text)
                assert found is not None, text
                assert float(found[1]) == pytest.approx(reference[row, column], rel=0.05)
            else:
                assert reference[row, column] <= float(left_out[1])
            seen["held" if left_out is None else "left out"] += 1
    assert min(seen.values()) > 0
    expect(viewer.page.locator(".attn-matrix-legend")).to_contain_text("not in this file")


def test_a_link_keeps_the_head_that_is_shown_large(open_page, plain) -> None:
    """Chosen in the strip, it is in the link, and still there after a look at another view."""
    viewer = open_page(plain, "#view=matrix")
    assert title(viewer) == "Layer 0, head 0"
    viewer.click(viewer.page.locator(".attn-matrix-choice").nth(2))
    assert title(viewer) == "Layer 0, head 2"
    viewer.page.wait_for_function("() => location.hash.includes('shown=2')")
    again = open_page(plain, "#" + viewer.page.url.split("#", 1)[1])
    assert title(again) == "Layer 0, head 2"
    expect(again.page.locator(".attn-matrix-choice").nth(2)).to_have_attribute("aria-pressed", "true")
    again.select(view="head")
    again.select(view="matrix")
    assert title(again) == "Layer 0, head 2"


def test_a_link_keeps_what_is_in_sight(open_page, plain) -> None:
    """The same rows and columns in a new page, and in a window of another size all of them."""
    viewer = open_page(plain, "#view=matrix")
    kept = zoom_in(viewer)
    assert kept != [0, 12, 0, 12]
    link = "#" + viewer.page.url.split("#", 1)[1]
    assert open_page(plain, link).selection["window"] == kept
    again = open_page(plain, link, viewport={"width": 900, "height": 500})
    again.page.locator(PANE).focus()
    for keys, index in ((("ArrowDown",), 0), (("ArrowRight",), 2)):
        again.press(*keys)
        assert again.selection["window"][index] == kept[index]
    viewer.click(viewer.page.get_by_role("button", name="Fit"))
    viewer.page.wait_for_function("() => !location.hash.includes('window=')")


@pytest.mark.parametrize(("sort", "pin", "first"), [("query", {"query": 9}, 2), ("key", {"key": 1}, 0)])
def test_sorting_goes_to_the_strongest(open_page, plain, sort: str, pin: dict[str, int], first: int) -> None:
    """Zoomed in somewhere in the middle, sorting shows the first of the sorted tokens."""
    viewer = open_page(plain, "#view=matrix")
    assert zoom_in(viewer)[first] > 0
    viewer.select(sort=sort, **pin)
    viewer.page.wait_for_timeout(400)
    viewer.settle()
    assert viewer.selection["window"][first] == 0


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (900, 500), (420, 800)])
def test_cells_are_square(open_page, plain, width: int, height: int) -> None:
    """Whatever the shape of the window, and the picture has a fair part of it."""
    viewer = open_page(plain, "#view=matrix", viewport={"width": width, "height": height})
    box = corner(viewer)
    assert box["width"] == pytest.approx(box["height"], abs=1)
    assert box["width"] > 0.35 * min(width, height)


def test_the_strip_says_that_it_scrolls(open_page, folder: Path) -> None:
    """Only where there are heads out of sight; and the head shown large is never out of sight."""
    trace = example_trace(1, 40, 6, lazy=True)
    trace.render("d3").save(folder / "heads.html")
    viewer = open_page(SimpleNamespace(trace=trace, file=folder / "heads.html"), "#view=matrix&shown=39")
    expect(viewer.page.locator(".attn-matrix-heads-title")).to_have_text("40 heads, scroll for the others")
    expect(viewer.page.locator(".attn-matrix-choice").nth(39)).to_be_in_viewport()
    viewer.select(heads=[0, 1], shown=None)
    expect(viewer.page.locator(".attn-matrix-heads-title")).to_have_text("2 heads")


def exported(viewer: ViewerPage) -> str:
    """The text of the view's SVG."""
    viewer.press("e")
    with viewer.page.expect_download() as download:
        viewer.page.get_by_role("menuitem", name="SVG").click()
    return Path(download.value.path()).read_text("utf8")


@pytest.mark.parametrize(
    ("fragment", "words"),
    [
        ("#view=matrix&layer=1&heads=2", ("layer 1, head 2", "float16: each weight", "0.")),
        ("#view=matrix&meanHeads=true", ("layer 0, mean of 4 heads", "float16: each weight")),
        ("#view=neuron&layer=1&heads=2&query=8", ("layer 1, head 2: what ", "float16: each weight", "softmax")),
    ],
)
def test_exports_stand_alone(open_page, plain, fragment: str, words: tuple[str, ...]) -> None:
    """Model, layer, head and precision are in the file, as is what its colours mean."""
    viewer = open_page(plain, fragment)
    text = exported(viewer)
    for word in (plain.trace[1].name if "layer=1" in fragment else plain.trace[0].name, *words):
        assert word in text
    model: Any = viewer.page.evaluate("async () => (await window.attncore.ready).trace?.model ?? ''")
    assert model in text


@pytest.mark.parametrize(("width", "height"), [(640, 400), (420, 800)])
def test_the_neuron_table_has_rows_on_small_screens(open_page, plain, width: int, height: int) -> None:
    """Five whole keys between the table's head and its foot, once it is scrolled to."""
    viewer = open_page(plain, "#view=neuron", viewport={"width": width, "height": height})
    table = viewer.page.locator(".attn-neuron-table")
    table.scroll_into_view_if_needed()
    head, foot = (viewer.page.locator(f".attn-neuron-{part}").bounding_box() for part in ("head", "foot"))
    assert head is not None
    assert foot is not None
    assert foot["y"] - head["y"] - head["height"] >= 5 * 24


def test_a_layer_without_vectors_is_explained_once(open_page, known) -> None:
    """One sentence, which contradicts no other."""
    viewer = open_page(known, "#view=neuron")
    said = viewer.page.locator(".attn-explanation").inner_text()
    assert said.strip()
    assert viewer.page.locator(".attn-neuron").inner_text().strip() == ""
