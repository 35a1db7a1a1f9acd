"""What MkDocs does to the pages on their way from the repository, where they are read too, into the site.

The pages are plain Markdown that reads well on a forge. A link that leaves ``docs/`` (``../CHANGELOG.md``,
``../plugins/attncore-onnx``) works there as it is; here the file it leads to becomes a page of the site. A picture
whose name ends in ``-light`` is shown with its ``-dark`` twin, each in its colour scheme.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(?<=\]\()\.\./(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^( *```\w+) (?:run|output)\b.*$", re.MULTILINE)
IMAGE = re.compile(r"!\[(?P<text>[^\]]*)\]\((?P<stem>images/[\w-]+)-light\.(?P<kind>png|svg)\)")
IN_NAVIGATION = ("CHANGELOG.md", "CONTRIBUTING.md")
LANGUAGES = {".py": "python", ".toml": "toml", ".ts": "typescript"}


def target_of(path: str) -> Path:
    """The file of the repository that a link out of ``docs/`` leads to; of a folder, its README."""
    target = ROOT / path
    target = target / "README.md" if target.is_dir() else target
    if not target.is_file() or target.suffix not in {".md", *LANGUAGES}:
        raise PluginError(f"../{path} is no Markdown file, source file or folder with a README.md in the repository")
    return target


def page_of(target: Path) -> str:
    """Where the site has a file of the repository: CHANGELOG.md is changelog.md, sources are below ``repository``."""
    path = PurePosixPath(target.relative_to(ROOT).as_posix())
    if path.suffix != ".md":
        return f"repository/{path}.md"
    if path.name == "README.md" and len(path.parts) > 1:
        return f"repository/{path.parent}.md"
    return f"{path.stem.lower()}.md"


def text_of(target: Path) -> str:
    """The page that shows a file: Markdown as it is, its own links out of the site as plain words; sources as code."""
    text = target.read_text()
    if target.suffix == ".md":
        return re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)[^)]*\)", r"\1", text)
    path = target.relative_to(ROOT)
    return f"---\nsearch: {{exclude: true}}\n---\n# {path}\n\n````{LANGUAGES[target.suffix]}\n{text}````\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file outside ``docs/`` that is in the navigation or that a page links to."""
    pages = [file.content_string for file in files.documentation_pages()]
    linked = {target_of(match["path"]) for text in pages for match in LINK.finditer(text)}
    for target in sorted({*linked, *(ROOT / name for name in IN_NAVIGATION)}):
        added = File.generated(config, page_of(target), content=text_of(target))
        if target.name not in IN_NAVIGATION:
            added.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(added)
    return files


def _with_dark_twin(match: re.Match[str]) -> str:
    light, dark = (f"{match['stem']}-{theme}.{match['kind']}" for theme in ("light", "dark"))
    if not (ROOT / "docs" / dark).is_file():
        return match[0]
    return f"![{match['text']}]({light}#only-light)![{match['text']}]({dark}#only-dark)"


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links to the added pages, show dark pictures in the dark, and drop what only the tests read."""
    markdown = LINK.sub(lambda match: page_of(target_of(match["path"])) + (match["anchor"] or ""), markdown)
    return FENCE.sub(r"\1", IMAGE.sub(_with_dark_twin, markdown))
