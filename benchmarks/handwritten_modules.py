"""Hand-written attention in modules of other shapes: no batch, no heads, latents, windows, whole small models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from handwritten import FAMILY, Shows, from_shown
from model_case import ModelCase, Prepared
from torch import Tensor, nn

from attncore import Inputs

BATCH, LENGTH, HEADS, HEAD_DIM = 2, 8, 6, 4
DIM = HEADS * HEAD_DIM


def cases() -> Iterator[ModelCase]:
    """A case for each module below."""
    for name, make in _MAKERS.items():
        yield ModelCase(FAMILY, name, make)


_MAKERS: dict[str, Callable[[], Prepared]] = {}


def named(name: str, *shape: int, kind: str = "self", **arguments: Any) -> Callable[[type[Shows]], type[Shows]]:
    """Make a case of a module called with one random tensor of this shape."""

    def register(module: type[Shows]) -> type[Shows]:
        _MAKERS[name] = partial(_prepare, module, shape or (BATCH, LENGTH, DIM), kind, arguments)
        return module

    return register


def _prepare(module: type[Shows], shape: tuple[int, ...], kind: str, arguments: dict[str, Any]) -> Prepared:
    return from_shown(module(**arguments).eval(), Inputs(torch.randn(*shape)), kind=kind)


class Projected(Shows):
    """Three projections and an output projection."""

    def __init__(self, dim: int = DIM) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(dim, dim) for _ in range(4))
        self.scale = HEAD_DIM**-0.5


@named("no head dimension")
class OneHead(Projected):
    """(batch, length, dim), as in many tutorials."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.to_q(x), self.to_k(x), self.to_v(x)
        p = F.softmax(q @ k.transpose(-2, -1) * self.scale, dim=-1)
        self.show(p[:, None])
        return self.to_out(p @ v)


@named("no batch, no heads", LENGTH, DIM)
class Unbatched(Projected):
    """(length, dim) by itself."""

    def forward(self, x: Tensor) -> Tensor:
        p = torch.softmax(self.to_q(x) @ self.to_k(x).T * self.scale, dim=1)
        self.show(p[None, None])
        return self.to_out(p.mm(self.to_v(x)))


@named("no batch, heads", LENGTH, DIM)
class UnbatchedHeads(Projected):
    """(heads, length, head_dim): the first dimension is not the batch."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (proj(x).view(-1, HEADS, HEAD_DIM).transpose(0, 1) for proj in (self.to_q, self.to_k, self.to_v))
        p = (q @ k.mT * self.scale).softmax(-1)
        self.show(p[None])
        return self.to_out((p @ v).transpose(0, 1).reshape(-1, DIM))


@named("no batch, heads, sdpa", LENGTH, DIM)
class UnbatchedFused(Projected):
    """The same with the fused kernel."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (proj(x).view(-1, HEADS, HEAD_DIM).transpose(0, 1) for proj in (self.to_q, self.to_k, self.to_v))
        self.show_softmax((q @ k.mT * self.scale)[None])
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(0, 1).reshape(-1, DIM))


@named("a batch of one", 1, LENGTH, DIM)
@named("length one", BATCH, 1, DIM)
@named("batch, length and dimension alike", DIM, DIM, DIM)
class Fused(Shows):
    """One projection for query, key and value, taken apart by unbind."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).reshape(*x.shape[:2], 3, HEADS, HEAD_DIM).permute(2, 0, 3, 1, 4).unbind(0)
        p = (q @ k.mT * HEAD_DIM**-0.5).softmax(-1)
        self.show(p)
        return self.out((p @ v).transpose(1, 2).flatten(2))


@named("one projection taken apart by chunk")
@named("one projection taken apart by split, per head", by_head=True)
class Chunked(Shows):
    """Query, key and value beside each other, or beside each other in every head."""

    def __init__(self, by_head: bool = False) -> None:
        super().__init__()
        self.by_head, self.qkv, self.out = by_head, nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.qkv(x)
        if self.by_head:
            q, k, v = mixed.view(*x.shape[:2], HEADS, -1).transpose(1, 2).split(HEAD_DIM, dim=-1)
        else:
            q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in mixed.chunk(3, dim=-1))
        self.show_softmax(q @ k.mT * HEAD_DIM**-0.5)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


@named("sequence first", LENGTH, BATCH, DIM)
class SequenceFirst(Projected):
    """(length, batch, dim), heads folded into the batch as in fairseq."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            proj(x).contiguous().view(-1, BATCH * HEADS, HEAD_DIM).transpose(0, 1)
            for proj in (self.to_q, self.to_k, self.to_v)
        )
        p = torch.bmm(q * self.scale, k.transpose(1, 2)).softmax(-1)
        self.show(p.view(BATCH, HEADS, LENGTH, LENGTH))
        return self.to_out(torch.bmm(p, v).transpose(0, 1).reshape(LENGTH, BATCH, DIM))


