"""Attention written with einsum: the labels say which dimensions are contracted, shared and free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ._torch_dims import Dim, Dims, Factor, fresh, kind_of, size_of
from ._torch_layout import known_dims
from ._torch_tags import Operands, Scores, Softmax, Tag, are_weights, worst_order

if TYPE_CHECKING:
    from ._torch_products import Products


def expanded(equation: str, ranks: list[int]) -> tuple[list[str], str] | None:
    """The labels of each operand and of the result, with ``...`` spelled out; None for what is not of two sides."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        return None
    spare = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation]
    dots = max(
        (rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True) if "..." in term),
        default=0,
    )
    if dots > len(spare):
        return None
    wild = "".join(spare[:dots])
    operands = []
    for term, rank in zip(terms, ranks, strict=True):
        own = rank - len(term.replace("...", ""))
        operands.append(term.replace("...", wild[dots - own :] if own else ""))
    if not arrow:
        counts = "".join(operands)
        right = wild + "".join(sorted(label for label in set(counts) if counts.count(label) == 1 and label not in wild))
    return operands, right.replace("...", wild)


def follow_einsum(products: Products, equation: str, operands: list[Any], out: Any) -> None:
    """Tag the result of an einsum, or report the attention it is."""
    if not isinstance(out, Tensor) or not all(isinstance(operand, Tensor) for operand in operands):
        return
    parsed = expanded(equation, [operand.dim() for operand in operands])
    if parsed is None:
        return
    terms, result = parsed
    tags = [products.table.get(operand) for operand in operands]
    products.sites.check_pooled(*tags)
    if are_weights(*tags):
        return
    for place, tag in enumerate(tags):
        if tag is not None and tag.role is not None and _with_role(products, terms, result, operands, tag, place, out):
            return
    if len(operands) != 2:
        return
    parameters = [products.is_parameter(operand) for operand in operands]
    if any(parameters):
        data = 0 if parameters[1] else 1
        _project(products, terms, result, operands, tags, data, out)
    else:
        _score(products, terms, result, operands, tags, out)


def _with_role(
    products: Products, terms: list[str], result: str, operands: list[Tensor], tag: Tag, place: int, out: Tensor
) -> bool:
    """An einsum on scores or weights: their use, or a mixing of heads."""
    axis = tag.key_axis()
    if axis is None or tag.dims is None:
        return False
    labels = terms[place]
    key = labels[len(labels) + axis]
    if key in result:
        if any(products.is_parameter(operand) for operand in operands) or isinstance(tag.role, Softmax):
            dims = _result_dims(labels, tag.dims, result, out)
            products.table.set(out, tag.replaced(dims=dims, changes=(*tag.changes, "head mixing")))
            return True
        return False
    if len(operands) != 2:
        return False
    other_place = 1 - place
    other, other_labels = operands[other_place], terms[other_place]
    if key not in other_labels:
        return False
    parameters = products.is_parameter(other)
    if isinstance(tag.role, Scores) and parameters:
        return False
    free = [label for label in labels if label not in other_labels and label != key]
    shared = [label for label in labels if label in other_labels and label != key]
    # Of several free labels the last that is not a group of heads is the query.
    rows = [label for label in free if not _is_head_group(labels, tag.dims, label)] or free
    row = rows[-1] if rows else None
    lead = shared + [label for label in free if label != row]
    order = [*lead, *([row] if row else []), key]
    weights = operands[place].permute([labels.index(label) for label in order])
    arranged: Dims = tuple(tag.dims[labels.index(label)] for label in order)
    if row is None:
        weights, arranged = weights.unsqueeze(-2), (*arranged[:-1], fresh((1,), "plain")[0], arranged[-1])
    rest = [label for label in other_labels if label not in labels]
    values = other.permute([other_labels.index(label) for label in [*shared, key, *rest]])
    values = values.reshape(*values.shape[: len(shared) + 1], -1)
    missing = len(lead) - len(shared)
    for _ in range(missing):
        values = values.unsqueeze(len(shared))
    produced = _as_product(result, [*lead, *([row] if row else [])], rest, out) if row else None
    products.sites.use(weights, tag.replaced(dims=arranged), values, produced, values_are_parameters=parameters)
    return True


