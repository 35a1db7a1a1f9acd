"""The ways a model is run: without gradients, in other types, compiled, checkpointed, scripted, wrapped."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch_models import (
    DIM,
    HEADS,
    Language,
    Stack,
    TinyAttention,
    assert_weights,
    expected,
    hidden,
    token_ids,
    untouched,
)

import attncore

HOWS = ("sdpa", "manual")
NESTED = "ignore:The PyTorch API of nested tensors:UserWarning"


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_gradient_modes(how: str, mode: Any) -> None:
    """Weights and output are the same in every gradient mode."""
    model, x = Stack(how=how), hidden()
    references = expected(model, x)
    with mode():
        plain = model(x)
        with untouched(model):
            trace = attncore.trace(model, x)
    assert torch.equal(trace.output, plain)
    assert_weights(trace, references)


def test_weights_are_read_outside_inference_mode() -> None:
    """What was captured in inference mode can be read, sliced and copied after it."""
    model, x = Stack(), hidden()
    with torch.inference_mode():
        trace = attncore.trace(model, x, keep="qk")
    row = np.array(trace[0].weights[0, 1, 2:4])
    row += 1
    assert row.shape == (2, x.shape[1])


@pytest.mark.parametrize("how", HOWS)
def test_autocast(how: str) -> None:
    """Under autocast the output is the same to the bit and the weights are near the float64 ones."""
    model, x = Stack(how=how), hidden()
    references = expected(model, x)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        plain = model(x)
        with untouched(model):
            trace = attncore.trace(model, x)
    assert torch.equal(trace.output, plain)
    assert_weights(trace, references, tolerance=0.03)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_models_of_other_types(how: str, kind: torch.dtype) -> None:
    """The layer says the model's type; its weights are those of the model's own queries and keys."""
    model, x = Stack(how=how).to(kind), hidden().to(kind)
    references = expected(model, x)
    plain = model(x)
    trace = attncore.trace(model, x)
    assert torch.equal(trace.output, plain)
    assert_weights(trace, references, tolerance=0.03 if kind.itemsize < 4 else 1e-6)
    assert {layer.model_dtype for layer in trace} == {str(kind).removeprefix("torch.")}
    assert np.isfinite(np.asarray(trace[0].weights, dtype=np.float64)).all()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # dynamo's own
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("part", ["whole", "blocks"])
def test_compiled_models(how: str, part: str) -> None:
    """A compiled model is captured in its eager form, under the names of the original, and is compiled again after."""
    torch._dynamo.reset()
    model, x = Stack(how=how), hidden()
    references = expected(model, x)
    compiled: Any = torch.compile(model, backend="eager") if part == "whole" else model
    if part == "blocks":
        for number, block in enumerate(model.blocks):
            model.blocks[number] = torch.compile(block, backend="eager")  # type: ignore[assignment]
    plain = compiled(x)
    with untouched(compiled):
        trace = attncore.trace(compiled, x)
    assert_weights(trace, references)
    assert [layer.name for layer in trace] == ["blocks.0.attention", "blocks.1.attention"]
    assert (trace.output - plain).abs().max() <= 1e-5
    assert torch.equal(compiled(x), plain)


def test_a_model_compiled_in_place() -> None:
    """``module.compile()`` is captured too."""
    torch._dynamo.reset()
    model, x = Stack(), hidden()
    references = expected(model, x)
    model.compile(backend="eager")
    plain = model(x)
    trace = attncore.trace(model, x)
    assert_weights(trace, references)
    assert (trace.output - plain).abs().max() <= 1e-5


class Checkpointed(nn.Module):
    """Runs its blocks under activation checkpointing."""

    def __init__(self, reentrant: bool, how: str) -> None:
        super().__init__()
        self.reentrant, self.stack = reentrant, Stack(how=how)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.stack.blocks:
            x = checkpoint(block, x, use_reentrant=self.reentrant)
        return x


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing(reentrant: bool, how: str) -> None:
    """The forward is captured once; its recomputation in the backward is not, even inside the block."""
    model, x = Checkpointed(reentrant, how), hidden().requires_grad_()
    references = expected(model.stack, x)
    plain = model(x)
    with untouched(model), attncore.capture(model) as session:
        output = session(x)
        output.sum().backward()
    assert torch.equal(output, plain)
    trace = session.trace()
    assert_weights(trace, references)
    assert [layer.call for layer in trace] == [0, 0]


@pytest.mark.filterwarnings(NESTED)
@pytest.mark.parametrize("padded", [False, True])
def test_the_fast_path_of_the_encoder(padded: bool) -> None:
    """PyTorch's C++ fast path is off under a capture; the output then differs by rounding, 1e-5 at most."""
    layer = nn.TransformerEncoderLayer(24, 4, 24, batch_first=True)
    model, x = nn.TransformerEncoder(layer, 2).eval(), hidden()
    padding = torch.zeros(2, 6, dtype=torch.bool)
    padding[1, 4:] = padded
    inputs = attncore.Inputs(x, src_key_padding_mask=padding if padded else None)
    with torch.no_grad():
        plain = model(*inputs.args, **inputs.kwargs)
        with untouched(model):
            trace = attncore.trace(model, inputs)
    assert len(trace) == 2
    assert (trace.output - plain)[~padding].abs().max() <= 1e-5
    assert np.allclose(np.asarray(trace[0].weights)[0].sum(-1), 1, atol=1e-6)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("how", ["script", "trace"])