@named("a head a module")
class HeadByHead(Shows):
    """A list of one-head attentions whose outputs are joined."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(OneHead() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([head(x) for head in self.heads], dim=-1)


@named("the query of the first token only")
class FirstToken(Projected):
    """What class attention and last-layer shortcuts do."""

    def forward(self, x: Tensor) -> Tensor:
        q = self.to_q(x[:, :1]).view(BATCH, 1, HEADS, HEAD_DIM).transpose(1, 2)
        k, v = (proj(x).view(BATCH, LENGTH, HEADS, HEAD_DIM).transpose(1, 2) for proj in (self.to_k, self.to_v))
        p = (q @ k.mT * self.scale).softmax(-1)
        self.show(p)
        return self.to_out((p @ v).transpose(1, 2).reshape(BATCH, 1, DIM))


@named("the query cut after its projection")
class CutQuery(Projected):
    """All queries are made and the last kept."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            proj(x).view(BATCH, LENGTH, HEADS, HEAD_DIM).transpose(1, 2) for proj in (self.to_q, self.to_k, self.to_v)
        )
        q = q[:, :, -1:]
        self.show_softmax(q @ k.mT * self.scale)
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(BATCH, 1, DIM))


@named("two attentions in one forward", kind="")
class Two(Projected):
    """Self-attention and cross-attention, by hand and fused, in one module."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            proj(x).view(BATCH, LENGTH, HEADS, HEAD_DIM).transpose(1, 2) for proj in (self.to_q, self.to_k, self.to_v)
        )
        p = (q @ k.mT * self.scale).softmax(-1)
        self.show(p)
        self.show_softmax(v @ q.mT * self.scale)
        both = p @ v + F.scaled_dot_product_attention(v, q, k)
        return self.to_out(both.transpose(1, 2).reshape(BATCH, LENGTH, DIM))


@named("query and key are one projection")
class SharedQueryKey(Projected):
    """As Reformer does, without its hashing."""

    def forward(self, x: Tensor) -> Tensor:
        q, v = (proj(x).view(BATCH, LENGTH, HEADS, HEAD_DIM).transpose(1, 2) for proj in (self.to_q, self.to_v))
        p = (q @ q.mT * self.scale).softmax(-1)
        self.show(p)
        return self.to_out((p @ v).transpose(1, 2).reshape(BATCH, LENGTH, DIM))


@named("no projections at all")
class Plain(Shows):
    """Attention of the hidden states themselves."""

    def forward(self, x: Tensor) -> Tensor:
        p = (x @ x.mT).softmax(-1)
        self.show(p[:, None])
        return p @ x


@named("latents ask the tokens", kind="cross")
class Latents(Projected):
    """Learned queries, as in Perceiver, DETR and Q-Former."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(5, DIM))

    def forward(self, x: Tensor) -> Tensor:
        latents = self.latents.expand(BATCH, -1, -1)
        q = self.to_q(latents).view(BATCH, 5, HEADS, HEAD_DIM).transpose(1, 2)
        k, v = (proj(x).view(BATCH, LENGTH, HEADS, HEAD_DIM).transpose(1, 2) for proj in (self.to_k, self.to_v))
        p = (q @ k.mT * self.scale).softmax(-1)
        self.show(p)
        return self.to_out((p @ v).transpose(1, 2).reshape(BATCH, 5, DIM))


