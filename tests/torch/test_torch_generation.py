"""Generation with a cache: the calls of each become one call of the trace, and its layers have the model's numbers.

The reference is a second copy of each model, which gives its attention out step by step (`output_attentions` of
transformers' eager attention); the steps are put together here.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_models import Language, assert_weights, expected, token_ids

import attncore
from attncore.backends._torch_calls import RootCall
from attncore.backends._torch_record import Growth, Place, Record
from attncore.backends._torch_runs import merge_steps

transformers: Any = pytest.importorskip("transformers")

SIZES = {"vocab_size": 40, "bos_token_id": 1, "eos_token_id": None, "pad_token_id": 0}
NEW: dict[str, Any] = {"max_new_tokens": 4, "do_sample": False}
Matrix = np.ndarray[Any, Any]


class Tokenizer:
    """Gives every id a word of its own."""

    all_special_ids: Sequence[int] = ()

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        """The words."""
        return [f"w{number}" for number in ids]


def words(ids: Any) -> tuple[tuple[str, ...], ...]:
    """What `Tokenizer` makes of the rows."""
    return tuple(tuple(f"w{number}" for number in row) for row in ids.tolist())


def sharpened(model: Any) -> Any:
    """With larger weights, so that attention is far from uniform."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(6)
    return model.eval()


