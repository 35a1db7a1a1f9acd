"""A packed sequence: several images or documents in one, each attending within itself, as one layer."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn

import attncore

HEADS, DIM = 2, 8


class Packed(nn.Module):
    """Cuts query, key and value into parts of these lengths, and attends within each."""

    def __init__(self, lengths: tuple[int, ...], how: str = "sdpa", causal: bool = False) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(DIM, DIM) for _ in range(3))
        self.lengths, self.how, self.causal = lengths, how, causal

    def heads(self, x: Tensor, layer: nn.Linear) -> Tensor:
        """(batch, heads, length, head_dim)."""
        return layer(x).view(x.shape[0], x.shape[1], HEADS, DIM // HEADS).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, heads, length, head_dim) from (batch, length, DIM)."""
        q, k, v = (self.heads(x, layer) for layer in (self.q, self.k, self.v))
        parts = zip(*(torch.split(each, self.lengths, dim=2) for each in (q, k, v)), strict=True)
        return torch.cat([self.attend(*part) for part in parts], dim=2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """By the kernel, or by hand."""
        if self.how == "sdpa":
            return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return (q @ k.mT * (DIM // HEADS) ** -0.5).softmax(-1) @ v


def reference(model: Packed, x: Tensor) -> np.ndarray[Any, Any]:
    """The weights in float64, (batch, heads, query, key): zero between parts."""
    with torch.no_grad():
        q, k = (model.heads(x, layer).double().numpy() for layer in (model.q, model.k))
    allowed = np.zeros((x.shape[1], x.shape[1]), bool)
    start = 0
    for length in model.lengths:
        allowed[start : start + length, start : start + length] = True
        start += length
    if model.causal:
        allowed &= np.tri(x.shape[1], dtype=bool)
    scores = np.where(allowed, q @ k.swapaxes(-1, -2) / (DIM // HEADS) ** 0.5, -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


@pytest.mark.parametrize("keep", ["qk", "weights"])
@pytest.mark.parametrize(("how", "causal"), [("sdpa", False), ("sdpa", True), ("manual", False)])
@pytest.mark.parametrize("lengths", [(3, 4), (2, 1, 4)])
def test_the_parts_are_one_layer(lengths: tuple[int, ...], how: str, causal: bool, keep: Any) -> None:
    """Block by block along the diagonal, with a note that says so."""
    model, x = Packed(lengths, how, causal).train(False), torch.randn(2, sum(lengths), DIM)
    trace = attncore.trace(model, x, keep=keep)
    assert [layer.shape for layer in trace] == [(2, HEADS, 7, 7)]
    assert any(f"{len(lengths)} parts of one sequence" in note for note in trace[0].notes)
    assert np.abs(np.asarray(trace[0].weights) - reference(model, x)).max() <= 1e-6
    assert trace[0].value is not None
    assert np.asarray(trace[0].value).shape == (2, HEADS, 7, DIM // HEADS)


def test_parts_of_a_layer_that_is_not_kept() -> None:
    """They are one layer then too, so that the numbers of others do not change."""
    with pytest.raises(attncore.SelectionError, match=r"this trace has 1 attention layer"):
        attncore.trace(Packed((3, 4)).train(False), torch.randn(1, 7, DIM), layers="nothing")


class Overlapping(Packed):
    """Attends in windows that share positions: no partition of the sequence."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, heads, 8, head_dim)."""
        q, k, v = (self.heads(x, layer) for layer in (self.q, self.k, self.v))
        windows = [slice(0, 4), slice(2, 6)]
        return torch.cat([self.attend(q[:, :, each], k[:, :, each], v[:, :, each]) for each in windows], dim=2)


def test_blocks_that_share_positions_are_reported() -> None:
    """They are no matrix of the whole sequence, so they are in the coverage and not in the trace."""
    with pytest.raises(attncore.NoAttentionError) as caught:
        attncore.trace(Overlapping(()).train(False), torch.randn(1, 6, DIM))
    assert any("blockwise attention" in entry.reason for entry in caught.value.coverage)
