"""Several attentions of one call over parts of the positions: put together where their places are known."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import torch
from torch import Tensor

from ._torch_probabilities import TorchScoring
from ._torch_record import Record
from ._torch_recorder import Recorder


def settle_blocks(recorder: Recorder) -> None:
    """Join attentions that split the sequence into consecutive parts; refuse blocks whose place is not known.

    Models that pack several images or documents into one sequence attend within each of them: between parts the
    weights are exactly zero.
    """
    groups: dict[tuple[str, int, int], list[Record]] = defaultdict(list)
    for record in recorder.records:
        if record.order != "whole":
            groups[(record.name, record.place.module_call, record.place.root_call)].append(record)
    for group in groups.values():
        if len(group) < 2:
            continue
        if _is_partition(group):
            place = recorder.records.index(group[0])
            joined = _joined(group)
            recorder.records[:] = [record for record in recorder.records if record not in group]
            recorder.records.insert(place, joined)
        else:
            for record in group:
                recorder.reject(record, "one call attends in several blocks of positions (blockwise attention)")


def _is_partition(group: list[Record]) -> bool:
    """Whether the parts follow each other without gaps and make up the whole, each attending to itself."""
    position = 0
    for record in group:
        if record.span is None or record.span[0] != position or record.shape[:2] != group[0].shape[:2]:
            return False
        position = record.span[1]
        if record.shape[2] != record.shape[3] or record.reduced is not None:
            return False
    kept = all(_has_weights(record) for record in group) or not any(record.wanted for record in group)
    return kept and group[-1].span is not None and position == group[-1].span[2]


def _has_weights(record: Record) -> bool:
    return record.weights is not None or _recomputable(record)


def _recomputable(record: Record) -> bool:
    plain = record.scoring is not None and record.scoring.bias is None and record.scoring.mask is None
    return plain and record.query is not None and record.key is not None


def _joined(group: list[Record]) -> Record:
    """One record over the whole sequence."""
    first = group[0]
    total = sum(record.shape[2] for record in group)
    shape = (first.shape[0], first.shape[1], total, total)
    note = f"{len(group)} parts of one sequence (images or documents), which do not attend to each other"
    common = {"shape": shape, "order": "whole", "span": None, "notes": (*first.notes, note)}
    if not first.wanted:
        return replace(first, **common)  # type: ignore[arg-type]
    vectors = {name: _concatenated(group, name) for name in ("query", "key", "value")}
    with torch._C.DisableTorchFunction(), torch.no_grad():
        if all(record.weights is None for record in group):
            assert first.scoring is not None
            scoring = TorchScoring(first.scoring.scale, first.scoring.causal, mask=_block_mask(group))
            return replace(first, scoring=scoring, **vectors, **common)  # type: ignore[arg-type]
        weights = [record.weights for record in group if record.weights is not None]
        whole = torch.zeros(shape, dtype=weights[0].dtype, device=weights[0].device)
        position = 0
        for part in weights:
            length = part.shape[2]
            whole[:, :, position : position + length, position : position + length] = part
            position += length
    return replace(first, weights=whole, scoring=None, gradients=None, gradient_of_output=None, **vectors, **common)  # type: ignore[arg-type]


def _concatenated(group: list[Record], name: str) -> Tensor | None:
    parts = [getattr(record, name) for record in group]
    return torch.cat(parts, dim=2) if all(part is not None for part in parts) else None


def _block_mask(group: list[Record]) -> Tensor:
    blocks = [torch.ones(record.shape[2], record.shape[2], dtype=torch.bool) for record in group]
    mask: Tensor = torch.block_diag(*blocks).bool()
    device = group[0].query.device if group[0].query is not None else None
    whole: Tensor = mask[None, None].to(device)
    return whole
