"""Generation step by step: the calls of a decoder with a cache make one attention with more query rows.

Calls fall into runs: one that begins a text, and those that read keys of the one before from a cache. A run whose keys
go on from call to call is a generation and becomes one call; what a model does but once, at the first call or in one of
its own before it (an encoder, a vision tower), stays as it is. Beam search reorders the batch and sliding caches forget
keys: those stay separate calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from ._torch_axes import stacks_of
from ._torch_calls import RootCall
from ._torch_generation import merged
from ._torch_record import Record
from ._torch_steps import restore

# The attentions of one call, each by its name and which one of this name it is.
_Call = dict[tuple[str, int], Record]
_UNKNOWN = "calls not merged: whether the cache of one goes on from the other is not known"


@dataclass
class Steps:
    """Records and calls after merging."""

    records: list[Record]
    roots: list[RootCall]


@dataclass
class _Run:
    """Calls that are shown as one where this is a generation; ``beside`` are others that belong to it."""

    numbers: list[int]
    calls: list[_Call]
    is_generation: bool = False
    beside: dict[int, _Call] = field(default_factory=dict)


def merge_steps(records: Sequence[Record], roots: Sequence[RootCall]) -> Steps:
    """The records with the calls of each generation as one; everything as it was where there is none."""
    runs = _runs(records, len(roots))
    _restore(records, runs)
    if not any(run.is_generation for run in runs):
        return Steps(list(records), list(roots))
    steps = Steps([], [])
    for run in _with_what_is_beside(runs, stacks_of(records)):
        number = len(steps.roots)
        steps.roots.append(_root_of(run, roots))
        steps.records += [replace(record, place=record.place._replace(root_call=number)) for record in _records_of(run)]
    return steps


def _runs(records: Sequence[Record], count: int) -> list[_Run]:
    """The calls, those of a generation together and any other by itself."""
    together: list[_Run] = []
    for number, call in enumerate(_by_call(records, count)):
        if together and _reads_a_cache(together[-1].calls[-1], call):
            together[-1].numbers.append(number)
            together[-1].calls.append(call)
        else:
            together.append(_Run([number], [call]))
    runs: list[_Run] = []
    for run in together:
        run.is_generation = _is_generation(run.calls)
        apart = [_Run([number], [call]) for number, call in zip(run.numbers, run.calls, strict=True)]
        runs += [run] if run.is_generation else apart
    return runs


def _by_call(records: Sequence[Record], count: int) -> list[_Call]:
    calls: list[_Call] = [{} for _ in range(count)]
    seen: Counter[tuple[int, str]] = Counter()
    for record in records:
        number = record.place.root_call
        calls[number][record.name, seen[number, record.name]] = record
        seen[number, record.name] += 1
    return calls


def _reads_a_cache(before: _Call, after: _Call) -> bool:
    """Whether a layer that ran before has more keys now than queries: the others are from an earlier call."""
    return any(
        record.kind == "self" and key in before and record.shape[2] < (record.growth.written or record.shape[3])
        for key, record in after.items()
    )


def _is_generation(calls: Sequence[_Call]) -> bool:
    """Whether each call goes on from the one before, in some self-attention and in all layers that are wanted."""
    if len(calls) < 2:
        return False
    first, *steps = calls
    layers = [key for key in first if key in steps[0]]
    if any(list(step) != layers for step in steps):
        return False
    columns = [[call[key] for call in calls] for key in layers]
    if not all(_is_linked(column) for column in columns if all(record.wanted for record in column)):
        return False
    own = [column[1:] for column in columns if column[1].kind == "self"]
    if any(all(record.growth.continues for record in column) for column in own):
        return True
    if not any(record.growth.fingerprint is not None or record.wanted for column in own for record in column):
        for record in (record for call in calls for record in call.values()):
            record.notes = tuple(dict.fromkeys((*record.notes, _UNKNOWN)))
    return False


def _is_linked(column: Sequence[Record]) -> bool:
    kept = all(
        step.weights is not None or step.scoring is not None or step.computed_weights is not None for step in column
    )
    return kept and all(before.next_step is after for before, after in pairwise(column))


def _restore(records: Sequence[Record], runs: Sequence[_Run]) -> None:
    """Give keys back to records that read them from a call with which they are not shown together."""
    shown = {number: run.numbers[0] for run in runs for number in run.numbers}
    for record in reversed(records):
        after = record.next_step
        if after is not None and shown[record.place.root_call] != shown[after.place.root_call]:
            restore(record)


def _with_what_is_beside(runs: Sequence[_Run], stacks: dict[str, str | None]) -> list[_Run]:
    """The runs, each generation with the encoder's call before it and with the calls without attention around it.

    Such calls, an embedding or the logits by themselves, have nothing to show, and would only count.
    """
    shown: list[_Run] = []
    for run in runs:
        if run.is_generation:
            while shown and not shown[-1].is_generation and _belongs_to(shown[-1].calls[0], run, stacks):
                before = shown.pop()
                run.beside = {before.numbers[0]: before.calls[0], **run.beside}
        elif shown and shown[-1].is_generation and not run.calls[0]:
            shown[-1].beside[run.numbers[0]] = {}
            continue
        shown.append(run)
    return shown


def _belongs_to(before: _Call, run: _Run, stacks: dict[str, str | None]) -> bool:
    """Whether a call of other layers read what the steps are about: their memory, or an image or sound.

    A memory has as many positions as the call that made it. What becomes of an image is not followed.
    """
    if not all(before.keys().isdisjoint(call) for call in (run.calls[0], *run.beside.values())):
        return False
    memories = {record.shape[3] for record in run.calls[0].values() if record.kind == "cross"}
    made = not memories.isdisjoint(record.shape[2] for record in before.values())
    return not before or made or {stacks[name] for name, _ in before} <= {"vision", "audio"}


def _records_of(run: _Run) -> list[Record]:
    beside = [record for call in run.beside.values() for record in call.values()]
    first = run.calls[0]
    if not run.is_generation:
        return [*beside, *first.values()]
    steps = run.calls[1]
    return beside + [
        merged([call[key] for call in run.calls]) if key in steps else record for key, record in first.items()
    ]


def _root_of(run: _Run, roots: Sequence[RootCall]) -> RootCall:
    """The inputs of all steps as one: ids of the steps one after the other, masks from the last one, which covers all.

    What else the calls were given, as an encoder's ids, is the same in all of them.
    """
    parts = [roots[number] for number in run.numbers]
    if not run.is_generation:
        return parts[0]
    rows = _rows_of(run.calls)
    whole = RootCall(image=parts[0].image, module_class=parts[0].module_class)
    for key in parts[0].arrays:
        arrays = [part.arrays[key] for part in parts if key in part.arrays]
        of_steps = "ids" in key[1] and [array.shape[1] for array in arrays] == rows
        joined = of_steps and len({len(array) for array in arrays}) == 1
        whole.arrays[key] = np.concatenate(arrays, axis=1) if joined else arrays[-1]
    for number, call in run.beside.items():
        whole.image = whole.image or roots[number].image
        for (name, argument), array in roots[number].arrays.items():
            if not (call and argument.startswith("decoder_")):
                whole.arrays.setdefault((name or "encoder" if call else name, argument), array)
    return whole


def _rows_of(calls: Sequence[_Call]) -> list[int]:
    """How many positions each call added."""
    columns = ([call[key] for call in calls] for key, record in calls[1].items() if record.kind == "self")
    growing = next(column for column in columns if all(record.growth.continues for record in column[1:]))
    return [record.shape[2] for record in growing]