@named("low-rank keys and values with shared rotary part")
class LowRank(Shows):
    """Multi-head latent attention: keys and values from a narrow projection, and one rotary key for all heads."""

    def __init__(self) -> None:
        super().__init__()
        self.q_down, self.q_up = nn.Linear(DIM, 9), nn.Linear(9, HEADS * (HEAD_DIM + 2))
        self.kv_down, self.kv_up = nn.Linear(DIM, 10 + 2), nn.Linear(10, HEADS * (HEAD_DIM + 3))
        self.norm, self.out = nn.LayerNorm(10), nn.Linear(HEADS * 3, DIM)

    def forward(self, x: Tensor) -> Tensor:
        q = self.q_up(self.q_down(x)).view(BATCH, LENGTH, HEADS, -1).transpose(1, 2)
        q_plain, q_place = q.split([HEAD_DIM, 2], dim=-1)
        low, place = self.kv_down(x).split([10, 2], dim=-1)
        kv = self.kv_up(self.norm(low)).view(BATCH, LENGTH, HEADS, -1).transpose(1, 2)
        k_plain, v = kv.split([HEAD_DIM, 3], dim=-1)
        shared = place.view(BATCH, 1, LENGTH, 2).expand(-1, HEADS, -1, -1)
        q, k = torch.cat([q_plain, q_place], dim=-1), torch.cat([k_plain, shared], dim=-1)
        self.show_softmax(q @ k.mT * (HEAD_DIM + 2) ** -0.5)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(BATCH, LENGTH, -1))


@named("low-rank, the key's projection absorbed by the query")
class Absorbed(Shows):
    """The other way to compute latent attention: all heads ask the same narrow vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.down = nn.Linear(DIM, DIM), nn.Linear(DIM, 10)
        self.k_up, self.v_up = (nn.Parameter(torch.randn(HEADS, HEAD_DIM, 10)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        q = self.q(x).view(BATCH, LENGTH, HEADS, HEAD_DIM)
        low = self.down(x)
        absorbed = torch.einsum("bqhd,hdr->bqhr", q, self.k_up)
        p = (torch.einsum("bqhr,bkr->bqhk", absorbed, low) * HEAD_DIM**-0.5).softmax(-1)
        self.show(p.transpose(1, 2))
        mixed = torch.einsum("bqhk,bkr->bqhr", p, low)
        return torch.einsum("bqhr,hdr->bqhd", mixed, self.v_up).flatten(2)


@named("a projection of each head by itself", tokens=False)
@named("a projection of each head by itself, after an embedding", tokens=True)
class HeadProjected(Shows):
    """Heads are split from the hidden states first and projected then, as in a tutorial that many have copied."""

    def __init__(self, tokens: bool) -> None:
        super().__init__()
        self.embedding = nn.Linear(DIM, DIM) if tokens else nn.Identity()
        self.q, self.k, self.v = (nn.Linear(HEAD_DIM, HEAD_DIM, bias=False) for _ in range(3))
        self.out = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        split = self.embedding(x).reshape(BATCH, LENGTH, HEADS, HEAD_DIM)
        q, k, v = self.q(split), self.k(split), self.v(split)
        p = torch.softmax(torch.einsum("nqhd,nkhd->nhqk", q, k) / DIM**0.5, dim=3)
        self.show(p)
        return self.out(torch.einsum("nhql,nlhd->nqhd", [p, v]).reshape(BATCH, LENGTH, DIM))


@named("tokens made of features")
class TokensOfFeatures(Projected):
    """A wide vector is cut into tokens beside the others."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(DIM, 3 * DIM)

    def forward(self, x: Tensor) -> Tensor:
        made = self.wide(x.mean(1)).view(BATCH, 3, DIM)
        x = torch.cat([made, x], dim=1)
        q, k, v = (
            proj(x).view(BATCH, -1, HEADS, HEAD_DIM).transpose(1, 2) for proj in (self.to_q, self.to_k, self.to_v)
        )
        p = (q @ k.mT * self.scale).softmax(-1)
        self.show(p)
        return self.to_out((p @ v).transpose(1, 2).flatten(2))
