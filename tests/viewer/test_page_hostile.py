"""What a trace says is text on the page, in every view, however it is written."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import expect
from viewer_page import HOSTILE, VIEWS

pytestmark = pytest.mark.browser

SEARCH = "</script><img src=x onerror=window.pwned=1>"


def unharmed(viewer) -> bool:
    """No token became an element or ran."""
    return bool(viewer.page.evaluate("() => window.pwned === undefined && document.querySelector('img') === null"))


@pytest.mark.parametrize("view", VIEWS)
def test_no_token_becomes_markup(open_page, hostile, view) -> None:
    """With each token pinned in turn, so that it is in the details too."""
    viewer = open_page(hostile, f"#view={view}")
    for query in range(len(HOSTILE)):
        viewer.select(query=query, key=0)
    assert unharmed(viewer)
    expect(viewer.page.get_by_role("alert").filter(visible=True)).to_have_count(0)


def test_tokens_are_shown_as_they_are_spelled(open_page, hostile) -> None:
    """Markup is read, not run; what cannot be seen has a sign."""
    viewer = open_page(hostile)
    queries = viewer.page.get_by_role("listbox").first.get_by_role("option")
    expect(queries).to_have_count(len(HOSTILE))
    seen = queries.all_inner_texts()
    assert "</script><img" in seen[0]
    assert "<!--" in seen[2]
    assert "nul␀nul" in seen[4]
    assert "\u2028" not in seen[5]
    assert "\u202e" not in seen[6]
    assert "שלום" in seen[7]
    assert "👩‍👩‍👧‍👦"[0] in seen[8]
    assert "∅" in seen[10]


def test_a_token_of_10000_characters_leaves_the_page_as_wide_as_it_was(open_page, hostile) -> None:
    """Nothing scrolls sideways, and the token is cut with an ellipsis in the details."""
    viewer = open_page(hostile, "#query=9")
    page = viewer.page
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    line = page.get_by_role("complementary", name="Details").get_by_role("heading", level=3).first
    assert line.inner_text().startswith("xxx")
    assert "…" in line.inner_text()


@pytest.mark.parametrize("view", VIEWS)
def test_a_link_with_hostile_words_does_no_harm(open_page, hostile, view) -> None:
    """Every field of the address says something that it should not."""
    fragment = "&".join(f"{name}={quote(SEARCH)}" for name in ("search", "pattern", "theme", "layer", "heads", "query"))
    viewer = open_page(hostile, f"#view={view}&{fragment}&item=999999999&threshold=NaN")
    assert unharmed(viewer)
    chosen = viewer.selection
    assert chosen["search"] == SEARCH
    assert (chosen["layer"], chosen["heads"], chosen["item"], chosen["theme"]) == (0, [0, 1], 0, "auto")
    assert chosen["query"] is None


def test_the_search_finds_a_token_that_is_markup(open_page, hostile) -> None:
    """The box holds the words, and Enter pins the token that has them."""
    viewer = open_page(hostile)
    box = viewer.page.get_by_role("searchbox", name="Find a token")
    box.fill("</script>")
    viewer.press("Enter")
    assert viewer.selection["query"] == 0
    box.fill("<b>none</b>")
    viewer.press("Enter")
    expect(viewer.spoken).to_contain_text("<b>none</b>")
    assert unharmed(viewer)
