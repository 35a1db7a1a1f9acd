"""Where queries and keys come from: self or cross, and which dimension counts heads, however a model spells it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn

import attncore

BATCH, LENGTH, HEADS, DIM = 2, 5, 3, 4
WIDTH = HEADS * DIM
Sources = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Spell = Callable[["Attends", nn.Module, Tensor], Tensor]


def usual(model: "Attends", project: nn.Module, x: Tensor) -> Tensor:
    """(batch, heads, length, DIM)."""
    return Attends.heads(project(x))


class Attends(nn.Module):
    """Queries of one tensor, keys of another, both made of what the model is given."""

    def __init__(self, sources: Sources = lambda x, other: (x, x), spell: Spell = usual, sdpa: bool = True) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.sources, self.spell, self.sdpa = sources, spell, sdpa

    @staticmethod
    def heads(x: Tensor) -> Tensor:
        """(batch, heads, length, DIM) from (batch, length, WIDTH)."""
        return x.view(BATCH, -1, HEADS, DIM).transpose(1, 2)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Attention in whatever layout the model has."""
        of_queries, of_keys = self.sources(x, other)
        q, k = self.spell(self, self.q, of_queries), self.spell(self, self.k, of_keys)
        if self.sdpa:
            return F.scaled_dot_product_attention(q, k, k)
        return (q @ k.mT * DIM**-0.5).softmax(-1) @ k


def captured(model: nn.Module, *inputs: Tensor) -> Any:
    """The only layer of a capture."""
    with torch.no_grad():
        trace = attncore.trace(model.eval(), attncore.Inputs(*inputs))
    assert len(trace) == 1
    return trace[0]


SELF: dict[str, Sources] = {
    "norms of their own": lambda x, other: (F.layer_norm(x, (WIDTH,)), F.layer_norm(x, (WIDTH,))),
    "positions added twice": lambda x, other: (x + other, x + other),
    "scaled": lambda x, other: (x * 1.5, x / 2),
    "copies": lambda x, other: (x.clone(), x.detach()),
    "masked": lambda x, other: (x.masked_fill(x > 1, 0.0), x * (x < 1)),
    "views": lambda x, other: (x.view(BATCH, LENGTH, WIDTH), x.transpose(0, 1).transpose(0, 1)),
    "activations": lambda x, other: (F.relu(x), F.relu(x)),
    "dropout": lambda x, other: (F.dropout(x, 0.5, training=False), x),
    "parts put together": lambda x, other: (torch.stack(x.unbind(1), 1), x),
}


@pytest.mark.parametrize("sdpa", [True, False])
@pytest.mark.parametrize("sources", SELF.values(), ids=SELF.keys())
def test_self_attention_of_what_the_model_is_given(sources: Sources, sdpa: bool) -> None:
    """Queries and keys of the same input are self-attention, though each is computed from it anew."""
    x, other = torch.randn(2, BATCH, LENGTH, WIDTH)
    assert captured(Attends(sources, sdpa=sdpa), x, other).kind == "self"


CROSS: dict[str, Sources] = {
    "as given": lambda x, other: (x, other),
    "with the same positions": lambda x, other: (x + x[:, :1], other + x[:, :1]),
    "behind a norm": lambda x, other: (F.layer_norm(x, (WIDTH,)), other),
}


@pytest.mark.parametrize("sdpa", [True, False])
@pytest.mark.parametrize("sources", CROSS.values(), ids=CROSS.keys())
def test_cross_attention_of_what_the_model_is_given(sources: Sources, sdpa: bool) -> None:
    """Queries and keys of two inputs of one length are cross-attention."""
    x, other = torch.randn(2, BATCH, LENGTH, WIDTH)
    assert captured(Attends(sources, sdpa=sdpa), x, other).kind == "cross"