def test_scripted_models_are_refused(how: str) -> None:
    """The error says that torch.jit is the reason, and what to do."""
    model = nn.Sequential(nn.Linear(4, 4)).eval()
    compiled = torch.jit.script(model) if how == "script" else torch.jit.trace(model, torch.randn(1, 4))
    with pytest.raises(attncore.UnsupportedModelError, match=r"torch\.jit"):
        attncore.trace(compiled, torch.randn(1, 4))
    with pytest.raises(attncore.UnsupportedModelError, match=r"original torch\.nn\.Module"):
        attncore.capture(compiled)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_scripted_part_is_reported() -> None:
    """What runs in a scripted part cannot be seen, and the coverage says so."""
    model = nn.Sequential(Stack(), torch.jit.script(nn.Sequential(nn.Linear(24, 24))))
    x = hidden()
    with untouched(model):
        trace = attncore.trace(model, x)
    assert len(trace) == 2
    assert [entry.name for entry in trace.coverage.with_status("opaque")] == ["1"]


def test_a_bound_method() -> None:
    """A method of a model that calls the model is a model."""

    class Speaking(Language):
        def answer(self, input_ids: Tensor, *, twice: bool = False) -> Tensor:
            return self(input_ids) * (2 if twice else 1)

    model, ids = Speaking(), token_ids()
    references = expected(model, ids)
    with untouched(model):
        trace = attncore.trace(model.answer, {"input_ids": ids, "twice": True})
    assert_weights(trace, references)
    assert torch.equal(trace.output, model(ids) * 2)


def test_an_object_with_a_model() -> None:
    """A pipeline is captured by the model that it holds."""

    class Pipeline:
        def __init__(self) -> None:
            self.model = Language()

        def __call__(self, ids: Tensor) -> list[int]:
            found: list[int] = self.model(ids).argmax(-1).flatten().tolist()
            return found

    pipeline, ids = Pipeline(), token_ids()
    trace = attncore.trace(pipeline, ids)
    assert_weights(trace, expected(pipeline.model, ids))
    assert trace.output == pipeline(ids)


@pytest.mark.parametrize("thing", [object(), len, {"model": 1}, "bert-base-uncased", None, Stack, 3])
def test_what_is_no_model_is_refused(thing: Any) -> None:
    """The error names the type of what was given."""
    with pytest.raises(attncore.UnsupportedModelError, match="model"):
        attncore.trace(thing, torch.randn(1, 4))


def test_a_forward_called_past_the_hooks() -> None:
    """``model.forward(...)`` shows nothing to a hook on the model: the error says what to do."""
    model = nn.Linear(4, 4)
    with attncore.capture(model) as session:
        model.forward(torch.randn(1, 4))
    with pytest.raises(attncore.CaptureError, match="forward"):
        session.trace()


def test_a_session_before_its_model_has_run() -> None:
    """The error says that the model was not called."""
    with attncore.capture(Stack()) as session:
        pass
    with pytest.raises(attncore.CaptureError, match="not called"):
        session.trace()


def test_a_session_called_outside_its_block() -> None:
    """The error says to use the block."""
    session = attncore.capture(Stack())
    with pytest.raises(attncore.CaptureError, match="block"):
        session(hidden())


