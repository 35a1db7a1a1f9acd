"""What a page opens with, from the options that a person gives."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, cast, get_args

from attncore.attention import AttentionTrace
from attncore.errors import OptionError, SelectionError, UnavailableError, did_you_mean
from attncore.layer import AttentionLayer

from ._page_describe import Start, Theme, vectors_held

VIEWS = ("head", "model", "neuron", "matrix")
THEMES: tuple[str, ...] = get_args(Theme)
_LEAST_HEIGHT, _MOST_HEIGHT = 200, 10_000


def start_of(
    trace: AttentionTrace,
    shown: AttentionTrace,
    *,
    view: str,
    layer: int | str | None,
    heads: int | Iterable[int] | None,
    query: int | str | None,
    batch: int,
    theme: str,
) -> Start:
    """The options as places in ``shown``, which has some of the layers of ``trace``.

    Args:
        trace: what ``layer`` counts.
        shown: what the page holds; its layers have weights.
        view: one of `VIEWS`.
        layer: index or name of the layer to open with; None for the viewer's choice.
        heads: the model's own numbers of the heads to select; None for all.
        query: position or token to pin.
        batch: the batch item to open with.
        theme: one of `THEMES`.

    Raises:
        OptionError: a value is not understood.
        SelectionError: there is no such layer, head, token or batch item.
        UnavailableError: the neuron view was asked for, and no layer has queries and keys.
    """
    _check_name("view", view, VIEWS)
    _check_name("theme", theme, THEMES)
    place = None if layer is None else _place_of(layer, trace, shown)
    if view == "neuron":
        place = _with_vectors(shown) if place is None else place
    first = shown[place or 0]
    item = _item(batch, first)
    return Start(
        view=view,
        layer=place,
        heads=None if heads is None else _head_places(heads, first),
        item=item,
        query=None if query is None else _query(query, shown, first, item),
        theme=cast(Theme, theme),
    )


def checked_height(height: int) -> int:
    """The height in CSS pixels.

    Raises:
        OptionError: it is no such number.
    """
    number = whole(height, "height is the page's height in a notebook, in pixels")
    if not _LEAST_HEIGHT <= number <= _MOST_HEIGHT:
        raise OptionError(f"height is {number}; give {_LEAST_HEIGHT} to {_MOST_HEIGHT} pixels")
    return number


def whole(value: Any, meaning: str) -> int:
    """``value`` as Python's int; True and False are none.

    Raises:
        OptionError: it is no whole number; the message begins with ``meaning``.
    """
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise OptionError(f"{meaning}; {value!r} was given")


def _check_name(option: str, given: Any, known: tuple[str, ...]) -> None:
    if given not in known:
        hint = did_you_mean(given, known) if isinstance(given, str) else ""
        raise OptionError(f"{option} is one of {', '.join(known)}; {given!r} was given{hint}")


def _place_of(layer: int | str, trace: AttentionTrace, shown: AttentionTrace) -> int:
    found = trace[layer if isinstance(layer, str) else whole(layer, "layer is an index or a name")]
    for place, one in enumerate(shown):
        if one is found:
            return place
    if found.stored_weights is None:
        raise UnavailableError(
            f"layer={layer!r} was captured with reduce=, so its weights were not kept; open with another layer"
        )
    names = ", ".join(f'{one.index} "{one.name}"' for one in shown.layers[:6]) + (", …" if len(shown) > 6 else "")
    raise OptionError(f"layer={layer!r} is not among the layers that the page is to hold (layers=): {names}")


def _with_vectors(shown: AttentionTrace) -> int:
    for place, layer in enumerate(shown):
        if vectors_held(layer):
            return place
    raise UnavailableError(
        "the neuron view shows queries and keys, and no layer of this trace holds any; capture the model again with "
        'keep="qk", or choose another view: head, model or matrix'
    )


def _head_places(heads: int | Iterable[int], layer: AttentionLayer) -> tuple[int, ...]:
    numbers = layer.head_numbers()
    meaning = "heads is a list of the model's own head numbers"
    chosen = [whole(head, meaning) for head in (heads if isinstance(heads, Iterable) else [heads])]
    if not chosen:
        raise OptionError(f"{meaning}, and an empty one was given; leave it out to select all {len(numbers)}")
    for head in chosen:
        if head not in numbers:
            listed = ", ".join(map(str, numbers[:24])) + (", …" if len(numbers) > 24 else "")
            raise SelectionError(
                f'layer {layer.index} "{layer.name}" has no head {head} to select; its heads are {listed}'
            )
    return tuple(sorted({numbers.index(head) for head in chosen}))


def _item(batch: int, layer: AttentionLayer) -> int:
    items, item = layer.shape[0], whole(batch, "batch is the number of one batch item")
    if not 0 <= item < items:
        raise SelectionError(
            f'layer {layer.index} "{layer.name}" has {items} batch item(s) and item {item} was asked for; '
            f"give 0 to {items - 1}"
        )
    return item


def _query(query: int | str, shown: AttentionTrace, layer: AttentionLayer, item: int) -> int:
    axis, total = shown.axes[layer.query_axis], layer.shape[2]
    if isinstance(query, str):
        return axis.find(query, item if axis.batch > 1 else 0)
    position = whole(query, "query is a position or a token")
    if not -total <= position < total:
        raise SelectionError(
            f'axis "{axis.name}" has {total} position(s) and query {position} was asked for; give 0 to {total - 1}, '
            "or a token's text"
        )
    return position % total
