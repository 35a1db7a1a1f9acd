"""Which layers belong together, so that a page can offer encoder, decoder and cross-attention apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attncore.attention import AttentionTrace
from attncore.layer import AttentionLayer


def layer_groups(trace: AttentionTrace) -> list[dict[str, Any]]:
    """The groups in the order of their first layers, each ``{"name": …, "layers": [places]}``.

    Layers of one group have the same kind and stack and count the same axes. A group is named after its stack, or
    "cross"; where two would have one name they are told apart by stack or axes. A single group is named "".
    """
    places: dict[tuple[str, ...], list[int]] = {}
    for place, layer in enumerate(trace):
        places.setdefault(_group_of(layer), []).append(place)
    layers = [trace[of_group[0]] for of_group in places.values()]
    return [{"name": name, "layers": of_group} for name, of_group in zip(_names(layers), places.values(), strict=True)]


def _group_of(layer: AttentionLayer) -> tuple[str, ...]:
    return layer.kind, layer.stack or "", layer.query_axis, layer.key_axis


def _names(layers: list[AttentionLayer]) -> list[str]:
    """The shortest kind of name that differs for every group; ``layers`` has one layer of each."""
    if len(layers) == 1:
        return [""]
    for names in _candidates(layers):
        if len(set(names)) == len(names):
            return names
    raise AssertionError("groups differ in kind, stack or axes, so their full names differ")


def _candidates(layers: list[AttentionLayer]) -> Iterator[list[str]]:
    yield [layer.kind if layer.kind == "cross" else layer.stack or "self" for layer in layers]
    with_stack = [f"{layer.stack or ''} {layer.kind}".strip() for layer in layers]
    yield with_stack
    axes = [f"{layer.query_axis} to {layer.key_axis}" for layer in layers]
    yield [f"{name}, {axis}" for name, axis in zip(with_stack, axes, strict=True)]
    yield [" ".join(_group_of(layer)) for layer in layers]
