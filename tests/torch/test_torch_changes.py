"""What a model does to scores before the softmax and to weights after it is written down, whatever it is called."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn

import attncore

LENGTH, DIM = 5, 8
BIAS, SEEN = torch.linspace(-1, 1, LENGTH), torch.ones(LENGTH, LENGTH).bool().tril()
Change = Callable[[Tensor], Tensor]


class Changes(nn.Module):
    """Attends over (query, key), with a change of the scores and one of the weights; remembers what it applied."""

    def __init__(self, scores: Change = lambda s: s, weights: Change = lambda w: w) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM)
        self.change_scores, self.change_weights = scores, weights
        self.applied = np.zeros(0)

    def forward(self, x: Tensor) -> Tensor:
        """(query, DIM) from (query, DIM)."""
        weights = self.change_weights(torch.softmax(self.change_scores(self.q(x) @ self.k(x).mT), -1))
        self.applied = weights.detach().numpy().copy()
        return weights @ x


def captured(model: Changes) -> Any:
    """The only layer of a capture, whose weights are those applied."""
    with torch.no_grad():
        trace = attncore.trace(model.eval(), torch.randn(LENGTH, DIM))
    assert len(trace) == 1
    assert np.abs(np.asarray(trace[0].weights)[0, 0] - model.applied).max() <= 1e-6
    return trace[0]


def zero_a_column(weights: Tensor) -> Tensor:
    """The first column written over."""
    weights[..., 0] = 0
    return weights


def zero_by_a_view(weights: Tensor) -> Tensor:
    """Every second number written over, by a view of the same memory."""
    weights.view(-1)[::2] = 0
    return weights


CHANGES: dict[str, Change] = {
    "normalize": lambda w: F.normalize(w, p=2.0, dim=-1),
    "pow": lambda w: w**2,
    "sqrt": lambda w: w.sqrt(),
    "clamp": lambda w: w.clamp(min=0.1),
    "threshold": lambda w: F.threshold(w, 0.2, 0.0),
    "lerp": lambda w: torch.lerp(w, torch.zeros_like(w), 0.5),
    "neg": lambda w: -w,
    "tril": lambda w: w.tril(),
    "flip": lambda w: w.flip(-1),
    "roll": lambda w: w.roll(1, -1),
    "layer_norm": lambda w: F.layer_norm(w, (LENGTH,)),
    "softmax": lambda w: w.softmax(-1),
    "hardtanh": lambda w: F.hardtanh(w, 0.0, 0.2),
    "mul, div": lambda w: w * SEEN / (w * SEEN).sum(-1, keepdim=True),
    "written over": zero_a_column,
    "written over ": zero_by_a_view,
}


@pytest.mark.parametrize(("named", "change"), CHANGES.items(), ids=CHANGES.keys())
def test_changes_after_the_softmax(named: str, change: Change) -> None:
    """The weights are those applied, and a note says what the model did."""
    layer = captured(Changes(weights=change))
    assert layer.notes == (f"the model changed the weights after the softmax ({named.strip()})",)


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.double().to(w.dtype),
        lambda w: w.clone().contiguous(),
        lambda w: w.mT.contiguous().mT,
        lambda w: F.dropout(w, 0.5, training=False),
    ],
)
def test_what_is_no_change(change: Change) -> None:
    """Another type, a copy, or dropout that does nothing, is not worth a note."""
    assert captured(Changes(weights=change)).notes == ()


SCALES: dict[str, tuple[Change, float | None]] = {
    "masked, then divided": (lambda s: s.masked_fill(~SEEN, -1e9) / 2, 0.5),
    "biased, then multiplied": (lambda s: (s * 0.5 + BIAS) * 0.5, 0.25),
    "where": (lambda s: torch.where(SEEN, s * 0.5, -1e9), 0.5),
    "by name": (lambda s: torch.mul(input=s, other=0.5), 0.5),
    "negated": (lambda s: -s, -1.0),
    "subtracted from": (lambda s: 1 - s, -1.0),
    "subtracted from, as a function": (lambda s: torch.rsub(s, BIAS), -1.0),
    "subtracted": (lambda s: BIAS - s, -1.0),
    "less its largest": (lambda s: s - s.amax(-1, keepdim=True), 1.0),
    "added with a factor": (lambda s: torch.add(BIAS, s, alpha=0.5), 0.5),
    "something added with a factor": (lambda s: torch.add(s, BIAS, alpha=0.5), 1.0),
    "twice itself": (lambda s: s + s, None),
    "squared": (lambda s: s * s, None),
    "a power": (lambda s: s**2, None),
    "rounded down": (lambda s: torch.div(s, 0.5, rounding_mode="floor"), None),
    "normed": (lambda s: F.layer_norm(s, (LENGTH,)), None),
    "capped": (lambda s: torch.tanh(s / 5) * 5, None),
    "by a tensor": (lambda s: s * torch.tensor(0.5), None),
}


@pytest.mark.parametrize(("change", "scale"), SCALES.values(), ids=SCALES.keys())
def test_the_factor_of_the_scores(change: Change, scale: float | None) -> None:
    """The layer's scale is what query times key is multiplied with, and None where that is not one number."""
    assert captured(Changes(scores=change)).scale == scale


class Residual(nn.Module):
    """Adds the scores, or the weights, of the first attention to those of the second."""

    def __init__(self, scores: bool) -> None:
        super().__init__()
        self.q, self.k = (nn.ModuleList(nn.Linear(DIM, DIM) for _ in range(2)) for _ in range(2))
        self.scores = scores

    def forward(self, x: Tensor) -> Tensor:
        """(query, DIM) from (query, DIM)."""
        before = 0.0
        for query, key in zip(self.q, self.k, strict=True):
            scores = query(x) @ key(x).mT
            if self.scores:
                scores = before + scores
            weights = scores.softmax(-1)
            if not self.scores:
                weights = before + weights
            before = scores if self.scores else weights
            y = weights @ x
        return y


@pytest.mark.parametrize("scores", [True, False])
def test_residual_attention(scores: bool) -> None:
    """Each layer has its own queries and keys, though those before it go into its weights."""
    model, x = Residual(scores).eval(), torch.randn(LENGTH, DIM)
    with torch.no_grad():
        trace = attncore.trace(model, x)
        assert len(trace) == 2
        for layer, query, key in zip(trace, model.q, model.k, strict=True):
            assert np.allclose(np.asarray(layer.query)[0, 0], query(x).numpy())
            assert np.allclose(np.asarray(layer.key)[0, 0], key(x).numpy())
        whole = sum(
            (query(x) @ key(x).mT) if scores else (query(x) @ key(x).mT).softmax(-1)
            for query, key in zip(model.q, model.k, strict=True)
        )
        applied = whole.softmax(-1) if scores else whole
    assert np.allclose(np.asarray(trace[1].weights)[0, 0], applied.numpy(), atol=1e-6)


def test_weights_times_weights() -> None:
    """The product of two softmaxes is what was applied, and says so; it has no queries and keys of its own."""
    layer = captured(Changes(weights=lambda w: w @ w.flip(0).softmax(-1)))
    assert layer.query is None
    assert layer.key is None
    assert layer.notes == ("the model changed the weights after the softmax (multiplied with other weights)",)
