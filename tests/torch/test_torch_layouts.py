"""Which dimension is batch, heads or positions, where shapes alone do not say; and kernels given unusual arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn
from torch.nn.attention.bias import causal_lower_right, causal_upper_left

import attncore

DIM, HEADS = 8, 2


def softmax(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Along the last axis, in float64."""
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(-1, keepdims=True))


def split(x: Tensor, heads: int = HEADS) -> Tensor:
    """(batch, length, features) as (batch, heads, length, head_dim)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class Kernel(nn.Module):
    """The fused kernel with other arguments, on projections of what it is given."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments
        self.to_query, self.to_key = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        query, key = split(self.to_query(x)), split(self.to_key(context))
        return F.scaled_dot_product_attention(query, key, key, **self.arguments)

    def scores(self, x: Tensor, context: Tensor) -> np.ndarray[Any, Any]:
        """Query times key, scaled."""
        with torch.no_grad():
            query, key = split(self.to_query(x)).double().numpy(), split(self.to_key(context)).double().numpy()
        return np.asarray(query @ key.swapaxes(-1, -2) / np.sqrt(DIM // HEADS))


@pytest.mark.parametrize("keep", ["qk", "weights"])
@pytest.mark.parametrize(("bias", "first"), [(causal_upper_left, 0), (causal_lower_right, 2)])
def test_causal_biases_of_pytorch(bias: Any, first: int, keep: Any) -> None:
    """Tensors that hold no values, only what they are: `first` is how many keys more than its own a query may see."""
    model, x, context = Kernel(attn_mask=bias(3, 5)), torch.randn(2, 3, DIM), torch.randn(2, 5, DIM)
    seen = np.arange(5) <= np.arange(3)[:, None] + first
    expected = softmax(np.where(seen, model.scores(x, context), -np.inf))
    trace = attncore.trace(model, (x, context), keep=keep)
    np.testing.assert_allclose(np.asarray(trace[0].weights), expected, atol=1e-6)


class Mixing(nn.Module):
    """A layer along the sequence, as in a mixer, then cross-attention by hand or by the kernel."""

    def __init__(self, length: int, made: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, DIM)
        self.along, self.heads, self.fused = nn.Linear(length, made), heads, fused
        self.to_query, self.to_key = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM)

    def operands(self, ids: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        x = self.along(self.embed(ids).transpose(1, 2)).transpose(1, 2)
        query, key = self.to_query(x), self.to_key(context)
        return (query, key) if self.heads == 1 else (split(query, self.heads), split(key, self.heads))

    def forward(self, ids: Tensor, context: Tensor) -> Tensor:
        query, key = self.operands(ids, context)
        if self.fused:
            return F.scaled_dot_product_attention(query, key, key)
        return (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1) @ key


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("made", [5, 3])
def test_queries_made_along_the_sequence(made: int, heads: int, fused: bool) -> None:
    """What a layer along the sequence makes are positions, and no heads."""
    model, ids, context = Mixing(5, made, heads, fused), torch.arange(10).view(2, 5), torch.randn(2, 4, DIM)
    with torch.no_grad():
        query, key = (part.double().numpy() for part in model.operands(ids, context))
    expected = softmax(query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1])).reshape(2, heads, made, 4)
    layer = attncore.trace(model, (ids, context))[0]
    assert layer.kind == "cross"
    np.testing.assert_allclose(np.asarray(layer.weights), expected, atol=1e-6)


class Reduced(nn.Module):
    """Fewer positions made of all, which then look at all."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.along = nn.Embedding(20, DIM), nn.Linear(5, 3)
        self.attention = nn.MultiheadAttention(DIM, HEADS, batch_first=True)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        made = self.along(x.transpose(1, 2)).transpose(1, 2)
        return self.attention(made, x, x, need_weights=False)[0]


def test_positions_made_of_others_are_not_those() -> None:
    """Keys are another sequence than the queries that were made of it."""
    model = Reduced()
    ids = torch.arange(5)[None]
    layer = attncore.trace(model, ids)[0]
    x = model.embed(ids)
    made = model.along(x.transpose(1, 2)).transpose(1, 2)
    expected = model.attention(made, x, x, average_attn_weights=False)[1]
    assert (layer.kind, layer.shape) == ("cross", (1, HEADS, 3, 5))
    np.testing.assert_allclose(np.asarray(layer.weights), expected.detach().numpy(), atol=1e-6)


class LearnedQuery(nn.Module):
    """A query that all heads share, which the kernel makes of as many as there are key heads."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.to_key = nn.Parameter(torch.randn(1, 1, 3, DIM // HEADS)), nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        key = split(self.to_key(x))
        return F.scaled_dot_product_attention(self.query, key, key)


