"""Collects the axes that the layers of one trace count, so that equal ones are shared."""

from __future__ import annotations

from attncore.axis import AxisKind, TokenAxis

QUERIES, REORDERED = "_queries", "_reordered"


class AxisBook:
    """Hands out axis names; positions of another length or batch under the same name get ``name_2``, ``name_3``."""

    def __init__(self) -> None:
        self.axes: dict[str, TokenAxis] = {}
        self._moves: dict[str, object] = {}

    def name_for(
        self, stem: str, batch: int, length: int, kind: AxisKind = "position", moves: object | None = None
    ) -> str:
        """The name of an axis called ``stem`` with these sizes, made when it is new.

        Queries that are a part of the positions, ``tokens_queries``, are only counted ("query 0"): which part they are
        is not known, and bare numbers would be those of the first positions. So are positions that the model put in
        another order than it was given, ``tokens_reordered`` ("place 0"); others by other ``moves`` are on
        ``tokens_2_reordered``.
        """
        name, number = stem, 1
        while name in self.axes and self._counted(name) != (length, batch, moves):
            number += 1
            is_reordered = stem.endswith(REORDERED)
            name = f"{stem.removesuffix(REORDERED)}_{number}{REORDERED}" if is_reordered else f"{stem}_{number}"
        if name not in self.axes:
            made = TokenAxis.of_positions(name, batch, length, kind)
            for ending, what in ((QUERIES, "query"), (REORDERED, "place")):
                if stem.partition("@")[0].endswith(ending):
                    made = made.replaced(labels=(tuple(f"{what} {place}" for place in range(length)),) * batch)
            self.axes[name], self._moves[name] = made, moves
        return name

    def _counted(self, name: str) -> tuple[int, int, object | None]:
        """What an axis counts: how many positions in how many items, and what moved them."""
        return self.axes[name].length, self.axes[name].batch, self._moves[name]
