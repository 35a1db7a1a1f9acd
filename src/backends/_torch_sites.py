"""The places where attention shows: a softmax, its use, and the fused kernels. One object for each thread."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from attncore.weights import LazyWeights

from ._torch_arrays import data_address, memory_address
from ._torch_dims import Dim, Dims, Factor, fitted, fresh, is_feature, kind_of, size_of
from ._torch_findings import (
    CHAINED,
    PIECES,
    arranged_or_none,
    check_plain_tensor,
    common_span,
    dtype_name,
    four_sizes,
    mask_or_bias,
    masks_of,
    normalised_by_hand,
    notes_on,
    own_copies,
    role_name,
)
from ._torch_gradient_hooks import GradientInto, OutputGradient, WeightsGradient
from ._torch_layout import CannotMapError, Layout, check_mappable, known_dims, layout_of, notes_on_layout
from ._torch_pieces import as_applied, operands_of, whole_softmax
from ._torch_probabilities import TorchScoring
from ._torch_record import Gradients, Place, Record
from ._torch_rescaled import Rescaling
from ._torch_tags import Scores, Softmax, Tag, TagTable, worst_order
from ._torch_unseen import REASON, version_of

if TYPE_CHECKING:
    from ._torch_recorder import Recorder


@dataclass(frozen=True)
class _FusedCall:
    """A call of a fused kernel, as it was made."""

    given: dict[str, Any]
    out: Tensor | None
    dtype: torch.dtype
    place: Place
    kind_hint: Literal["self", "cross"] | None
    versions: tuple[int, ...]


def _versions(given: dict[str, Any]) -> tuple[int, ...]:
    return version_of(given["query"]), version_of(given["key"]), version_of(given.get("attn_mask"))


class Sites:
    """Turns what a `Watcher` sees into records, for one thread."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.table = TagTable()
        self.rescaling = Rescaling(recorder)
        self.stack: list[Place] = []
        self.kind_hint: Literal["self", "cross"] | None = None
        self.softmaxes: list[Softmax] = []
        # Fused calls are only noted while the model runs and worked out together afterwards: Python that runs
        # between large products finds its caches cold and is several times slower.
        self._pending: list[_FusedCall] = []
        self._replayed: Place | None = None
        options = recorder.options
        # Only where something is let go at once would waiting hold more memory.
        self._at_once = options.reduce is not None or options.heads is not None

    @property
    def place(self) -> Place:
        if self._replayed is not None:
            return self._replayed
        return self.stack[-1] if self.stack else Place("", 0, "", 0)

    def refuse(self, what: str, reason: str, shape: Any = None, *, opaque: bool = False) -> None:
        """Put something that is not in the trace into the coverage."""
        shape = tuple(int(size) for size in shape) if shape is not None else None
        self.recorder.refuse(self.place, what, reason, shape, opaque=opaque)

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
        entry.record = weakref.ref(record)  # the record's gradient holds the entry
        if entry.scores is None and out is not None:
            kinds: Dims = (*lead, row, *fresh(out.shape[-1:], "feature"))
            self.table.set(out, Tag(dims=kinds if len(kinds) == out.dim() else None, pooled=(row, record)))
        if self.recorder.options.grad:
            record.gradient_of_output = WeightsGradient(entry, layout)
        self.recorder.add(record)

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

    # Fused kernels.

    def fused(self, given: dict[str, Any], out: Tensor) -> None:
        """`scaled_dot_product_attention`: the weights follow from its arguments."""
        options = self.recorder.options
        kept_out = out if options.grad else None
        if not options.values and not options.grad:
            given["value"] = None  # or the noted call would keep it alive
        self._pending.append(_FusedCall(given, kept_out, out.dtype, self.place, self.kind_hint, _versions(given)))
        if self._at_once:
            self.work_out()

    def work_out(self) -> None:
        """Turn the fused calls noted so far into records."""
        calls, self._pending = self._pending, []
        if not calls:
            return
        hint = self.kind_hint
        with torch._C.DisableTorchFunction(), torch.no_grad():
            for call in calls:
                self._replayed, self.kind_hint = call.place, call.kind_hint
                try:
                    if _versions(call.given) != call.versions:
                        raise CannotMapError(f"the memory of its query, key or mask {REASON}")
                    self._fused(call.given, call.out, call.dtype)
                except CannotMapError as reason:
                    self.refuse("scaled_dot_product_attention", str(reason), call.given["query"].shape)
        self._replayed, self.kind_hint = None, hint

    def _fused(self, given: dict[str, Any], out: Tensor | None, dtype: torch.dtype) -> None:
        query, key, value = given["query"], given["key"], given["value"]
        check_plain_tensor(query, key)
        layout, order, uncertain = self._fused_layout(query, key)
        scale = given.get("scale")
        scoring = TorchScoring(
            scale=float(scale) if scale is not None else 1 / math.sqrt(query.shape[-1]),
            causal=bool(given.get("is_causal", False)),
            **mask_or_bias(given.get("attn_mask"), layout, query, key),
        )
        notes = ("dropout is applied after these weights",) if given.get("dropout_p") else ()
        self._add_fused("sdpa", layout, order, query, key, value, out, dtype, scoring, (*notes, *uncertain))

    def flex(self, args: tuple[Any, ...], out: Tensor, normaliser: Tensor | None = None) -> None:
        """`flex_attention`: scores changed by functions of the positions; ``normaliser`` is its logarithm by row."""
        query, key, value, score_mod, block_mask, scale = args[:6]
        with torch._C.DisableTorchFunction(), torch.no_grad():
            from ._torch_flex import FlexWeights

            layout, order, uncertain = self._fused_layout(query, key)
            scoring = TorchScoring(scale=float(scale) if scale is not None else 1 / math.sqrt(query.shape[-1]))
            weights = FlexWeights(query.detach(), key.detach(), scoring.scale, score_mod, block_mask[-1])
            self.recorder.held.remember(weights, "query", "key")
            self.work_out()
            record = self._add_fused(
                "flex", layout, order, query, key, value, out, out.dtype, None, uncertain, weights, scoring.scale
            )
            if normaliser is not None:
                self.rescaling.watch(out, normaliser, record, weights)

    def _fused_layout(self, query: Tensor, key: Tensor) -> tuple[Layout, Any, tuple[str, ...]]:
        query_tag, key_tag = self.table.get(query), self.table.get(key)
        query_dims = known_dims(query_tag.dims if query_tag else None, query.shape)
        key_dims = known_dims(key_tag.dims if key_tag else None, key.shape)
        lead = query_dims[:-2]
        if any(factor.kind == "unknown" for dim in lead for factor in dim):
            candidate = (
                fitted(key_dims[:-2], [size_of(dim) for dim in lead]) if len(key_dims) == len(query_dims) else lead
            )
            lead = candidate if not any(factor.kind == "unknown" for dim in candidate for factor in dim) else lead
        order = worst_order([tag.order for tag in (query_tag, key_tag) if tag is not None])
        check_mappable(lead, query_dims[-2], key_dims[-2], order, kind_of(query_dims[-1]))
        row = query_dims[-2] if len(query_dims) > 2 else fresh((query.shape[-2],), "plain")[0]
        return layout_of(lead, row, key_dims[-2]), order, notes_on_layout(lead, row, key_dims[-2])

    def _add_fused(
        self, source: str, layout: Layout, order: Any, query: Tensor, key: Tensor, value: Tensor | None,
        out: Tensor | None,        dtype: torch.dtype, scoring: TorchScoring | None, notes: tuple[str, ...],
        weights: LazyWeights | None = None, scale: float | None = None,
    ) -> Record:  # fmt: skip
        query_tag, key_tag = self.table.get(query), self.table.get(key)
        q, k = layout.apply(query), layout.apply(key, rows_are_queries=False)
        v = None if value is None else layout.apply(value, rows_are_queries=False)
        value_tag = None if value is None else self.table.get(value)
        kept_query, kept_key, kept_value = own_copies((q, query_tag), (k, key_tag), (v, value_tag))
        batch = max([q.shape[0], k.shape[0]] + [m.shape[0] for m in masks_of(scoring) if m.dim() == 4])
        record = self._new_record(
            source,
            kind=self._kind(query_tag, key_tag, None, same=query is key, lengths=(q.shape[2], k.shape[2])),
            shape=(int(batch), int(q.shape[1]), int(q.shape[2]), int(k.shape[2])),
            order=order,
            query=kept_query,
            key=kept_key,
            value=kept_value,
            scoring=scoring,
            computed_weights=weights,
            scale=scoring.scale if scoring else scale,
            span=common_span(query_tag, key_tag),
            notes=notes,
            observed=False,
            model_dtype=dtype_name(dtype),
        )
        if self.recorder.options.grad and isinstance(out, Tensor) and out.requires_grad:
            record.gradients = Gradients()
            out.register_hook(OutputGradient(record.gradients, layout))
            record.value_for_gradient = record.value
        self.recorder.add(record)
        return record

    # Shared pieces.

    def _new_record(self, source: str, **fields: Any) -> Record:
        return Record(place=self.place, index=-1, call=0, source=source, **fields)

    def _kind(
        self,
        query: Tag | None,
        key: Tag | None,
        entry: Softmax | None,
        *,
        same: bool = False,
        lengths: tuple[int, int] | None = None,
    ) -> Literal["self", "cross"]:
        """Self-attention when queries and keys are projections of the same hidden states."""
        if self.kind_hint is not None:
            return self.kind_hint
        # Of what the model was given and attends over as it is, the lengths say more.
        query_stream = query.stream if query and query.dims is not None else None
        key_stream = key.stream if key and key.dims is not None else None
        if query_stream is None and key_stream is None:
            if entry is not None and entry.scores is not None:
                operands = entry.scores.operands
                return "self" if operands.first.shape[-2] == operands.second.shape[-2] else "cross"
            return "self" if same or lengths is None or lengths[0] == lengths[1] else "cross"
        return "self" if query_stream == key_stream else "cross"

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
