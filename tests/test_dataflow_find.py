"""The finder on graphs written out by hand, of no framework: what is attention, and what only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

from attncore.dataflow import (
    Broadcast,
    Contract,
    Elementwise,
    Gather,
    Graph,
    Opaque,
    Operation,
    Pad,
    Reduce,
    Reshape,
    Slice,
    Softmax,
    Transpose,
    Value,
    number_of,
)
from attncore.dataflow_find import find_attention
from attncore.dataflow_sites import Site

BATCH, LENGTH, CONTEXT, HEADS, HEAD_DIM = 2, 5, 7, 3, 4
DIM = HEADS * HEAD_DIM
# (batch, heads, query, key) in einsum's letters as numbers.
B, H, Q, K, D = range(5)


class Writer:
    """Writes operations into a graph, each in the scope of the same name."""

    def __init__(self) -> None:
        self.graph = Graph([])

    def data(self, *shape: int) -> Value:
        """An input."""
        value = Value(shape, "float32", "data", f"x{len(self.graph.inputs)}")
        self.graph.inputs = [*self.graph.inputs, value]
        return value

    def add(self, operation: Operation, inputs: list[Value], *shape: int) -> Value:
        """One operation and its output."""
        output = Value(shape, "float32")
        self.graph.add(operation, inputs, [output], scope="attn")
        return output

    def projected(self, x: Value, name: str) -> Value:
        """(batch, length, dim) by a parameter to (batch, heads, length, head_dim)."""
        length = x.shape[1] or 0
        kernel = Value((DIM, DIM), "float32", "parameter", f"attn/{name}/kernel")
        flat = self.add(Contract((0, 1, 2), (2, 3), (0, 1, 3)), [x, kernel], BATCH, length, DIM)
        apart = self.add(Reshape(), [flat], BATCH, length, HEADS, HEAD_DIM)
        return self.add(Transpose((0, 2, 1, 3)), [apart], BATCH, HEADS, length, HEAD_DIM)

    def scores(self, query: Value, key: Value) -> Value:
        """Products of queries and keys."""
        shape = (*query.shape[:3], key.shape[2])
        return self.add(Contract((B, H, Q, D), (B, H, K, D), (B, H, Q, K)), [query, key], *map(int, shape))  # type: ignore[arg-type]

    def number(self, number: float) -> Value:
        """A literal."""
        return Value((), "float32", "constant", constant=np.asarray(number))

    def mixed(self, weights: Value, value: Value) -> Value:
        """Values weighed."""
        shape = (BATCH, HEADS, weights.shape[2] or 0, HEAD_DIM)
        return self.add(Contract((B, H, Q, K), (B, H, K, D), (B, H, Q, D)), [weights, value], *shape)


def attention(writer: Writer, x: Value, source: Value, scale: float = 0.5) -> Value:
    """Scaled dot-product attention."""
    query, key, value = writer.projected(x, "query"), writer.projected(source, "key"), writer.projected(source, "value")
    scores = writer.scores(query, key)
    shape = [int(length or 0) for length in scores.shape]
    scaled = writer.add(Elementwise("mul"), [scores, writer.number(scale)], *shape)
    return writer.mixed(writer.add(Softmax(3), [scaled], *shape), value)


def only_site(writer: Writer) -> Site:
    """The one attention of a graph in which nothing else is."""
    found = find_attention(writer.graph)
    assert not found.rejected
    assert len(found.sites) == 1
    return found.sites[0]


def test_self_attention_is_found_with_its_axes_and_formula() -> None:
    """Heads by the parameters, positions by the data, the scale by its number."""
    writer = Writer()
    x = writer.data(BATCH, LENGTH, DIM)
    attention(writer, x, x)
    site = only_site(writer)
    weights = np.arange(BATCH * HEADS * LENGTH**2).reshape(BATCH, HEADS, LENGTH, LENGTH)
    np.testing.assert_array_equal(site.layouts["weights"].apply(weights), weights)
    assert site.roles_from == "provenance"
    assert site.query_source == site.key_source
    assert site.scoring is not None
    assert site.scoring.scale == 0.5
    assert site.parameters["key"] == ("attn/key/kernel",)
    assert (site.notes, site.normalised, site.scope) == ((), True, "attn")


def test_cross_attention_counts_two_axes() -> None:
    """Queries of one input, keys of another."""
    writer = Writer()
    attention(writer, writer.data(BATCH, LENGTH, DIM), writer.data(BATCH, CONTEXT, DIM))
    site = only_site(writer)
    assert site.query_source != site.key_source


def test_a_sum_of_a_product_of_repeated_arrays_is_a_product() -> None:
    """Queries and keys are the arrays as they were before they were repeated."""
    writer = Writer()
    x = writer.data(BATCH, LENGTH, DIM)
    query, key, value = (writer.projected(x, name) for name in ("query", "key", "value"))
    long = (BATCH, HEADS, LENGTH, LENGTH, HEAD_DIM)
    queries = writer.add(Broadcast((0, 1, 2, None, 3)), [query], BATCH, HEADS, LENGTH, 1, HEAD_DIM)
    keys = writer.add(Broadcast((0, 1, None, 2, 3)), [key], *long)
    scores = writer.add(Reduce("sum", (4,)), [writer.add(Elementwise("mul"), [queries, keys], *long)], *long[:4])
    writer.mixed(writer.add(Softmax(3), [scores], *long[:4]), value)
    site = only_site(writer)
    assert (site.query, site.key, site.value) == (query, key, value)
    assert site.query_source == site.key_source


def test_a_sum_of_masked_exponentials_is_no_product() -> None:
    """What is multiplied with them is repeated, and asks nothing."""
    writer = Writer()
    x, mask = writer.data(BATCH, LENGTH, DIM), writer.data(BATCH, 1, 1, LENGTH)
    query, key, value = (writer.projected(x, name) for name in ("query", "key", "value"))
    shape = (BATCH, HEADS, LENGTH, LENGTH)
    exponentials = writer.add(Elementwise("exp"), [writer.scores(query, key)], *shape)
    masked = [writer.add(Elementwise("mul"), [exponentials, mask], *shape) for _ in range(2)]
    total = writer.add(Reduce("sum", (3,), keepdims=True), [masked[0]], *shape[:3], 1)
    writer.mixed(writer.add(Elementwise("div"), [masked[1], total], *shape), value)
    assert only_site(writer).normalised


def test_an_exp_and_its_sum_are_a_softmax() -> None:
    """Also when the values are mixed before the division, which a note says."""
    writer = Writer()
    x = writer.data(BATCH, LENGTH, DIM)
    query, key, value = (writer.projected(x, name) for name in ("query", "key", "value"))
    scores = writer.scores(query, key)
    shape = (BATCH, HEADS, LENGTH, LENGTH)
    exponentials = writer.add(Elementwise("exp"), [scores], *shape)
    mixed = writer.mixed(exponentials, value)
    total = writer.add(Reduce("sum", (3,), keepdims=True), [exponentials], *shape[:3], 1)
    writer.add(Elementwise("div"), [mixed, total], BATCH, HEADS, LENGTH, HEAD_DIM)
    site = only_site(writer)
    assert not site.normalised
    assert site.notes


@pytest.mark.parametrize("function", ["gelu", "floor"])
def test_an_unknown_step_between_is_followed_and_not_computed(function: str) -> None:
    """Its axes are known, its numbers are not: the weights are held, not recomputed."""
    writer = Writer()
    x = writer.data(BATCH, LENGTH, DIM)
    query, key, value = (writer.projected(x, name) for name in ("query", "key", "value"))
    shape = (BATCH, HEADS, LENGTH, LENGTH)
    bent = writer.add(Elementwise(function), [writer.scores(query, key)], *shape)
    writer.mixed(writer.add(Softmax(3), [bent], *shape), value)
    assert only_site(writer).scoring is None


def test_a_softmax_over_learned_vectors_is_rejected() -> None:
    """A router: its keys are parameters."""
    writer = Writer()
    x = writer.data(BATCH, LENGTH, DIM)
    table = Value((11, DIM), "float32", "parameter", "table")
    scores = writer.add(Contract((0, 1, 2), (3, 2), (0, 1, 3)), [x, table], BATCH, LENGTH, 11)
    weights = writer.add(Softmax(2), [scores], BATCH, LENGTH, 11)
    writer.add(Contract((0, 1, 3), (3, 2), (0, 1, 2)), [weights, table], BATCH, LENGTH, DIM)
    found = find_attention(writer.graph)
    assert not found.sites


def test_scores_that_weigh_nothing_are_rejected_in_words() -> None:
    """A softmax of query by key whose result is only summed."""
    writer = Writer()
    x = writer.data(BATCH, LENGTH, DIM)
    shape = (BATCH, HEADS, LENGTH, LENGTH)
    scores = writer.scores(writer.projected(x, "query"), writer.projected(x, "key"))
    writer.add(Reduce("sum", (3,)), [writer.add(Softmax(3), [scores], *shape)], *shape[:3])
    found = find_attention(writer.graph)
    assert not found.sites
    assert ["not seen multiplied" in one.reason for one in found.rejected] == [True]


def test_additive_attention_is_rejected_in_words() -> None:
    """Scores that are a sum of tanh, as in Bahdanau et al. 2015, are no product."""
    writer = Writer()
    x = writer.data(BATCH, LENGTH, 1, DIM)
    y = writer.data(BATCH, 1, CONTEXT, DIM)
    values = writer.data(BATCH, CONTEXT, DIM)
    both = writer.add(Elementwise("add"), [x, y], BATCH, LENGTH, CONTEXT, DIM)
    bent = writer.add(Elementwise("tanh"), [both], BATCH, LENGTH, CONTEXT, DIM)
    scores = writer.add(Reduce("sum", (3,)), [bent], BATCH, LENGTH, CONTEXT)
    weights = writer.add(Softmax(2), [scores], BATCH, LENGTH, CONTEXT)
    writer.add(Contract((0, 1, 2), (0, 2, 3), (0, 1, 3)), [weights, values], BATCH, LENGTH, DIM)
    found = find_attention(writer.graph)
    assert not found.sites
    assert ["additive" in one.reason for one in found.rejected] == [True]


def test_a_fused_kernel_is_named() -> None:
    """Its weights never exist outside of it."""
    writer = Writer()
    x = writer.data(BATCH, LENGTH, DIM)
    writer.add(Opaque("flash_attention", fused_attention=True), [x, x, x], BATCH, LENGTH, DIM)
    assert [one.node.scope for one in find_attention(writer.graph).opaque] == ["attn"]


def test_number_of_looks_through_casts_and_broadcasts() -> None:
    """And through nothing else."""
    writer = Writer()
    cast = writer.add(Elementwise("cast"), [writer.number(0.25)])
    assert number_of(cast) == 0.25
    assert number_of(writer.add(Elementwise("exp"), [writer.number(0.25)])) is None
    assert number_of(writer.data(1)) is None


def order_after(operation: Operation, *more: Value, length: int = LENGTH) -> tuple[bool, bool]:
    """Whether positions and batch stand in another order after an operation on the states, for queries and for keys."""
    writer = Writer()
    x = writer.data(BATCH, LENGTH, DIM)
    moved = writer.add(operation, [x, *more], BATCH, length, DIM)
    query, key = writer.projected(moved, "query"), writer.projected(x, "key")
    weights = writer.add(Softmax(3), [writer.scores(query, key)], BATCH, HEADS, length, LENGTH)
    writer.add(Contract((B, H, Q, K), (B, H, K, D), (B, H, Q, D)), [weights, key], BATCH, HEADS, length, HEAD_DIM)
    (site,) = find_attention(writer.graph).sites
    return site.query_moves is not None, site.key_moves is not None


KEPT = ((0, 0), (0, 1), (0, 2))
PICKED = Gather((("operand", 0), ("indices", 0), ("operand", 2)))


def places(*numbers: int) -> Value:
    """Known numbers of positions."""
    return Value((len(numbers),), "int32", "constant", constant=np.array(numbers))


@pytest.mark.parametrize(
    ("operation", "more", "length", "is_moved"),
    [
        (Opaque("rev", (KEPT,), turned=frozenset({1})), (), LENGTH, True),
        (Opaque("rev", (KEPT,), turned=frozenset({0})), (), LENGTH, True),
        (Opaque("rev", (KEPT,), turned=frozenset({2})), (), LENGTH, False),
        (Opaque("roll", (KEPT,), rolled=frozenset({1})), (), LENGTH, True),
        (Opaque("sort", (KEPT,), sorted=frozenset({1})), (), LENGTH, True),
        (Opaque("cumsum", (KEPT,)), (), LENGTH, False),
        (Slice((None, (LENGTH - 1, -1, -1), None)), (), LENGTH, True),
        (Slice((None, (1, LENGTH, 1), None)), (), LENGTH - 1, False),
        (PICKED, (places(4, 3, 2, 1, 0),), LENGTH, True),
        (PICKED, (places(0, 1, 2, 3, 4),), LENGTH, False),
        (PICKED, (places(0, 2, 4),), 3, False),
        (PICKED, (places(4, 2),), 2, True),
        (Pad(((0, 0), (1, -1), (0, 0)), 0.0), (), LENGTH, True),
        (Pad(((0, 0), (0, 2), (0, 0)), 0.0), (), LENGTH + 2, False),
        (Pad(((0, 0), (1, 0), (0, 0)), 0.0), (), LENGTH + 1, False),
    ],
    ids=str,
)
def test_the_moves_of_positions_is_known(
    operation: Operation, more: tuple[Value, ...], length: int, is_moved: bool
) -> None:
    """As many as were given, or in another order: labels of the inputs would stand beside others."""
    assert order_after(operation, *more, length=length) == (is_moved, False)
