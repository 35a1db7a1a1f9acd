"""What comes after a block's last attention is not followed where it is known to attend no more; nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from tail_blocks import (
    DIM,
    HEADS,
    TWICE,
    Around,
    Attention,
    Block,
    Decoder,
    GivesAside,
    GivesMore,
    Halving,
    InPlace,
    LaterArgument,
    LaterCalls,
    LaterMethod,
    LaterProducts,
    LaterWrites,
    Layered,
    OddFeedForward,
    Recursive,
    TwoNorms,
    attend,
    blocks,
)
from tail_traces import assert_same_traces, calls_seen, followed_to_the_end
from torch import Tensor, nn

import attncore
from attncore.backends._torch_hook_plan import plan_hooks
from attncore.backends._torch_tails import Tails


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The classes of the blocks whose tails were not followed."""
    kinds: list[str] = []
    reached = Tails._reached_tail

    def noted(self: Tails, block: Any) -> None:
        reached(self, block)
        if self.off:
            kinds.append(block.kind.__name__)

    monkeypatch.setattr(Tails, "_reached_tail", noted)
    yield kinds
    assert torch._C._len_torch_function_stack() == 0


def test_the_tails_of_like_blocks_are_not_followed(paused: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first block is followed to its end, the others up to their attention; the trace is the same."""
    model, x = blocks(Block, 4), torch.randn(2, 5, DIM)
    expected = model(x)
    trace = attncore.trace(model, x)
    assert paused == ["Block"] * 3
    assert torch.equal(trace.output, expected)
    assert_same_traces(trace, followed_to_the_end(monkeypatch, lambda: attncore.trace(model, x)))


class Backwards(nn.Module):
    """Blocks that see the last position first."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = blocks(Block, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x.flip(1))


def test_positions_stay_in_another_order_through_tails(paused: list[str]) -> None:
    """Labels of the input fit none of the blocks, also where what they give was not followed."""
    trace = attncore.trace(Backwards(), torch.randn(2, 5, DIM))
    assert paused == ["Block"] * 3
    assert [layer.query_axis for layer in trace] == ["tokens_reordered"] * 4


def test_fewer_calls_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what it is for."""
    seen = calls_seen(monkeypatch)
    attncore.trace(blocks(Block, 4), torch.randn(2, 5, DIM))
    assert (seen.count(F.gelu), seen.count(F.scaled_dot_product_attention)) == (1, 4)


@pytest.mark.parametrize("kind", TWICE, ids=lambda kind: kind.__name__)
def test_attention_in_a_tail_is_not_lost(kind: Any, paused: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever way it is called: each of four blocks attends twice, and all eight are in the trace."""
    model, x = blocks(kind, 4), torch.randn(2, 5, DIM)
    expected = model(x)
    trace = attncore.trace(model, x)
    assert len(trace) == 8
    assert torch.equal(trace.output, expected)
    assert_same_traces(trace, followed_to_the_end(monkeypatch, lambda: attncore.trace(model, x)))


def test_one_odd_block_among_like_ones(paused: list[str]) -> None:
    """One that attends twice where the others do once, in the same class: by a part of another class."""
    model, x = blocks(Block, 4), torch.randn(2, 5, DIM)
    model[2].feed_forward = OddFeedForward()
    trace = attncore.trace(model, x)
    assert [layer.name for layer in trace] == [
        "0.attention", "1.attention", "2.attention", "2.feed_forward", "3.attention"
    ]  # fmt: skip
    assert paused == ["Block"] * 3  # of the odd one, what comes after its feed-forward part


def test_a_decorator_that_attends_in_later_blocks() -> None:
    """What the first block shows is not taken for all: whose decorators are not known is followed to its end."""
    model, x = blocks(Layered), torch.randn(2, 5, DIM)
    model[1].later = model[2].later = True
    assert [layer.name for layer in attncore.trace(model, x)] == ["0.attention", "1.attention", "1", "2.attention", "2"]


@pytest.mark.parametrize("way", ["last", "nested", "aside"])
def test_whatever_way_blocks_give_their_hidden_states(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More by the last block, in a tuple inside, or left on the module: attention over them is still "self"."""
    model, x = Around(GivesAside if way == "aside" else GivesMore, way), torch.randn(2, 5, DIM)
    trace = attncore.trace(model, x)
    assert [layer.kind for layer in trace] == ["self"] * 4
    assert_same_traces(trace, followed_to_the_end(monkeypatch, lambda: attncore.trace(model, x)))


@pytest.mark.parametrize(
    ("kind", "count"), [(LaterProducts, 5), (LaterWrites, 3), (LaterCalls, 5), (LaterMethod, 5), (LaterArgument, 5)]
)
def test_what_only_later_blocks_do(kind: Any, count: int, paused: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Their code says that they might: none of them is left before its end."""
    model, x = blocks(kind), torch.randn(2, 5, DIM)
    model[1].later = model[2].later = True
    with torch.no_grad():
        trace = attncore.trace(model, x)
        assert len(trace) == count
        assert {layer.kind for layer in trace} == {"self"}
        assert not paused
        assert_same_traces(trace, followed_to_the_end(monkeypatch, lambda: attncore.trace(model, x)))


def test_hidden_states_after_a_tail_are_known_to_be_the_same(paused: list[str]) -> None:
    """Queries and keys by different norms of one tensor are self-attention, also after blocks that end unseen."""
    model = nn.Sequential(*(Block() for _ in range(3)), *(TwoNorms() for _ in range(3)))
    trace = attncore.trace(model, torch.randn(2, 5, DIM))
    assert paused == ["Block"] * 2 + ["TwoNorms"] * 2
    assert [layer.kind for layer in trace] == ["self"] * 6


def test_a_tail_begins_after_the_last_attention(paused: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not between two."""
    model, given = Decoder(), {"x": torch.randn(2, 5, DIM), "memory": torch.randn(2, 5, DIM)}
    trace = attncore.trace(model, given)
    assert paused == ["Block"] * 2
    assert [layer.kind for layer in trace] == ["self", "cross"] * 3
    assert_same_traces(trace, followed_to_the_end(monkeypatch, lambda: attncore.trace(model, given)))


def test_writes_in_a_tail_are_seen(paused: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept must not change with them: such a tail is followed."""
    model, x = blocks(InPlace), torch.randn(2, 5, DIM)
    with torch.no_grad():
        trace = attncore.trace(model, x)
        assert not paused
        assert_same_traces(trace, followed_to_the_end(monkeypatch, lambda: attncore.trace(model, x)))
    model = blocks(Block)
    for block in model:
        block.feed_forward = nn.ReLU(inplace=True)
    attncore.trace(model, x)
    assert not paused


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_in_a_tail_leaves_nothing_behind(error: type[BaseException], paused: list[str]) -> None:
    """No function mode stays on or off, and the session captures the next call as ever."""
    model, x = blocks(Block), torch.randn(2, 5, DIM)

    def fail(value: Tensor) -> Tensor:
        raise error

    with attncore.capture(model) as session:
        session(x)
        broken, model[1].second.eps = model[1].second, "no number"  # what a layer norm cannot do with
        with pytest.raises(TypeError):
            session(x)
        assert torch._C._len_torch_function_stack() == 0
        broken.eps = 1e-5
        session(x)
        model[1].feed_forward.activation = fail
        with pytest.raises(error):
            session(x)
        assert torch._C._len_torch_function_stack() == 0
        model[1].feed_forward.activation = F.gelu
        session(x)
    assert len(session.trace()) == 3 * 3 + 2 * 2
    assert not any(module._forward_hooks for module in model.modules())


def test_other_function_modes_keep_their_order(paused: list[str]) -> None:
    """With a default device the tails are followed, since the mode that sets it must stay where it is."""
    model, x = blocks(Block), torch.randn(2, 5, DIM)
    with torch.device("cpu"):
        trace = attncore.trace(model, x)
        assert torch._C._len_torch_function_stack() == 1
    assert len(trace) == 3
    assert not paused


def test_captures_inside_each_other(paused: list[str]) -> None:
    """Both see everything."""
    model, x = blocks(Block), torch.randn(2, 5, DIM)
    with attncore.capture(model) as outer:
        with attncore.capture(model) as inner:
            model(x)
        model(x)
    assert len(inner.trace()) == 3
    assert len(outer.trace()) == 6


def test_one_attention_in_several_blocks() -> None:
    """Shared weights: each block runs the same module, which has the name of the first."""
    model, x = blocks(Block), torch.randn(2, 5, DIM)
    for block in model:
        block.attention = model[0].attention
    assert not plan_hooks(model).tails.keys() - {"0"}
    assert [layer.name for layer in attncore.trace(model, x)] == ["0.attention"] * 3


def test_hooks_on_all_modules(paused: list[str]) -> None:
    """Somebody's hook on everything may do anything: all is followed."""
    model, x = blocks(Block), torch.randn(2, 5, DIM)
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: None)
    try:
        assert len(attncore.trace(model, x)) == 3
    finally:
        handle.remove()
    assert not paused


def test_hooks_put_on_during_a_capture(paused: list[str]) -> None:
    """A hook that attends, on a layer that runs in a tail, registered after the capture's own."""
    model, x = blocks(Block), torch.randn(2, 5, DIM)
    with attncore.capture(model) as session:
        session(x)
        assert len(paused) == 2
        model[2].second.register_forward_hook(lambda module, args, output: attend(output))
        session(x)
    assert len(paused) == 2
    assert len(session.trace()) == 3 + 4


def test_hooks_on_the_attention_itself(paused: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that attends to what one block's attention gave: it runs after the capture's own hook."""
    model, x = blocks(Block), torch.randn(2, 5, DIM)
    model[1].attention.register_forward_hook(lambda module, args, output: attend(output))
    trace = attncore.trace(model, x)
    assert not paused
    assert len(trace) == 4
    assert_same_traces(trace, followed_to_the_end(monkeypatch, lambda: attncore.trace(model, x)))


def test_blocks_that_change_the_length(paused: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out of a later stage is known to be one tensor, though it is of another shape than the first's."""
    model, x = blocks(Halving, 4), torch.randn(2, 16, DIM)
    trace = attncore.trace(model, x)
    assert paused == ["Halving"] * 3
    assert [layer.shape[2:] for layer in trace] == [(16, 16), (8, 8), (4, 4), (2, 2)]
    assert [layer.kind for layer in trace] == ["self"] * 4
    assert_same_traces(trace, followed_to_the_end(monkeypatch, lambda: attncore.trace(model, x)))


def test_methods_that_call_each_other() -> None:
    """They are not walked for ever."""
    model, x = blocks(Recursive), torch.randn(2, 5, DIM)
    assert len(attncore.trace(model, x)) == 3


ARCHITECTURES = {
    "BertModel": "BertConfig", "GPT2Model": "GPT2Config", "LlamaModel": "LlamaConfig", "ViTModel": "ViTConfig",
    "BartModel": "BartConfig", "T5Model": "T5Config", "AlbertModel": "AlbertConfig", "Qwen3Model": "Qwen3Config",
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_real_architectures(name: str, paused: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tails are found in them, and the trace is that of the model followed to its end."""
    transformers: Any = pytest.importorskip("transformers")
    sizes: dict[str, Any] = {
        "hidden_size": 24, "intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "vocab_size": 50,
        "embedding_size": 24, "num_key_value_heads": 2, "head_dim": 12, "image_size": 8, "patch_size": 4,
        "decoder_layers": 3, "decoder_ffn_dim": 16, "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "d_ff": 16,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "d_kv": 12, "num_decoder_layers": 3,
    }  # fmt: skip
    if name == "T5Model":
        del sizes["head_dim"]
    torch.manual_seed(0)
    config = getattr(transformers, ARCHITECTURES[name])(**sizes)
    model = getattr(transformers, name)(config).train(False)
    ids = torch.randint(3, 50, (2, 6))
    given = {"pixel_values": torch.randn(2, 3, 8, 8)} if name == "ViTModel" else {"input_ids": ids}
    if config.is_encoder_decoder:
        given["decoder_input_ids"] = ids[:, :5]
    with torch.no_grad():
        trace = attncore.trace(model, given)
        expected = followed_to_the_end(monkeypatch, lambda: attncore.trace(model, given))
    assert paused
    assert_same_traces(trace, expected)


class Turning(Block):
    """A block that may give its result with positions last."""

    turns = False

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        x = x + self.feed_forward(self.second(x))
        return x.transpose(1, 2) if self.turns else x


@pytest.mark.parametrize("length", [5, DIM])
def test_a_later_block_that_transposes(length: int) -> None:
    """Its result is not of the same dimensions, even where they are as long."""

    class Reading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks, self.cross = blocks(Turning, 3), Attention()

        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                x = block(x)
            return self.cross(x.mT, torch.ones(2, 3, DIM))

    model, x = Reading(), torch.randn(2, length, DIM)
    model.blocks[-1].turns = True
    layer = attncore.trace(model, x)[-1]
    assert (layer.name, layer.kind, layer.shape) == ("cross", "cross", (2, HEADS, length, 3))


def test_a_forward_replaced_within_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block whose forward is another one is followed."""
    model, x = blocks(Block, 3), torch.randn(2, 5, DIM)
    with attncore.capture(model) as session:
        session(x)
        ordinary = model[2].forward
        model[2].forward = lambda given: attend(ordinary(given))
        session(x)
    assert [layer.name for layer in session.trace()].count("2") == 1
