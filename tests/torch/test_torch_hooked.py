"""A module has no hook only when its own code shows that it cannot attend; attention is then named as before."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn

import attncore
from attncore.backends._torch_hooked import ModuleCode

DIM = 8


class FeedForward(nn.Module):
    """What a transformer has most of: projections, an activation, a norm, a sum."""

    def __init__(self, activation: Callable[[Tensor], Tensor] = F.gelu) -> None:
        super().__init__()
        self.up, self.down, self.norm = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM), nn.LayerNorm(DIM)
        self.activation, self.factor = activation, 0.5

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.factor * self.down(self.activation(self.up(x))))


class Around(FeedForward):
    """Attends in the code of a module that is otherwise a feed-forward part."""

    def forward(self, x: Tensor) -> Tensor:
        return (self.up(x) @ self.down(x).mT).softmax(-1) @ self.norm(x)


class ByFunction(FeedForward):
    """Attends in a function outside."""

    def forward(self, x: Tensor) -> Tensor:
        return attend(self.up(x), self.down(x), self.norm(x))


class ByMethod(FeedForward):
    """Attends in a method of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return self.mixed(x)

    def mixed(self, x: Tensor) -> Tensor:
        return attend(self.up(x), self.down(x), self.norm(x))


class ByInnerFunction(FeedForward):
    """Attends in a function inside its forward."""

    def forward(self, x: Tensor) -> Tensor:
        return (lambda q, k, v: (q @ k.mT).softmax(-1) @ v)(self.up(x), self.down(x), self.norm(x))


class ByCallable(FeedForward):
    """Attends in whatever it was given as its activation."""

    def __init__(self) -> None:
        super().__init__(lambda x: attend(x, x, x))


class InsideOfItsChild(FeedForward):
    """Attends in a module inside it, which replaces its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm: Any = Around()


def may_attend(module: nn.Module) -> bool:
    """Whether attention might run in it, by its code."""
    return ModuleCode().may_attend(module)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """By the fused kernel."""
    return F.scaled_dot_product_attention(query, key, value)


ATTENDING = [Around, ByFunction, ByMethod, ByInnerFunction, ByCallable, InsideOfItsChild]


@pytest.mark.parametrize("kind", ATTENDING, ids=lambda kind: kind.__name__)
def test_a_module_that_attends_in_any_way_may_attend(kind: Any) -> None:
    """Its code does more than call layers, or calls what is not known; the attention is named after it."""
    assert may_attend(kind())
    model = nn.ModuleDict({"part": kind()})
    model.forward = lambda x: model["part"](x)
    trace = attncore.trace(model, torch.randn(1, 4, DIM))
    assert [layer.name.split(".")[0] for layer in trace] == ["part"]
    assert np.allclose(np.asarray(trace[0].weights).sum(-1), 1, atol=1e-5)


def test_a_module_that_contains_itself() -> None:
    """Some modules hold a link to the one around them; it is walked once."""
    model = Around()
    model.norm.outer = model
    assert may_attend(model)
    trace = attncore.trace(model, torch.randn(2, 5, DIM))
    assert [layer.module_class for layer in trace] == ["Around"]


def test_a_forward_put_on_a_module_may_attend() -> None:
    """As libraries do that patch a model: the class's code says nothing about it."""
    module = FeedForward()
    assert not may_attend(module)
    module.forward = lambda x: attend(x, x, x)  # type: ignore[method-assign]
    assert may_attend(module)


def test_layers_and_feed_forward_parts_cannot_attend() -> None:
    """These have no hook, which is what makes captures of short inputs cheap."""
    assert not may_attend(FeedForward())
    assert not may_attend(nn.Linear(DIM, DIM))
    assert may_attend(nn.MultiheadAttention(DIM, 2))
    assert may_attend(nn.Sequential(nn.Linear(DIM, DIM)))  # a list of blocks is reported when it shows none


def test_the_hooked_modules_of_a_real_architecture() -> None:
    """BERT's feed-forward parts and outputs have no hook; what contains attention has one."""
    transformers: Any = pytest.importorskip("transformers")
    sizes = {"num_hidden_layers": 1, "hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 8}
    model = transformers.BertModel(transformers.BertConfig(**sizes))
    with attncore.capture(model):
        hooked = [name for name, module in model.named_modules() if module._forward_pre_hooks]
    assert "encoder.layer.0.attention.self" in hooked
    assert not [name for name in hooked if name.endswith(("output", "intermediate", "dense", "pooler", "attention"))]


class Wrapper(nn.Module):
    """Calls an attention and adds: all that is seen in it belongs to the module inside."""

    def __init__(self, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.inner = Around() if inner is None else inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class AttendingWrapper(Wrapper):
    """Attends itself, after a module inside it has."""

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.inner(x)
        return attend(self.inner.up(x), self.inner.down(x), x)


@pytest.mark.parametrize("kind", [Wrapper, AttendingWrapper], ids=lambda kind: kind.__name__)
def test_attention_in_wrappers_keeps_its_name(kind: Any) -> None:
    """A wrapper in a block has a hook only if it attends itself; a block has one, even if it is a wrapper."""
    model = nn.Sequential(Wrapper(kind()), Wrapper(kind(Wrapper())))
    x = torch.randn(1, 4, DIM)
    if kind is AttendingWrapper:
        model[1].inner.inner.up, model[1].inner.inner.down = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM)
    expected = model(x)
    with attncore.capture(model) as session:
        hooked = {name for name, module in model.named_modules() if module._forward_pre_hooks}
        assert torch.equal(session(x), expected)
    own = {"0.inner", "1.inner"} if kind is AttendingWrapper else set()
    assert hooked == {"", "0", "1", "0.inner.inner", "1.inner.inner.inner"} | own
    inner = ["0.inner.inner", "1.inner.inner.inner"]
    names = [layer.name for layer in session.trace()]
    assert names == ([inner[0], "0.inner", inner[1], "1.inner"] if own else inner)
    assert not any(module._forward_pre_hooks for module in model.modules())


class WithRecurrence(nn.Module):
    """A recurrent layer beside attention, in no list of blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.attention = nn.LSTM(DIM, DIM, batch_first=True), Around()

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.recurrent(x)[0])


def test_a_recurrent_layer_is_reported() -> None:
    """It mixes positions, so a reader of the trace must know that it ran."""
    coverage = attncore.trace(WithRecurrence(), torch.randn(1, 4, DIM)).coverage
    assert [(entry.name, entry.what) for entry in coverage.with_status("no-attention")] == [("recurrent", "LSTM")]
