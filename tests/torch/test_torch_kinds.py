"""Self or cross where the data flow shows little: quantized layers, results of unknown origin, reused memory."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn

import attncore

BATCH, LENGTH, HEADS, GROUPS, DIM = 2, 6, 4, 2, 8
WIDTH = HEADS * DIM


@pytest.fixture(scope="module", autouse=True)
def operators() -> Iterator[None]:
    """Two kernels of somebody's own, one whose name says that it is a linear layer."""
    library = torch.library.Library("quantized_tests", "DEF")
    for name in ("int8_linear", "kernel"):
        library.define(f"{name}(Tensor x, Tensor weight, Tensor scale) -> Tensor")
        library.impl(name, lambda x, w, s: x @ (w.to(x.dtype) * s).t(), "CompositeExplicitAutograd")
    yield
    library._destroy()


class Quantized(nn.Module):
    """A linear layer whose weight is 8-bit numbers and scales, both in buffers."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()
        scale = weight.abs().amax(1, keepdim=True) / 127
        self.register_buffer("numbers", (weight / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.out_features = layer.out_features

    def weight(self) -> Tensor:
        """(out, in)."""
        return self.numbers.to(torch.float32) * self.scale


class Matmul(Quantized):
    def forward(self, x: Tensor) -> Tensor:
        """Most fallbacks of kernels."""
        return torch.matmul(x, self.weight().t())


class Flat(Quantized):
    def forward(self, x: Tensor) -> Tensor:
        """GPTQ's, with all positions in one dimension."""
        return torch.mm(x.reshape(-1, x.shape[-1]), self.weight().t()).reshape(*x.shape[:-1], self.out_features)


class Einsum(Quantized):
    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("...i,oi->...o", x, self.weight())


class Packed(Matmul):
    """Two numbers a byte."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer)
        numbers = (self.numbers.int() // 16 + 8).to(torch.uint8)
        self.numbers, self.scale = numbers[:, ::2] | (numbers[:, 1::2] << 4), self.scale * 16

    def weight(self) -> Tensor:
        unpacked = torch.stack((self.numbers & 15, self.numbers >> 4), -1).flatten(1)
        return (unpacked.to(torch.float32) - 8) * self.scale


class Shifted(Packed):
    def weight(self) -> Tensor:
        shifts = torch.arange(0, 8, 4)
        unpacked = ((self.numbers[:, :, None] >> shifts) & 15).reshape(self.numbers.shape[0], -1)
        return (unpacked.to(torch.float32) - 8) * self.scale


class Operator(Quantized):
    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = torch.ops.quantized_tests.int8_linear(x, self.numbers, self.scale)
        return result


class Kernel(Quantized):
    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = torch.ops.quantized_tests.kernel.default(x, self.numbers, self.scale)
        return result


class Int8(Quantized):
    def forward(self, x: Tensor) -> Tensor:
        """PyTorch's own kernel for 8 bits."""
        rows = x.reshape(-1, x.shape[-1]).to(torch.bfloat16)
        out = torch._weight_int8pack_mm(rows, self.numbers, self.scale.flatten().to(torch.bfloat16))
        return out.to(x.dtype).reshape(*x.shape[:-1], self.out_features)


