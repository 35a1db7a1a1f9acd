"""The page shows the numbers that numpy reads from the trace."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from viewer_page import KNOWN

pytestmark = pytest.mark.browser


def numbers(page: Page, selector: str) -> list[float]:
    """The weights that a list of the details shows."""
    return [float(text) for text in page.locator(f"{selector} .attn-weight").all_inner_texts()]


def weights_of(saved, layer: int) -> np.ndarray:
    """(heads, query, key) of the first batch item."""
    return np.asarray(saved.trace[layer].weights[0])


@pytest.mark.parametrize(("layer", "query"), [(0, 5), (1, 11)])
def test_the_details_list_a_pinned_querys_largest_weights(open_page, plain, layer, query) -> None:
    """The mean over the heads, in falling order, and beside each the key's position."""
    viewer = open_page(plain, f"#layer={layer}&query={query}")
    details = viewer.page.get_by_role("complementary", name="Details")
    mean = weights_of(plain, layer)[:, query].mean(axis=0)
    order = np.argsort(-mean, kind="stable")[:10]
    shown = [float(text) for text in details.locator("ol .attn-weight").all_inner_texts()]
    places = [int(text) for text in details.locator("ol .attn-place").all_inner_texts()]
    np.testing.assert_allclose(shown, mean[order][: len(shown)], atol=6e-4)
    assert len(shown) == min(10, int((mean > 0).sum()))
    np.testing.assert_allclose(mean[places], shown, atol=6e-4)


def test_the_details_show_each_heads_weight_of_a_pair(open_page, plain) -> None:
    """One number a head, in the heads' order."""
    viewer = open_page(plain, "#layer=1&query=7&key=3")
    shown = numbers(viewer.page, 'ul[aria-label="Each head\'s weight"]')
    np.testing.assert_allclose(shown, weights_of(plain, 1)[:, 7, 3], atol=6e-4)


def test_the_mean_is_that_of_the_selected_heads(open_page, plain) -> None:
    """Two of four heads, drawn as one."""
    viewer = open_page(plain, "#layer=0&query=6&heads=1,3&meanHeads=true")
    details = viewer.page.get_by_role("complementary", name="Details")
    shown = [float(text) for text in details.locator("ol .attn-weight").all_inner_texts()]
    mean = weights_of(plain, 0)[[1, 3], 6].mean(axis=0)
    np.testing.assert_allclose(shown, np.sort(mean)[::-1][: len(shown)], atol=6e-4)


def test_the_neuron_views_numbers_are_the_traces(open_page, plain) -> None:
    """The last column of each key's row is its weight."""
    viewer = open_page(plain, "#view=neuron&layer=1&query=8&heads=2")
    rows = viewer.page.locator(".attn-neuron-row").filter(
        has=viewer.page.locator(".attn-neuron-key .attn-number"), visible=True
    )
    shown = {}
    for row in rows.all():
        key = row.locator(".attn-neuron-key .attn-number").inner_text()
        shown[int(key)] = row.locator(".attn-neuron-weight .attn-number").inner_text()
    reference = weights_of(plain, 1)[2, 8]
    assert len(shown) >= 6
    for key, text in shown.items():
        if text == "masked":
            assert key > 8
        else:
            assert float(text) == pytest.approx(reference[key], abs=6e-4)


# The colour in each cell of a 4 x 4 matrix, a little off its corner, where no number is written; red, green, blue.
CELL_COLOURS = """(count) => {
  const canvas = document.querySelector(".attn-matrix-pane canvas");
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const places = Array.from({ length: count }, (_, place) => place + 0.12);
  return places.map((row) => places.map((column) => {
    const start = 4 * (Math.round((row * height) / count) * width + Math.round((column * width) / count));
    return [...data.slice(start, start + 3)];
  }));
}"""
# The ends of the colour scale, as `draw/colours.ts` gives them: nothing, and the largest weight.
ENDS = {"light": ((255, 255, 255), (35, 26, 87)), "dark": ((20, 22, 26), (251, 214, 162))}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_matrix_paints_known_weights_in_known_colours(open_page, known, theme) -> None:
    """0 is the background and 1 the end of the scale, to the pixel; the others lie between, in the weights' order."""
    viewer = open_page(known, f"#view=matrix&theme={theme}")
    colours = np.asarray(viewer.page.evaluate(CELL_COLOURS, len(KNOWN)), dtype=float)
    nothing, most = np.asarray(ENDS[theme], dtype=float)
    np.testing.assert_allclose(colours[KNOWN == 0], np.broadcast_to(nothing, ((KNOWN == 0).sum(), 3)), atol=2)
    np.testing.assert_allclose(colours[KNOWN == 1], np.broadcast_to(most, (2, 3)), atol=2)
    lightness = colours @ [0.2126, 0.7152, 0.0722]
    by_weight = lightness.ravel()[np.argsort(KNOWN, axis=None, kind="stable")]
    steps = np.diff(by_weight) * (1 if theme == "dark" else -1)
    assert (steps >= -2).all()
    assert len(np.unique(by_weight.round())) == len(np.unique(KNOWN))


def test_pointing_at_a_cell_says_its_weight(open_page, known) -> None:
    """The tooltip of row 2, column 0 gives 0.7."""
    viewer = open_page(known, "#view=matrix")
    box = viewer.page.locator(".attn-matrix-pane canvas").bounding_box()
    assert box is not None
    viewer.page.mouse.move(box["x"] + box["width"] * 0.5 / 4, box["y"] + box["height"] * 2.5 / 4)
    viewer.settle()
    tooltip = viewer.page.get_by_role("tooltip")
    expect(tooltip).to_be_visible()
    expect(tooltip).to_contain_text("0.70")
    expect(tooltip).to_contain_text("c")
