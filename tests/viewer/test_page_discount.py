"""Weights scaled after others were taken out: never a number that the file does not tell, and bounds that hold."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from attncore import AttentionTrace

pytestmark = pytest.mark.browser

# In 8 bits a number that is shown is known within 10 %, and has two digits.
WITHIN = 0.1 + 0.05
PINNED = (1, 40, 100)


def sinking(left: float) -> AttentionTrace:
    """Eight layers of 12 causal heads, 128 tokens, that leave a share of ``left`` to all tokens but the first."""
    random = np.random.default_rng(0)
    layers = []
    for _ in range(8):
        weights = np.exp(1.5 * random.standard_normal((1, 12, 128, 128)))
        weights *= np.tril(np.ones((128, 128)))
        weights[..., 0] = 0
        weights *= left / np.maximum(weights.sum(-1, keepdims=True), 1e-30)
        weights[..., 0] = 1 - left
        weights[:, :, 0] = np.eye(128)[0]
        layers.append(weights.astype(np.float32))
    return AttentionTrace.from_arrays(layers)


@pytest.mark.parametrize("left", [0.1, 1e-2, 1e-3, 1e-4, 1e-6])
def test_a_number_is_what_numpy_finds_and_a_bound_holds(open_page, tmp_path, left) -> None:
    """Of the sink's attention taken out, whatever is left beside it."""
    trace = sinking(left)
    file = tmp_path / "sink.html"
    trace.render("d3").save(file)
    viewer = open_page(type("Saved", (), {"file": file}), "#layer=1&heads=3&sink=discount")
    assert viewer.page.locator(".attn-precision").inner_text().startswith("8-bit logarithmic")
    for query in PINNED:
        viewer.select(query=query)
        row = np.asarray(trace[1].weights, dtype=np.float64)[0, 3, query]
        row[0] = 0
        check(viewer.page.get_by_role("complementary", name="Details"), row / row.sum())


def check(details, row: np.ndarray) -> None:
    """Every line of the list, and the bound of what is not in it, against the true weights."""
    texts = details.locator("ol .attn-weight").all_inner_texts()
    places = [int(text) for text in details.locator("ol .attn-place").all_inner_texts()]
    for text, place in zip(texts, places, strict=True):
        sign, number = re.match(r"([<≥]?)\s*(\S+)", text).groups()
        if sign == "<":
            assert row[place] <= float(number)
        elif sign == "≥":
            assert row[place] >= float(number) * (1 - WITHIN)
        else:
            assert float(number) == pytest.approx(row[place], rel=WITHIN)
    others = np.delete(row, places)
    bound = re.search(r"known: all are below (\S+)\.|not known are below (\S+):", details.inner_text())
    if bound is None:
        assert len(places) == min(10, (row > 1e-4).sum())
    elif len(places) < 10:
        assert others.max() <= float(bound[1] or bound[2])


def test_a_row_of_which_nothing_is_left_says_so_and_draws_no_line(open_page, tmp_path) -> None:
    """Neither a line, nor a number beside a token; the matrix says that it is not in the file."""
    file = tmp_path / "sink.html"
    sinking(1e-6).render("d3").save(file)
    viewer = open_page(type("Saved", (), {"file": file}), "#layer=1&heads=3&sink=discount&query=100")
    details = viewer.page.get_by_role("complementary", name="Details")
    expect(details).to_contain_text("No weight is known: all are below 1. Too little is left of this row")
    expect(viewer.page.locator(".attn-columns-status")).to_contain_text(": 0 lines")
    figures = set(viewer.page.locator(".attn-column-key .attn-column-figure").all_inner_texts()) - {""}
    assert figures == {"< 1"}
    expect(viewer.page.locator(".attn-footer")).to_contain_text("does not tell within 10 % are shown as bounds")
    viewer.select(view="matrix")
    expect(viewer.page.locator(".attn-matrix")).to_contain_text("not in this file")
