"""What a tensor becomes that another one is written into: a cache, or hidden states put where they belong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from . import _torch_functions as fn
from ._torch_dims import resized
from ._torch_moves import moves_of_put
from ._torch_tags import Tag, TagTable

# The piece comes last. The indexed ones fill caches whose room is made beforehand.
_WRITES_A_PIECE = frozenset({"__setitem__", "copy_", "index_copy_", "index_put_"})


def follow_write(table: TagTable, function: Any, args: tuple[Any, ...]) -> None:
    """A tensor filled piece by piece is of the kind of its pieces: their dimensions, as long as the whole."""
    if args and isinstance(args[0], Tensor):
        table.note_written(args[0])
    if fn.name_of(function) not in _WRITES_A_PIECE or len(args) < 2:
        return
    target, source = args[0], args[-1]
    # What is written is often a view of what is used later.
    whole = target._base if fn.name_of(function) == "copy_" and target._base is not None else target
    known = table.get(whole)
    tag = table.get(source) if isinstance(source, Tensor) else None
    if known is not None and known.parameter and not (tag is not None and tag.parameter):
        table.set(whole, Tag(dims=None, written=True))
    if tag is None or not tag.projected or tag.role is not None or tag.dims is None:
        return
    if whole.dim() != len(tag.dims) or (known is not None and known.projected and whole.shape != source.shape):
        return
    dims = tuple(resized(dim, int(size)) for dim, size in zip(tag.dims, whole.shape, strict=True))
    table.set(whole, tag.replaced(dims=dims, written=True))


def follow_put(
    follow: Callable[..., None] | None,
    table: TagTable,
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    out: Any,
) -> None:
    """Follow as usual, and note where positions were written to that were taken from hidden states by an index."""
    target = args[0] if args else None
    before = table.get(target) if isinstance(target, Tensor) else None
    if follow is not None:
        follow(table, function, args, kwargs, out)
    whole = target if fn.is_in_place(function) else out
    given = kwargs.get("source", kwargs.get("src", kwargs.get("values", args[-1])))
    tag = table.get(given) if isinstance(given, Tensor) else None
    if not isinstance(whole, Tensor) or not isinstance(given, Tensor) or (tag is not None and tag.role is not None):
        return
    if tag is None and given.is_floating_point():  # of what order these are is not known: not so of token ids
        return
    if before is not None and before.dims is not None and before.stream not in (None, tag and tag.stream):
        moves = before.moves  # hidden states that are only changed in places
    else:
        moves = moves_of_put(tag, _index_of_put(function, args, kwargs), given, whole)
    made = table.get(whole)
    if made is not None and (made.stream is not None or made.role is not None):
        if made.role is None and made.moves != moves:
            table.set(whole, made.replaced(moves=moves))
    elif moves and whole.dtype != torch.bool:
        stream = table.new_stream() if whole.is_floating_point() else None
        table.set(whole, Tag(dims=None, stream=stream, written=made is not None, moves=moves))


def _index_of_put(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What it is written at, as an index of the tensor that is written into."""
    if fn.name_of(function) in ("__setitem__", "index_put", "index_put_"):
        return kwargs.get("indices", args[1] if len(args) > 1 else ())
    axis, places = kwargs.get("dim", args[1] if len(args) > 1 else 0), kwargs.get("index", args[2:3])
    whole = (slice(None),) * (int(axis) % args[0].dim())
    return (*whole, *(places if isinstance(places, tuple) else (places,)))
