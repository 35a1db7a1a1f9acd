"""What to keep of a record while the model runs: weights, query and key, or the result of a reduction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attncore.arrays import Array, ArrayLike
from attncore.errors import OptionError
from attncore.layer import AttentionLayer
from attncore.protocols import CaptureOptions
from attncore.scoring import Scoring
from attncore.selection import choose_heads
from attncore.weights import DenseWeights, LazyWeights, RecomputedWeights

from ._torch_arrays import own_memory, to_array
from ._torch_probabilities import TorchScoring, probabilities
from ._torch_record import Record


def torch_dtype(name: str | None) -> torch.dtype | None:
    """The floating type of this name.

    Raises:
        OptionError: there is none.
    """
    if name is None:
        return None
    found = getattr(torch, str(name).removeprefix("torch."), None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise OptionError(f'dtype="{name}" is no floating type; use "float16", "bfloat16", "float32" or "float64"')
    return found


def check_device(name: str | None) -> None:
    """Refuse a device that is not one.

    Raises:
        OptionError: torch knows no such device, or it is not to be had here.
    """
    if name is None:
        return
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(f'device="{name}" cannot be used here: {reason}') from error


def keep(record: Record, options: CaptureOptions) -> None:
    """Cut the record to what the options ask for; nothing else stays in memory."""
    if options.heads is not None:
        _cut_to_heads(record, choose_heads(options.heads, record.shape[1], f'layer "{record.name}"'))
    if not options.values and record.value_for_gradient is None:
        record.value = None
    if options.reduce is not None:
        record.reduced = options.reduce(layer_of(record, "query", "key"))
        record.weights = record.query = record.key = record.value = None
        record.computed_weights = record.scoring = None
        return
    if record.weights is None and record.scoring is not None and _in_full(record, options):
        assert record.query is not None and record.key is not None
        record.weights = probabilities(record.query, record.key, record.scoring)
    if record.weights is not None:
        record.weights = _held(record.weights, options)
    for name in ("query", "key", "value"):
        tensor = getattr(record, name)
        if tensor is not None:
            setattr(
                record, name, _on_device(tensor if record.observed is False else own_memory(tensor), options.device)
            )


def _in_full(record: Record, options: CaptureOptions) -> bool:
    """Whether weights that could be computed again are held all the same."""
    if options.keep != "auto":
        return options.keep == "weights"
    assert record.query is not None and record.key is not None
    batch, heads, rows, columns = record.shape
    return batch * heads * rows * columns <= record.query.numel() + record.key.numel()


def _held(weights: Tensor, options: CaptureOptions) -> Tensor:
    kind = torch_dtype(options.dtype)
    return _on_device(own_memory(weights if kind is None else weights.to(kind)), options.device)


def _on_device(tensor: Tensor, device: str | None) -> Tensor:
    return tensor if device is None else tensor.to(device)


def _cut_to_heads(record: Record, heads: tuple[int, ...]) -> None:
    total = record.shape[1]
    chosen = torch.tensor(heads)

    def cut(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        group = max(1, total // tensor.shape[1])
        return tensor[:, (chosen // group).to(tensor.device)]

    record.weights = cut(record.weights)
    record.query, record.key, record.value = cut(record.query), cut(record.key), cut(record.value)
    if record.scoring is not None:
        parts = {name: getattr(record.scoring, name) for name in ("mask", "bias")}
        own = {name: part[:, chosen] for name, part in parts.items() if part is not None and part.shape[1] == total > 1}
        record.scoring = replace(record.scoring, **own)
    if record.computed_weights is not None:
        from attncore.weights import SelectedHeads

        record.computed_weights = SelectedHeads(record.computed_weights, heads)
    record.heads = heads
    record.shape = (record.shape[0], len(heads), record.shape[2], record.shape[3])


def core_scoring(scoring: TorchScoring, shared: dict[int, Any] | None = None) -> Scoring:
    """The same with numpy arrays; ``shared`` keeps one array for a mask that many layers use."""
    shared = {} if shared is None else shared

    def convert(tensor: Tensor | None) -> Any:
        if tensor is None:
            return None
        key = (tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype)
        return shared.setdefault(hash(key), to_array(tensor))

    return Scoring(scoring.scale, scoring.causal, mask=convert(scoring.mask), bias=convert(scoring.bias))


def layer_of(
    record: Record,
    query_axis: str,
    key_axis: str,
    *,
    stack: str | None = None,
    gradient: Callable[[], Array] | None = None,
    shared: dict[int, Any] | None = None,
) -> AttentionLayer:
    """The record as a layer of a trace on these axes; ``shared`` as in `core_scoring`."""
    query, key, value = (None if t is None else to_array(t) for t in (record.query, record.key, record.value))
    scoring = _known_scoring(record, shared)
    return AttentionLayer(
        name=record.name,
        index=record.index,
        call=record.call,
        query_axis=query_axis,
        key_axis=key_axis,
        stored_weights=_weights_of(record, query, key, scoring),
        kind=record.kind,
        source=record.source,
        computed="observed" if record.observed else "recomputed",
        module_class=record.place.module_class,
        model_dtype=record.model_dtype,
        query=query,
        key=key,
        value=value,
        scoring=scoring,
        heads=record.heads,
        notes=record.notes,
        reduced=record.reduced,
        stack=stack,
        gradient=gradient,
    )


def _weights_of(
    record: Record, query: ArrayLike | None, key: ArrayLike | None, scoring: Scoring | None
) -> LazyWeights | None:
    """The record's weights, held or computed when they are read; None where they were reduced."""
    if record.weights is not None:
        return DenseWeights(to_array(record.weights))
    if record.computed_weights is not None:
        return record.computed_weights
    if record.scoring is None or scoring is None or query is None or key is None:
        return None
    return RecomputedWeights(query, key, scoring)


def _known_scoring(record: Record, shared: dict[int, Any] | None) -> Scoring | None:
    if record.scoring is not None:
        return core_scoring(record.scoring, shared)
    # Only the factor is known of scores that the model's own code made; mask and bias are in the weights.
    return None if record.scale is None else Scoring(record.scale)