def test_tensors_that_are_queries_and_keys_already() -> None:
    """What is given as queries and keys is self-attention if the lengths say nothing else."""

    class Given(nn.Module):
        def forward(self, q: Tensor, k: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(q, k, k)

    q, k = torch.randn(2, BATCH, HEADS, LENGTH, DIM)
    layer = captured(Given(), q, k)
    assert layer.kind == "self"
    assert layer.weights.shape == (BATCH, HEADS, LENGTH, LENGTH)
    assert captured(Given(), q, k[:, :, 1:]).kind == "cross"


SPELLINGS: dict[str, tuple[Spell, Callable[[Tensor], Tensor]]] = {
    "an activation, heads before the batch": (
        lambda model, project, x: F.silu(project(x)).view(BATCH, -1, HEADS, DIM).permute(2, 0, 1, 3),
        F.silu,
    ),
    "an activation, heads folded into the batch": (
        lambda model, project, x: Attends.heads(torch.tanh(project(x))).flatten(0, 1),
        torch.tanh,
    ),
    "chunks joined before the batch": (
        lambda model, project, x: torch.cat(project(x).chunk(HEADS, -1), 0),
        lambda x: x,
    ),
    "chunks stacked": (lambda model, project, x: torch.stack(project(x).chunk(HEADS, -1), 1), lambda x: x),
    "chunks stacked before the batch": (lambda model, project, x: torch.stack(project(x).split(DIM, -1)), lambda x: x),
    "slices stacked": (
        lambda model, project, x: torch.stack([project(x)[..., i * DIM : (i + 1) * DIM] for i in range(HEADS)], 1),
        lambda x: x,
    ),
    "positions one by one": (
        lambda model, project, x: Attends.heads(torch.stack([project(x[:, i]) for i in range(x.shape[1])], 1)),
        lambda x: x,
    ),
    "batch items one by one": (
        lambda model, project, x: Attends.heads(torch.stack([project(item) for item in x])),
        lambda x: x,
    ),
}


@pytest.mark.parametrize("sdpa", [True, False])
@pytest.mark.parametrize("length", [LENGTH, BATCH, HEADS, DIM, 1])
@pytest.mark.parametrize(("spell", "activation"), SPELLINGS.values(), ids=SPELLINGS.keys())
def test_heads_however_they_are_made(spell: Spell, activation: Any, length: int, sdpa: bool) -> None:
    """The layer is (batch, heads, query, key), and its weights are those of the formula."""
    model, x = Attends(spell=spell, sdpa=sdpa), torch.randn(BATCH, length, WIDTH)
    layer = captured(model, x, x)
    with torch.no_grad():
        q, k = (Attends.heads(activation(one(x))).double() for one in (model.q, model.k))
    assert layer.kind == "self"
    assert layer.weights.shape == (BATCH, HEADS, length, length)
    assert np.abs(np.asarray(layer.weights) - (q @ k.mT * DIM**-0.5).softmax(-1).numpy()).max() <= 1e-6
    assert np.abs(np.asarray(layer.query) - q.numpy()).max() <= 1e-6
    assert np.abs(np.asarray(layer.key) - k.numpy()).max() <= 1e-6


@pytest.mark.parametrize("sdpa", [True, False])
def test_a_projection_for_each_head(sdpa: bool) -> None:
    """Heads that are projected one by one and stacked are heads, as those of frames are not."""

    class Projections(nn.ModuleList):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([one(x) for one in self], 1)

    model = Attends(spell=lambda model, project, x: project(x), sdpa=sdpa)
    model.q, model.k = (Projections(nn.Linear(WIDTH, DIM) for _ in range(HEADS)) for _ in range(2))
    x = torch.randn(BATCH, LENGTH, WIDTH)
    layer = captured(model, x, x)
    with torch.no_grad():
        q, k = model.q(x).double(), model.k(x).double()
    assert np.abs(np.asarray(layer.weights) - (q @ k.mT * DIM**-0.5).softmax(-1).numpy()).max() <= 1e-6


@pytest.mark.parametrize("sdpa", [True, False])
def test_frames_one_by_one(sdpa: bool) -> None:
    """Frames that are projected one by one and stacked are of the batch."""
    model = Attends(spell=lambda model, project, x: torch.stack([project(x[:, i]) for i in range(3)], 1), sdpa=sdpa)
    x = torch.randn(BATCH, 3, LENGTH, WIDTH)
    assert captured(model, x, x).weights.shape == (BATCH * 3, 1, LENGTH, LENGTH)


@pytest.mark.parametrize("sdpa", [True, False])
@pytest.mark.parametrize("move", [lambda t: t.flip(2), lambda t: t.roll(1, 2), lambda t: torch.roll(t, 1)])
def test_positions_in_another_order_are_reported(move: Any, sdpa: bool) -> None:
    """Queries and keys that were turned round or shifted are not in the order of the tokens."""
    model = Attends(spell=lambda model, project, x: move(Attends.heads(project(x))), sdpa=sdpa).eval()
    x = torch.randn(BATCH, LENGTH, WIDTH)
    with torch.no_grad(), pytest.raises(attncore.NoAttentionError, match="not in token order"):
        attncore.trace(model, attncore.Inputs(x, x))


def test_the_largest_scores_put_back_are_reported() -> None:
    """A softmax over the largest scores alone, scattered to their places, is not passed over in silence."""

    class Largest(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            scores = x @ x.mT
            largest, places = scores.topk(2, -1)
            return torch.zeros_like(scores).scatter(-1, places, largest.softmax(-1)) @ x

    with pytest.raises(attncore.NoAttentionError, match="not seen multiplied with values"):
        attncore.trace(Largest(), torch.randn(BATCH, LENGTH, WIDTH))


@pytest.mark.parametrize("spell", [lambda s, t: s.masked_fill(s < t, -torch.inf), lambda s, t: torch.relu(s - t)])
def test_scores_beside_a_threshold_of_sorted_ones(spell: Any) -> None:
    """A threshold that comes from the sorted scores changes nothing of the order of the others."""

    class Threshold(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            scores = x @ x.mT
            return spell(scores, scores.sort(-1, descending=True).values[..., 2:3]).softmax(-1) @ x

    x = torch.randn(BATCH, LENGTH, WIDTH)
    scores = x @ x.mT
    applied = spell(scores, scores.sort(-1, descending=True).values[..., 2:3]).softmax(-1)
    assert np.allclose(np.asarray(captured(Threshold(), x).weights)[:, 0], applied.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "activation",
    [
        F.relu,
        F.relu_,
        F.gelu,
        nn.ReLU(inplace=True),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(F.relu(x), 2),
        lambda x: F.interpolate(x, scale_factor=2.0),
        lambda x: F.adaptive_avg_pool2d(x, 4),
    ],
)
def test_attention_over_channels_behind_an_activation(activation: Any) -> None:
    """Channels stay channels behind an activation or a pooling: attention over them is none over positions."""

    class Channels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 6, 3)

        def forward(self, x: Tensor) -> Tensor:
            channels = activation(self.convolution(x)).flatten(2)
            return (channels @ channels.mT).softmax(-1) @ channels

    with torch.no_grad(), pytest.raises(attncore.NoAttentionError, match="over feature channels"):
        attncore.trace(Channels(), torch.randn(2, 3, 8, 8))


@pytest.mark.parametrize("sdpa", [True, False])
@pytest.mark.parametrize("length", [LENGTH, HEADS])
def test_heads_that_attend_to_each_other_say_so(length: int, sdpa: bool) -> None:
    """Where a model leaves heads in the place of positions, a note says that these are no positions."""
    model = Attends(spell=lambda model, project, x: project(x).view(BATCH, -1, HEADS, DIM), sdpa=sdpa)
    x = torch.randn(BATCH, length, WIDTH)
    layer = captured(model, x, x)
    assert layer.weights.shape == (BATCH * length, 1, HEADS, HEADS)
    assert layer.notes == (
        "queries and keys are parts of one position's features, such as its heads, and no positions",
    )


@pytest.mark.parametrize("sdpa", [True, False])
def test_heads_that_cannot_be_told_say_so(sdpa: bool) -> None:
    """Behind memory that is read with other strides nothing is known of the dimensions, and a note says so."""

    def strided(model: Attends, project: nn.Module, x: Tensor) -> Tensor:
        return torch.as_strided(project(x), (HEADS, BATCH, LENGTH, DIM), (DIM, LENGTH * WIDTH, WIDTH, 1))

    x = torch.randn(BATCH, LENGTH, WIDTH)
    layer = captured(Attends(spell=strided, sdpa=sdpa), x, x)
    assert layer.notes == (
        "which dimension counts the heads could not be seen; the one before the queries is taken for it",
    )
