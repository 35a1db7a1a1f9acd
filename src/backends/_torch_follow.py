"""How a tag passes through each operation that is not attention itself: views, permutations, arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from . import _torch_functions as fn
from ._torch_changes import noted, precedence
from ._torch_dims import Dim, Dims, Factor, fitted, fresh, kind_of, resized, size_of
from ._torch_moves import common_moves
from ._torch_origins import (
    Tagged,
    first_seen,
    follow_opaque_layer,
    hidden_states,
    is_product,
    made_of_constants,
    moved_first,
    telling,
)
from ._torch_shapes import Rule
from ._torch_tags import RESAMPLED, Softmax, Tag, TagTable, worst_order

# A tuple: a union of types would be made anew at each use, for every operation of the model.
_LISTS = (list, tuple)
_MOVING = fn.REORDER | fn.SHUFFLE | fn.GETITEM


def tensors_in(values: Sequence[Any]) -> Iterator[Tensor]:
    """The tensors among arguments, also those inside lists."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, _LISTS):
            yield from (part for part in value if isinstance(part, Tensor))


def follow_rule(
    rule: Rule, table: TagTable, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
) -> None:
    """Tag the result of a view or another change of shape from its first argument."""
    source = args[0] if args else kwargs.get("input")
    tag = table.get(source) if isinstance(source, Tensor) else None
    if (tag is None or tag.parameter) and made_of_constants(table, list(tensors_in((source, *args[1:])))):
        if isinstance(out, Tensor):
            table.set(out, Tag(dims=None, parameter=True))
        return
    if tag is None or tag.only_source:
        known, tag = tag, hidden_states(table, function, source, out, tag)
        if tag is None:
            if function in _MOVING:
                known = moved_first(table, known, function, args, kwargs, out)
            if known is not None and isinstance(out, Tensor) and (out.is_floating_point() or known.moves):
                table.set(out, known)
            return
    if isinstance(out, Tensor) and (out.dtype.is_floating_point or out.dtype.is_complex or tag.moves):
        set_tag(table, out, rule(tag, function, args, kwargs, out), function)


