"""``attncore show``: what is asked of a renderer, and where the picture goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attncore.attention import AttentionTrace
from attncore.cli_output import print_rendered, say
from attncore.cli_page import is_page, show_page
from attncore.cli_values import index_or_name
from attncore.errors import AttncoreError, OptionError, PluginError, SelectionError, named
from attncore.plugins import plugins
from attncore.rendering import Rendered

# Which options the terminal's views pass over; one that is no view draws with all of them.
_NOT_USED = {
    "summary": ("layer", "head", "query"),
    "model": ("layer", "head", "query"),
    "matrix": ("query",),
}


@dataclass(frozen=True)
class Asked:
    """What was typed: the renderer, its view, and its options, None where one was left out."""

    renderer: str
    view: str | None
    layer: str | None
    head: int | None
    query: str | None
    batch: int | None
    more: Mapping[str, Any]

    def options(self) -> dict[str, Any]:
        """The options that were given."""
        given = {
            "layer": None if self.layer is None else index_or_name(self.layer),
            "head": self.head,
            "query": None if self.query is None else index_or_name(self.query),
            "batch": self.batch,
        }
        return {name: value for name, value in given.items() if value is not None} | dict(self.more)


def render(trace: AttentionTrace, asked: Asked) -> Rendered:
    """The picture that is asked for.

    A query that was typed as a number is the token of that text where there is no such position.

    Raises:
        PluginError: a renderer of somebody else's failed.
    """
    options = _without_what_is_not_used(asked, asked.options())
    with _blamed(asked.renderer):
        try:
            return trace.render(asked.renderer, view=asked.view, **options)
        except SelectionError as error:
            if not isinstance(options.get("query"), int) or options["query"] == asked.more.get("query"):
                raise
            try:
                return trace.render(asked.renderer, view=asked.view, **options | {"query": asked.query})
            except SelectionError:
                raise error from None


@contextmanager
def _blamed(renderer: str) -> Iterator[None]:
    """Around a renderer's code: what a plugin's raises is told in a sentence that names it, our own is not caught."""
    try:
        yield
    except (AttncoreError, OSError):
        raise
    except Exception as error:
        source = plugins().renderers[renderer].distribution
        if source.partition(" ")[0] == "attncore":
            raise
        raise PluginError(
            f'renderer "{renderer}" of {source} raised {named(error)}; attncore --debug show … says where'
        ) from error


def _without_what_is_not_used(asked: Asked, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without those that a view of the terminal passes over, which a note says."""
    view = asked.view or "summary"
    passed_over = [name for name in _NOT_USED.get(view, ()) if name in options and asked.renderer == "terminal"]
    if passed_over:
        typed = ", ".join(f"--{name}" for name in passed_over)
        one_head = "head" if view == "matrix" else "head or --view matrix"
        say(f"attncore: note: the {view} view does not use {typed}; give --view {one_head}")
    return {name: value for name, value in options.items() if name not in passed_over}


def put_out(rendered: Rendered, asked: Asked, save: Path | None, *, open_page: bool) -> None:
    """Write the picture to a file, open it as a page, or print it.

    Raises:
        OptionError: it can only be written, and no file was given.
    """
    if is_page(rendered) and (save is None or save.suffix.lower() == ".html"):
        show_page(rendered, save, open_page=open_page)
    elif save is not None:
        say(f"written to {rendered.save(save)}")
    elif "text/plain" in rendered.bundle:
        print_rendered(rendered)
    else:
        kinds = ", ".join(rendered.bundle)
        raise OptionError(f'renderer "{asked.renderer}" draws {kinds}, which a terminal cannot show; give --save FILE')
