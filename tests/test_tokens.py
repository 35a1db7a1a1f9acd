"""From ``tokens=`` to labels: every kind of tokenizer, every shape of list, and errors that name both numbers."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from attncore import TokenAxis, TokenError
from attncore.tokens import AxisFacts, is_tokenizer, label_axes

VOCABULARY = {1: "[CLS]", 2: "the", 3: "##s", 4: "cat", 5: "[SEP]"}
IDS = np.array([[1, 2, 4, 3, 5], [1, 4, 5, 99, 99]])


class HuggingFaceLike:
    """As `transformers` tokenizers look."""

    all_special_ids = (1, 5)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str | None]:
        return [VOCABULARY.get(number) for number in ids]

    def __call__(self, text: str) -> None:
        raise AssertionError("a tokenizer must be asked for tokens, not called")


class TokenizersLike:
    """As `tokenizers.Tokenizer` looks."""

    def id_to_token(self, number: int) -> str | None:
        return VOCABULARY.get(number)


class SentencePieceLike:
    """As a sentencepiece processor looks."""

    def id_to_piece(self, number: int) -> str | None:
        return VOCABULARY.get(number)


class TiktokenLike:
    """As a tiktoken encoding looks; it raises for ids it does not know."""

    def decode_single_token_bytes(self, number: int) -> bytes:
        return VOCABULARY.get(number, "<99>").encode()


def spelled_by_function(ids: list[int]) -> list[str | None]:
    """A user's own function."""
    return [VOCABULARY.get(number) for number in ids]


TOKENIZERS = [HuggingFaceLike(), TokenizersLike(), SentencePieceLike(), TiktokenLike(), spelled_by_function]


def one_axis(batch: int = 2, length: int = 5, name: str = "tokens") -> dict[str, TokenAxis]:
    """The axes of an ordinary trace."""
    return {name: TokenAxis.of_positions(name, batch, length)}


def labelled(tokens: Any, *, batch: int = 2, **facts: Any) -> TokenAxis:
    """The axis "tokens" after labelling."""
    return label_axes(one_axis(batch), tokens, {"tokens": AxisFacts(**facts)})["tokens"]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: type(tokenizer).__name__)
def test_any_tokenizer_spells_the_ids(tokenizer: Any) -> None:
    """Each way of asking for tokens gives the same labels, and an unknown id is shown as its number."""
    axis = labelled(tokenizer, ids=IDS)
    assert axis.raw[0] == ("[CLS]", "the", "cat", "##s", "[SEP]")
    assert axis.labels[0] == ("[CLS]", "the", "cat", "s", "[SEP]")
    assert axis.raw[1] == ("[CLS]", "cat", "[SEP]", "<99>", "<99>")
    assert axis.kind == "text"
    assert axis.special is not None
    assert axis.special.tolist() == [[True, False, False, False, True], [True, False, True, False, False]]


def test_a_real_tokenizer_spells_the_ids() -> None:
    """The `tokenizers` library's own class is recognised."""
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[CLS]": 0, "the": 1, "cat": 2}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[CLS]"))
    assert is_tokenizer(tokenizer)
    axis = label_axes(one_axis(1, 3), tokenizer, {"tokens": AxisFacts(ids=np.array([[0, 1, 2]]))})["tokens"]
    assert axis.labels == (("[CLS]", "the", "cat"),)


