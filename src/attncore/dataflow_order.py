"""In which order axes of one role are put together: heads as the model lays out what makes the queries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from math import prod

import numpy as np

from attncore.dataflow_atoms import Atom
from attncore.dataflow_sites import Role

Place = tuple[int, ...]
"""An axis of the first product and the number of an atom in it."""


def order_of(roles: Mapping[Place, Role], queries: Mapping[Place, Atom], shared: Collection[Place]) -> dict[Place, int]:
    """A number for each place, by which those of one role are put together.

    Args:
        roles: of each place.
        queries: what each place is of the queries.
        shared: places that the values have too. Where nothing tells how the queries' heads were laid out, those that
            share a head of the keys, which the values lack, come last.
    """
    heads = [place for place, role in roles.items() if role == "heads" and queries[place].length != 1]
    laid_out = _as_laid_out(heads, queries)
    number = {place: at for at, place in enumerate(laid_out)} if laid_out is not None else {}

    def key(place: Place) -> tuple[int, bool, Place]:
        return number.get(place, 0), roles[place] == "heads" and place not in shared, place

    return {place: at for at, place in enumerate(sorted(roles, key=key))}


def _as_laid_out(places: Sequence[Place], atoms: Mapping[Place, Atom]) -> list[Place] | None:
    """Places in the order of the axes or the parts of an axis that they were; None where that is not known of all.

    What the model has in one axis stays in the order of that.
    """
    if any(atoms[place].length is None for place in places):
        return None
    first: dict[int, Place] = {}
    for place in sorted(places):
        first.setdefault(place[0], place)
    axes = list(first)
    numbered = [_numbered(atoms[place]) for place in first.values()]
    common = set.intersection(*(set(one) for one in numbered)) if numbered else set()
    if not common:
        return None
    source = min(common)
    keys = {at: (one[source], atoms[first[at]].part) for at, one in zip(axes, numbered, strict=True)}
    axes.sort(key=lambda at: keys[at])
    for one, other in pairwise(axes):
        (along, part), (beside, further) = keys[one], keys[other]
        if along == beside and further[: len(part)] == part:
            return None
    return [place for at in axes for place in sorted(places) if place[0] == at]


def _numbered(atom: Atom) -> dict[str, int]:
    """Which axis of each array an atom is of."""
    tags = [tag.rpartition(".") for tag in sorted(atom.tags) if "." in tag]
    return {source: int(axis) for source, _, axis in tags}


def heads_of(places: Sequence[tuple[Place, int | None]], own: Collection[Place], grouped: bool) -> tuple[int, ...]:
    """Which of an array's heads each head of the weights has; nothing where that is plain.

    Args:
        places: those of all heads, in order, each with its length.
        own: those that the array has.
        grouped: an array may have fewer heads, each of which as many heads of the weights, side by side, have.
    """
    lengths = [length for _, length in places]
    if not own or all(place in own for place, _ in places) or None in lengths:
        return ()
    known = [length or 0 for length in lengths]
    small = [length if place in own else 1 for (place, _), length in zip(places, known, strict=True)]
    numbers = np.broadcast_to(np.arange(prod(small)).reshape(small), known).reshape(-1)
    plain = np.arange(prod(known)) // (prod(known) // max(prod(small), 1) or 1)
    return () if grouped and np.array_equal(numbers, plain) else tuple(int(number) for number in numbers)
