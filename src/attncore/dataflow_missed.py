"""Products of what a softmax gave with data that no attention explains, so that they are reported."""

from __future__ import annotations

from collections.abc import Iterator

from attncore.dataflow import Contract, Node, Opaque, Region, Value
from attncore.dataflow_positions import is_anchor
from attncore.dataflow_provenance import Provenance
from attncore.dataflow_stages import Follower


def weighed_otherwise(nodes: list[Node], met: set[Node], provenance: Provenance) -> Iterator[Node]:
    """Products of data that a softmax of something else than a product weighs."""
    for number, anchor in enumerate(nodes):
        source = anchor.inputs[0].node if is_anchor(anchor) else None
        if source is None or isinstance(source.operation, Contract | Region | Opaque) or source not in nodes[:number]:
            continue
        for arrival in Follower(source, nodes[nodes.index(source) + 1 :], provenance).arrivals:
            product = arrival.product
            if product not in met and not product.backward and is_of_data(product, provenance):
                met.add(product)
                yield product


def lost_on_the_way(nodes: list[Node], known: set[Node], provenance: Provenance) -> Iterator[Node]:
    """Products of a softmax of data's products, between which something happens that the follower does not know."""
    for number, anchor in enumerate(nodes):
        if not is_anchor(anchor) or anchor.backward:
            continue
        before = _operands_of(anchor.inputs[0])
        if not any(is_of_data(one, provenance) for one in before) or known & before:
            continue
        derived = set(anchor.outputs)
        for node in nodes[number + 1 :]:
            if not derived.intersection(node.inputs) or isinstance(node.operation, Region):
                continue
            if not isinstance(node.operation, Contract):
                derived.update(node.outputs)
            elif node not in known and not node.backward and is_of_data(node, provenance):
                known.add(node)
                yield node
                break


def _operands_of(value: Value) -> set[Node]:
    """The products that a value is made of, whatever lies between."""
    waiting, seen, found = [value], set[Value](), set[Node]()
    while waiting:
        one = waiting.pop()
        if one in seen or one.node is None:
            continue
        seen.add(one)
        if isinstance(one.node.operation, Contract):
            found.add(one.node)
        elif not isinstance(one.node.operation, Region):
            waiting += one.node.inputs
    return found


def is_of_data(node: Node, provenance: Provenance) -> bool:
    """Whether a node is a product of two values that both depend on the input."""
    return isinstance(node.operation, Contract) and all(provenance.is_data(one) for one in node.inputs[:2])
