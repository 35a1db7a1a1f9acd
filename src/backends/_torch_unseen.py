"""Memory that was written over where a capture does not see it: then what is held of it is not shown.

PyTorch counts the writes to a tensor, whoever makes them: compiled code, another thread, or the user between two calls.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from ._torch_record import Record
    from ._torch_recorder import Recorder

Versions = dict[str, tuple["weakref.ref[Tensor]", int]]

VECTORS = ("query", "key", "value")
_OF_SCORING = ("mask", "bias")
REASON = "was written over where no capture sees it: outside of the model, in another thread or by compiled code"


def version_of(tensor: Any) -> int:
    """How often a tensor was written to; 0 where PyTorch does not count, as in inference mode."""
    try:
        return int(tensor._version) if isinstance(tensor, Tensor) else 0
    except RuntimeError:
        return 0


def versions_of(record: Record) -> Versions:
    """The tensors that a record holds, and how often each was written to until now."""
    return {name: (weakref.ref(tensor), version_of(tensor)) for name, tensor in _tensors(record).items()}


def settle_written(recorder: Recorder) -> None:
    """Take back the layers whose weights are no longer those that were used; leave out other vectors, with a note."""
    for record in list(recorder.records):
        held = _tensors(record)
        written = [name for name, seen in record.versions.items() if _is_written(held.get(name), *seen)]
        if not written:
            continue
        needed = {"weights"} if record.weights is not None else {"query", "key", *_OF_SCORING}
        if needed.intersection(written):
            recorder.reject(record, f"the memory of its {' and '.join(written)} {REASON}")
        else:
            record.notes = (*record.notes, f"the memory of its {' and '.join(written)} {REASON}")
            if not set(_OF_SCORING).isdisjoint(written):
                record.scoring = None
        for name in set(VECTORS).intersection(written):
            setattr(record, name, None)
        record.versions = {}


def _tensors(record: Record) -> dict[str, Tensor]:
    found = {name: getattr(record, name) for name in ("weights", *VECTORS)}
    found |= {name: getattr(record.scoring, name, None) for name in _OF_SCORING}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def _is_written(tensor: Tensor | None, seen: weakref.ref[Tensor], version: int) -> bool:
    return tensor is not None and seen() is tensor and version_of(tensor) != version
