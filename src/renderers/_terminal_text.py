"""Text from anywhere made fit for a terminal: nothing that controls it, and exactly as wide as its column."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from rich.cells import cell_len

from attncore.signs import UNSEEN, sign_of

# Emoji joined by U+200D, or given a style by U+FE00 to U+FE0F, are one glyph in some terminals and several in others;
# without these they are as wide everywhere as rich counts them.
_DROPPED = frozenset("\u200c\u200d" + "".join(map(chr, range(0xFE00, 0xFE10))))
_PLAIN = {"\u00a0": " ", "\u00ad": "-"}
# What cannot be seen, and private and unassigned characters, whose width nobody knows.
_REPLACED = UNSEEN | {"Co", "Cn"}
_RIGHT_TO_LEFT = frozenset(("R", "AL", "AN"))
_MOST_COMBINING = 3
LEFT_TO_RIGHT_MARK = "\u200e"


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """``text`` on one line, with no control or format characters and something to see in it."""
    glyphs: list[str] = []
    for character in text:
        shown = _shown(character)
        if not shown:
            continue
        if cell_len(shown) > 0:
            glyphs.append(shown)
        elif not glyphs:
            glyphs.append("◌" + shown)  # a combining mark alone would sit on its neighbour
        elif len(glyphs[-1]) <= _MOST_COMBINING:
            glyphs[-1] += shown
    result = "".join(glyphs)
    if result.strip():
        return result
    if result:
        return "␣" * len(result)
    return "∅" if not text else "".join(f"U+{ord(character):04X}" for character in text)


def _shown(character: str) -> str:
    if character in _DROPPED:
        return ""
    if character in _PLAIN:
        return _PLAIN[character]
    return sign_of(character, "�") if unicodedata.category(character) in _REPLACED else character


def glyphs_of(text: str) -> list[str]:
    """The characters of clean text, each with the combining marks that sit on it."""
    glyphs: list[str] = []
    for character in text:
        if glyphs and cell_len(character) == 0:
            glyphs[-1] += character
        else:
            glyphs.append(character)
    return glyphs


def isolated(text: str) -> str:
    """``text``, with marks around it where it runs right to left, so that its neighbours keep their places."""
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text):
        return LEFT_TO_RIGHT_MARK + text + LEFT_TO_RIGHT_MARK
    return text


def fit(text: str, width: int, *, right: bool = False) -> str:
    """``text`` cleaned, cut with an ellipsis where it is too long, in exactly ``width`` cells."""
    return _fit(text, max(0, width), right)


@lru_cache(maxsize=8192)
def _fit(text: str, width: int, right: bool) -> str:
    shown = clean(text)
    if cell_len(shown) > width:
        shown = _cut(shown, width - 1) + "…" if width else ""
    padding = " " * (width - cell_len(shown))
    return padding + isolated(shown) if right else isolated(shown) + padding


def _cut(text: str, width: int) -> str:
    """As many glyphs from the start as ``width`` cells hold."""
    kept, used = "", 0
    for glyph in glyphs_of(text):
        used += cell_len(glyph)
        if used > width:
            break
        kept += glyph
    return kept


def width_of(text: str) -> int:
    """How many cells ``text`` takes once cleaned."""
    return cell_len(clean(text))


def counted(number: int, noun: str) -> str:
    """Such as ``1 layer`` or ``1,024 layers``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """``text`` cleaned and broken between words into lines of at most ``width`` cells, indented from the second on."""
    lines: list[str] = []
    current = ""
    for word in map(isolated, clean(text).split()):
        room = width - (len(indent) if lines else 0)
        if current and cell_len(f"{current} {word}") <= room:
            current = f"{current} {word}"
            continue
        if current:
            lines.append(current)
        # A word longer than a whole line is broken where the line ends.
        while cell_len(word) > width - len(indent):
            head = _cut(word, width - len(indent))
            lines.append(head)
            word = word[len(head) :]
        current = word
    lines.append(current)
    return [line if place == 0 else indent + line for place, line in enumerate(lines)]
