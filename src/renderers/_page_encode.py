"""Numbers as the bytes that a self-contained page holds; docs/page-format.md describes them for the reader's side."""

from __future__ import annotations

import base64
import math
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from attncore.arrays import Array, FloatArray

Codes = npt.NDArray[np.uint8]

# log8: 254 steps go through 16 octaves, down from code 255 (1); code 1, the last, stands for all that is smaller but 0.
_STEPS_PER_OCTAVE = 254 / 16
LOG8_SENTENCE = "8-bit logarithmic: each weight within 2.2 %"
"""Half a step is a factor of 2 ** (1 / (2 * _STEPS_PER_OCTAVE)) = 1.022."""

LEAST = float(2 ** ((1.5 - 255) / _STEPS_PER_OCTAVE))
"""Weights below this, where code 2 begins, are known to be small in log8 and no more; they are never among the top."""

_LEAST_HALF = np.float16(2.0**-24)

# Rounding may take a sum of probabilities, and then a probability, just beyond 1.
_MOST = 1.001


@dataclass(frozen=True)
class Block:
    """One array on the page: ``name`` as in the page's format, ``reading`` how to read it, ``text`` its base64."""

    name: str
    text: str
    reading: dict[str, Any] = field(default_factory=dict)


def block_of(name: str, data: bytes, **reading: Any) -> Block:
    """A block with ``data`` compressed."""
    return Block(name, base64.b64encode(deflated(data)).decode("ascii"), reading)


def deflated(data: bytes) -> bytes:
    """``data`` compressed with zlib.

    Codes of weights repeat only as runs of zeros, so runs and Huffman codes (Z_RLE) are all that helps: measured on
    real weights it is 1 to 2 % smaller than level 6, in a third of its time.
    """
    compressor = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    return compressor.compress(data) + compressor.flush()


def text_bytes(deflated_bytes: float) -> float:
    """How long the base64 text of so many bytes is."""
    return 4 * math.ceil(deflated_bytes / 3)


def fits_log8(weights: FloatArray) -> bool:
    """Whether every weight is a number from 0 to 1, as a softmax gives them."""
    # NaN fails both comparisons.
    return bool(weights.size == 0 or (weights.min() >= 0 and weights.max() <= _MOST))


def log8(weights: FloatArray) -> Codes:
    """Logarithmic 8-bit codes of weights that `fits_log8`: ``2 ** ((code - 255) * 16 / 254)``.

    Code 0 is for 0 alone, as where a mask forbids attention, and code 1 for anything between it and `LEAST`.
    """
    codes = np.log2(np.maximum(weights, np.float32(LEAST / 2)), dtype=np.float32)
    codes *= np.float32(_STEPS_PER_OCTAVE)
    codes += np.float32(255)
    np.rint(codes, out=codes)
    np.clip(codes, 1, 255, out=codes)
    codes[weights == 0] = 0
    return codes.astype(np.uint8)


def float16(weights: Array) -> npt.NDArray[np.float16]:
    """Weights as little-endian float16; those beyond its range become infinite, and none but 0 becomes 0."""
    with np.errstate(over="ignore", under="ignore"):
        halves = weights.astype("<f2")
    lost = (halves == 0) & (weights != 0)
    if lost.any():
        halves[lost] = np.copysign(_LEAST_HALF, weights[lost])
    return halves


def coded(values: FloatArray) -> tuple[str, bytes]:
    """The name of the smallest encoding that ``values`` allow, and their bytes in it."""
    if fits_log8(values):
        return "log8", log8(values).tobytes()
    return "float16", float16(values).tobytes()
