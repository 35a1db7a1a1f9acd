"""Where the model's tensors begin: its constants, hidden states that nothing has told of yet, and opaque layers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from . import _torch_functions as fn
from ._torch_dims import Kind, fresh, projected
from ._torch_moves import moves_after
from ._torch_tags import Tag, TagTable

Tagged = list[tuple[Tensor, Tag]]


def made_of_constants(table: TagTable, tensors: Sequence[Tensor], shape: torch.Size | None = None) -> bool:
    """Whether a result is a parameter, as a weight that is made of packed numbers and scales is.

    Integers beside constants are places and shifts: data that is followed holds floating numbers. Nor is it data if
    only constants have the ``shape`` of the result, and the others are scales.
    """
    constants, others = [], []
    for tensor in tensors:
        if _is_constant(table, tensor):
            constants.append(tensor.shape)
        elif tensor.is_floating_point():
            others.append(tensor.shape)
    return bool(constants) and (not others or (shape in constants and shape not in others))


def _is_constant(table: TagTable, tensor: Tensor) -> bool:
    tag = table.get(tensor)
    return table.is_constant(tensor) if tag is None else tag.parameter


def first_seen(table: TagTable, tensors: Sequence[Tensor], out: Tensor) -> Tagged:
    """Note of hidden states that come from where nothing is followed that all made of them is of one source.

    What has a last dimension of 1 is a scale, such as that of a norm.
    """
    found: Tagged = []
    if out.dim() < 2 or out.shape[-1] == 1 or not out.is_floating_point():
        return found
    for tensor in tensors:
        if tensor.shape == out.shape and tensor.is_floating_point() and not _is_constant(table, tensor):
            tag = table.get(tensor)
            if tag is None:
                tag = Tag(dims=None, stream=table.guessed_stream())
                table.set(tensor, tag)
            found.append((tensor, tag))
    return found


def telling(table: TagTable, tagged: Tagged) -> Tagged:
    """Those that say where a result comes from: not parameters, nor rotary cosines beside what they turn."""
    projected = any(tag.projected for _, tag in tagged)

    def tells(tag: Tag) -> bool:
        if tag.written or tag.role is not None:
            return True
        return not tag.parameter and not (tag.only_source and (projected or table.is_guessed(tag.stream)))

    return [pair for pair in tagged if tells(pair[1])] or tagged


def begin(table: TagTable, source: Tensor, known: Tag | None) -> Tag:
    """Tag what is projected first of all."""
    tag = Tag(dims=fresh(source.shape, "plain"), stream=None if known is None else known.stream)
    if known is not None:
        tag = Tag(known.dims or tag.dims, known.stream, order=known.order, activated=known.activated, moves=known.moves)
    if tag.stream is None:
        tag.stream = table.new_stream()
    table.set(source, tag)
    return tag


def hidden_states(table: TagTable, function: Any, source: Any, out: Any, known: Tag | None) -> Tag | None:
    """Tag hidden states that come from outside when they are cut into heads or into parts, so that both are known."""
    if (
        not isinstance(source, Tensor)
        or not isinstance(out, Tensor)
        or source.dim() < 3
        or not source.is_floating_point()
    ):
        return None
    splits = function in fn.RESHAPE and out.dim() > source.dim() and out.shape[-1] != source.shape[-1]
    cuts = any(function in family for family in (fn.GETITEM, fn.SELECT, fn.NARROW, fn.SPLIT, fn.UNBIND))
    if not (splits or cuts):
        return None
    kind: Kind = "feature" if source.dim() == 3 else "plain"
    dims = (*fresh(source.shape[:-1], "plain"), *fresh(source.shape[-1:], kind))
    tag = Tag(dims=dims, stream=table.guessed_stream() if known is None else known.stream)
    tag.moves = () if known is None else known.moves
    table.set(source, tag)
    return tag


def moved_first(
    table: TagTable, known: Tag | None, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
) -> Tag | None:
    """The tag of what is put in another order before anything else is known of it, as token ids may be."""
    if not isinstance(out, Tensor) or out.dtype == torch.bool or out.is_complex() or function in fn.PUT:
        return known
    moves = moves_after(known, function, args, kwargs, out)
    if moves == (() if known is None else known.moves):
        return known
    if known is not None:
        return known.replaced(moves=moves)
    return Tag(dims=None, stream=table.new_stream() if out.is_floating_point() else None, moves=moves)


@cache
def is_product(function: Any) -> bool:
    """Whether a function that is not known multiplies with weights, by its name: the kernel of a quantized layer."""
    words = re.split(r"[._:]+", str(fn.name_of(function)).lower())
    return any(word.endswith(("mm", "linear", "matmul", "gemv")) for word in words)


@cache
def _is_foreign(function: Any) -> bool:
    """Whether a function is an operator that somebody registered with PyTorch."""
    return type(function).__module__ == "torch._ops" and not str(function).startswith(("aten.", "prims."))


def follow_opaque_layer(table: TagTable, function: Any, tensors: Sequence[Tensor], out: Tensor) -> bool:
    """Tag the result of a layer whose weights or code are hidden as the projection it is; false for all others.

    By its name; or as an operator of somebody's own that makes other features at the same positions.
    """
    named = is_product(function)
    if not (named or _is_foreign(function)) or out.dim() < 2 or not out.is_floating_point():
        return False
    source, known = _source(table, tensors, out)
    if source is None or not (named or (known is not None and source.shape != out.shape)):
        return False
    if known is None or known.stream is None or known.dims is None:
        known = begin(table, source, known)
    assert known.dims is not None
    dims = projected(known.dims, int(out.shape[-1]), known.projections)
    known.projections += 1
    table.set(out, Tag(dims, table.source_of(known), True, moves=known.moves))
    return True


def _source(table: TagTable, tensors: Sequence[Tensor], out: Tensor) -> tuple[Tensor | None, Tag | None]:
    """The only hidden states among the arguments of an opaque layer, at the positions of its result."""
    tags = [table.get(tensor) for tensor in tensors]
    if any(tag is not None and tag.role is not None for tag in tags):
        return None, None
    found = [
        (tensor, tag)
        for tensor, tag in zip(tensors, tags, strict=True)
        if tensor.is_floating_point() and tensor.shape[:-1] == out.shape[:-1] and not _is_constant(table, tensor)
    ]
    followed = [pair for pair in found if pair[1] is not None and pair[1].stream is not None]
    if len(followed) > 1 or not found:
        return None, None
    return (followed or found)[0]
