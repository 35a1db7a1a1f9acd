"""A named axis of tokens, patches or frames, with a label for each position of each batch item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from attncore.errors import SelectionError, TokenError, did_you_mean

AxisKind = Literal["text", "patch", "frame", "latent", "position"]
Labels = tuple[tuple[str, ...], ...]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TokenAxis:
    """The positions that a query or key axis counts.

    Attributes:
        name: as in ``layer.query_axis`` and ``trace.axes``: "tokens", "encoder", "decoder", "image", ….
        length: how many positions there are.
        labels: for each batch item a text for each position, as a reader expects it.
        raw: the same as the tokenizer spells it (``##ing``, ``Ġthe``).
        kind: what a position is: ``"text"``, ``"patch"``, ``"frame"``, ``"latent"``; ``"position"`` means that nothing
            better is known and the labels are numbers.
        padding: bool (batch, length), True where a position is padding; None when unknown.
        special: bool (batch, length), True for tokens such as ``[CLS]``; None when unknown.
        segments: int (batch, length), 0 in sentence A and 1 in sentence B; None when unknown.
        grid: (rows, columns) of image patches, with ``length - rows * columns`` other positions before them.
        steps: int (length,), the step of a generation that wrote each position, 0 for the prompt; None without one.

    Raises:
        TokenError: a label row or an array does not have ``length`` entries.
    """

    name: str
    length: int
    labels: Labels
    raw: Labels = ()
    kind: AxisKind = "position"
    padding: BoolArray | None = None
    special: BoolArray | None = None
    segments: IntArray | None = None
    grid: tuple[int, int] | None = None
    steps: IntArray | None = None

    def __post_init__(self) -> None:
        if not self.raw:
            object.__setattr__(self, "raw", self.labels)
        for what, rows in (("labels", self.labels), ("raw labels", self.raw)):
            for item, row in enumerate(rows):
                if len(row) != self.length:
                    raise TokenError(
                        f'axis "{self.name}" has {self.length} positions and batch item {item} has {len(row)} {what}; '
                        f"give {self.length} for it"
                    )
        if len(self.raw) != len(self.labels):
            raise TokenError(
                f'axis "{self.name}" has labels for {len(self.labels)} batch item(s) and raw labels for {len(self.raw)}'
            )
        per_item = (len(self.labels), self.length)
        for what, array, expected in (
            ("padding", self.padding, per_item),
            ("special", self.special, per_item),
            ("segments", self.segments, per_item),
            ("steps", self.steps, (self.length,)),
        ):
            if array is not None and array.shape != expected:
                raise TokenError(f'axis "{self.name}": {what} has shape {array.shape}, expected {expected}')
        if self.grid is not None and not 0 < self.grid[0] * self.grid[1] <= self.length:
            raise TokenError(
                f'axis "{self.name}" has a grid of {self.grid[0]} x {self.grid[1]} patches and {self.length} positions'
            )

    @classmethod
    def of_positions(cls, name: str, batch: int, length: int, kind: AxisKind = "position") -> TokenAxis:
        """An axis of ``length`` positions in ``batch`` items, whose labels are the position numbers."""
        row = tuple(str(position) for position in range(length))
        return cls(name=name, length=length, labels=(row,) * batch, kind=kind)

    @property
    def batch(self) -> int:
        """How many batch items have labels."""
        return len(self.labels)

    def labels_of(self, item: int) -> tuple[str, ...]:
        """The labels of one batch item.

        Raises:
            SelectionError: there is no such batch item.
        """
        if not -self.batch <= item < self.batch:
            raise SelectionError(
                f'axis "{self.name}" has {self.batch} batch item(s) and item {item} was asked for; '
                f"give 0 to {self.batch - 1}"
            )
        return self.labels[item]

    def padding_of(self, item: int) -> BoolArray:
        """True where batch item ``item`` is padding, shape (length,); all False when unknown."""
        if self.padding is None:
            return np.zeros(self.length, dtype=bool)
        return np.asarray(self.padding[item])

    def find(self, token: str, item: int = 0) -> int:
        """The first position whose label or raw token is ``token``.

        Raises:
            SelectionError: no position has it.
        """
        for position, (label, raw) in enumerate(zip(self.labels_of(item), self.raw[item], strict=True)):
            if token in (label, raw):
                return position
        hint = did_you_mean(token, dict.fromkeys(self.labels[item]))
        raise SelectionError(
            f'axis "{self.name}" has no token "{token}" in batch item {item}{hint}; '
            f"its tokens begin {', '.join(self.labels[item][:8])}"
        )

    def replaced(self, **changes: object) -> TokenAxis:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]
