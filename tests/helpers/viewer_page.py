"""A page of the viewer in a real browser: what the tests do to it and ask of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import BrowserContext, ConsoleMessage, Frame, Locator, Page, Request, Route

HOSTILE = (
    "</script><img src=x onerror=window.pwned=1>",
    "<img src=x onerror=window.pwned=1>",
    "<!--",
    "<!--<script>",
    "nul\x00nul",
    "line\u2028end",
    "\u202eright to left",
    "שלום",
    "👩‍👩‍👧‍👦",
    "x" * 10_000,
    "",
    "plain",
)
# Row by row: what a query gives to the keys; every sum is 1, and no number occurs twice in a row but 0 and 1.
KNOWN = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0.7, 0, 0.3, 0], [0.4, 0.35, 0.2, 0.05]], dtype=np.float32)
VIEWS = ("head", "model", "neuron", "matrix")
# Every view has one of these as soon as it stands, whatever else it draws.
ROOTS = {"head": ".attn-columns", "model": ".attn-overview-grid", "neuron": ".attn-neuron", "matrix": ".attn-matrix"}
# An address or other change has arrived when the page has come to its next frame.
_SETTLED = """async () => {
  await window.attncore.idle();
  await new Promise((done) => requestAnimationFrame(done));
  await window.attncore.idle();
}"""
_SELECTION = "async () => (await window.attncore.ready).store.selection"
_SELECT = "async (changes) => (await window.attncore.ready).store.select(changes)"


def wait_until_drawn(frame: Frame) -> None:
    """Waits until the page in a frame is there and draws no more; with an end, which an `evaluate` would not have."""
    frame.wait_for_function("window.attncore?.idle().then(() => true)", polling=100)


class ViewerPage:
    """One tab with a saved page; notes what goes wrong and what is asked of the network."""

    def __init__(self, context: BrowserContext, file: Path, fragment: str = "") -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.file = file
        self.page: Page = context.new_page()
        self.page.set_default_timeout(4_000)
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("request", self._note_request)
        self.page.route("**/*", self._let_files_through)
        self.page.goto(file.as_uri() + fragment)
        self.settle()

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def _note_request(self, request: Request) -> None:
        if request.url.split("#")[0] != self.file.as_uri():
            self.requests.append(request.url[:200])

    def _let_files_through(self, route: Route) -> None:
        if route.request.url.startswith("file://"):
            route.continue_()
        else:
            route.abort()

    def settle(self) -> None:
        """Waits until nothing is read or drawn any more."""
        self.page.evaluate(_SETTLED)

    def press(self, *keys: str) -> None:
        """Presses keys one after the other, and waits for what they do."""
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def click(self, target: Locator, **options: Any) -> None:
        """Clicks, and waits for what it does."""
        target.click(**options)
        self.settle()

    @property
    def spoken(self) -> Locator:
        """What a screen reader is told in passing."""
        return self.page.locator('[role="status"][aria-live="polite"]')

    @property
    def selection(self) -> dict[str, Any]:
        """What is selected, as the page's own store has it."""
        found: dict[str, Any] = self.page.evaluate(_SELECTION)
        return found

    def select(self, **changes: Any) -> None:
        """Changes the selection as a view would."""
        self.page.evaluate(_SELECT, changes)
        self.settle()

    def option(self, side: int, name: str) -> Locator:
        """A token of the head view; side 0 holds the queries, side 1 the keys."""
        return self.page.get_by_role("listbox").nth(side).get_by_role("option").filter(has_text=name).first
