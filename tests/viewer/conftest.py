"""Saved pages and the browser that opens them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from page_browser import chromium
from playwright.sync_api import Browser
from viewer_page import HOSTILE, KNOWN, ViewerPage

from attncore import AttentionTrace
from attncore.testing import example_trace


@dataclass(frozen=True)
class Saved:
    """A trace, and the page that was made of it."""

    trace: AttentionTrace
    file: Path


OpenPage = Callable[..., ViewerPage]


# Not for the whole run: while it is open no other test in this process could start an event loop of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium that shows nothing on the screen."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages without a network; a page that asked for anything, or reported an error, fails the test."""
    opened: list[ViewerPage] = []
    contexts = []

    def open_one(saved: Saved, fragment: str = "", **options: Any) -> ViewerPage:
        window = {"width": 1280, "height": 800}
        context = browser.new_context(**{"viewport": window, "offline": True, "color_scheme": "light", **options})
        contexts.append(context)
        opened.append(ViewerPage(context, saved.file, fragment))
        return opened[-1]

    yield open_one
    for context in contexts:
        context.close()
    assert [problem for page in opened for problem in page.problems] == []
    assert [request for page in opened for request in page.requests] == []


def _saved(trace: AttentionTrace, folder: Path, name: str) -> Saved:
    file = folder / f"{name}.html"
    trace.render("d3").save(file)
    return Saved(trace, file)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pages of this run are."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="session")
def plain(folder: Path) -> Saved:
    """Two layers of four heads, 12 tokens, with query and key."""
    return _saved(example_trace(2, 4, 12, lazy=True), folder, "plain")


@pytest.fixture(scope="session")
def known(folder: Path) -> Saved:
    """One head whose weights are `KNOWN`."""
    trace = AttentionTrace.from_arrays([KNOWN[None, None]], tokens=[["a", "b", "c", "d"]])
    return _saved(trace, folder, "known")


@pytest.fixture(scope="session")
def hostile(folder: Path) -> Saved:
    """Tokens from somebody who means harm."""
    trace = example_trace(2, 2, len(HOSTILE), tokens=HOSTILE, lazy=True)
    return _saved(trace, folder, "hostile")