def follow_arithmetic(table: TagTable, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
    """Tag the result of an operation that keeps positions where they are from all its arguments."""
    tagged = tagged_in(table, args, kwargs)
    if len(tagged) == 1 and out is tagged[0][0] and tagged[0][1].role is None:
        return  # the same tensor, as `to` returns that of the right type
    if not isinstance(out, Tensor):
        return
    if len(tagged) == 1 and _unchanged(*tagged[0], out) and not is_product(function):
        # By far the most frequent case, a norm or a bias: the same is known of the result.
        table.set(out, tagged[0][1])
        return
    both = _sum_of_two(table, tagged, out) if len(tagged) == 2 and not kwargs else None
    if both is not None and not fn.is_in_place(function):
        table.set(out, both)
        return
    _follow_other(table, tagged, function, args, kwargs, out)


def _follow_other(
    table: TagTable, tagged: Tagged, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor
) -> None:
    """Tag what is less frequent: made of scores, of weights, of what was not known before or by an opaque layer."""
    tensors = list(tensors_in((*args, *kwargs.values())))
    if follow_opaque_layer(table, function, tensors, out):
        return
    if all(tag.parameter for _, tag in tagged):
        if made_of_constants(table, tensors, out.shape):
            table.set(out, Tag(dims=None, parameter=True))
            return
        tagged = first_seen(table, tensors, out)
    elif len(tagged) > 1:
        tagged = telling(table, tagged)
    if len(tagged) == 1 and _unchanged(*tagged[0], out):
        table.set(out, tagged[0][1])
    elif tagged and (out.is_floating_point() or out.is_complex()):
        set_tag(table, out, _elementwise(table, tagged, function, args, kwargs, out), function)


def follow_activation(table: TagTable, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
    """Scores and weights pass an activation or dropout; hidden states start anew at the projection after one."""
    source = args[0] if args else kwargs.get("input")
    tag = table.get(source) if isinstance(source, Tensor) else None
    if source is None or tag is None or tag.parameter or not isinstance(out, Tensor):
        return
    if tag.role is not None:
        follow_arithmetic(table, function, args, kwargs, out)
    elif tag.stream is not None and out.shape == source.shape:
        activated = tag.activated or function not in fn.DROPOUT
        if activated == tag.activated and tag.pooled is None and not tag.written and out is not source:
            table.set(out, tag)
        else:
            table.set(out, tag.replaced(activated=activated, pooled=None, written=out is source))


def _unchanged(tensor: Tensor, tag: Tag, out: Tensor) -> bool:
    """Whether a tag without a role can be shared by the result as it is."""
    plain = tag.role is None and tag.dims is not None and not tag.written and not tag.parameter
    return plain and out is not tensor and out.shape == tensor.shape and out.dtype.is_floating_point


def _sum_of_two(table: TagTable, tagged: list[tuple[Tensor, Tag]], out: Any) -> Tag | None:
    """The tag of a residual sum, or of any other plain operation on two tensors of one shape; None for all others."""
    (first_tensor, first), (second_tensor, second) = tagged
    if first.role is not None or second.role is not None or first.dims is None or second.dims is None:
        return None
    if not isinstance(out, Tensor) or not (out.shape == first_tensor.shape == second_tensor.shape):
        return None
    if not out.dtype.is_floating_point:
        return None
    main, other = (second, first) if second.projected and not first.projected else (first, second)
    stream, order = main.stream, main.order
    if main.projected == other.projected:
        if stream is None or other.stream is None:
            return None
        stream = table.merged_stream(stream, other.stream)
        order = order if order == other.order else worst_order([order, other.order])
    moves = main.moves
    if moves is not other.moves:
        moves = common_moves((main, other))
    return Tag(main.dims, stream, main.projected, order, key=main.key, pooled=main.pooled, span=main.span, moves=moves)


def follow_ordered(table: TagTable, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
    """Tag what was sorted: scores and weights are still such, but no longer in the order of their keys."""
    source, values = args[0] if args else kwargs.get("input"), out if isinstance(out, Tensor) else out[0]
    tag = table.get(source) if isinstance(source, Tensor) else None
    if tag is None or tag.dims is None or len(tag.dims) != values.dim():
        return
    axis, dims = tag.key_axis(), [resized(dim, int(size)) for dim, size in zip(tag.dims, values.shape, strict=True)]
    key = None
    if axis is not None:
        key = Factor(int(values.shape[axis]), kind_of(dims[axis]))
        dims[axis] = (key,)
    order = "shuffled" if tag.projected else tag.order
    table.set(values, tag.replaced(dims=tuple(dims), key=key, order=order, written=False))


def tagged_in(table: TagTable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[Tensor, Tag]]:
    """The tensors among arguments of which something is known, each with its tag."""
    # A loop of its own, since this runs for every operation of the model.
    tagged: list[tuple[Tensor, Tag]] = []
    get = table.get
    for value in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(value, Tensor):
            tag = get(value)
            if tag is not None:
                tagged.append((value, tag))
        elif isinstance(value, _LISTS):
            tagged += [(part, tag) for part in tensors_in(value) if (tag := get(part)) is not None]
    return tagged


def set_tag(table: TagTable, out: Tensor, tag: Tag | None, function: Any) -> None:
    """Tag a result, and note when its key dimension is lost; nothing is done without a tag."""
    if tag is not None:
        if tag.role is not None:
            _check_key(tag, fn.name_of(function))
        table.set(out, tag)


def _check_key(tag: Tag, name: str) -> None:
    """A softmax output whose key dimension was folded away can no longer be read as (query, key)."""
    if tag.role is None or tag.key_axis() is not None:
        return
    if isinstance(tag.role, Softmax) and not tag.role.lost:
        tag.role.lost = f"its key dimension was reshaped away by {name}"
    tag.role, tag.key = None, None


# Arithmetic: same shape, or broadcast.


def _elementwise(
    table: TagTable, tagged: list[tuple[Tensor, Tag]], function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor
) -> Tag | None:
    """The tag of a sum, product, norm, activation or anything else that keeps positions where they are."""
    shape = tuple(out.shape)
    roles = [(tensor, tag) for tensor, tag in tagged if tag.role is not None]
    main_tensor, main = min(roles, key=lambda pair: _rank(pair[1])) if roles else tagged[0]
    others = [tag for _, tag in tagged if tag is not main]
    if main.role is None:
        same = [(tensor, tag) for tensor, tag in tagged if tuple(tensor.shape) == shape and tag.dims is not None]
        projected = [pair for pair in same if pair[1].projected]
        main_tensor, main = (projected or same or [pair for pair in tagged if pair[1].dims is not None] or tagged)[0]
        others = [tag for _, tag in tagged if tag is not main]
    if main.only_source and tuple(main_tensor.shape) == shape:
        moves = common_moves([main, *others])
        return main.replaced(stream=common_stream(table, [main, *others]), moves=moves)
    if main.dims is None:
        return None
    if tuple(main_tensor.shape) != shape:
        if not _broadcasts(main_tensor.shape, shape):
            return None if others else _resampled(table, main, main.dims, shape)
        main = main.replaced(dims=fitted(main.dims, shape))
    tag = main.replaced(
        stream=common_stream(table, [main, *others]),
        projected=main.projected or any(other.projected for other in others),
        order=worst_order([main.order, *(other.order for other in others if _counts(other, main))]),
        written=False,
        parameter=False,
    )
    if main.role is None:
        tag.moves = common_moves([main, *others])
    if "out" in kwargs or fn.is_in_place(function):
        tag.written = True
    return noted(tag, main_tensor, others, function, args, kwargs)


def _resampled(table: TagTable, tag: Tag, dims: Dims, shape: Sequence[int]) -> Tag | None:
    """Hidden states that were pooled, made larger or added up by index: others, of dimensions made of the same."""
    if tag.role is not None or len(dims) != len(shape):
        return None
    resampled = tuple(resized(dim, int(size)) for dim, size in zip(dims, shape, strict=True))
    stream = table.other_stream(tag.stream, of=RESAMPLED)
    moves = tuple(move for move in tag.moves if move[0] != "shift")  # those pooled are of two places anyway
    return Tag(resampled, stream, tag.projected, tag.order, moves=moves)


def _rank(tag: Tag) -> tuple[int, bool]:
    """Which scores or weights of several the result is: not those that were sorted, as for a threshold."""
    return precedence(tag), tag.order == "shuffled"


def _counts(other: Tag, main: Tag) -> bool:
    """Whether an operand's order matters to the result's: that of a bias beside scores does not."""
    if main.role is not None:
        return other.role is not None and other.key is main.key
    return other.projected == main.projected


def _broadcasts(source: Sequence[int], shape: Sequence[int]) -> bool:
    if len(source) > len(shape):
        return False
    ends = zip(reversed(tuple(source)), reversed(tuple(shape)), strict=False)
    return all(mine in (1, theirs) for mine, theirs in ends)


def common_stream(table: TagTable, tags: list[Tag]) -> int | None:
    """The source of a sum: projected parts count before others, such as rotary cosines."""
    first = tags[0].stream
    if all(tag.stream == first for tag in tags):
        return first
    projected = [tag for tag in tags if tag.projected]
    result: int | None = None
    for tag in projected or tags:
        if tag.stream is not None:
            result = tag.stream if result is None else table.merged_stream(result, tag.stream)
    return result


def projected_dims(
    tag: Tag | None, shape: Sequence[int], out_shape: Sequence[int], feature_axes: Sequence[int]
) -> Dims:
    """Dimensions of a projection's output: those of its input, with new feature dimensions."""
    known = tag.dims if tag is not None and tag.dims is not None else fresh(shape, "plain")
    rank = len(out_shape)
    features = {axis % rank for axis in feature_axes}
    dims: list[Dim] = []
    for axis, size in enumerate(out_shape):
        if axis in features:
            dims.append((Factor(int(size), "feature", object()),))
        elif axis < len(known) and size_of(known[axis]) == size:
            dims.append(known[axis])
        else:
            dims.append((Factor(int(size), kind_of(known[axis]) if axis < len(known) else "plain"),))
    return tuple(dims)
