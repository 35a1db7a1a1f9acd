"""Attention as people write it by hand: one small module, and what every variant has in common.

Each variant is a function ``(model, query, key, value) -> output`` on (batch, heads, length, head_dim). It shows its
weights to `HandWritten.show`, which keeps them only in the run that makes the reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from model_case import ModelCase, Prepared
from torch import Tensor, nn

from attncore import Inputs

# All sizes differ, so that no two dimensions can be taken for one another.
BATCH, HEADS, LENGTH, CONTEXT, HEAD_DIM = 2, 6, 7, 5, 4
FAMILY = "hand-written"
Mix = Callable[["HandWritten", Tensor, Tensor, Tensor], Tensor]


class Shows(nn.Module):
    """A module that shows its weights, (batch, heads, query, key), to whoever asked for them."""

    seen: list[Tensor] | None = None

    def show(self, weights: Tensor) -> None:
        """Keep the weights if this is the run for the reference."""
        if self.seen is not None:
            self.seen.append(weights.detach().double().clone())

    def show_softmax(self, scores: Tensor) -> None:
        """The weights of these scores, where a fused kernel gives none."""
        if self.seen is not None:
            self.show(scores.detach().double().softmax(-1))


class HandWritten(Shows):
    """Projections, a way to mix, an output projection; what some variants need besides are parameters of it."""

    def __init__(self, mix: Mix, kv_heads: int = HEADS, cross: bool = False, heads: int = HEADS) -> None:
        super().__init__()
        dim = heads * HEAD_DIM
        self.mix, self.heads, self.kv_heads, self.cross = mix, heads, kv_heads, cross
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(dim, kv_heads * HEAD_DIM)
        self.v_proj = nn.Linear(dim, kv_heads * HEAD_DIM)
        self.out_proj = nn.Linear(dim, dim)
        self.scale = 1 / math.sqrt(HEAD_DIM)
        self.per_head = nn.Parameter(torch.randn(heads))
        self.table = nn.Parameter(torch.randn(heads, 2 * LENGTH - 1))
        self.before = nn.Parameter(torch.randn(heads, heads))
        self.after = nn.Parameter(torch.randn(heads, heads))
        self.latents = nn.Parameter(torch.randn(3, dim))
        self.mixing = nn.Conv2d(heads, heads, 1)
        self.head_linear = nn.Linear(heads, heads)
        self.norm = nn.LayerNorm(HEAD_DIM)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        source = x if context is None else context
        query = self.split(self.q_proj(x), self.heads)
        key, value = (self.split(proj(source), self.kv_heads) for proj in (self.k_proj, self.v_proj))
        mixed = self.mix(self, query, key, value)
        return self.out_proj(mixed.transpose(1, 2).reshape(mixed.shape[0], -1, self.heads * HEAD_DIM))

    @staticmethod
    def split(x: Tensor, heads: int) -> Tensor:
        """(batch, length, heads * head_dim) as (batch, heads, length, head_dim)."""
        return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


@dataclass(frozen=True)
class Variant:
    """One way to write attention, and what the module around it needs."""

    name: str
    mix: Mix
    kv_heads: int = HEADS
    heads: int = HEADS
    cross: bool = False
    same_length: bool = False
    notes: str = ""

    def prepare(self) -> Prepared:
        """The module with its reference."""
        model = HandWritten(self.mix, self.kv_heads, self.cross, self.heads).eval()
        inputs = [torch.randn(BATCH, LENGTH, self.heads * HEAD_DIM)]
        if self.cross:
            inputs.append(torch.randn(BATCH, LENGTH if self.same_length else CONTEXT, self.heads * HEAD_DIM))
        kind = "cross" if self.cross else "self"
        return from_shown(model, Inputs(*inputs), notes_contain=self.notes, kind=kind)


def from_shown(model: Shows, inputs: Inputs, *, kind: str = "", **fields: Any) -> Prepared:
    """A prepared case whose references are what the model shows in a run of its own."""
    shown: list[Tensor] = []
    modules = [module for module in model.modules() if isinstance(module, Shows)]
    for module in modules:
        module.seen = shown
    torch.manual_seed(0)
    with torch.no_grad():
        model(*inputs.args, **inputs.kwargs)
    for module in modules:
        module.seen = None
    kinds = [kind] * len(shown) if kind else ()
    return Prepared(model, inputs, [weights.numpy() for weights in shown], kinds=kinds, **fields)


class Variants:
    """Collects variants under the names their decorator gives."""

    def __init__(self) -> None:
        self.all: list[Variant] = []

    def __call__(self, name: str, **needs: Any) -> Callable[[Mix], Mix]:
        def register(mix: Mix) -> Mix:
            self.all.append(Variant(name, mix, **needs))
            return mix

        return register

    def cases(self) -> Iterator[ModelCase]:
        """A case for each."""
        for variant in self.all:
            yield ModelCase(FAMILY, variant.name, partial(variant.prepare))
