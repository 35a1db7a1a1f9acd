"""Pages and widgets in real notebooks: executed without a browser, and opened in JupyterLab with one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from jupyter_lab import environment, jupyter_lab
from page_browser import chromium
from playwright.sync_api import Browser, ConsoleMessage, Frame, Locator, Page
from viewer_page import wait_until_drawn

CELLS = (
    "from attncore.testing import example_trace\ntrace = example_trace(lazy=True)\ntrace.render('d3', height=480)",
    "trace.render('d3', view='matrix', layer=1, height=480)",
    "trace",
    "widget = trace.widget(view='model', height=480)\nwidget",
    "print('the widget shows', widget.view, widget.layer, widget.query)",
    "widget.layer = 1",
)
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook() -> Any:
    """A notebook that has not been run."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook after a real kernel ran it from the first cell to the last."""
    folder = tmp_path_factory.mktemp("notebook")
    done = notebook()
    nbclient.NotebookClient(done, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return done


class Links(HTMLParser):
    """Notes every attribute that makes a browser fetch something, and the frames' pages."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0
        self.frames: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster") or (name == "href" and tag != "a"):
                self.fetched.append(value or "")
            if name == "srcdoc":
                self.frames.append(value or "")

    @classmethod
    def of(cls, html: str) -> Links:
        found = cls()
        found.feed(html)
        return found


@pytest.mark.parametrize("cell", [0, 1, 2])
def test_a_page_is_a_frame_of_its_own(executed: Any, cell: int) -> None:
    """A cell's output is one frame that holds the page: nothing is fetched, and no script runs in the notebook."""
    [output] = executed.cells[cell].outputs
    assert output.output_type == "execute_result"
    html = output.data["text/html"]
    around = Links.of(html)
    assert (len(around.frames), around.scripts, around.fetched) == (1, 0, [])
    page = around.frames[0]
    within = Links.of(page)
    assert within.fetched == ["data:,"]
    assert "default-src 'none'" in page
    assert "cdn" not in html.lower()
    assert not re.search(r"require\s*\.\s*(js|config)|requirejs|\bdefine\s*\(\s*\[", html)
    assert json.loads(re.findall(r'id="attncore-trace">(.*?)</script>', page)[0])["model"] == "ExampleDecoder"


def test_a_trace_alone_shows_its_page_and_its_summary(executed: Any) -> None:
    """The last expression of a cell."""
    [output] = executed.cells[2].outputs
    assert "2 attention layer(s)" in output.data["text/plain"]
    assert Links.of(output.data["text/html"]).frames


def test_a_widget_is_displayed_and_answers_later_cells(executed: Any) -> None:
    """Its state is in the notebook, and another cell reads and changes it."""
    [output] = executed.cells[3].outputs
    view = output.data["application/vnd.jupyter.widget-view+json"]
    saved = executed.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    state = saved[view["model_id"]]["state"]
    assert state["_model_module"] == "anywidget"
    assert (state["view"], state["layer"], state["heads"]) == ("model", 1, [0, 1, 2, 3])
    [output] = executed.cells[4].outputs
    assert output.text == "the widget shows model 0 None\n"


# In JupyterLab.

# Counts what is drawn: shapes of SVG pictures, and canvases with more than one colour.
DRAWN = """
(root) => {
  const painted = [...root.querySelectorAll("canvas")].filter((canvas) => {
    if (canvas.width === 0 || canvas.height === 0) return false;
    const pixels = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return pixels.some((pixel) => pixel !== pixels[0]);
  });
  return painted.length;
}
"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A Chromium that shows nothing on the screen."""
    with chromium() as browser:
        yield browser


class Lab:
    """A tab with JupyterLab in it, which notes what goes wrong and what is fetched from elsewhere."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.address = address
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": 1200, "height": 3200})
        self.page.set_default_timeout(20_000)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._check(request.url))

    def _note(self, message: ConsoleMessage) -> None:
        # JupyterLab has messages of its own; ours come from the frames, and from the widget's module.
        ours = message.location.get("url", "").startswith(("about:srcdoc", "blob:", "data:"))
        if message.type == "error" and (ours or re.search(r"attncore|Content Security Policy", message.text)):
            self.errors.append(message.text)

    def _check(self, url: str) -> None:
        if not url.startswith((self.address.split("lab/")[0], "data:", "blob:", "about:")):
            self.strangers.append(url)

    def open(self, name: str) -> None:
        """Opens a notebook and waits for its cells."""
        self.page.goto(self.address.format(name))
        self.page.wait_for_selector(f".jp-mod-current[data-type='document-title'] >> text={name}")
        self.cell(0).wait_for()

    def cell(self, number: int) -> Locator:
        """A code cell of the notebook in sight: Lab opens those of before again, behind it."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").nth(number)

    def run(self, number: int) -> None:
        """Runs a cell and waits until the kernel has."""
        self.cell(number).locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Shift+Enter")
        self.cell(number).locator(".jp-InputPrompt", has_text=re.compile(r"\[\d+\]")).wait_for()

    def frame(self, number: int) -> Frame:
        """The page in a cell's output, when everything in it is drawn."""
        handle = self.cell(number).locator("iframe").element_handle()
        handle.scroll_into_view_if_needed()  # a browser draws nothing in a frame that is out of sight
        frame = handle.content_frame()
        assert frame is not None
        wait_until_drawn(frame)
        return frame


