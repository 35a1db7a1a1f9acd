"""Compare captured layers with references, and a model before and after a capture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from references import Reference, ReferenceSet

# The kind that a layer of this output field has.
KINDS = {"cross_attentions": "cross", "attentions": "self", "encoder_attentions": "self", "decoder_attentions": "self"}
STACKS = {"encoder_attentions": "encoder", "decoder_attentions": "decoder"}


@dataclass
class Comparison:
    """How far captured layers agree with the references: ``faults`` of the weights, layers with a wrong label."""

    found: int = 0
    extra: int = 0
    difference: float = 0.0
    shape: tuple[int, ...] | None = None
    faults: list[str] = field(default_factory=list)
    mislabelled: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Captured:
    """One captured layer, its weights read once."""

    name: str
    kind: str
    stack: str | None
    weights: np.ndarray

    @classmethod
    def of(cls, layer: Any) -> Captured:
        """Read a layer of a trace."""
        return cls(layer.name, layer.kind, getattr(layer, "stack", None), np.asarray(layer.weights))


def parts_of(layer: Any) -> list[Captured]:
    """The layer, or the blocks on its diagonal where the model ran one kernel for each image of a packed sequence.

    The kernels are what a reference sees. Outside the blocks every weight must be exactly zero, or it stays whole and
    is found to differ.
    """
    whole = Captured.of(layer)
    if not any("parts of one sequence" in note for note in layer.notes):
        return [whole]
    length = whole.weights.shape[-1]
    cuts = [cut for cut in range(1, length) if not whole.weights[..., :cut, cut:].any()]
    cuts = [cut for cut in cuts if not whole.weights[..., cut:, :cut].any()]
    bounds = [0, *cuts, length]
    return [
        Captured(whole.name, whole.kind, whole.stack, whole.weights[..., start:stop, start:stop])
        for start, stop in pairwise(bounds)
    ]


@dataclass(frozen=True)
class Rows:
    """Which query rows count.

    ``padding`` (batch, length) is true where a text position is padding. Padded rows, and rows that are not a number in
    the reference, have no key to attend to; implementations fill them differently, so only ``exact`` compares them.
    """

    padding: np.ndarray | None = None
    exact: bool = True


def compare(layers: Sequence[Any], references: ReferenceSet, rows: Rows) -> Comparison:
    """Match every reference with a captured layer, in order within each output field."""
    result = Comparison()
    left = [part for layer in layers for part in parts_of(layer)]
    order = {id(layer): place for place, layer in enumerate(left)}
    # Order holds within an output field: a later reference is a later layer.
    last: dict[str, int] = {}
    for reference in references.expected:
        candidates = [layer for layer in left if order[id(layer)] > last.get(reference.field, -1)]
        layer, difference = closest(candidates, reference, references.tolerance, rows)
        if layer is None:
            result.faults.append(f"no layer like {reference.field} {reference.weights.shape}")
            continue
        left.remove(layer)
        last[reference.field] = order[id(layer)]
        result.difference = max(result.difference, difference)
        result.shape = result.shape or layer.weights.shape
        if difference <= references.tolerance:
            result.found += 1
            result.mislabelled += labels(layer, reference)
        else:
            result.faults.append(f"{layer.name} differs by {difference:.1e} from {reference.field}")
    check_extras(left, references, rows, result)
    return result


def check_extras(left: list[Captured], references: ReferenceSet, rows: Rows, result: Comparison) -> None:
    """Layers that the model does not return must at least be among what it applied."""
    spare, optional = list(references.spare), list(references.optional)
    for layer in left:
        for reference in spare + optional:
            difference = distance(layer.weights, reference.weights, rows)
            if difference is not None and difference <= references.tolerance:
                (spare if reference in spare else optional).remove(reference)
                result.extra += 1
                result.difference = max(result.difference, difference)
                break
        else:
            result.faults.append(f"{layer.name} {layer.weights.shape} is not among what was applied")
    if spare:
        shapes = sorted({item.weights.shape for item in spare})
        result.faults.append(f"{len(spare)} applied but not captured, {', '.join(map(str, shapes[:2]))}")


def closest(
    candidates: list[Captured], reference: Reference, tolerance: float, rows: Rows
) -> tuple[Captured | None, float]:
    """The first candidate within the tolerance, or else the nearest of its shape."""
    best: tuple[Captured | None, float] = (None, float("inf"))
    for layer in candidates:
        difference = distance(layer.weights, reference.weights, rows)
        if difference is None:
            continue
        if difference <= tolerance:
            return layer, difference
        if best[0] is None or difference < best[1]:
            best = (layer, difference)
    return best


def distance(weights: np.ndarray, reference: np.ndarray, rows: Rows) -> float | None:
    """The largest difference over the rows that count; None where the shapes cannot agree."""
    if weights.shape != reference.shape:
        # What was applied has fewer axes, batch and heads in one; what the model returns must have the same shape.
        if reference.ndim == 4 or weights.size != reference.size or weights.shape[-1] != reference.shape[-1]:
            return None
        reference = reference.reshape(weights.shape)
    difference = np.abs(weights - reference)
    unknown = np.isnan(reference)
    difference[unknown & (np.isnan(weights) | (not rows.exact))] = 0.0
    padding = None if rows.exact else rows.padding
    if padding is not None and weights.shape[0] == padding.shape[0] and weights.shape[-2] == padding.shape[1]:
        difference = difference.transpose(0, 2, 1, 3)[~padding]
    return float(difference.max(initial=0.0))


def labels(layer: Captured, reference: Reference) -> list[str]:
    """Faults of a layer's kind and stack, where the output's field says what they are.

    A field ``attentions`` may hold cross attention too; then the module's own name says so.
    """
    name = reference.field.rsplit(".", 1)[-1]
    faults = []
    mixed = name == "attentions" and "cross" in layer.name.lower()
    if name in KINDS and layer.kind != KINDS[name] and not mixed:
        faults.append(f"{layer.name} is called {layer.kind}, and is one of {reference.field}")
    if name in STACKS and layer.stack not in (None, STACKS[name]):
        faults.append(f"{layer.name} is said to be in the {layer.stack}, and is one of {reference.field}")
    return faults


def output_tensors(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor of an output, those in caches too."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from output_tensors(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from output_tensors(item)
    elif hasattr(value, "layers"):  # a key-value cache
        for layer in value.layers:
            yield from output_tensors(list(vars(layer).values()))


def same_output(first: Any, second: Any) -> bool:
    """Whether two outputs hold bit-identical tensors."""
    one, two = list(output_tensors(first)), list(output_tensors(second))
    return len(one) == len(two) and all(map(same_tensor, one, two))


def same_tensor(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Equal bit for bit, with NaN equal to NaN."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return bool(torch.equal(first.nan_to_num(), second.nan_to_num()) and torch.equal(first.isnan(), second.isnan()))


def state_of(model: torch.nn.Module) -> dict[str, Any]:
    """What a capture might leave behind: hooks, configuration, mode, modes of torch, the random state."""
    config: Any = getattr(model, "config", None)
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
    backward = sum(len(m._backward_hooks) + len(m._backward_pre_hooks) for m in model.modules())
    return {
        "hooks": hooks + backward,
        "configuration": config.to_dict() if hasattr(config, "to_dict") else None,
        "training": [module.training for module in model.modules()],
        "instance methods": [sorted(k for k, v in vars(m).items() if callable(v)) for m in model.modules()],
        "torch function modes": torch._C._len_torch_function_stack(),
        "random state": torch.get_rng_state().numpy().tobytes(),
    }


def left_behind(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What differs between two states, in words."""
    return [f"changes the {name}" for name in before if before[name] != after[name]]
