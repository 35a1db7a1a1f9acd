"""Which of a model's arguments says what of which axis: ids, masks and labels, text beside images or a memory."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_models import DIM, VOCABULARY, Language, Picture, Stack, token_ids

import attncore

IDS = torch.tensor([[3, 4, 5, 6, 7]])
MASK = torch.tensor([[1, 1, 1, 1, 0]])
SPELLED = (("w3", "w4", "w5", "w6", "w7"),)


class Tokenizer:
    """Spells the token of an id, as a Hugging Face tokenizer does."""

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [f"w{number}" for number in ids]


class TextAndPicture(nn.Module):
    """A tower for each; the picture's comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.vision_model, self.text_model = Picture(), Language()

    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        return self.vision_model(pixel_values), self.text_model(input_ids)


def text_and_picture(length: int = 5, **more: Tensor) -> dict[str, Tensor]:
    """Inputs with so many tokens, and a picture of five positions."""
    return {"input_ids": token_ids(1, length), "pixel_values": torch.randn(1, 3, 16, 16), **more}


@pytest.mark.parametrize("length", [5, 7])
def test_a_list_is_for_the_text_beside_a_picture(length: int) -> None:
    """Though the picture is seen first, and even where it has as many positions."""
    labels = tuple("abcdefg"[:length])
    trace = attncore.trace(TextAndPicture(), text_and_picture(length), tokens=list(labels))
    assert list(trace.axes) == ["image", "tokens"]
    assert trace.axes["tokens"].labels == (labels,)
    assert trace.axes["image"].labels == (tuple("01234"),)


def test_a_list_that_does_not_fit_the_text() -> None:
    """The error names the text's axis, all axes with their lengths, and how to say which is meant."""
    said = r'^axis "tokens".* 5 tokens .* 7 positions.*"image" \(5\), "tokens" \(7\).*tokens=\{"tokens": \[\.\.\.\]\}$'
    with pytest.raises(attncore.TokenError, match=said):
        attncore.trace(TextAndPicture(), text_and_picture(7), tokens=list("abcde"))


def test_padding_and_segments_are_of_the_text_beside_a_picture() -> None:
    """A picture of as many positions has neither."""
    inputs = text_and_picture(attention_mask=MASK, token_type_ids=1 - MASK)
    axes = attncore.trace(TextAndPicture(), inputs).axes
    assert axes["tokens"].padding is not None
    assert axes["tokens"].segments is not None
    assert axes["image"].padding is None
    assert axes["image"].segments is None


class Anything(nn.Module):
    """Takes hidden states or ids, beside whatever else is given."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.stack = nn.Embedding(VOCABULARY, DIM), Stack()

    def forward(self, **given: Tensor) -> Tensor:
        x = next((each for each in given.values() if each.is_floating_point()), None)
        return self.stack(self.embedding(list(given.values())[-1]) if x is None else x)


NOT_IDS = [
    "attention_mask",
    "position_ids",
    "token_type_ids",
    "labels",
    "cache_position",
    "encoder_attention_mask",
    "key_padding_mask",
    "mask",
]


@pytest.mark.parametrize("name", NOT_IDS)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_no_ids_is_not_spelled(name: str, first: bool) -> None:
    """A mask, positions and the like beside hidden states are refused as ids, wherever they are."""
    hidden_states = {"inputs_embeds": torch.randn(1, 5, DIM)}
    given = {name: IDS}
    inputs = given | hidden_states if first else hidden_states | given
    with pytest.raises(attncore.TokenError, match="no token ids"):
        attncore.trace(Anything(), inputs, tokens=Tokenizer())


@pytest.mark.parametrize("name", ["x", "ids", "tokens", "idx", "masked_ids", "inputs", "decoder_input_ids"])
@pytest.mark.parametrize("before", [{}, {"attention_mask": MASK}])
def test_ids_of_any_name(name: str, before: dict[str, Tensor]) -> None:
    """The first argument that may hold ids does."""
    trace = attncore.trace(Anything(), {**before, name: IDS}, tokens=Tokenizer())
    assert trace.axes["tokens"].labels == SPELLED


class Named(Anything):
    """Its first argument has a name of its own."""

    def forward(self, words: Tensor, other: Tensor | None = None) -> Tensor:  # type: ignore[override]
        return self.stack(self.embedding(words))


class Unnamed(Anything):
    """Its arguments have no names."""

    def forward(self, *given: Tensor) -> Tensor:  # type: ignore[override]
        return self.stack(self.embedding(given[0]))


class Masked(Anything):
    """Its first argument is a mask."""

    def forward(self, attention_mask: Tensor, words: Tensor) -> Tensor:  # type: ignore[override]
        return self.stack(self.embedding(words))


@pytest.mark.parametrize(
    ("model", "inputs"), [(Named, (IDS, MASK)), (Named, (IDS,)), (Unnamed, (IDS, MASK)), (Masked, (MASK, IDS))]
)
def test_ids_by_position(model: type[nn.Module], inputs: tuple[Tensor, ...]) -> None:
    """The signature says what the arguments are called; where it does not, the first holds the ids."""
    trace = attncore.trace(model(), inputs, tokens=Tokenizer())
    assert trace.axes["tokens"].labels == SPELLED


class Decoding(nn.Module):
    """Self-attention, then attention to a memory, by modules whose names say nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.stack = nn.Embedding(VOCABULARY, DIM), Stack(1)
        self.cross = nn.MultiheadAttention(DIM, 2, batch_first=True)

    def forward(self, input_ids: Tensor, encoder_hidden_states: Tensor, **masks: Tensor) -> Any:
        x = self.stack(self.embedding(input_ids))
        return self.cross(x, encoder_hidden_states, encoder_hidden_states)[0]


