"""The contract of a renderer, as a suite that any renderer's tests can run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import numpy as np

from attncore.attention import AttentionTrace
from attncore.errors import AttncoreError, OptionError
from attncore.protocols import Renderer
from attncore.rendering import Rendered, render
from attncore.testing_examples import example_cross_trace, example_trace

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


def check_renderer(renderer: Renderer, *, traces: Iterable[AttentionTrace] = ()) -> None:
    """Check that a renderer keeps the contract.

    It draws every view it declares, refuses views and options it does not have, leaves the trace as it was, shows
    hostile tokens as text, and copes with every shape of trace; a view that cannot show some trace (cross-attention,
    say, or one without queries and keys) may refuse it with an `attncore.AttncoreError` that says so.

    Args:
        renderer: the renderer.
        traces: more traces that it must draw or refuse, besides the suite's own.

    Raises:
        AssertionError: the contract is broken; the message says how.
    """
    _check_declaration(renderer)
    _check_views(renderer)
    _check_refusals(renderer)
    _check_trace_untouched(renderer)
    _check_hostile_tokens(renderer)
    _check_shapes(renderer, traces)
    _check_saving(renderer)


def _check_declaration(renderer: Renderer) -> None:
    assert isinstance(renderer, Renderer), f"{renderer!r} lacks one of name, views, render"
    assert isinstance(renderer.name, str), f"a renderer's name must be text, and {renderer.name!r} is not"
    assert renderer.name, "a renderer's name must not be empty: it is what people type"
    views = renderer.views
    assert isinstance(views, tuple), f'renderer "{renderer.name}": views must be a tuple and is {views!r}'
    assert views, f'renderer "{renderer.name}" declares no view'
    assert all(isinstance(view, str) for view in views), f'renderer "{renderer.name}": views must be texts: {views!r}'
    assert len(set(views)) == len(views), f'renderer "{renderer.name}" declares a view twice: {views}'


def _check_views(renderer: Renderer) -> None:
    """Every declared view is drawn, with the default first."""
    trace = example_trace(lazy=True)
    for view in renderer.views:
        _check_rendered(render(trace, renderer, view=view), f'view "{view}" of renderer "{renderer.name}"')
    _check_rendered(render(trace, renderer), f'renderer "{renderer.name}" without view=')


def _check_rendered(rendered: Any, where: str) -> None:
    assert isinstance(rendered, Rendered), f"{where} returned a {type(rendered).__name__}; it must return a Rendered"
    assert rendered.bundle, f"{where} returned a Rendered with an empty bundle"
    for mime, content in rendered.bundle.items():
        kind = str if mime.startswith("text/") or mime.endswith(("+xml", "json")) else (str, bytes)
        assert isinstance(content, kind), f"{where}: {mime} holds a {type(content).__name__}"
        assert content, f"{where}: {mime} is empty"


def _check_refusals(renderer: Renderer) -> None:
    """An unknown view or option is an error that names it."""
    trace = example_trace()
    message = _refusal(trace, renderer, view="no-such-view")
    assert "no-such-view" in message, f"the error for an unknown view does not name it: {message}"
    missing = [view for view in renderer.views if view not in message]
    assert not missing, f"the error for an unknown view does not list the views {missing}: {message}"
    message = _refusal(trace, renderer, no_such_option=1)
    assert "no_such_option" in message, f"the error for an unknown option does not name it: {message}"


def _refusal(trace: AttentionTrace, renderer: Renderer, **asked: Any) -> str:
    try:
        render(trace, renderer, **asked)
    except OptionError as error:
        return str(error)
    raise AssertionError(f'renderer "{renderer.name}" accepted {asked}; it must raise OptionError')


def _check_trace_untouched(renderer: Renderer) -> None:
    """Drawing changes no array and no label."""
    for trace in (example_trace(), example_trace(lazy=True)):
        before = _contents(trace)
        for view in renderer.views:
            _draw(trace, renderer, view)
            changed = [name for name, value in _contents(trace).items() if not np.array_equal(value, before[name])]
            assert not changed, f'view "{view}" of renderer "{renderer.name}" changed the trace: {", ".join(changed)}'


def _contents(trace: AttentionTrace) -> dict[str, Any]:
    """Copies of everything in the trace that a renderer could write into."""
    contents: dict[str, Any] = {}
    for layer in trace:
        contents[f"{layer.name}.weights"] = np.array(layer.weights, copy=True)
        for part in ("query", "key", "value"):
            array = getattr(layer, part)
            contents[f"{layer.name}.{part}"] = np.zeros(0) if array is None else np.array(array, copy=True)
    for axis in trace.axes.values():
        contents[f"{axis.name}.labels"] = np.array(axis.labels)
        contents[f"{axis.name}.special"] = np.zeros(0) if axis.special is None else axis.special.copy()
    return contents


def _draw(trace: AttentionTrace, renderer: Renderer, view: str) -> Rendered | None:
    """The picture, or None when the view refuses this trace with an error that teaches."""
    try:
        return render(trace, renderer, view=view)
    except AttncoreError as error:
        message = str(error)
    assert len(message) >= 30, (
        f'view "{view}" of renderer "{renderer.name}" refused a trace and said only "{message}"; '
        "say what was asked, what was found and what to do"
    )
    return None


def _check_hostile_tokens(renderer: Renderer) -> None:
    """Labels are text: never markup, never script, never a terminal's control sequence."""
    for trace in (_hostile_trace(), _hostile_names()):
        for view in renderer.views:
            rendered = _draw(trace, renderer, view)
            where = f'view "{view}" of renderer "{renderer.name}"'
            for mime, content in ({} if rendered is None else rendered.bundle).items():
                if isinstance(content, str):
                    _check_harmless(mime, content, where)


