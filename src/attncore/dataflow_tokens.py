"""Which token axis each attention counts, and what a function's inputs say about its positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attncore.arrays import as_numpy
from attncore.axis import AxisKind, BoolArray
from attncore.axis_book import QUERIES, REORDERED, AxisBook
from attncore.dataflow_generation import Steps
from attncore.dataflow_moves import Moves
from attncore.tokens import AxisFacts

_AXIS_OF_STACK = {"vision": "image", "audio": "audio", "text": "tokens", "encoder": "encoder", "decoder": "decoder"}
Data = Sequence[tuple[str, Any]]
"""The inputs of a call that are no parameters, each array with its name."""

_NO_IDS = ("mask", "position", "segment", "type", "length", "label")


class Axes:
    """Gives each attention its axes and collects the facts about them, from the inputs of each call."""

    def __init__(self, data: Sequence[Data], steps: Steps | None = None) -> None:
        self.book = AxisBook()
        self._steps = steps
        self.facts: dict[str, AxisFacts] = {}
        self._of_calls = data
        self._data: Data = ()

    def names_for(
        self,
        kind: str,
        stack: str | None,
        has_encoder: bool,
        shape: tuple[int, ...],
        call: int,
        moves: tuple[Moves | None, Moves | None] = (None, None),
    ) -> tuple[str, str]:
        """The names of the query and key axis of an attention of this shape, made in this call of the function.

        ``moves`` are those that the model put the positions of each into.
        """
        batch, _, rows, columns = shape
        self._data = self._of_calls[call]
        stem = _AXIS_OF_STACK.get(stack or "", "tokens")
        key_stem = stem
        if kind == "cross":
            key_stem = "encoder" if has_encoder and stack == "decoder" else "memory"
        of_query, of_key = moves
        if kind != "cross" and rows != columns:
            stem, of_query = f"{stem}{QUERIES}", None
        suffix = f"@{call}" if len(self._of_calls) > 1 else ""
        # The key axis first: it is the whole sequence, where queries may be a part of it.
        key_name = self._axis(key_stem, suffix, batch, columns, of_key)
        whole = self.facts.get(key_name) if QUERIES in stem else None
        return self._axis(stem, suffix, batch, rows, of_query, whole), key_name

    def _axis(
        self, stem: str, suffix: str, batch: int, length: int, moves: Moves | None, whole: AxisFacts | None = None
    ) -> str:
        """The name of an axis; ``whole`` is known of the one that its positions may be a part of."""
        if moves is not None:
            stem = f"{stem}{REORDERED}"
        kind: AxisKind = "frame" if stem.startswith("audio") else "position"
        name = self.book.name_for(stem + suffix, batch, length, kind, moves)
        if moves is not None:
            return name
        if name not in self.facts and not stem.startswith("memory"):
            steps = self._steps if self._steps is not None and len(self._steps) == length else None
            # Where the whole has its ids among the inputs, others that happen to fit the part are of something else.
            ids = None if whole is not None and whole.ids is not None else self._ids(stem, batch, length)
            padding = None if whole is not None and whole.padding is not None else self._padding(stem, batch, length)
            self.facts[name] = AxisFacts(ids=ids, padding=padding, steps=steps)
        return name

    def _ids(self, stem: str, batch: int, length: int) -> Any:
        """Whole numbers of the axis's size among the inputs, by their name."""
        fitting = [
            (name, ids)
            for name, array in self._data
            if np.issubdtype(array.dtype, np.integer)
            and not any(word in name.lower() for word in _NO_IDS)
            and (ids := _fitted(array, batch, length)) is not None
        ]
        return _by_name(fitting, stem)

    def _padding(self, stem: str, batch: int, length: int) -> BoolArray | None:
        """Where a mask of the axis's size among the inputs says that nothing is."""
        fitting = [
            (name, mask)
            for name, array in self._data
            if "mask" in name.lower() and (mask := _fitted(array, batch, length)) is not None
        ]
        mask = _by_name(fitting, stem)
        if mask is None or not np.isin(mask, (0, 1)).all():
            return None
        padding = mask == 0
        return padding if padding.any() else None


def data_of_steps(calls: Sequence[Data]) -> Data:
    """The inputs of all steps as one: (batch, tokens) of each after the other, of anything else the last step's."""
    joined = []
    for place, (name, array) in enumerate(calls[-1]):
        parts = [call[place][1] for call in calls if len(call) == len(calls[-1])]
        alike = len(parts) == len(calls) and all(part.ndim == 2 and part.shape[0] == array.shape[0] for part in parts)
        joined.append((name, np.concatenate([as_numpy(part) for part in parts], axis=1) if alike else array))
    return joined


def _fitted(array: Any, batch: int, length: int) -> Any:
    """The array as (batch, length), if it has so many numbers in such an order."""
    if array.ndim > 0 and array.shape[-1] == length and array.size == batch * length and array.ndim <= 3:
        return as_numpy(array).reshape(batch, length)
    return None


def _by_name(fitting: Sequence[tuple[str, Any]], stem: str) -> Any:
    """The first whose name says that it is of this axis; else the first that says nothing of another one.

    Where there are an encoder's and a decoder's, and the axis may be that of either, none.
    """
    own = [array for name, array in fitting if stem in name.lower()]
    sides = {side for name, _ in fitting for side in ("encoder", "decoder") if side in name.lower()}
    if len(sides) == 2 and not stem.startswith(("encoder", "decoder")):
        return None
    other = "decoder" if stem.startswith("encoder") else "encoder"
    rest = [array for name, array in fitting if other not in name.lower()]
    return next(iter(own or rest), None)