class Attention(nn.Module):
    """Grouped heads and rotary positions; queries of ``x``, keys and values of ``memory``."""

    def __init__(self, sdpa: bool) -> None:
        super().__init__()
        self.q, self.o = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(WIDTH, GROUPS * DIM, bias=False) for _ in range(2))
        self.sdpa = sdpa

    @staticmethod
    def turned(x: Tensor) -> Tensor:
        """Each head's features turned by an angle that grows with the position."""
        angles = torch.arange(x.shape[2])[:, None] * 0.5 ** torch.arange(DIM // 2)
        both = torch.cat((angles, angles), -1)[None, None]
        first, second = x[..., : DIM // 2], x[..., DIM // 2 :]
        return x * (both.cos() * 1.0) + torch.cat((-second, first), -1) * (both.sin() * 1.0)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        q, k, v = (
            layer(given).view(BATCH, -1, heads, DIM).transpose(1, 2)
            for layer, given, heads in ((self.q, x, HEADS), (self.k, memory, GROUPS), (self.v, memory, GROUPS))
        )
        q, k = self.turned(q), self.turned(k)
        k, v = (each.repeat_interleave(HEADS // GROUPS, 1) for each in (k, v))
        out = F.scaled_dot_product_attention(q, k, v) if self.sdpa else (q @ k.mT * DIM**-0.5).softmax(-1) @ v
        result: Tensor = self.o(out.transpose(1, 2).flatten(2))
        return result


class Block(nn.Module):
    """Self-attention, attention to the memory, and a feed-forward part."""

    def __init__(self, sdpa: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.own, self.other = Attention(sdpa), Attention(sdpa)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH, bias=False), nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        y = self.norms[0](x)
        x = x + self.own(y, y)
        x = x + self.other(self.norms[1](x), memory)
        result: Tensor = x + self.down(F.gelu(self.up(self.norms[2](x))))
        return result


class Decoder(nn.Module):
    """Two blocks over tokens, with a memory of as many."""

    def __init__(self, sdpa: bool) -> None:
        super().__init__()
        self.embedding, self.memory = nn.Embedding(30, WIDTH), nn.Embedding(30, WIDTH)
        self.blocks = nn.ModuleList(Block(sdpa) for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        x, memory = self.embedding(tokens), self.memory(tokens)
        for block in self.blocks:
            x = block(x, memory)
        return x


def with_layers(kind: type[Quantized], model: nn.Module) -> nn.Module:
    """The model with all its linear layers replaced."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, kind(child))
    return model


def kinds(trace: Any) -> list[str]:
    """The kinds of a trace that has no doubts."""
    assert not len(trace.coverage), trace.coverage
    assert all(not layer.notes for layer in trace), [layer.notes for layer in trace]
    return [layer.kind for layer in trace]


LAYERS = [Matmul, Flat, Einsum, Packed, Shifted, Operator, Kernel, Int8]


@pytest.mark.parametrize("sdpa", [True, False])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_whose_weights_or_code_are_hidden(layer: type[Quantized], sdpa: bool) -> None:
    """Quantized layers are projections: kinds, heads and coverage are as those of plain ones."""
    model = with_layers(layer, Decoder(sdpa).eval())
    with torch.no_grad():
        trace = attncore.trace(model, torch.randint(30, (BATCH, LENGTH)))
    assert kinds(trace) == ["self", "cross"] * 2
    assert {one.weights.shape for one in trace} == {(BATCH, HEADS, LENGTH, LENGTH)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("sdpa", [True, False])
def test_dynamically_quantized_layers(sdpa: bool) -> None:
    """PyTorch's dynamic quantization leaves self-attention what it was, and attention to the memory too."""
    torch.backends.quantized.engine = "fbgemm"
    model = torch.ao.quantization.quantize_dynamic(Decoder(sdpa).eval(), {nn.Linear}, dtype=torch.qint8)
    with torch.no_grad():
        trace = attncore.trace(model, torch.randint(30, (BATCH, LENGTH)))
    assert kinds(trace) == ["self", "cross"] * 2


class Given(nn.Module):
    """Queries and keys behind norms of their own, of whatever ``made`` makes of two inputs."""

    def __init__(self, made: Callable[[dict[str, Tensor]], tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.q_norm, self.k_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.made = made

    def forward(self, given: dict[str, Tensor]) -> Tensor:
        of_queries, of_keys = self.made(given)
        q, k = self.q(self.q_norm(of_queries)), self.k(self.k_norm(of_keys))
        return F.scaled_dot_product_attention(*(x.unflatten(-1, (HEADS, DIM)).transpose(1, 2) for x in (q, k, k)))


def of_fused(given: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """What an attention gives that nothing projects."""
    heads = given["x"].unflatten(-1, (HEADS, DIM)).transpose(1, 2)
    x = F.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).flatten(2)
    return x, x


def of_softmax(given: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The same by hand."""
    heads = given["x"].unflatten(-1, (HEADS, DIM)).transpose(1, 2)
    x = ((heads @ heads.mT).softmax(-1) @ heads).transpose(1, 2).flatten(2)
    return x, x


MADE: dict[str, tuple[Callable[[dict[str, Tensor]], tuple[Tensor, Tensor]], str]] = {
    "as given": (lambda given: (given["x"], given["x"]), "self"),
    "scaled": (lambda given: (given["x"] * 2, given["x"] / 2), "self"),
    "of a norm by hand": (
        lambda given: (given["x"] * (given["x"].pow(2).mean(-1, keepdim=True) + 1).rsqrt(), given["x"]),
        "self",
    ),
    "of two tensors": (lambda given: (given["x"], given["y"]), "cross"),
    "of a fused attention": (of_fused, "self"),
    "of an attention by hand": (of_softmax, "self"),
}


@pytest.mark.parametrize(("made", "kind"), MADE.values(), ids=MADE.keys())
def test_two_norms_of_what_nothing_is_known_of(made: Any, kind: str) -> None:
    """Two norms of one tensor are of one source, wherever it comes from; those of two tensors are not."""
    x, y = torch.randn(2, BATCH, LENGTH, WIDTH)
    with torch.no_grad():
        trace = attncore.trace(Given(made).eval(), attncore.Inputs({"x": x, "y": y}))
    assert trace[-1].kind == kind


@pytest.mark.parametrize("last", ["tuple", "mapping"])
def test_blocks_that_give_more_than_tensors(last: str) -> None:
    """What the last of several blocks gives is of one source, also from inside a tuple or a mapping."""

    class Wraps(nn.Module):
        gives = ""

        def __init__(self) -> None:
            super().__init__()
            self.norm, self.attention, self.up = nn.LayerNorm(WIDTH), Attention(sdpa=True), nn.Linear(WIDTH, WIDTH)

        def forward(self, x: Tensor) -> Any:
            y = self.norm(x)
            x = x + self.attention(y, y)
            x = x + self.up(self.norm(x))
            if self.gives == "tuple":
                return (x, (x,))
            return {"x": x} if self.gives == "mapping" else x

    class Model(Given):
        def __init__(self) -> None:
            super().__init__(lambda given: (given["x"], given["x"]))
            self.blocks = nn.ModuleList(Wraps() for _ in range(3))
            self.blocks[2].gives = last

        def forward(self, x: Any) -> Tensor:
            for block in self.blocks:
                x = block(x)
            return super().forward({"x": x[0] if isinstance(x, tuple) else x["x"]})

    with torch.no_grad():
        trace = attncore.trace(Model().eval(), torch.randn(BATCH, LENGTH, WIDTH))
    assert [layer.kind for layer in trace][-1] == "self"


@pytest.mark.parametrize("by_out", [False, True])
def test_one_buffer_for_the_queries_of_all_layers(by_out: bool) -> None:
    """Queries that every layer writes into the same memory are those of the layer that wrote them last."""

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.projections = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            room = torch.empty(BATCH, LENGTH, WIDTH)
            for q, k in zip(self.projections[::2], self.projections[1::2], strict=True):
                if by_out:
                    torch.addmm(q.bias, x.flatten(0, 1), q.weight.t(), out=room.view(-1, WIDTH))
                else:
                    room.copy_(q(x))
                heads = [t.view(BATCH, LENGTH, HEADS, DIM).transpose(1, 2) for t in (room, k(x))]
                x = x + k(F.scaled_dot_product_attention(heads[0], heads[1], heads[1]).transpose(1, 2).flatten(2))
            return x

    with torch.no_grad():
        trace = attncore.trace(Shared().eval(), torch.randn(BATCH, LENGTH, WIDTH))
    assert [layer.kind for layer in trace] == ["self", "self"]


@pytest.mark.parametrize(
    "write", [lambda keys, k: keys[:LENGTH].copy_(k), lambda keys, k: keys.__setitem__(slice(LENGTH), k)]
)
def test_keys_in_a_buffer_are_no_weights(write: Callable[[Tensor, Tensor], Any]) -> None:
    """What the model writes into a buffer of two dimensions and multiplies with is data, not a quantized layer."""

    class Cached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
            self.register_buffer("keys", torch.zeros(LENGTH + 2, WIDTH))

        def forward(self, x: Tensor) -> Tensor:
            write(self.keys, self.k(x))
            return (self.q(x) @ self.keys[:LENGTH].t()).softmax(-1) @ x

    model, x = Cached().eval(), torch.randn(LENGTH, WIDTH)
    with torch.no_grad():
        trace = attncore.trace(model, x)
        expected = (model.q(x) @ model.k(x).t()).softmax(-1)
    assert [layer.kind for layer in trace] == ["self"]
    assert np.allclose(np.asarray(trace[0].weights)[0, 0], expected.numpy(), atol=1e-6)
