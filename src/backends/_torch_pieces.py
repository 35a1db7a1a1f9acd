"""Which queries and keys belong to weights, and weights that a model uses piece by piece."""

from __future__ import annotations

from torch import Tensor

from ._torch_dims import Dims
from ._torch_findings import arranged_or_none
from ._torch_layout import Layout, layout_of
from ._torch_tags import Scores, Softmax


def whole_softmax(entry: Softmax, weights: Tensor, *, any_piece: bool = False) -> tuple[Tensor, Dims] | None:
    """The softmax that ``weights`` are some heads or batch items of, as (..., query, key), and its dimensions.

    None when they are all of it, when keys are missing, or when only rows are: those that are used are an attention of
    their own. With ``any_piece`` some rows are a piece too.
    """
    whole = entry.probabilities
    if entry.scores is None or weights.shape[-1] != entry.key.size or weights.numel() >= whole.numel():
        return None
    columns, rows = _place(entry.dims, (entry.key,)), _place(entry.dims, _rows(entry, entry.scores))
    if columns is None or rows is None:
        return None
    lead = whole.numel() // (whole.shape[rows] * whole.shape[columns])
    if not any_piece and weights.shape[:-2].numel() == lead:
        return None
    order = [place for place in range(whole.dim()) if place not in (rows, columns)] + [rows, columns]
    return whole.permute(order), tuple(entry.dims[place] for place in order)


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
