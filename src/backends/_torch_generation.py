"""Generation step by step: the calls of a decoder with a cache make one attention with more query rows.

Each call's keys contain those of the call before. They are held once: a record whose keys are the beginning of the
next one's gives its own up, or memory would grow with the square of the length. A static cache has room for keys that
are not written yet: no query may see them, and they are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._torch_calls import RootCall
from ._torch_probabilities import TorchScoring, probabilities
from ._torch_record import Record


@dataclass
class Steps:
    """Records after merging; ``step_of_position`` says which call wrote each key position."""

    records: list[Record]
    roots: list[RootCall]
    merged: bool = False
    step_of_position: np.ndarray[Any, Any] | None = None


def link(before: Record, after: Record) -> None:
    """If the keys of ``after`` begin with those of ``before``, to the bit, let ``before`` read them from there."""
    if before.key is None or after.key is None or before.shape[:2] != after.shape[:2] or before.kind != after.kind:
        return
    rows = 0 if before.kind == "cross" else after.shape[2]
    old, new = before.shape[3], after.shape[3]
    if new != old + rows:  # a static cache is as long before a step as after it
        old, new = _written(before), _written(after)
    if new != old + rows or not _same_beginning(after.key, before.key, old):
        return
    _cut_to_keys(before, old)
    _cut_to_keys(after, new)
    before.next_step = after
    before.key = None
    if before.value is not None and after.value is not None and _same_beginning(after.value, before.value, old):
        before.value = None


def _same_beginning(longer: Tensor, shorter: Tensor, length: int) -> bool:
    """Whether keys or values are equal up to ``length``; one of the two may repeat each head for its group."""
    one, two = longer[:, :, :length], shorter[:, :, :length]
    heads = max(one.shape[1], two.shape[1])
    if heads % one.shape[1] or heads % two.shape[1]:
        return False
    one, two = (part.repeat_interleave(heads // part.shape[1], 1) for part in (one, two))
    return torch.equal(one, two)


def _written(record: Record) -> int:
    """How many keys there are up to the last one that some query may see."""
    scoring = record.scoring
    if scoring is not None and scoring.mask is not None:
        seen = scoring.mask.expand(*scoring.mask.shape[:-1], record.shape[3]).flatten(0, -2).any(0)
    elif record.weights is not None:
        seen = (record.weights != 0).flatten(0, -2).any(0)
    else:
        return record.shape[3]
    return int(seen.nonzero()[-1]) + 1 if bool(seen.any()) else record.shape[3]


def _cut_to_keys(record: Record, keys: int) -> None:
    """Leave out the keys from this one on."""
    if keys == record.shape[3]:
        return
    for name in ("key", "value"):
        tensor = getattr(record, name)
        if tensor is not None:
            setattr(record, name, tensor[:, :, :keys])
    if record.value_for_gradient is not None:
        record.value_for_gradient = record.value_for_gradient[:, :, :keys]
    if record.weights is not None:
        record.weights = record.weights[..., :keys]
    if record.scoring is not None:
        parts = {name: getattr(record.scoring, name) for name in ("mask", "bias")}
        cut = {name: part[..., :keys] for name, part in parts.items() if part is not None and part.shape[-1] > 1}
        record.scoring = replace(record.scoring, **cut)
    record.shape = (*record.shape[:3], keys)


def restore(record: Record) -> None:
    """Give a record its own keys and values back, as views of a later step's."""
    last = _last_step(record)
    if last is record or last.key is None:
        return
    length = record.shape[3]
    record.key = last.key[:, :, :length]
    if record.value is None and last.value is not None:
        record.value = last.value[:, :, :length]
    record.next_step = None


def _last_step(record: Record) -> Record:
    while record.next_step is not None:
        record = record.next_step
    return record


