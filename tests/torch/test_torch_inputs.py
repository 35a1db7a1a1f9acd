"""Inputs beside the token ids: their positions are others, even if they are as many."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - what everybody calls it

import attncore

WIDTH = 8
IDS = torch.arange(12).view(2, 6)


class Spelled:
    """Spells the token of an id."""

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [f"w{number}" for number in ids]


def words(ids: Tensor) -> tuple[tuple[str, ...], ...]:
    """The labels of these ids."""
    return tuple(tuple(f"w{number}" for number in row) for row in ids.tolist())


class Layer(nn.Module):
    """Attention with a residual, fused or in plain operations; over ``memory`` where that is given."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.query, self.both, self.out = (nn.Linear(WIDTH, size) for size in (WIDTH, 2 * WIDTH, WIDTH))
        self.fused = fused

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """(batch, length, WIDTH)."""
        q, (k, v) = self.query(x), self.both(x if memory is None else memory).chunk(2, -1)
        q, k, v = (part.unflatten(-1, (2, -1)).transpose(1, 2) for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v) if self.fused else (q @ k.mT).softmax(-1) @ v
        return x + self.out(mixed.transpose(1, 2).flatten(2))


class Two(nn.Module):
    """A source and what attends to it, by modules whose names say nothing."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.embed, self.place, self.kinds = nn.Embedding(20, WIDTH), nn.Embedding(6, WIDTH), nn.Embedding(2, WIDTH)
        self.numbers = nn.Linear(5, WIDTH)
        self.first, self.cross = Layer(fused), Layer(fused)
        self.later = nn.ModuleList(Layer(fused) for _ in range(3))

    def forward(self, src: Tensor, tgt: Tensor, kinds: Tensor | None = None) -> Tensor:
        """(batch, length, WIDTH) from token ids (batch, length) and ids, or numbers (batch, length, 5)."""
        x = self.embed(src) + self.place(torch.arange(6)[None])
        x = self.first(x if kinds is None else self.kinds(kinds) + x)
        y = self.numbers(tgt) if tgt.is_floating_point() else self.embed(tgt)
        y = self.cross(y + self.place(torch.arange(6)[None]), x)
        for layer in self.later:
            y = layer(y)
        return y


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("batch", [1, 2])
def test_two_texts_of_one_length(fused: bool, batch: int) -> None:
    """Each has an axis with labels of its own; the second's is named like its argument."""
    model, src = Two(fused).train(False), IDS[:batch]
    for inputs in ((src, src + 3), {"src": src, "tgt": src + 3}):
        trace = attncore.trace(model, inputs, tokens=Spelled())
        assert [layer.query_axis for layer in trace] == ["tokens", "tgt", "tgt", "tgt", "tgt"]
        assert [layer.key_axis for layer in trace] == ["tokens", "memory", "tgt", "tgt", "tgt"]
        assert trace.axes["tokens"].labels == words(src)
        assert trace.axes["tgt"].labels == words(src + 3)
        assert trace.axes["memory"].labels[0] == tuple("012345")


@pytest.mark.parametrize("fused", [True, False])
def test_numbers_beside_ids(fused: bool) -> None:
    """What is given as numbers has no labels of the ids, nor their padding."""
    model = Two(fused).train(False)
    trace = attncore.trace(model, (IDS, torch.randn(2, 6, 5)), tokens=Spelled())
    assert [layer.query_axis for layer in trace] == ["tokens", "tgt", "tgt", "tgt", "tgt"]
    assert trace.axes["tgt"].labels[0] == tuple("012345")
    assert trace.axes["tokens"].labels == words(IDS)


def test_what_is_added_to_the_text() -> None:
    """Numbers of segments, whatever their name, are no text of their own."""
    trace = attncore.trace(Two(True).train(False), (IDS, IDS + 3, torch.ones_like(IDS)), tokens=Spelled())
    assert list(trace.axes) == ["tokens", "memory", "tgt"]


def test_a_list_of_labels() -> None:
    """It is for the first text, in whichever order they are read."""

    class Backwards(Two):
        def forward(self, tgt: Tensor, src: Tensor, kinds: Tensor | None = None) -> Tensor:
            """As `Two`, given the other way round."""
            return super().forward(src, tgt, kinds)

    trace = attncore.trace(Backwards(True).train(False), (IDS[:1], IDS[:1] + 3), tokens=list("abcdef"))
    assert [layer.query_axis for layer in trace] == ["src", "tokens", "tokens", "tokens", "tokens"]
    assert trace.axes["tokens"].labels == (tuple("abcdef"),)
    assert trace.axes["src"].labels[0] == tuple("012345")


def test_a_picture_beside_a_text() -> None:
    """Through one stack of layers: as many patches as words keep their grid, and no labels of words."""

    class Both(Two):
        def __init__(self) -> None:
            super().__init__(fused=True)
            self.patches = nn.Conv2d(3, WIDTH, 8, 8)

        def forward(self, words: Tensor, pixels: Tensor) -> Any:
            """(batch, length, WIDTH) of each, and of both together."""
            text, picture = self.embed(words), self.patches(pixels).flatten(2).mT
            return self.first(text), self.first(picture), self.first(torch.cat([text, picture], 1))

    trace = attncore.trace(Both().train(False), (IDS, torch.randn(2, 3, 16, 24)), tokens=Spelled())
    assert [layer.key_axis for layer in trace] == ["tokens", "image", "tokens_2"]
    assert trace.axes["tokens_2"].grid is None
    assert trace.axes["image"].grid == (2, 3)
    assert trace.axes["image"].labels[0] == tuple("012345")
    assert trace.axes["tokens"].labels == words(IDS)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_one_encoder_for_two_texts(attention: str) -> None:
    """As of sentences that are compared: each call's axis has the labels of what that call was given."""
    transformers: Any = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2}

    class Compared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = transformers.BertConfig(vocab_size=20, **sizes, attn_implementation=attention)
            self.bert = transformers.BertModel(config)

        def forward(self, one: Tensor, other: Tensor) -> Any:
            """(batch,): how much alike they are."""
            return (self.bert(input_ids=one)[1] * self.bert(input_ids=other)[1]).sum(-1)

    trace = attncore.trace(Compared().train(False), (IDS, IDS + 3), tokens=Spelled())
    assert [layer.key_axis for layer in trace] == ["tokens"] * 3 + ["other"] * 3
    assert trace.axes["tokens"].labels == words(IDS)
    assert trace.axes["other"].labels == words(IDS + 3)
