"""The function mode that sees every PyTorch call of one thread while a hooked module runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor
from torch.overrides import TorchFunctionMode

from . import _torch_functions as fn
from ._torch_dims import Dims, Factor, fitted, fresh, is_feature, kind_of
from ._torch_einsum import follow_einsum
from ._torch_follow import (
    follow_activation,
    follow_arithmetic,
    follow_joined,
    follow_parts,
    follow_rule,
    follow_write,
    projected_dims,
)
from ._torch_layout import known_dims
from ._torch_shapes import RULES, Rule
from ._torch_sites import Sites
from ._torch_tags import Scores, Softmax, Tag, TagTable, worst_order

# The body of the composite function, without the check that would hand the call back to this mode for ever.
_MULTI_HEAD_BODY = FunctionType(
    F.multi_head_attention_forward.__code__,
    {**F.__dict__, "has_torch_function": lambda *_: False},
    "multi_head_attention_forward",
    F.multi_head_attention_forward.__defaults__,
)
_MULTI_HEAD_BODY.__kwdefaults__ = F.multi_head_attention_forward.__kwdefaults__


IGNORED, HANDLED, WRITING, FOLLOWED, UNKNOWN_KERNEL = range(5)
Plan = tuple[int, Any]


def _by_rule(rule: Rule, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
    follow_rule(table, rule, func, args, kwargs, out)


_graph_task = torch._C._current_graph_task_id


def in_backward() -> bool:
    """Whether autograd is running in this thread: activation checkpointing then runs the forward again."""
    return int(_graph_task()) != -1


class Watcher(TorchFunctionMode):
    """Follows tensors through a forward and reports each attention to ``sites``."""

    def __init__(self, sites: Sites, parameters: Callable[[], frozenset[int]]) -> None:
        super().__init__()
        self.sites = sites
        self.table: TagTable = sites.table
        self.parameters = parameters
        self.plans: dict[Any, Plan] = {
            function: (HANDLED, handler)
            for family, handler in (
                (fn.LINEAR, self._linear),
                (fn.ADDMM, self._addmm),
                (fn.CONVOLUTION, self._convolution),
                (fn.MATMUL, self._matmul),
                (fn.MATMUL_REVERSED, self._matmul_reversed),
                (fn.BADDBMM, self._baddbmm),
                (fn.EINSUM, self._einsum),
                (fn.SOFTMAX, self._softmax),
                (fn.ATTENTION, self._attention),
                (fn.MULTI_HEAD, self._multi_head),
                (fn.EMBEDDING, self._embedding),
                (fn.DISTANCE, self._distance),
            )
            for function in family
        }

    def start(self) -> None:
        """See every call of this thread from now on."""
        TorchFunctionMode.__enter__(self)

    def stop(self) -> None:
        """See no more calls."""
        TorchFunctionMode.__exit__(self, None, None, None)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        plan = self.plans.get(func)
        if plan is None:
            plan = self.plans[func] = self._plan(func)
        what, action = plan
        if what == IGNORED or _graph_task() != -1:  # as in_backward(), without a call for each operation
            return func(*args, **kwargs)
        if what == HANDLED:
            return action(func, args, kwargs)
        if what == WRITING or "out" in kwargs:
            self._before_write(func, args, kwargs)
        out = func(*args, **kwargs)
        try:
            if self.sites.rescaling:
                self.sites.rescaling.follow(func, args, out)
            if what == WRITING:
                follow_write(self.table, func, args)
            if what == UNKNOWN_KERNEL:
                self.sites.note_unknown(func, out)
            elif action is not None:
                action(self.table, func, args, kwargs, out)
        except Exception as error:  # a call that no rule foresaw must not break the model
            self._lost(func, error)
        return out

    def _lost(self, func: Any, error: Exception) -> None:
        """Report a call whose result could not be followed; what depends on it is then unknown, not guessed."""
        reason = f"a call that attncore could not follow ({type(error).__name__}: {error}); please report it"
        self.sites.refuse(fn.name_of(func), reason, opaque=True)

    def _plan(self, func: Any) -> Plan:
        """What to do about a function, found out once."""
        name = fn.name_of(func)
        if type(func).__name__ == "FlexAttentionHOP":
            return (HANDLED, self._flex)
        if func in RULES:
            return (FOLLOWED, partial(_by_rule, RULES[func]))
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

    def _before_write(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Save what is kept of a tensor that the model is about to overwrite, and mark the tensor."""
        target = kwargs.get("out", args[0] if args else None)
        if not isinstance(target, Tensor):
            return
        tag = self.table.get(target)
        self.sites.before_write(target)
        if tag is None:
            self.table.set(target, Tag(dims=None, written=True))
        else:
            self.table.set(target, tag.replaced(written=True))

    def is_parameter(self, tensor: Any) -> bool:
        """A parameter, a view of one, or something computed from parameters alone."""
        if isinstance(tensor, torch.nn.Parameter):
            return True
        tag = self.table.get(tensor)
        if tag is not None and tag.parameter:
            return True
        return storage_of(tensor) in self.parameters()

    # Projections: products with parameters.

    def _linear(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        source = args[0] if args else kwargs["input"]
        try:
            self.project(source, out, (-1,))
        except Exception as error:  # as for every other call
            self._lost(func, error)
        return out

    def _embedding(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        if isinstance(out, Tensor) and out.dim() > 1:
            dims = (*fresh(out.shape[:-1], "plain"), *fresh(out.shape[-1:], "feature"))
            self.table.set(out, Tag(dims=dims, stream=self.table.new_stream()))
        return out

    def _distance(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Scores from distances in place of products."""
        out = func(*args, **kwargs)
        first, second = args[0], args[1]
        second_tag = self.table.get(second)
        flipped = None
        if second_tag is not None and second_tag.dims is not None:
            flipped = second_tag.replaced(dims=(*second_tag.dims[:-2], second_tag.dims[-1], second_tag.dims[-2]))
        self._score(first, self.table.get(first), second.transpose(-1, -2), flipped, out)
        tag = self.table.get(out)
        if tag is not None and isinstance(tag.role, Scores):
            tag.role.scale = None
        return out

    def _addmm(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) < 3:
            return func(*args, **kwargs)
        first, second = args[1], args[2]
        # The weight comes second in every layer, and telling that something is no parameter takes longest.
        if not (self.is_parameter(second) or self.is_parameter(first)):
            return self._product(func, args, kwargs, first, second)
        out = func(*args, **kwargs)
        self.project(first, out, (-1,))
        return out

    def _convolution(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        source = args[0] if args else kwargs["input"]
        tag = self.table.get(source)
        if tag is not None and tag.role is not None:  # a 1x1 convolution that mixes heads (talking heads)
            if tuple(out.shape[-2:]) == tuple(source.shape[-2:]) and tag.dims is not None:
                dims = (*fresh(out.shape[:-2], "unknown"), *tag.dims[-2:])
                self.table.set(out, tag.replaced(dims=dims, changes=(*tag.changes, "head mixing")))
            return out
        spatial = func.__name__[-2:]
        axis = -1 - int(spatial[0]) if spatial[0].isdigit() else -3
        self.project(source, out, (axis,))
        return out

    def project(self, source: Tensor, out: Tensor, feature_axes: tuple[int, ...]) -> None:
        """Tag the output of a projection; its source gets a stream number if it has none."""
        if not isinstance(source, Tensor) or not out.is_floating_point():
            return
        tag = self.table.get(source)
        if tag is not None and tag.role is not None and self._mixes_heads(tag, out):
            return
        if tag is None or tag.stream is None:
            dims = tag.dims if tag is not None and tag.dims is not None else fresh(source.shape, "plain")
            tag = Tag(dims=dims, stream=self.table.new_stream(), order=tag.order if tag is not None else "whole")
            self.table.set(source, tag)
        shape = out.shape
        if feature_axes == (-1,) and tag.dims is not None and len(tag.dims) == len(shape):
            dims = (*tag.dims[:-1], (Factor(int(shape[-1]), "feature"),))
        else:
            dims = projected_dims(tag, source.shape, shape, feature_axes)
        # Projecting makes hidden states of whatever came before: a sequence cut before it is whole again.
        self.table.set(out, Tag(dims, tag.stream, True))

    def _mixes_heads(self, tag: Tag, out: Tensor) -> bool:
        """Tag the output of a linear layer across the heads of scores or weights; false when it is not that."""
        if tag.dims is None or tag.key_axis() in (None, -1):
            return False
        dims = (*tag.dims[:-1], (Factor(int(out.shape[-1]), "feature"),))
        self.table.set(out, tag.replaced(dims=dims, changes=(*tag.changes, "head mixing")))
        return True

    # Products of two tensors that are both data.

    def _matmul(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        second = args[1] if len(args) > 1 else kwargs.get("other", kwargs.get("mat2"))
        return self._product(func, args, kwargs, args[0] if args else kwargs.get("input"), second)

    def _matmul_reversed(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._product(func, args, kwargs, args[1], args[0])

    def _baddbmm(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = dict(zip(("input", "batch1", "batch2"), args, strict=False)) | kwargs
        alpha, beta = kwargs.get("alpha", 1), kwargs.get("beta", 1)
        out = self._product(func, args, kwargs, given["batch1"], given["batch2"])
        tag = self.table.get(out)
        if tag is not None and isinstance(tag.role, Scores):
            tag.role.scale = float(alpha) if tag.role.scale is not None else None
            tag.role.steps = ("add",) if beta != 0 else ()
        return out

    def _product(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], first: Any, second: Any) -> Any:
        if kwargs.get("out") is not None:
            self._before_write(func, args, kwargs)
        out = func(*args, **kwargs)
        if not (isinstance(first, Tensor) and isinstance(second, Tensor) and isinstance(out, Tensor)):
            return out
        if first.dim() < 2 or second.dim() < 2:
            if first.dim() > 2 and self.is_parameter(second):  # a learned vector that scores each position
                self.project(first.unsqueeze(-2), out, ())
            return out
        first_tag, second_tag = self.table.get(first), self.table.get(second)
        self.sites.check_pooled(first_tag, second_tag)
        if self._used(first, first_tag, second, second_tag, out):
            return out
        if self.is_parameter(second):
            self.project(first, out, (-1,))
        elif self.is_parameter(first):
            self.project(second, out, (-2,))
        else:
            self._score(first, first_tag, second, second_tag, out)
        return out

    def _used(self, first: Tensor, first_tag: Tag | None, second: Tensor, second_tag: Tag | None, out: Tensor) -> bool:
        """Whether this is softmax weights meeting their values; then it is reported."""
        ready = first_tag is not None and first_tag.role is not None and first_tag.key_axis() == -1
        if ready and first_tag is not None and (isinstance(first_tag.role, Softmax) or not self.is_parameter(second)):
            self.sites.use(first, first_tag, second, out, values_are_parameters=self.is_parameter(second))
            return True
        if second_tag is not None and isinstance(second_tag.role, Softmax) and second_tag.key_axis() == -2:
            flipped, values = second.transpose(-1, -2), first.transpose(-1, -2)
            assert second_tag.dims is not None
            dims = (*second_tag.dims[:-2], second_tag.dims[-1], second_tag.dims[-2])
            tag = second_tag.replaced(dims=dims)
            self.sites.use(flipped, tag, values, out.transpose(-1, -2), values_are_parameters=self.is_parameter(first))
            return True
        return False

    def _score(self, first: Tensor, first_tag: Tag | None, second: Tensor, second_tag: Tag | None, out: Tensor) -> None:
        """Tag a product of two data tensors as scores: rows from the first, columns from the second."""
        if not out.is_floating_point() or first.shape[-1] == 1:
            return
        first_dims = known_dims(first_tag.dims if first_tag else None, first.shape)
        second_dims = known_dims(second_tag.dims if second_tag else None, second.shape)
        row = first_dims[-2] if first.shape[-2] > 1 else fresh((1,), "plain")[0]
        column = second_dims[-1]
        # A factor of its own: the same tensor may be both query and key.
        key = Factor(int(second.shape[-1]), kind_of(column))
        lead = self._lead(first_dims, second_dims, out)
        orders = [tag.order for tag in (first_tag, second_tag) if tag is not None]
        scores = Scores(first.detach(), second.detach().transpose(-1, -2), first_tag, second_tag, tuple(row), (key,))
        scores.contracted = kind_of(first_dims[-1])
        self.table.set(
            out, Tag(dims=(*lead, row, (key,)), order=worst_order(orders), role=scores, key=key, projected=True)
        )

    def _lead(self, first: Dims, second: Dims, out: Tensor) -> Dims:
        """The leading dimensions of a product, from the factor that knows more about them."""
        shape = out.shape[:-2]
        options = [fitted(dims[:-2], shape) for dims in (first, second)]
        features = [any(is_feature(dim) for dim in dims) for dims in options]
        if features[0] != features[1]:
            return options[features.index(True)]
        unknown = [sum(factor.kind == "unknown" for dim in dims for factor in dim) for dims in options]
        return options[0] if unknown[0] <= unknown[1] else options[1]

    def _einsum(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        if isinstance(args[0], str):
            operands = list(args[1]) if len(args) == 2 and isinstance(args[1], list | tuple) else list(args[1:])
            follow_einsum(self, args[0], operands, out)
        return out

    # Softmax and fused attention.

    def _softmax(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        source = args[0] if args else kwargs["input"]
        tag = self.table.get(source) if isinstance(source, Tensor) else None
        if kwargs.get("out") is not None:
            self._before_write(func, args, kwargs)
        out = func(*args, **kwargs)
        axis = kwargs.get("dim", args[1] if len(args) > 1 else -1)
        if isinstance(out, Tensor) and isinstance(axis, int) and out.dim() > 0:
            self.sites.softmax(source, tag, out, axis if axis < 0 else axis - out.dim(), self.is_parameter(source))
        return out

    def _attention(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        given = dict(zip(names, args, strict=False)) | kwargs
        self.sites.fused(given, out)
        return out

    def _flex(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        parts = out if isinstance(out, tuple) else (out,)
        self.sites.flex(args, *parts[:2])
        return out

    def _multi_head(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A composite function: run its body with this mode on, so that its products are seen."""
        query = args[0] if args else kwargs["query"]
        key = args[1] if len(args) > 1 else kwargs["key"]
        before = self.sites.kind_hint
        self.sites.kind_hint = "self" if query is key else "cross"
        self.start()
        try:
            return _MULTI_HEAD_BODY(*args, **kwargs)
        finally:
            self.stop()
            self.sites.kind_hint = before


def storage_of(tensor: Tensor) -> int:
    """The address of a tensor's memory; 0 where it has none."""
    try:
        return int(getattr(tensor, "_local_tensor", tensor).untyped_storage().data_ptr())
    except (RuntimeError, NotImplementedError, AttributeError):
        return 0
