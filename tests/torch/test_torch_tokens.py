"""Labels, padding, segments and patches: what a trace says about the positions."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch_models import LENGTH, Language, Picture, Stack, hidden, token_ids

import attncore


class Tokenizer:
    """Spells the token of an id, as a Hugging Face tokenizer does."""

    all_special_ids = (0, 1)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [f"w{number}" for number in ids]


def words(*rows: int) -> list[str]:
    """Labels for one row of ids."""
    return [f"w{number}" for number in rows]


@pytest.mark.parametrize("by", ["keyword", "position"])
def test_a_tokenizer(by: str) -> None:
    """The ids that the model was given are spelled by the tokenizer, whichever way they were given."""
    ids = torch.tensor([[0, 5, 7, 1], [0, 9, 1, 3]])
    inputs: Any = {"input_ids": ids} if by == "keyword" else ids
    trace = attncore.trace(Language(), inputs, tokens=Tokenizer())
    axis = trace.axes[trace[0].key_axis]
    assert axis.raw == (tuple(words(0, 5, 7, 1)), tuple(words(0, 9, 1, 3)))
    assert axis.kind == "text"
    assert axis.special is not None
    assert axis.special.tolist() == [[True, False, False, True], [True, False, True, False]]


def test_a_tokenizer_without_ids() -> None:
    """The error says that there were no ids and to give labels."""
    with pytest.raises(attncore.TokenError, match="no token ids"):
        attncore.trace(Stack(), hidden(), tokens=Tokenizer())


def test_without_tokens() -> None:
    """Positions are numbered."""
    trace = attncore.trace(Language(), token_ids())
    axis = trace.axes[trace[0].query_axis]
    assert axis.labels == (tuple(map(str, range(LENGTH))),) * 2
    assert trace[0].query_axis == trace[0].key_axis


def test_a_list() -> None:
    """A list of labels is for a batch of one."""
    trace = attncore.trace(Language(), token_ids(batch=1, length=3), tokens=["the", "cat", "sat"])
    assert trace.axes[trace[0].key_axis].labels == (("the", "cat", "sat"),)


def test_a_list_for_each_item() -> None:
    """A batch of two has two lists."""
    trace = attncore.trace(Language(), token_ids(length=2), tokens=[["a", "b"], ["c", "d"]])
    assert trace.axes[trace[0].key_axis].labels == (("a", "b"), ("c", "d"))


def test_labels_given_later() -> None:
    """A session takes the labels when the trace is asked for, more than once if need be."""
    model, ids = Language(), token_ids(batch=1, length=2)
    with attncore.capture(model) as session:
        model(ids)
    for labels in (["a", "b"], ["c", "d"]):
        trace = session.trace(tokens=labels)
        assert trace.axes[trace[0].key_axis].labels == (tuple(labels),)


def test_a_wrong_number_of_labels() -> None:
    """The error names the axis and both numbers."""
    with pytest.raises(attncore.TokenError) as caught:
        attncore.trace(Language(), token_ids(batch=1), tokens=["only", "three", "labels"])
    for part in ("tokens", "3", str(LENGTH)):
        assert part in str(caught.value)


def test_a_wrong_number_of_lists() -> None:
    """The error names the axis and both numbers."""
    with pytest.raises(attncore.TokenError, match=r'"tokens".* 2 .*3'):
        attncore.trace(Language(), token_ids(length=1), tokens=[["a"], ["b"], ["c"]])


def test_an_axis_that_does_not_exist() -> None:
    """The error lists the axes."""
    with pytest.raises(attncore.TokenError, match=r"'tokens'"):
        attncore.trace(Language(), token_ids(batch=1), tokens={"token": ["a"] * LENGTH})


def bert() -> Any:
    """A tiny BERT."""
    transformers: Any = pytest.importorskip("transformers")
    sizes = {"hidden_size": 24, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
    return transformers.BertModel(transformers.BertConfig(vocab_size=20, **sizes)).eval()


def test_padding_from_an_attention_mask() -> None:
    """Padded positions are marked, and no weight falls on them."""
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
    trace = attncore.trace(bert(), {"input_ids": token_ids(), "attention_mask": mask}, tokens=Tokenizer())
    axis = trace.axes[trace[0].key_axis]
    assert axis.padding is not None
    assert np.array_equal(axis.padding, mask.numpy() == 0)
    assert np.asarray(trace[1].weights)[1, :, :, 4:].max() == 0


def test_a_mask_without_padding() -> None:
    """A mask of ones says nothing, and nothing is marked."""
    trace = attncore.trace(bert(), {"input_ids": token_ids(), "attention_mask": torch.ones(2, LENGTH)})
    axis = trace.axes[trace[0].key_axis]
    assert axis.padding is None or not axis.padding.any()


class Masked(nn.Module):
    """One attention under a mask, in any of the forms that models take."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(batch, length, 8)."""
        x = self.embedding(input_ids)
        mask = attention_mask.bool() if attention_mask.dtype == torch.int64 else attention_mask
        mask = mask if mask.shape[0] == LENGTH else mask[:, None]
        return nn.functional.scaled_dot_product_attention(x, x, x, attn_mask=mask)


