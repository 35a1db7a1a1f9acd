"""The tails of blocks: what comes after the last attention of a block, which need not be followed call by call.

Most of a transformer's operations come after the attention of each block, in code that only calls layers and adds:
no attention can come of it, and `_torch_hooked` knows such blocks. The first of a kind is followed to its end and shows
what a block gives. In those after it the watcher is off from their last attention on, and their result is tagged like
that of the first. "From" is the end of the module that attends; or the attention itself, where as many were seen in
that module as in the first block's, and `_torch_rest` knows what is left of its forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as global_hooks

from ._torch_arrays import OWN_CLASSES
from ._torch_dims import resized
from ._torch_follow import tensors_in
from ._torch_hook_plan import HookPlan
from ._torch_moves import Moves
from ._torch_rest import RestOfForward
from ._torch_tags import Tag
from ._torch_watch import Watcher


@dataclass(frozen=True, slots=True)
class _Known:
    """What the first block of a kind has shown.

    ``given`` has the shape of each tensor that it gives, whether it is contiguous, and its tag; None for one that has
    no tag, or keeps that of attention. ``events`` is how many calls in the last module that attends were more than
    layers and arithmetic. ``moves`` are those of the queries of its last attention.
    """

    given: tuple[tuple[torch.Size, bool, Tag] | None, ...]
    events: int
    moves: Moves


@dataclass(eq=False, slots=True)
class _Block:
    """A block that is running: the modules that may still attend in it, and the last of them.

    ``before`` and ``after`` are the watcher's counts of events when the last one began and ended.
    """

    name: str
    kind: type[nn.Module]
    left: set[str]
    last: nn.Module | None = None
    before: int = 0
    after: int | None = None


class Tails:
    """Turns one thread's watcher off in the tails of blocks, which ``plan`` knows."""

    def __init__(self, watcher: Watcher, plan: HookPlan) -> None:
        self.watcher = watcher
        self.sites = watcher.sites
        self.off = False
        self._plan = plan
        self._usable = False
        self._block: _Block | None = None
        self._known: dict[type[nn.Module], _Known | None] = {}
        self._rest = RestOfForward()
        watcher.on_awaited = self._attended

    def start(self) -> None:
        """The outermost module begins; hooks of somebody else on what runs in tails might do anything."""
        self._usable = not (global_hooks._global_forward_hooks or global_hooks._global_forward_pre_hooks)
        for module in self._plan.layers:  # no generators: these are half of all modules, once a call
            if module._forward_hooks or module._forward_pre_hooks or "forward" in module.__dict__:
                self._usable = False
                return
        for module in self._plan.attending:
            if len(module._forward_hooks) > 1:  # one is ours; the others run after it, in the tail
                self._usable = False
                return

    def begin(self, name: str, module: nn.Module, given: tuple[Any, ...]) -> None:
        """A module with hooks begins; ``given`` are its arguments."""
        if self.off:  # one that was not to be expected here is followed, and so is the rest
            self._resume()
            self._forget()
        if self._usable and name in self._plan.tails and "forward" not in module.__dict__:
            self._block = _Block(name, type(module), set(self._plan.tails[name]))
            self._reached_tail(self._block)
        elif self._block is not None and len(self._block.left) == 1 and name in self._block.left:
            self._begin_last(self._block, name, module, given)

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
                    self._known[block.kind] = None
                finally:
                    self._resume()
            elif block.after is not None:
                self._learn(block, output)
        elif name in block.left:
            block.left.discard(name)
            self._reached_tail(block)

    def clear(self) -> None:
        """The outermost module has ended."""
        self.off = False
        self._block = None
        self._known.clear()

    def _begin_last(self, block: _Block, name: str, module: nn.Module, given: tuple[Any, ...]) -> None:
        """The last module of a block that attends begins."""
        known = self._known.get(block.kind)
        block.last, block.before = module, self.watcher.events
        if known is not None and known.events and name in self._plan.ending and self._may_hold(given):
            self.watcher.awaited = self.watcher.events + known.events

    def _may_hold(self, given: tuple[Any, ...]) -> bool:
        """Whether nobody else wants to see PyTorch's functions: no mode is on, and no tensor has a class of its own.

        A mode that is entered inside the module itself shows in its code.
        """
        return self.watcher.is_alone() and all(type(tensor) in OWN_CLASSES for tensor in tensors_in(given))

    def _attended(self, frame: FrameType, foreign: bool) -> None:
        """The last attention of a block, from what its first of a kind has shown, has been seen in this frame."""
        block = self._block
        if block is None or block.last is None or foreign or self.sites.rescaling.outputs:
            return
        if self._rest.is_plain(frame, block.last):
            self.off = self.watcher.hold()

    def _reached_tail(self, block: _Block) -> None:
        """Turn the watcher off if this was the last of the block's attentions, and blocks of its kind are known."""
        if block.left:
            return
        self.watcher.awaited = 0
        if block.kind not in self._known:
            block.after = self.watcher.events
        elif self._known[block.kind] is not None and not self.sites.rescaling.outputs:
            self.off = self.watcher.pause()

    def _resume(self) -> None:
        self.off = False
        self.watcher.resume()

    def _forget(self) -> None:
        if self._block is not None:
            self._known[self._block.kind] = None
            self._block = None

    def _learn(self, block: _Block, output: Any) -> None:
        """Note what a block gives that was followed to its end, unless something happened in its tail after all."""
        outputs = _tensors_of(output)
        self._known[block.kind] = None
        if outputs is None or self.watcher.events != block.after:
            return
        given: list[tuple[torch.Size, bool, Tag] | None] = []
        with torch._C.DisableTorchFunction(), suppress(RuntimeError):  # a nested tensor knows no shape
            for tensor in outputs:
                tag = None if tensor is None else self.watcher.table.get(tensor)
                if tag is not None and (tag.pooled is not None or tag.written):
                    return
                if tensor is None or tag is None or tag.role is not None:
                    given.append(None)
                else:
                    given.append((tensor.shape, tensor.is_contiguous(), tag))
            self._known[block.kind] = _Known(tuple(given), block.after - block.before, self.sites.moves)

    def _tag(self, block: _Block, output: Any) -> None:
        """Tag what a block gives like what the first of its kind gave: other hidden states, of the same dimensions."""
        first, outputs, table = self._known[block.kind], _tensors_of(output), self.watcher.table
        if first is None or outputs is None:
            return
        streams: dict[int, int] = {}
        for tensor, known in zip(outputs, first.given, strict=False):  # a later one may give more
            if known is None or tensor is None or table.get(tensor) is not None:
                continue
            shape, contiguous, tag = known
            dims, stream = tag.dims, None
            if tensor.is_contiguous() != contiguous:  # transposed, say: where its positions are is not known
                dims = None
            elif tensor.shape != shape:  # as in another stage of a pyramid
                if dims is None or len(dims) != tensor.dim():
                    continue
                dims = tuple(resized(dim, int(size)) for dim, size in zip(dims, tensor.shape, strict=True))
            if tag.stream is not None:
                if tag.stream not in streams:
                    streams[tag.stream] = table.new_stream()
                    if self.sites.input is not None:
                        table.input_of[streams[tag.stream]] = self.sites.input
                stream = streams[tag.stream]
            moves = tag.moves if self.sites.moves is first.moves else self._moves(first, tag)
            table.set(tensor, tag.replaced(dims=dims, stream=stream, moves=moves))

    def _moves(self, first: _Known, tag: Tag) -> Moves:
        """The moves of what a block gives, whose last attention may have had positions in another order."""
        now = self.sites.moves
        if now == first.moves:
            return tag.moves
        return now if tag.moves == first.moves else (*tag.moves, *now)


def _tensors_of(output: Any) -> Sequence[Tensor | None] | None:
    """The parts of an output that is a tensor, or a tuple or list of tensors and None; None for anything else."""
    if type(output) is Tensor:
        return (output,)
    if type(output) not in (tuple, list):
        return None
    if any(part is not None and type(part) is not Tensor for part in output):
        return None
    return tuple(output)
