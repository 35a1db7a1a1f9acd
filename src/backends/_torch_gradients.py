"""The gradient of the loss with respect to attention weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from attncore.arrays import Array
from attncore.errors import UnavailableError

from ._torch_arrays import to_array
from ._torch_probabilities import exactly
from ._torch_record import Record


def gradient_of(record: Record) -> Callable[[], Array] | None:
    """A function that gives the gradient (batch, heads, query, key) after a backward; None without ``grad=True``."""
    if record.gradients is None and record.gradient_of_output is None:
        return None

    def gradient() -> Array:
        with torch._C.DisableTorchFunction(), torch.no_grad():
            found = _observed(record) if record.gradient_of_output is not None else _from_output(record)
        if found is None:
            raise UnavailableError(
                f'layer {record.index} "{record.name}": no gradient has arrived; call backward() on a loss that '
                "depends on this layer, with gradients enabled during the forward"
            )
        return np.asarray(to_array(found))

    return gradient


def _observed(record: Record) -> Tensor | None:
    assert record.gradient_of_output is not None
    gradient = record.gradient_of_output()
    if gradient is None:
        return None
    gradient = gradient if record.heads is None else gradient[:, list(record.heads)]
    if tuple(gradient.shape[:3]) != record.shape[:3]:
        raise UnavailableError(
            f'layer {record.index} "{record.name}" uses a part of its softmax only, {record.shape} of '
            f"{tuple(gradient.shape)}, and the gradient of that part is not known"
        )
    return gradient


def _from_output(record: Record) -> Tensor | None:
    """grad(weights) = grad(output) value^T, from out = weights value."""
    assert record.gradients is not None
    if any("dropout" in note for note in record.notes):
        raise UnavailableError(
            f'layer {record.index} "{record.name}" applied dropout inside a fused kernel; which weights were dropped '
            "is not known, so their gradient is not either: call model.eval() or set the dropout to 0"
        )
    output = record.gradients.output
    value = record.value_for_gradient
    if output is None or value is None:
        return None
    batch, heads, rows, dim = output.shape
    kv_heads = value.shape[1]
    grouped = output.reshape(batch, kv_heads, heads // kv_heads * rows, dim)
    with exactly(output):
        gradient = torch.matmul(grouped, value.transpose(-1, -2)).reshape(batch, heads, rows, value.shape[2])
    return gradient if record.heads is None else gradient[:, list(record.heads)]
