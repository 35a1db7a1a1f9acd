"""How tags pass through splits and joins: the parts of a tensor, concatenations and stacks."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from . import _torch_functions as fn
from ._torch_arrays import data_address, memory_address
from ._torch_dims import Dim, Dims, Factor, Kind, is_feature, kind_of, origin_of, part_of, size_of
from ._torch_follow import common_stream, set_tag, tagged_in, tensors_in
from ._torch_moves import common_moves
from ._torch_origins import hidden_states, made_of_constants
from ._torch_shapes import indexed
from ._torch_starts import after_joining
from ._torch_tags import Softmax, Tag, TagTable, worst_order


def follow_parts(table: TagTable, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
    """Tag the parts of a split."""
    source = args[0]
    tag = table.get(source)
    if tag is not None and tag.only_source:
        tag = hidden_states(table, function, source, out[0], tag) if len(out) else None
    if tag is not None and tag.dims is not None:
        _follow_parts(table, function, args, kwargs, out, source, tag)


def follow_joined(table: TagTable, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
    """Tag a concatenation or a stack."""
    tagged = [pair for pair in tagged_in(table, args, kwargs) if not pair[1].parameter]
    if tagged and isinstance(out, Tensor):
        set_tag(table, out, _joined(table, tagged, function, args, kwargs, out), function)
    elif not tagged and isinstance(out, Tensor) and made_of_constants(table, list(tensors_in(args))):
        table.set(out, Tag(dims=None, parameter=True))


def _follow_parts(
    table: TagTable, function: Any, args: tuple[Any, ...], kwargs: Any, out: Any, tensor: Tensor, tag: Tag
) -> None:
    """The parts of a split: features may be split freely, a split sequence is in parts."""
    default = 0 if function in fn.UNBIND or fn.name_of(function) in ("chunk", "split", "tensor_split") else -1
    position = 1 if function in fn.UNBIND else 2
    axis = kwargs.get("dim", args[position] if len(args) > position else default)
    axis = int(axis) % tensor.dim()
    if tag.role is None and tag.dims is not None and function not in fn.UNBIND and is_feature(tag.dims[axis]):
        # A fused projection of queries, keys and values, once a layer in many models: the same positions, other
        # features. `indexed` would say the same of each part, and take longer.
        for number, part in enumerate(out):
            table.set(part, tag.moved(part_of(tag.dims, axis, int(part.shape[axis]), number), tag.order))
        return
    start = stop = begin = 0
    for part in out:
        item: Any = 0
        if function not in fn.UNBIND:
            begin, item = begin + int(part.shape[axis]), slice(begin, begin + int(part.shape[axis]))
        result = indexed(tag, (slice(None),) * axis + (item,), part)
        if result is not None and tag.order == "whole" and result.order == "part":
            start, stop = stop, stop + int(part.shape[axis])
            result.span = (start, stop, int(tensor.shape[axis]))
        set_tag(table, part, result, function)


def _joined(
    table: TagTable, tagged: list[tuple[Tensor, Tag]], function: Any, args: tuple[Any, ...], kwargs: Any, out: Tensor
) -> Tag | None:
    """A concatenation: the joined dimension is longer, the rest as in the first tagged part."""
    roles = [pair for pair in tagged if pair[1].role is not None]
    tagged = [pair for pair in tagged if not pair[1].only_source] or tagged
    tag, tags = (roles or tagged)[0][1], [one for _, one in tagged]
    moves = () if tag.role is not None else common_moves(tags)
    if tag.only_source:
        return tag.replaced(stream=common_stream(table, tags), moves=moves)
    if tag.dims is None:
        return None
    stream = common_stream(table, [tag, *(other for other in tags if other is not tag)])
    if table.input_of:
        stream = _stream_of_all(table, stream, tags)
    order = worst_order([other.order for other in tags])
    if function in fn.STACK:
        axis = kwargs.get("dim", args[1] if len(args) > 1 else 0) % out.dim()
        made: Dim = (Factor(int(out.shape[axis]), _kind_of_stack(tagged, int(out.shape[axis]))),)
        dims: Dims = (*tag.dims[:axis], made, *tag.dims[axis:])
        return tag.replaced(dims=dims, stream=stream, order=order, written=False, moves=moves)
    if len(tag.dims) != out.dim():
        return None
    key_axis = tag.key_axis()
    dims, along = tag.dims, -1
    for place, size in enumerate(out.shape):
        if size_of(dims[place]) != size:
            joined = _joined_dim(tag.dims[place], int(size), [other.dims[place] for other in tags if other.dims])
            dims = (*dims[:place], joined, *dims[place + 1 :])
            along = place
    parts = int(out.shape[0]) // max(1, size_of(tag.dims[0]))
    if out.dim() > 2 and _are_chunks(tagged, parts):  # heads in front of the batch
        dims = ((Factor(parts, "feature"), *tag.dims[0]), *dims[1:])
    key = tag.key
    if key_axis is not None and dims[key_axis] is not tag.dims[key_axis]:
        key = dims[key_axis][0]  # a sink's column beside the scores, or scores of several kinds of keys
        if isinstance(tag.role, Softmax):
            tag = tag.replaced(role=None)
            key = None
    joined_tag = tag.replaced(dims=dims, stream=stream, order=order, key=key, written=False, moves=moves)
    if along < 0 or tag.role is not None or not args or not isinstance(args[0], list | tuple):
        return joined_tag
    return after_joining(joined_tag, [(part, table.get(part)) for part in args[0]], out, along)


def _stream_of_all(table: TagTable, stream: int | None, tags: list[Tag]) -> int | None:
    """The stream of parts made of several inputs, which is that of none of them."""
    if stream is None or len({table.input_of.get(tag.stream) for tag in tags}) == 1:
        return stream
    for tag in tags:
        stream = stream if tag.stream is None else table.merged_stream(stream, tag.stream)
    return stream


def _kind_of_stack(tagged: list[tuple[Tensor, Tag]], size: int) -> Kind:
    """What several tensors stacked make: heads, if they are several features of the same positions."""
    if len(tagged) == size > 1 and all(_same_positions(tagged[0][1], other) for _, other in tagged[1:]):
        return "feature"
    return "plain" if tagged[0][1].order == "whole" else "unknown"


def _same_positions(one: Tag, other: Tag) -> bool:
    """Whether two tensors hold different features, or attention of different heads, at the same positions."""
    known = one.dims is not None and other.dims is not None and one.projected and other.projected
    whole = one.order == other.order == "whole" and one.stream == other.stream
    return known and whole and one is not other and (one.dims or ())[:-1] == (other.dims or ())[:-1]


def _are_chunks(tagged: list[tuple[Tensor, Tag]], parts: int) -> bool:
    """Whether these are chunks of the features of one tensor."""
    if not len(tagged) == parts > 1:
        return False
    (first, tag), *rest = tagged
    address = memory_address(first)
    return all(
        _same_positions(tag, other) and memory_address(part) == address and data_address(part) != data_address(first)
        for part, other in rest
    )


def _joined_dim(dim: Dim, size: int, parts: list[Dim]) -> Dim:
    """A dimension joined of several: positions if any part is positions."""
    kind: Kind = "plain" if any(kind_of(part) == "plain" for part in parts) else kind_of(dim)
    origins = {origin_of(part) for part in parts}
    return (Factor(size, kind, origins.pop() if len(origins) == 1 else None),)