@pytest.fixture
def lab(browser: Browser, tmp_path: Path) -> Iterator[Lab]:
    """JupyterLab with the notebook, not run yet."""
    nbformat.write(notebook(), tmp_path / "live.ipynb")
    with jupyter_lab(tmp_path) as address:
        yield Lab(browser, address)


def drawn(root: Frame | Locator) -> int:
    """How many pictures have something in them."""
    return int((root.locator("body") if isinstance(root, Frame) else root).evaluate(DRAWN))


def layer_of(root: Frame | Locator) -> str | None:
    """The layer that a page says it shows."""
    return root.get_by_role("slider", name="Layer").get_attribute("aria-valuetext")


@pytest.mark.browser
def test_jupyterlab_shows_pages_and_widgets(lab: Lab, tmp_path: Path) -> None:
    """Two pages and a trace draw, the widget talks with the kernel, and the saved notebook shows without one."""
    lab.open("live.ipynb")
    lab.page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    for number in range(4):
        lab.run(number)
    for number, layer in ((0, 0), (1, 1), (2, 0)):
        frame = lab.frame(number)
        assert drawn(frame), f"the page in cell {number} is empty"
        assert layer_of(frame) == f"Layer {layer}, layers.{layer}.attention"
    check_widget(lab)
    lab.page.keyboard.press("Control+s")
    lab.page.wait_for_selector(".jp-mod-current[data-type='document-title']:not(.jp-mod-dirty)")
    reopen_without_kernel(lab, tmp_path)
    assert lab.errors == []
    assert lab.strangers == []


def check_widget(lab: Lab) -> None:
    """What is chosen in the widget is read in Python, and the other way round."""
    widget = lab.cell(3).locator(".jp-OutputArea-output .attncore")
    widget.get_by_role("tab", name="Matrix").click()
    lab.page.wait_for_function(f"(root) => ({DRAWN})(root) > 0", arg=widget.element_handle())
    lab.run(4)
    assert "the widget shows matrix 0 None" in lab.cell(4).inner_text()
    assert layer_of(widget) == "Layer 0, layers.0.attention"
    lab.run(5)
    widget.locator("[aria-valuetext='Layer 1, layers.1.attention']").wait_for()


def reopen_without_kernel(lab: Lab, folder: Path) -> None:
    """The saved notebook on a machine that has no such kernel: a copy, trusted like the notebook that was run here."""
    saved = nbformat.read(folder / "live.ipynb", as_version=4)
    saved.metadata.clear()  # by its language, Lab would find the kernel that is here
    saved.metadata.kernelspec = {"name": "gone", "display_name": "A kernel that is gone"}
    nbformat.write(saved, folder / "again.ipynb")
    trust = [sys.executable, "-m", "jupyter", "trust", str(folder / "again.ipynb")]
    subprocess.run(trust, env=environment(folder), check=True, capture_output=True, timeout=60)
    lab.open("again.ipynb")
    lab.page.locator(".jp-Dialog").get_by_role("button", name="No Kernel").click()
    for number in range(3):
        assert drawn(lab.frame(number)), f"the page in cell {number} is empty without a kernel"
