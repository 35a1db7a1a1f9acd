"""Tokens as text in a figure: never a formula, never overlapping, in a font that has the characters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font

SMALLEST = 5.0  # points; smaller is no longer legible in print
_LINE = 1.25  # the height of a line of text by its font size
_POINTS = 72.0  # in an inch
_MOST = 20  # characters of a token
_PADDING = "0.6"


class MissingGlyphWarning(UserWarning):
    """No installed font has some characters of the tokens; they are drawn as boxes."""


def clean(text: str) -> str:
    """A token on one line, with a sign for what cannot be seen, and not too long."""
    shown = "".join(character if character.isprintable() else "\N{MIDDLE DOT}" for character in text)
    return shown if len(shown) <= _MOST else f"{shown[: _MOST - 1]}…"


def rc(name: str) -> Any:
    """A setting of the style in use; the stubs know the names as literals only."""
    settings: Any = matplotlib.rcParams
    return settings[name]


def font_size(name: str) -> float:
    """A size of the style in points, such as of ``xtick.labelsize``."""
    return float(FontProperties(size=rc(name)).get_size_in_points())


def fitting(count: int, inches: float, largest: float) -> tuple[float, int]:
    """A font size for labels in a row, and of how many labels one is shown: smaller letters first, then fewer."""
    room = inches * _POINTS / max(1, count)
    size = min(largest, room / _LINE)
    if size >= SMALLEST:
        return size, 1
    step = math.ceil(SMALLEST * _LINE / max(room, 1e-9))
    return SMALLEST, _round_step(step)


def _round_step(step: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50 and so on."""
    scale = 1
    while 10 * scale < step:
        scale *= 10
    return next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= step)


def label_axis(axis: Any, labels: Sequence[str], inches: float, *, padding: Sequence[bool], upright: bool) -> None:
    """Put tokens along an axis of an image, as many as are legible; positions where they would say no more.

    Args:
        axis: ``ax.xaxis`` or ``ax.yaxis``.
        labels: one for each position.
        inches: the room there is for all of them.
        padding: which of them are padding, drawn in grey.
        upright: whether the labels stand, along an x axis.
    """
    size, step = fitting(len(labels), inches, font_size("ytick.labelsize"))
    shown = range(0, len(labels), step)
    axis.set_ticks(
        list(shown),
        [clean(labels[place]) for place in shown],
        fontsize=size,
        rotation=90 if upright else 0,
        parse_math=False,
        usetex=False,
        fontfamily=families("".join(labels[place] for place in shown)),
    )
    for place, text in zip(shown, axis.get_ticklabels(), strict=True):
        if padding[place]:
            text.set_color(_PADDING)


def families(text: str) -> list[str]:
    """The style's fonts, and after them others that are installed and have the characters they lack."""
    own = list(matplotlib.rcParams["font.family"])
    missing = _missing(frozenset(character for character in text if ord(character) > 0x7F and character.isprintable()))
    for name, path in _installed():
        if not missing:
            break
        if found := {character for character in missing if _has(path, character)}:
            own.append(name)
            missing -= found
    if missing:
        listed = " ".join(sorted(missing)[:8])
        warnings.warn(
            f"no installed font has {len(missing)} of the characters in the tokens, such as {listed}; they are drawn "
            "as boxes. Install one that has them, such as Noto (Debian: fonts-noto-cjk, fonts-noto-color-emoji)",
            MissingGlyphWarning,
            stacklevel=2,
        )
    return own


@cache
def _missing(characters: frozenset[str]) -> frozenset[str]:
    """Those that the style's first font lacks."""
    path = font_manager.findfont(FontProperties())
    return frozenset(character for character in characters if not _has(path, character))


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    """Name and file of each installed font, the plain ones first."""
    found: dict[str, str] = {}
    for font in font_manager.fontManager.ttflist:
        if font.style == "normal" and str(font.weight) in ("400", "normal", "regular") and font.name != "Last Resort":
            found.setdefault(font.name, font.fname)
    return tuple((name, path) for name, path in found.items() if "Last" not in name)


@cache
def _has(path: str, character: str) -> bool:
    try:
        return bool(_face(path).get_char_index(ord(character)))
    except (OSError, RuntimeError):  # a file that matplotlib's font library cannot read
        return False


@cache
def _face(path: str) -> FT2Font:
    return FT2Font(path)
