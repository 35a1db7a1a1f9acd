"""Tokens as text in a figure: never a formula, never overlapping, in a font that has the characters."""

from __future__ import annotations

import math
import re
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import matplotlib
from matplotlib import font_manager, ft2font
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.textpath import TextToPath

SMALLEST = 5.0  # points; smaller is no longer legible in print
_LINE = 1.25  # the height of a line of text by its font size
_POINTS = 72.0  # in an inch
_MOST = 20  # characters of a token
_PADDING = "0.6"
# Han characters look different in each country; what else is written tells which one.
_LANGUAGES = (("HIRAGANA", "JP"), ("KATAKANA", "JP"), ("HANGUL", "KR"))
_SHAPES = getattr(ft2font, "__libraqm_version__", None) is not None
_MEASURED = 8  # of the labels with the most characters, since letters differ in width


class MissingGlyphWarning(UserWarning):
    """No installed font has some characters of the tokens; they are drawn as boxes."""


class ShapingWarning(UserWarning):
    """This matplotlib cannot join or order the letters of some tokens."""


def clean(text: str, most: int = _MOST) -> str:
    """A token on one line, with a sign for what cannot be seen, and not too long."""
    shown = "".join(character if character.isprintable() else "\N{MIDDLE DOT}" for character in text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def rc(name: str) -> Any:
    """A setting of the style in use; the stubs know the names as literals only."""
    settings: Any = matplotlib.rcParams
    return settings[name]


def font_size(name: str) -> float:
    """A size of the style in points, such as of ``xtick.labelsize``."""
    return float(FontProperties(size=rc(name)).get_size_in_points())


def text_width(text: str, size: float, fonts: Sequence[str] | None = None) -> float:
    """How many inches a line of text takes."""
    properties = FontProperties(family=None if fonts is None else list(fonts), size=size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        width, _, _ = TextToPath().get_text_width_height_descent(text, properties, ismath=False)
    return float(width) / _POINTS


def widest(labels: Iterable[str], size: float, fonts: Sequence[str] | None = None) -> float:
    """Inches of the widest label, of those that have the most characters."""
    longest = sorted(set(labels), key=len)[-_MEASURED:]
    return max((text_width(label, size, fonts) for label in longest), default=0.0)


def wrapped(text: str, inches: float, size: float, fonts: Sequence[str]) -> str:
    """The text with line breaks between words where a line would be wider than this, in lines of about one length."""
    return "\n".join(_broken(line, inches, size, fonts) for line in text.split("\n"))


def _broken(text: str, inches: float, size: float, fonts: Sequence[str]) -> str:
    best = _break(text, inches, size, fonts)
    for part in (0.9, 0.8, 0.7, 0.6) if "\n" in best else ():
        narrower = _break(text, part * inches, size, fonts)
        if narrower.count("\n") > best.count("\n"):
            break
        best = narrower
    return best


def _break(text: str, inches: float, size: float, fonts: Sequence[str]) -> str:
    """As many words to a line as fit."""
    first, *words = text.split(" ")
    lines = [first]
    for word in words:
        if text_width(longer := f"{lines[-1]} {word}", size, fonts) <= inches:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def fitting(
    count: int, inches: float, largest: float, extent: float = _LINE, smallest: float = SMALLEST
) -> tuple[float, int]:
    """A font size for labels in a row, and of how many labels one is shown: smaller letters first, then fewer.

    Args:
        count: how many labels.
        inches: the room for all of them.
        largest: the font size if there is room enough.
        extent: what a label takes of the row, by its font size; the height of a line unless letters lie along the row.
        smallest: the font size below which labels become fewer.
    """
    room = inches * _POINTS / max(1, count)
    size = min(largest, room / extent)
    smallest = min(smallest, largest)
    if size >= smallest:
        return size, 1
    return smallest, _round_step(math.ceil(smallest * extent / max(room, 1e-9)))


def fitting_numbers(numbers: Sequence[int], inches: float, *, upright: bool = False) -> tuple[float, int]:
    """The same for numbers, which a reader can do with fewer of, side by side or (upright) one above the other."""
    extent = _LINE if upright else widest(map(str, numbers), _POINTS) + 0.5  # the widest in letters of an inch
    largest = font_size("ytick.labelsize" if upright else "xtick.labelsize")
    return fitting(len(numbers), inches, largest, extent, max(SMALLEST, 0.8 * largest))


def _round_step(step: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50 and so on."""
    scale = 1
    while 10 * scale < step:
        scale *= 10
    return next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= step)


def label_axis(axis: Any, labels: Sequence[str], inches: float, *, padding: Sequence[bool], upright: bool) -> None:
    """Put tokens along an axis of an image, as many as are legible.

    Args:
        axis: ``ax.xaxis`` or ``ax.yaxis``.
        labels: one for each position.
        inches: the room there is for all of them.
        padding: which of them are padding, drawn in grey.
        upright: whether the labels stand, along an x axis.
    """
    size, step = fitting(len(labels), inches, font_size("ytick.labelsize"))
    shown = range(0, len(labels), step)
    texts = [clean(labels[place]) for place in shown]
    axis.set_ticks(
        list(shown),
        texts,
        fontsize=size,
        rotation=90 if upright else 0,
        parse_math=False,
        usetex=False,
        fontfamily=families("".join(texts)),
    )
    for place, text in zip(shown, axis.get_ticklabels(), strict=True):
        if padding[place]:
            text.set_color(_PADDING)


def families(text: str) -> list[str]:
    """The style's fonts, and after them others that are installed and have the characters they lack."""
    own = list(matplotlib.rcParams["font.family"])
    _, missing = _lacking(text)
    while missing and (found := _best_for(missing)):
        own.append(found[0])
        missing = {character for character in missing if not _has(found[1], character)}
    return own


def _lacking(text: str) -> tuple[str, set[str]]:
    """The file of the style's first font, and the characters that it has not."""
    path = str(font_manager.findfont(FontProperties()))
    needed = {character for character in text if ord(character) > 0x7F and character.isprintable()}
    return path, {character for character in needed if not _has(path, character)}


def say_what_is_drawn_wrong(text: str) -> None:
    """Warn of characters that no font has, and of those that this matplotlib cannot put together."""
    _, lacking = _lacking(text)
    if missing := {each for each in lacking if not any(_has(path, each) for _, path in _installed())}:
        listed = " ".join(sorted(missing)[:8])
        warnings.warn(
            f"no installed font has {len(missing)} of the characters in the picture, such as {listed}; they are drawn "
            "as boxes. Install one that has them as outlines, such as Noto Sans (Debian: fonts-noto-core, "
            "fonts-noto-cjk) or for emoji Symbola (fonts-symbola): matplotlib cannot draw fonts in colour",
            MissingGlyphWarning,
            stacklevel=3,
        )
    if not _SHAPES and any(_needs_shaping(character) for character in text):
        warnings.warn(
            f"matplotlib {matplotlib.__version__} draws Arabic, Hebrew and Indic letters apart and from the left, "
            "which is wrong; 3.11 and newer join and order them: pip install --upgrade matplotlib",
            ShapingWarning,
            stacklevel=3,
        )


def _needs_shaping(character: str) -> bool:
    """Whether it is written from the right, or of a script of India, whose letters join."""
    return unicodedata.bidirectional(character) in ("R", "AL") or 0x0900 <= ord(character) <= 0x0DFF


def _best_for(characters: set[str]) -> tuple[str, str] | None:
    """Name and file of the font with the most of them; of fonts for several countries, the one of the language."""
    names = [unicodedata.name(character, "") for character in characters]
    language = next((code for word, code in _LANGUAGES if any(name.startswith(word) for name in names)), "SC")

    def rank(font: tuple[str, str]) -> tuple[int, bool, bool]:
        have = sum(_has(font[1], character) for character in characters)
        return have, not re.search("Mono|Serif", font[0]), font[0].endswith(language)

    best = max(_installed(), key=rank, default=None)
    return best if best and rank(best)[0] else None


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    """Name and file of each installed font of plain letters."""
    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):  # installed after matplotlib wrote down its list
        with suppress(Exception):  # whatever is wrong with a font, it is no font to use
            font_manager.fontManager.addfont(path)
    found: dict[str, str] = {}
    for font in font_manager.fontManager.ttflist:
        if font.style == "normal" and str(font.weight) in ("400", "normal", "regular") and "Last" not in font.name:
            found.setdefault(font.name, font.fname)
    return tuple(found.items())


@cache
def _has(path: str, character: str) -> bool:
    try:
        return bool(_face(path).get_char_index(ord(character)))
    except (OSError, RuntimeError):  # a file that matplotlib's font library cannot read
        return False


@cache
def _face(path: str) -> FT2Font:
    return FT2Font(path)