@pytest.mark.parametrize("keep", ["auto", "qk", "weights"])
def test_one_query_for_all_heads(keep: Any) -> None:
    """Each head of the keys has the query to itself."""
    model, x = LearnedQuery(), torch.randn(2, 5, DIM)
    with torch.no_grad():
        query, key = model.query.double().numpy(), split(model.to_key(x)).double().numpy()
    expected = softmax(query @ key.swapaxes(-1, -2) / np.sqrt(DIM // HEADS))
    layer = attncore.trace(model, x, keep=keep)[0]
    assert layer.shape == expected.shape == (2, HEADS, 3, 5)
    np.testing.assert_allclose(np.asarray(layer.weights), expected, atol=1e-6)


class Grouped(nn.Module):
    """The kernel on what the module was given, query heads in groups, without a batch."""

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, key, enable_gqa=True)


@pytest.mark.parametrize("keep", ["auto", "qk", "weights"])
def test_grouped_heads_without_a_batch(keep: Any) -> None:
    """Where the kernel groups heads, the third dimension from the end counts them."""
    query, key = torch.randn(4, 3, DIM), torch.randn(2, 5, DIM)
    layer = attncore.trace(Grouped(), (query, key), keep=keep)[0]
    repeated = key.double().numpy().repeat(2, 0)
    expected = softmax(query.double().numpy() @ repeated.swapaxes(-1, -2) / np.sqrt(DIM))[None]
    assert layer.shape == (1, 4, 3, 5)
    np.testing.assert_allclose(np.asarray(layer.weights), expected, atol=1e-6)


class Swapped(Kernel):
    """Heads and positions change places in place."""

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        query, key = self.to_query(x).unflatten(-1, (HEADS, -1)), self.to_key(context).unflatten(-1, (HEADS, -1))
        query.swapaxes_(1, 2)
        key.swapdims_(1, 2)
        return F.scaled_dot_product_attention(query, key, key)


def test_dimensions_swapped_in_place() -> None:
    """By any of PyTorch's names for it."""
    model, x, context = Swapped(), torch.randn(2, 3, DIM), torch.randn(2, 5, DIM)
    layer = attncore.trace(model, (x, context))[0]
    np.testing.assert_allclose(np.asarray(layer.weights), softmax(model.scores(x, context)), atol=1e-6)
    assert layer.notes == ()


def test_a_decoding_step_of_one_key_head_for_all() -> None:
    """A kernel may be given the heads of one query as rows, and keys from a cache."""
    transformers = pytest.importorskip("transformers")
    config = transformers.GPTBigCodeConfig(vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=32)
    model = transformers.GPTBigCodeForCausalLM(config).eval()
    ids = torch.arange(2, 14).view(2, 6)
    mask = torch.ones_like(ids)
    mask[1, :2] = 0
    options = {"attention_mask": mask, "max_new_tokens": 3, "do_sample": False, "pad_token_id": 0}
    with attncore.capture(model) as session:
        model.generate(ids, **options)
    model.set_attn_implementation("eager")
    steps = model.generate(ids, **options, output_attentions=True, return_dict_in_generate=True).attentions
    for number, layer in enumerate(session.trace()):
        weights = np.asarray(layer.weights)
        for step, rows in enumerate([slice(0, 6), slice(6, 7), slice(7, 8)]):
            expected = steps[step][number].numpy()
            found = weights[:, :, rows, : expected.shape[-1]]
            np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
            # Rows of padding see nothing in one implementation and everything in the other.
            padding = 2 if step == 0 else 0
            np.testing.assert_allclose(found[1, :, padding:], expected[1, :, padding:], atol=1e-5)


def test_a_fault_of_ours_does_not_break_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong when a call is worked out is reported, and the model's output is what it is."""
    from attncore.backends._torch_fused import FusedSites

    def failing(*given: Any, **more: Any) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(FusedSites, "_fused", failing)
    model, x = Kernel(), torch.randn(2, 3, DIM)
    with attncore.capture(model) as session:
        out = session(x, x)
    assert torch.equal(out, model(x, x))
    with pytest.raises(attncore.NoAttentionError, match=r"could not follow \(RuntimeError: a fault"):
        session.trace()
