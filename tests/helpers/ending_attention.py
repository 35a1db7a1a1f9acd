"""Attention modules that do one thing or another after their kernel: what most do, or attend once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from tail_blocks import DIM, HEADS, Attention, Block, attend, attending_later
from torch import Tensor, nn


def kernel(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """What an attention module looks up and calls."""
    out = F.scaled_dot_product_attention(query, key, value)
    return out.transpose(1, 2).contiguous()


class Projected(Attention):
    """What most models do: a kernel that is looked up, its heads put together, and a projection.

    ``later`` is set on the modules that do something that the first one does not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.out, self.later, self.kernel = nn.Linear(DIM, DIM), False, kernel

    def heads_of(self, x: Tensor) -> list[Tensor]:
        layers = (self.to_query, self.to_key, self.to_value)
        return [layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in layers]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        x = self.kernel(query, key, value)
        return self.out(x.flatten(2))


class ByEager(Projected):
    """The same by matrix products."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        weights = torch.softmax(torch.matmul(query, key.transpose(-1, -2)), -1)
        x = torch.matmul(weights, value)
        return self.out(x.transpose(1, 2).flatten(2))


class ByFunction(Projected):
    """A later one attends once more, in a function."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        x = self.kernel(query, key, value)
        if self.later:
            x = attend(x.flatten(2)).unflatten(-1, (HEADS, -1))
        return self.out(x.flatten(2))


class ByOtherPlace(Projected):
    """In a function, after a kernel that is called in another place of the same code."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        if self.later:
            x = attend(self.kernel(query, key, value).flatten(2))
        else:
            x = self.kernel(query, key, value).flatten(2)
        return self.out(x)


class ByWaitingCall(Projected):
    """In a function that was there before the kernel was called."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        last: Callable[[Tensor], Tensor] = (lambda x: attend(x.flatten(2))) if self.later else torch.relu
        return self.out(last(self.kernel(query, key, value)).flatten(2).reshape(x.shape))


class ByMap(Projected):
    """By a map, which goes on when the kernel has returned."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        given = [self.heads_of(x), self.heads_of(x)][: 2 if self.later else 1]
        parts = list(map(self.attend_to, given))
        return self.out(parts[-1].flatten(2))

    def attend_to(self, given: list[Tensor]) -> Tensor:
        return self.kernel(*given)


class ByLoop(Projected):
    """In another turn of a loop."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        for _ in range(2 if self.later else 1):
            query, key, value = self.heads_of(x)
            x = self.kernel(query, key, value).flatten(2)
        return self.out(x)


class ByHandler(Projected):
    """Where an exception is handled."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        try:
            out = self.kernel(query, key, value).flatten(2)
            out = out.reshape(-1, 1) if self.later else out
            return self.out(out)
        except RuntimeError:
            return self.out(attend(x))


class ByContext(Projected):
    """Where a context ends."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        with self.around(x):
            out = self.kernel(query, key, value)
        return self.out(out.flatten(2))

    @contextmanager
    def around(self, x: Tensor) -> Iterator[None]:
        yield
        if self.later:
            attend(x)


class ByGenerator(Projected):
    """Where a generator goes on."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        parts = list(self.parts_of(x))
        return self.out(parts[-1].flatten(2))

    def parts_of(self, x: Tensor) -> Iterator[Tensor]:
        query, key, value = self.heads_of(x)
        yield self.kernel(query, key, value)
        if self.later:
            yield attend(x)


class ByDecorator(Projected):
    """In what is around the forward."""

    @attending_later
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        query, key, value = self.heads_of(x)
        return self.out(self.kernel(query, key, value).flatten(2))


class ByHeldFunction(Projected):
    """In a function that the module holds, where others hold a plain one."""

    def __init__(self) -> None:
        super().__init__()
        self.last: Callable[[Tensor], Tensor] = F.gelu

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        x = self.kernel(query, key, value).flatten(2)
        return self.out(self.last(x))


class Writing(Projected):
    """Not attention, but as bad: writes over what is kept."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        x = self.kernel(query, key, value)
        query += 1
        return self.out(x.flatten(2))


class Keeping(Projected):
    """Projects tensors of whatever class they are; those of other classes stay such."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = (part.as_subclass(type(x)) for part in self.heads_of(x))
        x = self.kernel(query, key, value)
        return self.out(x.flatten(2))


class WritingByName(Projected):
    """A later one writes over its queries by a function that does so when told."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        x = self.kernel(query, key, value)
        if self.later:
            F.relu(query, inplace=True)
        return self.out(x.flatten(2))


class Gated(Projected):
    """Multiplies by a parameter of its own and by something it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.ones(DIM), requires_grad=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        x = self.kernel(query, key, value)
        x = self.out(x.flatten(2) * self.gate)
        return x if context is None else x * context


class ByGivenObject(Projected):
    """In a method of an object that was passed in, named like a function of PyTorch's."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        adapter = Adapter(self.later)
        query, key, value = self.heads_of(x)
        x = self.kernel(query, key, value).flatten(2)
        return self.out(adapter.linear(x))


class Adapter:
    """Attends, or does not."""

    def __init__(self, attends: bool) -> None:
        self.attends = attends

    def linear(self, x: Tensor) -> Tensor:
        return attend(x) if self.attends else x


class Failing(Projected):
    """A later one raises an error after the kernel."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        query, key, value = self.heads_of(x)
        x = self.kernel(query, key, value)
        return self.out(x.reshape(-1, 3) if self.later else x.flatten(2))


ATTENDS_AGAIN = (
    ByFunction,
    ByWaitingCall,
    ByMap,
    ByLoop,
    ByHandler,
    ByContext,
    ByGenerator,
    ByDecorator,
    ByGivenObject,
)


def stack_of(kind: type[Projected], count: int = 4) -> nn.Sequential:
    """Blocks with this attention, of which the last two do what only later ones do."""
    torch.manual_seed(0)
    model = nn.Sequential(*(Block() for _ in range(count)))
    for place, block in enumerate(model):
        block.attention = kind()
        block.attention.later = place >= count - 2
    return model.eval()
