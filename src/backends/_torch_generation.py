"""The attentions of one layer in the steps of a generation as one, with the query rows of all steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from attncore.arrays import Array
from attncore.weights import DenseWeights, LazyWeights, Positions

from ._torch_arrays import to_array
from ._torch_probabilities import TorchScoring, probabilities
from ._torch_record import Record
from ._torch_steps import own_keys


class StepRows(LazyWeights):
    """The rows of several weights one after the other, computed when read; keys that a step had not yet are zero."""

    def __init__(self, steps: Sequence[LazyWeights]) -> None:
        self._steps = list(steps)
        self._starts = np.cumsum([0, *(step.shape[2] for step in steps)])
        self.shape = (*steps[-1].shape[:2], int(self._starts[-1]), steps[-1].shape[3])
        self.dtype = np.result_type(*(step.dtype for step in steps))

    def block(self, batch: Positions, heads: Positions, rows: Positions) -> Array:
        """As in `LazyWeights`."""
        weights = np.zeros((len(batch), len(heads), len(rows), self.shape[3]), dtype=self.dtype)
        step_of_row = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(step_of_row):
            places, step = np.flatnonzero(step_of_row == number), self._steps[number]
            weights[:, :, places, : step.shape[3]] = step.block(batch, heads, rows[places] - self._starts[number])
        return weights

    @property
    def held_bytes(self) -> int:
        """As in `LazyWeights`."""
        return sum(step.held_bytes for step in self._steps)


def merged(steps: Sequence[Record]) -> Record:
    """One record with the query rows of all steps over the last step's keys."""
    last, rows = steps[-1], [step.shape[2] for step in steps]
    common = {
        "place": steps[0].place,
        "shape": (*last.shape[:2], sum(rows), last.shape[3]),
        "notes": tuple(dict.fromkeys((*last.notes, f"{len(steps)} calls merged: a prompt and its generation steps"))),
        "wanted": all(step.wanted for step in steps),
        "steps": np.repeat(np.arange(len(steps), dtype=np.int64), rows),
        "gradients": None,
        "gradient_of_output": None,
    }
    if not common["wanted"]:
        return replace(last, **common)  # type: ignore[arg-type]
    with torch._C.DisableTorchFunction(), torch.no_grad():
        queries = [step.query for step in steps if step.query is not None]
        query = torch.cat(queries, dim=2) if len(queries) == len(steps) else None
        weights, lazy, scoring = None, None, None
        if query is not None and all(_only_masked(step) for step in steps):
            scoring = TorchScoring(steps[0].scoring.scale if steps[0].scoring else 1.0, mask=_mask_of_all(steps))
        elif any(step.computed_weights is not None for step in steps):
            lazy = StepRows([_lazy(step) for step in steps])
        else:
            parts = [torch.nn.functional.pad(_dense(step), (0, last.shape[3] - step.shape[3])) for step in steps]
            weights = torch.cat(parts, dim=2)
    return replace(last, weights=weights, computed_weights=lazy, query=query, scoring=scoring, **common)  # type: ignore[arg-type]


def _only_masked(step: Record) -> bool:
    """Whether the step's weights follow from query and key with a mask alone."""
    return step.scoring is not None and step.scoring.bias is None and step.weights is None


def _mask_of_all(steps: Sequence[Record]) -> Tensor:
    masks = [_allowed(step, steps[-1].shape[3]) for step in steps]
    heads = max(mask.shape[1] for mask in masks)
    return torch.cat([mask.expand(-1, heads, -1, -1) for mask in masks], dim=2)


def _allowed(step: Record, keys: int) -> Tensor:
    """The step's mask over the last step's keys: later keys did not exist yet. (batch or 1, heads or 1, query, key)."""
    assert step.scoring is not None and step.query is not None
    rows, columns = step.shape[2], step.shape[3]
    allowed = torch.ones(1, 1, rows, columns, dtype=torch.bool, device=step.query.device)
    if step.scoring.causal:
        allowed = allowed.tril()
    if step.scoring.mask is not None:
        allowed = allowed & step.scoring.mask
    batch = step.shape[0]
    return torch.nn.functional.pad(allowed.expand(batch, -1, -1, -1), (0, keys - columns))


def _lazy(step: Record) -> LazyWeights:
    return step.computed_weights if step.computed_weights is not None else DenseWeights(to_array(_dense(step)))


def _dense(step: Record) -> Tensor:
    if step.weights is not None:
        return step.weights
    key = own_keys(step)
    assert step.scoring is not None and step.query is not None and key is not None
    return probabilities(step.query, key, step.scoring)
