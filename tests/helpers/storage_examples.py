"""A trace with every field set, and trace files that are valid but for one change."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from attncore import (
    AttentionTrace,
    Coverage,
    CoverageEntry,
    Provenance,
    TokenAxis,
)
from attncore.layer import AttentionLayer
from attncore.scoring import Scoring
from attncore.testing import example_trace
from attncore.weights import RecomputedWeights


def full_trace() -> AttentionTrace:
    """A trace in which every field differs from its default."""
    random = np.random.default_rng(0)
    query = random.standard_normal((2, 4, 5, 8)).astype(np.float32)
    key = random.standard_normal((2, 2, 6, 8)).astype(np.float16)
    scoring = Scoring(
        scale=0.25,
        causal=True,
        causal_offset=1,
        window=4,
        mask=random.random((2, 1, 5, 6)) > 0.1,
        bias=random.standard_normal((4, 5, 6)),
        softcap=30.0,
        sinks=random.standard_normal(4).astype(np.float32),
    )
    layer = AttentionLayer(
        name="model.layers.3.self_attn",
        index=7,
        call=2,
        query_axis="decoder",
        key_axis="encoder",
        stored_weights=RecomputedWeights(query, key, scoring),
        kind="cross",
        stack="decoder",
        source="flex",
        computed="recomputed",
        module_class="ExampleAttention",
        model_dtype="bfloat16",
        query=query,
        key=key,
        value=random.standard_normal((2, 2, 6, 8)),
        scoring=scoring,
        heads=(9, 3, 5, 1),
        notes=("dropout 0.1 was applied after the softmax",),
        reduced=np.arange(3.0),
    )
    return AttentionTrace((layer,), full_axes(), full_coverage(), full_provenance(), output="not saved")


def full_axes() -> dict[str, TokenAxis]:
    """Two axes with every field set."""
    return {
        "decoder": TokenAxis(
            name="decoder",
            length=5,
            labels=(("a", "b", "</script>", "é", "∅"), tuple("vwxyz")),
            raw=(("a", "Ġb", "</script>", "Ã©", ""), tuple("vwxyz")),
            kind="text",
            padding=np.array([[False] * 5, [False] * 3 + [True] * 2]),
            special=np.array([[True] + [False] * 4] * 2),
            segments=np.array([[0, 0, 1, 1, 1]] * 2),
            steps=np.array([0, 0, 0, 1, 2]),
        ),
        "encoder": TokenAxis.of_positions("encoder", 2, 6, "patch").replaced(grid=(2, 3)),
    }


def full_coverage() -> Coverage:
    """One entry with every field set, and one without a shape."""
    return Coverage(
        (
            CoverageEntry("router", "softmax", "rejected", "contracted with a parameter", (2, 5, 8), 3),
            CoverageEntry("mixer", "Mamba", "no-attention", "ran and showed no softmax attention"),
        )
    )


def full_provenance() -> Provenance:
    """Every field set to something that is not its default."""
    return Provenance(
        "torch", "hooks", "Model", {"keep": "'qk'"}, {"torch": "2.13.0"}, "2026-01-01T00:00:00", "0.0.9", "3.10.1"
    )


def rewritten(path: Path, change: Any) -> Path:
    """A valid trace file whose description went through ``change(metadata, described)``."""
    example_trace(lazy=True, padding=2).save(path)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    metadata = header["__metadata__"]
    described = json.loads(metadata["attncore"])
    changed = change(metadata, described)
    metadata["attncore"] = json.dumps(described if changed is None else changed)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return path


def hostile(path: tuple[Any, ...], value: Any) -> Any:
    """A change that puts ``value`` at ``path`` of the description."""

    def change(metadata: Any, described: Any) -> None:
        place = described
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change
