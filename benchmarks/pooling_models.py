"""Pooling with learned scores: a softmax over positions that meets data, with no product of query and key behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from handwritten import Shows, from_shown
from model_case import ModelCase, Prepared
from torch import Tensor, nn

from attncore import Inputs

FAMILY = "pooling"
BATCH, LENGTH, DIM, HEADS = 2, 7, 24, 3
NOTE = "no query times key"
_MAKERS: dict[str, Callable[[], Prepared]] = {}


def cases() -> Iterator[ModelCase]:
    """A case for each module below."""
    for name, make in _MAKERS.items():
        yield ModelCase(FAMILY, name, make)


def named(name: str, notes: str = NOTE) -> Callable[[type[Shows]], type[Shows]]:
    """Make a case of a module called with one random sequence."""

    def register(module: type[Shows]) -> type[Shows]:
        _MAKERS[name] = partial(_prepare, module, notes)
        return module

    return register


def _prepare(module: type[Shows], notes: str) -> Prepared:
    return from_shown(module().eval(), Inputs(torch.randn(BATCH, LENGTH, DIM)), notes_contain=notes)


class Scored(Shows):
    """A score for each position."""

    def __init__(self) -> None:
        super().__init__()
        self.score, self.hidden, self.heads = nn.Linear(DIM, 1), nn.Linear(DIM, DIM), nn.Linear(DIM, HEADS)
        self.query = nn.Parameter(torch.randn(DIM))


@named("one score a position, matmul")
class ScorePooling(Scored):
    def forward(self, x: Tensor) -> Tensor:
        p = self.score(torch.tanh(self.hidden(x))).softmax(dim=1)
        self.show(p.transpose(1, 2)[:, None])
        return (p.transpose(1, 2) @ x).squeeze(1)


@named("one score a position, einsum")
class ScorePoolingEinsum(Scored):
    def forward(self, x: Tensor) -> Tensor:
        p = self.score(x).squeeze(-1).softmax(-1)
        self.show(p[:, None, None])
        return torch.einsum("bn,bnd->bd", p, x)


@named("a learned query vector", notes="")
class LearnedQuery(Scored):
    def forward(self, x: Tensor) -> Tensor:
        p = (self.hidden(x) @ self.query).softmax(-1)
        self.show(p[:, None, None])
        return torch.einsum("bn,bnd->bd", p, x)


@named("several scores a position: several learned queries")
class SeveralScores(Scored):
    def forward(self, x: Tensor) -> Tensor:
        p = self.heads(x).softmax(1)
        self.show(p.transpose(1, 2)[:, None])
        return torch.einsum("bnh,bnd->bhd", p, x).flatten(1)
