"""A notebook's output as VS Code shows it: put into a sandboxed frame, under a policy that the page inherits.

The policy is that of VS Code's `notebook.experimental.enableCsp`, without its own addresses. VS Code itself is not run.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Frame, Page, Route
from viewer_page import wait_until_drawn

from attncore.testing import example_trace

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' https: http: data:; font-src 'self' https:; connect-src https:; child-src https: data:;"
)
ADDRESS = "http://vscode.test"
FRAME = (
    '<iframe src="/output" sandbox="allow-scripts allow-same-origin allow-forms allow-pointer-lock allow-downloads" '
    'style="width:1200px;height:1600px"></iframe>'
)
# What the browser says of the notebook's frame.
_OF_THE_NOTEBOOK = "An iframe which has both allow-scripts and allow-same-origin"
# Scripts in HTML that is put into an element do not run; a notebook's renderer makes them anew.
OUTPUT = """<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">
<script>window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));</script>
<div id="output"></div>
<script>
const output = document.getElementById("output");
output.innerHTML = {html};
for (const old of output.querySelectorAll("script")) {{
  const made = document.createElement("script");
  made.text = old.text;
  old.replaceWith(made);
}}
</script>"""


def shown(browser: Browser, html: str, problems: list[str]) -> tuple[Page, Frame]:
    """The tab, and our page in it."""
    literal = json.dumps(html).replace("</", "<\\/").replace("<!--", "<\\!--")
    answers = {f"{ADDRESS}/": FRAME, f"{ADDRESS}/output": OUTPUT.format(policy=POLICY, html=literal)}

    def answer(route: Route) -> None:
        body = answers.get(route.request.url)
        if body is None:
            problems.append(f"asked for {route.request.url[:200]}")
            route.abort()
        else:
            route.fulfill(body=body, content_type="text/html; charset=utf-8")

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and _OF_THE_NOTEBOOK not in message.text:
            problems.append(message.text)

    page = browser.new_page(viewport={"width": 1280, "height": 1700})
    page.on("console", note)
    page.on("pageerror", lambda error: problems.append(f"uncaught: {error}"))
    page.route(lambda url: url.startswith("http"), answer)
    page.goto(f"{ADDRESS}/")
    inner = page.frame_locator("iframe").locator("#output iframe").element_handle().content_frame()
    assert inner is not None
    wait_until_drawn(inner)
    return page, inner


@pytest.mark.parametrize("view", ["head", "model", "neuron", "matrix"])
def test_an_output_draws_answers_and_exports(browser: Browser, view: str) -> None:
    """Nothing is refused by the policy, nothing is fetched, the controls work, and both kinds of picture are saved."""
    rendered: Any = example_trace(2, 4, 12, lazy=True).render("d3", view=view, height=560)
    problems: list[str] = []
    page, inner = shown(browser, rendered._repr_mimebundle_()["text/html"], problems)
    try:
        assert inner.evaluate("async () => (await window.attncore.ready).store.selection.view") == view
        root = inner.locator(".attncore")
        assert root.is_visible()
        if view != "model":
            inner.get_by_role("slider", name="Layer").press("ArrowRight")
            wait_until_drawn(inner)
            assert inner.evaluate("async () => (await window.attncore.ready).store.selection.layer") == 1
        for kind in ("PNG", "SVG"):
            root.press("e")
            with page.expect_download() as download:
                inner.get_by_role("menuitem", name=kind).click()
            assert download.value.suggested_filename.endswith(kind.lower())
        output = page.frames[1]
        assert output.evaluate("window.violations") == []
    finally:
        page.close()
    assert problems == []
