"""What belongs to the weights that a model uses: the softmax they came from, its queries and keys, all its pieces."""

from __future__ import annotations

import torch
from torch import Tensor

from ._torch_arrays import memory_address
from ._torch_dims import Dims
from ._torch_findings import MIXING, PIECES, arranged_or_none, until_mixed
from ._torch_layout import CannotMapError, Layout, layout_of
from ._torch_tags import Scores, Softmax, Tag


def whole_softmax(entry: Softmax, weights: Tensor, *, any_piece: bool = False) -> tuple[Tensor, Dims] | None:
    """The softmax that ``weights`` are some heads or batch items of, as (..., query, key), and its dimensions.

    None when they are all of it, when keys are missing, or when only rows are: those that are used are an attention of
    their own. With ``any_piece`` some rows are a piece too.
    """
    whole = entry.probabilities
    if entry.scores is None or weights.shape[-1] != entry.key.size or weights.numel() >= whole.numel():
        return None
    order = _rows_and_keys_last(entry)
    if order is None:
        return None
    lead = whole.numel() // (whole.shape[order[-2]] * whole.shape[order[-1]])
    if not any_piece and weights.shape[:-2].numel() == lead:
        return None
    return whole.permute(order), tuple(entry.dims[place] for place in order)


def _rows_and_keys_last(entry: Softmax) -> list[int] | None:
    """The order of a softmax's dimensions with those of query and key last; None where the query's is not known."""
    columns = _place(entry.dims, (entry.key,))
    rows = None if entry.scores is None else _place(entry.dims, _rows(entry, entry.scores))
    if columns is None or rows is None:
        return None
    return [place for place in range(len(entry.dims)) if place not in (rows, columns)] + [rows, columns]


def as_layer(entry: Softmax, tensor: Tensor) -> Tensor | None:
    """A softmax, or a tensor with its dimensions, as (batch, heads, query, key), whatever became of it since."""
    order = _rows_and_keys_last(entry)
    if order is None:
        return None
    dims = [entry.dims[place] for place in order]
    return arranged_or_none(layout_of(tuple(dims[:-2]), dims[-2], dims[-1]), tensor.permute(order))


def as_applied(entry: Softmax, tag: Tag, layout: Layout, weights: Tensor) -> tuple[Tensor, Tag]:
    """The weights to keep, (batch, heads, query, key), and what is known of them.

    They are those applied, but before dropout and a mixing of heads. What was written over is noted.
    """
    applied = layout.apply(weights.detach())
    undone = {"dropout", MIXING, PIECES}.issuperset(until_mixed(tag.changes))
    written = not tag.changes and entry.address not in (0, memory_address(entry.probabilities))
    if weights.is_complex() and not undone:
        raise CannotMapError("weights that are complex numbers")
    if not weights.is_complex() and not written and not (tag.changes and undone):
        return applied, tag
    before = _before(entry, layout, weights)
    if before is None or before.shape != applied.shape:
        if weights.is_complex():
            raise CannotMapError("weights that are complex numbers")
        return applied, tag.replaced(changes=tuple(f"{change}, as it was applied" for change in tag.changes))
    if written and not weights.is_complex():
        same = torch.equal(before.to(applied.dtype), applied)
        return applied, tag if same else tag.replaced(changes=("written over",))
    return before, tag


def _before(entry: Softmax, layout: Layout, weights: Tensor) -> Tensor | None:
    """The softmax's own result in the layout of a layer."""
    if entry.scores is not None:
        return as_layer(entry, entry.probabilities)
    place = _place(entry.dims, (entry.key,))
    moved = entry.probabilities.movedim(-1 if place is None else place, -1)
    same = moved.shape[-2:] == weights.shape[-2:] and moved.numel() == weights.numel()
    return layout.apply(moved.reshape(weights.shape).detach()) if same else None


def _place(dims: Dims, dim: tuple[object, ...]) -> int | None:
    return next((place for place, known in enumerate(dims) if known == dim), None)


def _rows(entry: Softmax, scores: Scores) -> tuple[object, ...]:
    return scores.columns if entry.keys_first else scores.rows


def operands_of(
    entry: Softmax, layout: Layout, shape: tuple[int, int, int, int]
) -> tuple[Tensor | None, Tensor | None]:
    """Query and key vectors of weights of this shape, where they can be arranged like them.

    Models split and fold heads between the product and its use, so the product's own layout is tried before the
    weights'.
    """
    scores = entry.scores
    if scores is None:
        return None, None
    first, second, rows, columns = scores.operands.first, scores.operands.second, scores.rows, scores.columns
    if entry.keys_first:
        first, second, rows, columns = second, first, columns, rows
    for candidate in (layout_of(scores.lead, rows, columns), layout):
        query, key = arranged_or_none(candidate, first, queries=True), arranged_or_none(candidate, second)
        if query is not None and key is not None and _fit(query, key, shape):
            return query, key
    return None, None


def _fit(query: Tensor, key: Tensor, shape: tuple[int, int, int, int]) -> bool:
    batch, heads, rows, columns = shape
    one = query.shape[0] in (1, batch) and tuple(query.shape[1:3]) == (heads, rows)
    return one and key.shape[0] in (1, batch) and heads % key.shape[1] == 0 and key.shape[2] == columns
