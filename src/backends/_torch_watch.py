"""The function mode that sees every PyTorch call of one thread while a hooked module runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from types import FrameType, FunctionType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attncore.errors import AttncoreError

from . import _torch_functions as fn
from ._torch_arrays import OWN_CLASSES, data_address
from ._torch_findings import not_followed
from ._torch_follow import (
    follow_activation,
    follow_arithmetic,
    follow_ordered,
    follow_rule,
    tensors_in,
)
from ._torch_joins import follow_joined, follow_parts
from ._torch_products import Products
from ._torch_shapes import RULES
from ._torch_sites import Sites
from ._torch_tags import Tag, TagTable
from ._torch_writes import follow_put, follow_write

# The body of the composite function, without the check that would hand the call back to this mode for ever.
_MULTI_HEAD_BODY = FunctionType(
    F.multi_head_attention_forward.__code__,
    {**F.__dict__, "has_torch_function": lambda *_: False},
    "multi_head_attention_forward",
    F.multi_head_attention_forward.__defaults__,
)
_MULTI_HEAD_BODY.__kwdefaults__ = F.multi_head_attention_forward.__kwdefaults__

# What is done about a function: nothing; its body is run with the mode on; attention may come of it, whose errors are
# the user's, as those of `reduce=`; its result is followed; so is what it writes into; or it is reported.
IGNORED, COMPOSITE, SITE, FOLLOWED, WRITING, UNKNOWN_KERNEL = range(6)
Action = tuple[int, Any]


_graph_task = torch._C._current_graph_task_id


def in_backward() -> bool:
    """Whether autograd is running in this thread: activation checkpointing then runs the forward again."""
    return int(_graph_task()) != -1


def _writes(func: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a call writes where it was told to: with ``out=``, or with ``inplace=True``."""
    idle = func in fn.DROPOUT and not kwargs.get("training", True)
    return "out" in kwargs or (bool(kwargs.get("inplace")) and not idle)


@lru_cache(maxsize=1024)
def _usual_action(func: Any) -> Action:
    """What to do about a function that no watcher has an action of its own for; found out once in a process."""
    what, follow = _action_of(func)
    return (what, partial(follow_put, follow)) if func in fn.PUT else (what, follow)


def _action_of(func: Any) -> Action:
    name = fn.name_of(func)
    if func in RULES:
        return (WRITING if fn.is_in_place(func) else FOLLOWED, partial(follow_rule, RULES[func]))
    if func in fn.SPLIT or func in fn.UNBIND:
        return (FOLLOWED, follow_parts)
    if func in fn.CONCATENATE or func in fn.STACK:
        return (FOLLOWED, follow_joined)
    if fn.is_in_place(func):
        return (WRITING, None if name == "__setitem__" or func in fn.ENDS else follow_arithmetic)
    if name == "__get__" or func in fn.ENDS:
        return (IGNORED, None)
    if func in fn.ACTIVATIONS or func in fn.DROPOUT:
        return (FOLLOWED, follow_activation)
    if fn.is_unknown_attention(func):
        return (UNKNOWN_KERNEL, None)
    return (FOLLOWED, follow_arithmetic)


