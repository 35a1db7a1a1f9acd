"""Generation step by step, in calls of its own: the steps of a decoder with a cache are rows of one attention."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from attncore.arrays import Array
from attncore.layer import AttentionLayer
from attncore.weights import DenseWeights

Steps = npt.NDArray[np.int64]


def merge_steps(calls: Sequence[Sequence[AttentionLayer]]) -> tuple[list[AttentionLayer], Steps] | None:
    """One layer for all calls of it, and the call that wrote each of its keys; None when they are no generation.

    They are when each call has the same layers, and the keys of each layer are those of the call before with as many
    new ones as the call has queries, in places that nothing attended to before.
    """
    if len(calls) < 2 or len({tuple(layer.name for layer in call) for call in calls}) != 1:
        return None
    written: Steps | None = None
    for steps in zip(*calls, strict=True):
        found = _written(steps)
        if found is None:
            return None
        written = found
    assert written is not None
    return [_merged(steps) for steps in zip(*calls, strict=True)], written


def _written(steps: Sequence[AttentionLayer]) -> Steps | None:
    """Which step wrote each key of the last one, 0 where the first did; None when they do not continue each other."""
    if any(step.key is None or step.kind != "self" or step.stored_weights is None for step in steps):
        return None
    written = np.zeros(steps[-1].shape[3], dtype=np.int64)
    for number, (before, after) in enumerate(pairwise(steps), start=1):
        new = _new_keys(before, after)
        if new is None:
            return None
        written[new] = number
    return written


def _new_keys(before: AttentionLayer, after: AttentionLayer) -> npt.NDArray[np.intp] | None:
    """The places of the keys that ``after`` has added to those of ``before``; None when it did something else."""
    old, new = np.asarray(before.key), np.asarray(after.key)
    length = old.shape[2]
    if old.shape[:2] != new.shape[:2] or old.shape[3] != new.shape[3] or new.shape[2] < length:
        return None
    changed = np.flatnonzero((old != new[:, :, :length]).any(axis=(0, 1, 3)))
    attended = np.asarray(before.weights)[..., changed]
    added = np.concatenate([changed, np.arange(length, new.shape[2])])
    continues = len(added) == after.shape[2] and len(changed) < length
    return added if continues and not attended.any() else None


def _merged(steps: Sequence[AttentionLayer]) -> AttentionLayer:
    """The query rows of all steps over the last one's keys."""
    last = steps[-1]
    weights = np.concatenate([_widened(np.asarray(step.weights), last.shape[3]) for step in steps], axis=2)
    queries = [np.asarray(step.query) for step in steps if step.query is not None]
    return last.replaced(
        stored_weights=DenseWeights(weights),
        query=np.concatenate(queries, axis=2) if len(queries) == len(steps) else None,
        scoring=None,
        call=steps[0].call,
        index=steps[0].index,
        gradient=None,
        notes=tuple(dict.fromkeys((*last.notes, f"{len(steps)} calls merged: a prompt and its generation steps"))),
    )


def _widened(weights: Array, keys: int) -> Array:
    """The weights with zeros for keys that did not exist yet."""
    return np.pad(weights, ((0, 0), (0, 0), (0, 0), (0, keys - weights.shape[3])))