def llama(implementation: str = "sdpa", **more: Any) -> Any:
    """Two layers of a decoder."""
    sizes = {"hidden_size": 24, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    config = transformers.LlamaConfig(**SIZES, **sizes, **heads, **more)
    return sharpened(transformers.LlamaForCausalLM._from_config(config, attn_implementation=implementation))


def bart(implementation: str = "sdpa") -> Any:
    """Two layers each of an encoder and a decoder."""
    layers = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
    sizes = {"d_model": 24, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 32}
    config = transformers.BartConfig(**SIZES, **layers, **sizes, forced_eos_token_id=None, decoder_start_token_id=2)
    return sharpened(transformers.BartForConditionalGeneration._from_config(config, attn_implementation=implementation))


def t5(implementation: str = "sdpa") -> Any:
    """The same with biases of positions."""
    sizes = {"d_model": 24, "d_kv": 6, "d_ff": 24, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
    config = transformers.T5Config(**SIZES, **sizes)
    return transformers.T5ForConditionalGeneration._from_config(config, attn_implementation=implementation).eval()


def whisper(implementation: str = "sdpa") -> Any:
    """The same over sound."""
    layers = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
    sizes = {"d_model": 24, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "num_mel_bins": 8}
    lengths = {"max_source_positions": 10, "max_target_positions": 32, "decoder_start_token_id": 1}
    none = {"suppress_tokens": None, "begin_suppress_tokens": None}
    config = transformers.WhisperConfig(**SIZES, **layers, **sizes, **lengths, **none)
    model = transformers.WhisperForConditionalGeneration._from_config(config, attn_implementation=implementation)
    return sharpened(model)


def llava(implementation: str = "sdpa") -> Any:
    """Two layers that look at an image, and two that write."""
    size = {"hidden_size": 24, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
    vision = transformers.CLIPVisionConfig(**size, image_size=16, patch_size=8)
    text = transformers.LlamaConfig(**SIZES, **size, num_key_value_heads=2)
    image = {"image_token_index": 39, "image_token_id": 39, "vision_feature_layer": -1}
    config = transformers.LlavaConfig(vision_config=vision, text_config=text, **image)
    model = transformers.LlavaForConditionalGeneration._from_config(config, attn_implementation=implementation)
    return sharpened(model)


def prompt(length: int = 5, batch: int = 1) -> dict[str, Tensor]:
    """Ids and their mask."""
    ids = torch.randint(2, 39, (batch, length))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def by_steps(model: Any, inputs: dict[str, Tensor], **settings: Any) -> Any:
    """The same generation by a copy of the model that gives its attention out."""
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    given = {**NEW, **settings, "output_attentions": True, "return_dict_in_generate": True}
    return eager.generate(**inputs, **given)


def stitched(steps: Sequence[Sequence[Tensor]], keys: int | None = None) -> list[Matrix]:
    """One matrix a layer with the rows of all steps; keys that a step had not yet are zero."""
    length = keys or steps[-1][0].shape[3]
    layers = []
    for parts in zip(*steps, strict=True):
        arrays = [part.double().numpy()[..., :length] for part in parts]
        padded = [np.pad(part, ((0, 0), (0, 0), (0, 0), (0, length - part.shape[3]))) for part in arrays]
        layers.append(np.concatenate(padded, axis=2))
    return layers


def matrices(parts: Sequence[Tensor]) -> list[Matrix]:
    """As numpy."""
    return [part.double().numpy() for part in parts]


# Layers by number.


@pytest.mark.parametrize("cache", [{}, {"cache_implementation": "static"}])
@pytest.mark.parametrize(
    ("layers", "places"),
    [
        (0, [0]),
        (1, [1]),
        ([0, 1], [0, 1]),
        ([0, -1], [0, 1]),
        (slice(1, None), [1]),
        (lambda layer: layer.index == 0, [0]),
        ("model.layers.1.self_attn@0", [1]),
    ],
)
def test_an_index_is_that_of_the_layer(layers: Any, places: list[int], cache: dict[str, Any]) -> None:
    """Layers asked for by number have the rows of all steps, and nothing is held of the others."""
    model, inputs = llama(), prompt()
    reference = stitched(by_steps(model, inputs).attentions)
    with attncore.capture(model, layers=layers) as session:
        model.generate(**inputs, **NEW, **cache)
    trace = session.trace()
    assert [layer.index for layer in trace] == places
    assert_weights(trace, [reference[place] for place in places])


def test_a_layer_that_only_steps_would_number() -> None:
    """The third attention of a model with two layers is the first one's next step, and no layer of the trace."""
    model, inputs = llama(), prompt()
    with attncore.capture(model, layers=2) as session:
        model.generate(**inputs, **NEW)
    with pytest.raises(attncore.SelectionError, match="indices 0 to 1"):
        session.trace()


def test_only_what_may_be_meant_is_held() -> None:
    """Of 16 attentions in eight calls those of the one layer are kept."""
    model, inputs = llama(), prompt()
    with attncore.capture(model, layers=0) as session:
        model.generate(**inputs, max_new_tokens=8, do_sample=False)
    records = session._recorder.records  # type: ignore[attr-defined]
    assert len(records) == 16
    held = [record.name for record in records if record.query is not None or record.weights is not None]
    assert held == ["model.layers.0.self_attn"] * 8
    assert sum(record.key is not None for record in records) == 1


@pytest.mark.parametrize(
    "layers", [3, -1, "stack.blocks.1.attention@1", lambda layer: (layer.index, layer.call) == (3, 1)]
)
def test_numbers_over_several_calls(layers: Any) -> None:
    """Calls that do not go on from each other are counted on."""
    model, one, two = Language(), token_ids(), token_ids(length=4)
    with attncore.capture(model, layers=layers) as session:
        model(one)
        model(two)
    trace = session.trace()
    assert [(layer.index, layer.call) for layer in trace] == [(3, 1)]
    assert_weights(trace, [expected(model, two)[1]])


@pytest.mark.parametrize("layers", [3, "model.layers.1.self_attn@1", lambda layer: layer.index == 3])
def test_numbers_over_two_generations(layers: Any) -> None:
    """The second generation's layers come after the first one's."""
    model, one, two = llama(), prompt(), prompt(3)
    with attncore.capture(model, layers=layers) as session:
        model.generate(**one, **NEW)
        model.generate(**two, **NEW)
    trace = session.trace()
    assert [(layer.index, layer.call) for layer in trace] == [(3, 1)]
    assert_weights(trace, [stitched(by_steps(model, two).attentions)[1]])


def test_an_index_where_beams_change_places() -> None:
    """Steps that do not go on from each other are layers of their own, and 0 is the prompt's."""
    model, inputs = llama(), prompt()
    with attncore.capture(model, layers=[0, 4]) as session:
        model.generate(**inputs, **NEW, num_beams=3)
    assert [(layer.index, layer.shape[2]) for layer in session.trace()] == [(0, 5), (4, 1)]


# What is no generation.


class Crossing(nn.Module):
    """Queries of one input over another, with nothing that grows."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(24, 4, batch_first=True)

    def forward(self, x: Tensor, memory: Tensor) -> Any:
        """(batch, queries, 24)."""
        return self.attention(x, memory, memory)[0]


@pytest.mark.parametrize("lengths", [(3, 3), (3, 2)])
def test_two_questions_to_one_memory(lengths: tuple[int, int]) -> None:
    """Equal keys alone make no generation."""
    model, memory = Crossing().eval(), torch.randn(1, 6, 24)
    questions = [torch.randn(1, length, 24) for length in lengths]
    with torch.no_grad(), attncore.capture(model) as session:
        for question in questions:
            model(question, memory)
    weights = []
    for question in questions:
        plain = model.attention(question, memory, memory, need_weights=True, average_attn_weights=False)[1]
        weights.append(plain.detach().double().numpy())
    trace = session.trace()
    assert_weights(trace, weights)
    assert trace[0].query_axis != trace[1].query_axis


def test_two_texts_for_one_source() -> None:
    """Cross-attention alone is asked for, and the self-attention that is not says that this is no generation."""
    model, source = bart(), prompt()
    texts = [torch.tensor([[2, 9, 10, 11]]), torch.tensor([[2, 30, 31, 32]])]
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    with torch.no_grad(), attncore.capture(model, layers="*encoder_attn*") as session:
        for text in texts:
            model(**source, decoder_input_ids=text)
    with torch.no_grad():
        outputs = [eager(**source, decoder_input_ids=text, output_attentions=True) for text in texts]
    trace = session.trace()
    assert_weights(trace, [part for output in outputs for part in matrices(output.cross_attentions)])


@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning")
@pytest.mark.parametrize("layers", ["*encoder_attn*", 7])
def test_a_step_from_another_cache(layers: Any) -> None:
    """As many keys as a next step would have, over the same source, but those of another text."""
    model, source = bart(), prompt()
    with torch.no_grad():
        memory = model.get_encoder()(**source)
        given = {"encoder_outputs": memory, "attention_mask": source["attention_mask"], "use_cache": True}
        other = model(**given, decoder_input_ids=torch.tensor([[2, 30, 31]])).past_key_values
        with attncore.capture(model, layers=layers) as session:
            model(**given, decoder_input_ids=torch.tensor([[2, 9, 10]]))
            model(**given, decoder_input_ids=torch.tensor([[5]]), past_key_values=other)
    rows = [layer.shape[2:] for layer in session.trace()]
    assert rows == ([(3, 5), (3, 5), (1, 5), (1, 5)] if layers != 7 else [(1, 5)])


def test_calls_of_which_it_is_not_known() -> None:
    """Where keys of the self-attention were not seen, calls stay apart, and say why."""
    records = []
    for call, rows in enumerate((3, 1)):
        for name in ("self", "cross"):
            columns = 3 + call if name == "self" else 5
            records.append(
                Record(
                    Place(name, call, "Attention", call), 0, 0, "softmax", name, (1, 1, rows, columns), "whole",
                    weights=torch.ones(1, 1, rows, columns), wanted=name == "cross",
                    growth=Growth(),
                )
            )  # fmt: skip
    records[1].next_step = records[3]
    records[3].key = torch.zeros(1, 1, 5, 2)
    steps = merge_steps(records, [RootCall() for _ in range(2)])
    assert steps.records == records
    assert all("not known" in record.notes[0] for record in records if record.kind == "cross")


# Encoders and towers.


@pytest.mark.parametrize("how", ["model", "method"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("make", [bart, t5])
def test_an_encoder_and_a_decoder(make: Callable[[str], Any], implementation: str, how: str) -> None:
    """The encoder's layers as they are, and the decoder's with the rows of all steps, on labelled axes."""
    model, inputs = make(implementation), prompt(7, batch=2)
    inputs["attention_mask"][1, -2:] = 0
    reference = by_steps(model, inputs)
    with attncore.capture(model if how == "model" else model.generate) as session:
        text = model.generate(**inputs, **NEW) if how == "model" else session(**inputs, **NEW)
    trace = session.trace(tokens=Tokenizer())
    assert [layer.kind for layer in trace] == ["self", "self", "self", "cross", "self", "cross"]
    assert_weights([layer for layer in trace if layer.stack == "encoder"], matrices(reference.encoder_attentions))
    own = [layer for layer in trace if layer.stack == "decoder" and layer.kind == "self"]
    assert_weights(own, stitched(reference.decoder_attentions))
    crossing = [layer for layer in trace if layer.kind == "cross"]
    assert_weights(crossing, stitched(reference.cross_attentions))
    assert list(trace.axes) == ["encoder", "decoder"]
    assert trace.axes["encoder"].raw == words(inputs["input_ids"])
    assert trace.axes["decoder"].raw == words(text[:, :-1])
    padding, steps = trace.axes["encoder"].padding, trace.axes["decoder"].steps
    assert padding is not None
    assert padding.tolist() == (inputs["attention_mask"] == 0).tolist()
    assert steps is not None
    assert steps.tolist() == [0, 1, 2, 3]
    assert trace.axes["encoder"].steps is None


def test_a_source_as_long_as_the_text_that_is_written() -> None:
    """Equal lengths give the encoder no steps, and its ids are its own."""
    model, inputs = bart(), prompt(4)
    with attncore.capture(model) as session:
        model.generate(**inputs, **NEW)
    trace = session.trace(tokens=Tokenizer())
    assert trace.axes["encoder"].raw == words(inputs["input_ids"])
    assert trace.axes["encoder"].steps is None


@pytest.mark.parametrize("layers", ["*encoder_attn*", [3, 5]])
def test_cross_attention_of_a_generation(layers: Any) -> None:
    """The self-attention that is not asked for says that this is one."""
    model, inputs = bart(), prompt(7)
    reference = by_steps(model, inputs)
    with attncore.capture(model, layers=layers) as session:
        model.generate(**inputs, **NEW)
    assert_weights(session.trace(), stitched(reference.cross_attentions))


def test_a_generation_from_sound() -> None:
    """Whisper's encoder runs before the first call too."""
    model, sound = whisper(), {"input_features": torch.randn(1, 8, 20)}
    reference = by_steps(model, sound)
    with attncore.capture(model) as session:
        model.generate(**sound, **NEW)
    trace = session.trace(tokens=Tokenizer())
    own = [layer for layer in trace if layer.stack == "decoder" and layer.kind == "self"]
    assert_weights(own, stitched(reference.decoder_attentions))
    assert_weights([layer for layer in trace if layer.kind == "cross"], stitched(reference.cross_attentions))
    assert list(trace.axes) == ["encoder", "decoder"]


@pytest.mark.parametrize("layers", [None, "*language_model*", [2, 3]])
def test_a_generation_about_an_image(layers: Any) -> None:
    """The layers that look at the image are there once, and those that write have all rows."""
    model, pixels = llava(), torch.randn(1, 3, 16, 16)
    ids = torch.tensor([[5, 39, 39, 39, 39, 7, 9]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels}
    reference = by_steps(model, inputs)
    with attncore.capture(model, layers=layers) as session:
        text = model.generate(**inputs, **NEW)
    trace = session.trace(tokens=Tokenizer())
    assert_weights([layer for layer in trace if "language" in layer.name], stitched(reference.attentions))
    assert [layer.shape[2] for layer in trace if "vision" in layer.name] == ([5, 5] if layers is None else [])
    assert list(trace.axes) == (["image", "tokens"] if layers is None else ["tokens"])
    assert trace.axes["tokens"].raw == words(text[:, :-1])


def test_an_encoder_that_was_asked_before() -> None:
    """Of two calls of the encoder the second is the generation's."""
    model, before, inputs = bart(), prompt(3), prompt(7)
    with torch.no_grad(), attncore.capture(model) as session:
        model.get_encoder()(before["input_ids"])
        model.generate(**inputs, **NEW)
    trace = session.trace(tokens=Tokenizer())
    assert [layer.shape[2:] for layer in trace[:4]] == [(3, 3), (3, 3), (7, 7), (7, 7)]
    assert trace.axes["encoder@0"].raw == words(before["input_ids"])
    assert trace.axes["encoder@1"].raw == words(inputs["input_ids"])
    assert (trace[5].query_axis, trace[5].key_axis) == ("decoder@1", "encoder@1")


# Several in one session.


def test_two_generations() -> None:
    """Each is a call of its own, with axes of its own."""
    model, one, two = llama(), prompt(), prompt(3)
    references = [stitched(by_steps(model, inputs).attentions) for inputs in (one, two)]
    with attncore.capture(model) as session:
        texts = [model.generate(**inputs, **NEW) for inputs in (one, two)]
    trace = session.trace(tokens=Tokenizer())
    assert_weights(trace, [*references[0], *references[1]])
    assert [(layer.index, layer.call) for layer in trace] == [(0, 0), (1, 0), (2, 1), (3, 1)]
    assert [trace.axes[name].raw for name in ("tokens@0", "tokens@1")] == [words(text[:, :-1]) for text in texts]
    steps = [trace.axes[name].steps for name in ("tokens@0", "tokens@1")]
    assert [part.tolist() for part in steps if part is not None] == [[0, 0, 0, 0, 0, 1, 2, 3], [0, 0, 0, 1, 2, 3]]


def test_two_generations_by_an_encoder_and_a_decoder() -> None:
    """Each has its own encoder's call."""
    model, one, two = bart(), prompt(7), prompt(6)
    references = [by_steps(model, inputs) for inputs in (one, two)]
    with attncore.capture(model) as session:
        for inputs in (one, two):
            model.generate(**inputs, **NEW)
    trace = session.trace(tokens=Tokenizer())
    crossing = [layer for layer in trace if layer.kind == "cross"]
    assert_weights(crossing, [part for each in references for part in stitched(each.cross_attentions)])
    assert list(trace.axes) == ["encoder@0", "decoder@0", "encoder@1", "decoder@1"]
    assert trace.axes["encoder@1"].raw == words(two["input_ids"])


@pytest.mark.parametrize("first", ["forward", "generation"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_a_forward_beside_a_generation(implementation: str, first: str) -> None:
    """The forward stays as it is, before or after."""
    model, inputs, alone = llama(implementation), prompt(), prompt(4)
    generated = stitched(by_steps(model, inputs).attentions)
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    with torch.no_grad():
        forward = matrices(eager(**alone, output_attentions=True).attentions)
    with torch.no_grad(), attncore.capture(model) as session:
        if first == "forward":
            model(**alone)
        model.generate(**inputs, **NEW)
        if first == "generation":
            model(**alone)
    assert_weights(session.trace(), [*forward, *generated] if first == "forward" else [*generated, *forward])
    assert list(session.trace().axes) == ["tokens@0", "tokens@1"]


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_a_trace_asked_for_twice(implementation: str) -> None:
    """Putting the steps together changes nothing of what was captured."""
    model, inputs = llama(implementation), prompt()
    with attncore.capture(model) as session:
        model.generate(**inputs, **NEW)
    one, two = session.trace(), session.trace()
    assert_weights(two, [np.asarray(layer.weights, dtype=np.float64) for layer in one])
    assert len(two) == 2


# Kinds of attention.


class Flex(nn.Module):
    """A layer with a cache that is handed on, and scores that functions of the positions change."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: Tensor, cache: tuple[Tensor, Tensor] | None) -> Any:
        """(batch, length, 16), and the cache."""
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        q, k, v = (part(x).unflatten(-1, (2, 8)).transpose(1, 2) for part in (self.q, self.k, self.v))
        if cache is not None:
            k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
        start = k.shape[2] - q.shape[2]
        block = create_block_mask(lambda b, h, m, n: n <= m + start, None, None, q.shape[2], k.shape[2], device="cpu")
        y = flex_attention(q, k, v, score_mod=lambda s, b, h, m, n: s - 0.1 * (m + start - n), block_mask=block)
        return y.transpose(1, 2).flatten(2), (k, v)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
@pytest.mark.parametrize("heads", [None, [1]])
def test_steps_of_flex_attention(heads: Any) -> None:
    """Weights that functions of the positions change go on from step to step as others do."""
    model, x = Flex().eval(), torch.randn(1, 40, 16)
    with torch.no_grad(), attncore.capture(model, heads=heads) as session:
        cache = None
        for start, stop in ((0, 36), (36, 37), (37, 39), (39, 40)):
            _, cache = model(x[:, start:stop], cache)
    q, k = (part(x).detach().double().unflatten(-1, (2, 8)).transpose(1, 2).numpy() for part in (model.q, model.k))
    ahead = np.arange(40)[:, None] - np.arange(40)[None]
    scores = np.where(ahead >= 0, q @ k.swapaxes(-1, -2) / np.sqrt(8) - 0.1 * ahead, -np.inf)
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    reference = exponentials / exponentials.sum(-1, keepdims=True)
    trace = session.trace()
    assert_weights(trace, [reference if heads is None else reference[:, [1]]])
    weights = trace[0].weights
    assert np.allclose(
        weights[:, :, [38, 3, 39]], (reference if heads is None else reference[:, [1]])[:, :, [38, 3, 39]]
    )


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_a_static_cache_and_padding_on_the_left(implementation: str) -> None:
    """The rows of padding, which see keys that are not written yet, do not say how many there are."""
    model, inputs = llama(implementation), prompt(6, batch=2)
    inputs["attention_mask"][1, :3] = 0
    reference = stitched(by_steps(model, inputs, cache_implementation="static").attentions, keys=9)
    with attncore.capture(model) as session:
        model.generate(**inputs, **NEW, cache_implementation="static")
    trace = session.trace()
    real = np.concatenate([inputs["attention_mask"].numpy() > 0, np.ones((2, 3), dtype=bool)], axis=1)
    for layer, each in zip(trace, reference, strict=True):
        weights = np.asarray(layer.weights, dtype=np.float64).transpose(0, 2, 1, 3)
        assert weights.shape == (2, 9, 4, 9)
        assert np.abs(weights - each.transpose(0, 2, 1, 3))[real].max() < 1e-5