def test_a_model_without_attention() -> None:
    """The error holds the coverage."""
    model = nn.Sequential(nn.Linear(24, 24), nn.Sequential(nn.Linear(24, 24), nn.ReLU()))
    x = hidden()
    with untouched(model), pytest.raises(attncore.NoAttentionError) as caught:
        attncore.trace(model, x)
    assert isinstance(caught.value.coverage, attncore.Coverage)


@pytest.mark.parametrize("how", HOWS)
def test_an_empty_batch_and_a_single_position(how: str) -> None:
    """Shapes at the edge are shapes like others."""
    model = Stack(how=how)
    assert attncore.trace(model, hidden(length=1))[0].shape == (2, 4, 1, 1)
    assert attncore.trace(model, hidden(batch=1))[0].shape == (1, 4, 6, 6)


def test_a_model_that_is_shared_with_itself() -> None:
    """One module called several times is several layers, told apart by their call."""

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stack = Stack(depth=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.stack(self.stack(self.stack(x)))

    model, x = Recurrent(), hidden()
    trace = attncore.trace(model, x)
    assert_weights(trace, expected(model, x))
    assert [layer.call for layer in trace] == [0, 1, 2]
    assert trace["stack.blocks.0.attention@1"].index == 1


@pytest.mark.parametrize("keep", ["weights", "qk"])
def test_autocast_does_not_round_the_weights(keep: Any) -> None:
    """Query and key are the model's own in bfloat16; the weights are computed from them in float32."""
    model, x = TinyAttention(), hidden()
    with torch.autocast("cpu", torch.bfloat16):
        trace = attncore.trace(model, x, keep=keep)
        query, key, _ = model.split(x)
    assert query.dtype == torch.bfloat16
    scores = query.double() @ key.double().transpose(-1, -2) * query.shape[-1] ** -0.5
    assert np.abs(np.asarray(trace[0].weights) - scores.softmax(-1).detach().numpy()).max() < 1e-6


class FlexBesideASink(nn.Module):
    """flex_attention with a learned sink for each head, brought in by the kernel's normaliser afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(DIM, DIM) for _ in range(3))
        self.sinks = nn.Parameter(torch.linspace(-1, 2, HEADS))

    def split(self, x: Tensor) -> list[Tensor]:
        """Query, key and value (batch, heads, length, head_dim)."""
        return [part(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.parts]

    def forward(self, x: Tensor) -> Tensor:
        from torch.nn.attention.flex_attention import AuxRequest, flex_attention

        query, key, value = self.split(x)
        mixed, extra = flex_attention(query, key, value, return_aux=AuxRequest(lse=True))
        log_sum = extra.lse.unsqueeze(-1)
        sinks = self.sinks.view(1, -1, 1, 1).expand(*log_sum.shape)
        together = torch.logsumexp(torch.cat([log_sum, sinks], -1), -1, keepdim=True)
        return (mixed * torch.exp(log_sum - together)).transpose(1, 2).flatten(2)

    def weights(self, x: Tensor) -> np.ndarray:
        """The softmax over the keys and the sink, in float64, without the sink's column."""
        query, key, _ = (part.double() for part in self.split(x))
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        sinks = self.sinks.double().view(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        return torch.cat([scores, sinks], -1).softmax(-1)[..., :-1].numpy()


# The model is also run without a capture, and flex_attention warns of being slow when it is not compiled.
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
@pytest.mark.parametrize("heads", [None, [1, 3]])
def test_a_sink_beside_flex_attention(heads: Any) -> None:
    """The weights are those that were applied, with the share that the sink took left out, and a note says so."""
    model, x = FlexBesideASink().requires_grad_(False), hidden()
    with untouched(model):
        layer = attncore.trace(model, x, heads=heads)[0]
    reference = model.weights(x)
    assert_weights([layer], [reference if heads is None else reference[:, heads]], tolerance=1e-6)
    assert "sink" in " ".join(layer.notes)
    mixed = layer.weights[:] @ layer.value
    if heads is None:
        assert np.abs(mixed.swapaxes(1, 2).reshape(x.shape) - model(x).numpy()).max() < 1e-5


def test_a_sink_that_comes_after_a_reduction_is_reported() -> None:
    """A reduction has seen weights without the sink: they are not shown as if they were the applied ones."""
    model, x = FlexBesideASink().requires_grad_(False), hidden()
    with pytest.raises(attncore.NoAttentionError, match="capture without reduce="):
        attncore.trace(model, x, reduce=lambda layer: layer.weights[:].sum())