def merge_steps(records: Sequence[Record], roots: Sequence[RootCall]) -> Steps:
    """One record a layer when the calls are the steps of one generation; otherwise everything as it was.

    They are when each call has the same layers and each layer's keys continue those of the call before. Beam search
    reorders the batch and sliding caches forget keys: those stay separate calls.
    """
    by_call: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        by_call[record.place.root_call].append(record)
    calls = [by_call[number] for number in sorted(by_call)]
    layers = list(zip(*calls, strict=False))
    same = all([record.name for record in call] == [record.name for record in calls[0]] for call in calls)
    if len(calls) < 2 or not same or not all(_is_one_generation(layer) for layer in layers):
        for record in reversed(records):
            restore(record)
        return Steps(list(records), list(roots))
    merged = [_merged(layer) for layer in layers]
    return Steps(merged, [_merged_root(roots)], True, _step_of_position(calls))


def _is_one_generation(steps: Sequence[Record]) -> bool:
    if not any(step.wanted for step in steps):
        return True
    linked = all(before.next_step is after for before, after in pairwise(steps))
    return linked and all(step.weights is not None or step.scoring is not None for step in steps)


def _merged(steps: Sequence[Record]) -> Record:
    """One record with the query rows of all steps over the last step's keys."""
    last = steps[-1]
    common = {
        "place": steps[0].place,
        "shape": (*last.shape[:2], sum(step.shape[2] for step in steps), last.shape[3]),
        "notes": tuple(dict.fromkeys((*last.notes, f"{len(steps)} calls merged: a prompt and its generation steps"))),
        "gradients": None,
        "gradient_of_output": None,
    }
    if not last.wanted:
        return replace(last, **common)  # type: ignore[arg-type]
    queries = [step.query for step in steps if step.query is not None]
    query = torch.cat(queries, dim=2) if len(queries) == len(steps) else None
    with torch._C.DisableTorchFunction(), torch.no_grad():
        if query is not None and all(_only_masked(step) for step in steps):
            masks = [_allowed(step, last.shape[3]) for step in steps]
            heads = max(mask.shape[1] for mask in masks)
            mask = torch.cat([mask.expand(-1, heads, -1, -1) for mask in masks], dim=2)
            scoring = TorchScoring(steps[0].scoring.scale if steps[0].scoring else 1.0, mask=mask)
            return replace(last, weights=None, query=query, scoring=scoring, **common)  # type: ignore[arg-type]
        for step in steps:
            restore(step)
        rows = [torch.nn.functional.pad(_dense(step), (0, last.shape[3] - step.shape[3])) for step in steps]
        together = torch.cat(rows, dim=2)
    return replace(last, weights=together, query=query, scoring=None, computed_weights=None, **common)  # type: ignore[arg-type]


def _only_masked(step: Record) -> bool:
    """Whether the step's weights follow from query and key with a mask alone."""
    return step.scoring is not None and step.scoring.bias is None and step.weights is None


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


def _dense(step: Record) -> Tensor:
    if step.weights is not None:
        return step.weights
    assert step.scoring is not None and step.query is not None and step.key is not None
    return probabilities(step.query, step.key, step.scoring)


def _merged_root(roots: Sequence[RootCall]) -> RootCall:
    """The inputs of all steps as one: ids one after the other, masks from the last step, which covers all."""
    merged = RootCall(image=roots[0].image, module_class=roots[0].module_class)
    for key in roots[0].arrays:
        parts = [root.arrays[key] for root in roots if key in root.arrays]
        joined = "ids" in key[1] and len({part.shape[0] for part in parts}) == 1
        merged.arrays[key] = np.concatenate(parts, axis=1) if joined else parts[-1]
    return merged


def _step_of_position(calls: Sequence[Sequence[Record]]) -> np.ndarray[Any, Any] | None:
    """The step that wrote each position of the first growing layer."""
    for place, record in enumerate(calls[0]):
        if record.kind == "self":
            lengths = [call[place].shape[2] for call in calls]
            return np.repeat(np.arange(len(calls), dtype=np.int64), lengths)
    return None
