"""What the captured weights are compared with: the model's own attentions where they are what it applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from applied_weights import Applied, AppliedWeights, same_values
from torch.nn.attention import SDPBackend, sdpa_kernel

SEED = 0
ABSOLUTE = 1e-5
# float32 carries seven digits: an error of the scores grows with the scores.
SCORES_PER_TOLERANCE = 50.0


@dataclass(frozen=True, eq=False)
class Reference:
    """One layer's weights, from the model's output (``own``) or from what met the values (``applied``)."""

    field: str
    weights: np.ndarray
    source: str


@dataclass
class ReferenceSet:
    """The layers that a capture must show: those to count, and ``spare`` ones that the model does not return.

    ``optional`` ones it may show: weights of values whose scores no product made, as those of a learned kernel.
    """

    expected: list[Reference] = field(default_factory=list)
    spare: list[Reference] = field(default_factory=list)
    optional: list[Reference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tolerance: float = ABSOLUTE

    def describe(self) -> str:
        """Which references were used."""
        return " + ".join(sorted({item.source for item in self.expected}, reverse=True))


def make_references(model: torch.nn.Module, inputs: dict[str, Any]) -> ReferenceSet:
    """Run the model once, ask it for its attentions, and watch what multiplies the values."""
    watcher = AppliedWeights(model.parameters())
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), watcher:
        torch.manual_seed(SEED)
        output = call_for_attentions(model, inputs)
    result = sort_out(list(own_attentions(output)), watcher.found)
    result.tolerance = ABSOLUTE * max(1.0, watcher.largest_score / SCORES_PER_TOLERANCE)
    return result


def call_for_attentions(model: torch.nn.Module, inputs: dict[str, Any]) -> Any:
    """The output with attentions, or the plain output of a model that does not know of them."""
    try:
        return model(**inputs, output_attentions=True)
    except TypeError as error:
        if "output_attentions" not in str(error):
            raise
        return model(**inputs)


def own_attentions(output: Any, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every attention tensor of an output and of the outputs nested in it, by field name."""
    if not isinstance(output, Mapping):
        return
    for name, value in output.items():
        if isinstance(value, Mapping):
            yield from own_attentions(value, f"{prefix}{name}.")
        elif "attention" in name and isinstance(value, (tuple, list)):
            yield from named_tensors(prefix + name, value)


def named_tensors(name: str, values: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a field, in order; what is nested once more gets a name of its own."""
    nested = values.items() if isinstance(values, Mapping) else enumerate(values)
    for place, item in nested:
        if isinstance(item, torch.Tensor):
            yield name, item
        elif isinstance(item, (tuple, list, Mapping)):
            yield from named_tensors(f"{name}[{place}]", item)


def sort_out(own: list[tuple[str, torch.Tensor]], applied: list[Applied]) -> ReferenceSet:
    """Keep the model's own attentions that were applied; what was applied stands in for the others."""
    result = ReferenceSet()
    left = list(applied)
    odd: dict[str, int] = {}
    for name, tensor in once(own):
        match = next((place for place, item in enumerate(left) if same_values(tensor, item.weights)), None)
        if match is not None:
            left.pop(match)
        if match is not None or (not applied and is_attention(tensor)):
            result.expected.append(Reference(name, as_numpy(tensor), "own"))
        else:
            reason = f"{name}: {what_it_is(tensor)}"
            odd[reason] = odd.get(reason, 0) + 1
    used = [torch.from_numpy(item.weights) for item in result.expected]
    rest = first_uses(left, used)
    references = [Reference("applied", as_numpy(item.weights), "applied") for item in rest]
    if odd or not own:
        result.expected += references
    else:
        result.spare = [one for one, item in zip(references, rest, strict=True) if item.from_product]
        result.optional = [one for one, item in zip(references, rest, strict=True) if not item.from_product]
    result.notes = [f"{reason} ({count}×)" for reason, count in odd.items()]
    return result


def once(own: list[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
    """Leave out what is returned in two fields, as a cross attention in ``attentions`` and ``cross_attentions``."""
    seen: list[tuple[str, torch.Tensor]] = []
    for name, tensor in own:
        if not any(name != other and tensor.equal(same) for other, same in seen):
            seen.append((name, tensor))
            yield name, tensor


def first_uses(applied: list[Applied], used: list[torch.Tensor]) -> list[Applied]:
    """Leave out weights that are used a second time, laid out otherwise, as with relative position values."""
    fresh: list[Applied] = []
    for item in applied:
        weights = item.weights
        others = [other for other in used + [one.weights for one in fresh] if other.numel() != weights.numel()]
        if not any(same_values(weights[weights != 0], other[other != 0]) for other in others):
            fresh.append(item)
    return fresh


def as_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A copy in float32."""
    return tensor.detach().float().numpy().copy()


def is_attention(tensor: torch.Tensor) -> bool:
    """Whether a tensor looks like normalised attention: four dimensions, no negative value, rows that sum to one."""
    if tensor.dim() != 4 or bool((tensor < 0).any()):
        return False
    return bool(((tensor.sum(-1) - 1).abs() < 1e-3).all())


def what_it_is(tensor: torch.Tensor) -> str:
    """Why a tensor that a model returns as attention is none that it applied."""
    shape = tuple(tensor.shape)
    if tensor.dim() == 5:
        return f"five dimensions {shape}: blocks or sampled points, no map of queries and keys"
    if tensor.dim() != 4:
        return f"no attention weights, shape {shape}"
    if is_attention(tensor):
        return "normalised, but not what multiplies the values"
    if bool((tensor < 0).any()):
        return f"scores or a state, not normalised, shape {shape}"
    return f"cropped or in coordinates of its own, shape {shape}"
