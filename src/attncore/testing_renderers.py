"""The contract of a renderer, as a suite that any renderer's tests can run."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from attncore.attention import AttentionTrace
from attncore.errors import AttncoreError, OptionError
from attncore.protocols import Renderer
from attncore.rendering import Rendered, options_of, render
from attncore.testing_examples import example_trace
from attncore.testing_hostile import HOSTILE_TOKENS, check_harmless, hostile_traces
from attncore.testing_shapes import trace_shapes

__all__ = ["HOSTILE_TOKENS", "check_renderer"]

_REFUSE = "; draw it, or refuse it with an attncore.AttncoreError that says what the view needs"
_NOWHERE = 10_000


def check_renderer(renderer: Renderer, *, traces: Iterable[AttentionTrace] = ()) -> None:
    """Check that a renderer keeps the contract.

    It draws every view it declares, refuses views and options it does not have, leaves the trace as it was, shows
    hostile tokens as text, and copes with every shape of trace; a view that cannot show some trace (cross-attention,
    say, or one without queries and keys) may refuse it with an `attncore.AttncoreError` that says so.

    Args:
        renderer: the renderer.
        traces: more traces that it must draw or refuse, besides the suite's own.

    Raises:
        AssertionError: the contract is broken; the message says how, and what to do.
    """
    _check_declaration(renderer)
    _check_views(renderer)
    _check_refusals(renderer)
    _check_option_values(renderer)
    _check_trace_untouched(renderer)
    _check_hostile_tokens(renderer)
    _check_shapes(renderer, traces)
    _check_saving(renderer)


def _check_declaration(renderer: Renderer) -> None:
    assert not isinstance(renderer, type), f"{renderer!r} is a class; check (and register) an object: {renderer!r}()"
    assert isinstance(renderer, Renderer), f"{renderer!r} lacks one of name, views, render"
    assert isinstance(renderer.name, str), f"a renderer's name must be text, and {renderer.name!r} is not"
    assert renderer.name, "a renderer's name must not be empty: it is what people type"
    views = renderer.views
    assert isinstance(views, tuple), f'renderer "{renderer.name}": views must be a tuple and is {views!r}'
    assert views, f'renderer "{renderer.name}" declares no view; name at least one, the first is the default'
    assert all(isinstance(view, str) for view in views), f'renderer "{renderer.name}": views must be texts: {views!r}'
    assert len(set(views)) == len(views), f'renderer "{renderer.name}" declares a view twice: {views}'


def _where(renderer: Renderer, view: str, what: str = "") -> str:
    return f'view "{view}" of renderer "{renderer.name}"' + (f", {what}" if what else "")


def _check_views(renderer: Renderer) -> None:
    """Every declared view is drawn, each in its own way, and the default is the first."""
    trace = example_trace(lazy=True)
    drawn = {view: _declared(trace, renderer, view) for view in renderer.views}
    for one, other in combinations(renderer.views, 2):
        assert dict(drawn[one].bundle) != dict(drawn[other].bundle), (
            f'views "{one}" and "{other}" of renderer "{renderer.name}" draw the same picture; render must draw the '
            "view that it is given, or declare only one of them"
        )
    _check_rendered(render(trace, renderer), f'renderer "{renderer.name}" without view=')


def _declared(trace: AttentionTrace, renderer: Renderer, view: str) -> Rendered:
    """The picture of a plain trace, which every view must draw."""
    try:
        rendered = render(trace, renderer, view=view)
    except Exception as error:
        raise AssertionError(
            f"{_where(renderer, view)} is declared and does not draw the plain trace of a small decoder "
            f"(attncore.testing.example_trace(lazy=True)): {type(error).__name__}: {error}; draw it, or take it out of "
            "views"
        ) from error
    _check_rendered(rendered, _where(renderer, view))
    return rendered


def _check_rendered(rendered: Any, where: str) -> None:
    assert isinstance(rendered, Rendered), f"{where} returned a {type(rendered).__name__}; it must return a Rendered"
    assert rendered.bundle, f"{where} returned a Rendered with an empty bundle; give it at least one MIME type"
    for mime, content in rendered.bundle.items():
        kind = str if mime.startswith("text/") or mime.endswith(("+xml", "json")) else (str, bytes)
        assert isinstance(content, kind), f"{where}: {mime} holds a {type(content).__name__}, and must hold text"
        assert content, f"{where}: {mime} is empty; leave a type out that this picture does not have"


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
    except Exception as error:
        raise AssertionError(
            f'renderer "{renderer.name}" was given {asked} and raised {type(error).__name__}: {error}; it must raise '
            "OptionError"
        ) from error
    raise AssertionError(
        f'renderer "{renderer.name}" accepted {asked}; it must raise OptionError, so that a misspelt option is not '
        "passed over: name each option as a keyword-only parameter instead of **options"
    )


def _check_option_values(renderer: Renderer) -> None:
    """A layer, head or batch item that does not exist is an error in words, from a view that looks at it."""
    trace = example_trace(lazy=True)
    for option in ("layer", "head", "batch"):
        if option not in options_of(renderer.render):
            continue
        for view in renderer.views:
            try:
                render(trace, renderer, view=view, **{option: _NOWHERE})
            except AttncoreError:
                continue
            except Exception as error:
                raise AssertionError(
                    f"{_where(renderer, view)}: {option}={_NOWHERE} raised {type(error).__name__}: {error}; a value "
                    "that means nothing is an attncore.AttncoreError that says what there is, and "
                    "attncore.subject.Subject.of raises it"
                ) from error


def _check_trace_untouched(renderer: Renderer) -> None:
    """Drawing changes no array and no label."""
    for trace in (example_trace(), example_trace(lazy=True, batch=2, padding=3)):
        before = _contents(trace)
        for view in renderer.views:
            _draw(trace, renderer, view)
            changed = [name for name, value in _contents(trace).items() if not np.array_equal(value, before[name])]
            assert not changed, (
                f"{_where(renderer, view)} changed the trace: {', '.join(changed)}; what you read may be the trace's "
                "own memory, so change a copy: numpy.array(layer.weights[0])"
            )


def _contents(trace: AttentionTrace) -> dict[str, Any]:
    """Copies of everything in the trace that a renderer could write into."""
    contents: dict[str, Any] = {}
    for layer in trace:
        contents[f"{layer.name}.weights"] = np.array(layer.weights, copy=True)
        for part in ("query", "key", "value", "mask", "bias", "sinks"):
            array = getattr(layer, part)
            contents[f"{layer.name}.{part}"] = np.zeros(0) if array is None else np.array(array, copy=True)
    for axis in trace.axes.values():
        contents[f"{axis.name}.labels"] = np.array(axis.labels)
        for part in ("special", "padding"):
            array = getattr(axis, part)
            contents[f"{axis.name}.{part}"] = np.zeros(0) if array is None else array.copy()
    return contents


def _draw(trace: AttentionTrace, renderer: Renderer, view: str, what: str = "") -> Rendered | None:
    """The picture, or None when the view refuses this trace with an error that teaches."""
    where = _where(renderer, view, what)
    try:
        return render(trace, renderer, view=view)
    except AttncoreError as error:
        message = str(error)
    except Exception as error:
        raise AssertionError(f"{where}: raised {type(error).__name__}: {error}{_REFUSE}") from error
    assert len(message) >= 30, (
        f'{where} refused a trace and said only "{message}"; say what was asked, what was found and what to do'
    )
    return None


def _check_hostile_tokens(renderer: Renderer) -> None:
    """Labels are text: never markup, never script, never a terminal's control sequence."""
    for trace in hostile_traces():
        for view in renderer.views:
            rendered = _draw(trace, renderer, view, "hostile tokens")
            if rendered is not None:
                check_harmless(rendered, _where(renderer, view))


def _check_shapes(renderer: Renderer, traces: Iterable[AttentionTrace]) -> None:
    """Every shape of trace is drawn, or refused in words."""
    given = ((f"trace {number} that was given", trace) for number, trace in enumerate(traces))
    for what, trace in (*trace_shapes(), *given):
        for view in renderer.views:
            rendered = _draw(trace, renderer, view, what)
            if rendered is not None:
                _check_rendered(rendered, _where(renderer, view, what))


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
