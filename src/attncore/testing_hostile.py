"""Tokens and names that try to be more than text, and what finds them at work in a picture."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree import ElementTree

from attncore.attention import AttentionTrace
from attncore.rendering import Rendered
from attncore.testing_examples import example_trace

_ELEMENT = "attncore-hostile"
_HANDLER = "attncore_hostile()"
_TERMINAL_TITLE = "\x1b]0;attncore-hostile\x07"
HOSTILE_TOKENS = (
    f"<{_ELEMENT}>",
    f"</script><{_ELEMENT}>",
    f"</style></title></textarea><{_ELEMENT}>",
    f"--><{_ELEMENT}>",
    f'"><{_ELEMENT}>',
    f"'><{_ELEMENT}>",
    f'" onmouseover="{_HANDLER}',
    f"' onmouseover='{_HANDLER}",
    "<!--<script>",
    "[/attncore-hostile]",
    "[bold red]",
    "{{attncore}}",
    "${attncore}",
    "%s%n",
    "\\",
    "]]>",
    "&lt;",
    _TERMINAL_TITLE,
    "\u202eright to left",
    "",
)
_ESCAPE = "; labels and names are text from strangers: html.escape(label, quote=True) makes them text on a page"
_STRIP = (
    "; labels and names are text from strangers: show axis.labels, which has no control characters, rather than "
    "axis.raw, and take them out of names"
)


def hostile_traces() -> Iterator[AttentionTrace]:
    """A trace with hostile tokens, and one with hostile names: a file may come from anybody."""
    yield example_trace(lazy=True, n_tokens=len(HOSTILE_TOKENS), tokens=HOSTILE_TOKENS)
    trace = example_trace(lazy=True)
    layers = tuple(layer.replaced(name=HOSTILE_TOKENS[1], module_class=HOSTILE_TOKENS[4]) for layer in trace)
    yield AttentionTrace(layers, trace.axes)


def check_harmless(rendered: Rendered, where: str) -> None:
    """See that no token became markup, script or a control sequence, wherever the picture may be shown or saved.

    Raises:
        AssertionError: one did.
    """
    parts = [*rendered.bundle.items(), *rendered.files.items()]
    if rendered.terminal_text is not None:
        parts.append(("text/plain", rendered.terminal_text))
    for mime, content in parts:
        if isinstance(content, str):
            _check_content(mime, content, where)


def _check_content(mime: str, content: str, where: str) -> None:
    if mime == "text/html":
        unescaped = [token for token in HOSTILE_TOKENS if "<" in token and token in content]
        assert not unescaped, f"{where}: the page holds tokens as markup: {unescaped}{_ESCAPE}"
        finder = _HostileFinder()
        finder.feed(content)
        assert not finder.found, f"{where}: a token became markup on the page: {finder.found}{_ESCAPE}"
    elif mime == "image/svg+xml":
        _check_svg(content, where)
    elif mime == "text/plain":
        assert _TERMINAL_TITLE not in content, f"{where}: a token's control sequence reaches the terminal{_STRIP}"


def _check_svg(content: str, where: str) -> None:
    try:
        elements = list(ElementTree.fromstring(content).iter())
    except ElementTree.ParseError as error:
        raise AssertionError(f"{where}: with hostile tokens the SVG is no XML any more: {error}{_ESCAPE}") from error
    for element in elements:
        assert not str(element.tag).endswith(_ELEMENT), f"{where}: a token became an element of the SVG{_ESCAPE}"
        handlers = [name for name, value in element.attrib.items() if name.startswith("on") and _HANDLER in value]
        assert not handlers, f"{where}: a token became an event handler of the SVG{_ESCAPE}"


class _HostileFinder(HTMLParser):
    """Finds elements and event handlers that came out of a token."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag.startswith("attncore-h"):
            self.found.append(f"<{tag}>")
        self.found += [name for name, value in attrs if name.startswith("on") and _HANDLER in (value or "")]
