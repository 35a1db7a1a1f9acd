"""Positions that a model puts in another order before its layers: the input's labels are not theirs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - what everybody calls it

import attncore

WIDTH, HEADS = 8, 2
ORDER = torch.tensor([3, 1, 4, 0, 5, 2])
IDS = torch.arange(12).view(2, 6)
OWN, TOKENS = "tokens_reordered", "tokens"


class Spelled:
    """Spells the token of an id."""

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [f"w{number}" for number in ids]


def by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention in plain operations."""
    return (q @ k.transpose(-1, -2) / np.sqrt(WIDTH // HEADS)).softmax(-1) @ v


class Layer(nn.Module):
    """One layer with a residual; ``turns`` reads its input backwards and turns its result over."""

    def __init__(self, fused: bool = True, turns: bool = False) -> None:
        super().__init__()
        self.project, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.fused, self.turns = fused, turns

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, WIDTH)."""
        x = x.flip(1) if self.turns else x
        parts = self.project(self.norm(x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(q, k, v) if self.fused else by_hand(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x.flip(1) if self.turns else x


class Model(nn.Module):
    """Three layers, with what is done before the first and before the last; to the ids, or to what is made of them."""

    def __init__(
        self,
        first: Callable[[Tensor], Tensor],
        last: Callable[[Tensor], Tensor] = lambda x: x,
        *,
        ids: bool = False,
        fused: bool = True,
        turns: tuple[bool, ...] = (False, False, False),
    ) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(20, WIDTH), nn.Embedding(6, WIDTH)
        self.layers = nn.ModuleList(Layer(fused, turn) for turn in turns)
        self.first, self.last, self.of_ids = first, last, ids

    def forward(self, input_ids: Tensor) -> Tensor:
        """(batch, length, WIDTH) from (batch, length)."""
        ids = self.first(input_ids).view(input_ids.shape) if self.of_ids else input_ids
        x = self.embed(ids) + self.place(torch.arange(6)[None])
        x = x if self.of_ids else self.first(x)
        for number, layer in enumerate(self.layers):
            x = layer(self.last(x) if number == 2 else x)
        return x


def axes_of(model: nn.Module, batch: int = 2) -> list[str]:
    """The axis of each layer; queries and keys have the same."""
    trace = attncore.trace(model.train(False), IDS[:batch], tokens=Spelled())
    assert all(layer.query_axis == layer.key_axis for layer in trace)
    return [layer.query_axis for layer in trace]


def along(x: Tensor, order: Tensor = ORDER) -> Tensor:
    """The order as an index for each feature."""
    return order.view(1, -1, *([1] * (x.dim() - 2))).expand_as(x)


def put(x: Tensor) -> Tensor:
    """Each position written to another place."""
    target = torch.zeros_like(x)
    target[:, ORDER] = x
    return target


# What is done, and what undoes it.
DONE: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "flip": (lambda x: x.flip(1), lambda x: torch.flip(x, dims=[1])),
    "roll": (lambda x: x.roll(2, 1), lambda x: torch.roll(x, shifts=(-2,), dims=(1,))),
    "index": (lambda x: x[:, ORDER], lambda x: x[:, ORDER.argsort()]),
    "list": (lambda x: x[:, ORDER.tolist()], lambda x: x[:, ORDER.argsort().tolist()]),
    "index_select": (lambda x: x.index_select(1, ORDER), lambda x: torch.index_select(x, 1, ORDER.argsort())),
    "gather": (lambda x: x.gather(1, along(x)), lambda x: x.gather(1, along(x, ORDER.argsort()))),
    "take_along_dim": (lambda x: torch.take_along_dim(x, along(x), 1), lambda x: x[:, ORDER.argsort()]),
    "put": (put, lambda x: x[:, ORDER]),
    "scatter": (lambda x: torch.zeros_like(x).scatter(1, along(x), x), lambda x: x[:, ORDER]),
    "index_copy": (lambda x: torch.zeros_like(x).index_copy(1, ORDER, x), lambda x: x[:, ORDER]),
    "index_add_": (lambda x: torch.zeros_like(x).index_add_(1, ORDER, x), lambda x: x[:, ORDER]),
    "index_and_put": (lambda x: put(x).roll(1, 1), lambda x: x.roll(-1, 1)[:, ORDER]),
}


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("name", DONE)
def test_another_order(name: str, ids: bool, fused: bool) -> None:
    """Positions moved before the layers have an axis of their own until they are moved back."""
    do, undo = DONE[name]
    assert axes_of(Model(do, ids=ids, fused=fused)) == [OWN] * 3
    assert torch.equal(undo(do(IDS)), IDS)
    assert axes_of(Model(do, undo, ids=ids, fused=fused)) == [OWN, OWN, TOKENS]


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    "do",
    [
        lambda x: x.flip(1).flip(1),
        lambda x: x.flip(-1),
        lambda x: x.roll(3, -1),
        lambda x: x[:, torch.arange(6)],
        lambda x: x[..., torch.arange(WIDTH).flip(0)],
        lambda x: x[..., torch.arange(6), :],
        lambda x: x + 0.5 * x.roll(1, 1),
        lambda x: x.index_select(1, ORDER).index_select(1, ORDER.argsort()),
        lambda x: torch.zeros_like(x).index_add_(1, ORDER, x[:, ORDER]),
    ],
)
def test_the_same_order(do: Callable[[Tensor], Tensor], batch: int) -> None:
    """Features moved, positions moved forth and back, or a neighbour added: the labels are those of the input."""
    assert axes_of(Model(do), batch) == [TOKENS] * 3


def swap(x: Tensor, rows: int = 2) -> Tensor:
    """Positions read down the columns of a table of them in rows."""
    return x.view(len(x), rows, -1, WIDTH).transpose(1, 2).reshape(x.shape)


SWAPPED: dict[str, Callable[[Tensor], Tensor]] = {
    "view": swap,
    "flatten": lambda x: x.unflatten(1, (3, 2)).permute(0, 2, 1, 3).flatten(1, 2),
    "features first": lambda x: x.mT.reshape(len(x), WIDTH, 2, 3).mT.flatten(2).mT,
}


@pytest.mark.parametrize("do", SWAPPED.values(), ids=SWAPPED)
def test_swapped_by_views(do: Callable[[Tensor], Tensor]) -> None:
    """Positions split in two and joined the other way round are in another order, at any depth."""
    assert axes_of(Model(do, fused=False)) == [OWN] * 3
    assert axes_of(Model(lambda x: x, do)) == [TOKENS, TOKENS, OWN]


def test_swapped_back_by_views() -> None:
    """Only the other way round undoes it; windows beside the batch, and features, are not in another order."""
    assert axes_of(Model(swap, lambda x: swap(x, 3))) == [OWN, OWN, TOKENS]
    assert axes_of(Model(swap, swap)) == [OWN, OWN, "tokens_2_reordered"]
    assert axes_of(Model(swap, lambda x: swap(x.flip(1), 3))) == [OWN, OWN, "tokens_2_reordered"]
    halves = lambda x: x.unflatten(-1, (2, 4)).mT.flatten(-2)  # noqa: E731
    windows = lambda x: F.relu(x.unflatten(1, (2, 3)).transpose(1, 2).flatten(0, 1))  # noqa: E731
    back = lambda x: windows(x).unflatten(0, (-1, 3)).transpose(1, 2).flatten(1, 2)  # noqa: E731
    for do in (back, halves, lambda x: x.view(len(x), 2, 3, WIDTH).flatten(1, 2)):
        assert axes_of(Model(do)) == [TOKENS] * 3
        assert axes_of(Model(swap, do)) == [OWN] * 3


START = torch.zeros(2, 2, WIDTH)
SHIFTED: dict[str, Callable[[Tensor], Tensor]] = {
    "first is last": lambda x: torch.cat([x[:, 1:], x[:, :1]], 1),
    "halves": lambda x: torch.cat(x.chunk(2, 1)[::-1], dim=1),
    "narrowed halves": lambda x: torch.cat([x.narrow(1, 3, 3), x.narrow(1, 0, 3)], 1),
    "even and odd": lambda x: torch.cat([x[:, ::2], x[:, 1::2]], 1),
    "one later": lambda x: torch.cat([START[:, :1], x[:, :-1]], 1),
    "padded": lambda x: F.pad(x, (0, 0, 1, -1)),
    "padded and cut": lambda x: F.pad(x, (0, 0, 1, 0))[:, :-1],
    "a prefix, cut": lambda x: torch.cat([START, F.layer_norm(x, (WIDTH,))], 1)[:, :6],
}


@pytest.mark.parametrize("do", SHIFTED.values(), ids=SHIFTED)
def test_as_many_positions_and_others(do: Callable[[Tensor], Tensor]) -> None:
    """What is cut off on one side and filled up on the other has not the labels of the input, at any depth."""
    assert axes_of(Model(do)) == [OWN] * 3
    assert axes_of(Model(lambda x: x, do)) == [TOKENS, TOKENS, OWN]


KEPT: dict[str, Callable[[Tensor], Tensor]] = {
    "split and joined": lambda x: torch.cat(x.split(2, 1), 1),
    "first apart": lambda x: torch.cat([x[:, :1], F.layer_norm(x[:, 1:], (WIDTH,)) * 2], 1),
    "a prefix taken off": lambda x: torch.cat([START, x], 1)[:, 2:],
    "prompts in place of some": lambda x: torch.cat([x[:, :1], START, x[:, 3:]], 1),
    "padded behind": lambda x: F.pad(x, (0, 0, 0, 2))[:, :6],
    "padded around": lambda x: F.pad(x, (0, 0, 2, 2))[:, 2:-2],
    "there and back": lambda x: F.pad(F.pad(x, (0, 0, 1, -1)), (0, 0, -1, 1)),
    "the one before added": lambda x: 0.5 * x + 0.5 * F.pad(x, (0, 0, 1, -1)),
    "the one before in some features": lambda x: torch.cat([F.pad(x[..., :4], (0, 0, 1, -1)), x[..., 4:]], -1),
}


@pytest.mark.parametrize("do", KEPT.values(), ids=KEPT)
def test_positions_where_they_were(do: Callable[[Tensor], Tensor]) -> None:
    """Parts joined as they were, or lengthened and cut again, keep their labels."""
    assert axes_of(Model(do)) == [TOKENS] * 3
    assert axes_of(Model(lambda x: x, do)) == [TOKENS] * 3


def test_two_moves_are_not_one_undone() -> None:
    """An order, then a flip of something else, or the same order again, is not the input's."""
    for second in (lambda x: x.flip(1), lambda x: x[:, ORDER], lambda x: x.roll(1, 1)):
        assert axes_of(Model(lambda x: x[:, ORDER], second)) == [OWN, OWN, "tokens_2_reordered"]


@pytest.mark.parametrize("fused", [True, False])
def test_a_later_block(fused: bool) -> None:
    """Blocks after the first may be given another order, or make one themselves; what they give is not the first's."""
    same = lambda x: x  # noqa: E731
    assert axes_of(Model(same, lambda x: x.flip(1), fused=fused)) == [TOKENS, TOKENS, OWN]
    assert axes_of(Model(same, fused=fused, turns=(False, True, False))) == [TOKENS, OWN, TOKENS]
    assert axes_of(Model(same, fused=fused, turns=(True, False, False))) == [OWN, TOKENS, TOKENS]
    assert axes_of(Model(lambda x: x.flip(1), lambda x: x.flip(1), fused=fused)) == [OWN, OWN, TOKENS]


def test_what_is_said() -> None:
    """Such an axis counts places, has no padding, and the layer has a note; its weights are those applied."""
    model = Model(lambda x: x, lambda x: x.flip(1)).train(False)
    trace = attncore.trace(model, {"input_ids": IDS}, tokens=Spelled())
    assert trace.axes[TOKENS].labels[1] == tuple(f"w{number}" for number in IDS[1].tolist())
    assert trace.axes[OWN].labels == (tuple(f"place {place}" for place in range(6)),) * 2
    assert not trace[0].notes
    assert any("another order" in note for note in trace[2].notes)
    x = model.embed(IDS) + model.place(torch.arange(6)[None])
    layer = model.layers[2]
    x = layer.norm(model.layers[1](model.layers[0](x)).flip(1))
    q, k, _ = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in layer.project(x).chunk(3, -1))
    expected = (q @ k.transpose(-1, -2) / np.sqrt(WIDTH // HEADS)).softmax(-1)
    assert np.allclose(trace[2].weights, expected.detach().numpy(), atol=1e-6)


def test_labels_by_a_list() -> None:
    """A bare list is for the axis in the input's order; where there is none, it must be said that it is not meant."""
    words = list("abcdef")
    trace = attncore.trace(Model(lambda x: x, lambda x: x.flip(1)), IDS[:1], tokens=words)
    assert trace.axes[TOKENS].labels == (tuple(words),)
    assert trace.axes[OWN].labels[0][0] == "place 0"
    model = Model(lambda x: x.flip(1))
    with pytest.raises(attncore.TokenError, match=r'another order.*"tokens_reordered"'):
        attncore.trace(model, IDS[:1], tokens=words)
    trace = attncore.trace(model, IDS[:1], tokens={OWN: words[::-1]})
    assert trace.axes[OWN].labels == (tuple(words[::-1]),)


class Crossed(nn.Module):
    """Queries in order that attend to a memory read backwards, or the other way round."""

    def __init__(self, side: str) -> None:
        super().__init__()
        self.embed, self.side = nn.Embedding(20, WIDTH), side
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, input_ids: Tensor) -> Any:
        """(batch, length, WIDTH) from (batch, length)."""
        x = self.embed(input_ids)
        first, second = (x.flip(1), x) if self.side == "query" else (x, x.flip(1))
        return self.attention(first, second, second)[0]


@pytest.mark.parametrize("side", ["query", "key"])
def test_one_side(side: str) -> None:
    """Only the axis of what was moved is another one."""
    layer = attncore.trace(Crossed(side).train(False), IDS, tokens=Spelled())[0]
    moved, other = (layer.query_axis, layer.key_axis) if side == "query" else (layer.key_axis, layer.query_axis)
    assert (moved, other) == (OWN, TOKENS)


def test_a_picture_upside_down() -> None:
    """Patches of a picture that the model turns over have no grid; colours in another order do."""

    class Patches(nn.Module):
        def __init__(self, axis: int) -> None:
            super().__init__()
            self.cut, self.layer, self.axis = nn.Conv2d(3, WIDTH, 8, 8), Layer(), axis

        def forward(self, pixels: Tensor) -> Tensor:
            """(batch, patches, WIDTH) from (batch, 3, height, width)."""
            return self.layer(self.cut(pixels.flip(self.axis)).flatten(2).transpose(1, 2))

    for axis, name, grid in ((2, "image_reordered", None), (3, "image_reordered", None), (1, "image", (4, 6))):
        trace = attncore.trace(Patches(axis).train(False), torch.randn(2, 3, 32, 48))
        assert trace[0].key_axis == name
        assert trace.axes[name].grid == grid
