"""What each dimension of a tensor is made of: batch and sequence, or features that a projection produced.

A linear layer makes a *feature* dimension; splitting it into ``(heads, head_dim)`` gives two feature factors; folding
heads into the batch gives a dimension of a *plain* factor (batch) and a feature factor (heads). Following the factors
through the model's views and permutations tells heads from batch and queries from channels without knowing the model.

What is made of the same dimensions in the same way are the same objects: one layer does what the one before it did, and
finding that again takes less than working it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

Kind = Literal["plain", "feature", "unknown"]


class Factor:
    """A part of a dimension; two factors are the same only when they are the same object.

    ``origin`` is the same object for all features that one projection made: the heads and what each is made of. It is
    None where that is not known. ``whole`` is the factor that it was split from, if any, in which its steps are
    ``stride`` long.
    """

    __slots__ = ("kind", "origin", "size", "stride", "whole")

    def __init__(
        self, size: int, kind: Kind, origin: object = None, whole: Factor | None = None, stride: int = 1
    ) -> None:
        self.size = size
        self.kind: Kind = kind
        self.origin = origin
        self.whole = whole
        self.stride = stride

    def __repr__(self) -> str:
        return f"{self.kind[0]}{self.size}"


Dim = tuple[Factor, ...]
Dims = tuple[Dim, ...]
# Sizes and strides of the parts of one factor that were joined in another order than they lay in it.
Swap = tuple[tuple[int, int], ...]
Swaps = tuple[Swap, ...]


def fresh(shape: Sequence[int], kind: Kind) -> Dims:
    """One new factor for each dimension; features are of an origin of their own."""
    return tuple((Factor(int(size), kind, object() if kind == "feature" else None),) for size in shape)


def size_of(dim: Dim) -> int:
    """The length of a dimension."""
    if len(dim) == 1:  # here and below the most frequent case by far, in code that runs for every operation
        return dim[0].size
    total = 1
    for factor in dim:
        total *= factor.size
    return total


def is_feature(dim: Dim) -> bool:
    """Whether a dimension holds features only (and something longer than 1)."""
    if len(dim) == 1:
        return dim[0].kind == "feature" and dim[0].size > 1
    parts = [factor for factor in dim if factor.size > 1]
    return bool(parts) and all(factor.kind == "feature" for factor in parts)


def kind_of(dim: Dim) -> Kind:
    """The common kind of a dimension's factors, or unknown."""
    if len(dim) == 1:
        return dim[0].kind
    kinds = {factor.kind for factor in dim if factor.size > 1} or {factor.kind for factor in dim}
    return kinds.pop() if len(kinds) == 1 else "unknown"


@lru_cache(maxsize=1024)
def projected(dims: Dims, size: int, number: int) -> Dims:
    """The dimensions of a projection: other features at the same positions, and others for each ``number``."""
    return (*dims[:-1], (Factor(size, "feature", _origin_of_projection(dims)),))


def _origin_of_projection(dims: Dims) -> object:
    """Another one, unless each head is projected by itself: then its features still belong to the heads."""
    before = origin_of(dims[-1])
    beside = [factor.origin for dim in dims[:-1] for factor in dim]
    return before if before is not None and before in beside else object()


def origin_of(dim: Dim) -> object:
    """The projection that made all of a dimension's features; None where there is none, or it is not known."""
    origins = {factor.origin for factor in dim}
    return origins.pop() if len(origins) == 1 else None


def is_along_positions(dims: Dims) -> bool:
    """Whether the last dimension holds positions and another one features: projecting it mixes the sequence."""
    last = dims[-1]
    return len(last) == 1 and last[0].kind == "plain" and any(is_feature(dim) for dim in dims[:-1])


def as_positions(dim: Dim, features: Dim) -> Dim:
    """A dimension beside ``features``: what another projection made are positions, mixed along the sequence."""
    own = origin_of(features)
    if own is None or not any(factor.origin not in (None, own) for factor in dim):
        return dim
    return tuple(Factor(factor.size, "plain") if factor.origin not in (None, own) else factor for factor in dim)


@lru_cache(maxsize=1024)
def part_of(dims: Dims, axis: int, size: int, number: int) -> Dims:
    """The dimensions of a part along one of them, other features for each ``number``."""
    return (*dims[:axis], resized(dims[axis], size), *dims[axis + 1 :])


@lru_cache(maxsize=1024)
def swapped(dims: Dims, first: int, second: int) -> Dims:
    """The dimensions with two of them in each other's place."""
    result = list(dims)
    result[first], result[second] = result[second], result[first]
    return tuple(result)


