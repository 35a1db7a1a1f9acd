"""Which token axis each attention counts, and what the model's inputs say about its positions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from attncore.axis import AxisKind
from attncore.axis_book import QUERIES, REORDERED, AxisBook
from attncore.tokens import AxisFacts

from ._torch_calls import BESIDE, MEMORY, RootCall
from ._torch_moves import Moves
from ._torch_record import Record

# Words in module names that say which part of a model a layer belongs to. Names only label; they decide nothing.
_STACK_WORDS = (
    ("vision", ("vision", "visual", "image", "img")),
    ("audio", ("audio", "speech")),
    ("text", ("text", "language")),
    ("encoder", ("encoder",)),
    ("decoder", ("decoder",)),
)
_AXIS_OF_STACK = {"vision": "image", "audio": "audio", "text": "tokens", "encoder": "encoder", "decoder": "decoder"}
_MAX_EXTRA_PATCHES = 16


def stacks_of(records: Sequence[Record]) -> dict[str, str | None]:
    """The part of the model each layer name belongs to; None for all when there is but one part."""
    found = {record.name: _stack(record.name) for record in records}
    crosses = any(record.kind == "cross" for record in records)
    if len(set(found.values())) == 1 and not (crosses and "decoder" in found.values()):
        return dict.fromkeys(found)
    return found


def _stack(name: str) -> str | None:
    found = [stack for part in name.lower().split(".") for stack in _stacks_said_by(part)]
    # A tower for images or sound counts wherever it is; otherwise the outermost name does.
    towers = [stack for stack in found if stack in ("vision", "audio")]
    return next(iter(towers or found), None)


@cache
def _stacks_said_by(part: str) -> tuple[str, ...]:
    """The stacks that one part of a qualified name stands for; the same few parts come again in every layer."""
    return tuple(stack for stack, words in _STACK_WORDS if _says(part, words))


def _says(part: str, words: tuple[str, ...]) -> bool:
    return any(part == word or part.startswith(f"{word}_") or part.endswith(f"_{word}") for word in words)


class Places:
    """Gives each record its axes and collects the facts about them."""

    def __init__(
        self,
        roots: Sequence[RootCall],
        stacks: dict[str, str | None],
        *,
        several: bool,
        step_of: np.ndarray[Any, Any] | None,
    ) -> None:
        self.book = AxisBook()
        self._roots = roots
        self._stacks = stacks
        self._several = several
        self._step_of = step_of
        self._facts: dict[str, AxisFacts] = {}

    def axes_for(self, record: Record) -> tuple[str, str]:
        """The names of the query and key axis."""
        batch, _, rows, columns = record.shape
        stack = self._stacks[record.name]
        root_number = min(record.place.root_call, len(self._roots) - 1) if self._several else 0
        root = self._roots[root_number]
        stem = self._stem(stack, root)
        key_stack, key_stem = stack, stem
        query_input = key_input = None
        if stack is None and record.inputs != (0, 0):
            query_input, key_input = (root.input_named(number) for number in record.inputs)
            stem, key_stem = _own_stem(query_input) or stem, _own_stem(key_input) or stem
        if record.kind == "cross":
            has_encoder = "encoder" in self._stacks.values()
            key_stack, key_stem = ("encoder", "encoder") if has_encoder and stack == "decoder" else (MEMORY, MEMORY)
        elif rows != columns:
            stem = f"{stem}_queries"
        suffix = f"@{root_number}" if self._several else ""
        moves_of_queries, moves_of_keys = record.moves
        key_stem = key_stem + REORDERED if moves_of_keys else key_stem
        stem = stem + REORDERED if moves_of_queries else stem
        # The key axis first: it is the whole sequence, where queries may be a part of it.
        key_name = self._axis(key_stem + suffix, batch, columns, key_stack, root, key_input, moves_of_keys)
        query_name = self._axis(stem + suffix, batch, rows, stack, root, query_input, moves_of_queries)
        return query_name, key_name

    def facts(self) -> dict[str, AxisFacts]:
        """What is known about each axis."""
        return self._facts

    def _stem(self, stack: str | None, root: RootCall) -> str:
        if stack is not None:
            return _AXIS_OF_STACK[stack]
        return "image" if root.image is not None and root.ids_for(None) is None else "tokens"

    def _ids(self, stack: str | None, root: RootCall) -> np.ndarray[Any, Any] | None:
        """Token ids of a stack; a model of one part, without images, has but one text, whatever its ids are called."""
        ids = root.ids_for(stack)
        one_text = root.image is None and not any(self._stacks.values())
        return root.ids_for("decoder") if ids is None and one_text else ids

    def _axis(
        self,
        stem: str,
        batch: int,
        length: int,
        stack: str | None,
        root: RootCall,
        beside: str | None,
        moves: Moves,
    ) -> str:
        """The name of an axis; ``beside`` is the input it counts, where that is another one than the token ids."""
        grid = _grid(root.image, length) if stem.startswith("image") and root.image is not None else None
        kind: AxisKind = "patch" if grid else "frame" if stem.startswith("audio") else "position"
        name = self.book.name_for(stem, batch, length, kind, moves or None)
        if stem.partition("@")[0].endswith(REORDERED):
            self._facts.setdefault(name, AxisFacts(kind=None if kind == "position" else kind))
        elif beside and stem.partition("@")[0].removesuffix(QUERIES) == _own_stem(beside):
            ids = _if_fits(root.arrays.get((BESIDE, beside)), (batch, length))
            self._facts.setdefault(name, AxisFacts(ids=ids, kind=None if kind == "position" else kind, grid=grid))
        elif name not in self._facts:
            lookup = None if stack in (None, "text") else stack
            fits = (batch, length)
            segments = None if stack == MEMORY else _if_fits(root.segments_for(lookup), fits)
            padding = _if_fits(root.padding_for(lookup), fits)
            steps = self._step_of if self._step_of is not None and len(self._step_of) == length else None
            self._facts[name] = AxisFacts(
                ids=None if stack in ("vision", "audio", MEMORY) else _if_fits(self._ids(lookup, root), fits),
                padding=padding if padding is not None and padding.any() else None,
                segments=None if segments is None else segments.astype(np.int64),
                kind=kind if kind != "position" else None,
                grid=grid,
                steps=steps,
            )
        return name


def _own_stem(argument: str | None) -> str | None:
    """The name of the axis of an input beside the ids: its argument's, unless that says something else of an axis."""
    taken = argument != "image" and argument in (MEMORY, *_AXIS_OF_STACK.values())
    return f"{argument}_input" if taken else argument


def _if_fits(array: np.ndarray[Any, Any] | None, shape: tuple[int, int]) -> np.ndarray[Any, Any] | None:
    return array if array is not None and array.shape == shape else None


def _grid(image: tuple[int, int] | None, length: int) -> tuple[int, int] | None:
    """Rows and columns of square patches that make up ``length`` positions, a few extra ones allowed before them."""
    if image is None:
        return None
    height, width = image
    sizes = [size for size in range(1, min(height, width) + 1) if height % size == 0 and width % size == 0]
    for size in sizes:
        rows, columns = height // size, width // size
        if 0 <= length - rows * columns <= _MAX_EXTRA_PATCHES and rows * columns > 1:
            return rows, columns
    return None
