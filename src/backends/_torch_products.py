"""Products: what a projection, a convolution, an embedding or a product of two tensors makes of their tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._torch_arrays import data_address
from ._torch_dims import Dims, Factor, as_positions, fitted, fresh, is_along_positions, is_feature, kind_of, projected
from ._torch_einsum import follow_einsum
from ._torch_findings import CHAINED
from ._torch_follow import projected_dims
from ._torch_layout import known_dims
from ._torch_origins import begin
from ._torch_sites import Sites
from ._torch_tags import RESAMPLED, Operands, Scores, Softmax, Tag, TagTable, are_weights, worst_order


class Products:
    """Follows products: of data with parameters, which project, and of data with data, which score or attend."""

    def __init__(self, sites: Sites, parameters: Callable[[], frozenset[int]]) -> None:
        self.sites = sites
        self.table: TagTable = sites.table
        self.table.constants = parameters

    def is_parameter(self, tensor: Any) -> bool:
        """A parameter, a view of one, or something computed from parameters alone."""
        if isinstance(tensor, torch.nn.Parameter):
            return True
        tag = self.table.get(tensor)
        if tag is not None and (tag.parameter or tag.written):
            return tag.parameter
        return isinstance(tensor, Tensor) and self.table.is_constant(tensor)

    # Projections: products with parameters.

    def linear(self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Tag the output of a linear layer."""
        self.project(args[0] if args else kwargs["input"], out, (-1,))

    def embedding(self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Tag hidden states that begin here."""
        if isinstance(out, Tensor) and out.dim() > 1:
            dims = (*fresh(out.shape[:-1], "plain"), *fresh(out.shape[-1:], "feature"))
            ids = table.get(args[0]) if args else None
            stream = table.new_stream()
            table.set(out, Tag(dims=dims, stream=stream, moves=() if ids is None else ids.moves))
            if table.inputs and args and (number := table.inputs.get(data_address(args[0]))) is not None:
                table.input_of[stream] = number

    def distance(self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Scores from distances in place of products."""
        first, second = args[0], args[1]
        second_tag = table.get(second)
        flipped = None
        if second_tag is not None and second_tag.dims is not None:
            flipped = second_tag.replaced(dims=(*second_tag.dims[:-2], second_tag.dims[-1], second_tag.dims[-2]))
        self._score(first, table.get(first), second.transpose(-1, -2), flipped, out)
        tag = table.get(out)
        if tag is not None and isinstance(tag.role, Scores):
            tag.role.scale = None

    def addmm(self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Tag a product with something added, which is how many layers project."""
        if len(args) < 3:
            return
        first, second = args[1], args[2]
        # The weight comes second in every layer, and telling that something is no parameter takes longest.
        if self.is_parameter(second) or self.is_parameter(first):
            self.project(first, out, (-1,))
        else:
            self._product(first, second, out)

    def convolution(self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Tag the output of a convolution: its channels are features."""
        source = args[0] if args else kwargs["input"]
        tag = table.get(source)
        if tag is not None and tag.role is not None:  # a 1x1 convolution that mixes heads (talking heads)
            if out.shape[-2:] == source.shape[-2:] and out.dim() > 2 and tag.dims is not None:
                heads = (Factor(int(out.shape[-3]), "feature"),)
                dims = (*tag.dims[: out.dim() - 3], heads, *tag.dims[-2:])
                table.set(out, tag.replaced(dims=dims, changes=(*tag.changes, "head mixing")))
            return
        spatial = func.__name__[-2:]
        axis = -1 - int(spatial[0]) if spatial[0].isdigit() else -3
        self.project(source, out, (axis,))

    def project(self, source: Tensor, out: Tensor, feature_axes: tuple[int, ...]) -> None:
        """Tag the output of a projection; its source gets a stream number if it has none."""
        if not isinstance(source, Tensor) or not out.is_floating_point():
            return
        tag = self.table.get(source)
        if tag is not None and tag.role is not None and self._mixes_heads(tag, out):
            return
        if tag is None or tag.stream is None or tag.dims is None:
            tag = self.hidden_states(source, tag)
        shape, stream = out.shape, self.table.source_of(tag)
        if feature_axes == (-1,) and tag.dims is not None and len(tag.dims) == len(shape):
            dims = projected(tag.dims, int(shape[-1]), tag.projections)
            if is_along_positions(tag.dims):
                stream = self.table.other_stream(stream, of=RESAMPLED)
        else:
            dims = projected_dims(tag, source.shape, shape, feature_axes)
        tag.projections += 1
        # Projecting makes hidden states of whatever came before: a sequence cut before it is whole again.
        self.table.set(out, Tag(dims, stream, True, moves=tag.moves))

    def hidden_states(self, source: Tensor, known: Tag | None) -> Tag:
        """Tag what is projected first of all."""
        return begin(self.table, source, known)

    def _mixes_heads(self, tag: Tag, out: Tensor) -> bool:
        """Tag the output of a linear layer across the heads of scores or weights; false when it is not that."""
        if tag.dims is None or tag.key_axis() in (None, -1):
            return False
        dims = (*tag.dims[:-1], (Factor(int(out.shape[-1]), "feature"),))
        self.table.set(out, tag.replaced(dims=dims, changes=(*tag.changes, "head mixing")))
        return True

    # Products of two tensors that are both data.

    def matmul(self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Tag a matrix product."""
        second = args[1] if len(args) > 1 else kwargs.get("other", kwargs.get("mat2"))
        self._product(args[0] if args else kwargs.get("input"), second, out)

    def matmul_reversed(
        self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        """Tag a matrix product whose second factor comes first."""
        self._product(args[1], args[0], out)

    def baddbmm(self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Tag a batch of products with something added, often a bias on scores."""
        given = dict(zip(("input", "batch1", "batch2"), args, strict=False)) | kwargs
        alpha, beta = kwargs.get("alpha", 1), kwargs.get("beta", 1)
        self._product(given["batch1"], given["batch2"], out)
        tag = table.get(out)
        if tag is not None and isinstance(tag.role, Scores):
            tag.role.scale = float(alpha) if tag.role.scale is not None else None
            tag.role.steps = ("add",) if beta != 0 else ()

    def _product(self, first: Any, second: Any, out: Any) -> None:
        if not (isinstance(first, Tensor) and isinstance(second, Tensor) and isinstance(out, Tensor)):
            return
        if first.dim() < 2 or second.dim() < 2:
            if first.dim() > 2 and self.is_parameter(second):  # a learned vector that scores each position
                self.project(first.unsqueeze(-2), out, ())
            return
        first_tag, second_tag = self.table.get(first), self.table.get(second)
        self.sites.check_pooled(first_tag, second_tag)
        if first_tag is not None and second_tag is not None and are_weights(first_tag, second_tag):
            self._chain(first_tag, second_tag, out)
            return
        if self._used(first, first_tag, second, second_tag, out):
            return
        if self.is_parameter(second):
            self.project(first, out, (-1,))
        elif self.is_parameter(first):
            self.project(second, out, (-2,))
        else:
            self._score(first, first_tag, second, second_tag, out)

    def _chain(self, first: Tag, second: Tag, out: Tensor) -> None:
        """Tag weights times weights: weights again, over the keys of the second."""
        if first.key_axis() != -1 or second.key_axis() != -1 or first.dims is None or second.dims is None:
            return
        dims = (*fitted(first.dims[:-1], out.shape[:-1]), second.dims[-1])
        self.table.set(out, first.replaced(dims=dims, key=second.key, changes=(*first.changes, CHAINED)))

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
        row = as_positions(first_dims[-2], first_dims[-1]) if first.shape[-2] > 1 else fresh((1,), "plain")[0]
        column = second_dims[-1]
        # A factor of its own: the same tensor may be both query and key.
        key = Factor(int(second.shape[-1]), kind_of(column))
        lead = self._lead(first_dims, second_dims, out)
        orders = [tag.order for tag in (first_tag, second_tag) if tag is not None]
        operands = Operands(first.detach(), second.detach().transpose(-1, -2), first_tag, second_tag)
        self.sites.recorder.held.remember(operands, "first", "second")
        scores = Scores(operands, tuple(row), (key,), lead=tuple(lead))
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

    def einsum(self, table: TagTable, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Tag the result of an einsum."""
        if isinstance(args[0], str):
            operands = list(args[1]) if len(args) == 2 and isinstance(args[1], list | tuple) else list(args[1:])
            follow_einsum(self, args[0], operands, out)
