"""The attention formula of `attncore.scoring` in torch: for weights that are held, on the model's own device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Rows of a causal attention that are computed at a time.
_ROWS = 128


@dataclass(eq=False)
class TorchScoring:
    """What the weights depend on besides query and key; as `attncore.scoring.Scoring`, with tensors."""

    scale: float
    causal: bool = False
    mask: Tensor | None = None
    bias: Tensor | None = None


def probabilities(query: Tensor, key: Tensor, scoring: TorchScoring) -> Tensor:
    """Attention weights (batch, heads, query, key), float32 or float64.

    ``query`` is (batch, heads, query, head_dim) and ``key`` (batch, kv_heads, key, head_dim). A user's autocast, under
    which the model may still be running, does not make this less exact.
    """
    with exactly(query):
        return _probabilities(query, key, scoring)


def exactly(tensor: Tensor) -> torch.autocast:
    """A context in which products on this tensor's device have the type of their operands, whatever autocast is on."""
    return torch.autocast(tensor.device.type, enabled=False)


def _probabilities(query: Tensor, key: Tensor, scoring: TorchScoring) -> Tensor:
    kind = torch.float64 if query.dtype == torch.float64 else torch.float32
    query, key = query.to(kind) * scoring.scale, key.to(kind)
    if scoring.causal and scoring.bias is None and scoring.mask is None and query.shape[2] > _ROWS:
        return _causal(query, key)
    scores = _scores(query, key)
    if scoring.bias is not None:
        scores = _added(scores, scoring.bias)
    if scoring.mask is not None:
        scores = _grown(scores, scoring.mask).masked_fill_(~scoring.mask, -torch.inf)
    if scoring.causal:
        rows, columns = scores.shape[-2:]
        ahead = torch.ones(rows, columns, dtype=torch.bool, device=scores.device).triu_(1)
        scores.masked_fill_(ahead, -torch.inf)
    if scoring.bias is None and scoring.mask is None:
        # Written in place: a fresh array of n x n costs more than filling it.
        return torch.softmax(scores, -1, out=scores)
    empty = scores.amax(-1, keepdim=True) == -torch.inf
    torch.softmax(scores, -1, out=scores)
    return scores.masked_fill_(empty, 0.0) if bool(empty.any()) else scores


def _causal(query: Tensor, key: Tensor) -> Tensor:
    """The same by blocks of rows, each with no more keys than it may see: of a long text that is about half of all."""
    heads, rows = query.shape[1:3]
    batch, columns = max(len(query), len(key)), key.shape[2]
    weights = query.new_zeros(batch, heads, rows, columns)
    for start in range(0, rows, _ROWS):
        stop = min(rows, start + _ROWS)
        scores = _scores(query[:, :, start:stop], key[:, :, :stop])
        corner = scores[..., start:]
        corner.masked_fill_(torch.ones_like(corner[0, 0], dtype=torch.bool).triu_(1), -torch.inf)
        weights[:, :, start:stop, :stop] = torch.softmax(scores, -1, out=scores)
    return weights


def _scores(query: Tensor, key: Tensor) -> Tensor:
    """Query times key, each key head serving its group of query heads."""
    batch, heads, rows, dim = query.shape
    kv_heads = key.shape[1]
    if heads == kv_heads:
        return torch.matmul(query, key.transpose(-1, -2))
    grouped = query.reshape(batch, kv_heads, heads // kv_heads * rows, dim)
    return torch.matmul(grouped, key.transpose(-1, -2)).view(-1, heads, rows, key.shape[-2])


def _grown(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores of one batch item under masks of several are several."""
    shape = torch.broadcast_shapes(scores.shape, mask.shape)
    return scores if scores.shape == shape else scores.expand(shape).contiguous()


def _added(scores: Tensor, bias: Tensor) -> Tensor:
    return _grown(scores, bias).add_(bias.to(scores.dtype))
