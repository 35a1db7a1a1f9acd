"""What one line of the conformance table holds, and what a set of cases must offer.

A module of cases has a function ``cases()`` that yields `Case` objects; `conformance.SOURCES` names the modules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

Status = Literal["ok", "no attention", "falls short", "cannot be built here"]


@dataclass(frozen=True)
class Row:
    """One architecture under one attention implementation.

    ``found`` of ``expected`` reference layers were captured and agree; ``extra`` are captured layers that the model
    does not return itself. ``difference`` is the largest absolute difference of a weight over all of them, to be
    compared with ``tolerance``. ``identical`` says whether every output tensor is bit-identical with and without
    capture, and ``output_difference`` how far they are apart, where that is allowed.
    """

    family: str
    architecture: str
    implementation: str
    status: Status
    found: int = 0
    expected: int = 0
    extra: int = 0
    shape: tuple[int, ...] | None = None
    difference: float | None = None
    tolerance: float | None = None
    identical: bool | None = None
    reference: str = ""
    note: str = ""
    framework: str = "PyTorch"
    output_difference: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The row as plain values."""
        return asdict(self)


class Case(Protocol):
    """One architecture: it has a family and a name, and makes a row for each implementation."""

    family: str
    name: str

    def run(self) -> Iterable[Row]:
        """Build, capture and compare; failures are rows too."""
        ...
