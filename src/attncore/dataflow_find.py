"""Finds the attention in a graph: a softmax of one product that is an operand of another.

From every softmax (or exp) back to the products its scores are made of, then from each of these forward to the product
with the values. Nothing is known of architectures or names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from attncore.dataflow import Contract, Elementwise, Graph, Node, Opaque, Region, Value
from attncore.dataflow_missed import is_of_data, lost_on_the_way, weighed_otherwise
from attncore.dataflow_positions import are_features, is_anchor, moves_of_positions, sources_of
from attncore.dataflow_products import join_products
from attncore.dataflow_provenance import Provenance, has_data, parameters_of
from attncore.dataflow_roles import Roles, asks_within_keys, key_side, layouts_of, roles_of
from attncore.dataflow_scoring import steps_between
from attncore.dataflow_sites import Findings, Kind, Layout, OpaqueKernel, Rejection, Site, before_dropping
from attncore.dataflow_stages import Follower
from attncore.dataflow_state import CHANGED, DEFERRED, Arrival

_LEARNED_KEYS = "a softmax over learned vectors, not over positions of the input, as in a router or a memory"
_FEATURES = "attention over features that parameters made (channels or heads), not over positions of the input"
_BLOCKS = (
    "an online softmax, put together from blocks of keys one after the other, so that no row of weights ever exists"
)
_UNUSED = "query times key and a softmax, but its result was not seen multiplied with values"
_LOST = "values weighed by a softmax of query times key that is not over the keys, or moved about in between"
_NO_PRODUCT = "values weighed by a softmax whose scores are no product of query and key (additive attention)"
_BACKWARD = "a softmax of products met others in a backward pass alone, as that of a contrastive loss does"
_RECOMPUTED = "an attention of a backward pass, as one that is computed again to save memory"
_BARE = "query times key met values without a softmax (linear attention, or normalised afterwards)"
_NO_AXES = "the axes of its weights could not be told apart"
_LEARNED_QUERIES = "the queries are learned, not positions of the input"


def find_attention(graph: Graph, repeated: Collection[int] = ()) -> Findings:
    """All attention of a graph, in order of execution, with what looked like it and was rejected.

    Products that are written as a multiplication and a sum are made one node of the graph.

    Args:
        graph: what ran.
        repeated: the places of inputs that the caller gave as more than one argument.
    """
    join_products(graph)
    provenance = Provenance(graph, repeated)
    sites: list[Site] = []
    rejected: list[Rejection] = []
    for nodes, around in _bodies(graph, ()):
        for found in _found_in(nodes, around, provenance):
            if isinstance(found, Site):
                sites.append(found)
            else:
                rejected.append(found)
    order = {node: number for number, (node, _) in enumerate(graph.walk())}
    kernels = [
        OpaqueKernel(node, around)
        for node, around in graph.walk()
        if isinstance(node.operation, Opaque) and node.operation.fused_attention
    ]
    sites.sort(key=lambda site: order[site.product])
    return Findings(tuple(sites), tuple(rejected), tuple(kernels))


def _bodies(graph: Graph, around: tuple[Node, ...]) -> Iterator[tuple[list[Node], tuple[Node, ...]]]:
    yield graph.nodes, around
    for node in graph.nodes:
        if isinstance(node.operation, Region):
            for body in node.operation.bodies:
                yield from _bodies(body, (*around, node))


def _found_in(nodes: list[Node], around: tuple[Node, ...], provenance: Provenance) -> Iterator[Site | Rejection]:
    """The attention of one body: for each product with values, the best of the products its scores are made of."""
    number = {node: at for at, node in enumerate(nodes)}
    scores = {one: None for node in nodes if is_anchor(node) for one in _products_before(node, provenance)}
    arrivals: dict[tuple[Node, int], list[tuple[Follower, Arrival]]] = {}
    unused: list[Node] = []
    bent: list[Node] = []
    # Also what a backward pass applies the weights to: it is of an attention, and none of its own.
    met: set[Node] = set()
    handled: set[Node] = set()
    for one in sorted(scores, key=lambda node: number[node]):
        follower = Follower(one, nodes[number[one] + 1 :], provenance)
        met |= {arrival.product for arrival in follower.arrivals}
        for arrival in _own(follower.arrivals):
            arrival = _whole_or_piece(follower, arrival, provenance)
            arrivals.setdefault((arrival.product, arrival.side), []).append((follower, arrival))
        is_unused = not follower.arrivals and follower.has_weights
        handled |= {one} if follower.arrivals or is_unused or follower.bent else set()
        if is_of_data(one, provenance) and not one.backward and not follower.arrivals:
            unused += [one] if is_unused else []
            bent += [] if is_unused else follower.bent[:1]
    met.update(bent)
    scopes: set[object] = set()
    applied: dict[Value, list[object]] = {}
    for several in arrivals.values():
        for follower, arrival, count in _chosen(several, provenance):
            found = _site(follower, arrival, count, around, provenance)
            scopes.add(arrival.product.scope)
            if isinstance(found, Rejection) or not _is_applied_again(found, applied, provenance):
                yield found
    for one, reason in [*((one, _UNUSED) for one in unused), *((one, _BARE) for one in bent)]:
        yield Rejection(one, around, reason)
    for product in weighed_otherwise(nodes, met, provenance):
        yield Rejection(product, around, _NO_PRODUCT)
    for product in lost_on_the_way(nodes, {*met, *handled}, provenance):
        yield Rejection(product, around, _LOST)
    for one in nodes:
        # The backward pass of an attention has such products too.
        if one not in scores and one.scope not in scopes and not one.backward and is_of_data(one, provenance):
            yield from (
                Rejection(product, around, _BARE)
                for product in Follower(one, nodes[number[one] + 1 :], provenance).bare[:1]
                if product not in met
            )


def _own(arrivals: list[Arrival]) -> list[Arrival]:
    """Those of the attention itself, where a backward pass applies what it computes from the weights too."""
    known: dict[tuple[Node, Value | None], Arrival] = {}
    for arrival in arrivals:
        known.setdefault((arrival.product, arrival.state.weights), arrival)
    several = list(known.values())
    for is_own in (
        lambda one: not one.product.backward,
        lambda one: one.state.stage == "weights",
        lambda one: CHANGED not in one.state.notes,
    ):
        several = [one for one in several if is_own(one)] or several
    return several


def _is_applied_again(site: Site, applied: dict[Value, list[object]], provenance: Provenance) -> bool:
    """Whether the same weights meet further values of the same layer: tangents, or what positions add to values."""
    names, known = site.parameters["value"], applied.setdefault(site.weights, [])
    again = names in known or (bool(known) and (site.value is None or not provenance.is_data(site.value)))
    known.append(names)
    return again


def _whole_or_piece(follower: Follower, arrival: Arrival, provenance: Provenance) -> Arrival:
    """The arrival, with its own piece of the weights where nothing tells what the axes of the whole are."""
    piece, roles = arrival.state.piece, roles_of(follower, arrival, provenance)
    if piece is None or roles is None or arrival.state.is_changed or layouts_of(follower, arrival, roles) is not None:
        return arrival
    return replace(arrival, state=piece)


def _products_before(anchor: Node, provenance: Provenance) -> Iterator[Node]:
    """The products that a softmax's scores are made of, those behind a mixing of heads too."""
    waiting, seen = [anchor.inputs[0]], set()
    while waiting:
        value = waiting.pop()
        node = value.node
        if value in seen or node is None:
            continue
        seen.add(value)
        if isinstance(node.operation, Contract):
            yield node
            is_mixing = provenance.is_data(node.inputs[0]) != provenance.is_data(node.inputs[1])
            if is_mixing:
                data = node.inputs[0] if provenance.is_data(node.inputs[0]) else node.inputs[1]
                waiting += _nearby(data)
        elif not isinstance(node.operation, Region | Opaque):
            waiting += node.inputs


