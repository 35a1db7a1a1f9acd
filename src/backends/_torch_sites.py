"""The places where attention shows: a softmax, its use, and the fused kernels. One object for each thread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from attncore.weights import LazyWeights

from ._torch_dims import Dim, Dims, Factor, fitted, fresh, is_feature, kind_of, size_of
from ._torch_layout import CannotMapError, Layout, check_mappable, known_dims, layout_of
from ._torch_probabilities import TorchScoring
from ._torch_record import Gradients, Place, Record
from ._torch_tags import Scores, Softmax, Tag, TagTable, worst_order

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


class Sites:
    """Turns what a `Watcher` sees into records, for one thread."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.table = TagTable()
        self.stack: list[Place] = []
        self.kind_hint: Literal["self", "cross"] | None = None
        self.softmaxes: list[Softmax] = []
        # Fused calls are only noted while the model runs and worked out together afterwards: Python that runs
        # between large products finds its caches cold and is several times slower.
        self._pending: list[_FusedCall] = []
        self._replayed: Place | None = None
        options = recorder.options
        self._at_once = options.keep != "qk" or options.reduce is not None or options.heads is not None

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
        scores = tag.role if tag is not None and isinstance(tag.role, Scores) else None
        learned = of_parameter or (scores is None and tag is not None and tag.projected and is_feature(dims[place]))
        along_rows = scores is not None and dims[place] == scores.rows
        along_columns = tag is not None and tag.key is not None and dims[place] == (tag.key,)
        if scores is not None and not (along_rows or along_columns):
            scores, learned = None, True  # over heads or the batch: not over the keys
        key = Factor(size_of(dims[place]), kind_of(dims[place]))
        dims = (*dims[:place], (key,), *dims[place + 1 :])
        entry = Softmax(out.detach(), dims, key, scores, self.place.name, learned_scores=learned)
        entry.keys_first = along_rows and not along_columns
        if self.recorder.options.grad and out.requires_grad:
            out.register_hook(_GradientInto(entry))
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
                self.refuse(_role_name(tag), str(reason), weights.shape)
                if isinstance(tag.role, Softmax):
                    tag.role.uses += 1

    def _use(self, weights: Tensor, tag: Tag, values: Tensor, out: Tensor | None, values_are_parameters: bool) -> None:
        assert tag.dims is not None
        entry = tag.role if isinstance(tag.role, Softmax) else _by_hand(weights, tag)
        entry.uses += 1
        if entry.uses > 1:
            self._used_again(entry, weights)
            return
        lead, row, key = tag.dims[:-2], tag.dims[-2], tag.dims[-1]
        self._check_is_attention(entry, tag, key, values_are_parameters)
        check_mappable(lead, row, key, tag.order, entry.scores.contracted if entry.scores else "unknown")
        if entry.scores is None and is_feature(row) and any(is_feature(dim) for dim in lead):
            raise CannotMapError("features normalised over positions and contracted with values (linear attention)")
        # Several learned queries are queries, not heads.
        layout = (
            layout_of(lead, row, key)
            if entry.scores is not None
            else layout_of(lead, fresh((size_of(row),), "plain")[0])
        )
        kept = layout.apply(_as_seen(entry, tag, weights))
        query, key_vectors = self._operands(entry, layout)
        record = self._new_record(
            "softmax",
            kind=self._kind(
                entry.scores.first_tag if entry.scores else None,
                entry.scores.second_tag if entry.scores else None,
                entry,
            ),
            shape=_four(kept.shape),
            order=tag.order,
            weights=kept.detach(),
            query=query,
            key=key_vectors,
            value=_or_none(layout, values),
            scale=entry.scores.scale if entry.scores else None,
            span=_span(entry.scores.first_tag, entry.scores.second_tag) if entry.scores else None,
            notes=_notes(entry, tag),
            model_dtype=_dtype_name(weights.dtype),
        )
        entry.record = record
        if entry.scores is None and out is not None:
            kinds: Dims = (*lead, row, *fresh(out.shape[-1:], "feature"))
            self.table.set(out, Tag(dims=kinds if len(kinds) == out.dim() else None, pooled=(row, record)))
        if self.recorder.options.grad:
            record.gradient_of_output = _WeightsGradient(entry, layout)
        self.recorder.add(record)

    def _used_again(self, entry: Softmax, weights: Tensor) -> None:
        """The same softmax multiplied twice: parts of its keys at a time, or once for each kind of values."""
        record = entry.record
        if record is not None and tuple(weights.shape[-2:]) != tuple(record.shape[-2:]):
            self.recorder.reject(record, "one softmax was split over several products (blockwise attention)")

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

    def _operands(self, entry: Softmax, layout: Layout) -> tuple[Tensor | None, Tensor | None]:
        """Query and key vectors in the weights' layout, where they have one."""
        scores = entry.scores
        if scores is None:
            return None, None
        first, second = scores.first, scores.second
        if entry.keys_first:
            first, second = second, first
        return _or_none(layout, first, queries=True), _or_none(layout, second)

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
        self._pending.append(_FusedCall(given, kept_out, out.dtype, self.place, self.kind_hint))
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
                    self._fused(call.given, call.out, call.dtype)
                except CannotMapError as reason:
                    self.refuse("scaled_dot_product_attention", str(reason), call.given["query"].shape)
        self._replayed, self.kind_hint = None, hint

    def _fused(self, given: dict[str, Any], out: Tensor | None, dtype: torch.dtype) -> None:
        query, key, value = given["query"], given["key"], given["value"]
        _check_plain_tensor(query, key)
        layout, order = self._fused_layout(query, key)
        scale = given.get("scale")
        scoring = TorchScoring(
            scale=float(scale) if scale is not None else 1 / math.sqrt(query.shape[-1]),
            causal=bool(given.get("is_causal", False)),
            **_mask_or_bias(given.get("attn_mask"), layout, query, key),
        )
        notes = ("dropout is applied after these weights",) if given.get("dropout_p") else ()
        self._add_fused("sdpa", layout, order, query, key, value, out, dtype, scoring, notes)

    def flex(self, args: tuple[Any, ...], out: Tensor) -> None:
        """`flex_attention`: scores changed by functions of the positions."""
        query, key, value, score_mod, block_mask, scale = args[:6]
        with torch._C.DisableTorchFunction(), torch.no_grad():
            from ._torch_flex import FlexWeights

            layout, order = self._fused_layout(query, key)
            scoring = TorchScoring(scale=float(scale) if scale is not None else 1 / math.sqrt(query.shape[-1]))
            weights = FlexWeights(query.detach(), key.detach(), scoring.scale, score_mod, block_mask[-1])
            self.work_out()
            self._add_fused("flex", layout, order, query, key, value, out, out.dtype, None, (), weights, scoring.scale)

    def _fused_layout(self, query: Tensor, key: Tensor) -> tuple[Layout, Any]:
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
        return layout_of(lead, row, key_dims[-2]), order

    def _add_fused(
        self, source: str, layout: Layout, order: Any, query: Tensor, key: Tensor, value: Tensor | None,
        out: Tensor | None,        dtype: torch.dtype, scoring: TorchScoring | None, notes: tuple[str, ...],
        weights: LazyWeights | None = None, scale: float | None = None,
    ) -> None:  # fmt: skip
        query_tag, key_tag = self.table.get(query), self.table.get(key)
        q, k = layout.apply(query), layout.apply(key, rows_are_queries=False)
        v = None if value is None else _kept(layout.apply(value, rows_are_queries=False), self.table.get(value))
        batch = max([q.shape[0], k.shape[0]] + [m.shape[0] for m in _masks(scoring) if m.dim() == 4])
        record = self._new_record(
            source,
            kind=self._kind(query_tag, key_tag, None, same=query is key, lengths=(q.shape[2], k.shape[2])),
            shape=(int(batch), int(q.shape[1]), int(q.shape[2]), int(k.shape[2])),
            order=order,
            query=_kept(q, query_tag),
            key=_kept(k, key_tag),
            value=v,
            scoring=scoring,
            computed_weights=weights,
            scale=scoring.scale if scoring else scale,
            span=_span(query_tag, key_tag),
            notes=notes,
            observed=False,
            model_dtype=_dtype_name(dtype),
        )
        if self.recorder.options.grad and isinstance(out, Tensor) and out.requires_grad:
            record.gradients = Gradients()
            out.register_hook(_OutputGradient(record.gradients, layout))
            record.extra["value_for_gradient"] = record.value
        self.recorder.add(record)

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
        query_stream = query.stream if query else None
        key_stream = key.stream if key else None
        if query_stream is None and key_stream is None:
            if entry is not None and entry.scores is not None:
                first, second = entry.scores.first, entry.scores.second
                return "self" if first.shape[-2] == second.shape[-2] else "cross"
            return "self" if same or lengths is None or lengths[0] == lengths[1] else "cross"
        return "self" if query_stream == key_stream else "cross"

    def before_write(self, target: Tensor) -> None:
        """The model is about to overwrite ``target``: keep copies of what shares its memory."""
        self.work_out()
        self.recorder.before_write(target)
        tag = self.table.get(target)
        if tag is not None and isinstance(tag.role, Softmax):
            with torch._C.DisableTorchFunction(), torch.no_grad():
                tag.role.probabilities = tag.role.probabilities.clone()

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
        self.table.clear()


