"""Everything that a self-contained page holds of a trace: its description, and blocks of numbers within a budget."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from attncore.attention import AttentionTrace
from attncore.errors import OptionError

from ._page_describe import HeldLayer, Precision, Start, describe_trace
from ._page_encode import LEAST, LOG8_SENTENCE, Block
from ._page_plan import FEWEST_KEYS, Plan, bytes_needed, plans, text_of_all
from ._page_vectors import ShownVectors, vectors_asked, vectors_unasked
from ._page_weights import ShownLayer, shown_layers

# So many characters of blocks stand before the viewer's script, beside the layer that it shows first.
_SOON = 1_000_000
# What a block takes beside its text: its element, and how to read it.
_BLOCK_BYTES = 220
# What a layer's statistics take, by head and batch item.
_STATISTICS_BYTES = 150
# How far what the vectors are judged by may be off, by the bytes wanted: then it is written and measured.
_UNSURE = 0.01
# After weights have turned out too long, how much of the room the next attempt aims at.
_SECOND_TRY = 0.985


@dataclass(frozen=True)
class Payload:
    """``description`` is the JSON of a self-contained page, without `blocks_to_read`; ``blocks`` are in order."""

    description: dict[str, Any]
    blocks: tuple[Block, ...]

    def json_text(self) -> str:
        """The description with what the blocks are, safe inside a script element."""
        return json_text({**self.description, "blocks": {block.name: block.reading for block in self.blocks}})

    def in_order(self) -> tuple[list[Block], list[Block]]:
        """The blocks that the first picture is drawn from, and the others, which a browser may read meanwhile."""
        first = f"weights-{self.description.get('start', {}).get('layer') or 0}"
        soon = [block for block in self.blocks if block.name == first]
        room = _SOON
        for kind in ("overview-", "weights-"):
            for block in self.blocks:
                if block.name.startswith(kind) and block.name != first and len(block.text) <= room:
                    soon.append(block)
                    room -= len(block.text)
        names = {block.name for block in soon}
        return soon, [block for block in self.blocks if block.name not in names]

    def length(self) -> int:
        """Bytes on the page, or slightly more."""
        return len(self.json_text()) + sum(len(block.text) + _BLOCK_BYTES for block in self.blocks)


def json_text(value: Any) -> str:
    """JSON in ASCII that no token can turn into markup; lone surrogates stay what they are, as escapes."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def payload_of(
    trace: AttentionTrace,
    start: Start,
    *,
    room: int,
    vectors: bool,
    aim: int | None = None,
    facts: Sequence[tuple[str, str]] = (),
) -> Payload:
    """The trace in at most ``room`` bytes.

    Args:
        trace: all its layers have weights.
        start: what the page opens with.
        room: bytes for description and blocks.
        vectors: whether query and key vectors are wanted although they are large.
        aim: so many bytes are fine without having been asked for: where all weights are in less, vectors may take the
            rest. None for ``room``.
        facts: further lines about the trace.

    Raises:
        OptionError: there is too little room to show anything of use.
    """
    describe = _Describer(trace, start, facts)
    left = room - describe.least_length()
    if left <= 0:
        raise OptionError(
            f"the tokens and names of this trace alone take {describe.least_length():,} bytes, and there is room for "
            f"{room:,}; give a larger max_bytes, or fewer layers (layers=…)"
        )
    if vectors:
        shown = vectors_asked(trace, start.layer or 0, left)
    else:
        wanted = min(room, room if aim is None else aim)
        beside = _with_all(describe, left, room, wanted)
        if beside is not None:
            return beside
        shown = vectors_unasked(trace, 0)
    payload = _written(describe, shown, left, room)
    if payload is None:
        raise OptionError(_too_little(trace, left - sum(one.text_length for one in shown), room))
    return payload


def _with_all(describe: _Describer, left: float, room: int, wanted: int) -> Payload | None:
    """The payload with all weights and all vectors in the bytes ``wanted``; None where that is too little."""
    unasked, unsure = left - room + wanted, _UNSURE * wanted
    weights = text_of_all(describe.trace, unasked)
    if weights is None:
        return None
    shown = vectors_unasked(describe.trace, unasked - weights + unsure)
    if all(one.block is None for one in shown):
        return None
    payload = _written(describe, shown, left + unsure, room)
    if payload is None or payload.length() > wanted or payload.description["precision"]["kind"] == "top":
        return None
    return payload


