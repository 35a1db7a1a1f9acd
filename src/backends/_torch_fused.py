"""What fused attention kernels were given, worked out into records of attention."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from attncore.errors import AttncoreError
from attncore.weights import LazyWeights

from ._torch_findings import (
    check_plain_tensor,
    common_span,
    dtype_name,
    mask_or_bias,
    masks_of,
    not_followed,
    own_copies,
)
from ._torch_gradient_hooks import OutputGradient
from ._torch_layout import CannotMapError, Layout, known_dims, mapped, with_heads_third
from ._torch_moves import Moves
from ._torch_probabilities import TorchScoring
from ._torch_record import Gradients, Place, Record
from ._torch_rescaled import Rescaling
from ._torch_tags import Softmax, Tag, TagTable, worst_order
from ._torch_unseen import REASON, version_of

if TYPE_CHECKING:
    from ._torch_recorder import Recorder


@dataclass(eq=False, slots=True)
class _FusedCall:
    """A call of a fused kernel, as it was made; ``out`` where it is needed."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Tensor | None
    dtype: torch.dtype
    place: Place
    kind_hint: Literal["self", "cross"] | None
    versions: list[int]


_ARGUMENTS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


def _named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `scaled_dot_product_attention` by name."""
    return dict(zip(_ARGUMENTS, args, strict=False)) | kwargs


def _versions(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int]:
    """How often each tensor that the weights depend on was written to: all but the value."""
    versions = [version_of(part) for part in (*args[:2], *args[3:4])]
    return versions + [version_of(part) for name, part in kwargs.items() if name != "value"]


class FusedSites:
    """The calls of fused kernels in one thread, and what all sites of attention share."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.table = TagTable()
        self.rescaling = Rescaling(recorder)
        self.stack: list[Place] = []
        # What put the queries of the last attention in another order than the model was given.
        self.moves: Moves = ()
        # The number of the input that they were made of, where that is known.
        self.input: int | None = None
        self.kind_hint: Literal["self", "cross"] | None = None
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

    def fused(self, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> None:
        """`scaled_dot_product_attention`: the weights follow from its arguments."""
        options = self.recorder.options
        kept_out = out if options.grad else None
        if not options.values and not options.grad:  # the noted call must not keep it alive
            args, kwargs = (), {**_named(args, kwargs), "value": None}
        versions = _versions(args, kwargs)
        self._pending.append(_FusedCall(args, kwargs, kept_out, out.dtype, self.place, self.kind_hint, versions))
        # What is made of the result is known to be of one source, whatever comes before the next projection.
        query = self.table.get(args[0] if args else kwargs["query"])
        self.moves, self.input = query.moves if query else (), None
        stream = self.table.new_stream()
        self.table.set(out, Tag(dims=None, stream=stream, moves=self.moves))
        if self.table.input_of and query is not None:
            self.note_input(stream, self.table.input_of.get(query.stream))
        if self._at_once:
            self.work_out()

    def note_input(self, stream: int, number: int | None) -> None:
        """Note what the queries of the last attention were made of; its result, of this stream, is of the same."""
        self.input = number
        if number is not None:
            self.table.input_of[stream] = number

    def work_out(self) -> None:
        """Turn the fused calls noted so far into records."""
        calls, self._pending = self._pending, []
        if not calls:
            return
        hint = self.kind_hint
        with torch._C.DisableTorchFunction(), torch.no_grad():
            for call in calls:
                self._replayed, self.kind_hint = call.place, call.kind_hint
                given = _named(call.args, call.kwargs)
                try:
                    if _versions(call.args, call.kwargs) != call.versions:
                        raise CannotMapError(f"the memory of its query, key or mask {REASON}")
                    self._fused(given, call.out, call.dtype)
                except CannotMapError as reason:
                    self.refuse("scaled_dot_product_attention", str(reason), given["query"].shape)
                except Exception as error:  # the call itself went well, so this must not break the model
                    if isinstance(error, AttncoreError) or self.recorder.options.reduce is not None:
                        raise  # the user's options, or their own function
                    self.refuse("scaled_dot_product_attention", not_followed(error), given["query"].shape, opaque=True)
        self._replayed, self.kind_hint = None, hint

    def _fused(self, given: dict[str, Any], out: Tensor | None, dtype: torch.dtype) -> None:
        query, key, value = given["query"], given["key"], given["value"]
        check_plain_tensor(query, key)
        layout, order, uncertain = self._fused_layout(query, key, heads_third=bool(given.get("enable_gqa")))
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

    def _fused_layout(
        self, query: Tensor, key: Tensor, *, heads_third: bool = False
    ) -> tuple[Layout, Any, tuple[str, ...]]:
        """How the dimensions divide; ``heads_third`` says that the third from the end is known to count heads."""
        query_tag, key_tag = self.table.get(query), self.table.get(key)
        query_dims = known_dims(query_tag.dims if query_tag else None, query.shape)
        key_dims = known_dims(key_tag.dims if key_tag else None, key.shape)
        if heads_third:
            query_dims, key_dims = with_heads_third(query_dims), with_heads_third(key_dims)
        order = worst_order([tag.order for tag in (query_tag, key_tag) if tag is not None])
        layout, uncertain = mapped(query_dims, key_dims, order)
        return layout, order, uncertain

    def _add_fused(
        self, source: str, layout: Layout, order: Any, query: Tensor, key: Tensor, value: Tensor | None,
        out: Tensor | None,        dtype: torch.dtype, scoring: TorchScoring | None, notes: tuple[str, ...],
        weights: LazyWeights | None = None, scale: float | None = None,
    ) -> Record:  # fmt: skip
        query_tag, key_tag = self.table.get(query), self.table.get(key)
        q, k = layout.apply(query), layout.apply(key, rows_are_queries=False)
        if q.shape[1] == 1 < k.shape[1]:  # learned queries that all heads share
            q = q.expand(-1, k.shape[1], -1, -1)
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
            moves=(query_tag.moves if query_tag else (), key_tag.moves if key_tag else ()),
            inputs=self.inputs_of(query_tag, key_tag) if self.table.input_of else (0, 0),
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

    def inputs_of(self, query: Tag | None, key: Tag | None) -> tuple[int, int]:
        """The numbers of the inputs that queries and keys were made of; 0 for the ids, and where that is not known."""
        known = self.table.input_of
        return known.get(query.stream if query else None, 0), known.get(key.stream if key else None, 0)

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
        if query_stream == key_stream is not None:
            return "self"
        if self._is_guess(query) or self._is_guess(key):
            query_stream = key_stream = None
        if query_stream is None and key_stream is None:
            if entry is not None and entry.scores is not None:
                operands = entry.scores.operands
                return "self" if operands.first.shape[-2] == operands.second.shape[-2] else "cross"
            return "self" if same or lengths is None or lengths[0] == lengths[1] else "cross"
        return "cross"

    def _is_guess(self, tag: Tag | None) -> bool:
        """Whether it is not known of what this was made: something that nothing told of, as an unknown operation."""
        return tag is not None and tag.dims is not None and not tag.projected and self.table.is_guessed(tag.stream)
