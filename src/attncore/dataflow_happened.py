"""What ran: the calls of a captured function, and each attention that happened in them with its arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from attncore.arrays import Array, ArrayLike
from attncore.coverage import Coverage
from attncore.dataflow import Node
from attncore.dataflow_names import name_of
from attncore.dataflow_sites import Site
from attncore.dataflow_tokens import Data
from attncore.dataflow_turns import Ancestry
from attncore.selection import choose, may_match, parts_of


@dataclass(frozen=True, eq=False)
class Happened:
    """One attention that happened.

    ``in_full``: its weights were picked up, rather than what they can be computed from. ``turns`` tells of each loop
    around it the number of the turn it happened in, if it was in one. ``read`` gives the array of a role as (batch,
    heads, length, last), None where it was not picked up; the roles are "weights", "query", "key", "value", "sinks",
    and "mask 0", "bias 0" and so on. ``gradient`` gives the gradient of the loss by the weights.
    """

    site: Site
    in_full: bool
    turns: Mapping[Node, Any]
    roles: Collection[str]
    read: Callable[[str], Any]
    gradient: Callable[[], Array | None]


@dataclass(frozen=True, eq=False)
class CallRecord:
    """One call of a captured function: ``label`` is the function's name, ``data`` its inputs by name."""

    label: str
    ancestry: Ancestry
    happened: Sequence[Happened]
    data: Data
    coverage: Coverage


class Holding(Protocol):
    """How a framework's arrays are held in a trace."""

    def hold(self, array: Any) -> ArrayLike:
        """The array where the options want it, readable as numpy."""

    def cast(self, array: Any) -> Any:
        """Weights in the floating type that the options ask for."""


@dataclass
class Seen:
    """One attention with what a layer selector may ask for; ``number`` is that of its call of the function."""

    name: str
    index: int
    call: int
    happened: Happened
    number: int


def seen_of(calls: Sequence[CallRecord]) -> list[Seen]:
    """Every attention in the order in which they ran, with names and numbers."""
    seen: list[Seen] = []
    times: dict[str, int] = {}
    for number, record in enumerate(calls):
        for one in record.happened:
            name = name_of(one.site, record.ancestry, record.label, one.turns)
            seen.append(Seen(name, len(seen), times.get(name, 0), one, number))
            times[name] = times.get(name, 0) + 1
    return seen


def chosen_of(calls: Sequence[CallRecord], layers: Any) -> list[Seen]:
    """Those that ``layers=`` means.

    Raises:
        SelectionError: it means a layer that does not exist.
    """
    seen = seen_of(calls)
    return [seen[place] for place in choose(parts_of(layers), seen)]


def wanted_sites(planned: CallRecord, layers: Any) -> set[Site]:
    """The sites of which any attention may be meant, told by name and place before the function runs."""
    parts = parts_of(layers)
    return {one.happened.site for one in seen_of([planned]) if may_match(parts, one)}
