"""Reads a self-contained page as docs/page-format.md says, in numpy and plainly: what the viewer must see."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import numpy as np

from attncore import AttentionTrace
from attncore.renderers._page_describe import Start
from attncore.renderers._page_html import Viewer, page_of
from attncore.renderers._page_payload import Payload, payload_of

Array = np.ndarray[Any, Any]


@dataclass
class DecodedPage:
    """The JSON of a page, and the text of its blocks by name."""

    info: dict[str, Any]
    blocks: dict[str, str]

    def raw(self, name: str) -> bytes:
        """The bytes of a block."""
        return zlib.decompress(base64.b64decode(self.blocks[name], validate=True))

    def shape(self, place: int) -> tuple[int, int, int, int]:
        """(items, heads, queries, keys) of a layer."""
        layer = self.info["layers"][place]
        return layer["items"], len(layer["heads"]), layer["queries"], layer["keys"]

    def weights(self, place: int) -> Array:
        """The weights of a layer, (items, heads, queries, keys), with 0 where none is held."""
        reading, data, shape = self.info["blocks"][f"weights-{place}"], self.raw(f"weights-{place}"), self.shape(place)
        if reading["encoding"] == "top":
            return self._top(reading, data, shape)
        if reading["encoding"] == "log8-steps":
            steps = np.frombuffer(data, np.uint8).reshape(shape).astype(np.int64)
            return numbers("log8", (steps.cumsum(axis=2) % 256).astype(np.uint8).tobytes()).reshape(shape)
        return numbers(reading["encoding"], data).reshape(shape)

    def overview(self, place: int) -> Array:
        """The overview of a layer, (items, heads, rows, columns)."""
        reading, (items, heads, queries, keys) = self.info["blocks"][f"overview-{place}"], self.shape(place)
        rows, columns = -(-queries // reading["row_step"]), -(-keys // reading["column_step"])
        return numbers(reading["encoding"], self.raw(f"overview-{place}")).reshape(items, heads, rows, columns)

    def vectors(self, place: int) -> dict[str, Array | None]:
        """``query``, ``key``, ``bias`` and ``allowed`` of a layer."""
        reading, data = self.info["blocks"][f"vectors-{place}"], self.raw(f"vectors-{place}")
        items, heads, queries, keys = self.shape(place)
        size = self.info["layers"][place]["vectors"]
        shapes = {
            "query": (items, heads, queries, size["headDim"]),
            "key": (items, size["keyHeads"], keys, size["headDim"]),
            "bias": reading["bias"],
        }
        found: dict[str, Array | None] = {"bias": None, "allowed": None}
        for name, shape in shapes.items():
            if shape is not None:
                length = 2 * int(np.prod(shape))
                low, high = np.frombuffer(data[:length], np.uint8).astype(np.uint16).reshape(2, -1)
                found[name] = (low + 256 * high).view(np.float16).astype(np.float64).reshape(shape)
                data = data[length:]
        if reading["allowed"] is not None:
            count = int(np.prod(reading["allowed"]))
            bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count)
            found["allowed"] = bits.reshape(reading["allowed"]).astype(bool)
            data = data[-(-count // 8) :]
        assert data == b"", "the block is longer than it should be"
        return found

    def _top(self, reading: dict[str, Any], data: bytes, shape: tuple[int, int, int, int]) -> Array:
        rows, k = int(np.prod(shape[:3])), reading["top"]
        planes = {"uint16": 2, "uint32": 4}[reading["index"]]
        steps = np.zeros(rows * k, dtype=np.int64)
        for plane in range(planes):
            part = data[plane * rows * k : (plane + 1) * rows * k]
            steps += np.frombuffer(part, np.uint8).astype(np.int64) << (8 * plane)
        places = steps.reshape(rows, k).cumsum(axis=1)
        values = numbers(reading["values"], data[planes * rows * k :]).reshape(rows, k)
        assert (steps.reshape(rows, k)[values == 0] == 0).all(), "a place without a weight has a difference"
        weights = np.zeros((rows, shape[3]))
        for row in range(rows):
            for place, value in zip(places[row], values[row], strict=True):
                if value != 0:
                    assert weights[row, place] == 0, "a key is held twice"
                    weights[row, place] = value
        return weights.reshape(shape)


def numbers(encoding: str, data: bytes) -> Array:
    """Bytes of ``float16`` or ``log8`` as numbers."""
    if encoding == "float16":
        return np.frombuffer(data, "<f2").astype(np.float64)
    assert encoding == "log8"
    codes = np.frombuffer(data, np.uint8).astype(np.float64)
    return np.where(codes < 2, codes * 2.0**-20, 2 ** ((codes - 255) * 16 / 254))


def decode_page(html: str) -> DecodedPage:
    """The data of a page's script elements."""
    reader = _ScriptReader()
    reader.feed(html)
    texts = reader.texts
    info = json.loads(texts["attncore-trace"])
    return DecodedPage(info, {name.removeprefix("attncore-"): text for name, text in texts.items()})


class _ScriptReader(HTMLParser):
    """The text of each script element that has an id."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = dict(attrs).get("id") if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is not None:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data


def page_in(trace: AttentionTrace, room: int = 16_000_000, *, vectors: bool = False) -> DecodedPage:
    """What can be read from the trace's page of at most ``room`` bytes of data, whose length is checked."""
    payload = payload_of(trace, Start(), room=room, vectors=vectors)
    html, empty = (page_of(one, "", "auto", Viewer("", "")) for one in (payload, Payload({}, ())))
    assert len(html) - len(empty) <= room
    return decode_page(html)
