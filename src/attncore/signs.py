"""Signs for characters that cannot be seen and may control a terminal: names and tokens come from anybody."""

from __future__ import annotations

import unicodedata

# Control and format characters (these can turn the direction of a line), surrogates, and separators of lines.
UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
# Part of words and of emoji.
_JOINERS = "\u200c\u200d"
_SIGNS = {"\n": "⏎", "\r": "␍", "\t": "⇥", "\x7f": "␡", "\u2028": "⏎", "\u2029": "⏎"}


def sign_of(character: str, other: str | None = None) -> str:
    """The sign for a character that cannot be seen, such as ``⏎`` for a new line and ``␛`` for escape.

    One that has no sign is ``other``, or where that is None its number: ``‹U+202E›``.
    """
    code = ord(character)
    if character in _SIGNS:
        return _SIGNS[character]
    if code < 0x20:
        return chr(0x2400 + code)  # pictures of the control characters, in their order
    return f"‹U+{code:04X}›" if other is None else other


def visible(text: str) -> str:
    """``text``, in its lines, with a sign for every other character that cannot be seen."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character == "\n" or character in _JOINERS or unicodedata.category(character) not in UNSEEN:
        return character
    return sign_of(character)
