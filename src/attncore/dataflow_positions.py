"""What attention is about: whether queries and keys count the same positions, and whether they count any."""

from __future__ import annotations

from attncore.dataflow import Elementwise, Node, Softmax, Value
from attncore.dataflow_atoms import FEATURE, PARAMETER
from attncore.dataflow_moves import Moves, moves_of
from attncore.dataflow_provenance import Provenance, ancestors_of, has_data
from attncore.dataflow_roles import Roles, position_tags
from attncore.dataflow_sites import Kind, Layout


def is_anchor(node: Node) -> bool:
    """Whether a node is what a softmax begins with."""
    return isinstance(node.operation, Softmax) or node.operation in (Elementwise("exp"), Elementwise("exp2"))


def are_features(query: Value, key: Value, layouts: dict[Kind, Layout], provenance: Provenance) -> bool:
    """Whether what asks and what is asked are both features, as in attention over channels."""
    for kind, value in (("query", query), ("key", key)):
        if kind not in layouts:
            return False
        parts = zip(provenance.axes(value), layouts[kind].axes, strict=True)
        atoms = [atom for axis, own in parts if any(part.role == "length" for part in own) for atom in axis]
        if not atoms or not all(FEATURE in atom.tags and not has_data((atom,)) for atom in atoms):
            return False
    return True


def sources_of(
    provenance: Provenance, query: Value, key: Value, layouts: dict[Kind, Layout], roles: Roles
) -> tuple[object, object]:
    """What the positions of queries and keys are counted along; the same if they share an axis."""
    if "query" not in layouts or "key" not in layouts:
        return None, None
    of_query = position_tags(provenance.axes(query), layouts["query"])
    of_key = position_tags(provenance.axes(key), layouts["key"])
    if not provenance.is_data(query):
        return "learned", of_key
    shared = of_query & of_key
    if not of_query:
        # One query at a time, as in decoding, has no axis to tell by: it asks what it was made of, too, or others.
        return "the same", "the same" if _inputs_behind(query, provenance) <= _inputs_behind(
            key, provenance
        ) else "another"
    is_data = any(not tag.startswith(PARAMETER) for tag in shared)
    if shared and (is_data or of_query == of_key) and not provenance.are_repeated(shared):
        return "the same", "the same"
    if is_data:
        # Of one array for an encoder and a decoder the axis does not tell, but which attention it went through.
        is_same = _softmaxes_behind(query, provenance) == _softmaxes_behind(key, provenance)
        return "the same", "the same" if is_same else "another"
    if roles.known_from == "convention" and query.shape == key.shape:
        return "the same", "the same"
    return of_query, of_key


def moves_of_positions(
    query: Value, key: Value, layouts: dict[Kind, Layout], provenance: Provenance
) -> tuple[Moves | None, Moves | None]:
    """How the positions of queries and of keys, or the items of their batch, were moved; None where they were not."""
    return _moves(query, layouts.get("query"), provenance), _moves(key, layouts.get("key"), provenance)


def _moves(value: Value, layout: Layout | None, provenance: Provenance) -> Moves | None:
    if layout is None or not provenance.is_data(value):
        return None
    axes = zip(provenance.axes(value), layout.axes, strict=True)
    counted = (axis for axis, own in axes if any(part.role in ("length", "batch") for part in own))
    return moves_of(counted, provenance.length_given)


def _softmaxes_behind(value: Value, provenance: Provenance) -> set[Node]:
    return {one.node for one in ancestors_of(value, provenance) if one.node is not None and is_anchor(one.node)}


def _inputs_behind(value: Value, provenance: Provenance) -> set[Value]:
    """The arrays of the user that a value is made of; a lone number is a place or a step, not what is attended to."""
    return {one for one in ancestors_of(value, provenance) if one.node is None and one.origin == "data" and one.shape}
