"""Small questions about a softmax or a fused call: which weights to keep, what to note, which memory is ours."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor

from ._torch_arrays import OWN_CLASSES, memory_address, own_memory
from ._torch_layout import CannotMapError, Layout
from ._torch_probabilities import TorchScoring
from ._torch_tags import Scores, Softmax, Tag

MIXING, PIECES = "head mixing", "pieces"
CHAINED = "multiplied with other weights"


def normalised_by_hand(weights: Tensor, tag: Tag) -> Softmax:
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


def until_mixed(changes: tuple[str, ...]) -> tuple[str, ...]:
    """The changes up to a mixing of heads: what comes after it changes what it made."""
    return changes[: changes.index(MIXING) + 1] if MIXING in changes else changes


def arranged_or_none(layout: Layout, tensor: Tensor, *, queries: bool = False) -> Tensor | None:
    """The tensor in the layout, or None where its dimensions do not follow the weights'."""
    if tensor.is_complex():  # numpy's side of the trace holds real numbers
        return None
    try:
        return layout.apply(tensor.detach(), rows_are_queries=queries)
    except (CannotMapError, RuntimeError):
        return None


def own_copies(*parts: tuple[Tensor | None, Tag | None]) -> list[Tensor | None]:
    """Tensors that nobody will overwrite: copied when written in place, or when they are not the model's own product.

    Views of one memory that they fill together, as query, key and value of a fused projection do, stay views.
    """
    addresses = [0 if tensor is None else memory_address(tensor) for tensor, _ in parts]
    used = dict.fromkeys(addresses, 0)
    for address, (tensor, _) in zip(addresses, parts, strict=True):
        used[address] += 0 if tensor is None else tensor.nbytes
    copies: list[Tensor | None] = []
    for address, (tensor, tag) in zip(addresses, parts, strict=True):
        if tensor is None:
            copies.append(None)
            continue
        foreign = tag is None or not tag.projected or tag.written
        copies.append(own_memory(tensor, always=foreign, used=used[address]))
    return copies


def mask_or_bias(mask: Any, layout: Layout, query: Tensor, key: Tensor) -> dict[str, Tensor]:
    """The mask in (batch, heads, query, key), each 1 where it is shared.

    Raises:
        CannotMapError: it is of a class of its own, which may hold no values.
    """
    if mask is None:
        return {}
    mask = _with_values(mask, query, key).detach()
    if layout.plain:
        four = mask.reshape(*([1] * (4 - mask.dim())), *mask.shape)
    else:
        full = torch.broadcast_shapes(mask.shape, (*query.shape[:-2], query.shape[-2], key.shape[-2]))
        four = layout.apply(mask.expand(full))
    return {"mask": four} if mask.dtype == torch.bool else {"bias": four}


def _with_values(mask: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """The mask as a tensor that holds its values: PyTorch's causal biases only say what they are."""
    if type(mask) in OWN_CLASSES:
        return mask
    bias = sys.modules.get("torch.nn.attention.bias")
    if bias is None or not isinstance(mask, bias.CausalBias):
        raise CannotMapError(f"its mask is a {type(mask).__name__}, whose values are not known")
    rows, columns = query.shape[-2], key.shape[-2]
    first = columns - rows if mask.variant == bias.CausalVariant.LOWER_RIGHT else 0
    return torch.ones(rows, columns, dtype=torch.bool, device=query.device).tril(first)


def not_followed(error: Exception) -> str:
    """Why something is not in the trace, when the fault is ours."""
    return f"a call that attncore could not follow ({type(error).__name__}: {error}); please report it"


def masks_of(scoring: TorchScoring | None) -> list[Tensor]:
    return [] if scoring is None else [part for part in (scoring.mask, scoring.bias) if part is not None]


def check_plain_tensor(*tensors: Tensor) -> None:
    for tensor in tensors:
        if tensor.is_nested:
            raise CannotMapError("nested (jagged) tensors have no single (query, key) matrix")
        if tensor.layout is not torch.strided:
            raise CannotMapError("sparse tensors are not followed")
        if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            raise CannotMapError("inside torch.func.vmap or grad, where tensors stand for many; capture outside of it")


def notes_on(entry: Softmax, tag: Tag) -> tuple[str, ...]:
    """What a reader of the weights must know, in words."""
    said = {
        "dropout": "dropout is applied after these weights",
        MIXING: "heads are mixed after these weights (talking heads)",
        "sliced": "a column of the softmax was cut off (a sink), so rows may sum below 1",
        PIECES: "the model uses these weights piece by piece",
    }
    notes = [said[change] for change in dict.fromkeys(tag.changes) if change in said]
    other = [change for change in dict.fromkeys(until_mixed(tag.changes)) if change not in said]
    if other:
        notes.append(f"the model changed the weights after the softmax ({', '.join(other)})")
    if entry.by_hand:
        notes.append("normalised by hand, not by a softmax call")
    if entry.scores is None:
        notes.append("no query times key behind the softmax (pooling with learned scores)")
    return tuple(notes)


def common_span(query: Tag | None, key: Tag | None) -> tuple[int, int, int] | None:
    """The part of the sequence that both queries and keys are."""
    if query is None or key is None or query.span != key.span:
        return None
    return query.span


def role_name(tag: Tag) -> str:
    return "softmax" if isinstance(tag.role, Softmax) else "query times key"


def four_sizes(shape: torch.Size) -> tuple[int, int, int, int]:
    return int(shape[0]), int(shape[1]), int(shape[2]), int(shape[3])


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
