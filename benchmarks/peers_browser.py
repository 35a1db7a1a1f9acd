"""Measures one peer's page in headless Chromium: ``python peers_browser.py bertviz drawn head 128 page.html FOLDER``.

Prints milliseconds of each round as JSON. The clock is the same for every tool: a picture stands at the first frame
that begins when nothing was drawn in the frame before and no gap between frames was longer than 50 ms, provided that
all its elements are there and nothing changes for 200 ms, which are not counted.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from page_browser import PAINTED, WINDOW, chromium, new_window
from peers_environment import scripts
from playwright.sync_api import Browser, Error, Page, Route

_ROUNDS, _SECONDS = 5, 40.0
_MOVES = 20
_CLOCK = """
(() => {
  let changed = false;
  let error = null;
  window.pictures = 0;
  window.addEventListener("error", (event) => { error ??= event.message; });
  const canvas = CanvasRenderingContext2D.prototype;
  const { fillRect } = canvas;
  canvas.fillRect = function (x, y, width, height) {
    changed = true;
    fillRect.call(this, x, y, width, height);
  };
  for (const name of ["putImageData", "drawImage", "clearRect"]) {
    const original = canvas[name];
    canvas[name] = function (...given) {
      changed = true;
      if (name !== "drawImage") window.pictures += 1;
      original.apply(this, given);
    };
  }
  window.settled = (complete) => new Promise((done, failed) => {
    let elements = -1;
    let drawn = performance.now();
    let previous = drawn;
    let changing = true;
    const frame = () => {
      const now = performance.now();
      const found = document.getElementsByTagName("*").length;
      const whole = complete();
      if (changing || now - previous > 50) drawn = now;
      changing = changed || found !== elements || !whole;
      changed = false;
      elements = found;
      previous = now;
      if (!whole && error) return failed(new Error(`the page reported: ${error}`));
      if (!changing && now - drawn > 200) return done(drawn);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  window.nextFrame = () => new Promise((done) => requestAnimationFrame(() => done(performance.now())));
})();
"""
# What each tool's picture is made of. %d: tokens.
_COMPLETE = {
    ("bertviz", "head"): '() => document.getElementsByTagName("line").length >= 12 * %d ** 2',
    ("bertviz", "model"): '() => document.getElementsByTagName("line").length >= 144 * %d ** 2',
    ("circuitsvis", "head"): '() => window.pictures >= 13 && document.getElementsByTagName("canvas").length === 13',
    ("circuitsvis", "model"): '() => window.pictures >= 145 && document.getElementsByTagName("canvas").length === 145',
    ("treescope", "head"): '() => document.querySelector("treescope-container")?.shadowRoot.querySelector("canvas")',
    ("treescope", "model"): '() => document.querySelector("treescope-container")?.shadowRoot.querySelector("canvas")',
    ("attncore", "head"): '() => document.getElementsByTagName("canvas").length > 0',
    ("attncore", "model"): '() => document.getElementsByTagName("canvas").length > 0',
}
# What a tool's own control of the layer does.
_SWITCH = {
    "bertviz": """(layer) => {
      const select = document.querySelector("#layer");
      select.value = String(layer);
      select.dispatchEvent(new Event("change", { bubbles: true }));
    }""",
    "treescope": """(layer) => {
      const root = document.querySelector("treescope-container").shadowRoot;
      const slider = root.querySelector(".sliders input[type=range]");
      slider.value = String(layer);
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    }""",
}
# Each begins in a frame, in which what the change draws at once is painted.
_SWITCH_LAYERS = """async () => {
  const change = %s;
  const times = [];
  const begin = performance.now();
  for (let layer = 1; layer < 12 && performance.now() - begin < 60000; layer += 1) {
    await window.nextFrame();
    await window.nextFrame();
    const start = performance.now();
    change(layer);
    times.push((await window.nextFrame()) - start);
  }
  return times;
}"""
# What a peer draws for an event, it draws at once or in the next frame.
_NOTE_HOVER = """() => {
  window.hovers = [];
  let waiting = false;
  const note = () => {
    if (waiting) return;
    waiting = true;
    const start = performance.now();
    window.hovers.push((async () => {
      const end = await window.painted(() => true);
      waiting = false;
      return end - start;
    })());
  };
  for (const name of ["pointerover", "pointermove"]) window.addEventListener(name, note, { capture: true });
}"""
# The tokens, or the cells of the large heat map.
_HOVERED = {"bertviz": "#left text", "circuitsvis": "canvas", "treescope": "canvas"}


@contextmanager
def opened(
    browser: Browser, tool: str, view: str, tokens: int, file: Path, folder: Path
) -> Iterator[tuple[Page, float]]:
    """The page in an empty profile, and when its picture stood, in milliseconds from the start of the navigation."""
    served = scripts(folder)

    def answer(route: Route) -> None:
        script = served.get(route.request.url)
        if script is None:
            route.abort()
        else:
            route.fulfill(path=script, content_type="text/javascript", headers={"Access-Control-Allow-Origin": "*"})

    context = browser.new_context(viewport=WINDOW)
    try:
        context.route(lambda address: not address.startswith("file:"), answer)
        context.add_init_script(_CLOCK + PAINTED)
        page = new_window(context)
        page.goto(
            f"{file.as_uri()}#view={view}" if tool == "attncore" else file.as_uri(), wait_until="commit", timeout=0
        )
        complete = _COMPLETE[tool, view]
        drawn = page.evaluate(f"() => window.settled({complete % tokens if '%d' in complete else complete})")
        yield page, float(drawn)
    finally:
        context.close()


def hovers(page: Page, tool: str) -> list[float]:
    """Milliseconds of each move of the mouse from one token (or cell) to another."""
    if tool == "bertviz":
        boxes = [page.locator(_HOVERED[tool]).nth(place).bounding_box() for place in range(12)]
        places = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes if box]
    else:
        box = page.locator(_HOVERED[tool]).last.bounding_box()
        if box is None:
            raise RuntimeError("no picture to move the mouse over")
        width, height = (min(box[name], 500) for name in ("width", "height"))
        places = [(box["x"] + width * (0.3 + part / 30), box["y"] + height * (0.3 + part / 30)) for part in range(12)]
    page.evaluate(_NOTE_HOVER)
    begin = time.monotonic()
    for move in range(_MOVES):
        page.mouse.move(*places[5 * move % len(places)])
        page.wait_for_timeout(60)
        if time.monotonic() - begin > _SECONDS:
            break
    return [float(each) for each in page.evaluate("() => Promise.all(window.hovers)")]


def measure(what: str, tool: str, view: str, tokens: int, file: Path, folder: Path) -> list[float]:
    """Milliseconds of each round."""
    with chromium() as browser:
        if what != "drawn":
            with opened(browser, tool, view, tokens, file, folder) as (page, _):
                if what == "hover":
                    return hovers(page, tool)
                return [float(each) for each in page.evaluate(_SWITCH_LAYERS % _SWITCH[tool])]
        times: list[float] = []
        begin = time.monotonic()
        while len(times) < _ROUNDS and (not times or time.monotonic() - begin < _SECONDS):
            with opened(browser, tool, view, tokens, file, folder) as (_, drawn):
                times.append(drawn)
        return times


def main(arguments: list[str]) -> Any:
    """Measure one thing."""
    tool, what, view, tokens, file, folder = arguments
    try:
        print(json.dumps(measure(what, tool, view, int(tokens), Path(file).resolve(), Path(folder))))
    except Error as error:
        crashed = "crashed" in str(error) or "closed" in str(error)
        return "the browser's tab ended" if crashed else str(error).splitlines()[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
