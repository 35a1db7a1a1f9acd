"""What MkDocs does to the pages on their way from the repository, where they are read too, into the site.

The pages are plain Markdown that reads well on a forge. A link that leaves ``docs/`` (``../CHANGELOG.md``,
``../plugins/attncore-onnx``) works there as it is; here the file it leads to becomes a page of the site. A picture
whose name ends in ``-light`` is shown with its ``-dark`` twin, each in its colour scheme and leading to its file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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
SHOWN = {".md", ".ipynb", *LANGUAGES}
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave out the page for missing addresses: its links begin at the root of a server, and there is none."""
    config.theme.static_templates.discard("404.html")
    return config


def target_of(path: str) -> Path:
    """The file of the repository that a link out of ``docs/`` leads to; of a folder, its README."""
    target = ROOT / path
    target = target / "README.md" if target.is_dir() else target
    if not target.is_file() or target.suffix not in SHOWN:
        raise PluginError(f"../{path} is no page, notebook, source file or folder with a README.md in the repository")
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
    """The page that shows a file: Markdown and notebooks with their links out of the site as words; sources as code."""
    text = target.read_text()
    if target.suffix in LANGUAGES:
        name = target.relative_to(ROOT)
        return f"---\nsearch: {{exclude: true}}\n---\n# {name}\n\n````{LANGUAGES[target.suffix]}\n{text}````\n"
    if target.suffix == ".ipynb":
        text = "\n\n".join(part for cell in json.loads(text)["cells"] for part in cell_text(cell))
    return re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)[^)]*\)", r"\1", text)


def cell_text(cell: dict[str, Any]) -> Iterator[str]:
    """A cell of a notebook as Markdown: its text, or its code and what that printed and drew."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"````python\n{source}\n````"
    for output in cell.get("outputs", []):
        data = output.get("data", {"text/plain": output.get("text", "")})
        if "text/html" in data and "image/png" not in data:
            yield "*An interactive page: run the notebook to see it here.*"
        elif "image/png" in data:
            yield f"![What the cell draws](data:image/png;base64,{''.join(data['image/png']).replace(chr(10), '')})"
        elif plain := ESCAPES.sub("", "".join(data.get("text/plain", ""))).strip("\n"):
            yield f"````text\n{plain}\n````"


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
    shown = ((light, f"{light}#only-light"), (dark, f"{dark}#only-dark"))
    return "".join(f"[![{match['text']}]({picture})]({file})" for file, picture in shown)


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links to the added pages, show dark pictures in the dark, and drop what only the tests read."""
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]  # it would list the page itself, and nothing else
    markdown = LINK.sub(lambda match: page_of(target_of(match["path"])) + (match["anchor"] or ""), markdown)
    return FENCE.sub(r"\1", IMAGE.sub(_with_dark_twin, markdown))
