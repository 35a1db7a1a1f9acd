"""Blocks of transformers that do one thing or another after their attention: what most do, or attend once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn

DIM, HEADS = 8, 2


class Attention(nn.Module):
    """Two heads, by the fused kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.to_query, self.to_key, self.to_value = (nn.Linear(DIM, DIM) for _ in range(3))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        given = x if context is None else context
        query, key, value = (
            part.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for part in (self.to_query(x), self.to_key(given), self.to_value(given))
        )
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class FeedForward(nn.Module):
    """Two projections and an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down, self.activation = nn.Linear(DIM, 2 * DIM), nn.Linear(2 * DIM, DIM), F.gelu

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.activation(self.up(x)))


class Block(nn.Module):
    """The block of most transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.feed_forward = Attention(), FeedForward()
        self.first, self.second = nn.LayerNorm(DIM), nn.LayerNorm(DIM)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        return x + self.feed_forward(self.second(x))


def attend(x: Tensor) -> Tensor:
    """One head, by matrix products."""
    return (x @ x.mT).softmax(-1) @ x


def attending(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A decorator that attends itself, which says where the function is that it calls."""

    def with_attention(self: nn.Module, x: Tensor) -> Tensor:
        return attend(forward(self, x))

    with_attention.__wrapped__ = forward  # type: ignore[attr-defined]
    return with_attention


def attending_later(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A decorator that attends where the module is a later one, as one may in some only."""

    def with_attention(self: Any, x: Tensor) -> Tensor:
        return attend(forward(self, x)) if self.later else forward(self, x)

    with_attention.__wrapped__ = forward  # type: ignore[attr-defined]
    return with_attention


class ByProduct(Block):
    """Attends once more in its own code."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.feed_forward(x + self.attention(x))
        return (self.first(x) @ self.second(x).mT).softmax(-1) @ x


class ByFunction(Block):
    """In a function."""

    def forward(self, x: Tensor) -> Tensor:
        return attend(self.feed_forward(x + self.attention(x)))


class ByMethod(Block):
    """In a method."""

    def forward(self, x: Tensor) -> Tensor:
        return self.more(self.feed_forward(x + self.attention(x)))

    def more(self, x: Tensor) -> Tensor:
        return attend(x)


class ByArgument(Block):
    """In a function it is given."""

    def forward(self, x: Tensor, more: Callable[[Tensor], Tensor] = attend) -> Tensor:
        return more(self.feed_forward(x + self.attention(x)))


class ByAttribute(Block):
    """In a function that it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.more = attend

    def forward(self, x: Tensor) -> Tensor:
        return self.more(self.feed_forward(x + self.attention(x)))


class ByDecorator(Block):
    """In what is around its forward."""

    @attending
    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x + self.feed_forward(x)


class Layered(Block):
    """Under a decorator that attends where it is told to, as one may in some blocks only."""

    later = False

    @attending_later
    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x + self.feed_forward(x)


class ByInnerFunction(Block):
    """In a function inside."""

    def forward(self, x: Tensor) -> Tensor:
        return (lambda y: attend(y))(self.feed_forward(x + self.attention(x)))


class ByLoop(Block):
    """By its attention, which runs twice."""

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = self.feed_forward(x + self.attention(x))
        return x


class BySecondCall(Block):
    """By its attention, which runs again on two norms of what came out."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.feed_forward(x + self.attention(x))
        return x + self.attention(self.first(x), self.second(x))


class OddFeedForward(FeedForward):
    """Attends inside of what is a feed-forward part elsewhere."""

    def forward(self, x: Tensor) -> Tensor:
        return attend(self.down(self.activation(self.up(x))))


class ByPart(Block):
    """In a module of another class than its base has."""

    def __init__(self) -> None:
        super().__init__()
        self.feed_forward = OddFeedForward()


class Bias(nn.Module):
    """A layer by its parameters; not by its code."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(DIM))

    def forward(self, x: Tensor) -> Tensor:
        return attend(x * self.weight)


class ByLayer(Block):
    """In what looks like a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.second: Any = Bias()


class ByListedLayer(Block):
    """In a layer that it takes out of a list."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Bias()])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](self.feed_forward(x + self.attention(x)))


def by_hook() -> Block:
    """In a hook of somebody else on its feed-forward part."""
    block = Block()
    block.feed_forward.register_forward_hook(lambda module, args, output: attend(output))
    return block


def by_patch() -> Block:
    """In a forward that somebody put on its feed-forward part."""
    block = Block()
    block.feed_forward.forward = attend  # type: ignore[method-assign]
    return block


TWICE = [
    ByProduct, ByFunction, ByMethod, ByArgument, ByAttribute, ByDecorator, ByInnerFunction, ByLoop, BySecondCall,
    ByPart, ByLayer, ByListedLayer, by_hook, by_patch,
]  # fmt: skip


def blocks(kind: Callable[[], nn.Module], count: int = 3) -> Any:
    """A model of so many blocks."""
    return nn.Sequential(*(kind() for _ in range(count)))


class Sometimes(Block):
    """Does more in the later blocks; the first shows nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.later, self.normalise = False, nn.Softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        x = self.more(x) if self.later else x
        return x + self.feed_forward(self.second(x))

    def more(self, x: Tensor) -> Tensor:
        """What it does more."""
        raise NotImplementedError


class LaterProducts(Sometimes):
    """Attends by what each for itself might be a layer."""

    def more(self, x: Tensor) -> Tensor:
        return self.normalise(x @ x.transpose(1, 2)) @ x


class LaterWrites(Sometimes):
    """Writes."""

    def more(self, x: Tensor) -> Tensor:
        x += self.first(x)
        return x


class LaterCalls(Sometimes):
    """Runs its attention again, on two norms of what came out."""

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        return x + self.attention(self.first(x), self.second(x)) if self.later else x


class LaterMethod(Sometimes):
    """Runs its attention again in a method."""

    def more(self, x: Tensor) -> Tensor:
        return x + self.attention(self.first(x), self.second(x))


class LaterArgument(Sometimes):
    """Attends in a function it is given, called with what a module gives."""

    def forward(self, x: Tensor, function: Callable[[Tensor], Tensor] = attend) -> Tensor:
        x = x + self.attention(self.first(x))
        return function(self.feed_forward(x)) if self.later else x


class GivesMore(Block):
    """Gives its hidden states in one way or another."""

    way = "last"

    def forward(self, x: Tensor, last: bool = False) -> Any:
        x = x + self.feed_forward(self.second(x + self.attention(self.first(x))))
        if self.way == "last":
            return x, x.mean(-1) if last else None
        return x, (self.first(x), self.second(x))


class GivesAside(Block):
    """Leaves its hidden states on itself."""

    def forward(self, x: Tensor) -> Tensor:
        self.features = x + self.feed_forward(self.second(x + self.attention(self.first(x))))
        return self.features * 1.0


class Around(nn.Module):
    """Blocks, then attention between two norms of what they gave."""

    def __init__(self, kind: Callable[[], nn.Module], way: str) -> None:
        super().__init__()
        self.layers, self.after, self.way = nn.ModuleList([kind() for _ in range(3)]), TwoNorms(), way
        for layer in self.layers:
            vars(layer)["way"] = way

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers):
            x = layer(x) if self.way == "aside" else (given := layer(x, number == 2))[0]
        if self.way == "nested":
            return self.after.attention(*given[1])
        return self.after(self.layers[-1].features if self.way == "aside" else x)


class TwoNorms(nn.Module):
    """Attends from one norm of the hidden states to another of the same."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.of_query, self.of_key = Attention(), nn.LayerNorm(DIM), nn.LayerNorm(DIM)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(self.of_query(x), self.of_key(x))


class Decoder(nn.Module):
    """Blocks with self-attention and cross-attention."""

    class Block(Block):
        """The tail begins after the second."""

        def __init__(self) -> None:
            super().__init__()
            self.cross, self.third = Attention(), nn.LayerNorm(DIM)

        def forward(self, x: Tensor, memory: Tensor) -> Tensor:
            x = x + self.attention(self.first(x))
            x = x + self.cross(self.third(x), memory)
            return x + self.feed_forward(self.second(x))

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([self.Block() for _ in range(3)])

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, memory)
        return x


class InPlace(Block):
    """Adds into what its attention gave, and into its query's memory."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.attention(self.first(x))
        out += x
        return self.feed_forward(out)


class Halving(Block):
    """Half as many positions as before, by joining two and two."""

    def __init__(self) -> None:
        super().__init__()
        self.joined, self.of_query, self.of_key = nn.Linear(2 * DIM, DIM), nn.LayerNorm(DIM), nn.LayerNorm(DIM)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.of_query(x), self.of_key(x))
        return self.joined(x.reshape(x.shape[0], -1, 2 * DIM))


class Recursive(Block):
    """Methods that call each other."""

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x + self.attention(x))

    def one(self, x: Tensor) -> Tensor:
        return self.feed_forward(x) if x.dim() == 3 else self.other(x)

    def other(self, x: Tensor) -> Tensor:
        return self.one(x)
