"""The places where attention shows: a softmax, its use, and the fused kernels. One object for each thread."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._torch_arrays import data_address, memory_address
from ._torch_dims import Dim, Dims, Factor, fresh, is_feature, kind_of, size_of
from ._torch_findings import (
    CHAINED,
    PIECES,
    arranged_or_none,
    check_plain_tensor,
    common_span,
    dtype_name,
    four_sizes,
    normalised_by_hand,
    notes_on,
    role_name,
)
from ._torch_fused import FusedSites
from ._torch_gradient_hooks import GradientInto, WeightsGradient
from ._torch_layout import CannotMapError, check_mappable, known_dims, layout_of, notes_on_layout
from ._torch_pieces import as_applied, operands_of, whole_softmax
from ._torch_record import Place, Record
from ._torch_tags import Scores, Softmax, Tag

if TYPE_CHECKING:
    from ._torch_recorder import Recorder


class Sites(FusedSites):
    """Turns what a `Watcher` sees into records, for one thread."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.softmaxes: list[Softmax] = []

    # Softmax and its use.

    def softmax(self, source: Any, tag: Tag | None, out: Tensor, axis: int, of_parameter: bool) -> None:
        """Note a softmax; whether it is attention shows when its result is used."""
        dims = known_dims(tag.dims if tag else None, out.shape)
        place = len(dims) + axis
        if tag is not None and isinstance(tag.role, Softmax) and tag.role.scores and dims[place] == (tag.key,):
            self.table.set(out, tag.replaced(changes=(*tag.changes, "softmax")))
            return
        scores = tag.role if tag is not None and isinstance(tag.role, Scores) else None
        learned = of_parameter or (scores is None and tag is not None and tag.projected and is_feature(dims[place]))
        along_rows = scores is not None and dims[place] == scores.rows
        along_columns = tag is not None and tag.key is not None and dims[place] == (tag.key,)
        if scores is not None and not (along_rows or along_columns):
            scores, learned = None, True  # over heads or the batch: not over the keys
        key = Factor(size_of(dims[place]), kind_of(dims[place]))
        dims = (*dims[:place], (key,), *dims[place + 1 :])
        entry = Softmax(out.detach(), dims, key, scores, self.place.name, learned_scores=learned)
        entry.order, entry.address = tag.order if tag else "whole", memory_address(out)
        entry.keys_first = along_rows and not along_columns
        self.recorder.held.remember(entry, "probabilities")
        if self.recorder.options.grad and out.requires_grad:
            out.register_hook(GradientInto(entry))
        if scores is not None:
            scores.operands.taken = True
            self.softmaxes.append(entry)
        self.table.set(
            out,
            Tag(
                dims=dims,
                stream=tag.stream if tag else None,
                projected=bool(tag and tag.projected),
                order=tag.order if tag else "whole",
                role=entry,
                key=key,
                moves=tag.moves if tag and scores is None else (),
            ),
        )

    def use(self, weights: Tensor, tag: Tag, values: Tensor, out: Tensor | None, values_are_parameters: bool) -> None:
        """A softmax output, or scores normalised by hand, contracted along its key dimension with values.

        ``weights`` is (..., query, key), ``values`` (..., key, value_dim), ``out`` their product.
        """
        self.work_out()
        with torch._C.DisableTorchFunction(), torch.no_grad():
            try:
                self._use(weights, tag, values, out, values_are_parameters)
            except CannotMapError as reason:
                self.refuse(role_name(tag), str(reason), weights.shape)
                if isinstance(tag.role, Softmax):
                    tag.role.uses += 1

    def _use(self, weights: Tensor, tag: Tag, values: Tensor, out: Tensor | None, values_are_parameters: bool) -> None:
        check_plain_tensor(weights, values)
        entry = tag.role if isinstance(tag.role, Softmax) else normalised_by_hand(weights, tag)
        entry.uses += 1
        if entry in self.softmaxes:
            self.softmaxes.remove(entry)  # or every layer's weights would live until the forward ends
        assert tag.dims is not None
        self._check_is_attention(entry, tag, tag.dims[-1], values_are_parameters)
        if entry.uses > 1:
            self._used_again(entry, tag, weights)
        elif (whole := whole_softmax(entry, weights)) is not None:
            self._use_whole(entry, tag, *whole)
        else:
            entry.used, entry.changes = (data_address(weights), weights.shape), tag.changes
            self._record(entry, tag, weights, values, out)

    def _record(self, entry: Softmax, tag: Tag, weights: Tensor, values: Tensor | None, out: Tensor | None) -> None:
        """Add a record of these weights, whose dimensions are those of ``tag``."""
        assert tag.dims is not None
        lead, row, key = tag.dims[:-2], tag.dims[-2], tag.dims[-1]
        check_mappable(lead, row, key, tag.order, entry.scores.contracted if entry.scores else "unknown")
        if entry.scores is None and is_feature(row) and any(is_feature(dim) for dim in lead):
            raise CannotMapError("features normalised over positions and contracted with values (linear attention)")
        # Several learned queries are queries, not heads.
        layout = (
            layout_of(lead, row, key)
            if entry.scores is not None
            else layout_of(lead, fresh((size_of(row),), "plain")[0])
        )
        kept, tag = as_applied(entry, tag, layout, weights)
        operands = entry.scores.operands if entry.scores else None
        chained = CHAINED in tag.changes
        query, key_vectors = (None, None) if chained else operands_of(entry, layout, four_sizes(kept.shape))
        record = self._new_record(
            "softmax",
            kind=self._kind(
                operands.first_tag if operands else None,
                operands.second_tag if operands else None,
                entry,
            ),
            shape=four_sizes(kept.shape),
            order=tag.order,
            weights=kept,
            query=query,
            key=key_vectors,
            value=None if values is None else arranged_or_none(layout, values),
            scale=entry.scores.scale if entry.scores else None,
            span=common_span(operands.first_tag, operands.second_tag) if operands else None,
            notes=(*notes_on(entry, tag), *notes_on_layout(lead, row, key)),
            model_dtype=dtype_name(weights.dtype),
        )
        self._note_moves(record, entry, tag, out)
        entry.record = weakref.ref(record)  # the record's gradient holds the entry
        if entry.scores is None and out is not None:
            kinds: Dims = (*lead, row, *fresh(out.shape[-1:], "feature"))
            self.table.set(out, Tag(dims=kinds if len(kinds) == out.dim() else None, pooled=(row, record)))
        if self.recorder.options.grad:
            record.gradient_of_output = WeightsGradient(entry, layout)
        self.recorder.add(record)

    def _note_moves(self, record: Record, entry: Softmax, tag: Tag, out: Tensor | None) -> None:
        """Note of which input positions are, and whether in another order; the result has those of the queries."""
        operands = entry.scores.operands if entry.scores else None
        first, second = (operands.first_tag, operands.second_tag) if operands else (None, tag)
        query, key = (second, first) if entry.keys_first else (first, second)
        self.moves = query.moves if query else ()
        record.moves = self.moves, key.moves if key else ()
        record.inputs = self.inputs_of(query, key)
        self.input = record.inputs[0] or None
        if (self.moves or self.input) and out is not None and self.table.get(out) is None:
            stream = self.table.new_stream()
            self.table.set(out, Tag(dims=None, stream=stream, moves=self.moves))
            self.note_input(stream, self.input)

    def _use_whole(self, entry: Softmax, tag: Tag, weights: Tensor, dims: Dims) -> None:
        """Weights that are used piece by piece are one attention."""
        if not {"dropout"}.issuperset(tag.changes):
            raise CannotMapError("one softmax was used piece by piece, and its pieces were changed before")
        entry.used = None
        whole = tag.replaced(dims=dims, order=entry.order, changes=(*tag.changes, PIECES))
        self._record(entry, whole, weights, None, None)

    def _used_again(self, entry: Softmax, tag: Tag, weights: Tensor) -> None:
        """The same softmax multiplied twice: once for each kind of values, or piece by piece."""
        record = None if entry.record is None else entry.record()
        if record is None or entry.used in (None, (data_address(weights), weights.shape)):
            return
        if entry.used[1].numel() == entry.probabilities.numel():
            return
        whole = whole_softmax(entry, weights, any_piece=True)
        if whole is None or record.reduced is not None:
            self.recorder.reject(record, "one softmax was split over several products (blockwise attention)")
            return
        self.recorder.take_back(record)
        self._use_whole(entry, tag.replaced(changes=tuple(dict.fromkeys((*entry.changes, *tag.changes)))), *whole)

    def _check_is_attention(self, entry: Softmax, tag: Tag, key: Dim, values_are_parameters: bool) -> None:
        if values_are_parameters:
            raise CannotMapError(
                "a softmax over rows of a parameter, not over positions (an expected embedding or a mixture)"
            )
        if entry.learned_scores:
            raise CannotMapError(
                "its scores come from a parameter, not from query times key (a router, gate or classifier)"
            )
        if entry.scores is None and any(factor.kind == "unknown" for factor in key):
            raise CannotMapError("a softmax with no query times key behind it, over a dimension of unknown meaning")

    def check_pooled(self, *tags: Tag | None) -> None:
        """A pooling whose rows are contracted by another product was one half of linear attention."""
        if not any(tag is not None and tag.pooled is not None for tag in tags):
            return
        others = [tag for tag in tags if tag is not None and tag.pooled is None and tag.projected]
        for tag in tags:
            if tag is not None and tag.pooled is not None and others and is_feature(tag.pooled[0]):
                self.recorder.reject(
                    tag.pooled[1], "features normalised over positions, then queries (linear attention)"
                )

    def before_write(self, target: Tensor) -> None:
        """The model is about to overwrite ``target``: keep copies of what shares its memory."""
        self.work_out()
        self.recorder.held.before_write(target)

    def note_unknown(self, function: Any, out: Any) -> None:
        """A fused operation whose name says attention and whose inside cannot be seen."""
        if isinstance(out, Tensor) and out.is_floating_point():
            reason = "a fused attention operation that gives no weights and is not known"
            self.refuse(str(function), reason, out.shape, opaque=True)

    def finish(self) -> None:
        """At the end of a root call: softmaxes of query times key that never met their values are reported."""
        self.work_out()
        for entry in self.softmaxes:
            if entry.scores is not None and entry.uses == 0:
                reason = (
                    entry.lost or "query times key and a softmax, but its result was not seen multiplied with values"
                )
                place = Place(entry.location, 0, "", 0)
                self.recorder.refuse(place, "softmax", reason, tuple(int(s) for s in entry.probabilities.shape))
        self.softmaxes.clear()
        self.rescaling.clear()
        self.table.clear()
