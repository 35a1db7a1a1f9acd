"""Showing a trace: choosing the renderer, checking what is asked of it, and what comes back."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attncore.errors import AttncoreError, OptionError, PluginError, did_you_mean
from attncore.plugins import find_renderer, plugins
from attncore.protocols import GlanceRenderer, Renderer
from attncore.storage import replaced_whole
from attncore.subject import place_of

if TYPE_CHECKING:
    from attncore.attention import AttentionTrace

# What a file name's ending asks for.
_MIME_OF_SUFFIX = {
    ".html": "text/html",
    ".txt": "text/plain",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".pdf": "application/pdf",
}


@dataclass(frozen=True)
class Rendered:
    """A picture of a trace: a MIME bundle that notebooks show, terminals print and ``save`` writes.

    Attributes:
        bundle: what a notebook shows, by MIME type: ``"text/html"``, ``"text/plain"``, ``"image/png"``, ….
        title: what the picture is of, in a line.
        details: facts about the picture, by the renderer: its view, how many bytes it has, ….
        terminal_text: the text with colour, which ``str`` gives while standard output is a terminal.
        files: what ``save`` writes where that is not what a notebook shows: a whole page instead of a frame with one.
    """

    bundle: Mapping[str, str | bytes]
    title: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    terminal_text: str | None = None
    files: Mapping[str, str | bytes] = field(default_factory=dict)

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> dict[str, Any] | tuple[dict[str, Any], dict[str, Any]]:
        return dict(self.bundle)

    def __str__(self) -> str:
        if self.terminal_text is not None and sys.stdout is not None and sys.stdout.isatty():
            return self.terminal_text
        return str(self.bundle.get("text/plain", self.title))

    def __repr__(self) -> str:
        # At the prompt the picture is wanted, as in a notebook.
        return str(self)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture; the file name's ending chooses among the types there are.

        Args:
            path: the file; it is replaced when it is there.

        Returns:
            The path.

        Raises:
            OptionError: the picture has no such type.
            OSError: the file cannot be written, because its folder does not exist for example.
        """
        target = Path(path)
        mime = _MIME_OF_SUFFIX.get(target.suffix.lower())
        kinds = {*self.bundle, *self.files}
        if mime is None or mime not in kinds:
            endings = [suffix for suffix, kind in _MIME_OF_SUFFIX.items() if kind in kinds]
            wanted = f'as "{target.suffix}"' if target.suffix else "under a name without an ending"
            raise OptionError(f"this picture cannot be saved {wanted}; use one of {', '.join(endings) or 'none'}")
        content = self.files[mime] if mime in self.files else self.bundle[mime]
        with replaced_whole(target) as partial:
            partial.write_bytes(content.encode() if isinstance(content, str) else content)
        return target


def render(
    trace: AttentionTrace, renderer: str | Renderer | None = None, *, view: str | None = None, **options: Any
) -> Rendered:
    """Show ``trace`` with a renderer.

    Args:
        trace: what to show.
        renderer: its name, as in `attncore.renderers()`, or a renderer itself; by default the first.
        view: one of the renderer's views; its first by default.
        **options: the renderer's own options. A number given as ``layer`` is the layer's own, as pictures show it, and
            counts from the end of those held where it is negative; a renderer is given the place in ``trace``.

    Raises:
        PluginError: there is no such renderer, or it has no views or returns no picture.
        OptionError: it has no such view or option.
        SelectionError: the trace holds no such layer.
    """
    chosen = _chosen(renderer)
    views: Any = chosen.views
    if not views:
        raise PluginError(f'renderer "{chosen.name}" has no views; it must name at least one')
    if isinstance(views, str):
        raise PluginError(f'renderer "{chosen.name}" gives {views!r} as its views, which must be a tuple of names')
    view = chosen.views[0] if view is None else view
    if view not in chosen.views:
        raise OptionError(
            f'renderer "{chosen.name}" has no view "{view}"{did_you_mean(view, chosen.views)}; '
            f"its views are {', '.join(chosen.views)}"
        )
    check_options(chosen.name, chosen.render, options, given=("view",))
    rendered = chosen.render(trace, view=view, **with_place_of_layer(trace, options))
    if not isinstance(rendered, Rendered):
        raise PluginError(
            f'view "{view}" of renderer "{chosen.name}" returned a {type(rendered).__name__}; it must return a Rendered'
        )
    return rendered


