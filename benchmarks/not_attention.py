"""What looks like attention and is not: models in which a capture must find nothing, and say why where it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from model_case import ModelCase, Prepared
from torch import Tensor, nn

from attncore import Inputs

FAMILY = "not attention"
BATCH, LENGTH, DIM, EXPERTS = 2, 7, 24, 5
_MAKERS: dict[str, Callable[[], Prepared]] = {}


def cases() -> Iterator[ModelCase]:
    """A case for each module below."""
    for name, make in _MAKERS.items():
        yield ModelCase(FAMILY, name, make)


def named(name: str, *shape: int, coverage: str = "") -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Make a case of a module called with one random tensor of this shape."""

    def register(module: type[nn.Module]) -> type[nn.Module]:
        _MAKERS[name] = partial(_prepare, module, shape or (BATCH, LENGTH, DIM), coverage)
        return module

    return register


def _prepare(module: type[nn.Module], shape: tuple[int, ...], coverage: str) -> Prepared:
    return Prepared(module().eval(), Inputs(torch.randn(*shape)), coverage_contains=coverage)


class Layers(nn.Module):
    """A few linear layers for any use."""

    support: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.head = nn.Linear(DIM, EXPERTS), nn.Linear(DIM, 11)
        self.q, self.k, self.v, self.out = (nn.Linear(DIM, DIM) for _ in range(4))
        self.experts = nn.ModuleList(nn.Linear(DIM, DIM) for _ in range(EXPERTS))
        self.bank = nn.Parameter(torch.randn(EXPERTS, DIM, DIM))
        self.codes = nn.Parameter(torch.randn(EXPERTS, DIM))
        self.register_buffer("support", torch.linspace(-1, 1, EXPERTS))


@named("softmax classifier")
class Classifier(Layers):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.mean(1)).softmax(-1)


@named("classifier whose probabilities are used")
class UsedClassifier(Layers):
    def forward(self, x: Tensor) -> Tensor:
        return self.gate(x).softmax(-1) @ self.codes


@named("sampling")
class Sampler(Layers):
    def forward(self, x: Tensor) -> Tensor:
        probabilities = F.softmax(self.head(x)[:, -1] / 0.7, dim=-1)
        return torch.multinomial(probabilities, 1)


@named("router, top experts")
class TopRouter(Layers):
    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.gate(x).softmax(-1).topk(2, dim=-1)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-2)
        picked = outputs.gather(-2, chosen[..., None].expand(*chosen.shape, DIM))
        return (weights[..., None] * picked).sum(-2)


@named("router, dense einsum with expert outputs")
class DenseRouter(Layers):
    def forward(self, x: Tensor) -> Tensor:
        outputs = torch.stack([expert(x) for expert in self.experts], dim=1)
        return torch.einsum("bte,betd->btd", self.gate(x).softmax(-1), outputs)


@named("router, dense einsum with a bank of experts")
class BankRouter(Layers):
    def forward(self, x: Tensor) -> Tensor:
        outputs = torch.einsum("btd,edf->btef", x, self.bank)
        return torch.einsum("bte,btef->btf", self.gate(x).softmax(-1), outputs)


@named("router, dense matmul with expert outputs")
class MatmulRouter(Layers):
    def forward(self, x: Tensor) -> Tensor:
        outputs = torch.stack([expert(x) for expert in self.experts], dim=2)
        return (self.gate(x).softmax(-1).unsqueeze(-2) @ outputs).squeeze(-2)


@named("router, dispatch and combine by einsum")
class DispatchRouter(Layers):
    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).softmax(-1)
        tokens = torch.einsum("bte,btd->bed", (weights > 0.2).float(), x)
        outputs = torch.stack([expert(tokens[:, i]) for i, expert in enumerate(self.experts)], dim=1)
        return torch.einsum("bte,bed->btd", weights, outputs)


@named("mixture of outputs by the whole sequence")
class GatedMixture(Layers):
    def forward(self, x: Tensor) -> Tensor:
        gate = self.gate(x.mean(1)).softmax(-1)
        return torch.einsum("be,ebtd->btd", gate, torch.stack([expert(x) for expert in self.experts]))


@named("mixture of softmaxes")
class MixtureOfSoftmaxes(Layers):
    def forward(self, x: Tensor) -> Tensor:
        priors = self.gate(x).softmax(-1)
        each = torch.stack([self.head(expert(x)).softmax(-1) for expert in self.experts], dim=-2)
        return torch.einsum("bte,btev->btv", priors, each)


