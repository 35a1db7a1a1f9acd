"""What figures are called."""

from __future__ import annotations

from attncore.attention import AttentionTrace
from attncore.subject import Subject

from ._matplotlib_text import clean


def title_of(subject: Subject) -> str:
    """Such as ``layer 0, head 3`` and ``layer 0, mean over 12 heads, cross-attention``."""
    parts = [f"layer {subject.layer.index}", subject.describe_head()]
    return ", ".join([*parts, *about(subject)])


def about(subject: Subject) -> list[str]:
    """What is not as usual: cross-attention, and which item of several."""
    parts = [] if subject.layer.kind == "self" else [f"{subject.layer.kind}-attention"]
    if subject.layer.shape[0] > 1:
        parts.append(f"item {subject.batch} of {subject.layer.shape[0]}")
    return parts


def item_of(trace: AttentionTrace, batch: int) -> str:
    """Such as ``, item 1 of 3``, for a title of all layers; nothing where there is one item."""
    items = max(layer.shape[0] for layer in trace)
    return f", item {batch} of {items}" if items > 1 else ""


def head_columns(trace: AttentionTrace) -> tuple[str, list[int]]:
    """What columns of heads are called, and the head's own number of each; none where layers have others there."""
    numbers = [layer.head_numbers() for layer in trace]
    longest = max(numbers, key=len)
    if all(own == longest[: len(own)] for own in numbers):
        return "head", list(longest)
    return "heads, as each layer has them", []


def model_name(trace: AttentionTrace) -> str:
    """The model's class or function."""
    return clean(trace.provenance.model.rpartition(".")[2], 48) if trace.provenance.model else "attention"