def _by_hand(weights: Tensor, tag: Tag) -> Softmax:
    """Scores that were normalised without a softmax call: rows are not negative and sum to 1.

    Raises:
        CannotMapError: they are not normalised; this is linear attention, or normalised afterwards.
    """
    assert tag.key is not None and tag.dims is not None and isinstance(tag.role, Scores)
    tolerance = 1e-3 if weights.dtype in (torch.float32, torch.float64) else 2e-2
    sums = weights.float().sum(-1)
    positive = weights.numel() > 0 and bool(weights.amin() >= 0)
    to_one = positive and bool((sums - 1).abs().amax() < tolerance)
    # exp / (1 + sum of exp): a softmax with room for attending to nothing.
    below_one = positive and "exp" in tag.role.steps and bool(sums.amax() < 1 + tolerance)
    if not (to_one or below_one):
        raise CannotMapError(
            "query times key met values without a softmax (linear attention, or normalised afterwards)"
        )
    return Softmax(weights.detach(), tag.dims, tag.key, tag.role, "", by_hand=True)


def _as_seen(entry: Softmax, tag: Tag, weights: Tensor) -> Tensor:
    """The weights to keep, in the layout of ``weights``: those applied, but before dropout and mixing of heads."""
    before = entry.probabilities
    undone = {"dropout", "head mixing"}
    if tag.changes and undone.issuperset(tag.changes) and before.numel() == weights.numel():
        return _arranged_like(before, entry, weights, tag)
    return weights.detach()