REAL = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])


@pytest.mark.parametrize(
    "mask", [REAL, REAL.bool(), REAL.float().log(), (REAL - 1) * 1e9, (REAL - 1) * -torch.finfo(torch.float32).min]
)
def test_padding_from_masks_of_all_forms(mask: torch.Tensor) -> None:
    """Ones and zeros, and what is added to the scores, say the same."""
    trace = attncore.trace(Masked(), {"input_ids": token_ids(), "attention_mask": mask})
    padding = trace.axes[trace[0].key_axis].padding
    assert padding is not None
    assert np.array_equal(padding, REAL.numpy() == 0)


def test_an_added_mask_without_padding() -> None:
    """Zeros that are added to the scores hide nothing."""
    trace = attncore.trace(Masked(), {"input_ids": token_ids(), "attention_mask": torch.zeros(2, LENGTH)})
    assert trace.axes[trace[0].key_axis].padding is None


def test_a_causal_mask_as_large_as_the_batch() -> None:
    """A mask of (query, key) is not taken for one of (batch, key), though both have one shape."""
    ids, mask = torch.arange(LENGTH * LENGTH).view(LENGTH, LENGTH) % 20, torch.ones(LENGTH, LENGTH).tril()
    trace = attncore.trace(Masked(), {"input_ids": ids, "attention_mask": mask.long()})
    assert trace.axes[trace[0].key_axis].padding is None


def test_segments() -> None:
    """Sentence A is 0 and B is 1."""
    segments = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1]])
    trace = attncore.trace(bert(), {"input_ids": token_ids(), "token_type_ids": segments})
    axis = trace.axes[trace[0].key_axis]
    assert axis.segments is not None
    assert np.array_equal(axis.segments, segments.numpy())


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("floats", [True, False])
def test_padding_from_a_key_padding_mask(train: bool, floats: bool) -> None:
    """PyTorch's own masks are true, or minus infinity, where there is padding."""
    layer = nn.TransformerEncoderLayer(24, 4, 24, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).train(train)
    padding = torch.zeros(2, LENGTH, dtype=torch.bool)
    padding[1, 4:] = True
    mask = torch.zeros(2, LENGTH).masked_fill(padding, float("-inf")) if floats else padding
    trace = attncore.trace(model, attncore.Inputs(hidden(), src_key_padding_mask=mask))
    axis = trace.axes[trace[0].key_axis]
    assert axis.padding is not None
    assert np.array_equal(axis.padding, padding.numpy())


def test_encoder_and_decoder() -> None:
    """Both have labels of their own, and cross attention joins them."""
    transformers: Any = pytest.importorskip("transformers")
    sizes = {"d_model": 24, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 32}
    special = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, "decoder_start_token_id": 0}
    model = transformers.BartModel(transformers.BartConfig(vocab_size=20, **sizes, **heads, **special)).eval()
    inputs = {"input_ids": torch.tensor([[0, 5, 7, 1]]), "decoder_input_ids": torch.tensor([[0, 9, 3]])}
    trace = attncore.trace(model, inputs, tokens=Tokenizer())
    assert trace.axes["encoder"].raw == (tuple(words(0, 5, 7, 1)),)
    assert trace.axes["decoder"].raw == (tuple(words(0, 9, 3)),)
    assert [(layer.kind, layer.stack, layer.query_axis, layer.key_axis) for layer in trace] == [
        ("self", "encoder", "encoder", "encoder"),
        ("self", "decoder", "decoder", "decoder"),
        ("cross", "decoder", "decoder", "encoder"),
    ]
    lengths = [len(field) for field in (trace.encoder_attentions, trace.decoder_attentions, trace.cross_attentions)]
    assert lengths == [1, 1, 1]


def test_encoder_and_decoder_by_lists() -> None:
    """With two streams, a bare list is refused and a mapping says which is which."""
    model = nn.Transformer(24, 4, 1, 1, 24, batch_first=True).eval()
    inputs = (hidden(batch=1, length=3), hidden(batch=1, length=2))
    with pytest.raises(attncore.TokenError, match="mapping"):
        attncore.trace(model, inputs, tokens=["a", "b", "c"])
    trace = attncore.trace(model, inputs, tokens={"encoder": ["a", "b", "c"], "decoder": ["d", "e"]})
    assert trace.axes["encoder"].labels == (("a", "b", "c"),)
    assert trace.axes["decoder"].labels == (("d", "e"),)


