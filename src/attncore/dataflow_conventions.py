"""Which axes are heads and which positions where no parameter tells: by the field's conventions, or a guess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from attncore.dataflow import Contract
from attncore.dataflow_atoms import FEATURE, GUESSED, PARAMETER, Atom, Axes, Axis, tags_of
from attncore.dataflow_order import Place
from attncore.dataflow_provenance import has_data
from attncore.dataflow_sites import Role

KnownFrom = Literal["provenance", "convention", "unknown"]


@dataclass(frozen=True)
class Unsettled:
    """What is known of the product of queries and keys: the axes of it, and of both by their labels.

    ``free`` are places that only queries have, ``batch`` those that both or only keys have, ``weights`` all places in
    the order in which the softmax has them. ``has_row``: the queries have an axis of length 1, that of one position.
    """

    axes: Axes
    scores: Contract
    query: dict[int, Axis]
    key: dict[int, Axis]
    free: list[Place]
    batch: list[Place]
    weights: list[Place]
    has_row: bool

    def atom(self, place: Place) -> Atom:
        """What is at a place."""
        return self.axes[place[0]][place[1]]

    def numbered(self, place: Place) -> set[str]:
        """Which axes of the user's arrays it counts."""
        return {tag for tag in self.atom(place).tags if "." in tag}


def settle(roles: dict[Place, Role], given: Unsettled) -> KnownFrom:
    """Say which axes are the heads, where nothing came from parameters, and which the queries, where none is yet."""
    known_from: KnownFrom = "provenance"
    query = given.query
    summed = frozenset().union(*(tags_of(axis) for label, axis in query.items() if label not in given.scores.result))
    if "heads" not in roles.values() and PARAMETER not in summed:
        guessed = any(GUESSED in given.atom(place).tags for place in given.batch)
        heads, is_sure = _heads(roles, given)
        roles.update(dict.fromkeys(heads, "heads"))
        known_from = "unknown" if guessed or not is_sure else "convention"
    if "length" not in roles.values():
        # Learned queries, or one query a call: the last of the axes that only queries have.
        candidates = [place for place in given.free if place not in given.batch]
        other = _apart(candidates, given.axes, summed)
        # The query's own axes: beside data, those of parameters are features of the scores, whatever they count.
        made = all(FEATURE in tags_of(query[given.scores.result[at]]) for at, _ in candidates)
        if candidates and ((other and not given.has_row) or not (made and _asks_positions(roles, given.axes))):
            roles[(other or candidates)[-1]] = "length"
    return known_from


def _heads(roles: dict[Place, Role], given: Unsettled) -> tuple[list[Place], bool]:
    """The places of heads, and whether that is more than a guess.

    Where an axis of the queries was split in two, one of which the keys have, these are heads and their groups; so are
    keys that were repeated along an axis that the queries have. Else the last of several axes that both have is heads.
    """
    queries = [place for place in given.free if roles[place] == "length"]
    numbered = set[str]().union(*(given.numbered(place) for place in given.batch))
    split = [place for place in queries if given.numbered(place) & numbered]
    split = split if len(split) == 1 and (len(queries) == 2 or given.has_row) else []
    of_keys = [place for place in given.batch for group in split if given.numbered(place) & given.numbered(group)]
    of_keys = of_keys or _repeated(given)
    shared = [
        at for at, label in enumerate(given.scores.result) if label in given.scores.left and label in given.scores.right
    ]
    if len(shared) >= 2 and not of_keys:
        of_keys = [place for place in given.batch if place[0] == shared[-1]]
    if split or len(queries) != 2 or sum(role == "last" for role in roles.values()) > 1:
        return [*of_keys, *split], True
    row, is_sure = _row_of(queries, roles, given)
    return [*of_keys, *(place for place in queries if place != row)], is_sure


def _repeated(given: Unsettled) -> list[Place]:
    """The places of an axis along which keys were repeated: of what the user gave and what nobody gave."""
    found = []
    for at, label in enumerate(given.scores.result):
        atoms = [atom for atom in given.key.get(label, ()) if atom.length != 1]
        if label in given.query and len({any("." in tag for tag in atom.tags) for atom in atoms}) == 2:
            found += [place for place in given.batch if place[0] == at]
    return found


def _row_of(queries: list[Place], roles: dict[Place, Role], given: Unsettled) -> tuple[Place, bool]:
    """Which of two axes that only queries have is the positions, and whether that is more than a guess.

    It is that beside the keys, surely where the model put it there; of self-attention it is that of the keys' length.
    """
    of_query = sorted(queries, key=lambda place: list(given.query).index(given.scores.result[place[0]]))
    of_weights = sorted(queries, key=given.weights.index)
    if of_query != of_weights:
        return of_weights[-1], True
    lengths = {given.atom(place).length for place, role in roles.items() if role == "last"}
    alike = [place for place in queries if given.atom(place).length in lengths - {None}]
    return (alike[0], True) if len(alike) == 1 else (of_weights[-1], False)


def _asks_positions(roles: dict[Place, Role], axes: Axes) -> bool:
    """Whether the keys are positions: then an axis of features that only the query has is groups of heads."""
    keys = [axes[at][number] for (at, number), role in roles.items() if role == "last"]
    return all(atom.length == 1 or has_data((atom,)) for atom in keys)


def _apart(places: list[Place], axes: Axes, summed: frozenset[str]) -> list[Place]:
    """Those that are of other parameters than the vectors, which heads are cut from; all if that tells nothing."""
    names: tuple[Callable[[str], str], ...] = (lambda tag: tag, lambda tag: tag.partition(".")[0])
    known = {tag for tag in summed if "." in tag}
    if not known:
        return places
    for name in names:  # of the same axis of a parameter, or else of the same parameter
        own = set(map(name, known))
        other = [place for place in places if not own & {name(tag) for tag in axes[place[0]][place[1]].tags}]
        if 0 < len(other) < len(places):
            return other
    return places if other else []
