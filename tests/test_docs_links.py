"""Links in Markdown lead somewhere where the repository is read as it is, without the site."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from doc_links import anchors_of, links_of

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "plugins").glob("*/*.md"))]


def fault_of(page: Path, target: str, root: Path = ROOT) -> str | None:
    """What is wrong with a link of a page, in words; None when nothing is.

    The rule, so that a link works on a forge and in the site: elsewhere by https; within the repository relative, to a
    file or folder that is there; with an anchor, to a heading that is there.
    """
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        well_formed = parts.scheme == "https" and re.fullmatch(r"([\w-]+\.)+[a-z]{2,}", parts.netloc)
        return None if well_formed else "is no well-formed https address"
    if parts.path.startswith("/"):
        return "is absolute; write it relative to the page"
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not file.exists():
        return "leads to no file"
    if not file.is_relative_to(root):
        return "leads out of the repository"
    # The site's reference makes these anchors; a forge shows the page from its beginning.
    if (
        parts.fragment
        and not parts.fragment.startswith("attncore.")
        and parts.fragment not in anchors_of(file.read_text())
    ):
        return "leads to no heading of that page"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """In the README, in docs/ and in the plugins' own."""
    faults = [f"{target} {fault}" for target in links_of(page.read_text()) if (fault := fault_of(page, target))]
    assert faults == []


PAGE = """# One page

## `head_view` & more: a/b

[a]({target}) and `[not](a-link.md)`

```python
x = y[0](missing.md)
```
"""


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("page.md", None),
        ("page.md#head_view--more-ab", None),
        ("#one-page", None),
        ("../README.md", None),
        ("https://arxiv.org/abs/1902.10186", None),
        ("missing.md", "leads to no file"),
        ("page.md#nowhere", "leads to no heading of that page"),
        ("/page.md", "is absolute; write it relative to the page"),
        ("http://arxiv.org/", "is no well-formed https address"),
        ("https://arxiv/", "is no well-formed https address"),
        ("../../outside.md", "leads out of the repository"),
    ],
)
def test_the_check_tells_good_links_from_bad(target: str, fault: str | None, tmp_path: Path) -> None:
    """The twin of the test above, with links that do not lead anywhere."""
    root = tmp_path / "repository"
    (root / "docs").mkdir(parents=True)
    for outside in (root / "README.md", tmp_path / "outside.md"):
        outside.write_text("# Here\n")
    page = root / "docs" / "page.md"
    page.write_text(PAGE.format(target=target))
    assert [fault_of(page, found, root) for found in links_of(page.read_text())] == [fault]
