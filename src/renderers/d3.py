"""The interactive page: head, model, neuron and matrix views, as one file that needs no network.

The page is the viewer in ``static`` (its source is in ``viewer``), a description of the trace and blocks of numbers;
the ``_page_`` files beside this one make them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attncore.attention import AttentionTrace
from attncore.errors import OptionError, UnavailableError
from attncore.hookspecs import hookimpl
from attncore.protocols import Renderer
from attncore.rendering import Rendered
from attncore.selection import LayerSelector
from attncore.signs import visible

from ._page_describe import Start, Theme, with_weights
from ._page_html import built_viewer, frame_of, live_page, page_of
from ._page_payload import Payload, payload_of
from ._page_start import VIEWS, checked_height, start_of, whole

# What a file may take by the length of the longest axis: mail, notebooks and browsers take these easily.
_BYTES_BY_LENGTH = ((512, 16_000_000), (1024, 24_000_000))
_MOST_BYTES = 32_000_000
# Up to so many tokens a page is kept this small, unless what was asked for is larger: it is sent by mail.
_SHORT, _SHORT_BYTES = 128, 3_000_000
# A trace that stands alone in a notebook's cell is shown in little time and space.
_GLANCE_BYTES = 8_000_000
_GLANCE_WEIGHTS = 200_000_000


class D3Renderer:
    """Shows a trace as an interactive page, ``text/html``.

    The views share one selection and can be switched on the page; ``view`` is the one that it opens with: ``"head"``
    (tokens joined by lines), ``"model"`` (every head as a thumbnail), ``"neuron"`` (how a weight comes out of query and
    key) or ``"matrix"`` (one layer's heads as heat maps). In a notebook the page is shown in a frame; ``save`` writes
    it as one file that opens without a network. What does not fit into the file is left out, and the page says what.
    """

    name = "d3"
    views = VIEWS

    def render(
        self,
        trace: AttentionTrace,
        *,
        view: str = "head",
        layer: int | str | None = None,
        heads: int | Iterable[int] | None = None,
        layers: LayerSelector = None,
        query: int | str | None = None,
        batch: int = 0,
        theme: Theme = "auto",
        max_bytes: int | None = None,
        height: int = 640,
    ) -> Rendered:
        """Make the page.

        Args:
            trace: what to show.
            view: the view to open with.
            layer: index or name of the layer to open with.
            heads: the model's own numbers of the heads that are selected at first; None for all.
            layers: which layers the page holds, as for ``trace.select``; None for all.
            query: a position or a token to pin at first.
            batch: the batch item to open with; the page holds all of them.
            theme: ``"light"``, ``"dark"``, or ``"auto"`` for the reader's own.
            max_bytes: the most that the file may take; None for 16 MB up to 512 tokens, 24 MB up to 1,024, else 32 MB.
            height: of the page in a notebook, in CSS pixels.

        Raises:
            OptionError: an option is not understood, or too little fits into ``max_bytes``.
            SelectionError: a layer, head, token or batch item that does not exist.
            UnavailableError: no layer has weights, or, for the neuron view, no layer has queries and keys.
        """
        shown, facts = _shown(trace, layers)
        start = start_of(trace, shown, view=view, layer=layer, heads=heads, query=query, batch=batch, theme=theme)
        height, limit = checked_height(height), _checked_limit(max_bytes, shown)
        title = _title(trace)
        viewer = built_viewer()
        empty = len(page_of(Payload({}, ()), title, theme, viewer).encode())
        if limit <= empty:
            raise OptionError(
                f"max_bytes is {limit:,}, and the page without any numbers takes {empty:,} bytes; give more"
            )
        aim = min(limit, _SHORT_BYTES if _longest(shown) <= _SHORT else limit) - empty
        payload = payload_of(shown, start, room=limit - empty, vectors=view == "neuron", aim=aim, facts=facts)
        page = page_of(payload, title, theme, viewer)
        precision, length = payload.description["precision"], len(page.encode())
        details = {"view": view, "precision": precision["kind"], "held": precision["sentence"], "bytes": length}
        return Rendered(
            {"text/html": frame_of(page, title, height), "text/plain": _plain(title, length)},
            title=title,
            details=details,
            files={"text/html": page},
        )

    def glance(self, trace: AttentionTrace) -> Rendered | None:
        """The page of a trace that stands alone in a notebook's cell; None where it would take long to make."""
        if sum(layer.weights.size for layer in with_weights(trace)[0]) > _GLANCE_WEIGHTS:
            return None
        return self.render(trace, max_bytes=_GLANCE_BYTES)

    def widget(
        self,
        trace: AttentionTrace,
        *,
        view: str = "head",
        layer: int | str | None = None,
        heads: int | Iterable[int] | None = None,
        query: int | str | None = None,
        batch: int = 0,
        theme: Theme = "auto",
        height: int = 640,
    ) -> Any:
        """The page as a notebook widget, which asks the kernel for its numbers: exact at any length.

        The options and errors are those of `render`.

        Raises:
            UnavailableError: anywidget is not installed.
        """
        try:
            from ._page_widget import AttentionWidget
        except ImportError as error:
            raise UnavailableError(
                f'a widget needs anywidget ({error}); install it with: pip install "attncore[notebook]", or show '
                'the page without a kernel: trace.render("d3")'
            ) from error
        from ._page_answers import Answers

        start = _live_start(trace, view, layer, heads, query, batch, theme)
        places = {"layer": start.layer, "heads": start.heads, "item": start.item, "query": start.query}
        chosen = {name: place for name, place in places.items() if place is not None}
        answers = Answers(trace, start=start)
        return AttentionWidget(answers, view=view, theme=theme, height=checked_height(height), **chosen)

    def app(
        self,
        trace: AttentionTrace,
        *,
        token: str,
        hosts: Sequence[str],
        view: str = "head",
        layer: int | str | None = None,
        heads: int | Iterable[int] | None = None,
        query: int | str | None = None,
        batch: int = 0,
        theme: Theme = "auto",
    ) -> Any:
        """The page as an ASGI application, which answers its questions: exact at any length.

        The options and errors are those of `render`; ``token`` and ``hosts`` are as `attncore.ServerRenderer` says.

        Raises:
            UnavailableError: starlette is not installed.
        """
        try:
            from ._page_server import page_app
        except ImportError as error:
            raise UnavailableError(
                f'serving the page needs starlette ({error}); install it with: pip install "attncore[serve]"'
            ) from error
        from ._page_answers import Answers

        answers = Answers(trace, start=_live_start(trace, view, layer, heads, query, batch, theme))
        title, viewer = _title(trace), built_viewer()
        return page_app(answers, lambda nonce: live_page(title, theme, nonce, viewer), token=token, hosts=hosts)


def _live_start(
    trace: AttentionTrace,
    view: str,
    layer: int | str | None,
    heads: int | Iterable[int] | None,
    query: int | str | None,
    batch: int,
    theme: Theme,
) -> Start:
    shown, _ = with_weights(trace)
    return start_of(trace, shown, view=view, layer=layer, heads=heads, query=query, batch=batch, theme=theme)


def _shown(trace: AttentionTrace, layers: LayerSelector) -> tuple[AttentionTrace, list[tuple[str, str]]]:
    """The layers that the page holds, and what to say about the others."""
    if not len(trace):
        return with_weights(trace)
    chosen = trace.select(layers=layers)
    shown, facts = with_weights(chosen)
    if len(chosen) < len(trace):
        facts.append(("layers in this file", f"{len(chosen)} of the {len(trace)} that were captured"))
    return shown, facts


def _checked_limit(max_bytes: int | None, shown: AttentionTrace) -> int:
    if max_bytes is not None:
        return whole(max_bytes, "max_bytes is a number of bytes, such as 16_000_000")
    longest = _longest(shown)
    for length, limit in _BYTES_BY_LENGTH:
        if longest <= length:
            return limit
    return _MOST_BYTES


def _longest(shown: AttentionTrace) -> int:
    return max(axis.length for axis in shown.axes.values())


def _title(trace: AttentionTrace) -> str:
    model = trace.provenance.model.rpartition(".")[2]
    return f"Attention of {model}" if model else "Attention"


def _plain(title: str, length: int) -> str:
    """A line for where no page can be shown; a model's name may come from anybody, and control no terminal."""
    return (
        f"{visible(title)}: an interactive page of {length / 1e6:.1f} MB, which a notebook shows; "
        '.save("attention.html") writes it as a file for any browser, without a network'
    )


@hookimpl
def attncore_register_renderers(register: Callable[[Renderer], None]) -> None:
    """Register the d3 renderer."""
    register(D3Renderer())
