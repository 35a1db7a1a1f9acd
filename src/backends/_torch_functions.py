"""The functions that PyTorch code calls for each kind of step, in all the ways it can call them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor

Function = Callable[..., Any]


def _functions(*names: str, also: tuple[Any, ...] = ()) -> frozenset[Any]:
    """The tensor method, the torch function, its in-place twin and F's, wherever they exist under these names."""
    found: list[Any] = list(also)
    for name in names:
        for owner in (Tensor, torch, F, torch.special):
            function = getattr(owner, name, None)
            if callable(function):
                found.append(function)
    return frozenset(found)


_property: Callable[[Any], Any] = lambda prop: prop.__get__  # noqa: E731 - properties arrive as their getters

ATTENTION = _functions(also=(F.scaled_dot_product_attention,))
MULTI_HEAD = frozenset({F.multi_head_attention_forward})
SOFTMAX = _functions("softmax", "_safe_softmax")
MATMUL = _functions("matmul", "bmm", "mm", "__matmul__", also=(torch.linalg.matmul,))
MATMUL_REVERSED = _functions("__rmatmul__")
BADDBMM = _functions("baddbmm", "baddbmm_")
EINSUM = _functions("einsum", also=(torch.functional.einsum,))
LINEAR = frozenset({F.linear})
ADDMM = _functions("addmm", "addmm_")
CONVOLUTION = frozenset({F.conv1d, F.conv2d, F.conv3d})

RESHAPE = _functions(
    "view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "unsqueeze", "squeeze", "ravel"
)
TRANSPOSE = _functions(
    "transpose", "swapaxes", "swapdims", "transpose_", "swapaxes_", "swapdims_", "t", "t_", "adjoint"
)
PERMUTE = _functions("permute")
MOVEDIM = _functions("movedim", "moveaxis")
MATRIX_TRANSPOSE = frozenset({_property(Tensor.mT), _property(Tensor.T), _property(Tensor.mH), _property(Tensor.H)})
GETITEM = _functions("__getitem__")
SPLIT = _functions("chunk", "split", "tensor_split", "split_with_sizes", "hsplit", "vsplit", "dsplit")
UNBIND = _functions("unbind")
SELECT = _functions("select")
NARROW = _functions("narrow")
CONCATENATE = _functions("cat", "concat", "concatenate")
STACK = _functions("stack")
EXPAND = _functions("expand", "expand_as", "broadcast_to")
REPEAT = _functions("repeat", "repeat_interleave", "tile")
PAD = frozenset({F.pad, torch.constant_pad_nd})
ORDERED = _functions("topk", "sort", "msort")
REORDER = _functions("flip", "roll")
SHUFFLE = _functions("gather", "index_select", "take_along_dim", "scatter", "scatter_", "masked_select", "take")
# What writes a tensor into another at places that a tensor names.
PUT = _functions(
    "__setitem__", "index_put", "index_put_", "index_copy", "index_copy_", "index_add", "index_add_",
    "scatter", "scatter_", "scatter_add", "scatter_add_", "scatter_reduce", "scatter_reduce_",
)  # fmt: skip
UNFOLD = _functions("unfold")
COMPLEX = _functions("view_as_complex")
REAL = _functions("view_as_real")
EMBEDDING = frozenset({F.embedding})
DISTANCE = frozenset({torch.cdist})
DROPOUT = frozenset({F.dropout, torch.dropout, F.dropout1d, F.dropout2d, F.alpha_dropout, F.feature_alpha_dropout})
# A tag matters past these only on scores: attention with another activation in place of a softmax.
ACTIVATIONS = _functions(
    "gelu", "relu", "silu", "elu", "leaky_relu", "mish", "hardswish", "softplus", "sigmoid", "tanh", "pow", "erf"
)  # fmt: skip
# What comes out has nothing to do with where the positions or features were.
ENDS = _functions(
    "sum", "mean", "cos", "sin", "argmax", "argmin", "amax", "amin", "logsumexp", "norm",
    "cumsum", "any", "all", "gt", "lt", "ge", "le", "eq", "ne", "isnan", "isinf", "size", "dim", "backward", "item",
    "tolist", "numel", "cross_entropy", "nll_loss", "multinomial", "nonzero", "bincount", "std", "var",
    "as_strided", "fold", "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like",
    "new_zeros", "new_ones", "new_full", "new_empty", "arange", "one_hot", "stride", "is_contiguous", "log_softmax_",
)  # fmt: skip
SCALE_UP = _functions("mul", "__mul__", "__rmul__", "mul_", "__imul__", "multiply")
SCALE_DOWN = _functions("div", "__truediv__", "div_", "__itruediv__", "true_divide", "divide")
SUBTRACT = _functions("sub", "__sub__", "sub_", "__isub__", "subtract", "subtract_")
SUBTRACT_REVERSED = _functions("__rsub__", "rsub")
ADD = _functions("add", "__add__", "__radd__", "add_", "__iadd__") | SUBTRACT | SUBTRACT_REVERSED
NEGATE = _functions("neg", "neg_", "negative", "negative_", "__neg__")
EXPONENTIAL = _functions("exp", "exp_", "exp2", "exp2_")
TANH = _functions("tanh", "tanh_")
# The result is what came in, perhaps in another type or place.
KEEPS_VALUES = _functions(
    "to", "float", "double", "half", "bfloat16", "type", "type_as", "contiguous", "clone", "detach", "detach_", "cpu",
    "cuda", "requires_grad_", "positive", "nan_to_num",
)  # fmt: skip
MASK = _functions("masked_fill", "masked_fill_", "where", "masked_scatter", "clamp", "clamp_", "nan_to_num")


_IN_PLACE = frozenset(
    {
        "__setitem__", "__set__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ifloordiv__", "__imod__",
        "__ipow__", "__imatmul__", "__iand__", "__ior__", "__ixor__", "__ilshift__", "__irshift__",
    }
)  # fmt: skip


@cache
def name_of(function: Any) -> str:
    """A name for messages."""
    return str(getattr(function, "__name__", function))


@cache
def is_in_place(function: Any) -> bool:
    """Whether the function writes into arguments."""
    return bool(written_arguments(function))


@cache
def written_arguments(function: Any) -> tuple[int, ...]:
    """The places of the arguments that a function writes into, ``out=`` aside: by its schema, or else by its name."""
    schemas = [function._schema] if hasattr(function, "_schema") else []
    if hasattr(function, "overloads"):  # an operator of `torch.ops` before its types are known
        schemas = [getattr(function, overload)._schema for overload in function.overloads()]
    written = {
        place
        for schema in schemas
        for place, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write and not argument.kwarg_only
    }
    name = name_of(function)
    if (name.endswith("_") and not name.endswith("__")) or name in _IN_PLACE:
        written.add(0)
    return tuple(sorted(written))


def is_unknown_attention(function: Any) -> bool:
    """A registered operator (not one of PyTorch's Python functions) whose name says attention."""
    name = str(function).lower()
    return "ops" in type(function).__module__ and any(word in name for word in ("attention", "attn"))
