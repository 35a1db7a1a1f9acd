"""One rule for each operation that changes a tensor's shape: what its dimensions are made of afterwards.

A rule returns the new tag, or None when the meaning is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from . import _torch_functions as fn
from ._torch_dims import Dim, Dims, Factor, fresh, is_feature, reshaped, resized, size_of, swapped
from ._torch_moves import moves_after, moves_of_swaps
from ._torch_starts import after_padding, after_slice
from ._torch_tags import Order, Softmax, Tag, worst_order

_WHOLE = slice(None)
_PLAIN = (int, slice)
Rule = Callable[[Tag, Any, tuple[Any, ...], dict[str, Any], Tensor], "Tag | None"]


def _with_dims(tag: Tag, dims: Sequence[Dim] | None, order: Order | None = None) -> Tag:
    return tag.moved(None if dims is None else tuple(dims), order or tag.order)


def _reshape(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    found = None if tag.dims is None else reshaped(tag.dims, out.shape)
    if found is None:
        return tag.replaced(dims=fresh(out.shape, "unknown"))
    dims, swaps = found
    if tag.key is not None and tag.key.size == 1:
        dims = _with_unit_key(tag, dims)
    made = tag.moved(dims, tag.order)
    if swaps is not None and tag.role is None:
        made.moves = moves_of_swaps(tag.moves, *swaps)
    return made


def _with_unit_key(tag: Tag, dims: Dims) -> Dims:
    """A key dimension of length 1 is lost by factors; it is taken to stay where it was, counted from the end."""
    axis = tag.key_axis()
    if tag.key is None or axis is None or -axis > len(dims) or size_of(dims[axis]) != 1:
        return dims
    place = len(dims) + axis
    return (*dims[:place], (tag.key,), *dims[place + 1 :])


def _permuted(tag: Tag, order: Sequence[int]) -> Tag | None:
    if tag.dims is None or len(order) != len(tag.dims):
        return None
    return _with_dims(tag, [tag.dims[axis] for axis in order])


def _transpose(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    if tag.dims is None:
        return None
    rank = len(tag.dims)
    if len(args) == 3:
        axes = args[1:]
    elif fn.name_of(function) in ("t", "adjoint"):
        axes = (-2, -1) if rank > 1 else (0, 0)
    else:
        axes = (*args[1:], *kwargs.values())
    return tag.moved(swapped(tag.dims, axes[0] % rank, axes[1] % rank), tag.order)


def _matrix_transpose(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    order = list(range(out.dim()))
    if len(order) >= 2:
        order[-2], order[-1] = order[-1], order[-2]
    return _permuted(tag, order)


def _permute(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    given = args[1:] or tuple(kwargs.values())
    order = given[0] if isinstance(given[0], list | tuple | torch.Size) else given
    return _permuted(tag, [int(axis) % out.dim() for axis in order])


def _movedim(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    # Let PyTorch say what goes where: move a tensor whose lengths are the axis numbers.
    rank = out.dim()
    probe = torch.empty([axis + 2 for axis in range(rank)], device="meta")
    with torch._C.DisableTorchFunction():
        moved = function(probe, *args[1:], **kwargs)
    return _permuted(tag, [size - 2 for size in moved.shape])


def _expand(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    """A dimension grown from 1 repeats heads when a head dimension is next to it, as grouped-query attention does."""
    if tag.dims is None:
        return None
    missing = out.dim() - len(tag.dims)
    padded: list[Dim] = [()] * missing + list(tag.dims)
    dims = []
    for place, (dim, size) in enumerate(zip(padded, out.shape, strict=True)):
        if size_of(dim) == size:
            dims.append(dim)
            continue
        beside = place > 0 and is_feature(padded[place - 1])
        dims.append((Factor(int(size), "feature" if beside else "plain"),))
    return _with_dims(tag, dims)


def _repeat(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    if tag.dims is None or len(tag.dims) != out.dim():
        return tag.replaced(dims=fresh(out.shape, "unknown"))
    return _with_dims(tag, [resized(dim, size) for dim, size in zip(tag.dims, out.shape, strict=True)])


def _select(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    axis = kwargs.get("dim", args[1] if len(args) > 1 else 0)
    return indexed(tag, (_WHOLE,) * (axis % (out.dim() + 1)) + (0,), out)


def _getitem(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    index = args[1] if isinstance(args[1], tuple) else (args[1],)
    if not _is_plain(index):
        index = tuple(_as_slice_of_features(tag, index, place) for place in range(len(index)))
    if not _is_plain(index):
        order: Order = "shuffled" if tag.projected else tag.order
        moves = moves_after(tag, function, args, kwargs, out)
        return tag.replaced(dims=fresh(out.shape, "unknown"), order=order, moves=moves)
    return indexed(tag, index, out)


def _is_plain(index: tuple[Any, ...]) -> bool:
    """Whether an index is made of numbers, slices, None and an ellipsis."""
    for item in index:  # noqa: SIM110 - without a generator: rotary embeddings cut every query and key in halves
        if not (item is None or item is Ellipsis or isinstance(item, _PLAIN)):
            return False
    return True


def _as_slice_of_features(tag: Tag, index: tuple[Any, ...], place: int) -> Any:
    """A list of positions in a feature dimension, such as the key heads of a fused projection, as a slice."""
    item = index[place]
    if not isinstance(item, list) or not all(isinstance(number, int) for number in item) or tag.dims is None:
        return item
    if tag.role is not None:  # heads in another order than those of the queries
        return item
    before = index[:place]
    if Ellipsis in before:
        axis = len(tag.dims) - sum(1 for part in index[place:] if part is not None)
    else:
        axis = sum(1 for part in before if part is not None)
    return slice(0, len(item)) if 0 <= axis < len(tag.dims) and is_feature(tag.dims[axis]) else item


def indexed(tag: Tag, index: tuple[Any, ...], out: Tensor) -> Tag | None:
    """Integers drop a dimension, None adds one, a slice shortens one; part of a sequence is no longer the whole."""
    if tag.dims is None:
        return None
    place = index.index(Ellipsis) if Ellipsis in index else len(index)
    named = [item for item in index if item is not None and item is not Ellipsis]
    filler = (_WHOLE,) * (len(tag.dims) - len(named))
    index = index[:place] + filler + index[place + 1 :]
    dims: list[Dim] = []
    order, key, changes, axis, one_of_many = tag.order, tag.key, tag.changes, 0, False
    cut: tuple[int, slice, int] | None = None
    for item in index:
        if item is None:
            dims.append(())
            continue
        dim = tag.dims[axis]
        axis += 1
        if item is _WHOLE:
            dims.append(dim)
            continue
        one_of_many |= isinstance(item, int) and size_of(dim) > 1 and not is_feature(dim)
        kept = None if isinstance(item, int) else resized(dim, len(range(*item.indices(size_of(dim)))))
        if kept is not None:
            dims.append(kept)
        if kept is dim or (kept is None and size_of(dim) == 1):
            continue
        if len(dim) == 1 and dim[0] is tag.key and kept is not None:
            key = kept[0]
            changes = (*changes, "sliced")
        elif not is_feature(dim):
            order = worst_order([order, "part"]) if tag.projected else order
            if kept is not None and axis == len(dims):  # no axis before it came or went
                cut = (axis - 1, item, size_of(dim))
    if one_of_many and tag.role is None:  # not the positions that another of them has
        dims = [tuple(Factor(factor.size, factor.kind, factor.origin) for factor in dim) for dim in dims]
    if key is tag.key and changes is tag.changes:
        made = tag.moved(tuple(dims), order)
        return made if cut is None else after_slice(tag, made, out, *cut)
    return tag.replaced(dims=tuple(dims), order=order, key=key, changes=changes)


def _narrow(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    if tag.dims is None:
        return None
    axis = kwargs.get("dim", args[1] if len(args) > 1 else 0) % len(tag.dims)
    start = kwargs.get("start", args[2] if len(args) > 2 else 0)
    start = start % size_of(tag.dims[axis]) if isinstance(start, int) else 0
    return indexed(tag, (_WHOLE,) * axis + (slice(start, start + int(out.shape[axis])),), out)


def _unfold(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    """Overlapping windows: the same hidden states, in dimensions whose meaning is open."""
    return tag.replaced(dims=fresh(out.shape, "unknown"), role=None, key=None)


def _as_complex(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    return None if tag.dims is None else _with_dims(tag, tag.dims[:-1])


def _as_real(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    return None if tag.dims is None else _with_dims(tag, (*tag.dims, (Factor(2, "feature"),)))


def _shuffle(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    order: Order = "shuffled" if tag.projected else tag.order
    moves = tag.moves if function in fn.PUT else moves_after(tag, function, args, kwargs, out)
    return tag.replaced(dims=fresh(out.shape, "unknown"), order=order, role=None, key=None, moves=moves)


def _reorder(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    """Positions in another order: weights that were applied like this, but no queries and keys of token order."""
    given = kwargs.get("dims", args[1:] if fn.name_of(function) == "flip" else args[2:])
    given = given[0] if isinstance(given, tuple) and len(given) == 1 else given
    axes = (given,) if isinstance(given, int) else given or range(out.dim())  # `roll` without dims moves everything
    moved = tag.dims is None or not all(is_feature(tag.dims[int(axis)]) for axis in axes)
    if isinstance(tag.role, Softmax):
        return tag.replaced(changes=(*tag.changes, fn.name_of(function)))
    order: Order = "shuffled" if moved and tag.projected else tag.order
    return tag.replaced(order=order, moves=moves_after(tag, function, args, kwargs, out))


def _pad(tag: Tag, function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor) -> Tag | None:
    if tag.dims is None:
        return None
    dims = [resized(dim, size) for dim, size in zip(tag.dims, out.shape, strict=True)]
    axis = tag.key_axis()
    if axis is not None:
        # Padding the key dimension of weights shifts them against the keys: no longer (query, key).
        return _with_dims(tag.replaced(key=tag.key if dims[axis] is tag.dims[axis] else None), dims)
    given = kwargs.get("pad", args[1] if len(args) > 1 else ())
    return after_padding(tag, _with_dims(tag, dims), out, given, [size_of(dim) for dim in tag.dims])


RULES: dict[Any, Rule] = {}
for _family, _rule in (
    (fn.RESHAPE, _reshape),
    (fn.TRANSPOSE, _transpose),
    (fn.MATRIX_TRANSPOSE, _matrix_transpose),
    (fn.PERMUTE, _permute),
    (fn.MOVEDIM, _movedim),
    (fn.EXPAND, _expand),
    (fn.REPEAT, _repeat),
    (fn.SELECT, _select),
    (fn.GETITEM, _getitem),
    (fn.NARROW, _narrow),
    (fn.SHUFFLE, _shuffle),
    (fn.REORDER, _reorder),
    (fn.PAD, _pad),
    (fn.COMPLEX, _as_complex),
    (fn.UNFOLD, _unfold),
    (fn.REAL, _as_real),
):
    RULES.update(dict.fromkeys(_family, _rule))
