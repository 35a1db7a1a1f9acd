"""The page as HTML: what a trace says stays text, and nothing on the page reaches for the network."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from page_decoder import decode_page

from attncore import AttentionTrace, UnavailableError
from attncore.provenance import Provenance
from attncore.renderers import _page_html
from attncore.renderers._page_describe import Start
from attncore.renderers._page_html import Viewer, built_viewer, frame_of, live_page, page_of
from attncore.renderers._page_payload import Payload, json_text, payload_of
from attncore.testing import example_trace
from attncore.testing_renderers import HOSTILE_TOKENS

STAND_IN = Viewer("const here = 1 < 2;", "body { margin: 0 }")
HOSTILE = (*HOSTILE_TOKENS, "\x00", "\u2028\u2029", "\ud800 lone \udfff", "é" * 10_000, "<!--<script>", "]]>", "\u202e")


def payload(trace: AttentionTrace, **start: Any) -> Payload:
    """All of a small trace."""
    return payload_of(trace, Start(**start), room=16_000_000, vectors=False)


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all_of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of a kind."""
        return [attrs for name, attrs in self.found if name == tag]


def hostile_trace() -> AttentionTrace:
    """Tokens, names and the model from somebody who means harm."""
    trace = example_trace(n_tokens=len(HOSTILE), tokens=HOSTILE, lazy=True)
    layers = tuple(layer.replaced(name=HOSTILE[1], notes=(HOSTILE[2],), stack=HOSTILE[3]) for layer in trace)
    return AttentionTrace(
        layers, trace.axes, trace.coverage, Provenance(HOSTILE[0], HOSTILE[1], "</title><script>\ud800")
    )


def test_hostile_text_comes_back_as_it_was_and_adds_no_element() -> None:
    """Every token is in the JSON, to the last surrogate, and the page has the elements of any other."""
    trace = hostile_trace()
    html = page_of(payload(trace), "</title><script>alert(1)</script>\ud800", "auto", STAND_IN)
    page = decode_page(html)
    assert tuple(page.info["axes"]["tokens"]["raw"][0]) == trace.axes["tokens"].raw[0]
    assert tuple(page.info["axes"]["tokens"]["labels"][0]) == trace.axes["tokens"].labels[0]
    assert page.info["layers"][0]["name"] == HOSTILE[1]
    assert page.info["model"] == "</title><script>\ud800"
    harmless = page_of(payload(example_trace(n_tokens=len(HOSTILE), lazy=True)), "title", "auto", STAND_IN)
    assert [tag for tag, _ in Elements(html).found] == [tag for tag, _ in Elements(harmless).found]
    html.encode("utf-8")


@pytest.mark.parametrize("token", HOSTILE)
def test_json_holds_nothing_that_ends_or_opens_markup(token: str) -> None:
    """The text is ASCII without angle brackets and ampersands, and gives the token back."""
    text = json_text({token: [token]})
    assert text.isascii()
    assert not set(text) & set("<>&\n")
    assert json.loads(text) == {token: [token]}


