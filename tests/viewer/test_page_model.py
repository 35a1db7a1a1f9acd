"""The model view: which heads come first, which are left out, and the enlarged head."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from viewer_page import KNOWN, ViewerPage

from attncore import AttentionTrace
from attncore.testing import example_trace

pytestmark = pytest.mark.browser

PREVIEW = ".attn-model-preview"
CELL = ".attn-model-cell"


def entropies(saved) -> np.ndarray:
    """Mean entropy of the rows of each head, in bits, by layer and head."""
    found = []
    for layer in saved.trace:
        weights = np.asarray(layer.weights, dtype=np.float64)[0]
        logs = np.log2(np.where(weights > 0, weights, 1))
        found.append(-(weights * logs).sum(-1).mean(-1))
    return np.array(found)


def captions(viewer: ViewerPage) -> list[str]:
    """The heads' names below their pictures, in order."""
    return viewer.page.locator(f"{CELL} .attn-model-caption b").all_inner_texts()


def overlap(first: dict[str, float], second: dict[str, float]) -> bool:
    """Whether two boxes have a point in common."""
    across = first["x"] < second["x"] + second["width"] and second["x"] < first["x"] + first["width"]
    return across and first["y"] < second["y"] + second["height"] and second["y"] < first["y"] + first["height"]


def test_heads_of_all_layers_are_ranked(open_page, plain) -> None:
    """By numpy's entropies, the sharpest first, and turned around by the button."""
    viewer = open_page(plain, "#view=model")
    viewer.page.get_by_label("Order by").select_option("entropy")
    viewer.page.get_by_label("across layers").check()
    viewer.settle()
    table = entropies(plain)
    order = sorted((table[layer, head], layer, head) for layer in range(2) for head in range(4))
    expected = [f"{layer}.{head}" for _, layer, head in order]
    assert captions(viewer) == expected
    viewer.click(viewer.page.get_by_role("button", name="Sharpest first"))
    assert captions(viewer) == expected[::-1]
    assert (viewer.selection["ranked"], viewer.selection["descending"]) == (True, True)


def test_a_ranked_head_opens_by_keyboard(open_page, plain) -> None:
    """Arrow keys go through the list, Enter opens the head that they are at."""
    viewer = open_page(plain, "#view=model&order=entropy&ranked=true")
    names = captions(viewer)
    viewer.page.get_by_role("grid").focus()
    viewer.press("Home", "ArrowRight", "ArrowRight", "Enter")
    layer, head = (int(part) for part in names[2].split("."))
    assert (viewer.selection["view"], viewer.selection["layer"], viewer.selection["heads"]) == ("head", layer, [head])


def test_other_patterns_are_dimmed_or_left_out(open_page, plain) -> None:
    """Dimmed to begin with; "only these" leaves as many as the list of patterns counts."""
    viewer = open_page(plain, "#view=model")
    pattern = viewer.page.get_by_label("Pattern", exact=True)
    only = viewer.page.get_by_label("only these")
    expect(only).to_be_hidden()
    text = pattern.locator("option").nth(1).inner_text()
    pattern.select_option(index=1)
    viewer.settle()
    count = int(text.rsplit("(", 1)[1].rstrip(")"))
    assert viewer.page.locator(f"{CELL}:not(.attn-dimmed)").count() == count
    expect(viewer.page.locator(CELL)).to_have_count(8)
    only.check()
    viewer.settle()
    expect(viewer.page.locator(CELL)).to_have_count(count)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1600, 1000), (420, 800)])
def test_the_enlarged_head_covers_nothing(open_page, plain, width, height) -> None:
    """It is there without a pointer, shows what is pointed at, and overlaps neither pictures nor a tooltip."""
    viewer = open_page(plain, "#view=model&layer=1&heads=2", viewport={"width": width, "height": height})
    name = viewer.page.locator(f"{PREVIEW} .attn-model-name")
    expect(name).to_have_text("Layer 1, head 2")
    viewer.page.locator(CELL).nth(3).hover()
    viewer.settle()
    expect(name).to_have_text("Layer 0, head 3")
    expect(viewer.page.locator(".attn-tooltip")).to_be_hidden()
    preview = viewer.page.locator(PREVIEW).bounding_box()
    grid = viewer.page.locator(".attn-overview-grid").bounding_box()
    assert not overlap(preview, grid)
    assert preview["x"] + preview["width"] <= width + 1


