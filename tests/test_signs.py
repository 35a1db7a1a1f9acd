"""Characters that cannot be seen have the same signs everywhere."""

from __future__ import annotations

import pytest

from attncore.cli_output import say
from attncore.renderers._terminal_text import clean
from attncore.signs import sign_of, visible
from attncore.token_display import readable

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F)]


@pytest.mark.parametrize("character", CONTROLS, ids=lambda one: f"{ord(one):02x}")
def test_a_control_character_has_one_sign(character: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As a label, in the terminal's pictures and in what the command says; there a new line stays one."""
    sign = sign_of(character)
    assert len(sign) == 1
    assert sign.isprintable()
    assert readable([f"a{character}b"]) == (f"a{sign}b",)
    assert clean(f"a{character}b") == f"a{sign}b"
    say(f"a{character}b")
    assert capsys.readouterr().err == (f"a{sign}b\n" if character != "\n" else "a\nb\n")


def test_others_are_their_number_or_what_is_asked_for() -> None:
    """Marks that turn a line, and half of a pair; what joins letters stays."""
    assert visible("a\u202eb\x9bc\ud83d\u200dd") == "a‹U+202E›b‹U+009B›c‹U+D83D›\u200dd"
    assert sign_of("\u202e", "�") == "�"
    assert clean("a\u202eb") == "a�b"
