"""What each JAX primitive does to axes, in the few operations of `attncore.dataflow`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from attncore.dataflow import (
    Broadcast,
    Concatenate,
    Contract,
    Elementwise,
    Fill,
    Graph,
    Opaque,
    Reduce,
    Reshape,
    Slice,
    Transpose,
    Value,
)

from ._jax_indexing import INDEXING, Axis, Inputs, Made, all_axes, is_filled

# Those with a meaning to the finder go by its word for them; the others keep their own.
ELEMENTWISE = {
    "add": "add",
    "add_any": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "div",
    "neg": "neg",
    "exp": "exp",
    "exp2": "exp2",
    "log": "log",
    "max": "max",
    "min": "min",
    "pow": "pow",
    "tanh": "tanh",
    "convert_element_type": "cast",
    "bitcast_convert_type": "bitcast",
    "and": "logical",
    "or": "logical",
    "not": "logical",
    "xor": "logical",
    "eq": "compare",
    "ne": "compare",
    "lt": "compare",
    "le": "compare",
    "gt": "compare",
    "ge": "compare",
    "eq_to": "compare",
    "lt_to": "compare",
    "le_to": "compare",
}
OTHER_ELEMENTWISE = frozenset(
    {
        *("abs", "sign", "ceil", "floor", "round", "clamp", "rem", "nextafter", "is_finite", "cbrt", "sqrt", "rsqrt"),
        *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "asinh", "acosh", "atanh", "logistic"),
        *("erf", "erfc", "erf_inv", "expm1", "log1p", "digamma", "lgamma", "polygamma", "zeta", "igamma", "igammac"),
        *("complex", "real", "imag", "conj", "clz", "population_count"),
        *("shift_left", "shift_right_arithmetic", "shift_right_logical"),
        *("psum", "psum_invariant", "pmax", "pmin", "pmean", "ppermute"),
    }
)
IDENTITIES = frozenset(
    {
        *("copy", "copy_p", "device_put", "name", "optimization_barrier", "reduce_precision", "stop_gradient"),
        *("mesh_cast", "pcast", "pvary", "reshard", "sharding_constraint", "layout_constraint"),
    }
)
FILLS = frozenset({"axis_index", "empty", "empty2", "iota", "partition_id", "platform_index"})
RANDOM = frozenset(
    {
        *("rng_bit_generator", "rng_uniform"),
        *("random_bits", "random_clone", "random_fold_in", "random_gamma", "random_seed", "random_split"),
        *("random_unwrap", "random_wrap", "threefry2x32"),
    }
)
# The output has the input's axes, each number depending on several along some of them.
SAME_AXES = frozenset({"cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "fft", "rev", "sort"})
_ATTENTION_WORDS = ("attention", "flash", "splash", "mha", "sdpa")


def add_operations(graph: Graph, equation: Any, inputs: Inputs, outputs: Inputs, scope: str) -> None:
    """Add what one equation does to the graph, as one operation or a few."""
    name, params = equation.primitive.name, equation.params
    if name in ELEMENTWISE:
        graph.add(Elementwise(ELEMENTWISE[name]), inputs, outputs, scope=scope)
    elif name in IDENTITIES or (name in OTHER_ELEMENTWISE and len(outputs) > 1):
        function = "identity" if name in IDENTITIES else name
        for one, output in zip(inputs, outputs, strict=False):
            graph.add(Elementwise(function), (one,), (output,), scope=scope)
    elif name in OTHER_ELEMENTWISE:
        graph.add(Elementwise(name), inputs, outputs, scope=scope)
    elif name in FILLS or name in RANDOM:
        graph.add(Fill(random=name in RANDOM), inputs, outputs, scope=scope)
    elif name in _SEVERAL:
        _SEVERAL[name](graph, params, inputs, outputs, scope)
    else:
        made = _SINGLE[name](params, inputs, outputs[0]) if name in _SINGLE else None
        operation, used = made if made is not None else (_opaque(equation, inputs, outputs), inputs)
        graph.add(operation, used, outputs, scope=scope)


def _opaque(equation: Any, inputs: Inputs, outputs: Inputs) -> Opaque:
    """An operation that is not followed, by the most telling name it has."""
    primitive, params = equation.primitive.name, equation.params
    if primitive in SAME_AXES or (primitive.startswith("cum") and inputs[0].shape == outputs[0].shape):
        # Numbers that were counted only, as those of an argsort, are where the first array's come to lie.
        places = (0 if is_filled(one) else place for place, one in enumerate(inputs[: len(outputs)]))
        axes = tuple(all_axes(place, value) for place, value in zip(places, outputs, strict=True))
        turned = frozenset(params["dimensions"] if primitive == "rev" else ())
        ranked = frozenset({params["dimension"]} if primitive == "sort" else ())
        return Opaque(primitive, axes, turned=turned, sorted=ranked)
    if primitive == "top_k" or primitive.startswith("reduce_window"):
        ranked = frozenset({len(inputs[0].shape) - 1} if primitive == "top_k" else ())
        return Opaque(primitive, (all_axes(0, inputs[0]),) * len(outputs), sorted=ranked)
    own = _own_name(params)
    told = f"{primitive} {own}".lower()
    return Opaque(f"{primitive} {own}".strip(), fused_attention=any(word in told for word in _ATTENTION_WORDS))


def _own_name(params: Any) -> str:
    """What a kernel or a foreign function is called, where it says so: by its author or by its Python function."""
    for key in ("name", "name_and_src_info", "target_name"):
        if params.get(key):
            return str(params[key]).split(" ")[0]
    for key in ("jaxpr", "call"):
        about = getattr(getattr(params.get(key), "jaxpr", params.get(key)), "debug_info", None)
        if about is not None:
            return str(about.func_src_info).split(" ")[0]
    return ""


def _dot_general(params: Any, inputs: Inputs, output: Value) -> Made:
    (left_sum, right_sum), (left_batch, right_batch) = params["dimension_numbers"]
    left, right = [-1] * len(inputs[0].shape), [-1] * len(inputs[1].shape)
    result: list[int] = []
    for one, other in zip(left_batch, right_batch, strict=True):
        left[one] = right[other] = len(result)
        result.append(len(result))
    for labels, summed in ((left, left_sum), (right, right_sum)):
        for axis in range(len(labels)):
            if labels[axis] < 0 and axis not in summed:
                labels[axis] = len(result)
                result.append(len(result))
    for number, (one, other) in enumerate(zip(left_sum, right_sum, strict=True)):
        left[one] = right[other] = len(result) + number
    return Contract(tuple(left), tuple(right), tuple(result)), inputs[:2]


def _transpose(params: Any, inputs: Inputs, output: Value) -> Made:
    return Transpose(tuple(params["permutation"])), inputs


def _reshape(params: Any, inputs: Inputs, output: Value) -> Made:
    return Reshape(), inputs[:1]


def _broadcast_in_dim(params: Any, inputs: Inputs, output: Value) -> Made:
    into = list(params["broadcast_dimensions"])
    return Broadcast(tuple(into.index(axis) if axis in into else None for axis in range(len(output.shape)))), inputs[:1]


def _squeeze(params: Any, inputs: Inputs, output: Value) -> Made:
    rank = len(inputs[0].shape)
    gone = {axis % rank for axis in params["dimensions"]}
    return Broadcast(tuple(axis for axis in range(rank) if axis not in gone)), inputs


def _expand_dims(params: Any, inputs: Inputs, output: Value) -> Made:
    rank = len(output.shape)
    new = {axis % rank for axis in params["dimensions"]}
    source = iter(range(len(inputs[0].shape)))
    return Broadcast(tuple(None if axis in new else next(source) for axis in range(rank))), inputs


def _reduce(function: str) -> Callable[[Any, Inputs, Value], Made]:
    def make(params: Any, inputs: Inputs, output: Value) -> Made:
        return Reduce(function, tuple(params["axes"])), inputs[:1]

    return make


def _select_n(params: Any, inputs: Inputs, output: Value) -> Made:
    if len(inputs) != 3:
        return Elementwise("select_n"), inputs
    which, no, yes = inputs
    return Elementwise("select"), (which, yes, no)


def _integer_pow(params: Any, inputs: Inputs, output: Value) -> Made:
    power = Value((), output.dtype, "constant", constant=np.asarray(params["y"], dtype=np.float32))
    return Elementwise("pow"), (inputs[0], power)


def _square(params: Any, inputs: Inputs, output: Value) -> Made:
    return Elementwise("mul"), (inputs[0], inputs[0])


def _convolution(params: Any, inputs: Inputs, output: Value) -> Made:
    numbers = params["dimension_numbers"]
    axes: list[Axis] = [None] * len(output.shape)
    axes[numbers.out_spec[0]], axes[numbers.out_spec[1]] = (0, numbers.lhs_spec[0]), (1, numbers.rhs_spec[0])
    for place, axis in zip(numbers.out_spec[2:], numbers.lhs_spec[2:], strict=True):
        axes[place] = (0, axis)
    return Opaque("conv_general_dilated", (tuple(axes),)), inputs


_SINGLE: dict[str, Callable[[Any, Inputs, Value], Made]] = {
    **INDEXING,
    "argmax": _reduce("argmax"),
    "argmin": _reduce("argmin"),
    "broadcast_in_dim": _broadcast_in_dim,
    "conv_general_dilated": _convolution,
    "dot_general": _dot_general,
    "expand_dims": _expand_dims,
    "integer_pow": _integer_pow,
    "reduce_and": _reduce("and"),
    "reduce_max": _reduce("max"),
    "reduce_min": _reduce("min"),
    "reduce_or": _reduce("or"),
    "reduce_prod": _reduce("prod"),
    "reduce_sum": _reduce("sum"),
    "reshape": _reshape,
    "select_n": _select_n,
    "square": _square,
    "squeeze": _squeeze,
    "transpose": _transpose,
}


def _split(graph: Graph, params: Any, inputs: Inputs, outputs: Inputs, scope: str) -> None:
    """Pieces of an axis, one after the other."""
    axis, start = params["axis"], 0
    for size, output in zip(params["sizes"], outputs, strict=True):
        bounds = tuple((start, start + size, 1) if place == axis else None for place in range(len(output.shape)))
        graph.add(Slice(bounds), inputs, (output,), scope=scope)
        start += size


def _unstack(graph: Graph, params: Any, inputs: Inputs, outputs: Inputs, scope: str) -> None:
    """Every position of an axis as an array without it."""
    source = inputs[0]
    axis = params.get("axis", params.get("dimension", 0)) % len(source.shape)
    for place, output in enumerate(outputs):
        shape = tuple(1 if at == axis else size for at, size in enumerate(source.shape))
        cut = Value(shape, source.dtype)
        bounds = tuple((place, place + 1, 1) if at == axis else None for at in range(len(shape)))
        graph.add(Slice(bounds), inputs, (cut,), scope=scope)
        graph.add(Broadcast(tuple(at for at in range(len(shape)) if at != axis)), (cut,), (output,), scope=scope)


def _stack(graph: Graph, params: Any, inputs: Inputs, outputs: Inputs, scope: str) -> None:
    """Arrays one after the other on a new axis."""
    rank = len(outputs[0].shape)
    axis = params.get("axis", params.get("dimension", 0)) % rank
    source = list(range(rank - 1))
    axes: Sequence[int | None] = [*source[:axis], None, *source[axis:]]
    raised = []
    for one in inputs:
        shape = tuple(1 if at is None else one.shape[at] for at in axes)
        raised.append(Value(shape, one.dtype))
        graph.add(Broadcast(tuple(axes)), (one,), (raised[-1],), scope=scope)
    graph.add(Concatenate(axis), raised, outputs, scope=scope)


_SEVERAL: dict[str, Callable[[Graph, Any, Inputs, Inputs, str], None]] = {
    "split": _split,
    "stack": _stack,
    "unstack": _unstack,
}
