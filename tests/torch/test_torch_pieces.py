"""Weights that a model uses piece by piece, or whose heads were split or folded on the way."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attncore

BATCH, LENGTH, HEADS, DIM = 2, 4, 3, 5


class Attends(nn.Module):
    """Multi-head attention whose weights meet their values in a way of its own."""

    def __init__(self, apply: Callable[..., Tensor], scores: Callable[[Tensor, Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(HEADS * DIM, HEADS * DIM) for _ in range(3))
        self.apply_weights = apply
        self.score = scores or (lambda q, k: q @ k.mT)

    def parts(self, x: Tensor) -> list[Tensor]:
        """Query, key and value, (batch, heads, length, DIM) each."""
        return [one(x).view(BATCH, LENGTH, HEADS, DIM).transpose(1, 2) for one in (self.q, self.k, self.v)]

    def forward(self, x: Tensor) -> Tensor:
        """(batch, heads, length, DIM) from (batch, length, HEADS * DIM)."""
        q, k, v = self.parts(x)
        return self.apply_weights(torch.softmax(self.score(q, k) * DIM**-0.5, -1), v)


def reference(model: Attends, x: Tensor) -> tuple[np.ndarray[Any, Any], ...]:
    """Weights, query and key in float64."""
    with torch.no_grad():
        q, k, _ = (part.double() for part in model.parts(x))
        return (q @ k.mT * DIM**-0.5).softmax(-1).numpy(), q.numpy(), k.numpy()


PIECES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "heads": lambda w, v: torch.stack([w[:, head] @ v[:, head] for head in range(HEADS)], 1),
    "batch items": lambda w, v: torch.stack([w[item] @ v[item] for item in range(BATCH)]),
    "chunks of heads": lambda w, v: torch.cat(
        [one @ two for one, two in zip(w.chunk(3, 1), v.chunk(3, 1), strict=True)], 1
    ),
    "heads unbound": lambda w, v: torch.stack(
        [one @ two for one, two in zip(w.unbind(1), v.unbind(1), strict=True)], 1
    ),
    "halves of the rows": lambda w, v: torch.cat([part @ v for part in w.split(2, 2)], 2),
    "row after row": lambda w, v: torch.cat([w[:, :, row : row + 1] @ v for row in range(LENGTH)], 2),
}


@pytest.mark.parametrize("heads", [None, [2, 0]])
@pytest.mark.parametrize("apply", PIECES.values(), ids=PIECES.keys())
def test_weights_used_piece_by_piece(apply: Any, heads: Any) -> None:
    """They are one attention with all its heads, rows and batch items, and say so."""
    model, x = Attends(apply).eval(), torch.randn(BATCH, LENGTH, HEADS * DIM)
    with torch.no_grad():
        trace = attncore.trace(model, x, heads=heads)
    chosen = heads or list(range(HEADS))
    assert len(trace) == 1
    for held, used in zip((trace[0].weights, trace[0].query, trace[0].key), reference(model, x), strict=True):
        assert np.abs(np.asarray(held) - used[:, chosen]).max() <= 1e-6
    assert trace[0].notes == ("the model uses these weights piece by piece",)


def test_halves_of_the_keys_are_reported() -> None:
    """Halves of the keys with values of their own are not one (query, key) matrix that could be shown."""

    def halves(weights: Tensor, values: Tensor) -> Tensor:
        return weights[..., :2] @ values[:, :, :2] + weights[..., 2:] @ values[:, :, 2:]

    model, x = Attends(halves).eval(), torch.randn(BATCH, LENGTH, HEADS * DIM)
    with torch.no_grad(), pytest.raises(attncore.NoAttentionError, match="split over several products"):
        attncore.trace(model, x)


def test_one_row_is_an_attention_of_its_own() -> None:
    """Where only the first row meets values, only that was applied; its query is not that of all rows."""
    model, x = Attends(lambda w, v: w[:, :, :1] @ v).eval(), torch.randn(BATCH, LENGTH, HEADS * DIM)
    with torch.no_grad():
        layer = attncore.trace(model, x)[0]
    assert np.abs(np.asarray(layer.weights) - reference(model, x)[0][:, :, :1]).max() <= 1e-6
    assert layer.query is None


FOLDED: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "unfolded after the product": (
        lambda q, k: (q.flatten(0, 1) @ k.flatten(0, 1).mT).view(BATCH, HEADS, LENGTH, LENGTH),
        lambda w, v: w @ v,
    ),
    "folded before the use": (
        lambda q, k: q @ k.mT,
        lambda w, v: torch.bmm(w.flatten(0, 1), v.flatten(0, 1)),
    ),
    "by einsum": (
        lambda q, k: torch.einsum("nqd,nkd->nqk", q.flatten(0, 1), k.flatten(0, 1)).unflatten(0, (BATCH, HEADS)),
        lambda w, v: w @ v,
    ),
}


@pytest.mark.parametrize(("scores", "apply"), FOLDED.values(), ids=FOLDED.keys())
def test_heads_folded_on_one_side_of_the_softmax(scores: Any, apply: Any) -> None:
    """Queries and keys have the heads that the weights have, wherever the model folds them into the batch."""
    model, x = Attends(apply, scores).eval(), torch.randn(BATCH, LENGTH, HEADS * DIM)
    with torch.no_grad():
        layer = attncore.trace(model, x)[0]
    for held, used in zip((layer.weights, layer.query, layer.key), reference(model, x), strict=True):
        assert np.abs(np.asarray(held) - used).max() <= 1e-6


def test_sparse_weights_are_reported() -> None:
    """A product of sparse weights is no reason to fail."""
    apply = lambda w, v: torch.bmm(w.flatten(0, 1).to_sparse(), v.flatten(0, 1))  # noqa: E731 - as short as the others
    model, x = Attends(apply).eval(), torch.randn(BATCH, LENGTH, HEADS * DIM)
    with torch.no_grad(), pytest.raises(attncore.NoAttentionError, match="sparse"):
        attncore.trace(model, x)


class ByEinsum(Attends):
    """The dimensions of the scores in any order, with dropout or without."""

    def __init__(self, scores: str, weights: str, rate: float) -> None:
        super().__init__(lambda w, v: w)
        self.scores, self.weights, self.rate = scores, weights, rate

    def forward(self, x: Tensor) -> Tensor:
        """(batch, heads, length, DIM)."""
        q, k, v = self.parts(x)
        s = torch.einsum(f"bhqd,bhkd->{self.scores}", q, k) * DIM**-0.5
        w = torch.dropout(s.softmax(self.scores.index("k")), self.rate, True)
        w = w.permute([self.scores.index(label) for label in self.weights])
        return torch.einsum(f"{self.weights},bhkd->bhqd", w, v)


@pytest.mark.parametrize("rate", [0.0, 0.5])
@pytest.mark.parametrize("weights", ["bhqk", "qhbk", "kbqh"])
@pytest.mark.parametrize("scores", ["bhqk", "bqhk", "khbq", "qkhb", "hbqk"])
def test_dimensions_in_any_order(scores: str, weights: str, rate: float) -> None:
    """Weights before dropout, and their gradient, are (batch, heads, query, key) whatever order the model has."""
    model, x = ByEinsum(scores, weights, rate), torch.randn(BATCH, LENGTH, HEADS * DIM)
    trace = attncore.trace(model, x, grad=True)
    assert np.abs(np.asarray(trace[0].weights) - reference(model, x)[0]).max() <= 1e-6
    assert trace[0].notes == (("dropout is applied after these weights",) if rate else ())
    if not rate:
        loss = torch.randn_like(trace.output)
        (trace.output * loss).sum().backward()
        wanted = (loss @ model.parts(x)[2].mT).detach().numpy()
        assert np.abs(np.asarray(trace[0].weights_grad) - wanted).max() <= 1e-6


def test_dropout_behind_folded_heads() -> None:
    """Heads that are folded in front of the batch after the softmax are told apart before dropout too."""

    def apply(weights: Tensor, values: Tensor) -> Tensor:
        folded = weights.transpose(0, 1).reshape(-1, LENGTH, LENGTH)
        return torch.dropout(folded, 0.5, True) @ values.transpose(0, 1).reshape(-1, LENGTH, DIM)

    model, x = Attends(apply), torch.randn(BATCH, LENGTH, HEADS * DIM)
    layer = attncore.trace(model, x)[0]
    assert np.abs(np.asarray(layer.weights) - reference(model, x)[0]).max() <= 1e-6
    assert layer.notes == ("dropout is applied after these weights",)


def test_the_gradient_of_some_rows_is_refused() -> None:
    """The gradient of the whole softmax is not given for that of the rows that are used."""
    model, x = Attends(lambda w, v: w[:, :, :1] @ v), torch.randn(BATCH, LENGTH, HEADS * DIM)
    trace = attncore.trace(model, x, grad=True)
    trace.output.sum().backward()
    with pytest.raises(attncore.UnavailableError, match="uses a part of its softmax only"):
        np.asarray(trace[0].weights_grad)


def test_weights_made_complex() -> None:
    """Weights that meet complex values are real numbers all the same."""
    model = Attends(lambda w, v: (w.to(torch.complex64) @ torch.complex(v, v)).real)
    x = torch.randn(BATCH, LENGTH, HEADS * DIM)
    layer = attncore.trace(model, x)[0]
    assert np.abs(np.asarray(layer.weights) - reference(model, x)[0]).max() <= 1e-6
    assert layer.value is None
