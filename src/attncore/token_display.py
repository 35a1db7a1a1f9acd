"""Word-piece and byte-level tokens as a reader expects them; the raw spelling is kept beside it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from attncore.signs import sign_of

_SPECIAL = re.compile(
    r"\[[A-Z]+\d*\]|<\|[^|]*\|>|<｜[^｜]*｜>|</?s>|<(?:pad|unk|mask|bos|eos|cls|sep|extra_id_\d+)>", re.IGNORECASE
)
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# A character has at most four bytes, so that at most three of them stand alone.
_LONGEST_PIECE = 3
_STRAY = "".join(map(chr, range(0xDC80, 0xDD00)))  # what Python makes of bytes that are no UTF-8
_EMPTY = {" ": "␣", "": "∅"}


def _byte_of_character() -> dict[str, int]:
    """GPT-2's spelling of bytes as printable characters: printable Latin-1 as itself, the rest from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in printable]
    table.update({chr(0x100 + place): byte for place, byte in enumerate(others)})
    return table


_BYTES = _byte_of_character()


def looks_special(token: str) -> bool:
    """Whether a token is spelled like ``[CLS]``, ``<s>`` or ``<|endoftext|>``."""
    return _SPECIAL.fullmatch(token) is not None


def readable(tokens: Sequence[str]) -> tuple[str, ...]:
    """Each token without its markers: ``##ing`` and ``ing</w>`` as ``ing``, ``Ġthe`` and ``▁the`` as ``the``.

    Bytes are decoded where they make up text, and characters that cannot be seen get a sign: ``⏎`` for a new line.
    """
    byte_level = _are_bytes([token for token in tokens if not looks_special(token)])
    return tuple(_readable(token, byte_level) for token in tokens)


def _readable(token: str, byte_level: bool) -> str:
    if looks_special(token):
        return token
    text = token
    if byte_level and all(character in _BYTES for character in text):
        text = _decoded(text)
        text = text[1:] if text.startswith(" ") and len(text) > 1 else text
    elif text.startswith("##") and len(text) > 2:
        text = text[2:]
    elif text.endswith("</w>"):
        text = text[: -len("</w>")]
    elif text.startswith("▁"):
        text = text[1:].replace("▁", " ") or " "
    byte = _BYTE.fullmatch(text)
    if byte and int(byte.group(1), 16) < 0x80:
        text = chr(int(byte.group(1), 16))
    return _EMPTY[text] if text in _EMPTY else "".join(map(_visible, text))


def _are_bytes(tokens: Sequence[str]) -> bool:
    """Whether tokens are spelled in bytes: more speaks for it than against it.

    For it are a Ġ (space) or Ċ (new line) at the beginning, without which nothing is decoded, and text beyond ASCII
    that comes out; but Maltese words begin with them too. Against it are characters that stand for no byte, and bytes
    that are no text, which a few tokens that were added to a byte-level vocabulary may have.
    """
    marks = sum(token.startswith(("Ġ", "Ċ")) for token in tokens)
    if not marks:
        return False
    spelled = [token for token in tokens if all(character in _BYTES for character in token)]
    text = bytes(_BYTES[character] for token in spelled for character in token).decode(errors="surrogateescape")
    text = text.strip(_STRAY)  # tokens may begin or end within a character
    wrong = sum(
        character in _STRAY or (character < " " and character not in "\t\n\r") or character == "\x7f"
        for character in text
    )
    beyond = sum(character > "\x7f" and character not in _STRAY for character in text)
    return marks + beyond > wrong + len(tokens) - len(spelled)


def _decoded(spelled: str) -> str:
    """The text of a token that is spelled in bytes, if they are UTF-8 but for a piece of a character at either end.

    The bytes of such a piece say more than a replacement sign. Other bytes are no text: a token of plain words that
    happens to stand among byte-level ones keeps its letters.
    """
    data = bytes(_BYTES[character] for character in spelled)
    text = data.decode(errors="surrogateescape")
    inner = text.strip(_STRAY)
    pieces = len(text) - len(inner)
    if any(character in _STRAY for character in inner) or (inner and pieces > 2 * _LONGEST_PIECE):
        return spelled
    return "".join(f"<0x{ord(c) - 0xDC00:02X}>" if c in _STRAY else c for c in text)


def _visible(character: str) -> str:
    return sign_of(character) if unicodedata.category(character) == "Cc" else character