def test_patches_of_a_picture() -> None:
    """The patches have a grid, and the class token comes before it."""
    trace = attncore.trace(Picture(patch=8), torch.randn(2, 3, 32, 48))
    axis = trace.axes[trace[0].key_axis]
    assert axis.kind == "patch"
    assert axis.grid == (4, 6)
    assert axis.length == 25


def test_labels_of_a_generation() -> None:
    """The tokens written step by step are labelled with those of the prompt."""
    transformers: Any = pytest.importorskip("transformers")
    sizes = {"n_embd": 24, "n_layer": 1, "n_head": 4, "n_positions": 32, "vocab_size": 20}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, eos_token_id=None, pad_token_id=0)).eval()
    ids = torch.tensor([[5, 7, 9]])
    with attncore.capture(model) as session:
        text = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=3, do_sample=False)
    trace = session.trace(tokens=Tokenizer())
    assert trace.axes[trace[0].key_axis].raw == (tuple(words(*text[0, :-1].tolist())),)


def test_a_models_forward_is_the_model() -> None:
    """Called by itself it goes past the hooks; given to `trace`, it has one axis of tokens like the model."""
    layer = torch.nn.TransformerEncoderLayer(16, 2, batch_first=True)
    model = torch.nn.Sequential(*(layer for _ in range(2))).train(False)
    x = torch.randn(1, 3, 16)
    trace = attncore.trace(model.forward, x, tokens=["a", "b", "c"])
    assert list(trace.axes) == ["tokens"]
    assert trace.axes["tokens"].labels == (("a", "b", "c"),)
    assert torch.equal(trace.output, model(x))


class FirstTokenAsks(nn.Module):
    """A multi-head attention whose queries are the first of the positions that it attends to, or of a memory's."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor, memory: torch.Tensor | None = None) -> Any:
        """(batch, 1, 8) from (batch, length, 8)."""
        keys = x if memory is None else memory
        return self.attention(x[:, :1], keys, keys)[0]


def test_a_slice_of_the_positions_asks() -> None:
    """Queries cut from what is attended to make self-attention; queries beside a memory do not."""
    model, x = FirstTokenAsks().train(False), torch.randn(2, 5, 8)
    assert attncore.trace(model, x)[0].kind == "self"
    assert attncore.trace(model, {"x": x, "memory": torch.randn(2, 5, 8)})[0].kind == "cross"


class Encoding(nn.Module):
    """Embeds and runs its layers in a method of its own, without a call of the module itself."""

    def __init__(self, depth: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(depth))

    def forward(self, input_ids: torch.Tensor) -> Any:
        """(batch, length, 8) from (batch, length)."""
        return self.encode(input_ids)

    def encode(self, input_ids: torch.Tensor) -> Any:
        """(batch, length, 8) from (batch, length)."""
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x)
        return x


def test_a_method_that_goes_past_the_models_own_call() -> None:
    """What it runs one by one is one call, with one axis of tokens, whose ids the method was given."""
    model, ids = Encoding().train(False), torch.tensor([[3, 4, 5]])
    called, by_method = (
        attncore.trace(model, ids, tokens=Tokenizer()),
        attncore.trace(model.encode, ids, tokens=Tokenizer()),
    )
    assert list(by_method.axes) == list(called.axes) == ["tokens"]
    assert by_method.axes["tokens"].labels == called.axes["tokens"].labels == (tuple(words(3, 4, 5)),)
    assert [layer.name for layer in by_method] == [layer.name for layer in called]
    assert all(np.array_equal(one.weights, other.weights) for one, other in zip(by_method, called, strict=True))


def test_two_calls_of_such_a_method_are_two() -> None:
    """As two calls of the model are."""
    model = Encoding().train(False)
    with attncore.capture(model.encode) as session:
        session(torch.tensor([[3, 4, 5]]))
        session(torch.tensor([[6, 7]]))
    trace = session.trace()
    assert list(trace.axes) == ["tokens@0", "tokens@1"]
    assert [layer.shape[-1] for layer in trace] == [3, 3, 2, 2]


def test_parts_called_one_by_one() -> None:
    """Called without the session, they are one call until one of them is called again."""
    model, x = Encoding().train(False), torch.randn(1, 3, 8)
    with attncore.capture(model) as session:
        for _ in range(2):
            for layer in model.layers:
                layer(x)
    assert [layer.key_axis for layer in session.trace()] == ["tokens@0", "tokens@0", "tokens@1", "tokens@1"]
