"""The page as HTML: one file that needs no network, the same in a notebook's frame, and one that asks a server.

Nothing of a trace becomes markup: tokens and names are in JSON with its angle brackets escaped, the title is escaped,
and the only script and style that a browser runs are the viewer's own, which carry the nonce of the content security
policy.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files

from attncore.errors import UnavailableError

from ._page_describe import Theme
from ._page_encode import Block
from ._page_payload import Payload

_COLOUR_SCHEMES: dict[Theme, str] = {"auto": "light dark", "light": "light", "dark": "dark"}
_NO_SCRIPT = (
    "This page draws attention weights with JavaScript, which is switched off here. It needs no network: everything is "
    "in this file."
)
_NOT_TRUSTED = (
    "The interactive page of the attention is not shown, because this notebook is not trusted yet: choose "
    "File → Trust Notebook, or run the cell again."
)
_SANDBOX = "allow-scripts allow-downloads allow-popups allow-popups-to-escape-sandbox"


@dataclass(frozen=True)
class Viewer:
    """The viewer as text: its script and its style sheet, which neither load nor link to anything."""

    script: str
    style: str


@cache
def built_viewer() -> Viewer:
    """The viewer that is installed with attncore.

    Raises:
        UnavailableError: it has not been built.
    """
    static = files("attncore.renderers") / "static"
    try:
        texts = [(static / name).read_text(encoding="utf-8") for name in ("viewer.js", "viewer.css")]
    except FileNotFoundError as error:
        raise UnavailableError(
            f"the page's viewer is missing ({error.filename}); build it with `npm ci && npm run build` in "
            "src/renderers/viewer, or install attncore again"
        ) from error
    return Viewer(*texts)


def page_of(payload: Payload, title: str, theme: Theme, viewer: Viewer) -> str:
    """The self-contained page: the same trace gives the same text."""
    nonce = _nonce_of(payload)
    policy = f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:"
    soon, later = payload.in_order()
    data = f'<script type="application/json" id="attncore-trace">{payload.json_text()}</script>\n{_elements(soon)}'
    head = f"<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}; base-uri 'none'; form-action 'none'\">\n"
    return _html(head, data, title, theme, nonce, viewer, _elements(later))


def _elements(blocks: Sequence[Block]) -> str:
    return "".join(
        f'<script type="application/octet-stream" id="attncore-{block.name}">{block.text}</script>\n'
        for block in blocks
    )


def live_page(title: str, theme: Theme, nonce: str, viewer: Viewer) -> str:
    """A page without a trace, which asks the server that it came from; the policy is in that server's headers."""
    return _html('<meta name="attncore-source" content="server">\n', "", title, theme, nonce, viewer)


def frame_of(page: str, title: str, height: int) -> str:
    """A page inside a notebook: in a frame of its own, where neither can touch the other.

    Behind the frame is a sentence for notebooks that are not trusted, which show no frames.
    """
    return (
        f'<div style="position:relative;height:{height}px">'
        f'<p aria-hidden="true">{escape(_NOT_TRUSTED)}</p>'
        f'<iframe title="{escape(_text(title))}" srcdoc="{_in_attribute(page)}" sandbox="{_SANDBOX}" '
        'allow="clipboard-write; fullscreen" '
        'style="position:absolute;left:0;top:0;width:100%;height:100%;border:0;background:Canvas"></iframe></div>'
    )


def _in_attribute(page: str) -> str:
    """As `html.escape`, but only what ends an attribute's value: a page has many megabytes to go through."""
    return page.replace("&", "&amp;").replace('"', "&quot;")


def _html(head: str, data: str, title: str, theme: Theme, nonce: str, viewer: Viewer, later: str = "") -> str:
    """``data`` is what the viewer needs for its first picture, ``later`` what is read while it draws that."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{head}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="{_COLOUR_SCHEMES[theme]}">\n'
        f'<title>{escape(_text(title))}</title>\n<link rel="icon" href="data:,">\n'
        f'<style nonce="{nonce}">{viewer.style}</style>\n</head>\n<body>\n<div id="attncore"></div>\n'
        f"<noscript><p>{escape(_NO_SCRIPT)}</p></noscript>\n{data}"
        f'<script nonce="{nonce}">{viewer.script}</script>\n{later}</body>\n</html>\n'
    )


def _nonce_of(payload: Payload) -> str:
    """A digest of all that came from the trace: no token can hold it, since it would have to hold its own digest."""
    digest = hashlib.sha256(payload.json_text().encode())
    for block in payload.blocks:
        digest.update(block.text.encode())
    return base64.b64encode(digest.digest()[:18]).decode()


def _text(text: str) -> str:
    """Text that can be written as UTF-8: a lone surrogate, which a name may hold, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