def _arranged_like(before: Tensor, entry: Softmax, weights: Tensor, tag: Tag) -> Tensor:
    """The softmax's own output, its key dimension last."""
    place = next(i for i, dim in enumerate(entry.dims) if len(dim) == 1 and dim[0] is entry.key)
    moved = before.movedim(place, -1)
    return moved.reshape(weights.shape) if moved.shape[-2:] == weights.shape[-2:] else weights.detach()


def _or_none(layout: Layout, tensor: Tensor, *, queries: bool = False) -> Tensor | None:
    """The tensor in the layout, or None where its dimensions do not follow the weights'."""
    try:
        return layout.apply(tensor.detach(), rows_are_queries=queries)
    except (CannotMapError, RuntimeError):
        return None


def _kept(tensor: Tensor, tag: Tag | None) -> Tensor:
    """A tensor that nobody will overwrite: copied when it was written in place, or is not the model's own product."""
    from ._torch_arrays import own_memory

    foreign = tag is None or not tag.projected
    return own_memory(tensor, always=foreign or (tag is not None and tag.written))


def _mask_or_bias(mask: Any, layout: Layout, query: Tensor, key: Tensor) -> dict[str, Tensor]:
    """The mask in (batch, heads, query, key), each 1 where it is shared."""
    if mask is None:
        return {}
    mask = mask.detach()
    if layout.plain:
        four = mask.reshape(*([1] * (4 - mask.dim())), *mask.shape)
    else:
        full = torch.broadcast_shapes(mask.shape, (*query.shape[:-2], query.shape[-2], key.shape[-2]))
        four = layout.apply(mask.expand(full))
    return {"mask": four} if mask.dtype == torch.bool else {"bias": four}


