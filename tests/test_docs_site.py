"""The documentation as a site: built with warnings as errors, whole, and readable from the disk without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from doc_links import Html
from page_browser import chromium
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parent.parent


def build(project: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a project as ``make docs`` does."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from the repository as it is."""
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT, target)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return target


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Html]:
    """Every page of the site, read."""
    return {path: Html.of(path) for path in sorted(site.rglob("*.html"))}


LINKS = {
    "[a](missing.md)": "'missing.md'",
    "[b](index.md#nowhere)": "'index.md#nowhere'",
    "[c](/index.md)": "absolute link '/index.md'",
    "[d](somewhere)": "unrecognized relative link 'somewhere'",
}


@pytest.mark.parametrize(
    "faults", [{}, LINKS, {"::: attncore.nothing": "attncore.nothing"}], ids=["none", "links", "api"]
)
def test_a_fault_in_a_page_fails_the_build(faults: dict[str, str], tmp_path: Path) -> None:
    """The twin of all that is built here: each of these is found, and without them the build passes."""
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "site_hooks.py", tmp_path / "docs")
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")
    config = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[0]
    (tmp_path / "mkdocs.yml").write_text(f"{config}\nnav: [index.md, changelog.md, contributing.md]\n")
    (tmp_path / "docs" / "index.md").write_text("\n\n".join(["# Title", *faults]))
    done = build(tmp_path, tmp_path / "site")
    assert (done.returncode != 0) == bool(faults), done.stderr
    assert [message for message in faults.values() if message not in done.stderr] == []


def test_a_link_out_of_the_docs_must_lead_to_a_file(tmp_path: Path) -> None:
    """``../nothing.md`` stops the build with a sentence that names it."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        hooks = import_module("site_hooks")
    finally:
        sys.path.remove(str(ROOT / "docs"))
    assert hooks.page_of(hooks.target_of("plugins/attncore-onnx")) == "repository/plugins/attncore-onnx.md"
    with pytest.raises(Exception, match=r"\.\./nothing\.md is no page, notebook"):
        hooks.target_of("nothing.md")


def test_every_link_of_the_site_leads_somewhere(site: Path, pages: dict[Path, Html]) -> None:
    """Pages, pictures, scripts and styles lie in the site; anchors are there; links elsewhere are well-formed https."""
    for path, page in pages.items():
        for target in (*page.hrefs, *page.loads):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                assert target not in page.loads or parts.scheme == "data", f"{path.name} loads {target}"
                assert parts.scheme in ("https", "data"), f"{path.name} links to {target}"
                assert parts.scheme == "data" or re.fullmatch(r"([\w-]+\.)+[a-z]{2,}", parts.netloc), target
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            file = file / "index.html" if file.is_dir() else file
            assert file.is_file(), f"{path.name} links to {target}"
            # Of a picture, the anchor is the colour scheme it is for.
            if parts.fragment and file in pages and target not in page.loads:
                assert unquote(parts.fragment) in pages[file].ids, f"{path.name} links to {target}"


@pytest.mark.parametrize("module", ["attncore", "attncore.testing"])
def test_every_public_name_is_in_the_reference(module: str, pages: dict[Path, Html]) -> None:
    """What ``__all__`` lists can be looked up, and what is looked up has its docstring beside it."""
    known = {name for page in pages.values() for name in page.ids}
    names = [name for name in import_module(module).__all__ if name not in ("__version__", "hookimpl", "hookspec")]
    assert [name for name in names if f"{module}.{name}" not in known] == []


@pytest.mark.parametrize(
    "name", ["attncore.patterns.head_statistics", "attncore.protocols.WidgetRenderer", "attncore.AttentionTrace.select"]
)
def test_the_reference_has_more_than_names(name: str, pages: dict[Path, Html]) -> None:
    """Methods, protocols and patterns have anchors of their own."""
    assert any(name in page.ids for page in pages.values())


# Below: in a browser.


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium that shows nothing on the screen."""
    with chromium() as browser:
        yield browser


class Reader:
    """A tab without a network; notes what is asked for outside the site, and what the console says."""

    def __init__(self, browser: Browser, site: Path, *, width: int = 1280, scheme: str = "light") -> None:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=True, color_scheme="dark" if scheme == "dark" else "light"
        )
        self.site, self.problems = site, list[str]()
        self.page: Page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("console", lambda message: self._note(message.type in ("error", "warning"), message.text))
        self.page.on("pageerror", lambda error: self._note(True, str(error)))
        self.page.on("request", lambda request: self._note(not self._inside(request.url), request.url))
        self.page.on("requestfailed", lambda request: self._note(True, request.url))

    def _note(self, bad: bool, what: str) -> None:
        if bad:
            self.problems.append(what)

    def _inside(self, address: str) -> bool:
        return address.startswith((f"{self.site.as_uri()}/", "data:", "blob:"))

    def open(self, name: str) -> Page:
        """Opens a page from the disk."""
        self.page.goto((self.site / name).as_uri())
        self.page.wait_for_load_state("load")
        return self.page


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_site_asks_nobody_for_anything(browser: Browser, site: Path, scheme: str) -> None:
    """The first page and one with pictures open from the disk, silently, and every picture that is shown is there."""
    reader = Reader(browser, site, scheme=scheme)
    for name in ("index.html", "views.html", "architecture.html", "api.html"):
        page = reader.open(name)
        assert page.locator("article h1").is_visible()
        pictures = page.locator("article img:visible")
        assert pictures.count() >= (0 if name == "api.html" else 1)
        for place in range(pictures.count()):
            address, width = pictures.nth(place).evaluate(
                "async (img) => (await img.decode(), [img.src, img.naturalWidth])"
            )
            assert width > 0
            assert re.search(r"-(light|dark)\.", address) is None or f"-{scheme}." in address
    assert reader.problems == []


@pytest.mark.browser
def test_a_request_would_be_seen(browser: Browser, site: Path) -> None:
    """The twin: a picture from elsewhere, and a word in the console, are noted."""
    reader = Reader(browser, site)
    page = reader.open("index.html")
    page.evaluate("""() => new Promise((done) => {
      const picture = document.createElement("img");
      picture.onerror = done;
      picture.src = "https://example.org/a.png";
      document.body.append(picture);
    })""")
    assert "https://example.org/a.png" in reader.problems


@pytest.mark.browser
def test_the_search_works_from_the_disk(browser: Browser, site: Path) -> None:
    """A word is found in the page that has it, and its result leads there."""
    reader = Reader(browser, site)
    page = reader.open("index.html")
    page.locator(".md-search__input").click()
    page.locator(".md-search__input").press_sequentially("sentence_b_start")
    result = page.locator(".md-search-result__link").first
    result.wait_for(state="visible")
    assert "from-bertviz.html" in (result.get_attribute("href") or "")
    result.click()
    page.wait_for_url("**/from-bertviz.html**")
    assert reader.problems == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [400, 1280])
def test_no_page_is_wider_than_the_window(browser: Browser, site: Path, width: int) -> None:
    """Wide tables and code scroll in themselves, on a phone too."""
    reader = Reader(browser, site, width=width)
    for path in sorted(site.glob("*.html")):
        page = reader.open(path.name)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path.name
