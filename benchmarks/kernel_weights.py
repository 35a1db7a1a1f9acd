"""What a fused kernel's weights are, from the kernel itself: with the identity as values its result is the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from references import SEED, Reference, ReferenceSet, as_numpy
from torch.nn import functional
from transformers.integrations import flex_attention as flex_module


@contextmanager
def identity_values(found: list[torch.Tensor]) -> Iterator[None]:
    """Run every fused attention call once more, with the identity as values, and keep the results."""
    sdpa = functional.scaled_dot_product_attention
    flex = flex_module.compile_friendly_flex_attention

    def identity(value: torch.Tensor) -> torch.Tensor:
        keys = value.shape[-2]
        return torch.eye(keys, dtype=value.dtype).expand(*value.shape[:-2], keys, keys)

    def watched_sdpa(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        found.append(sdpa(query, key, identity(value), *args, **kwargs))
        return sdpa(query, key, value, *args, **kwargs)

    def watched_flex(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        result = flex(query, key, identity(value), *args, **kwargs)
        found.append(result[0] if isinstance(result, tuple) else result)
        return flex(query, key, value, *args, **kwargs)

    functional.scaled_dot_product_attention = watched_sdpa
    flex_module.compile_friendly_flex_attention = watched_flex
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = sdpa
        flex_module.compile_friendly_flex_attention = flex


def kernel_references(model: torch.nn.Module, inputs: dict[str, Any], tolerance: float) -> ReferenceSet:
    """The weights of every fused attention call of one run; none where the model makes no such call."""
    found: list[torch.Tensor] = []
    with torch.no_grad(), torch.compiler.set_stance("force_eager"), identity_values(found):
        torch.manual_seed(SEED)
        model(**inputs)
    expected = [Reference("kernel", as_numpy(weights), "kernel") for weights in found]
    return ReferenceSet(expected=expected, tolerance=tolerance)
