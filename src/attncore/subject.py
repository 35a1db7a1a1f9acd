"""What a picture is about: one layer, one batch item, one head or all, and the tokens on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from attncore.arrays import Array
from attncore.attention import AttentionTrace
from attncore.axis import TokenAxis
from attncore.errors import OptionError, SelectionError
from attncore.layer import AttentionLayer
from attncore.selection import no_such_layer


@dataclass(frozen=True)
class Subject:
    """One layer of one batch item; ``head`` is the model's own number of one head, None for all of them."""

    layer: AttentionLayer
    batch: int
    head: int | None
    query_axis: TokenAxis
    key_axis: TokenAxis

    @classmethod
    def of(cls, trace: AttentionTrace, layer: int | str, head: int | None, batch: int) -> Self:
        """The subject that these options mean; ``layer`` is a name or a place in ``trace``, as `render` gives it.

        Raises:
            SelectionError: there is no such layer, head or batch item.
            OptionError: one of them is no number or name.
            UnavailableError: the layer's weights were reduced while capturing.
        """
        if isinstance(layer, bool) or not isinstance(layer, int | np.integer | str):
            raise OptionError(f"layer is an index or a name; {layer!r} was given")
        found = trace[layer] if isinstance(layer, str) else trace[int(layer)]
        check_batch(found, batch)
        if head is not None:
            check_head(found, head)
        query_axis, key_axis = trace.axes_of(found)
        return cls(found, int(batch), None if head is None else int(head), query_axis, key_axis)

    @property
    def queries(self) -> int:
        """How many query positions there are."""
        return self.layer.shape[2]

    @property
    def keys(self) -> int:
        """How many key positions there are."""
        return self.layer.shape[3]

    @property
    def head_count(self) -> int:
        """How many heads `read` gives: 1, or all of them."""
        return 1 if self.head is not None else self.layer.n_heads

    def read(self, rows: slice) -> Array:
        """Weights of these query rows, (heads, query, key), as float32 or better."""
        if self.head is None:
            block = self.layer.weights[self.batch, :, rows]
        else:
            place = self.layer.head_numbers().index(self.head)
            block = self.layer.weights[self.batch, place : place + 1, rows]
        return block.astype(np.float32) if block.dtype.itemsize < 4 else block

    def read_mean(self, rows: slice) -> Array:
        """Weights of these query rows, (query, key): of the one head, or the mean over heads."""
        block = self.read(rows)
        if len(block) == 1:
            return np.asarray(block[0])
        with np.errstate(invalid="ignore"):  # infinities of both signs make NaN, and are reported as such
            return np.asarray(block.mean(axis=0))

    def describe_head(self) -> str:
        """Such as ``head 3`` or ``mean over 12 heads``."""
        if self.head is not None:
            return f"head {self.head}"
        return f"mean over {self.layer.n_heads} heads" if self.layer.n_heads > 1 else "its only head"


def place_of(trace: AttentionTrace, layer: Any) -> Any:
    """Where in ``trace`` a layer is whose own index is given; whatever is no such index is given back as it is.

    In a trace of all layers the two are the same. In one that holds some of them, the index is what people see.

    Raises:
        SelectionError: no layer of this index is held; the message lists those that are.
    """
    indices = [one.index for one in trace]
    # Layers that somebody put together may share an index; then only their places tell them apart.
    are_places = indices == list(range(len(indices))) or len(set(indices)) < len(indices)
    if are_places or isinstance(layer, bool) or not isinstance(layer, int | np.integer) or layer < 0:
        return layer
    if layer not in indices:
        raise SelectionError(no_such_layer(int(layer), trace.layers))
    return indices.index(int(layer))


def check_batch(layer: AttentionLayer, batch: int) -> None:
    """Raise unless the layer has this batch item."""
    items = layer.shape[0]
    if isinstance(batch, bool) or not isinstance(batch, int | np.integer):
        raise OptionError(f"batch is the number of one batch item; {batch!r} was given")
    if not 0 <= batch < items:
        raise SelectionError(
            f'layer {layer.index} "{layer.name}" has {items} batch item(s) and item {batch} was asked for; '
            f"give {_range(items)}"
        )


def check_head(layer: AttentionLayer, head: int) -> None:
    """Raise unless the layer has a head of this number."""
    numbers = layer.head_numbers()
    if isinstance(head, bool) or not isinstance(head, int | np.integer):
        raise OptionError(f"head is a number, or None for the mean over heads; {head!r} was given")
    if head not in numbers:
        listed = _range(len(numbers)) if numbers == tuple(range(len(numbers))) else ", ".join(map(str, numbers))
        raise SelectionError(
            f'layer {layer.index} "{layer.name}" has {len(numbers)} head(s) and head {head} was asked for; '
            f"give {listed}"
        )


def find_query(subject: Subject, query: int | str) -> int:
    """The query position that is meant by a position or a token.

    Raises:
        SelectionError: there is none.
        OptionError: it is neither a number nor a text.
    """
    axis, total = subject.query_axis, subject.queries
    if isinstance(query, str):
        return axis.find(query, subject.batch if axis.batch != 1 else 0)
    if isinstance(query, bool) or not isinstance(query, int | np.integer):
        raise OptionError(f"query is a position, a token, or None for all of them; {query!r} was given")
    if not -total <= query < total:
        raise SelectionError(
            f'axis "{axis.name}" has {total} query position(s) and {query} was asked for; give {_range(total)}, '
            "a token's text, or leave query out to get every one"
        )
    return int(query) % total


def _range(total: int) -> str:
    return "0" if total == 1 else f"0 to {total - 1}"