def _masks(scoring: TorchScoring | None) -> list[Tensor]:
    return [] if scoring is None else [part for part in (scoring.mask, scoring.bias) if part is not None]


def _check_plain_tensor(*tensors: Tensor) -> None:
    for tensor in tensors:
        if tensor.is_nested:
            raise CannotMapError("nested (jagged) tensors have no single (query, key) matrix")
        if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            raise CannotMapError("inside torch.func.vmap or grad, where tensors stand for many; capture outside of it")


def _notes(entry: Softmax, tag: Tag) -> tuple[str, ...]:
    """What a reader of the weights must know, in words."""
    said = {
        "dropout": "dropout is applied after these weights",
        "head mixing": "heads are mixed after these weights (talking heads)",
        "sliced": "a column of the softmax was cut off (a sink), so rows may sum below 1",
    }
    notes = [said[change] for change in dict.fromkeys(tag.changes) if change in said]
    other = [change for change in dict.fromkeys(tag.changes) if change not in said]
    if other:
        notes.append(f"the model changed the weights after the softmax ({', '.join(other)})")
    if entry.by_hand:
        notes.append("normalised by hand, not by a softmax call")
    if entry.scores is None:
        notes.append("no query times key behind the softmax (pooling with learned scores)")
    return tuple(notes)


def _span(query: Tag | None, key: Tag | None) -> tuple[int, int, int] | None:
    """The part of the sequence that both queries and keys are."""
    if query is None or key is None or query.span != key.span:
        return None
    return query.span


def _role_name(tag: Tag) -> str:
    return "softmax" if isinstance(tag.role, Softmax) else "query times key"


def _four(shape: torch.Size) -> tuple[int, int, int, int]:
    return int(shape[0]), int(shape[1]), int(shape[2]), int(shape[3])


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class _GradientInto:
    """A tensor hook that keeps the gradient of a softmax output."""

    def __init__(self, entry: Softmax) -> None:
        self.entry = entry

    def __call__(self, gradient: Tensor) -> None:
        self.entry.gradient = gradient.detach()


class _WeightsGradient:
    """The gradient of weights that were seen as a tensor, in (batch, heads, query, key)."""

    def __init__(self, entry: Softmax, layout: Layout) -> None:
        self.entry, self.layout = entry, layout

    def __call__(self) -> Tensor | None:
        gradient = self.entry.gradient
        if gradient is None:
            return None
        place = next(i for i, dim in enumerate(self.entry.dims) if len(dim) == 1 and dim[0] is self.entry.key)
        return self.layout.apply(gradient.movedim(place, -1))


class _OutputGradient:
    """A tensor hook that keeps the gradient of a fused attention's output, in (batch, heads, query, value_dim)."""

    def __init__(self, gradients: Gradients, layout: Layout) -> None:
        self.gradients, self.layout = gradients, layout

    def __call__(self, gradient: Tensor) -> None:
        self.gradients.output = self.layout.apply(gradient.detach())