def test_the_policy_lets_nothing_in_but_the_viewer() -> None:
    """A nonce for the one script and the one style; data blocks have none, and everything else is forbidden."""
    html = page_of(payload(example_trace(lazy=True)), "title", "auto", STAND_IN)
    elements = Elements(html)
    policies = [meta for meta in elements.all_of("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    policy = dict(part.strip().split(" ", 1) for part in str(policies[0]["content"]).split(";"))
    nonce = policy["script-src"].removeprefix("'nonce-").removesuffix("'")
    assert len(nonce) >= 22
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonce}'",
        "style-src": f"'nonce-{nonce}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert [attrs for attrs in elements.all_of("script") if "nonce" in attrs] == [{"nonce": nonce}]
    assert elements.all_of("style") == [{"nonce": nonce}]
    types = {attrs["type"] for attrs in elements.all_of("script") if "nonce" not in attrs}
    assert types == {"application/json", "application/octet-stream"}
    # The policy must stand before what it is about.
    assert html.index("Content-Security-Policy") < html.index("<style")


def test_no_token_can_know_the_nonce() -> None:
    """It depends on everything that came from the trace, and on nothing else: the same trace gives the same page."""
    pages = [page_of(payload(example_trace(seed=seed)), "title", "auto", STAND_IN) for seed in (0, 0, 1)]
    nonces = [re.search(r"'nonce-([^']+)'", page)[1] for page in pages]  # type: ignore[index]
    created = [decode_page(page).info["facts"] for page in pages]
    assert (nonces[0] == nonces[1]) == (created[0] == created[1])
    assert nonces[0] != nonces[2]


def test_nothing_on_the_page_is_an_address() -> None:
    """No element loads or links to anything; the icon is an empty data URL, so that no browser asks for one."""
    elements = Elements(page_of(payload(example_trace(lazy=True)), "title", "auto", built_viewer()))
    addresses = [
        value
        for _, attrs in elements.found
        for name, value in attrs.items()
        if name in ("src", "href", "srcset", "action", "data", "poster", "background", "ping")
    ]
    assert addresses == ["data:,"]
    assert not elements.all_of("iframe")
    style = built_viewer().style
    assert not re.search(r"@import|url\((?!['\"]?(data:|#))", style)


def test_the_viewer_that_is_built_is_safe_inside_a_page() -> None:
    """Neither text ends its element, nor opens what a browser would read to the end of the page."""
    viewer = built_viewer()
    assert not re.search(r"</script|<!--|<script", viewer.script, re.IGNORECASE)
    assert "</style" not in viewer.style.lower()


def test_the_page_says_what_it_is() -> None:
    """Language, title, theme, and a sentence where scripts are switched off."""
    html = page_of(payload(example_trace()), "Attention of <Model> & co", "dark", STAND_IN)
    assert html.startswith('<!doctype html>\n<html lang="en">')
    assert "<title>Attention of &lt;Model&gt; &amp; co</title>" in html
    assert {"name": "color-scheme", "content": "dark"} in Elements(html).all_of("meta")
    assert {"charset": "utf-8"} in Elements(html).all_of("meta")
    assert re.search(r"<noscript><p>[^<]*JavaScript[^<]*</p></noscript>", html)
    assert '<div id="attncore"></div>' in html
    assert html.index('id="attncore-trace"') < html.index(STAND_IN.script)


def test_a_notebook_shows_the_same_page_in_a_frame() -> None:
    """The frame holds the whole page, may run its scripts and has no way out."""
    page = page_of(payload(hostile_trace()), "title", "auto", STAND_IN)
    html = frame_of(page, 'a "title" <b>', 500)
    elements = Elements(html)
    assert [tag for tag, _ in elements.found] == ["div", "p", "iframe"]
    frame = elements.all_of("iframe")[0]
    assert frame["srcdoc"] == page
    assert frame["title"] == 'a "title" <b>'
    assert set(str(frame["sandbox"]).split()) == {
        "allow-scripts",
        "allow-downloads",
        "allow-popups",
        "allow-popups-to-escape-sandbox",
    }
    assert set(str(frame["allow"]).split("; ")) == {"clipboard-write", "fullscreen"}
    assert "500px" in str(elements.all_of("div")[0]["style"])
    assert "Trust Notebook" in unescape(html.split("<iframe")[0])


def test_a_live_page_has_no_trace() -> None:
    """It asks the server, whose headers have the policy."""
    html = live_page("a & b", "auto", "secret", STAND_IN)
    assert "attncore-trace" not in html
    assert "Content-Security-Policy" not in html
    assert Elements(html).all_of("script") == [{"nonce": "secret"}]
    assert "<title>a &amp; b</title>" in html


def test_a_viewer_that_is_not_built_is_an_error_that_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Somebody who works on the source has to build it once."""
    built_viewer.cache_clear()
    monkeypatch.setattr(_page_html, "files", lambda package: tmp_path)
    with pytest.raises(UnavailableError, match="npm run build"):
        built_viewer()