def _written(describe: _Describer, vectors: list[ShownVectors], left: float, room: int) -> Payload | None:
    """The payload of the most exact plan that fits beside these vectors; None where there is none."""
    left -= sum(one.text_length for one in vectors)
    found = (_fitting(describe, vectors, plan, room) for plan in plans(describe.trace, left))
    return next((payload for payload in found if payload is not None), None)


@dataclass(frozen=True)
class _Describer:
    """Describes one trace, whatever is held of it."""

    trace: AttentionTrace
    start: Start
    facts: Sequence[tuple[str, str]]

    def describe(self, precision: Precision, held: Sequence[HeldLayer]) -> dict[str, Any]:
        return describe_trace(self.trace, start=self.start, precision=precision, held=held, facts=self.facts)

    def least_length(self) -> int:
        """About how long the description is, before any weight was read."""
        nothing = Precision("exact", "", 0, 0)
        held = [HeldLayer(statistics=()) for _ in self.trace]
        statistics = sum(layer.shape[0] * (layer.n_heads + 2) * _STATISTICS_BYTES for layer in self.trace)
        return len(json_text(self.describe(nothing, held))) + statistics + 3 * len(self.trace) * _BLOCK_BYTES


def _fitting(describe: _Describer, vectors: list[ShownVectors], plan: Plan, room: int) -> Payload | None:
    """The payload of a plan, with fewer top keys where it is too long otherwise; None when it does not fit."""
    if plan.kind == "top" and plan.top < FEWEST_KEYS:
        return None
    layers = shown_layers(describe.trace, plan)
    while True:
        payload = _payload(describe, vectors, layers)
        k = max((layer.top.k for layer in layers if layer.top is not None), default=0)
        if payload.length() <= room:
            return payload
        top_length = sum(len(block.text) for block in payload.blocks if block.reading.get("encoding") == "top")
        too_long = payload.length() - room * _SECOND_TRY
        k = min(k - 1, int(k * (1 - too_long / max(top_length, 1))))
        if k < FEWEST_KEYS:
            return None
        layers = [layer.shrunk(k) for layer in layers]


def _payload(describe: _Describer, vectors: list[ShownVectors], layers: list[ShownLayer]) -> Payload:
    with ThreadPoolExecutor(max_workers=2) as threads:
        weights = [block for blocks in threads.map(ShownLayer.all_blocks, layers) for block in blocks]
    blocks = (*weights, *(one.block for one in vectors if one.block is not None))
    shares = [layer.kept() for layer in layers]
    held = [
        HeldLayer(
            kept=None if share is None else share.tolist(),
            no_vectors=one.missing,
            bias=one.bias,
            statistics=layer.statistics,
        )
        for layer, one, share in zip(layers, vectors, shares, strict=True)
    ]
    return Payload(describe.describe(_precision(layers, weights, shares), held), blocks)


def _precision(layers: list[ShownLayer], weights: list[Block], shares: list[Any]) -> Precision:
    kinds = {str(block.reading["encoding"]) for block in weights if block.name.startswith("weights")}
    if "top" in kinds:
        k = max(layer.top.k for layer in layers if layer.top is not None)
        kept = np.concatenate([share.ravel() for share in shares if share is not None]).mean()
        sentence = f"top {k} keys of each query: {_percent(kept)} of the attention; {LOG8_SENTENCE}"
        return Precision("top", sentence, decimals=2, significant=2, top=k, least=LEAST)
    if kinds != {"float16"}:
        return Precision("log8", LOG8_SENTENCE, decimals=2, significant=2, least=LEAST)
    return Precision("float16", "float16: each weight within 0.05 %", decimals=3, significant=3)


def _percent(share: float) -> str:
    """Rounded down, so that less than all never reads as all."""
    return f"{np.floor(1000 * share) / 10:.1f} %"


def _too_little(trace: AttentionTrace, left: float, room: int) -> str:
    layer = max(trace, key=lambda layer: layer.weights.size)
    items, heads, queries, keys = layer.shape
    batch = f"{items} batch items x " if items > 1 else ""
    needed = int(np.ceil((room - left + bytes_needed(trace, left)) / 1e6 + 1)) * 1_000_000
    return (
        f"{len(trace)} layer(s) of {batch}{heads} heads x {queries:,} queries x {keys:,} keys do not fit into "
        f"{room / 1e6:.1f} MB of numbers: fewer than {FEWEST_KEYS} keys of each query would be held. Embed fewer "
        f"layers (layers=…) or give max_bytes={needed:_}; every weight, however long the text, is shown by "
        "trace.widget() in a notebook and by `attncore serve` in a terminal"
    )
