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
        # Not looked at before something is written: most models never do.
        self._unsorted: list[tuple[weakref.ref[Any], tuple[str, ...]]] = []
        self._by_address: dict[int, list[tuple[weakref.ref[Any], str]]] = {}
        self._lock = threading.RLock()

    def remember(self, holder: Any, *names: str) -> None:
        """Look after these attributes of ``holder``, as far as they are tensors."""
        self._unsorted.append((weakref.ref(holder), names))

    def _sort(self) -> None:
        while self._unsorted:
            reference, names = self._unsorted.pop()
            for name in names:
                tensor = getattr(reference(), name, None)
                if tensor is not None:
                    self._by_address.setdefault(memory_address(tensor), []).append((reference, name))

    def before_write(self, target: Tensor) -> None:
        """Give every holder of this memory a copy of its own, since the model is about to write over it."""
        copies: dict[Any, Tensor] = {}
        with self._lock, torch._C.DisableTorchFunction(), torch.no_grad():
            self._sort()
            address = memory_address(target)
            for reference, name in self._by_address.pop(address, []) if address else []:
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
        self._unsorted.clear()
        self._by_address.clear()
