"""Hand-written attention: the ways to multiply, to normalise and to share keys among heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from handwritten import BATCH, CONTEXT, HEAD_DIM, HEADS, LENGTH, HandWritten, Variants
from torch import Tensor

variants = Variants()
cases = variants.cases
GROUPS = 2


def causal(rows: int, columns: int) -> Tensor:
    """True where attention is allowed."""
    return torch.ones(rows, columns, dtype=torch.bool).tril(columns - rows)


# The products.


@variants("matmul")
@variants("matmul, cross", cross=True)
@variants("matmul, cross of equal lengths", cross=True, same_length=True)
@variants("matmul, one head", heads=1, kv_heads=1)
def by_matmul(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (q @ k.transpose(-1, -2) * model.scale).softmax(-1)
    model.show(p)
    return p @ v


@variants("torch.matmul with keywords and dropout")
def by_keywords(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = F.softmax(input=torch.matmul(input=q, other=k.mT) / 2.0, dim=-1)
    model.show(p)
    return torch.matmul(input=F.dropout(p, 0.1, training=False), other=v)


@variants("matmul, dropout in training", notes="dropout")
def with_dropout(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = torch.softmax((q * model.scale) @ k.transpose(2, 3), dim=3)
    model.show(p)
    return F.dropout(p, 0.2) @ v


@variants("bmm, heads in the batch")
@variants("bmm, heads in the batch, cross", cross=True)
def by_bmm(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (part.reshape(-1, part.shape[2], HEAD_DIM) for part in (q, k, v))
    p = torch.bmm(q, k.transpose(1, 2)).mul(model.scale).softmax(dim=-1)
    model.show(p.view(BATCH, HEADS, *p.shape[1:]))
    return torch.bmm(p, v).view(BATCH, HEADS, -1, HEAD_DIM)


@variants("bmm, batch in the heads")
def by_bmm_heads_first(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (part.transpose(0, 1).reshape(-1, part.shape[2], HEAD_DIM) for part in (q, k, v))
    p = torch.bmm(q, k.transpose(1, 2)).mul(model.scale).softmax(dim=-1)
    model.show(p.view(HEADS, BATCH, *p.shape[1:]).transpose(0, 1))
    return torch.bmm(p, v).view(HEADS, BATCH, -1, HEAD_DIM).transpose(0, 1)


@variants("baddbmm")
def by_baddbmm(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (part.reshape(-1, part.shape[2], HEAD_DIM) for part in (q, k, v))
    empty = torch.empty(1, 1, 1)
    p = torch.baddbmm(empty, q, k.transpose(1, 2), beta=0, alpha=model.scale).softmax(dim=-1)
    model.show(p.view(BATCH, HEADS, *p.shape[1:]))
    return torch.bmm(p, v).view(BATCH, HEADS, -1, HEAD_DIM)


@variants("einsum bhqk")
@variants("einsum bhqk, cross", cross=True)
def by_einsum(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (torch.einsum("bhqd,bhkd->bhqk", q, k) * model.scale).softmax(-1)
    model.show(p)
    return torch.einsum("bhqk,bhkd->bhqd", p, v)


@variants("einsum, other letters and spaces")
def by_einsum_letters(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (torch.einsum("z y i c, z y j c -> z y i j", [q, k]) * model.scale).softmax(-1)
    model.show(p)
    return torch.einsum("zyij,zyjc->zyic", [p, v])


@variants("einsum bqkh")
@variants("einsum bqkh, cross", cross=True)
def by_einsum_heads_last(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    p = (torch.einsum("bqhd,bkhd->bqkh", q, k) * model.scale).softmax(2)
    model.show(p.permute(0, 3, 1, 2))
    return torch.einsum("bqkh,bkhd->bqhd", p, v).transpose(1, 2)


@variants("einsum hbqk")
def by_einsum_heads_first(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (torch.einsum("bhqd,bhkd->hbqk", q, k) * model.scale).softmax(-1)
    model.show(p.transpose(0, 1))
    return torch.einsum("hbqk,bhkd->bhqd", p, v)


@variants("einsum bhkq, key first")
@variants("einsum bhkq, key first, cross", cross=True)
def by_einsum_key_first(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (torch.einsum("bhqd,bhkd->bhkq", q, k) * model.scale).softmax(-2)
    model.show(p.transpose(-1, -2))
    return torch.einsum("bhkq,bhkd->bhqd", p, v)


@variants("einsum with an ellipsis")
def by_einsum_ellipsis(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (torch.einsum("...qd,...kd->...qk", q, k) * model.scale).softmax(-1)
    model.show(p)
    return torch.einsum("...qk,...kd->...qd", p, v)


@variants("matmul, key first")
@variants("matmul, key first, cross", cross=True)
def by_matmul_key_first(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (k @ q.transpose(-1, -2) * model.scale).softmax(-2)
    model.show(p.transpose(-1, -2))
    return p.transpose(-1, -2) @ v


@variants("matmul, key first, values first")
def by_values_first(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (k @ q.mT * model.scale).softmax(dim=2)
    model.show(p.mT)
    return (v.mT @ p).mT


@variants("operator @ on the key's side")
def by_rmatmul(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (q.matmul(k.swapaxes(-1, -2)).multiply(model.scale)).softmax(dim=-1, dtype=torch.float32)
    model.show(p)
    return torch.Tensor.__rmatmul__(v, p)


# Normalising.


@variants("softmax with out=")
def softmax_out(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    with torch.no_grad():
        scores = q @ k.mT * model.scale
        p = torch.softmax(scores, -1, out=scores)
        model.show(p)
        return p @ v


@variants("everything in place")
def in_place(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    with torch.no_grad():
        scores = q @ k.mT
        scores.mul_(model.scale).masked_fill_(~causal(LENGTH, LENGTH), -torch.inf)
        scores.sub_(scores.amax(-1, keepdim=True)).exp_()
        scores.div_(scores.sum(-1, keepdim=True))
        model.show(scores)
        return scores @ v


@variants("weights overwritten after their use")
def overwritten(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    with torch.no_grad():
        p = (q @ k.mT * model.scale).softmax(-1)
        model.show(p)
        out = p @ v
        p.zero_()
        q.zero_()
        k.fill_(1.0)
        return out


@variants("exp and sum by hand")
def by_exp(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.mT * model.scale
    e = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
    p = e / e.sum(dim=-1, keepdim=True)
    model.show(p)
    return p @ v


@variants("exp of log_softmax")
def by_log_softmax(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (q @ k.mT * model.scale).log_softmax(-1).exp()
    model.show(p)
    return p @ v


@variants("exp minus logsumexp")
def by_logsumexp(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k)
    p = (scores - scores.logsumexp(-1, keepdim=True)).exp()
    model.show(p)
    return torch.einsum("bhqk,bhkd->bhqd", p, v)


@variants("F.normalize of exp")
def by_normalize(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = F.normalize((q @ k.mT * model.scale).exp(), p=1.0, dim=-1)
    model.show(p)
    return p @ v


@variants("softmax in another type")
def in_double(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = F.softmax(q @ k.mT * model.scale, dim=-1, dtype=torch.float64).type_as(q)
    model.show(p)
    return p @ v


# Fused kernels.


@variants("sdpa")
@variants("sdpa, cross", cross=True)
@variants("sdpa, one head", heads=1, kv_heads=1)
def by_sdpa(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    model.show_softmax(q @ k.mT * model.scale)
    return F.scaled_dot_product_attention(q, k, v)


@variants("sdpa, causal")
@variants("sdpa, causal, other lengths", cross=True)
def by_sdpa_causal(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    # PyTorch aligns its causal mask with the upper left corner, whatever the lengths.
    allowed = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
    model.show_softmax((q @ k.mT * model.scale).masked_fill(~allowed, -torch.inf))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@variants("sdpa, bool mask and scale", cross=True)
def by_sdpa_mask(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    allowed = causal(LENGTH, CONTEXT)
    allowed[:, 0] = True
    model.show_softmax((q @ k.mT * 0.3).masked_fill(~allowed, -torch.inf))
    return F.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=allowed, scale=0.3)


@variants("sdpa, float mask per head")
def by_sdpa_bias(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    bias = model.per_head.view(1, HEADS, 1, 1) * torch.arange(LENGTH)
    model.show_softmax(q @ k.mT * model.scale + bias)
    return F.scaled_dot_product_attention(q, k, v, bias)


@variants("sdpa, heads in the batch")
def by_sdpa_three(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    model.show_softmax(q @ k.mT * model.scale)
    q, k, v = (part.flatten(0, 1) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).unflatten(0, (BATCH, HEADS))


@variants("sdpa, float mask, heads in the batch")
def by_sdpa_three_masked(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    bias = torch.linspace(-2, 2, BATCH * HEADS).view(-1, 1, 1) * torch.arange(LENGTH)
    model.show_softmax(q @ k.mT * model.scale + bias.view(BATCH, HEADS, 1, LENGTH))
    q, k, v = (part.flatten(0, 1) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias).unflatten(0, (BATCH, HEADS))


@variants("sdpa, grouped", kv_heads=GROUPS)
def by_sdpa_grouped(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    model.show_softmax(q @ k.repeat_interleave(HEADS // GROUPS, 1).mT * model.scale)
    return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)


# Heads that share keys.


@variants("grouped einsum bhgqk", kv_heads=GROUPS)
def grouped(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q = q.view(BATCH, GROUPS, HEADS // GROUPS, LENGTH, HEAD_DIM)
    p = (torch.einsum("bhgqd,bhkd->bhgqk", q, k) * model.scale).softmax(-1)
    model.show(p.flatten(1, 2))
    return torch.einsum("bhgqk,bhkd->bhgqd", p, v).flatten(1, 2)


@variants("grouped matmul, five dimensions", kv_heads=GROUPS)
def grouped_matmul(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q = q.unflatten(1, (GROUPS, HEADS // GROUPS))
    p = (q @ k.unsqueeze(2).mT * model.scale).softmax(-1)
    model.show(p.flatten(1, 2))
    return (p @ v.unsqueeze(2)).flatten(1, 2)


@variants("grouped, queries of a group in the rows", kv_heads=GROUPS)
def grouped_rows(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q = q.reshape(BATCH, GROUPS, HEADS // GROUPS * LENGTH, HEAD_DIM)
    p = (q @ k.mT * model.scale).softmax(-1)
    model.show(p.view(BATCH, HEADS, LENGTH, LENGTH))
    return (p @ v).view(BATCH, HEADS, LENGTH, HEAD_DIM)


@variants("grouped, repeat_interleave", kv_heads=GROUPS)
def repeated(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    k, v = (part.repeat_interleave(HEADS // GROUPS, dim=1) for part in (k, v))
    return by_matmul(model, q, k, v)


@variants("grouped, expand and reshape", kv_heads=GROUPS)
def expanded(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    k, v = (part[:, :, None].expand(-1, -1, HEADS // GROUPS, -1, -1).flatten(1, 2) for part in (k, v))
    return by_sdpa(model, q, k, v)


@variants("one key head, broadcast", kv_heads=1)
def multi_query(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return by_matmul(model, q, k, v)


@variants("one key head, sdpa", kv_heads=1)
def multi_query_sdpa(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return by_sdpa(model, q, k.expand(-1, HEADS, -1, -1), v.expand(-1, HEADS, -1, -1))


@variants("one key head, einsum bhqd,bkd", kv_heads=1)
def multi_query_einsum(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = (torch.einsum("bhqd,bkd->bhqk", q, k[:, 0]) * model.scale).softmax(-1)
    model.show(p)
    return torch.einsum("bhqk,bkd->bhqd", p, v[:, 0])


@variants("one key head, heads in the rows", kv_heads=1)
def multi_query_rows(model: HandWritten, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    rows = q.reshape(BATCH, HEADS * LENGTH, HEAD_DIM)
    p = torch.bmm(rows, k[:, 0].mT).mul(model.scale).softmax(-1)
    model.show(p.view(BATCH, HEADS, LENGTH, LENGTH))
    return torch.bmm(p, v[:, 0]).view(BATCH, HEADS, LENGTH, HEAD_DIM)