def _nearby(value: Value) -> list[Value]:
    """A value that heads may be mixed of: at most a few steps behind a product, so that layers stay apart."""
    steps = 0
    one = value
    while one.node is not None and len(one.node.inputs) >= 1 and steps < 12:
        if isinstance(one.node.operation, Contract):
            return [one]
        one = one.node.inputs[1] if one.node.operation == Elementwise("select") else one.node.inputs[0]
        steps += 1
    return []


def _chosen(several: list[tuple[Follower, Arrival]], provenance: Provenance) -> Iterator[tuple[Follower, Arrival, int]]:
    """One for each softmax result: the product of two data, if there is one, with how many there are."""
    by_weights: dict[Value | None, list[tuple[Follower, Arrival]]] = {}
    for follower, arrival in several:
        by_weights.setdefault(arrival.state.weights, []).append((follower, arrival))
    for found in by_weights.values():
        of_data = [one for one in found if is_of_data(one[0].scores, provenance)]
        follower, arrival = (of_data or found)[0]
        yield follower, arrival, len(of_data or found)


def _has_learned_keys(follower: Follower, roles: Roles, query: Value, key: Value, provenance: Provenance) -> bool:
    """Whether the softmax is over vectors that were learned, whatever asks for them."""
    if not provenance.is_data(key):
        return True
    atoms = [atom for axis in follower.axes(follower.scores.outputs[0]) for atom in axis]
    keys_counted = any(has_data((atom,)) for atom in atoms if roles.role(atom) == "last")
    return not keys_counted and not provenance.is_data(query)