def _hostile_trace() -> AttentionTrace:
    return example_trace(lazy=True, n_tokens=len(HOSTILE_TOKENS), tokens=HOSTILE_TOKENS)


def _hostile_names() -> AttentionTrace:
    """Layers can be named by strangers too: a file may come from anybody."""
    trace = example_trace(lazy=True)
    layers = tuple(layer.replaced(name=HOSTILE_TOKENS[1], module_class=HOSTILE_TOKENS[4]) for layer in trace)
    return AttentionTrace(layers, trace.axes)


def _check_harmless(mime: str, content: str, where: str) -> None:
    if mime == "text/html":
        unescaped = [token for token in HOSTILE_TOKENS if "<" in token and token in content]
        assert not unescaped, f"{where}: the page holds tokens as markup: {unescaped}"
        finder = _HostileFinder()
        finder.feed(content)
        assert not finder.found, f"{where}: a token became markup on the page: {finder.found}"
    elif mime == "image/svg+xml":
        for element in ElementTree.fromstring(content).iter():
            assert not str(element.tag).endswith(_ELEMENT), f"{where}: a token became an element of the SVG"
            handlers = [name for name, value in element.attrib.items() if name.startswith("on") and _HANDLER in value]
            assert not handlers, f"{where}: a token became an event handler of the SVG"
    elif mime == "text/plain":
        assert _TERMINAL_TITLE not in content, f"{where}: a token's control sequence reaches the terminal"


class _HostileFinder(HTMLParser):
    """Finds elements and event handlers that came out of a token."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag.startswith("attncore-h"):
            self.found.append(f"<{tag}>")
        self.found += [name for name, value in attrs if name.startswith("on") and _HANDLER in (value or "")]


def _check_shapes(renderer: Renderer, traces: Iterable[AttentionTrace]) -> None:
    """Every shape of trace is drawn, or refused in words."""
    given = ((f"trace {number} that was given", trace) for number, trace in enumerate(traces))
    for what, trace in (*_shapes(), *given):
        for view in renderer.views:
            where = f'view "{view}" of renderer "{renderer.name}", {what}'
            try:
                rendered = _draw(trace, renderer, view)
            except AssertionError:
                raise
            except Exception as error:
                raise AssertionError(f"{where}: raised {type(error).__name__}: {error}") from error
            if rendered is not None:
                _check_rendered(rendered, where)


def _shapes() -> Iterator[tuple[str, AttentionTrace]]:
    yield "weights alone, without queries and keys", example_trace()
    yield "a batch of 3", example_trace(batch=3)
    yield "cross-attention", example_cross_trace(lazy=True)
    yield "one token", example_trace(n_tokens=1)
    yield "one layer, one head", example_trace(n_layers=1, n_heads=1)
    yield "600 tokens", example_trace(n_tokens=600, lazy=True)
    yield "grouped-query attention", example_trace(lazy=True, kv_heads=2)
    yield "padding", example_trace(batch=2, padding=4, lazy=True)
    yield "some heads of some layers", example_trace(n_layers=4).select(layers=slice(1, 3), heads=[3, 1])
    yield "no labels", AttentionTrace.from_arrays([np.asarray(layer.weights) for layer in example_trace()])
    yield "fully masked rows", _with_masked_row()
    yield "weights reduced while capturing", _reduced()


def _with_masked_row() -> AttentionTrace:
    weights = np.array(example_trace()[0].weights)
    weights[:, :, 2] = np.nan
    return AttentionTrace.from_arrays([weights])


def _reduced() -> AttentionTrace:
    trace = example_trace()
    layers = tuple(layer.replaced(stored_weights=None, reduced=np.zeros(2)) for layer in trace)
    return AttentionTrace(layers, trace.axes)


def _check_saving(renderer: Renderer) -> None:
    """What is drawn can be written to a file; an ending that fits nothing is refused."""
    endings = {"text/html": ".html", "text/plain": ".txt", "image/svg+xml": ".svg", "image/png": ".png"}
    rendered = render(example_trace(lazy=True), renderer)
    with TemporaryDirectory() as folder:
        for mime in rendered.bundle:
            if mime in endings:
                written = rendered.save(Path(folder) / f"picture{endings[mime]}")
                assert written.stat().st_size > 0, f'renderer "{renderer.name}" wrote an empty {written.name}'
        try:
            rendered.save(Path(folder) / "picture.no-such-ending")
        except OptionError:
            return
    raise AssertionError(f'renderer "{renderer.name}": a picture was saved with an ending that no type has')
