"""While a model runs: whether an attention goes on from the same layer's in the call before, as a step does.

The keys of a step begin with those of the call before. They are held once: a record whose keys are the beginning of the
next one's gives its own up, or memory would grow with the square of the length. Of a layer that is not wanted nothing
is held but sums over its keys, which tell them from others. A static cache has room for keys that are not written yet:
no query may see them, and they are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attncore.selection import may_match

from ._torch_arrays import OWN_CLASSES
from ._torch_record import Record

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


# In place of the number of a call: how often a name came in all calls, and how often not as a step of a generation.
_ALL, _APART = -1, -2


def note_growth(record: Record, before: Record | None, last: Record | None, calls: Counter[tuple[str, int]]) -> None:
    """Find out whether ``record`` goes on from ``before``, its layer in the call before, and number it accordingly.

    ``last`` is the attention recorded just before, and ``calls`` counts those of a name. This is asked before anything
    of the record is given up.
    """
    growth = record.growth
    if record.kind == "self" and record.key is not None:
        with torch._C.DisableTorchFunction(), torch.no_grad():
            growth.fingerprint = _fingerprint(record.key, written(record))
            growth.continues = before is not None and _goes_on(before, record)
    elif before is not None and last is not None and last.place.root_call == record.place.root_call:
        # The keys of a memory are the same at each step and in any other call: the self-attention before it tells.
        growth.continues = last.growth.continues and before.shape[3] == record.shape[3]
    growth.merged = 0 if last is None else last.growth.merged + last.growth.continues
    calls[record.name, _ALL] += 1
    if before is not None and growth.continues:
        growth.index, growth.call = before.growth.index, before.growth.call
    else:
        growth.index, growth.call = record.index - growth.merged, calls[record.name, _APART]
        calls[record.name, _APART] += 1


def may_be_meant(parts: Sequence[Any], record: Record, calls: Counter[tuple[str, int]]) -> bool:
    """Whether ``layers=`` may mean it: by its number among all attentions, or by that of its layer in a generation.

    Which of the two the trace will have is known when all calls are.
    """
    among_all = record.index, calls[record.name, _ALL] - 1
    in_a_generation = record.growth.index, record.growth.call
    numbers = dict.fromkeys((among_all, in_a_generation))  # mostly the same, and a user's function is asked once
    numbered = [replace(record, index=index, call=call) for index, call in numbers]
    return any(may_match(parts, layer) for layer in numbered)


def _goes_on(before: Record, after: Record) -> bool:
    """Whether the keys of ``after`` are those of ``before`` and one more for each query, by the sums over them."""
    old, new = before.growth.fingerprint, after.key
    if old is None or new is None or not _has_grown(before, after):
        return False
    beginning = _fingerprint(new, written(before))
    return beginning is not None and _equal(beginning, old)


def _has_grown(before: Record, after: Record) -> bool:
    rows = after.shape[2]
    return after.shape[3] == before.shape[3] + rows or written(after) == written(before) + rows


def _fingerprint(key: Tensor, length: int) -> Tensor | None:
    """Sums over the bits of the first keys, (batch, heads): equal for equal keys, in whatever order they are added."""
    if type(key) not in OWN_CLASSES or key.is_complex() or key.is_meta:
        return None
    bits = key.detach()[:, :, :length].view(_INTEGERS[key.element_size()])
    return bits.sum(dim=(2, 3), dtype=torch.int64)


def _equal(one: Tensor, two: Tensor) -> bool:
    """Whether these are equal to the bit; one of the two may repeat each head for its group."""
    heads = max(one.shape[1], two.shape[1])
    if heads % one.shape[1] or heads % two.shape[1]:
        return False
    one, two = (part.repeat_interleave(heads // part.shape[1], 1) for part in (one, two))
    return torch.equal(one, two)


def link(before: Record, after: Record) -> None:
    """If the keys of ``after`` begin with those of ``before``, to the bit, let ``before`` read them from there."""
    if before.key is None or after.key is None or before.shape[:2] != after.shape[:2] or before.kind != after.kind:
        return
    rows = 0 if before.kind == "cross" else after.shape[2]
    old, new = before.shape[3], after.shape[3]
    if new != old + rows:  # a static cache is as long before a step as after it
        old, new = written(before), written(after)
    if new != old + rows or not _same_beginning(after.key, before.key, old):
        return
    _cut_to_keys(before, old)
    _cut_to_keys(after, new)
    _hold_if_small(before)
    after.growth.continues = before.kind == "self" or after.growth.continues
    before.next_step = after
    before.key = None
    if before.value is not None and after.value is not None and _same_beginning(after.value, before.value, old):
        before.value = None


def _same_beginning(longer: Tensor, shorter: Tensor, length: int) -> bool:
    return _equal(longer[:, :, :length], shorter[:, :, :length])


def _hold_if_small(record: Record) -> None:
    """Hold weights that are smaller than the query and key which they would be computed from when read."""
    if record.computed_weights is None or record.query is None or record.key is None:
        return
    if record.computed_weights.size <= record.query.numel() + record.key.numel():
        dense = np.array(record.computed_weights[...])
        record.weights, record.computed_weights = torch.from_numpy(dense).to(record.query.device), None


def written(record: Record) -> int:
    """How many keys there are up to the last one that some query may see."""
    growth = record.growth
    if growth.written is None:
        growth.written = record.shape[3] if record.shape[2] == record.shape[3] else _last_seen(record)
    return growth.written


def _last_seen(record: Record) -> int:
    scoring = record.scoring
    if scoring is not None and scoring.mask is not None:
        seen = scoring.mask.expand(*scoring.mask.shape[:-1], record.shape[3])
    elif record.weights is not None:
        seen = record.weights != 0
    else:
        return record.shape[3]
    # The row of a padded query has no key to see, and some models let it see all; then later rows do not.
    everything = seen.all(-1, keepdim=True)
    later_less = (~everything).flip(-2).cummax(-2).values.flip(-2)
    keys = (seen & ~(everything & later_less)).flatten(0, -2).any(0)
    return int(keys.nonzero()[-1]) + 1 if bool(keys.any()) else record.shape[3]


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
    last = last_step(record)
    if last is record or last.key is None:
        return
    record.key = own_keys(record)
    if record.value is None and last.value is not None:
        record.value = last.value[:, :, : record.shape[3]]
    record.next_step = None


def own_keys(record: Record) -> Tensor | None:
    """The keys of a record, wherever they are held."""
    held = last_step(record).key
    return None if held is None else held[:, :, : record.shape[3]]


def last_step(record: Record) -> Record:
    """The step that holds the keys of a record: the last one that goes on from it."""
    while record.next_step is not None:
        record = record.next_step
    return record
