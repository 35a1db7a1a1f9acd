"""Which axes are the batch, the heads, the queries and the keys of an attention: by where they come from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from attncore.dataflow import Contract
from attncore.dataflow_atoms import DATA, PARAMETER, STATE, Atom, Axes, Axis, tags_of
from attncore.dataflow_conventions import KnownFrom, Unsettled, settle
from attncore.dataflow_order import Place, heads_of, order_of
from attncore.dataflow_provenance import Provenance, has_data
from attncore.dataflow_sites import Kind, Layout, Part, Role
from attncore.dataflow_stages import Follower
from attncore.dataflow_state import Arrival


@dataclass(frozen=True)
class Roles:
    """The role of each axis of the first product, by its number and atom, and where that is known from.

    ``order`` numbers the places of one role as they are put together, and ``lengths`` says how long they are.
    """

    of_place: dict[Place, Role]
    order: dict[Place, int]
    lengths: dict[Place, int | None]
    known_from: KnownFrom

    def role(self, atom: Atom) -> Role | None:
        """The role of an atom that has a place."""
        return None if atom.place is None else self.of_place.get(atom.place[:2])

    def layout(self, axes: Axes, last: frozenset[int] = frozenset()) -> Layout | None:
        """How to arrange an array with these axes; ``last`` are axes that are the last whatever they are made of."""
        parts: list[tuple[Part, ...]] = []
        ranks: list[tuple[int, ...]] = []
        own_places: set[Place] = set()
        for at, axis in enumerate(axes):
            if at in last:
                own: tuple[Part, ...] = (Part(None, "last"),)
                ranks.append(())
            else:
                roles = [self.role(atom) for atom in axis]
                if None in roles:
                    return None
                own = tuple(Part(atom.length, role) for atom, role in zip(axis, roles, strict=True) if role)
                places = [atom.place or () for atom in axis]
                own_places |= {place[:2] for place in places}
                ranks += [(self.order[(place[0], place[1])], *place[2:]) for place in places]
            parts.append(own)
        all_heads = self._heads()
        heads = heads_of(all_heads, own_places & {place for place, _ in all_heads}, grouped=bool(last))
        return Layout(tuple(parts), tuple(sorted(ranks).index(rank) for rank in ranks), heads)

    def _heads(self) -> list[tuple[Place, int | None]]:
        """The places of all heads in their order, each with its length."""
        heads = [place for place, role in self.of_place.items() if role == "heads"]
        return [(place, self.lengths[place]) for place in sorted(heads, key=self.order.__getitem__)]


def roles_of(follower: Follower, arrival: Arrival, provenance: Provenance) -> Roles | None:
    """The roles of the axes of an attention's scores; None where keys have no axis of their own."""
    scores, product = follower.scores.operation, arrival.product.operation
    assert isinstance(scores, Contract) and isinstance(product, Contract)
    axes = follower.axes(follower.scores.outputs[0])
    gone, shared = _of_product(follower, arrival, product)
    gone = _of_keys(gone, arrival.state.summed, scores)
    key_is_right = any(scores.result[place[0]] not in scores.left for place in gone)
    query_labels, key_labels = (scores.left, scores.right) if key_is_right else (scores.right, scores.left)
    mixed = _mixed(axes, gone)
    roles: dict[Place, Role] = {}
    free: list[Place] = []
    batch: list[Place] = []
    for at, axis in enumerate(axes):
        label = scores.result[at]
        for number, atom in enumerate(axis):
            place = (at, number)
            data = DATA in atom.tags or STATE in atom.tags
            if place in gone:
                roles[place] = "last"
            elif atom.length == 1:
                roles[place] = "batch"
            elif label in query_labels and label not in key_labels:
                roles[place] = "length" if data or at in mixed else "heads"
                free.append(place)
            else:
                # A cache that the user hands in counts heads too: what parameters were split into are heads.
                roles[place] = "batch" if data and PARAMETER not in atom.tags else "heads"
                batch.append(place)
    if "last" not in roles.values() and not arrival.state.summed:
        return None
    query = follower.scores.inputs[0 if key_is_right else 1]
    of_query = dict(zip(query_labels, provenance.axes(query), strict=True))
    rows = [axis for label, axis in zip(scores.result, axes, strict=True) if label not in key_labels]
    has_row = any(axis and all(atom.length == 1 for atom in axis) for axis in rows)
    of_key = dict(zip(key_labels, provenance.axes(follower.scores.inputs[1 if key_is_right else 0]), strict=True))
    softmaxed = follower.axes(arrival.state.weights or follower.scores.outputs[0])
    in_weights = [atom.place[:2] for axis in softmaxed for atom in axis if atom.place is not None]
    known_from = settle(roles, Unsettled(axes, scores, of_query, of_key, free, batch, in_weights, has_row))
    of_scores = {place: axes[place[0]][place[1]] for place in roles}
    asking = {
        place: _asking(atom, place, of_query.get(scores.result[place[0]], ())) for place, atom in of_scores.items()
    }
    lengths = {place: atom.length for place, atom in of_scores.items()}
    return Roles(roles, order_of(roles, asking, shared), lengths, known_from)


