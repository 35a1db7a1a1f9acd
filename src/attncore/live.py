"""Live pictures: they ask this process for numbers while they are looked at. Chooses the renderer that can make one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from attncore.errors import PluginError
from attncore.plugins import find_renderer, plugins
from attncore.protocols import Renderer, ServerRenderer, WidgetRenderer
from attncore.rendering import check_options, with_place_of_layer

if TYPE_CHECKING:
    from attncore.attention import AttentionTrace

Able = TypeVar("Able", bound=Renderer)


def make_widget(trace: AttentionTrace, renderer: str | None = None, **options: Any) -> Any:
    """A notebook widget of ``trace``.

    Args:
        trace: what to show.
        renderer: the name of a renderer that makes widgets; by default the first that does.
        **options: the renderer's own; a number given as ``layer`` means what it means to `rendering.render`.

    Raises:
        PluginError: there is no such renderer, or it makes no widgets.
        OptionError: it has no such option.
        SelectionError: the trace holds no such layer.
    """
    able = [one for one in _installed() if isinstance(one, WidgetRenderer)]
    chosen = _chosen(renderer, able, "make notebook widgets")
    check_options(chosen.name, chosen.widget, options)
    return chosen.widget(trace, **with_place_of_layer(trace, options))


def make_app(
    trace: AttentionTrace, renderer: str | None = None, *, token: str, hosts: Sequence[str], **options: Any
) -> Any:
    """An ASGI application that shows ``trace`` to whoever knows the token.

    Args:
        trace: what to show.
        renderer: the name of a renderer whose page can be served; by default the first.
        token: every path begins with it.
        hosts: the host names that requests may be for; ``"*"`` for any.
        **options: as for `make_widget`.

    Raises:
        PluginError: there is no such renderer, or its page cannot be served.
        OptionError: it has no such option.
        SelectionError: the trace holds no such layer.
    """
    able = [one for one in _installed() if isinstance(one, ServerRenderer)]
    chosen = _chosen(renderer, able, "serve a page")
    check_options(chosen.name, chosen.app, options, given=("token", "hosts"))
    return chosen.app(trace, token=token, hosts=hosts, **with_place_of_layer(trace, options))


def _installed() -> Iterator[Renderer]:
    return (entry.thing for entry in plugins().renderers.values())


def _chosen(name: str | None, able: Sequence[Able], ability: str) -> Able:
    """The renderer of this name among those that are able, or the first of them."""
    names = [one.name for one in able]
    if name is None:
        if not able:
            raise PluginError(f"no installed renderer can {ability}; `attncore renderers` lists what there is")
        return able[0]
    if name not in names:
        known = find_renderer(name).name
        raise PluginError(f'renderer "{known}" cannot {ability}; these can: {", ".join(names) or "none"}')
    return able[names.index(name)]
