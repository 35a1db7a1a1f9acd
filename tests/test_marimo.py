"""In marimo: pages, a trace alone in its cell, the terminal's text, and the widget, which other cells follow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from marimo_server import marimo_app
from page_browser import chromium
from playwright.sync_api import Browser

NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo

    from attncore.testing import example_trace

    trace = example_trace(n_layers=3, n_heads=4, n_tokens=12, lazy=True)
    return mo, trace


@app.cell
def _(trace):
    trace.render("d3", layer=1)
    return


@app.cell
def _(trace):
    trace
    return


@app.cell
def _(trace):
    trace.render("terminal")
    return


@app.cell
def _(mo, trace):
    widget = mo.ui.anywidget(trace.widget())
    widget
    return (widget,)


@app.cell
def _(mo, widget):
    mo.md(f"the widget shows layer {widget.layer}")
    return
"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A Chromium that shows nothing on the screen."""
    with chromium() as browser:
        yield browser


@pytest.mark.browser
def test_marimo_shows_pages_and_widgets(browser: Browser, tmp_path: Path) -> None:
    """Each is drawn; a cell that reads the widget's layer runs again when it is changed on the page."""
    notebook = tmp_path / "notebook.py"
    notebook.write_text(NOTEBOOK)
    with marimo_app(notebook) as address:
        page = browser.new_page(viewport={"width": 1200, "height": 3200})
        page.set_default_timeout(30_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        for place, layer in ((0, 1), (1, 0)):
            root = page.frame_locator("iframe >> nth=" + str(place)).locator(".attncore")
            slider = root.get_by_role("slider", name="Layer")
            slider.wait_for()
            assert slider.get_attribute("aria-valuetext") == f"Layer {layer}, layers.{layer}.attention"
            root.locator(".attn-columns").wait_for()
        page.get_by_text("Heads that stand out").wait_for()
        page.get_by_text("the widget shows layer 0").wait_for()
        widget = page.locator("marimo-anywidget .attncore")
        widget.get_by_role("slider", name="Layer").press("ArrowRight")
        page.get_by_text("the widget shows layer 1").wait_for()
        page.close()
    assert errors == []
