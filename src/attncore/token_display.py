"""Word-piece and byte-level tokens as a reader expects them; the raw spelling is kept beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"\[[A-Z]+\d*\]|<\|[^|]*\|>|</?s>|<(?:pad|unk|mask|bos|eos|cls|sep|extra_id_\d+)>", re.IGNORECASE)
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# A character has at most four bytes, so that at most three of them stand alone.
_LONGEST_PIECE = 3
_VISIBLE = {"\n": "⏎", "\r": "␍", "\t": "⇥", " ": "␣", "": "∅"}


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
    # Ġ (space) and Ċ (new line) occur in byte-level vocabularies only, and then every token is spelled in bytes.
    byte_level = any(token.startswith(("Ġ", "Ċ")) for token in tokens)
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
    if text in _VISIBLE:
        return _VISIBLE[text]
    return "".join(map(_visible, text))


def _decoded(spelled: str) -> str:
    """The text of a token that is spelled in bytes, if they are UTF-8 but for a piece of a character at either end.

    The bytes of such a piece say more than a replacement sign. Other bytes are no text: a token of plain words that
    happens to stand among byte-level ones keeps its letters.
    """
    data = bytes(_BYTES[character] for character in spelled)
    text = data.decode(errors="surrogateescape")
    inner = text.strip("".join(map(chr, range(0xDC80, 0xDD00))))
    pieces = len(text) - len(inner)
    if any(0xDC80 <= ord(character) < 0xDD00 for character in inner) or (inner and pieces > 2 * _LONGEST_PIECE):
        return spelled
    return "".join(f"<0x{ord(c) - 0xDC00:02X}>" if 0xDC80 <= ord(c) < 0xDD00 else c for c in text)


def _visible(character: str) -> str:
    if character in "\n\r\t":
        return _VISIBLE[character]
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return "␡" if code == 0x7F else chr(0x2400 + code)
    return f"‹U+{code:04X}›" if 0x80 <= code <= 0x9F else character
