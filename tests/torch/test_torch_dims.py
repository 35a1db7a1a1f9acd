"""What each dimension is made of is found once for all layers, and still told apart where it is not the same."""

from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor

from attncore.backends._torch_dims import Dims, fresh, size_of
from attncore.backends._torch_follow import follow_rule
from attncore.backends._torch_joins import follow_parts
from attncore.backends._torch_products import Products
from attncore.backends._torch_shapes import RULES
from attncore.backends._torch_tags import Tag, TagTable

BATCH, LENGTH, HEADS, HEAD_DIM = 2, 3, 4, 5
DIM = HEADS * HEAD_DIM


class Layers:
    """Follows the projections of two layers, whose hidden states have the same dimensions."""

    def __init__(self) -> None:
        self.table = TagTable()
        sites: Any = SimpleNamespace(table=self.table)
        self._products = Products(sites, frozenset)
        self.dims: Dims = (*fresh((BATCH, LENGTH), "plain"), *fresh((DIM,), "feature"))

    def hidden_states(self) -> Tensor:
        """(batch, length, features) of a layer."""
        x = torch.randn(BATCH, LENGTH, DIM)
        self.table.set(x, Tag(self.dims, self.table.new_stream()))
        return x

    def projected(self, x: Tensor, width: int = DIM) -> Tensor:
        """What a linear layer makes of them."""
        weight = torch.randn(width, DIM)
        out = F.linear(x, weight)
        self._products.linear(self.table, F.linear, (x, weight), {}, out)
        return out

    def in_heads(self, x: Tensor) -> Tensor:
        """(batch, heads, length, head_dim)."""
        shape = (BATCH, LENGTH, HEADS, HEAD_DIM)
        split = x.view(shape)
        follow_rule(RULES[Tensor.view], self.table, Tensor.view, (x, shape), {}, split)
        out = split.transpose(1, 2)
        follow_rule(RULES[Tensor.transpose], self.table, Tensor.transpose, (split, 1, 2), {}, out)
        return out

    def dims_of(self, tensor: Tensor) -> Dims:
        """What is known of it."""
        tag = self.table.get(tensor)
        assert tag is not None
        assert tag.dims is not None
        return tag.dims


def test_queries_and_keys_of_one_layer_are_different_features() -> None:
    """Of one tensor are the positions; the heads and their numbers are each projection's own."""
    layers = Layers()
    x = layers.hidden_states()
    query, key = (layers.dims_of(layers.in_heads(layers.projected(x))) for _ in range(2))
    assert query[0] == key[0]
    assert query[2] == key[2]
    assert query[1] != key[1]
    assert query[3] != key[3]


def test_the_parts_of_a_fused_projection_are_different_features() -> None:
    """As queries, keys and values are."""
    layers = Layers()
    fused = layers.projected(layers.hidden_states(), 3 * DIM)
    parts = fused.split(DIM, dim=2)
    follow_parts(layers.table, Tensor.split, (fused, DIM), {"dim": 2}, parts)
    heads = [layers.dims_of(layers.in_heads(part))[1] for part in parts]
    assert len({id(dim) for dim in heads}) == 3


def test_layers_alike_have_the_same_dimensions() -> None:
    """They are found again, which is quicker than working them out; of other hidden states they are all the same."""
    layers = Layers()
    one, other = layers.hidden_states(), layers.hidden_states()
    first = [layers.in_heads(layers.projected(one)) for _ in range(2)]
    second = [layers.in_heads(layers.projected(other)) for _ in range(2)]
    for before, after in zip(first, second, strict=True):
        assert layers.dims_of(before) is layers.dims_of(after)
        tags = layers.table.get(before), layers.table.get(after)
        assert tags[0] is not None
        assert tags[1] is not None
        assert tags[0].stream != tags[1].stream


def test_other_lengths_are_other_dimensions() -> None:
    """Nothing is taken for known by its rank alone."""
    layers = Layers()
    x = layers.projected(layers.hidden_states())
    for shape in ((BATCH, LENGTH, HEADS, HEAD_DIM), (BATCH, LENGTH, HEAD_DIM, HEADS), (BATCH * LENGTH, DIM)):
        out = x.view(shape)
        follow_rule(RULES[Tensor.view], layers.table, Tensor.view, (x, shape), {}, out)
        assert tuple(size_of(dim) for dim in layers.dims_of(out)) == shape
