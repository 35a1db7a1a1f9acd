"""What JAX's slices, gathers and scatters do to axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from attncore.dataflow import Concatenate, Fill, Gather, Opaque, Operation, Pad, Slice, Update, Value, number_of

Axis = tuple[int, int] | None
Inputs = tuple[Value, ...]
Made = tuple[Operation, Inputs] | None
"""An operation with those inputs that it takes; None of what is not followed."""


def _slice(params: Any, inputs: Inputs, output: Value) -> Made:
    starts, stops = params["start_indices"], params["limit_indices"]
    steps = params["strides"] or (1,) * len(starts)
    ranges = enumerate(zip(starts, stops, steps, strict=True))
    return Slice(tuple(_bounds(*bound, inputs[0], axis) for axis, bound in ranges)), inputs


def _bounds(start: int, stop: int, step: int, value: Value, axis: int) -> tuple[int, int, int] | None:
    whole = start == 0 and step == 1 and stop == value.shape[axis]
    return None if whole else (int(start), int(stop), int(step))


def _dynamic_slice(params: Any, inputs: Inputs, output: Value) -> Made:
    source, starts = inputs[0], inputs[1:]
    known = [None if start.constant is None else int(np.asarray(start.constant)) for start in starts]
    if any(start is None for start in known) or len(known) != len(source.shape):
        return Slice((None,) * len(source.shape)), (source,)
    sizes = params["slice_sizes"]
    bounds = []
    for axis, (start, size) in enumerate(zip(known, sizes, strict=True)):
        assert start is not None
        length = source.shape[axis] or 0
        first = min(max(start + length if start < 0 else start, 0), length - size)
        bounds.append(_bounds(first, first + size, 1, source, axis))
    return Slice(tuple(bounds)), (source,)


def _pad(params: Any, inputs: Inputs, output: Value) -> Made:
    widths = [tuple(int(width) for width in widths) for widths in params["padding_config"]]
    if any(inner or before < 0 or after < 0 for before, after, inner in widths):
        return Opaque("pad", (all_axes(0, inputs[0]),)), inputs
    return Pad(tuple((before, after) for before, after, _ in widths), number_of(inputs[1])), inputs[:1]


def _concatenate(params: Any, inputs: Inputs, output: Value) -> Made:
    return Concatenate(params["dimension"]), inputs


def _gather(params: Any, inputs: Inputs, output: Value) -> Made:
    numbers = params["dimension_numbers"]
    operand, indices = inputs[0], inputs[1]
    batching = tuple(getattr(numbers, "operand_batching_dims", ()))
    gone = {*numbers.collapsed_slice_dims, *batching}
    windows = [axis for axis in range(len(operand.shape)) if axis not in gone]
    offsets = list(numbers.offset_dims)
    axes: list[tuple[Literal["operand", "indices"], int] | None] = [None] * len(output.shape)
    for place, axis in zip(offsets, windows, strict=False):
        if params["slice_sizes"][axis] == operand.shape[axis]:
            axes[place] = ("operand", axis)
    places = [place for place in range(len(output.shape)) if place not in offsets]
    for place, axis in zip(places, range(len(indices.shape) - 1), strict=False):
        axes[place] = ("indices", axis)
    return Gather(tuple(axes)), (operand, indices)


def _update(params: Any, inputs: Inputs, output: Value) -> Made:
    return Update(), inputs[:2]


def _scatter(params: Any, inputs: Inputs, output: Value) -> Made:
    operand, updates = inputs[0], inputs[2]
    if len(operand.shape) == len(updates.shape):
        return Update(), (operand, updates)
    into = _scattered(params["dimension_numbers"], operand, updates) if is_filled(operand) else all_axes(0, operand)
    return Opaque("scatter", (into,)), inputs


def _scattered(numbers: Any, operand: Value, updates: Value) -> tuple[Axis, ...]:
    """Where each axis of an empty array is in the rows that are written or summed into it."""
    batching = tuple(getattr(numbers, "operand_batching_dims", ()))
    gone = {*numbers.inserted_window_dims, *batching}
    windows = [axis for axis in range(len(operand.shape)) if axis not in gone]
    axes: dict[int, Axis] = {
        axis: (2, place) if updates.shape[place] == operand.shape[axis] else None
        for axis, place in zip(windows, numbers.update_window_dims, strict=True)
    }
    rows = [place for place in range(len(updates.shape)) if place not in numbers.update_window_dims]
    if len(rows) == len(gone):
        axes.update((axis, (2, place)) for axis, place in zip(sorted(gone), rows, strict=True))
    return tuple(axes.get(axis) for axis in range(len(operand.shape)))


def is_filled(value: Value) -> bool:
    """Whether numbers are counted or the same everywhere, so that their axes are of nothing yet."""
    while value.node is not None and len(value.node.inputs) == 1 and not isinstance(value.node.operation, Opaque):
        value = value.node.inputs[0]
    return value.origin == "constant" if value.node is None else value.node.operation == Fill()


def all_axes(place: int, value: Value) -> tuple[Axis, ...]:
    return tuple((place, axis) for axis in range(len(value.shape)))


INDEXING: dict[str, Callable[[Any, Inputs, Value], Made]] = {
    "concatenate": _concatenate,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _update,
    "gather": _gather,
    "pad": _pad,
    "scatter": _scatter,
    "scatter-add": _scatter,
    "scatter_add": _scatter,
    "slice": _slice,
}
