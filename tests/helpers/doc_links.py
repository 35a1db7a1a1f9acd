"""Links of Markdown pages and of HTML pages, and the anchors they may lead to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

FENCED = re.compile(r"^( *)(`{3,}).*?^\1\2`*\s*$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\((?P<target>[^()\s]+(?:\([^()\s]*\)[^()\s]*)*)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(?P<text>.+?)\s*#*$", re.MULTILINE)


def links_of(markdown: str) -> list[str]:
    """The targets of a page's links and pictures; code is left out."""
    # What stands in brackets may be code, what stands in parentheses is the target.
    prose = INLINE_CODE.sub("code", FENCED.sub("", markdown))
    return [match["target"] for match in LINK.finditer(prose)]


def anchors_of(markdown: str) -> set[str]:
    """The anchors that a forge gives a page's headings."""
    texts = (match["text"].replace("`", "") for match in HEADING.finditer(FENCED.sub("", markdown)))
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)).lower().replace(" ", "-")
        for text in texts
    }


@dataclass
class Html(HTMLParser):
    """What a page of HTML links to, loads, and can be linked to."""

    hrefs: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Sorts the attributes."""
        found = dict(attrs)
        self.ids.add(found.get("id") or "")
        if tag == "a" and found.get("href"):
            self.hrefs.append(found["href"] or "")
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preconnect", "preload"):
            self.loads.append(found.get("href") or "")
        if tag in ("script", "img", "iframe", "source", "video") and found.get("src"):
            self.loads.append(found["src"] or "")

    @classmethod
    def of(cls, path: Path) -> Html:
        """A page as read."""
        page = cls()
        page.feed(path.read_text())
        return page