@pytest.mark.parametrize("length", [5, 3])
@pytest.mark.parametrize("name", ["encoder_attention_mask", "memory_key_padding_mask"])
@pytest.mark.parametrize("added", [True, False])
def test_the_padding_of_a_memory(length: int, name: str, added: bool) -> None:
    """It is what the mask of the memory says, in any form, and not what the decoder's says."""
    padding = torch.arange(length)[None] > 1
    mask = padding if name.startswith("memory") else ~padding
    given = {name: (padding * -1e9) if added else mask.long(), "attention_mask": MASK, "token_type_ids": 1 - MASK}
    inputs = {"input_ids": IDS, "encoder_hidden_states": torch.randn(1, length, DIM), **given}
    axes = attncore.trace(Decoding(), inputs).axes
    assert axes["tokens"].padding is not None
    assert np.array_equal(axes["tokens"].padding, MASK.numpy() == 0)
    assert axes["memory"].padding is not None
    assert np.array_equal(axes["memory"].padding, padding.numpy())
    assert axes["tokens"].segments is not None
    assert axes["memory"].segments is None


def test_a_memory_without_a_mask() -> None:
    """Has no padding and no segments, though the decoder has both and is as long."""
    given = {"attention_mask": MASK, "token_type_ids": 1 - MASK}
    memory = torch.randn(1, 5, DIM)
    axes = attncore.trace(Decoding(), {"input_ids": IDS, "encoder_hidden_states": memory, **given}).axes
    assert axes["memory"].padding is None
    assert axes["memory"].segments is None


def test_the_padding_of_what_a_bert_decoder_attends_to() -> None:
    """Keys of the memory marked as padding have no weight, and the others have some."""
    transformers: Any = pytest.importorskip("transformers")
    sizes = {"hidden_size": 24, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = transformers.BertConfig(vocab_size=VOCABULARY, is_decoder=True, add_cross_attention=True, **sizes)
    model = transformers.BertLMHeadModel(config).eval()
    real = torch.tensor([[1, 1, 0, 0, 0]])
    inputs = {"input_ids": IDS, "attention_mask": MASK, "encoder_attention_mask": real}
    trace = attncore.trace(model, {**inputs, "encoder_hidden_states": torch.randn(1, 5, 24)})
    cross = next(layer for layer in trace if layer.kind == "cross")
    padding = trace.axes[cross.key_axis].padding
    assert cross.key_axis == "memory"
    assert padding is not None
    assert np.array_equal(padding[0], np.asarray(cross.weights).max((0, 1, 2)) == 0)


def bart() -> Any:
    """A tiny BART with a head for a language."""
    transformers: Any = pytest.importorskip("transformers")
    sizes = {"d_model": 24, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 32}
    special = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, "decoder_start_token_id": 0}
    return transformers.BartModel(transformers.BartConfig(vocab_size=VOCABULARY, **sizes, **heads, **special)).eval()


def test_a_decoders_ids_do_not_label_its_encoder() -> None:
    """An encoder that was given hidden states has no ids, though the decoder's come first and fit."""
    inputs = {"decoder_input_ids": IDS, "inputs_embeds": torch.randn(1, 5, 24)}
    axes = attncore.trace(bart(), inputs, tokens=Tokenizer()).axes
    assert axes["decoder"].labels == SPELLED
    assert axes["encoder"].labels == (tuple("01234"),)


def generated(labels: slice) -> attncore.AttentionTrace:
    """Three tokens after five, with these of the labels of all the ids that the generation returns."""
    transformers: Any = pytest.importorskip("transformers")
    sizes = {"n_embd": 24, "n_layer": 1, "n_head": 4, "n_positions": 32, "vocab_size": VOCABULARY}
    special = {"bos_token_id": 0, "eos_token_id": None, "pad_token_id": 0}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **special)).eval()
    with attncore.capture(model) as session:
        ids = model.generate(IDS, attention_mask=torch.ones_like(IDS), max_new_tokens=3, do_sample=False)
    return session.trace(tokens=Tokenizer().convert_ids_to_tokens(ids[0, labels].tolist()))


def test_labels_of_all_the_ids_that_a_generation_returns() -> None:
    """One too many: the error says which to leave out, and without it the labels fit."""
    with pytest.raises(attncore.TokenError, match=r"8 tokens .* 7 positions.* never a query: .* leave it out"):
        generated(slice(None))
    assert generated(slice(-1)).axes["tokens"].labels[0][:5] == SPELLED[0]
    with pytest.raises(attncore.TokenError) as caught:
        generated(slice(-2))
    assert "never a query" not in str(caught.value)