def test_a_real_transformers_tokenizer_spells_the_ids() -> None:
    """A fast tokenizer of `transformers` is asked for its tokens and its special ids."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<go>": 0, "the": 1}, unk_token="<go>"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<go>")
    axis = label_axes(one_axis(1, 2), tokenizer, {"tokens": AxisFacts(ids=np.array([[0, 1]]))})["tokens"]
    assert axis.labels == (("<go>", "the"),)
    assert axis.special is not None
    assert axis.special.tolist() == [[True, False]]


@pytest.mark.parametrize("tokens", [list("abcde"), tuple("abcde"), np.array(list("abcde")), [list("abcde")]])
def test_one_list_labels_a_batch_of_one(tokens: Any) -> None:
    """A list, tuple or numpy array of strings, or a list of one list."""
    assert labelled(tokens, batch=1).labels == (tuple("abcde"),)


def test_one_list_a_batch_item() -> None:
    """Each batch item has labels of its own."""
    assert labelled([list("abcde"), list("fghij")]).labels == (tuple("abcde"), tuple("fghij"))


def test_without_tokens_positions_keep_their_numbers_and_facts() -> None:
    """What the backend learned of padding, segments, kind, grid and steps is on the axis in any case."""
    padding = np.array([[False] * 5, [False] * 3 + [True] * 2])
    segments = np.zeros((2, 5), dtype=np.int64)
    axis = labelled(None, padding=padding, segments=segments, kind="patch", grid=(2, 2), steps=np.arange(5))
    assert axis.labels[0] == tuple("01234")
    assert axis.padding is padding
    assert axis.segments is segments
    assert (axis.kind, axis.grid) == ("patch", (2, 2))
    assert axis.steps is not None


@pytest.mark.parametrize(
    ("tokens", "batch", "said"),
    [
        (list("abcd"), 1, r'axis "tokens", batch item 0: 4 tokens were given and the axis has 5 positions'),
        ([list("abcde"), list("abc")], 2, r"batch item 1: 3 tokens .* 5 positions"),
        ([list("abcde")], 2, r'axis "tokens" has a batch of 2 and labels for 1 item\(s\)'),
        (list("abcde"), 2, r"has a batch of 2 and labels for 1 item\(s\) were given; give a list of labels for each"),
        ([list("abcde")] * 3, 2, r"has a batch of 2 and labels for 3"),
        ("abcde", 1, r"must be a list of strings.* a str was given"),
        (7, 1, r"must be a list of strings.* a int was given"),
        ([1, 2, 3, 4, 5], 1, r'axis "tokens": tokens holds 1 \(int\) and labels must be strings; .*give the tokenizer'),
        ([7, 8], 2, r"tokens holds 7 \(int\)"),
        ([["a", "b", "c", "d", 5]], 1, r"tokens holds 5 \(int\) and labels must be strings"),
        (["abcde", ["a"]], 2, r"batch item 0: 'abcde' was given for a list of labels"),
        (SimpleNamespace(shape=(1, 5)), 1, r"SimpleNamespace was given; to have token ids turned into text, give the"),
        ({"input_ids": [[1]]}, 1, r'names the axis "input_ids"; .* in place of the model.s inputs, give the tokenizer'),
        ([], 1, r'axis "tokens".*5 positions'),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_both_numbers(tokens: Any, batch: int, said: str) -> None:
    """A wrong count, a wrong batch or a wrong type names the axis, what was given and what is needed."""
    with pytest.raises(TokenError, match=said):
        labelled(tokens, batch=batch)


def test_a_mapping_labels_axes_by_name() -> None:
    """Encoder and decoder get labels of their own; an axis that does not exist is met with the nearest name."""
    axes = {**one_axis(1, 2, "encoder"), **one_axis(1, 3, "decoder")}
    labels = label_axes(axes, {"encoder": ["a", "b"], "decoder": [["x", "y", "z"]]})
    assert labels["encoder"].labels == (("a", "b"),)
    assert labels["decoder"].labels == (("x", "y", "z"),)
    partly = label_axes(axes, {"decoder": ["x", "y", "z"]})
    assert partly["encoder"].labels == (("0", "1"),)
    with pytest.raises(TokenError, match=r'axis "encodr" \(did you mean "encoder"\?\); this trace has'):
        label_axes(axes, {"encodr": ["a", "b"]})


def test_a_bare_list_for_two_streams_is_refused() -> None:
    """With an encoder and a decoder it must be said whose labels they are."""
    axes = {**one_axis(1, 2, "encoder"), **one_axis(1, 3, "decoder")}
    with pytest.raises(TokenError, match=r'"encoder" \(2\), "decoder" \(3\); give tokens as a mapping'):
        label_axes(axes, ["a", "b"])


def test_one_tokenizer_labels_every_axis_whose_ids_are_known() -> None:
    """An encoder-decoder model with one vocabulary needs one tokenizer."""
    axes = {**one_axis(1, 2, "encoder"), **one_axis(1, 3, "decoder"), **one_axis(1, 4, "image")}
    facts = {"encoder": AxisFacts(ids=np.array([[1, 2]])), "decoder": AxisFacts(ids=np.array([[4, 4, 5]]))}
    labels = label_axes(axes, HuggingFaceLike(), facts)
    assert labels["encoder"].labels == (("[CLS]", "the"),)
    assert labels["decoder"].labels == (("cat", "cat", "[SEP]"),)
    assert labels["image"].kind == "position"


def test_a_tokenizer_without_ids_is_refused() -> None:
    """A model that was given embeddings shows no ids; the message says to give the labels."""
    with pytest.raises(TokenError, match=r'no token ids that fit an axis \("tokens" \(5\)\); give the labels'):
        label_axes(one_axis(), HuggingFaceLike())
    with pytest.raises(TokenError, match=r'axis "tokens": a tokenizer was given, but the model was given no ids'):
        label_axes(one_axis(), {"tokens": HuggingFaceLike()})


def test_a_function_that_returns_another_number_of_labels_is_refused() -> None:
    """The user's function must return one label an id."""

    def short(ids: Iterable[int]) -> list[str]:
        return ["x"]

    with pytest.raises(TokenError, match=r"returned 1 labels for 5 ids"):
        labelled(short, ids=IDS)


