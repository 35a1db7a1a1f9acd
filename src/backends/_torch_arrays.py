"""Tensors at the border to numpy, and PyTorch's own classes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from attncore.arrays import Array, ArrayLike, BFloat16Array
from attncore.errors import UnavailableError

OWN_CLASSES = frozenset({Tensor, torch.nn.Parameter, torch.nn.Buffer})
_NUMPY_TYPES = (torch.float64, torch.float32, torch.float16, torch.bool, torch.int64, torch.int32, torch.uint8)


def to_array(tensor: Tensor) -> ArrayLike:
    """The tensor as something that reads as numpy: shared memory on the CPU, copied piecewise from elsewhere."""
    if tensor.requires_grad:
        tensor = tensor.detach()
    if tensor.device.type != "cpu":
        return DeviceArray(tensor)
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        return BFloat16Array(_frozen(tensor.view(torch.int16).numpy().view(np.uint16)))
    if tensor.dtype not in _NUMPY_TYPES:
        tensor = tensor.float()
    return _frozen(tensor.numpy())


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array


class DeviceArray:
    """A tensor on another device; what is read is copied, the rest stays there."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        wide = self.tensor.dtype if self.tensor.dtype in _NUMPY_TYPES else torch.float32
        return np.dtype(torch.empty(0, dtype=wide).numpy().dtype)

    def __getitem__(self, index: Any) -> Array:
        if self.tensor.is_meta:
            raise UnavailableError(
                'these numbers are on the device "meta", which holds shapes alone; give the model its weights first, '
                "such as with model.to_empty and load_state_dict, and take no device='meta'"
            )
        taken = self.tensor[_as_torch_index(index)].cpu()
        return np.asarray(to_array(taken))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[...], dtype=dtype)

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, device={self.tensor.device})"


def _as_torch_index(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_as_torch_index(item) for item in index)
    return torch.from_numpy(index) if isinstance(index, np.ndarray) else index


def memory_address(tensor: Tensor) -> int:
    """Where a tensor's storage lies; 0 where it has none of its own, as fake and wrapper tensors."""
    try:
        return int(getattr(tensor, "_local_tensor", tensor).untyped_storage().data_ptr())
    except (RuntimeError, NotImplementedError):
        return 0


def data_address(tensor: Tensor) -> int:
    """Where a tensor itself begins in its storage; 0 where it has none of its own."""
    try:
        return int(getattr(tensor, "_local_tensor", tensor).data_ptr())
    except (RuntimeError, NotImplementedError):
        return 0


def own_memory(tensor: Tensor, *, always: bool = False, used: int | None = None) -> Tensor:
    """The tensor without the rest of a larger storage: a slice of a fused projection holds all of it alive.

    ``used`` says how many bytes of the storage are kept in any case, where that is more than the tensor's own.
    """
    tensor = tensor.detach()
    try:
        stored = tensor.untyped_storage().nbytes()
    except (RuntimeError, NotImplementedError):  # fake and wrapper tensors have no storage of their own
        return tensor
    needed = tensor.numel() * tensor.element_size() if used is None else used
    return tensor.clone() if always or stored > 1.25 * needed else tensor
