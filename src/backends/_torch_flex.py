"""Weights of `flex_attention`: scores changed by the user's functions of batch, head, query and key positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attncore.arrays import Array
from attncore.weights import LazyWeights, Positions

from ._torch_arrays import own_memory
from ._torch_probabilities import exactly


class FlexWeights(LazyWeights):
    """Computed from query, key and the two functions when read; (batch, heads, query, key)."""

    def __init__(
        self, query: Tensor, key: Tensor, scale: float, score_mod: Callable[..., Any], mask_mod: Callable[..., Any]
    ) -> None:
        self.query, self.key, self.scale = own_memory(query), own_memory(key), scale
        self.score_mod, self.mask_mod = score_mod, mask_mod
        self._row_factor: Tensor | None = None
        batch, heads, rows, _ = query.shape
        self.shape = (int(batch), int(heads), int(rows), int(key.shape[2]))
        self.dtype = np.dtype(np.float64 if query.dtype == torch.float64 else np.float32)

    def rescale_rows(self, factor: Tensor) -> None:
        """Multiply every row by its own factor, (batch, heads, query, 1)."""
        self._row_factor = factor.detach().expand(*self.shape[:3], 1).clone()

    def block(self, batch: Positions, heads: Positions, rows: Positions) -> Array:
        # An outer capture or a user's mode must not see this.
        with torch._C.DisableTorchFunction(), torch.no_grad(), exactly(self.query):
            b, h, m = (torch.from_numpy(np.asarray(part, dtype=np.int64)) for part in (batch, heads, rows))
            return self._block(b.to(self.query.device), h.to(self.query.device), m.to(self.query.device)).cpu().numpy()

    def _block(self, batch: Tensor, heads: Tensor, rows: Tensor) -> Tensor:
        from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex
        from torch.nn.attention.flex_attention import _vmap_for_bhqkv

        group = self.query.shape[1] // self.key.shape[1]
        kind = torch.float64 if self.query.dtype == torch.float64 else torch.float32
        query = self.query[batch][:, heads][:, :, rows].to(kind)
        key = self.key[batch][:, heads // group].to(kind)
        scores = torch.matmul(query, key.transpose(-1, -2)) * self.scale
        columns = torch.arange(self.shape[3], device=scores.device)
        with TransformGetItemToIndex():
            scores = _vmap_for_bhqkv(self.score_mod, prefix=(0,))(scores, batch, heads, rows, columns)
            allowed = _vmap_for_bhqkv(self.mask_mod, prefix=())(batch, heads, rows, columns)
        scores = scores.masked_fill(~allowed, -torch.inf)
        empty = scores.amax(-1, keepdim=True) == -torch.inf
        weights = torch.softmax(scores, -1).masked_fill(empty, 0.0)
        if self._row_factor is not None:
            weights = weights * self._row_factor[batch][:, heads][:, :, rows].to(kind)
        return weights

    @property
    def held_bytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in (self.query, self.key))