@lru_cache(maxsize=1024)
def reshaped(dims: Dims, shape: tuple[int, ...]) -> tuple[Dims, tuple[Swaps, Swaps] | None] | None:
    """The dimensions after a reshape, and the positions swapped before and after it where these are not the same.

    None where the sizes do not line up.
    """
    old_sizes = [dim[0].size if len(dim) == 1 else size_of(dim) for dim in dims]
    if 0 in shape or 0 in old_sizes:
        return None
    if list(shape) == old_sizes:
        return dims, None
    result = _quick_reshape(dims, old_sizes, shape) or _taken(dims, shape)
    for dim in dims if result is None else (*dims, *result):
        for factor in dim:
            if factor.whole is not None and result is not None:
                before, after = _swaps(dims), _swaps(result)
                return result, None if before == after else (before, after)
    return None if result is None else (result, None)


def _swaps(dims: Dims) -> Swaps:
    """What was joined in another order of each dimension of positions."""
    found = []
    for dim in dims:
        if len(dim) == 1 or any(factor.kind != "plain" for factor in dim):
            continue
        if dim is dims[-1] and not any(is_feature(other) for other in dims):  # these may be features
            continue
        parts = [factor for factor in dim if factor.size > 1]
        for whole in dict.fromkeys(factor.whole for factor in parts if factor.whole is not None):
            steps = tuple((factor.size, factor.stride) for factor in parts if factor.whole is whole)
            strides = [stride for _, stride in steps]
            if strides != sorted(strides, reverse=True):
                found.append(steps)
    return tuple(found)


def _taken(dims: Dims, shape: Sequence[int]) -> Dims | None:
    """Factors split and joined as the sizes say."""
    rest = [factor for dim in dims for factor in dim if factor.size > 1]
    rest.reverse()
    result: list[Dim] = []
    for size in shape:
        taken = _take(rest, int(size))
        if taken is None:
            return None
        result.append(taken)
    return tuple(result) if not rest else None


def _quick_reshape(dims: Dims, sizes: list[int], shape: Sequence[int]) -> Dims | None:
    """What models do all the time: the last dimension into two and back, the first two into one and back."""
    rank = len(sizes)
    new = list(shape)
    if len(new) == rank - 1 and new[1:] == sizes[2:]:
        return (dims[0] + dims[1], *dims[2:])
    if len(new) == rank + 1 and new[2:] == sizes[1:] and [factor.size for factor in dims[0]] == new[:2]:
        return ((dims[0][0],), (dims[0][1],), *dims[1:])
    if len(new) == rank + 1 and new[: rank - 1] == sizes[:-1] and len(dims[-1]) == 1:
        last = dims[-1][0]
        if new[-2] == 1:  # put in between, which says nothing of features
            return (*dims[:-1], (Factor(1, "plain"),), dims[-1])
        first, second = _split(last, new[-2])
        return (*dims[:-1], (first,), (second,))
    if len(new) == rank - 1 and new[:-1] == sizes[:-2]:
        return (*dims[:-2], dims[-2] + dims[-1])
    return None


def _take(rest: list[Factor], size: int) -> Dim | None:
    """Factors worth ``size`` from the end of ``rest`` (which is reversed), the last one split if need be."""
    taken: list[Factor] = []
    while size > 1:
        if not rest:
            return None
        factor = rest.pop()
        if size % factor.size == 0:
            taken.append(factor)
            size //= factor.size
        elif factor.size % size == 0:
            first, second = _split(factor, size)
            taken.append(first)
            rest.append(second)
            size = 1
        else:
            return None
    return tuple(taken)


def _split(factor: Factor, size: int) -> tuple[Factor, Factor]:
    """A factor as ``size`` steps over the second part."""
    inner = factor.size // size
    kind, origin = factor.kind, factor.origin
    whole = None if kind == "feature" else factor.whole or factor  # the order of features is nobody's
    return Factor(size, kind, origin, whole, factor.stride * inner), Factor(inner, kind, origin, whole, factor.stride)


def resized(dim: Dim, size: int) -> Dim:
    """A dimension of another length with the same meaning (a slice, padding, a concatenation)."""
    return dim if size_of(dim) == size else (Factor(size, kind_of(dim), origin_of(dim)),)


def fitted(dims: Dims, shape: Sequence[int]) -> Dims:
    """The dimensions broadcast to ``shape``: missing leading ones are plain, lengths of 1 grow."""
    missing = len(shape) - len(dims)
    padded = fresh(shape[:missing], "plain") + dims if missing > 0 else dims[-len(shape) :] if shape else ()
    return tuple(
        dim if size_of(dim) == size else (Factor(int(size), "plain" if size_of(dim) == 1 else kind_of(dim)),)
        for dim, size in zip(padded, shape, strict=True)
    )
