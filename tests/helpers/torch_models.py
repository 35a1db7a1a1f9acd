"""Tiny PyTorch models whose attention weights are known, and what a capture must leave as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn

LENGTH, DIM, HEADS, VOCABULARY = 6, 24, 4, 20


class TinyAttention(nn.Module):
    """Self-attention by hand or by the fused kernel, causal or not, with fewer key heads if asked."""

    def __init__(self, how: str = "sdpa", kv_heads: int = HEADS, causal: bool = False) -> None:
        super().__init__()
        self.how, self.kv_heads, self.causal = how, kv_heads, causal
        self.q_proj, self.out_proj = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM)
        self.k_proj, self.v_proj = (nn.Linear(DIM, kv_heads * DIM // HEADS) for _ in range(2))
        self.kept: list[Tensor] = []

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value, (batch, heads, length, head_dim), key heads repeated for their group."""
        q, k, v = (
            proj(x).view(*x.shape[:2], -1, DIM // HEADS).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        group = HEADS // self.kv_heads
        return q, k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """What the softmax is of."""
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        if self.causal:
            allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
            scores = scores.masked_fill(~allowed, float("-inf"))
        return scores

    def weights(self, x: Tensor) -> Tensor:
        """The weights in float64."""
        q, k, _ = self.split(x)
        return self.scores(q.double(), k.double()).softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(x)
        if self.how == "sdpa":
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            p = self.scores(q, k).softmax(-1)
            if self.how == "kept":
                p.retain_grad()
                self.kept.append(p)
            mixed = p @ v
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a projection, each added to its input; ``before`` is called first, to make trouble."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.norm, self.attention, self.mlp = nn.LayerNorm(DIM), TinyAttention(**options), nn.Linear(DIM, DIM)
        self.before: Callable[[], None] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.before is not None:
            self.before()
        x = x + self.attention(self.norm(x))
        return x + F.gelu(self.mlp(x))


class Stack(nn.Module):
    """Blocks of attention over hidden states."""

    def __init__(self, depth: int = 2, **options: Any) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(**options) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class Language(nn.Module):
    """A stack over token ids, each output a distribution over the vocabulary."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.embedding, self.stack, self.head = nn.Embedding(VOCABULARY, DIM), Stack(**options), nn.Linear(DIM, 5)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.head(self.stack(self.embedding(input_ids)))


class Picture(nn.Module):
    """A stack over the patches of a picture, with a class token."""

    def __init__(self, patch: int = 8) -> None:
        super().__init__()
        self.patches, self.stack = nn.Conv2d(3, DIM, patch, patch), Stack()
        self.first = nn.Parameter(torch.randn(1, 1, DIM))

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        return self.stack(torch.cat([self.first.expand(len(image), -1, -1), tokens], dim=1))


def hidden(batch: int = 2, length: int = LENGTH) -> Tensor:
    """Random hidden states."""
    return torch.randn(batch, length, DIM)


def token_ids(batch: int = 2, length: int = LENGTH) -> Tensor:
    """Random token ids."""
    return torch.randint(0, VOCABULARY, (batch, length))


def expected(model: nn.Module, *args: Any) -> list[np.ndarray[Any, Any]]:
    """The weights of every attention of one call, by the modules' own formula in float64."""
    found: list[np.ndarray[Any, Any]] = []

    def ask(module: nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(module, TinyAttention)
        found.append(module.weights(given[0]).detach().numpy())

    attentions = [module for module in model.modules() if isinstance(module, TinyAttention)]
    handles = [module.register_forward_pre_hook(ask) for module in attentions]
    with torch.no_grad():
        model(*args)
    for handle in handles:
        handle.remove()
    return found


def assert_weights(layers: Any, references: list[np.ndarray[Any, Any]], tolerance: float = 1e-5) -> None:
    """Every layer has the weights of its reference."""
    layers = list(layers)
    assert len(layers) == len(references), [layer.name for layer in layers]
    for layer, reference in zip(layers, references, strict=True):
        weights = np.asarray(layer.weights, dtype=np.float64)
        assert weights.shape == reference.shape, layer.name
        assert np.abs(weights - reference).max() <= tolerance, layer.name


def state(model: nn.Module) -> dict[str, Any]:
    """Everything a capture might leave behind, in a form that compares."""
    config: Any = getattr(model, "config", None)
    return {
        "attributes": {name: _attributes(module) for name, module in model.named_modules()},
        "hooks": {name: _hooks(module) for name, module in model.named_modules()},
        "global hooks": {name: len(value) for name, value in _global_hooks()},
        "configuration": config.to_dict() if hasattr(config, "to_dict") else None,
        "gradients wanted": [parameter.requires_grad for parameter in model.parameters()],
        "training": [module.training for module in model.modules()],
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "random state": torch.get_rng_state().tolist(),
        "stance": str(torch._dynamo.eval_frame._stance),
        "threads": threading.active_count(),
    }


def _attributes(module: nn.Module) -> dict[str, int]:
    return {name: id(value) for name, value in vars(module).items() if not isinstance(value, bool)}


def _hooks(module: nn.Module) -> dict[str, list[int]]:
    return {
        name: [id(hook) for hook in value.values()] for name, value in vars(module).items() if name.endswith("hooks")
    }


def _global_hooks() -> Iterator[tuple[str, Any]]:
    for name, value in vars(torch.nn.modules.module).items():
        if name.startswith("_global") and hasattr(value, "values"):
            yield name, value


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Assert that the body leaves the model and PyTorch as they were."""
    before = state(model)
    yield
    after = state(model)
    for what, value in before.items():
        assert after[what] == value, f"changes the {what}"