def test_what_counts_as_a_tokenizer() -> None:
    """Lists and mappings are labels, not tokenizers."""
    assert all(is_tokenizer(tokenizer) for tokenizer in TOKENIZERS)
    assert not any(is_tokenizer(labels) for labels in (["a"], ("a",), {"tokens": ["a"]}, np.array(["a"]), None, "a"))


def vision_and_text(length: int = 3) -> tuple[dict[str, TokenAxis], dict[str, AxisFacts]]:
    """Axes with the picture's first, and facts of both."""
    axes = {**one_axis(1, 2, "image"), **one_axis(1, length), **one_axis(1, 4, "tokens_2")}
    facts = {"image": AxisFacts(kind="patch"), "tokens_2": AxisFacts(ids=np.array([[1, 2, 4, 5]]))}
    return axes, facts


def test_a_bare_list_is_for_the_axis_with_ids() -> None:
    """Where the ids of none are known, it is for the first that is not of patches; else for the first."""
    axes, facts = vision_and_text()
    assert label_axes(axes, list("abcd"), facts)["tokens_2"].labels == (tuple("abcd"),)
    without_ids = {"image": facts["image"]}
    assert label_axes(axes, list("abc"), without_ids)["tokens"].labels == (tuple("abc"),)
    assert label_axes(one_axis(1, 2, "image"), ["a", "b"], without_ids)["image"].labels == (("a", "b"),)


def test_a_bare_list_is_not_for_a_part_of_the_positions() -> None:
    """The queries beside a cache have ids; a list is for all positions."""
    axes = {**one_axis(1, 4), **one_axis(1, 2, "tokens_queries")}
    labels = label_axes(axes, list("abcd"), {"tokens_queries": AxisFacts(ids=np.array([[1, 2]]))})
    assert labels["tokens"].labels == (tuple("abcd"),)


def test_a_bare_list_that_does_not_fit_one_of_several_axes() -> None:
    """The error has all axes with their lengths and the mapping to give; with one axis, there is no choice."""
    axes, facts = vision_and_text()
    choice = r'"image" \(2\), "tokens" \(3\), "tokens_2" \(4\); give tokens as a mapping, .*\{"tokens_2": \[\.\.\.\]\}'
    for tokens in (["a", "b"], [list("abcd")] * 2):
        with pytest.raises(TokenError, match=choice):
            label_axes(axes, tokens, facts)
    with pytest.raises(TokenError) as caught:
        labelled(["a", "b"], batch=1)
    assert "mapping" not in str(caught.value)
    with pytest.raises(TokenError, match=r'"tokens_7" \(1\), …; give'):
        label_axes({f"tokens_{number}": one_axis(1, 1)["tokens"] for number in range(9)}, ["a", "b"])


@pytest.mark.parametrize(
    ("steps", "given", "said"), [([0, 0, 1], 4, True), ([0, 0, 1], 5, False), ([0, 0, 0], 4, False)]
)
def test_one_label_too_many_for_a_generation(steps: list[int], given: int, said: bool) -> None:
    """The error says that the last token written is no query, where there were steps and just one is too many."""
    with pytest.raises(TokenError) as caught:
        label_axes(one_axis(1, 3), ["a"] * given, {"tokens": AxisFacts(steps=np.array(steps))})
    assert ("leave it out" in str(caught.value)) == said


class Processor:
    """As a processor of `transformers` for text and images looks."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def __call__(self, images: Any) -> None:
        raise AssertionError("a processor must not be given ids")


def test_the_tokenizer_of_a_processor_spells_the_ids() -> None:
    """By itself and in a mapping; what has a tokenizer beside its own methods is asked itself."""
    for tokens in (Processor(HuggingFaceLike()), {"tokens": Processor(HuggingFaceLike())}):
        axis = label_axes(one_axis(), tokens, {"tokens": AxisFacts(ids=IDS)})["tokens"]
        assert axis.labels[0] == ("[CLS]", "the", "cat", "s", "[SEP]")
        assert axis.special is not None
        assert axis.special[0].tolist() == [True, False, False, False, True]
    itself = HuggingFaceLike()
    itself.tokenizer = Processor(None)  # type: ignore[attr-defined]
    assert labelled(itself, ids=IDS).labels[0][0] == "[CLS]"
