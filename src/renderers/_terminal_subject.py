"""What a view is about, with its tokens as a terminal can show them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from attncore import subject
from attncore.attention import AttentionTrace
from attncore.axis import TokenAxis

from ._terminal_text import clean, width_of


class Subject(subject.Subject):
    """One layer of one batch item, and one head or all of them."""

    @cached_property
    def query_labels(self) -> Labels:
        """Labels of the query positions."""
        return Labels.of(self.query_axis, self.batch)

    @cached_property
    def key_labels(self) -> Labels:
        """Labels of the key positions."""
        return Labels.of(self.key_axis, self.batch)

    def title(self) -> str:
        """Such as ``layer 0 "encoder.0" · head 3 · self-attention · batch item 1``."""
        parts = [f'layer {self.layer.index} "{clean(self.layer.name)}"', self.describe_head()]
        parts.append(f"{self.layer.kind}-attention")
        if self.layer.kind == "cross":
            parts[-1] += f' from "{clean(self.query_axis.name)}" to "{clean(self.key_axis.name)}"'
        if self.layer.shape[0] > 1:
            parts.append(f"batch item {self.batch} of {self.layer.shape[0]}")
        return " · ".join(parts)


@dataclass(frozen=True)
class Labels:
    """The tokens of one axis as text; ``texts`` are empty where they would only repeat the position."""

    texts: tuple[str, ...]
    padding: tuple[bool, ...]

    @classmethod
    def of(cls, axis: TokenAxis, batch: int) -> Labels:
        shared = batch if axis.batch != 1 else 0
        texts = axis.labels_of(shared)
        if texts == tuple(str(position) for position in range(len(texts))):
            texts = ("",) * len(texts)
        return cls(texts, tuple(bool(padded) for padded in axis.padding_of(shared)))

    def width(self, most: int) -> int:
        """The width of the widest, ``most`` at the most; 0 when the positions say it all."""
        return max((min(most, width_of(text)) for text in set(self.texts) if text), default=0)

    def digits(self) -> int:
        """The width of the largest position."""
        return len(str(max(0, len(self.texts) - 1)))


def heading(trace: AttentionTrace) -> str:
    """Such as ``Attention of BertModel``."""
    model = clean(trace.provenance.model.rpartition(".")[2]) if trace.provenance.model else ""
    return f"Attention of {model}" if model else "Attention"
