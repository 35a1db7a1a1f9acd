"""A saved page opens from the disk and asks nobody for anything."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from viewer_page import ROOTS, VIEWS

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens_from_the_disk(open_page, plain, view) -> None:
    """From a link, without a request and without a word in the console; `open_page` looks at both."""
    viewer = open_page(plain, f"#view={view}")
    assert viewer.selection["view"] == view
    expect(viewer.page.locator(ROOTS[view])).to_be_visible()
    expect(viewer.page.get_by_role("tab", selected=True)).to_have_text(re.compile(view, re.IGNORECASE))
    expect(viewer.page.get_by_role("alert").filter(visible=True)).to_have_count(0)


def test_all_views_share_one_page(open_page, plain) -> None:
    """Going through the views leaves one of them standing at a time."""
    viewer = open_page(plain)
    for view in (*VIEWS, *reversed(VIEWS)):
        viewer.select(view=view)
        standing = [name for name in VIEWS if viewer.page.locator(ROOTS[name]).count()]
        assert standing == [view]


def test_the_browser_refuses_the_network_and_foreign_scripts(open_page, plain) -> None:
    """The policy in the page's head is one that Chromium enforces, not only text."""
    viewer = open_page(plain)
    policy = viewer.page.locator('meta[http-equiv="Content-Security-Policy"]').get_attribute("content")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src", 1)[1].split(";", 1)[0]
    ran = viewer.page.evaluate(
        """async () => {
          const script = document.createElement("script");
          script.textContent = "window.foreign = 1";
          document.body.append(script);
          const reached = await fetch("https://example.org/").then(() => true, () => false);
          return [window.foreign === 1, reached];
        }"""
    )
    assert ran == [False, False]
    refused = [problem for problem in viewer.problems if "Content Security Policy" in problem]
    assert refused
    assert viewer.requests == [], "the policy stops a request before it is made"
    viewer.problems[:] = [problem for problem in viewer.problems if "Content Security Policy" not in problem]
