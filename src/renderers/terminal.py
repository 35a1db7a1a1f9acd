"""The terminal renderer: a trace as text, with colour where the terminal has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from attncore.attention import AttentionTrace
from attncore.errors import OptionError, did_you_mean
from attncore.hookspecs import hookimpl
from attncore.protocols import Renderer
from attncore.rendering import Rendered, check_used
from attncore.subject import find_query

from ._terminal_head import EveryQuery, OneQuery
from ._terminal_matrix import Matrix
from ._terminal_model import Model
from ._terminal_output import Page, finished
from ._terminal_subject import Subject
from ._terminal_summary import Summary

Sort = Literal["weight", "position"]
SORTS = ("weight", "position")
# The views that use an option; what is not here is for all of them.
_USED_BY = {
    "layer": ("head", "matrix"),
    "head": ("head", "matrix"),
    "query": ("head",),
    "top": ("head",),
    "sort": ("head",),
}


class TerminalRenderer:
    """Shows a trace as text, ``text/plain`` and ``text/html``.

    The views are ``"summary"`` (the layers, the heads that stand out, what is missing), ``"head"`` (what each token, or
    one of them, attends to), ``"model"`` (every head as a thumbnail) and ``"matrix"`` (one head as a heat map).
    """

    name = "terminal"
    views = ("summary", "head", "model", "matrix")

    def render(
        self,
        trace: AttentionTrace,
        *,
        view: str = "summary",
        layer: int | str = 0,
        head: int | None = None,
        query: int | str | None = None,
        batch: int = 0,
        top: int = 10,
        sort: Sort = "weight",
        width: int | None = None,
        color: bool | None = None,
    ) -> Rendered:
        """Draw one view.

        Args:
            trace: what to show.
            view: one of ``views``.
            layer: the place in ``trace`` or the name of a layer, for the head and the matrix view.
            head: the model's own number of a head, or None for the mean over heads; for the same views.
            query: for the head view, a position or a token to show with bars; None for every query, a line each.
            batch: which batch item.
            top: for the head view, how many keys of a query at the most.
            sort: for the head view of one query, order its keys by ``"weight"`` or by ``"position"``.
            width: columns; None for the terminal's.
            color: True or False; None for colour where a terminal shows it (``NO_COLOR`` is respected).

        Raises:
            SelectionError: a layer, head, query or batch item that does not exist.
            OptionError: an option has a value that is not understood, or is not used by this view.
            UnavailableError: the weights were reduced while capturing.
        """
        if view not in self.views:
            raise OptionError(f'there is no view "{view}"{did_you_mean(view, self.views)}; use {", ".join(self.views)}')
        asked = {"layer": layer, "head": head, "query": query, "top": top, "sort": sort}
        check_used(self.render, view, _USED_BY, asked)
        page = Page.of(width, color)
        details: dict[str, Any] = {"view": view, "batch": batch, "width": page.width}
        if view == "summary":
            summary = Summary.of(trace, batch)
            return finished(lambda paint: summary.lines(page.width), page, "attention: summary", details)
        if view == "model":
            model = Model.of(trace, batch, page.width)
            return finished(lambda paint: model.lines(paint, page.width), page, model.title, details)
        subject = Subject.of(trace, layer, head, batch)
        details |= {"layer": subject.layer.index, "head": subject.head}
        if view == "matrix":
            matrix = Matrix.of(subject, page.width)
            return finished(lambda paint: matrix.lines(paint, page.width), page, subject.title(), details)
        return _head_view(subject, query, _checked_top(top), _checked_sort(sort), page, details)


def _head_view(
    subject: Subject, query: int | str | None, top: int, sort: Sort, page: Page, details: dict[str, Any]
) -> Rendered:
    if query is None:
        every = EveryQuery.of(subject, top, page.width)
        return finished(lambda paint: every.lines(page.width), page, subject.title(), details)
    position = find_query(subject, query)
    one = OneQuery.of(subject, position, top, sort == "weight", _namesakes(subject, query))
    return finished(lambda paint: one.lines(page.width), page, subject.title(), details | {"query": position})


def _namesakes(subject: Subject, query: int | str) -> int:
    """How many positions a token given as text could have meant."""
    return subject.query_labels.texts.count(query) if isinstance(query, str) else 1


def _checked_top(top: int) -> int:
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise OptionError(f"top is how many keys to show, 1 or more; {top!r} was given")
    return top


def _checked_sort(sort: Sort) -> Sort:
    if sort not in SORTS:
        raise OptionError(f'sort is "weight" or "position"; {sort!r} was given')
    return sort


@hookimpl
def attncore_register_renderers(register: Callable[[Renderer], None]) -> None:
    """Register the terminal renderer."""
    register(TerminalRenderer())