def _asking(atom: Atom, place: Place, axis: Axis) -> Atom:
    """An atom of the scores as the queries have it."""
    number = place[1]
    return axis[number] if number < len(axis) and axis[number].length == atom.length else atom


def asks_within_keys(follower: Follower, arrival: Arrival, roles: Roles, provenance: Provenance) -> bool:
    """Whether what is multiplied with parameters counts queries besides keys: positions that the values do not have.

    So it is in additive attention, where scores are ``v · tanh(q + k)``.
    """
    scores, product = follower.scores.operation, arrival.product.operation
    assert isinstance(scores, Contract) and isinstance(product, Contract)
    side = key_side(follower, roles)
    if provenance.is_data(follower.scores.inputs[1 - side]):
        return False
    _, shared = _of_product(follower, arrival, product)
    others = scores.left if side == 1 else scores.right
    axes = follower.axes(follower.scores.outputs[0])
    places = [
        (at, number)
        for at, axis in enumerate(axes)
        for number, atom in enumerate(axis)
        if scores.result[at] not in others and atom.length != 1 and has_data((atom,))
    ]
    return any(roles.of_place[place] != "last" and place not in shared for place in places)


def _of_product(follower: Follower, arrival: Arrival, product: Contract) -> tuple[set[Place], set[Place]]:
    """Those of the weights that their product with values sums over, and those that the values have too."""
    axes = follower.axes(arrival.product.inputs[arrival.side])
    labels, others = (product.left, product.right) if arrival.side == 0 else (product.right, product.left)
    gone: set[Place] = set()
    shared: set[Place] = set()
    for label, axis in zip(labels, axes, strict=True):
        places = {atom.place[:2] for atom in axis if atom.place is not None}
        if label not in product.result:
            gone |= places
        elif label in others:
            shared |= places
    return gone, shared


def _of_keys(gone: set[Place], softmaxed: frozenset[int], scores: Contract) -> set[Place]:
    """Those that are the keys, of the axes that a product with values sums over: heads may be summed at once."""
    own = {at for at, label in enumerate(scores.result) if (label in scores.left) != (label in scores.right)}
    return {place for place in gone if place[0] in (softmaxed or own)} or gone


def _mixed(axes: Axes, gone: set[Place]) -> set[int]:
    """Query axes partly of features, where keys have such parts too: positions that were made of channels."""
    partly = {at for at, axis in enumerate(axes) if len({has_data((atom,)) for atom in axis if atom.length != 1}) == 2}
    return partly if any(at in partly for at, _ in gone) else set()


def layouts_of(follower: Follower, arrival: Arrival, roles: Roles) -> dict[Kind, Layout] | None:
    """How weights, query, key and value become (batch, heads, length, last); None where an axis has no role."""
    weights = arrival.state.weights
    scores, product = follower.scores.operation, arrival.product.operation
    assert weights is not None and isinstance(scores, Contract) and isinstance(product, Contract)
    of_scores = dict(zip(scores.result, follower.axes(follower.scores.outputs[0]), strict=True))
    own, other = (product.left, product.right) if arrival.side == 0 else (product.right, product.left)
    of_weights = dict(zip(own, follower.axes(arrival.product.inputs[arrival.side]), strict=True))
    found: dict[Kind, Layout | None] = {"weights": roles.layout(follower.axes(weights))}
    is_right = key_side(follower, roles) == 1
    for kind, labels in zip(("query", "key"), _ordered(scores, is_right), strict=True):
        last = frozenset(at for at, label in enumerate(labels) if label not in scores.result)
        axes = tuple(of_scores.get(label, ()) for label in labels)
        found["query" if kind == "query" else "key"] = _as_vectors(roles.layout(axes, last), last)
    last = frozenset(at for at, label in enumerate(other) if label not in own)
    axes = tuple(of_weights.get(label, ()) for label in other)
    found["value"] = _as_vectors(roles.layout(axes, last), last)
    return {kind: layout for kind, layout in found.items() if layout is not None} if found["weights"] else None


def key_side(follower: Follower, roles: Roles) -> int:
    """Which input of the first product is the keys."""
    scores = follower.scores.operation
    assert isinstance(scores, Contract)
    keys = {place[0] for place, role in roles.of_place.items() if role == "last"}
    return 1 if any(scores.result[at] not in scores.left for at in keys) else 0


def _ordered(scores: Contract, key_is_right: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (scores.left, scores.right) if key_is_right else (scores.right, scores.left)


def _as_vectors(layout: Layout | None, last: frozenset[int]) -> Layout | None:
    """Positions of keys are the length of an array of vectors, whose own axis is the last."""
    if layout is None:
        return None
    axes = tuple(
        axis
        if at in last
        else tuple(Part(part.length, "length" if part.role == "last" else part.role) for part in axis)
        for at, axis in enumerate(layout.axes)
    )
    return replace(layout, axes=axes)


def position_tags(axes: Axes, layout: Layout) -> frozenset[str]:
    """Which of the data's axes the positions of an array are counted along."""
    tags = [_of_length(axis, parts) for axis, parts in zip(axes, layout.axes, strict=True)]
    return frozenset(tag for one in tags for tag in one if "." in tag)


def _of_length(axis: Axis, parts: tuple[Part, ...]) -> frozenset[str]:
    return tags_of(axis) if any(part.role == "length" for part in parts) else frozenset()