@named("learned mixture of layers")
class LayerMixture(Layers):
    def __init__(self) -> None:
        super().__init__()
        self.mixture = nn.Parameter(torch.zeros(EXPERTS))

    def forward(self, x: Tensor) -> Tensor:
        outputs = torch.stack([expert(x) for expert in self.experts])
        return torch.tensordot(self.mixture.softmax(0), outputs, dims=1)


@named("learned mixture of layers by einsum")
class LayerMixtureEinsum(LayerMixture):
    def forward(self, x: Tensor) -> Tensor:
        outputs = torch.stack([expert(x) for expert in self.experts])
        return torch.einsum("e,ebtd->btd", self.mixture.softmax(0), outputs)


@named("expected value over a buffer")
class ExpectedValue(Layers):
    def forward(self, x: Tensor) -> Tensor:
        return self.gate(x).softmax(-1) @ self.support


@named("expected value over a buffer, as a matrix")
class ExpectedValueMatrix(Layers):
    def forward(self, x: Tensor) -> Tensor:
        return self.gate(x).softmax(-1) @ self.support[:, None]


@named("expected embedding over a parameter", coverage="parameter")
class ExpectedEmbedding(Layers):
    def forward(self, x: Tensor) -> Tensor:
        scores = self.q(x) @ self.codes.T
        return scores.softmax(-1) @ self.codes


@named("linear attention")
class LinearAttention(Layers):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = F.elu(self.q(x)) + 1, F.elu(self.k(x)) + 1, self.v(x)
        return (q @ (k.mT @ v)) / (q @ k.sum(1, keepdim=True).mT)


@named("linear attention, the square computed", coverage="without a softmax")
class SquareLinearAttention(Layers):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.q(x).relu(), self.k(x).relu(), self.v(x)
        return (q @ k.mT).tril() @ v


@named("linear attention, softmax of queries and keys apart")
class EfficientAttention(Layers):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.q(x).softmax(-1), self.k(x).softmax(1), self.v(x)
        return q @ (k.mT @ v)


@named("linear attention, softmax apart, heads")
class EfficientAttentionHeads(Layers):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (proj(x).view(BATCH, LENGTH, 4, 6).transpose(1, 2) for proj in (self.q, self.k, self.v))
        context = torch.einsum("bhnd,bhne->bhde", k.softmax(-2), v)
        return torch.einsum("bhnd,bhde->bhne", q.softmax(-1), context).transpose(1, 2).flatten(2)


@named("channel attention", coverage="channel")
class ChannelAttention(Layers):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.q(x).mT, self.k(x).mT, self.v(x).mT
        return ((F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(-1) @ v).mT


@named("sigmoid attention", coverage="without a softmax")
class SigmoidAttention(Layers):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.q(x) @ self.k(x).mT) @ self.v(x)


@named("attention by a product and a sum", coverage="not seen multiplied")
class ProductAndSum(Layers):
    def forward(self, x: Tensor) -> Tensor:
        weights = (self.q(x) @ self.k(x).mT).softmax(-1)
        return (weights[..., None] * self.v(x)[:, None]).sum(2)


@named("contrastive loss")
class Contrastive(Layers):
    def forward(self, x: Tensor) -> Tensor:
        one, two = F.normalize(self.q(x[:, 0]), dim=-1), F.normalize(self.k(x[:, 1]), dim=-1)
        return F.cross_entropy(one @ two.T / 0.1, torch.arange(BATCH))


@named("similarities to classes, as in CLIP")
class ZeroShot(Layers):
    def forward(self, x: Tensor) -> Tensor:
        one, two = self.q(x[:, 0]), self.k(x[:, 1])
        return (one @ two.T).softmax(-1)


@named("squeeze and excite", BATCH, DIM, 6, 6)
class SqueezeExcite(Layers):
    def forward(self, x: Tensor) -> Tensor:
        weights = self.q(x.mean((2, 3))).sigmoid()
        return x * weights[..., None, None]


@named("selective kernels, softmax over branches", BATCH, DIM, 6, 6)
class SelectiveKernel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(DIM, DIM, size, padding=size // 2) for size in (1, 3))
        self.score = nn.Linear(DIM, 2 * DIM)

    def forward(self, x: Tensor) -> Tensor:
        each = torch.stack([branch(x) for branch in self.branches], dim=1)
        weights = self.score(each.sum(1).mean((2, 3))).view(BATCH, 2, DIM, 1, 1).softmax(1)
        return (each * weights).sum(1)


@named("dynamic convolution, softmax over kernels")
class DynamicConvolution(Layers):
    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x.mean(1)).softmax(-1)
        kernels = (weights @ self.bank.view(EXPERTS, -1)).view(BATCH, DIM, DIM)
        return x @ kernels


@named("recurrent network")
class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(DIM, DIM, batch_first=True), nn.Linear(DIM, EXPERTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0]).softmax(-1)
