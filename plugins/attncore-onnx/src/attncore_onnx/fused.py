"""Operators that do a whole attention: what each computes, as query, key, value and the rest of the formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from attncore.arrays import Array
from attncore.scoring import Scoring

Inputs = Sequence[Array | None]
"""A node's inputs in its order, None for those left out."""


class CannotRecomputeError(Exception):
    """The weights do not follow from what can be read; the message is the reason, as a sentence for a person."""


@dataclass(frozen=True, eq=False)
class Operands:
    """What the weights of one fused attention follow from.

    ``query`` is (batch, heads, query, head_dim), ``key`` and ``value`` are (batch, kv_heads, key, head_dim).
    ``unspecified`` marks the query rows, (batch, query), for which the operator promises no output.
    """

    query: Array
    key: Array
    value: Array
    scoring: Scoring
    unspecified: Array | None = None


@dataclass(frozen=True)
class Source:
    """Where query, key or value come from: an input of the node, and which of its features.

    ``features`` is (first, end) where the input's last axis holds more than this; ``projection`` are the places of the
    weight and bias by which the operator projects it, ``bias`` the place of one that is added. ``past`` is the place
    of the cache that comes before it, if there is one.
    """

    place: int
    features: tuple[int, int] | None = None
    projection: tuple[int, ...] = ()
    bias: int | None = None
    past: int | None = None


@dataclass(frozen=True)
class FusedOperator:
    """``operands`` computes what a node's weights follow from; ``sources`` says where they come from in the graph."""

    operands: Callable[[onnx.NodeProto, Inputs], Operands]
    sources: Callable[[onnx.NodeProto, Inputs], tuple[Source, Source, Source]]


def at(inputs: Inputs, place: int) -> Array | None:
    """An optional input; None where it was left out."""
    return inputs[place] if place < len(inputs) else None


def needed(inputs: Inputs, place: int, name: str) -> Array:
    """An input that the formula cannot do without."""
    array = at(inputs, place)
    if array is None:
        raise CannotRecomputeError(f"its input {name} was left out")
    return array


def attribute(node: onnx.NodeProto, name: str, default: float | None = None) -> float | None:
    """A number among a node's attributes."""
    found = next((one for one in node.attribute if one.name == name), None)
    return default if found is None else float(onnx.helper.get_attribute_value(found))


def whole(node: onnx.NodeProto, name: str, default: int = 0) -> int:
    """A whole number among a node's attributes."""
    number = attribute(node, name)
    return default if number is None else int(number)


def heads_apart(array: Array, heads: int) -> Array:
    """From (batch, length, heads * head_dim) to (batch, heads, length, head_dim)."""
    batch, length, features = array.shape
    if heads <= 0 or features % heads:
        raise CannotRecomputeError(f"{features} features do not split into {heads} heads")
    return array.reshape(batch, length, heads, features // heads).transpose(0, 2, 1, 3)


def scale_of(node: onnx.NodeProto, head_dim: int) -> float:
    """The node's scale; one over the square root of the head's size where it has none, or 0."""
    return attribute(node, "scale") or float(head_dim) ** -0.5


def with_past(past: Array | None, new: Array) -> Array:
    """The cached positions, then the new ones; both (batch, heads, length, head_dim)."""
    return new if past is None else np.concatenate([past, new], axis=2)


def causal_mask(queries: int, keys: int, offset: int) -> Array:
    """True where key j <= query i + offset, (1, 1, query, key)."""
    return (np.arange(keys)[None, :] <= np.arange(queries)[:, None] + offset)[None, None]


def both(one: Array | None, other: Array | None) -> Array | None:
    """What two masks allow, None being no mask."""
    if one is None or other is None:
        return one if other is None else other
    return np.logical_and(one, other)
