"""From the dimensions a model happens to use to (batch, heads, query, key)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from torch import Tensor

from ._torch_dims import Dim, Dims, Factor, Kind, as_positions, fitted, fresh, is_feature, kind_of, size_of

Role = Literal["batch", "heads", "row"]
Part = tuple[int, Role]


class CannotMapError(Exception):
    """The dimensions do not say which is which; the message is the reason."""


@dataclass(frozen=True)
class Layout:
    """How each leading dimension, and the query dimension, divides into batch, heads and rows."""

    lead: tuple[tuple[Part, ...], ...]
    row: tuple[Part, ...]

    @cached_property
    def plain(self) -> bool:
        """Whether nothing is folded: (batch, heads, query, key) as it stands."""
        roles = [[role for _, role in parts] for parts in self.lead]
        return roles == [["batch"], ["heads"]] and all(role == "row" for _, role in self.row)

    @property
    def batch(self) -> int:
        return math.prod(size for parts in self.lead for size, role in parts if role == "batch")

    @property
    def heads(self) -> int:
        return math.prod(size for parts in (*self.lead, self.row) for size, role in parts if role == "heads")

    def apply(self, tensor: Tensor, *, rows_are_queries: bool = True) -> Tensor:
        """(..., length, last) as (batch, heads, length, last).

        ``rows_are_queries`` is False for keys and values, whose length dimension is left as it is and whose leading
        dimensions may be shorter: one head for a group of query heads, or 1 where all share.
        """
        if self.plain and tensor.dim() == 4:
            return tensor
        lead_sizes = tensor.shape[:-2]
        if len(lead_sizes) < len(self.lead):
            tensor = tensor.reshape(*([1] * (len(self.lead) - len(lead_sizes))), *tensor.shape)
        parts: list[Part] = []
        for axis, planned in enumerate(self.lead):
            parts += _resized_parts(planned, int(tensor.shape[axis]))
        row = self.row if rows_are_queries else ((int(tensor.shape[-2]), "row"),)
        if math.prod(size for size, _ in row) != tensor.shape[-2]:
            row = ((int(tensor.shape[-2]), "row"),)
        parts += row
        split = tensor.reshape(*(size for size, _ in parts), tensor.shape[-1])
        order = [place for role in ("batch", "heads", "row") for place, part in enumerate(parts) if part[1] == role]
        sizes = [math.prod(size for size, role in parts if role == wanted) for wanted in ("batch", "heads", "row")]
        return split.permute(*order, len(parts)).reshape(*sizes, tensor.shape[-1])


def _resized_parts(planned: tuple[Part, ...], size: int) -> list[Part]:
    """The parts of a dimension whose length may differ from the query's: fewer heads, or 1."""
    if math.prod(part for part, _ in planned) == size:
        return list(planned)
    if size == 1:
        return [(1, role) for _, role in planned]
    if len(planned) == 1:
        return [(size, planned[0][1])]
    others = math.prod(part for part, role in planned if role != "heads")
    heads = [place for place, (_, role) in enumerate(planned) if role == "heads"]
    if len(heads) != 1 or size % others:
        raise CannotMapError(f"a dimension of {size} does not divide into batch and heads like the query's {planned}")
    return [(size // others if role == "heads" else part, role) for part, role in planned]


@lru_cache(maxsize=1024)
def mapped(query: Dims, key: Dims, order: str) -> tuple[Layout, tuple[str, ...]]:
    """The layout of queries and keys with these dimensions, and what is not certain about it, in words.

    Raises:
        CannotMapError: as `check_mappable`.
    """
    lead = query[:-2]
    if _holds("unknown", lead) and len(key) == len(query):
        candidate = fitted(key[:-2], [size_of(dim) for dim in lead])
        lead = lead if _holds("unknown", candidate) else candidate
    row = as_positions(query[-2], query[-1]) if len(query) > 2 else fresh((size_of(query[-2]),), "plain")[0]
    check_mappable(lead, row, key[-2], order, kind_of(query[-1]))
    return layout_of(lead, row, key[-2]), notes_on_layout(lead, row, key[-2])


def _holds(kind: Kind, dims: Dims) -> bool:
    """Whether there is a factor of this kind longer than 1."""
    return any(factor.kind == kind for dim in dims for factor in dim if factor.size > 1)


def layout_of(lead: Dims, row: Dim, key: Dim = ()) -> Layout:
    """The layout that the factors' kinds imply, or the field's convention where they are unknown.

    The convention: (batch, heads, …); of more than two dimensions the last is heads; a single one is the batch.
    """
    has_heads = _holds("feature", lead)
    parts = [_lead_parts(dim, axis, lead, has_heads) for axis, dim in enumerate(lead)]
    # Query heads packed into the query dimension (decoding with grouped queries); but positions may be features too.
    packed = _holds("feature", (row,)) and not is_feature(key)
    if packed:
        row_parts: tuple[Part, ...] = tuple(
            (factor.size, "heads" if factor.kind == "feature" else "row") for factor in row
        )
    else:
        row_parts = ((size_of(row), "row"),)
    return Layout(tuple(parts), row_parts)


def notes_on_layout(lead: Dims, row: Dim, key: Dim) -> tuple[str, ...]:
    """What is not certain about which dimension is which, in words."""
    notes = []
    if _holds("unknown", lead) and len(lead) > 1 and not any(is_feature(dim) for dim in lead):
        notes.append("which dimension counts the heads could not be seen; the one before the queries is taken for it")
    if is_feature(row) and is_feature(key) and len(lead) > 1 and not any(is_feature(dim) for dim in lead):
        notes.append("queries and keys are parts of one position's features, such as its heads, and no positions")
    return tuple(notes)


def _lead_parts(dim: Dim, axis: int, lead: Dims, has_heads: bool) -> tuple[Part, ...]:
    """One leading dimension in batch and heads."""
    long = [factor for factor in dim if factor.size > 1]
    kinds = {factor.kind for factor in long}
    if "feature" in kinds and len(kinds) > 1 and any(is_feature(other) for other in lead if other is not dim):
        return ((size_of(dim), "batch"),)  # heads have a dimension of their own: this is something folded before
    if "feature" in kinds:
        return tuple((factor.size, "heads" if factor.kind == "feature" else "batch") for factor in long)
    settled = has_heads or kinds == {"plain"} or len(lead) == 1 or axis < len(lead) - 1
    return ((size_of(dim), "batch" if settled else "heads"),)


def known_dims(dims: Dims | None, shape: Sequence[int]) -> Dims:
    """The dimensions, or unknown ones of this shape."""
    return dims if dims is not None and len(dims) == len(shape) else fresh(shape, "unknown")


def with_heads_third(dims: Dims) -> Dims:
    """The dimensions with the third from the end as heads, where its meaning is open."""
    if len(dims) < 3 or kind_of(dims[-3]) != "unknown":
        return dims
    return (*dims[:-3], (Factor(size_of(dims[-3]), "feature"),), *dims[-2:])


def check_mappable(lead: Dims, row: Dim, key: Dim, order: str, contracted: str = "unknown") -> None:
    """Refuse what would give a wrong matrix.

    Raises:
        CannotMapError: keys are feature channels, positions were reordered, or blocks cannot be put in place.
    """
    if is_feature(key) and contracted != "feature":
        raise CannotMapError("attention over feature channels, not over positions (as in XCiT)")
    if order == "shuffled":
        raise CannotMapError(
            "positions were sorted, hashed or gathered before the softmax, so rows are not in token order"
        )
    if len(lead) > 2 and (order == "part" or _holds("unknown", lead)):
        raise CannotMapError("attention within blocks of the sequence whose place in it is not known")