class Watcher(TorchFunctionMode):
    """Follows tensors through a forward and reports each attention to ``sites``."""

    def __init__(self, sites: Sites, parameters: Callable[[], frozenset[int]]) -> None:
        super().__init__()
        self.sites = sites
        self.table: TagTable = sites.table
        products = Products(sites, parameters)
        self._is_parameter = products.is_parameter
        # How often something was called that is more than a layer or arithmetic, and what is told of one of them.
        self.events = 0
        self.awaited = 0
        self.on_awaited: Callable[[FrameType, bool], None] | None = None
        self._held: Any = None
        self.actions: dict[Any, Action] = {
            function: (what, follow)
            for what, family, follow in (
                (FOLLOWED, fn.LINEAR, products.linear),
                (FOLLOWED, fn.CONVOLUTION, products.convolution),
                (FOLLOWED, fn.EMBEDDING, products.embedding),
                (SITE, fn.ADDMM, products.addmm),
                (SITE, fn.MATMUL, products.matmul),
                (SITE, fn.MATMUL_REVERSED, products.matmul_reversed),
                (SITE, fn.BADDBMM, products.baddbmm),
                (SITE, fn.EINSUM, products.einsum),
                (SITE, fn.DISTANCE, products.distance),
                (SITE, fn.SOFTMAX, self._softmax),
                (SITE, fn.ATTENTION, self._attention),
                (FOLLOWED, fn.ORDERED, follow_ordered),
                (COMPOSITE, fn.MULTI_HEAD, None),
            )
            for function in family
        }

    def start(self, given: tuple[Any, ...] = (), inputs: Sequence[tuple[str, int]] = ()) -> None:
        """See every call of this thread from now on.

        ``given`` are the arguments of the outermost module, and ``inputs`` those of a `RootCall`.
        """
        if len(inputs) > 1:
            self.table.inputs.update((address, number) for number, (_, address) in enumerate(inputs))
        for tensor in tensors_in(given):
            if tensor.is_floating_point() and tensor.dim() > 1 and not isinstance(tensor, torch.nn.Parameter):
                stream = self.table.new_stream()
                self.table.set(tensor, Tag(dims=None, stream=stream))
                if self.table.inputs and (number := self.table.inputs.get(data_address(tensor))) is not None:
                    self.table.input_of[stream] = number
        TorchFunctionMode.__enter__(self)

    def stop(self) -> None:
        """See no more calls; nothing is done when that is so already."""
        self._release()
        depth = torch._C._len_torch_function_stack()
        if depth and torch._C._get_function_stack_at(depth - 1) is self:
            TorchFunctionMode.__exit__(self, None, None, None)

    def pause(self) -> bool:
        """See no calls until `resume`; false, and no change, when other function modes are on as well."""
        self._release()
        if not self.is_alone():
            return False
        self.stop()
        return True

    def is_alone(self) -> bool:
        """Whether no other function mode is on, asked while none is being called."""
        return int(torch._C._len_torch_function_stack()) == 1

    def resume(self) -> None:
        """See calls again."""
        if self._held is not None:
            self._release()
        else:
            TorchFunctionMode.__enter__(self)

    def hold(self) -> bool:
        """See no calls until `pause`, `resume` or `stop`; for use inside a call, where the mode cannot be taken off.

        Tensors of other classes than PyTorch's own must not be met until then: their functions are off too.
        """
        if torch._C._len_torch_function_stack() != 0:  # this one, and those above it, are off while it is called
            return False
        self._held = torch._C.DisableTorchFunction()
        self._held.__enter__()
        return True

    def _release(self) -> None:
        if self._held is not None:
            self._held.__exit__(None, None, None)
            self._held = None

    def forget(self) -> None:
        """Let go of what this holds: it sees no more calls."""
        self.actions.clear()
        self.on_awaited = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        action = self.actions.get(func)
        if action is None:
            action = self.actions[func] = self._action(func)
        what, follow = action
        if what == IGNORED or _graph_task() != -1:  # as in_backward(), without a call for each operation
            return func(*args, **kwargs)
        if what == COMPOSITE:
            return self._multi_head(args, kwargs)
        if what == WRITING or (kwargs and _writes(func, kwargs)) or (what == SITE and fn.is_in_place(func)):
            self._before_write(func, args, kwargs)
        out = func(*args, **kwargs)
        try:
            if what == SITE:
                follow(self.table, func, args, kwargs, out)
                if not (args and type(args[-1]) is torch.nn.Parameter):
                    self.events += 1
                    if self.events == self.awaited and self.on_awaited is not None:
                        self.on_awaited(sys._getframe(1), not OWN_CLASSES.issuperset(types))
                return out
            if self.sites.rescaling.outputs:
                self.sites.rescaling.follow(func, args, out)
            if what == WRITING:
                follow_write(self.table, func, args)
            if what == UNKNOWN_KERNEL:
                self.events += 1
                self.sites.note_unknown(func, out)
            elif follow is not None:
                follow(self.table, func, args, kwargs, out)
        except Exception as error:  # a call that no rule foresaw must not break the model
            if isinstance(error, AttncoreError) or (what == SITE and self.sites.recorder.options.reduce is not None):
                raise  # the user's options, or their own function
            # What depends on the result is then unknown, not guessed.
            self.sites.refuse(fn.name_of(func), not_followed(error), opaque=True)
        return out

    def _action(self, func: Any) -> Action:
        """What to do about a function, found out once."""
        if type(func).__name__ == "FlexAttentionHOP":
            return (SITE, self._flex)
        return _usual_action(func)

    def _before_write(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Save what is kept of a tensor that the model is about to overwrite, and mark the tensor."""
        self.events += 1
        places = fn.written_arguments(func) or (0,)
        targets = [kwargs["out"]] if "out" in kwargs else [args[place] for place in places if place < len(args)]
        for target in tensors_in(targets):
            tag = self.table.get(target)
            self.sites.before_write(target)
            self.table.set(target, Tag(dims=None, written=True) if tag is None else tag.replaced(written=True))

    # Softmax and fused attention.

    def _softmax(self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        source = args[0] if args else kwargs["input"]
        tag = table.get(source) if isinstance(source, Tensor) else None
        axis = kwargs.get("dim", args[1] if len(args) > 1 else -1)
        if isinstance(out, Tensor) and isinstance(axis, int) and out.dim() > 0:
            self.sites.softmax(source, tag, out, axis if axis < 0 else axis - out.dim(), self._is_parameter(source))

    def _attention(self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        self.sites.fused(args, kwargs, out)

    def _flex(self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        parts = out if isinstance(out, tuple) else (out,)
        self.sites.flex(args, *parts[:2])

    def _multi_head(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A composite function: run its body with this mode on, so that its products are seen."""
        query = args[0] if args else kwargs["query"]
        key = args[1] if len(args) > 1 else kwargs["key"]
        before = self.sites.kind_hint
        self.sites.kind_hint = "self" if query is key else None
        self.start()
        try:
            return _MULTI_HEAD_BODY(*args, **kwargs)
        finally:
            self.stop()
            self.sites.kind_hint = before
