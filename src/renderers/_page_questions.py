"""The questions that a live page asks about a trace, checked field by field: they come over a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attncore.attention import AttentionTrace
from attncore.errors import OptionError, SelectionError, did_you_mean

_PLACES = ("layer", "head", "item")
_RANGES = ("queries", "keys")
_SIZES = ("maxRows", "maxColumns")
_FIELDS_OF = {
    "trace": (),
    "tile": (*_PLACES, *_RANGES, *_SIZES),
    "vectors": (*_PLACES, *_RANGES),
}
# 64 MB of float32: every single weight of 4,096 x 4,096 tokens.
MOST_NUMBERS = 4096 * 4096


@dataclass(frozen=True)
class Block:
    """Some queries and keys of one head, [start, stop) each; the other places count from 0 in the trace."""

    layer: int
    head: int
    item: int
    queries: tuple[int, int]
    keys: tuple[int, int]


@dataclass(frozen=True)
class Tile(Block):
    """A block of weights, pooled so that it has at most so many rows and columns."""

    max_rows: int
    max_columns: int

    @property
    def row_step(self) -> int:
        """Queries that share one row of the answer."""
        return _step(self.queries, self.max_rows)

    @property
    def column_step(self) -> int:
        """Keys that share one column of the answer."""
        return _step(self.keys, self.max_columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the answer; the last of each may stand for fewer positions."""
        return _cells(self.queries, self.row_step), _cells(self.keys, self.column_step)


def asked_for(question: Mapping[str, Any]) -> str:
    """What kind of question this is: "trace", "tile" or "vectors".

    Raises:
        OptionError: none of these, or a field of such a question is missing.
    """
    if not isinstance(question, Mapping):
        raise OptionError(f'a question is a JSON object such as {{"ask": "trace"}}; {_shown(question)} was given')
    kind = question.get("ask")
    if not isinstance(kind, str) or kind not in _FIELDS_OF:
        close = did_you_mean(kind, _FIELDS_OF) if isinstance(kind, str) and len(kind) < 100 else ""
        raise OptionError(f'"ask" is one of {", ".join(_FIELDS_OF)}; {_shown(kind)} was given{close}')
    needed = _FIELDS_OF[kind]
    missing = [name for name in needed if name not in question]
    if missing:
        raise OptionError(f'a question for "{kind}" needs {", ".join(needed)}; {", ".join(missing)} is missing')
    return kind


def read_tile(question: Mapping[str, Any], trace: AttentionTrace) -> Tile:
    """A question for a tile of ``trace``, whose kind and fields were checked by `asked_for`.

    Raises:
        OptionError: a field has the wrong type, or the answer would be too large.
        SelectionError: the block is not in the trace.
    """
    block = read_block(question, trace)
    rows, columns = (_size(question[name], name) for name in _SIZES)
    tile = Tile(**vars(block), max_rows=rows, max_columns=columns)
    _check_numbers(tile.shape[0] * tile.shape[1], "tile", "give a smaller maxRows or maxColumns")
    return tile


def read_vectors(question: Mapping[str, Any], trace: AttentionTrace) -> Block:
    """The same for a question for query and key vectors; its answer may have bias and mask beside them."""
    block = read_block(question, trace)
    queries, keys = (stop - start for start, stop in (block.queries, block.keys))
    _check_numbers(queries * keys, "block of vectors", "ask for fewer queries at once")
    return block


def read_block(question: Mapping[str, Any], trace: AttentionTrace) -> Block:
    """The part that both have in common."""
    place = _place(question["layer"], "layer", len(trace), "the trace")
    layer = trace[place]
    items, heads, queries, keys = layer.shape
    where = f'layer {place} "{layer.name}"'
    return Block(
        layer=place,
        head=_place(question["head"], "head", heads, where),
        item=_place(question["item"], "item", items, where),
        queries=_range(question["queries"], "queries", queries, where),
        keys=_range(question["keys"], "keys", keys, where),
    )


def _place(value: Any, name: str, length: int, where: str) -> int:
    number = _whole(value, name)
    if not 0 <= number < length:
        raise SelectionError(
            f'"{name}" is {number}, and {where} has {length} {name}(s), counted from 0; give 0 to {length - 1}'
        )
    return number


def _range(value: Any, name: str, length: int, where: str) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise OptionError(
            f'"{name}" is two numbers, the first position and the one after the last; got {_shown(value)}'
        )
    start, stop = (_whole(one, name) for one in value)
    if not 0 <= start < stop <= length:
        raise SelectionError(
            f'"{name}" is [{start}, {stop}], and {where} has {length} {name}; give a start from 0 to '
            f"{length - 1} and a stop after it, at most {length}"
        )
    return start, stop


def _size(value: Any, name: str) -> int:
    number = _whole(value, name)
    if number < 1:
        raise OptionError(f'"{name}" is how many the answer may have, 1 or more; {number} was given')
    return number


def _whole(value: Any, name: str) -> int:
    # True is an int in Python, and no position.
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(f'"{name}" is a whole number; {_shown(value)} was given')
    if abs(value) > 2**53:
        raise OptionError(f'"{name}" is a whole number up to 2**53; a larger one was given')
    return value


def _check_numbers(numbers: int, what: str, remedy: str) -> None:
    if numbers > MOST_NUMBERS:
        raise OptionError(f"the {what} has {numbers:,} numbers, and an answer at most {MOST_NUMBERS:,}; {remedy}")


def _step(positions: tuple[int, int], cells: int) -> int:
    return -(-(positions[1] - positions[0]) // cells)


def _cells(positions: tuple[int, int], step: int) -> int:
    return -(-(positions[1] - positions[0]) // step)


def _shown(value: Any) -> str:
    """A value for an error message, which stays short whatever was sent."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