def test_the_enlarged_head_names_its_tokens_and_largest_weights(open_page, known) -> None:
    """Tokens along both sides, the largest weight, and the strongest pairs, as numpy has them."""
    viewer = open_page(known, "#view=model")
    labels = viewer.page.locator(f"{PREVIEW} .attn-model-rulers text").all_text_contents()
    assert sorted(label for label in labels if len(label) == 1) == sorted("abcd" * 2)
    for words in ("attending (queries)", "attended (keys)"):
        assert any(words in label for label in labels), words
    expect(viewer.page.locator(".attn-model-most")).to_contain_text("1")
    pairs = viewer.page.locator(".attn-model-pair").all_inner_texts()
    weights = [float(pair.split()[-1]) for pair in pairs]
    assert len(weights) == 8
    assert weights == pytest.approx(np.sort(KNOWN, axis=None)[::-1][: len(weights)], abs=0.0006)


def test_the_outline_of_the_first_row_is_whole(open_page, plain) -> None:
    """The header that stays in sight covers nothing of it."""
    viewer = open_page(plain, "#view=model")
    viewer.page.get_by_role("grid").focus()
    viewer.press("Home")
    header = viewer.page.locator(".attn-model-top").bounding_box()
    cell = viewer.page.locator(f"{CELL}.attn-cursor").bounding_box()
    assert cell["y"] - 2 >= header["y"] + header["height"]


def test_the_root_shows_weak_weights_that_a_linear_scale_hides(open_page, known) -> None:
    """0.05 of a largest weight of 1 is much darker with the root, and the strongest is the same."""
    shades = {}
    for scale in ("root", "linear"):
        viewer = open_page(known, f"#view=model&modelScale={scale}")
        pixel = """canvas => {
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const { data, width } = copy.getImageData(0, 0, canvas.width, canvas.height);
          const middle = place => Math.round((place + 0.5) * width / 4);
          const at = (row, column) => data[4 * (middle(row) * width + middle(column))];
          return [at(0, 0), at(3, 3), at(0, 1)];
        }"""
        shades[scale] = viewer.page.locator(f"{PREVIEW} canvas").evaluate(pixel)
    assert shades["root"][0] == shades["linear"][0]
    assert shades["root"][1] < shades["linear"][1] - 20
    assert shades["root"][2] == shades["linear"][2] == 255


def exported(viewer: ViewerPage) -> str:
    """The view's SVG."""
    viewer.press("e")
    with viewer.page.expect_download() as download:
        viewer.page.get_by_role("menuitem", name="SVG").click()
    return Path(download.value.path()).read_text("utf8").split("?>", 1)[1]


def test_colours_beside_the_scale_are_explained(open_page, tmp_path, known) -> None:
    """Weights that are not in the file, on the page and in an export; nothing where there are none."""
    # Beside a first token that takes all but a millionth, 8 bits say nothing of the others.
    sinking = np.tril(np.full((1, 8, 128, 128), 1e-8, dtype=np.float32))
    sinking[..., 0] = 1 - sinking[..., 1:].sum(-1)
    file = tmp_path / "sinking.html"
    AttentionTrace.from_arrays([sinking] * 8).render("d3").save(file)
    viewer = open_page(type("Saved", (), {"file": file}), "#view=model&sink=discount")
    expect(viewer.page.locator(".attn-model-notes")).to_have_text("not in this file")
    assert "not in this file" in exported(viewer)
    viewer = open_page(known, "#view=model")
    expect(viewer.page.locator(".attn-model-notes")).to_have_text("")
    assert "not in this file" not in exported(viewer)


def test_a_long_title_goes_on_in_a_second_line_of_an_export(open_page, tmp_path) -> None:
    """All of its words are there, inside the picture."""
    trace = example_trace(2, 2, 12, lazy=True)
    name = "BidirectionalEncoderDecoderForConditionalGeneration"
    provenance = dataclasses.replace(trace.provenance, model=name)
    file = tmp_path / "long.html"
    AttentionTrace(trace.layers, trace.axes, provenance=provenance).render("d3").save(file)
    fragment = "#view=model&order=maxWeight&descending=true&ranked=true"
    viewer = open_page(type("Saved", (), {"file": file}), fragment, viewport={"width": 480, "height": 800})
    picture = viewer.page.context.new_page()
    picture.set_content(exported(viewer))
    lines, width, label = picture.evaluate("""() => {
      const svg = document.querySelector("svg");
      const titles = [...svg.querySelectorAll("text")].filter((text) => text.getAttribute("font-size") === "14");
      const lines = titles.map((text) => [text.textContent, text.getBoundingClientRect().right]);
      return [lines, svg.getBoundingClientRect().right, svg.getAttribute("aria-label")];
    }""")
    assert len(lines) > 1
    assert " ".join(words for words, _ in lines) == label
    assert label == f"{name}, heads of all layers by mean maximum, largest first"
    assert max(edge for _, edge in lines) <= width
