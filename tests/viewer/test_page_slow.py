"""A page that arrives slowly shows its first picture before the rest is there, and never reads half a block."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import Browser, Page
from viewer_page import ROOTS

from attncore.testing import example_trace

_IDLE_SOON = """() => Promise.race([
  window.attncore.idle().then(() => true),
  new Promise((done) => setTimeout(() => done(false), 400)),
])"""
_SHOW = "async (view) => (await window.attncore.ready).store.select({ view })"


@contextmanager
def sent_in_two(first: bytes, second: bytes, go_on: threading.Event) -> Iterator[str]:
    """The address of a page whose second part is sent when ``go_on`` is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(first) + len(second)))
            self.end_headers()
            self.wfile.write(first)
            self.wfile.flush()
            go_on.wait(30)
            self.wfile.write(second)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/page.html"
        finally:
            go_on.set()
            server.shutdown()
            thread.join()


def shown(page: Page, view: str) -> None:
    """Waits for the view, which must come soon."""
    page.locator(ROOTS[view]).wait_for(timeout=4_000)


def test_the_first_picture_does_not_wait_for_the_rest(browser: Browser) -> None:
    """The head view stands while query and key vectors are still under way; the neuron view waits for them."""
    html = example_trace(n_tokens=12, lazy=True).render("d3").files["text/html"].encode()
    start = html.index(b'id="attncore-vectors-0">')
    middle = (start + html.index(b"</script>", start)) // 2
    assert html.index(b'id="attncore-weights-0"') < html.index(b"window,{attncore") < start
    go_on = threading.Event()
    problems: list[str] = []
    with sent_in_two(html[:middle], html[middle:], go_on) as address:
        page = browser.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(address, wait_until="commit")
        page.wait_for_function("() => window.attncore !== undefined")
        assert page.evaluate(_IDLE_SOON) is True
        shown(page, "head")
        assert page.evaluate("() => document.readyState") == "loading"
        page.evaluate(_SHOW, "neuron")
        assert page.evaluate(_IDLE_SOON) is False
        go_on.set()
        page.wait_for_load_state("domcontentloaded")
        page.evaluate("() => window.attncore.idle()")
        shown(page, "neuron")
        assert page.get_by_role("alert").count() == 0
        page.close()
    assert problems == []
