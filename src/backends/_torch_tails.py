"""The tails of blocks: what comes after the last attention of a block, which need not be followed call by call.

Most of a transformer's operations come after the attention of each block, in code that only calls layers and adds:
no attention can come of it, and `_torch_hooked` knows such blocks. The first of a kind is followed to its end and shows
what a block gives. In those after it the watcher is off from their last attention on, and their result is tagged like
that of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as global_hooks

from ._torch_dims import resized
from ._torch_hook_plan import HookPlan
from ._torch_tags import Tag
from ._torch_watch import Watcher

# What a block gives: the shape and tag of each tensor; None for one that has no tag, or keeps that of attention.
_Given = tuple[tuple[torch.Size, Tag] | None, ...]


@dataclass(eq=False, slots=True)
class _Block:
    """A block that is running."""

    name: str
    kind: type[nn.Module]
    left: set[str]
    events: int | None = None


class Tails:
    """Turns one thread's watcher off in the tails of blocks, which ``plan`` knows."""

    def __init__(self, watcher: Watcher, plan: HookPlan) -> None:
        self.watcher = watcher
        self.sites = watcher.sites
        self.off = False
        self._plan = plan
        self._usable = False
        self._block: _Block | None = None
        self._given: dict[type[nn.Module], _Given | None] = {}

    def start(self) -> None:
        """The outermost module begins; hooks of somebody else on what runs in tails might do anything."""
        everywhere = global_hooks._global_forward_hooks or global_hooks._global_forward_pre_hooks
        hooked = (
            module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
            for module in self._plan.layers
        )
        # One is ours; the others run after it, in the tail.
        more = (len(module._forward_hooks) > 1 for module in self._plan.attending)
        self._usable = not everywhere and not any(hooked) and not any(more)

    def begin(self, name: str, module: nn.Module) -> None:
        """A module with hooks begins."""
        if self.off:  # one that was not to be expected here is followed, and so is the rest
            self._resume()
            self._forget()
        if self._usable and name in self._plan.tails:
            self._block = _Block(name, type(module), set(self._plan.tails[name]))
            self._reached_tail(self._block)

    def end(self, name: str, output: Any) -> None:
        """A module with hooks has ended, with this output or an exception."""
        block = self._block
        if block is None:
            return
        if name == block.name:
            self._block = None
            if self.off:
                try:
                    self._tag(block, output)
                except Exception:  # what knows no shape, such as a nested tensor: it is as from outside
                    self._given[block.kind] = None
                finally:
                    self._resume()
            elif block.events is not None:
                self._learn(block, output)
        elif name in block.left:
            block.left.discard(name)
            self._reached_tail(block)

    def clear(self) -> None:
        """The outermost module has ended."""
        self.off = False
        self._block = None
        self._given.clear()

    def _reached_tail(self, block: _Block) -> None:
        """Turn the watcher off if this was the last of the block's attentions, and blocks of its kind are known."""
        if block.left:
            return
        if block.kind not in self._given:
            block.events = self.watcher.events
        elif self._given[block.kind] is not None and not self.sites.rescaling.outputs:
            self.off = self.watcher.pause()

    def _resume(self) -> None:
        self.off = False
        self.watcher.resume()

    def _forget(self) -> None:
        if self._block is not None:
            self._given[self._block.kind] = None
            self._block = None

    def _learn(self, block: _Block, output: Any) -> None:
        """Note what a block gives that was followed to its end, unless something happened in its tail after all."""
        outputs = _tensors_of(output)
        self._given[block.kind] = None
        if outputs is None or self.watcher.events != block.events:
            return
        given = []
        with torch._C.DisableTorchFunction(), suppress(RuntimeError):  # a nested tensor knows no shape
            for tensor in outputs:
                tag = None if tensor is None else self.watcher.table.get(tensor)
                if tag is not None and (tag.pooled is not None or tag.written):
                    return
                given.append(None if tensor is None or tag is None or tag.role is not None else (tensor.shape, tag))
            self._given[block.kind] = tuple(given)

    def _tag(self, block: _Block, output: Any) -> None:
        """Tag what a block gives like what the first of its kind gave: other hidden states, of the same dimensions."""
        given, outputs, table = self._given[block.kind], _tensors_of(output), self.watcher.table
        if given is None or outputs is None:
            return
        streams: dict[int, int] = {}
        for tensor, known in zip(outputs, given, strict=False):  # a later one may give more
            if known is None or tensor is None or table.get(tensor) is not None:
                continue
            shape, tag = known
            dims, stream = tag.dims, None
            if tensor.shape != shape:  # as in another stage of a pyramid
                if dims is None or len(dims) != tensor.dim():
                    continue
                dims = tuple(resized(dim, int(size)) for dim, size in zip(dims, tensor.shape, strict=True))
            if tag.stream is not None:
                if tag.stream not in streams:
                    streams[tag.stream] = table.new_stream()
                stream = streams[tag.stream]
            table.set(tensor, tag.replaced(dims=dims, stream=stream))


def _tensors_of(output: Any) -> Sequence[Tensor | None] | None:
    """The parts of an output that is a tensor, or a tuple or list of tensors and None; None for anything else."""
    if type(output) is Tensor:
        return (output,)
    if type(output) not in (tuple, list):
        return None
    if any(part is not None and type(part) is not Tensor for part in output):
        return None
    return tuple(output)