def _as_product(result: str, front: list[str], rest: list[str], out: Tensor) -> Tensor | None:
    """The result as (..., query, value_dim), for gradients; None when labels were summed on the way."""
    if sorted(result) != sorted([*front, *rest]):
        return None
    ordered = out.permute([result.index(label) for label in [*front, *rest]])
    return ordered.reshape(*ordered.shape[: len(front)], -1)


def _is_head_group(labels: str, dims: Dims, label: str) -> bool:
    dim = dims[labels.index(label)]
    return any(factor.kind == "feature" for factor in dim if factor.size > 1)


def _result_dims(labels: str, dims: Dims, result: str, out: Tensor) -> Dims:
    """Dimensions of the result: those of the labelled operand where it has the label, heads otherwise."""
    return tuple(
        dims[labels.index(label)] if label in labels else (Factor(int(size), "feature"),)
        for label, size in zip(result, out.shape, strict=True)
    )


def _project(
    products: Products,
    terms: list[str],
    result: str,
    operands: list[Tensor],
    tags: list[Tag | None],
    data: int,
    out: Tensor,
) -> None:
    """A projection: labels that only the parameter has are features."""
    tag = tags[data]
    if tag is None or tag.stream is None or tag.dims is None:
        tag = products.hidden_states(operands[data], tag)
    known: Dims = tag.dims or ()
    dims: list[Dim] = []
    origin = object()
    for label, size in zip(result, out.shape, strict=True):
        if label in terms[data] and label not in terms[1 - data]:
            dims.append(known[terms[data].index(label)])
        else:
            dims.append((Factor(int(size), "feature", origin),))
    if out.is_floating_point():
        products.table.set(out, Tag(tuple(dims), products.table.source_of(tag), projected=True, moves=tag.moves))


def _score(
    products: Products, terms: list[str], result: str, operands: list[Tensor], tags: list[Tag | None], out: Tensor
) -> None:
    """A product of two data tensors: labels only the first has are rows, labels only the second has columns."""
    first, second = terms
    contracted = [label for label in first if label in second and label not in result]
    rows = [label for label in result if label in first and label not in second]
    columns = [label for label in result if label in second and label not in first]
    if not contracted or not columns or not rows or not out.is_floating_point():
        return
    dims_of = [
        known_dims(tag.dims if tag else None, operand.shape) for tag, operand in zip(tags, operands, strict=True)
    ]
    dims: list[Dim] = []
    for label in result:
        options = [dims_of[side][terms[side].index(label)] for side in (0, 1) if label in terms[side]]
        certain = [dim for dim in options if all(factor.kind != "unknown" for factor in dim)]
        dims.append((certain or options)[0])
    dims, row_factors, column_factors = _own_factors(result, dims, rows, columns)
    lead = [label for label in result if label in first and label in second]
    orders = [tag.order for tag in tags if tag is not None]
    sides = []
    for side, own in ((0, rows), (1, columns)):
        labels = terms[side]
        order = [*lead, *own, *contracted]
        moved = operands[side].detach().permute([labels.index(label) for label in order])
        sides.append(moved.reshape(*moved.shape[: len(lead) + len(own)], -1))
    factors = Operands(sides[0], sides[1], tags[0], tags[1])
    products.sites.recorder.held.remember(factors, "first", "second")
    role = Scores(factors, row_factors, column_factors)
    role.lead = tuple(dims[result.index(label)] for label in lead)
    inner = [kind_of(dims_of[0][first.index(label)]) for label in contracted]
    role.contracted = inner[0] if len(set(inner)) == 1 else "unknown"
    products.table.set(
        out, Tag(dims=tuple(dims), order=worst_order(orders), role=role, key=column_factors[-1], projected=True)
    )


def _own_factors(
    result: str, dims: list[Dim], rows: list[str], columns: list[str]
) -> tuple[list[Dim], tuple[Factor, ...], tuple[Factor, ...]]:
    """Rows and columns as single factors, so that the softmax's axis can be told among them."""
    found: dict[str, Factor] = {}
    for place, label in enumerate(result):
        if label in rows or label in columns:
            dim = dims[place]
            kind = dim[0].kind if dim else "plain"
            # A factor of its own: the same tensor may be both query and key.
            found[label] = Factor(size_of(dim), kind)
            dims[place] = (found[label],)
    return dims, tuple(found[label] for label in rows), tuple(found[label] for label in columns)
