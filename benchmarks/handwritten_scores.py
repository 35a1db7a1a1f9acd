"""Hand-written attention: what people do to queries, keys and scores before the softmax, and to weights after it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from handwritten import BATCH, HEAD_DIM, HEADS, LENGTH, HandWritten, Variants
from handwritten_products import by_matmul, by_sdpa, causal
from torch import Tensor

variants = Variants()
cases = variants.cases


# Masks.


@variants("causal by masked_fill")
def masked(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = (q @ k.mT * model.scale).masked_fill(~causal(LENGTH, LENGTH), float("-inf"))
    p = scores.softmax(-1)
    model.show(p)
    return p @ v


@variants("causal by torch.where")
def masked_where(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.mT / math.sqrt(HEAD_DIM)
    p = torch.where(causal(LENGTH, LENGTH), scores, torch.full([], -1e9)).softmax(-1)
    model.show(p)
    return p @ v


@variants("additive mask, rows without a key made zero")
def masked_rows(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    mask = torch.zeros(LENGTH, LENGTH)
    mask[2] = -torch.inf
    p = (q @ k.mT * model.scale + mask).softmax(-1).nan_to_num(0.0)
    model.show(p)
    return p @ v


@variants("sparse top-k")
def sparse(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.mT * model.scale
    smallest = scores.topk(3, dim=-1).values[..., -1:]
    p = scores.masked_fill(scores < smallest, -torch.inf).softmax(-1)
    model.show(p)
    return p @ v


# Positions.


@variants("ALiBi")
def alibi(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    places = torch.arange(LENGTH)
    slopes = 2.0 ** -torch.arange(1, HEADS + 1)
    bias = -(places[:, None] - places).abs() * slopes.view(HEADS, 1, 1)
    p = (q @ k.mT * model.scale + bias).softmax(-1)
    model.show(p)
    return p @ v


@variants("relative bias from a table")
def relative_bias(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    places = torch.arange(LENGTH)
    bias = model.table[:, places[:, None] - places + LENGTH - 1]
    p = (torch.einsum("bhqd,bhkd->bhqk", q, k) + bias).softmax(-1)
    model.show(p)
    return torch.einsum("bhqk,bhkd->bhqd", p, v)


@variants("relative positions, a second product (Shaw)")
def shaw(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    places = torch.arange(LENGTH)
    embedded = model.table[:HEAD_DIM].T[places[:, None] - places + LENGTH - 1]
    scores = torch.matmul(q, k.mT) + torch.einsum("bhqd,qkd->bhqk", q, embedded)
    p = (scores * model.scale).softmax(-1)
    model.show(p)
    return p @ v


@variants("relative positions, shifted (Transformer-XL)")
def shifted(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    by_place = (q + 0.1) @ model.table[:HEAD_DIM, :LENGTH]
    padded = F.pad(by_place, (1, 0)).view(BATCH, HEADS, LENGTH + 1, LENGTH)
    scores = (q + 0.2) @ k.mT + padded[:, :, 1:].reshape(BATCH, HEADS, LENGTH, LENGTH)
    p = (scores * model.scale).softmax(-1)
    model.show(p)
    return p @ v


@variants("relative bias from a small network, indexed")
def network_bias(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    places = torch.arange(LENGTH)
    table = model.head_linear(torch.linspace(-1, 1, 2 * LENGTH - 1)[:, None].expand(-1, HEADS))
    bias = table[places[:, None] - places + LENGTH - 1].permute(2, 0, 1)
    p = (q @ k.mT * model.scale + bias).softmax(-1)
    model.show(p)
    return p @ v


def rotated(x: Tensor) -> Tensor:
    """Rotary positions, halves rotated."""
    angles = torch.arange(x.shape[-2])[:, None] * torch.tensor([1.0, 0.1]).repeat(2)
    first, second = x.chunk(2, dim=-1)
    return x * angles.cos() + torch.cat([-second, first], dim=-1) * angles.sin()


@variants("rotary")
def rotary(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return by_matmul(model, rotated(q), rotated(k), v)


@variants("rotary, cross", cross=True)
def rotary_cross(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return by_matmul(model, rotated(q), rotated(k), v)


@variants("rotary with complex numbers, sdpa")
@variants("rotary with complex numbers, cross of equal lengths", cross=True, same_length=True)
def rotary_complex(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    turns = torch.polar(torch.ones(LENGTH, 2), torch.arange(LENGTH)[:, None] * torch.tensor([1.0, 0.1]))
    q, k = (
        torch.view_as_real(torch.view_as_complex(x.reshape(*x.shape[:-1], 2, 2)) * turns).flatten(-2) for x in (q, k)
    )
    return by_sdpa(model, q, k, v)


@variants("rotary of interleaved pairs")
def rotary_pairs(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    angles = (torch.arange(LENGTH)[:, None] * torch.tensor([1.0, 0.1])).repeat_interleave(2, dim=-1)

    def turn(x: Tensor) -> Tensor:
        other = torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).flatten(-2)
        return x * angles.cos() + other * angles.sin()

    return by_matmul(model, turn(q), turn(k), v)


# Norms and caps.


@variants("query and key normalised by a layer norm")
def normed(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return by_sdpa(model, model.norm(q), model.norm(k), v)


@variants("cosine with a learned temperature")
def cosine(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT
    p = (scores * model.per_head.clamp(max=4.0).exp().view(HEADS, 1, 1)).softmax(-1)
    model.show(p)
    return p @ v


@variants("softcap")
def softcap(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = torch.tanh(q @ k.mT * model.scale / 3.0) * 3.0
    p = scores.masked_fill(~causal(LENGTH, LENGTH), -torch.inf).softmax(-1)
    model.show(p)
    return p @ v


# Sinks.


@variants("sink as a last column, cut off", notes="sink")
def sink(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    column = model.per_head.view(1, HEADS, 1, 1).expand(BATCH, -1, LENGTH, -1)
    p = torch.cat([q @ k.mT * model.scale, column], dim=-1).softmax(-1)[..., :-1]
    model.show(p)
    return p @ v


@variants("sink as a first column, cut off", notes="sink")
def sink_first(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = F.pad(q @ k.mT * model.scale, (1, 0)).softmax(-1)[..., 1:]
    model.show(p)
    return p @ v


@variants("softmax off by one, by hand")
def off_by_one(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    e = (q @ k.mT * model.scale).exp()
    p = e / (1 + e.sum(-1, keepdim=True))
    model.show(p)
    return p @ v


@variants("learned keys and values beside those of the tokens")
def memory(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    learned = model.latents.view(1, 3, HEADS, HEAD_DIM).transpose(1, 2).expand(BATCH, -1, -1, -1)
    k, v = torch.cat([learned, k], dim=2), torch.cat([learned, v], dim=2)
    return by_matmul(model, q, k, v)


# Mixing of heads.


@variants("talking heads by einsum", notes="mixed")
def talking(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = torch.einsum("bhqk,hg->bgqk", q @ k.mT * model.scale, model.before)
    p = scores.softmax(-1)
    model.show(p)
    return torch.einsum("bhqk,hg->bgqk", p, model.after) @ v


@variants("talking heads by a convolution", notes="mixed")
def talking_by_convolution(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = model.mixing(q @ k.mT * model.scale).softmax(-1)
    model.show(p)
    return model.mixing(p) @ v


@variants("talking heads by a linear layer", notes="mixed")
def talking_by_linear(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = model.head_linear((q @ k.mT * model.scale).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    p = scores.softmax(-1)
    model.show(p)
    return model.head_linear(p.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) @ v


@variants("re-attention with a norm", notes="mixed")
def re_attention(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (q @ k.mT * model.scale).softmax(-1)
    model.show(p)
    mixed = torch.einsum("bhij,hg->bgij", p, model.after)
    mixed = F.layer_norm(mixed.movedim(1, -1), (HEADS,)).movedim(-1, 1)
    return torch.einsum("bhij,bhjd->bhid", mixed, v)


@variants("head scales after the softmax", notes="changed the weights")
def scaled_after(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (q @ k.mT * model.scale).softmax(-1)
    p = p * model.per_head.sigmoid().view(HEADS, 1, 1)
    model.show(p)
    return p @ v


@variants("two softmaxes blended", notes="changed the weights")
def blended(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    gate = model.per_head.sigmoid().view(HEADS, 1, 1)
    p = (1 - gate) * (q @ k.mT * model.scale).softmax(-1) + gate * model.table[:, None, :LENGTH].softmax(-1)
    model.show(p)
    return p @ v


@variants("the difference of two softmaxes", notes="changed the weights")
def differential(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    one, two = ((q[..., i : i + 2] @ k[..., i : i + 2].mT).softmax(-1) for i in (0, 2))
    p = one - 0.3 * two
    model.show(p)
    return p @ v


@variants("distances in place of products")
def distances(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (-torch.cdist(q, k) * model.scale).softmax(-1)
    model.show(p)
    return p @ v


@variants("output gated")
def gated(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return by_sdpa(model, q, k, v) * model.per_head.sigmoid().view(HEADS, 1, 1)
