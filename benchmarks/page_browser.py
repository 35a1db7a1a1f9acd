"""Measures the page in headless Chromium, by the page's own clock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = Path(os.environ.get("ATTNCORE_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WINDOW: Any = {"width": 1280, "height": 800}
# How long a new window keeps the processors busy with parts of its own: Chromium's address bar is a page too, which
# loads its scripts in a process beside the one that is measured.
_WINDOW_STARTS_MS = 1000

# When the first picture stands: nothing is being drawn, and the browser has come to the next frame. The page says so
# as soon as its viewer has started, which may be before the browser has read all of the file.
_NOTE_DRAWN = """
const nextFrame = () => new Promise((done) => requestAnimationFrame(done));
window.drawn = new Promise((done) => {
  let viewer;
  const start = async () => {
    await viewer.idle();
    await nextFrame();
    done(performance.now());
  };
  Object.defineProperty(window, "attncore", {
    configurable: true,
    get: () => viewer,
    set: (value) => { viewer = value; start(); },
  });
});
"""
# Resolves when a frame is painted in which, or before which, `isDone` came true: a browser paints right after the
# frame's callbacks, and a message that is sent by one of them arrives after that.
PAINTED = """
window.painted = (isDone) => new Promise((done) => {
  const frame = () => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (isDone() ? done(performance.now()) : frame());
    port2.postMessage(null);
  });
  frame();
});
"""
_SWITCH_LAYERS = """async () => {
  const nextFrame = () => new Promise((done) => requestAnimationFrame(done));
  const { store } = await window.attncore.ready;
  const times = [];
  for (let layer = 1; layer < store.trace.groups[0].layers.length; layer += 1) {
    await nextFrame();
    const start = performance.now();
    store.select({ layer });
    await window.attncore.idle();
    const idle = performance.now();
    await nextFrame();
    times.push([idle - start, performance.now() - start]);
  }
  return times;
}"""
# The first listener of all, so that the clock starts before the page's own.
_NOTE_HOVER = """() => {
  window.hovers = [];
  window.addEventListener("pointermove", () => {
    const start = performance.now();
    window.hovers.push((async () => {
      let idle = null;
      Promise.resolve().then(() => window.attncore.idle()).then(() => (idle = performance.now()));
      const painted = await window.painted(() => idle !== null);
      return [idle - start, painted - start];
    })());
  }, { capture: true });
}"""
# The column of query tokens in the head view.
_FIRST_COLUMN = ".attn-column"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser of its own.

    Raises:
        FileNotFoundError: there is none.
    """
    if not CHROMIUM.exists():
        raise FileNotFoundError(f"no Chromium at {CHROMIUM}: install it, or say where it is with ATTNCORE_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def new_window(context: BrowserContext) -> Page:
    """An empty page in a window that has started, as is the one in which a reader opens a file."""
    page = context.new_page()
    page.wait_for_timeout(_WINDOW_STARTS_MS)
    return page


@contextmanager
def opened(browser: Browser, file: Path, view: str, theme: Any = "light") -> Iterator[Page]:
    """The page in an empty profile; leaves when its first picture stands.

    Raises:
        RuntimeError: the page reported an error.
    """
    context = browser.new_context(viewport=WINDOW, color_scheme=theme)
    context.add_init_script(_NOTE_DRAWN + PAINTED)
    page = new_window(context)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{file.as_uri()}#view={view}")
    page.evaluate("() => window.drawn")
    if errors:
        raise RuntimeError(
            f"{file.name}, {view} view: the page reported: {errors[0]}; open it in a browser to see more"
        )
    try:
        yield page
    finally:
        context.close()


def drawn(browser: Browser, file: Path, view: str, rounds: int) -> list[float]:
    """Milliseconds from the navigation's start to the frame after the view is drawn."""
    times = []
    for _ in range(rounds):
        with opened(browser, file, view) as page:
            times.append(float(page.evaluate("() => window.drawn")))
    return times


def layer_switches(browser: Browser, file: Path) -> list[tuple[float, float]]:
    """Milliseconds of each switch in the head view: until nothing is being drawn, and until the frame after."""
    with opened(browser, file, "head") as page:
        return [(idle, frame) for idle, frame in page.evaluate(_SWITCH_LAYERS)]


def hovers(browser: Browser, file: Path, moves: int) -> list[tuple[float, float]]:
    """Milliseconds of each move of the mouse down a column of tokens: until nothing is being drawn, and painted."""
    with opened(browser, file, "head") as page:
        box = page.locator(_FIRST_COLUMN).first.bounding_box()
        if box is None:
            raise RuntimeError("the head view shows no column of tokens; look at the page and at the selector here")
        page.evaluate(_NOTE_HOVER)
        for move in range(moves):
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10 + 37 * move % (box["height"] - 20))
            # The details beside the view follow later; the next move must not find them still drawing.
            page.wait_for_timeout(60)
        found = page.evaluate("() => Promise.all(window.hovers)")
        return [(idle, painted) for idle, painted in found]