def with_place_of_layer(trace: AttentionTrace, options: Mapping[str, Any]) -> dict[str, Any]:
    """A renderer's options as it takes them: a layer's own index, which is what people see, as its place in ``trace``.

    Raises:
        SelectionError: the trace holds no layer of this index.
    """
    return {name: place_of(trace, value) if name == "layer" else value for name, value in options.items()}


def check_used(
    render: Callable[..., Any], view: str, used_by: Mapping[str, Collection[str]], asked: Mapping[str, Any]
) -> None:
    """Refuse an option that a view has no use for, rather than draw something else than was meant.

    Args:
        render: the renderer's method, whose signature has the options' defaults.
        view: the view that was asked for.
        used_by: for each option, the views that use it.
        asked: the options' values.

    Raises:
        OptionError: one of another value than its default is of other views.
    """
    parameters = inspect.signature(render).parameters
    for name, value in asked.items():
        default = parameters[name].default
        is_default = value is default or (isinstance(value, int | str) and value == default)
        if view not in used_by[name] and not is_default:
            views = " or ".join(f'"{other}"' for other in used_by[name])
            raise OptionError(f'view "{view}" does not use {name}=; leave it out, or give view={views}')


def notebook_bundle(trace: AttentionTrace) -> dict[str, Any]:
    """What a notebook shows of a trace that stands alone in a cell: what the first renderer that draws HTML makes.

    A renderer that takes long for this trace, or cannot draw it, is passed over. In a terminal, which would show text
    alone, nothing is drawn.
    """
    if sys.stdout is not None and sys.stdout.isatty():
        return {}
    for registered in plugins().renderers.values():
        renderer = registered.thing
        try:
            rendered = renderer.glance(trace) if isinstance(renderer, GlanceRenderer) else render(trace, renderer)
        except AttncoreError:
            continue
        if rendered is not None and "text/html" in rendered.bundle:
            return dict(rendered.bundle)
    return {}


def _chosen(renderer: str | Renderer | None) -> Renderer:
    if isinstance(renderer, type):
        raise PluginError(f"{renderer.__qualname__} is a class; give a renderer made of it: {renderer.__qualname__}()")
    if isinstance(renderer, Renderer):
        return renderer
    if renderer is not None and not isinstance(renderer, str):
        raise PluginError(
            f"a {type(renderer).__name__} is no renderer; give the name of one ({', '.join(plugins().renderers)}), "
            "or an object with name, views and render"
        )
    return find_renderer(renderer if renderer is not None else next(iter(plugins().renderers)))


def options_of(method: Callable[..., Any]) -> list[str]:
    """The names of a method's keyword-only parameters."""
    parameters = inspect.signature(method).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]


def check_options(
    renderer: str, method: Callable[..., Any], options: Mapping[str, Any], *, given: Collection[str] = ()
) -> None:
    """An unknown option is an error that lists the known ones, unless the renderer's method takes anything.

    Args:
        renderer: its name, for the message.
        method: the options are its keyword-only parameters.
        options: what the caller gave.
        given: keyword-only parameters that are no options, since we give them.
    """
    parameters = inspect.signature(method).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    known = [name for name in options_of(method) if name not in given]
    for name in options:
        if name not in known:
            raise OptionError(
                f'renderer "{renderer}" has no option "{name}"{did_you_mean(name, known)}; '
                f"its options are {', '.join(known) or 'none'}"
            )
