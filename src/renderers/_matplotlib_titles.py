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


def model_name(trace: AttentionTrace) -> str:
    """The model's class or function."""
    return clean(trace.provenance.model.rpartition(".")[2], 48) if trace.provenance.model else "attention"
