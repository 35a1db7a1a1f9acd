"""What a capture holds of the model's memory, so that it can be copied before the model writes over it."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import torch
from torch import Tensor

from ._torch_arrays import memory_address


class HeldMemory:
    """Which attributes of which objects are tensors of the model's; the objects are not kept alive by this."""

    def __init__(self) -> None:
        self._by_address: dict[int, list[tuple[weakref.ref[Any], str]]] = {}
        self._lock = threading.RLock()

    def remember(self, holder: Any, *names: str) -> None:
        """Look after these attributes of ``holder``; those that are no tensors are left out."""
        for name in names:
            tensor = getattr(holder, name)
            address = memory_address(tensor) if isinstance(tensor, Tensor) else 0
            if address:
                with self._lock:
                    self._by_address.setdefault(address, []).append((weakref.ref(holder), name))

    def before_write(self, target: Tensor) -> None:
        """Give every holder of this memory a copy of its own, since the model is about to write over it."""
        address = memory_address(target)
        with self._lock:
            sharing = self._by_address.pop(address, None)
        if not sharing:
            return
        copies: dict[Any, Tensor] = {}
        with torch._C.DisableTorchFunction(), torch.no_grad():
            for reference, name in sharing:
                holder = reference()
                tensor = getattr(holder, name, None)
                if tensor is not None and memory_address(tensor) == address:
                    # One mask may be that of many layers.
                    key = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
                    if key not in copies:
                        copies[key] = tensor.clone()
                    setattr(holder, name, copies[key])

    def clear(self) -> None:
        """Forget everything."""
        self._by_address.clear()
