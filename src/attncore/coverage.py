"""What ran and was not captured as attention, with the reason: nothing is skipped in silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

Status = Literal["no-attention", "rejected", "opaque", "uncertain"]

STATUS_MEANING: dict[Status, str] = {
    "no-attention": "ran and showed no softmax attention",
    "rejected": "looked like attention and is something else, or could not be mapped to (query, key)",
    "opaque": "ran where the backend cannot look inside",
    "uncertain": "captured, but its meaning or axes could not be established",
}


@dataclass(frozen=True)
class CoverageEntry:
    """One part of the model that is not in the trace, or not with certainty.

    Attributes:
        name: the part's qualified name.
        what: its class, or the operation.
        status: ``"no-attention"`` (ran and showed none), ``"rejected"`` (looked like attention and is something else,
            or could not be mapped to (query, key)), ``"opaque"`` (cannot be looked into) or ``"uncertain"`` (captured,
            but its meaning or axes could not be established).
        reason: a sentence for a person.
        shape: of the array in question, where there is one.
        count: how often the same thing happened.
    """

    name: str
    what: str
    status: Status
    reason: str
    shape: tuple[int, ...] | None = None
    count: int = 1

    def __str__(self) -> str:
        shape = f" {self.shape}" if self.shape is not None else ""
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.name or '(model)'}: {self.what}{shape}: {self.reason}{times}"


@dataclass(frozen=True, repr=False)
class Coverage(Sequence[CoverageEntry]):
    """The list of parts that ran and are not attention in the trace; empty when everything that ran is understood."""

    entries: tuple[CoverageEntry, ...] = ()

    @overload
    def __getitem__(self, index: int) -> CoverageEntry: ...
    @overload
    def __getitem__(self, index: slice) -> Coverage: ...
    def __getitem__(self, index: int | slice) -> CoverageEntry | Coverage:
        if isinstance(index, slice):
            return Coverage(self.entries[index])
        return self.entries[index]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[CoverageEntry]:
        return iter(self.entries)

    def with_status(self, status: Status) -> tuple[CoverageEntry, ...]:
        """The entries of one status."""
        return tuple(entry for entry in self.entries if entry.status == status)

    def summary(self) -> str:
        """One line, such as ``"2 no-attention, 1 rejected"``, or ``"everything that ran is in the trace"``."""
        counts = [(status, len(self.with_status(status))) for status in STATUS_MEANING]
        shown = [f"{count} {status}" for status, count in counts if count]
        return ", ".join(shown) if shown else "everything that ran is in the trace"

    def __str__(self) -> str:
        return "\n".join(str(entry) for entry in self.entries) or self.summary()

    def __repr__(self) -> str:
        # At the prompt and in a notebook the sentences are wanted, as of a trace.
        return str(self)
