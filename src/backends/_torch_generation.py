"""Generation step by step: the calls of a decoder with a cache make one attention with more query rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._torch_calls import RootCall
from ._torch_probabilities import TorchScoring
from ._torch_record import Record


@dataclass
class Steps:
    """Records after merging; ``step_of_position`` says which call wrote each key position."""

    records: list[Record]
    roots: list[RootCall]
    merged: bool = False
    step_of_position: np.ndarray[Any, Any] | None = field(default=None)


def merge_steps(records: Sequence[Record], roots: Sequence[RootCall]) -> Steps:
    """One record a layer when the calls are the steps of one generation; otherwise everything as it was.

    They are when each call has the same layers and each layer's keys begin with the keys of the call before, to the
    bit. Beam search reorders the batch and sliding caches forget keys: those stay separate calls.
    """
    unmerged = Steps(list(records), list(roots))
    by_call: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        by_call[record.place.root_call].append(record)
    calls = [by_call[number] for number in sorted(by_call)]
    if len(calls) < 2 or any([r.name for r in call] != [r.name for r in calls[0]] for call in calls):
        return unmerged
    merged = []
    for layer in zip(*calls, strict=True):
        together = _merged_layer(layer)
        if together is None:
            return unmerged
        merged.append(together)
    return Steps(merged, [_merged_root(roots)], True, _step_of_position(merged, calls))


def _merged_layer(steps: Sequence[Record]) -> Record | None:
    """One record with the query rows of all steps over the last step's keys; None where they do not continue."""
    if not all(step.wanted for step in steps):
        return replace(steps[0]) if not any(step.wanted for step in steps) else None
    if any(step.reduced is not None for step in steps):
        return None
    last = steps[-1]
    for before, after in zip(steps, steps[1:], strict=False):
        if not _continues(before, after):
            return None
    weights = [_dense(step) for step in steps]
    if any(part is None for part in weights):
        return None
    keys = last.shape[3]
    rows = [torch.nn.functional.pad(part, (0, keys - part.shape[3])) for part in weights if part is not None]
    together = torch.cat(rows, dim=2)
    queries = [step.query for step in steps if step.query is not None]
    return replace(
        last,
        place=steps[0].place,
        weights=together,
        scoring=None,
        computed_weights=None,
        query=torch.cat(queries, dim=2) if len(queries) == len(steps) else None,
        shape=(together.shape[0], together.shape[1], together.shape[2], together.shape[3]),
        notes=tuple(dict.fromkeys((*last.notes, f"{len(steps)} calls merged: a prompt and its generation steps"))),
        gradients=None,
        gradient_of_output=None,
    )


def _continues(before: Record, after: Record) -> bool:
    """Whether the keys of one call begin with those of the call before."""
    if before.shape[:2] != after.shape[:2] or before.key is None or after.key is None:
        return False
    old, new = before.key, after.key
    if before.kind == "cross":
        return old.shape == new.shape and bool(torch.equal(old, new))
    if new.shape[2] != old.shape[2] + after.shape[2]:
        return False
    return bool(torch.equal(new[:, :, : old.shape[2]], old))


def _dense(record: Record) -> Tensor | None:
    from ._torch_probabilities import probabilities

    if record.weights is not None:
        return record.weights
    if record.scoring is None or record.query is None or record.key is None:
        return None
    scoring: TorchScoring = record.scoring
    with torch._C.DisableTorchFunction(), torch.no_grad():
        return probabilities(record.query, record.key, scoring)


def _merged_root(roots: Sequence[RootCall]) -> RootCall:
    """The inputs of all steps as one: ids one after the other, masks from the last step, which covers all."""
    merged = RootCall(image=roots[0].image, module_class=roots[0].module_class)
    for key in roots[0].arrays:
        parts = [root.arrays[key] for root in roots if key in root.arrays]
        joined = "ids" in key[1] and len({part.shape[0] for part in parts}) == 1
        merged.arrays[key] = np.concatenate(parts, axis=1) if joined else parts[-1]
    return merged


def _step_of_position(merged: Sequence[Record], calls: Sequence[Sequence[Record]]) -> np.ndarray[Any, Any] | None:
    """The step that wrote each position of the first growing layer."""
    for place, record in enumerate(merged):
        if record.kind == "self":
            return np.concatenate(
                [np.full(call[place].shape[2], step, dtype=np.int64) for step, call in enumerate(calls)]
            )
    return None
