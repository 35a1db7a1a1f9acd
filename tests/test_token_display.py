"""Tokens as a reader expects them, from every family of tokenizer."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from attncore.token_display import _BYTES, looks_special, readable

_CHARACTER_OF_BYTE = {byte: character for character, byte in _BYTES.items()}


def byte_level(text: str) -> str:
    """``text`` as GPT-2 and its successors spell it."""
    return "".join(_CHARACTER_OF_BYTE[byte] for byte in text.encode())


@pytest.mark.parametrize(
    ("spelled", "shown"),
    [
        (["play", "##ing"], ["play", "ing"]),
        (["##"], ["##"]),
        (["play", "ing</w>"], ["play", "ing"]),
        (["▁the", "▁", "s"], ["the", "␣", "s"]),
        (["▁▁▁▁if"], ["   if"]),
        (["Ġthe", "Ġ", "s"], ["the", "␣", "s"]),
        (["Ġ", "Ċ", "Ċ"], ["␣", "⏎", "⏎"]),
        (["<0x0A>", "<0x09>", "<0x41>"], ["⏎", "⇥", "A"]),
        (["a\nb", "\t", "\r", " ", ""], ["a⏎b", "⇥", "␍", "␣", "∅"]),
        (["\x1b[31m", "\x00", "\ufffd", "\x7f", "\x85"], ["␛[31m", "␀", "\ufffd", "␡", "‹U+0085›"]),
        (["[CLS]", "[SEP]", "[unused12]"], ["[CLS]", "[SEP]", "[unused12]"]),
        (["<s>", "</s>", "<|endoftext|>", "<pad>"], ["<s>", "</s>", "<|endoftext|>", "<pad>"]),
        (["café", "naïve", "日本", "🙂"], ["café", "naïve", "日本", "🙂"]),
        (["שלום", "مرحبا"], ["שלום", "مرحبا"]),
    ],
)
def test_markers_are_removed_and_the_invisible_is_made_visible(spelled: list[str], shown: list[str]) -> None:
    """Word-piece, end-of-word, sentencepiece and byte-level markers go; spaces and control characters get a sign."""
    assert readable(spelled) == tuple(shown)


@pytest.mark.parametrize("text", ["café", "naïve", "日本語", "🙂", "Ünïcödé", "¬", "l’été"])
def test_byte_level_tokens_are_decoded(text: str) -> None:
    """Text beyond ASCII comes out as written, not as the letters that stand for its bytes."""
    assert readable([byte_level(" start"), byte_level(text), byte_level(f" {text}")]) == ("start", text, text)


def test_a_piece_of_a_character_shows_its_bytes() -> None:
    """An emoji cut in two tokens is neither dropped nor drawn as something else."""
    first, second = byte_level("🙂")[:2], byte_level("🙂")[2:]
    assert readable(["Ġhi", first, second]) == ("hi", "<0xF0><0x9F>", "<0x99><0x82>")


def test_what_is_no_text_in_bytes_keeps_its_letters() -> None:
    """A word of plain letters among byte-level tokens; only pieces of characters at its ends are given in hex."""
    word = "Donaudampfschifffahrtskapitän"
    assert readable(["Ġthe", "Ġcat", word]) == ("the", "cat", word)
    cut = byte_level("日本🙂")[:-2]
    assert readable(["Ġhi", cut, byte_level("🙂 ok")[2:]]) == ("hi", "日本<0xF0><0x9F>", "<0x99><0x82> ok")


def test_plain_words_are_not_taken_for_bytes() -> None:
    """An accent in a vocabulary of words stays, though the same letters mean bytes elsewhere."""
    assert readable(["Ã", "©", "été"]) == ("Ã", "©", "été")


@pytest.mark.parametrize(
    "words", [["Ġorġ", "café", "jiekol", "ħobż"], ["Ġanni", "kiel", "ħobż"], ["Ċensu", "café", "tajjeb"]]
)
def test_words_that_begin_with_a_marker_are_words(words: list[str]) -> None:
    """Maltese has Ġ and Ċ; letters that no byte is spelled with, and bytes that are no text, tell."""
    assert readable(words) == tuple(words)


@pytest.mark.parametrize("added", ["<｜begin▁of▁sentence｜>", "<|endoftext|>", "<s>", "kapitän", "ħobż"])
def test_a_token_that_was_added_leaves_the_others_spelled_in_bytes(added: str) -> None:
    """Vocabularies in bytes have added tokens, which are spelled in letters."""
    assert readable([added, "The", "Ġcat", "Ġsat"]) == (added, "The", "cat", "sat")


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_text_is_shown_in_one_visible_piece_each(tokens: list[str]) -> None:
    """Whatever a tokenizer returns, each token gets a label that is not empty and holds no control character."""
    shown = readable(tokens)
    assert len(shown) == len(tokens)
    for label in shown:
        assert label
        assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in label)


@given(st.text(min_size=1, max_size=8))
def test_byte_level_spelling_is_undone(text: str) -> None:
    """Printable text, spelled in bytes with the space before it, is shown as it was written."""
    assume(text.isprintable() and text.strip() == text and not re.fullmatch(r"<0x[0-9A-Fa-f]{2}>", text))
    assert readable(["Ġx", byte_level(f" {text}")])[1] == text


@pytest.mark.parametrize(
    "token", ["[CLS]", "[MASK]", "<s>", "</S>", "<|im_start|>", "<｜User｜>", "<extra_id_7>", "[unused3]"]
)
def test_special_tokens_are_told_by_their_spelling(token: str) -> None:
    """Where the tokenizer cannot be asked, brackets tell."""
    assert looks_special(token)


@pytest.mark.parametrize("token", ["CLS", "[1]", "<b>", "s", "[see", "<|", ""])
def test_ordinary_tokens_are_not_special(token: str) -> None:
    """Brackets of ordinary text stay ordinary."""
    assert not looks_special(token)