def _parameters(query: Value, key: Value, value: Value, provenance: Provenance) -> dict[str, tuple[str, ...]]:
    """The parameters behind each operand, which tell where the layer is."""
    found = {role: parameters_of(one, provenance) for role, one in (("query", query), ("key", key), ("value", value))}
    if not provenance.is_data(query) and (found["key"] or found["value"]):
        found["query"] = ()  # what was learned in place of a query is not where the layer is
    return found


def _reason_against(
    follower: Follower, arrival: Arrival, roles: Roles, layouts: dict[Kind, Layout], provenance: Provenance
) -> str | None:
    """Why what was found is no attention of queries to the keys of an input; None where it is one."""
    if arrival.state.blocks:
        return _BLOCKS
    if asks_within_keys(follower, arrival, roles, provenance):
        return _NO_PRODUCT
    key_input = key_side(follower, roles)
    query, key = follower.scores.inputs[1 - key_input], follower.scores.inputs[key_input]
    if _has_learned_keys(follower, roles, query, key, provenance):
        return _LEARNED_KEYS
    return _FEATURES if are_features(query, key, layouts, provenance) else None


def _site(
    follower: Follower, arrival: Arrival, count: int, around: tuple[Node, ...], provenance: Provenance
) -> Site | Rejection:
    product, state = arrival.product, arrival.state
    if product.backward:
        return Rejection(product, around, _RECOMPUTED if follower.scores.backward else _BACKWARD)
    roles = roles_of(follower, arrival, provenance)
    layouts = None if roles is None else layouts_of(follower, arrival, roles)
    if roles is None or layouts is None or state.weights is None:
        return Rejection(product, around, _NO_AXES)
    key_input = key_side(follower, roles)
    query, key = follower.scores.inputs[1 - key_input], follower.scores.inputs[key_input]
    value = product.inputs[1 - arrival.side]
    reason = _reason_against(follower, arrival, roles, layouts, provenance)
    if reason is not None:
        return Rejection(product, around, reason)
    notes = state.notes
    if not provenance.is_data(query):
        notes = (*notes, _LEARNED_QUERIES)
    normalised = state.stage == "weights"
    if not normalised:
        notes = (*notes, DEFERRED)
    plain = count == 1 and normalised and not state.joined and "query" in layouts and "key" in layouts
    query_source, key_source = sources_of(provenance, query, key, layouts, roles)
    query_moves, key_moves = moves_of_positions(query, key, layouts, provenance)
    parameters = _parameters(query, key, value, provenance)
    arrays: dict[Kind, Value] = {"query": query, "key": key, "value": value}
    for kind in arrays.keys() & layouts.keys():
        arrays[kind], layouts[kind] = before_dropping(arrays[kind], layouts[kind])
    return Site(
        weights=state.weights,
        query=arrays["query"] if "query" in layouts and not state.pieced else None,
        key=arrays["key"] if "key" in layouts and not state.joined else None,
        value=arrays["value"] if "value" in layouts else None,
        layouts=layouts,
        product=product,
        scores=follower.scores,
        around=around,
        output=product.outputs[0],
        scoring=steps_between(follower, state.weights, roles) if plain else None,
        normalised=normalised,
        roles_from=roles.known_from,
        notes=notes,
        parameters=parameters,
        scope=product.scope,
        query_source=query_source,
        key_source=key_source,
        query_moves=query_moves,
        key_moves=key_moves,
    )
