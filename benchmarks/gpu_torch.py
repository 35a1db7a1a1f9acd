"""What is tried with PyTorch on a graphics card; each part yields its checks."""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as transformers_package
from gpu_report import Check
from hf_cases import supported
from hf_inputs import candidates
from hf_models import build
from layer_checks import one_line
from model_case import Prepared, examine
from other_models import SOURCES, cases_of
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._pytree import tree_map

import attncore

# What a tiny model's float32 products may differ by, between a card and the float64 of a reference.
TOLERANCE = 5e-5
# Their own types say less than they could.
transformers: Any = transformers_package
cuda: Any = torch.cuda
ARCHITECTURES = (
    *(
        "albert",
        "bart",
        "bert",
        "bloom",
        "clip_text_model",
        "deberta-v2",
        "deepseek_v3",
        "distilbert",
        "electra",
        "falcon",
    ),
    *("gemma2", "gemma3_text", "gpt2", "gpt_neox", "gpt_oss", "llama", "mistral", "mixtral", "modernbert", "mpt"),
    *("opt", "phi3", "qwen2", "qwen3", "roberta", "swin", "t5", "vit", "wav2vec2", "whisper"),
)
# T5 reads its position bias out of bounds, with a capture and without: on a card, that ends the process. Gemma 2
# leaves out its softcap under SDPA in some versions, so that its implementations do not apply the same weights.
FAULTY = {("t5", "flex_attention"), ("gemma2", "sdpa")}


def moved(device: str) -> Callable[[Any], Any]:
    """Moves tensors to the device, each once: what was one tensor is one tensor there, as query and key may be."""
    there: dict[int, Tensor] = {}

    def move(leaf: Any) -> Any:
        return there.setdefault(id(leaf), leaf.to(device)) if isinstance(leaf, Tensor) else leaf

    return move


def on_device(model: Any, device: str) -> Any:
    """The model there; transformers' own types hide that `to` takes a name."""
    return model.to(device)


def cases(device: str, only: str) -> Iterator[Check]:
    """The cases of the conformance benchmark with model and inputs on the card; references stay in numpy."""
    everything = [case for source in SOURCES for case in cases_of(source) if only in str(case)]
    left = 0
    # Convolutions in full float32, as the references are.
    torch.backends.cudnn.allow_tf32 = False
    for case in everything:
        try:
            torch.manual_seed(0)
            prepared = on(case.make(), device)
            if prepared.notes_contain == "dropout":
                continue  # the reference's own random numbers are a processor's
        except Exception as error:  # a case that cannot be moved is no finding about the capture
            print(f"{case} cannot be run on the card: {one_line(error)}")
            left += 1
            continue
        faults = examine(prepared).faults
        yield Check("cases", str(case), not faults, "; ".join(faults))
    moved_there = len(everything) - left
    what = "nearly all cases can be moved to the card"
    if only:
        return
    yield Check("cases", what, left < len(everything) / 10, f"{moved_there} of {len(everything)}")


def on(prepared: Prepared, device: str) -> Prepared:
    """The case on the device, run there once so that what cannot be moved shows here."""
    move = moved(device)
    prepared.model = prepared.model.to(device)
    prepared.inputs = attncore.Inputs(*tree_map(move, prepared.inputs.args), **tree_map(move, prepared.inputs.kwargs))
    if prepared.output_rows is not None:
        prepared.output_rows = prepared.output_rows.to(device)
    prepared.tolerance = max(prepared.tolerance, TOLERANCE)
    if prepared.output_tolerance:
        prepared.output_tolerance = TOLERANCE
    prepared.model(*prepared.inputs.args, **prepared.inputs.kwargs)
    return prepared


class Layer(nn.Module):
    """One attention over hidden states by the fused call, with grouped queries and causal if asked."""

    def __init__(self, *, heads: int = 8, kv_heads: int = 8, causal: bool = False) -> None:
        super().__init__()
        self.causal, self.grouped = causal, kv_heads != heads
        self.q, self.k, self.v = (nn.Linear(512, count * 64) for count in (heads, kv_heads, kv_heads))

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value (batch, heads, length, head_dim)."""
        return tuple(layer(x).unflatten(-1, (-1, 64)).transpose(1, 2) for layer in (self.q, self.k, self.v))

    def forward(self, x: Tensor) -> Tensor:
        """The mixed values (batch, length, features)."""
        q, k, v = self.split(x)
        mixed = scaled_dot_product_attention(q, k, v, is_causal=self.causal, enable_gqa=self.grouped)
        return mixed.transpose(1, 2).flatten(2)

    def weights(self, x: Tensor) -> np.ndarray:
        """The formula in float64, from the query and key that this device computes."""
        with torch.no_grad():
            q, k, _ = (tensor.double().cpu().numpy() for tensor in self.split(x))
        scores = q @ k.repeat(q.shape[1] // k.shape[1], axis=1).swapaxes(-1, -2) / 8
        if self.causal:
            scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
        exponents = np.exp(scores - scores.max(-1, keepdims=True))
        result: np.ndarray = exponents / exponents.sum(-1, keepdims=True)
        return result


def kernels(device: str, _only: str) -> Iterator[Check]:
    """Each fused kernel keeps running, to the bit, and the weights are those of the formula in float64."""
    fused = {"flash": SDPBackend.FLASH_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION}
    fused |= {"cudnn": SDPBackend.CUDNN_ATTENTION, "math": SDPBackend.MATH}
    for name, backend in fused.items():
        for dtype in (torch.float16, torch.bfloat16):
            for options in ({}, {"causal": True}, {"causal": True, "kv_heads": 2}):
                what = f"{name}, {str(dtype).removeprefix('torch.')}, {options or 'plain'}"
                try:
                    yield _kernel(what, backend, dtype, options, device)
                except RuntimeError as error:
                    if not ("No available kernel" in str(error) or "No viable backend" in str(error)):
                        raise
                    print(f"kernels: this card has no such kernel: {what}")  # nothing was tried, so nothing held
    yield _flex(device)
    yield _compiled(device)


def _kernel(what: str, backend: Any, dtype: torch.dtype, options: dict[str, Any], device: str) -> Check:
    torch.manual_seed(0)
    layer = Layer(**options).to(device, dtype)
    x = torch.randn(2, 256, 512, device=device, dtype=dtype)
    with torch.no_grad(), sdpa_kernel(backend):
        plain = layer(x)
        trace = attncore.trace(layer, x)
    worst = float(np.abs(np.asarray(trace[0].weights, np.float64) - layer.weights(x)).max())
    same = torch.equal(plain, trace.output)
    detail = f"output {'identical' if same else 'CHANGED'}, largest difference {worst:.1e}"
    return Check("kernels", what, same and worst <= 1e-5, detail)


def _flex(device: str) -> Check:
    """flex_attention that the model compiled itself: the capture runs its Python source."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    compiled = torch.compile(flex_attention)
    mask = create_block_mask(lambda b, h, q, k: q >= k, None, None, 256, 256, device=device)

    class Flex(Layer):
        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.split(x)
            mixed: Tensor = compiled(q, k, v, block_mask=mask)
            return mixed.transpose(1, 2).flatten(2)

    torch.manual_seed(0)
    layer = Flex(causal=True).to(device)
    worst, change, as_before = _traced(layer, layer, device)
    detail = f"largest difference {worst:.1e}, output differs by {change:.1e} from the compiled kernel's"
    return Check("kernels", "flex_attention, compiled, causal", worst <= 1e-5 and as_before, detail)


def _compiled(device: str) -> Check:
    """A model under torch.compile runs its eager source during the capture, and compiled code again afterwards."""
    torch.manual_seed(0)
    layer = Layer(causal=True).to(device)
    worst, change, as_before = _traced(torch.compile(layer), layer, device)
    held = worst <= 1e-5 and change <= 1e-4 and as_before
    return Check("kernels", "torch.compile", held, f"largest difference {worst:.1e}, output differs by {change:.1e}")


def _traced(model: Any, layer: Layer, device: str) -> tuple[float, float, bool]:
    """What a capture of a model of this one layer gives.

    Returns:
        The largest difference of its weights from the layer's own formula, that of its output from a plain run's, and
        whether a run afterwards gives to the bit what the one before gave.
    """
    x = torch.randn(1, 256, 512, device=device)
    with torch.no_grad():
        plain = model(x)
        trace = attncore.trace(model, x)
        after = model(x)
    worst = float(np.abs(np.asarray(trace[0].weights, np.float64) - layer.weights(x)).max())
    return worst, float((plain - trace.output).abs().max()), torch.equal(plain, after)


def hugging_face(device: str, only: str) -> Iterator[Check]:
    """Under SDPA and flex attention on the card, beside what the same weights return under eager attention there."""
    for name in ARCHITECTURES:
        for implementation in ("sdpa", "flex_attention"):
            what = f"{name}, {implementation}"
            if only not in what or implementation not in supported(name) or (name, implementation) in FAULTY:
                continue
            pair = [on_device(build(name, how), device) for how in ("eager", implementation)]
            try:
                inputs, own = _own_weights(pair[0], device)
                plain = _output(pair[1], inputs)
            except Exception as error:  # what fails without a capture says nothing about one
                print(f"{what} does not run without a capture either: {one_line(error)}")
                continue
            try:
                yield _hugging_face(what, pair[1], inputs, own, plain)
            except Exception as error:
                yield Check("hugging_face", what, False, one_line(error))


def _output(model: Any, inputs: dict[str, Any]) -> Any:
    """The output without a capture, flex attention by its Python source as during one."""
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        return model(**inputs)


def _hugging_face(what: str, model: Any, inputs: dict[str, Any], own: list[np.ndarray], plain: Any) -> Check:
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        trace = attncore.trace(model, attncore.Inputs(**inputs))
    same = all(torch.equal(a, b) for a, b in zip(_tensors(plain), _tensors(trace.output), strict=True))
    if not own:
        return Check("hugging_face", what, False, "the model returned no weights to compare with")
    rows = _unpadded(inputs)
    found = [np.asarray(layer.weights, np.float64) for layer in trace]
    worst = 0.0
    for reference in own:
        alike = [weights for weights in found if weights.shape == reference.shape]
        if not alike:
            return Check("hugging_face", what, False, f"no layer of shape {reference.shape} was captured")
        worst = max(worst, min(_difference(weights, reference, rows) for weights in alike))
    detail = f"{len(own)} layers, largest difference {worst:.1e}, output {'identical' if same else 'CHANGED'}"
    return Check("hugging_face", what, same and worst <= TOLERANCE, detail)


def _own_weights(eager: Any, device: str) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The first inputs that the model takes and all the weights that it returns."""
    failures = []
    for inputs in candidates(eager):
        given = {name: moved(device)(value) for name, value in inputs.items()}
        try:
            with torch.no_grad():
                output = eager(**given, output_attentions=True)
        except Exception as error:  # the next candidate may do
            failures.append(error)
            continue
        fields = [value for key, value in output.items() if key.endswith("attentions") and value]
        return given, [tensor.double().cpu().numpy() for field in fields for tensor in field if tensor is not None]
    raise failures[0]


def _tensors(output: Any) -> list[Tensor]:
    return [value for value in output.to_tuple() if isinstance(value, Tensor)]


def _unpadded(inputs: dict[str, Any]) -> np.ndarray | None:
    mask = inputs.get("attention_mask")
    return mask.cpu().numpy().astype(bool) if isinstance(mask, Tensor) and mask.dim() == 2 else None


def _difference(weights: np.ndarray, reference: np.ndarray, rows: np.ndarray | None) -> float:
    """The largest difference, without the rows of padding, which implementations fill in differently."""
    differences = np.abs(weights - reference)
    if rows is not None and rows.shape == (weights.shape[0], weights.shape[2]):
        differences = differences * rows[:, None, :, None]
    return float(differences.max())


def options(device: str, _only: str) -> Iterator[Check]:
    """Where things are held, gradients by the fused kernel, files, pictures, and the random numbers of the card."""
    for what, trial in {
        'device="cpu" holds query and key there': _held_elsewhere,
        "one head is read without the others being copied": _reading,
        "grad=True by the fused kernel equals autograd's": _gradient,
        "the trace is saved, loaded and drawn": _files,
        "a generation with a static cache": _generation,
        "dropout draws the same numbers, and the card's random state is as without a capture": _random_state,
        "autocast": _autocast,
    }.items():
        try:
            yield Check("options", what, *trial(device))
        except Exception as error:
            yield Check("options", what, False, one_line(error))


def _pair(device: str, **settings: Any) -> tuple[Layer, Tensor]:
    torch.manual_seed(0)
    return Layer(**settings).to(device), torch.randn(2, 64, 512, device=device)


def _held_elsewhere(device: str) -> tuple[bool, str]:
    layer, x = _pair(device)
    here, there = attncore.trace(layer, x), attncore.trace(layer, x, device="cpu", keep="qk", dtype="bfloat16")
    worst = float(np.abs(np.asarray(here[0].weights) - np.asarray(there[0].weights)).max())
    kinds = (type(here[0].query).__name__, type(there[0].query).__name__)
    return worst <= 1e-6 and kinds[1] == "ndarray", f"{kinds[0]} and {kinds[1]}, largest difference {worst:.1e}"


def _reading(device: str) -> tuple[bool, str]:
    layer, x = _pair(device, causal=True)
    trace = attncore.trace(layer, x, keep="qk")
    row = trace[0].weights[1, 3, 40]
    worst = float(np.abs(row - layer.weights(x)[1, 3, 40]).max())
    return worst <= 1e-5, f"{trace[0].query!r}, largest difference {worst:.1e}"


def _gradient(device: str) -> tuple[bool, str]:
    layer, x = _pair(device)
    with attncore.capture(layer, grad=True) as session:
        session(x).square().sum().backward()
    found = np.asarray(session.trace()[0].weights_grad, np.float64)
    q, k, v = layer.split(x)
    weights = (q @ k.transpose(-1, -2) / 8).softmax(-1)
    weights.retain_grad()
    (weights @ v).transpose(1, 2).flatten(2).square().sum().backward()
    own = weights.grad
    assert own is not None
    reference = own.double().cpu().numpy()
    worst = float(np.abs(found - reference).max() / np.abs(reference).max())
    return worst <= 1e-4, f"largest difference {worst:.1e} of the largest gradient"


def _files(device: str) -> tuple[bool, str]:
    layer, x = _pair(device)
    trace = attncore.trace(layer, x)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "card.attn.safetensors"
        trace.save(file)
        loaded = attncore.load(file)
        worst = float(np.abs(np.asarray(loaded[0].weights) - np.asarray(trace[0].weights)).max())
        page = Path(folder) / "card.html"
        trace.render("d3").save(page)
        text = str(trace.render("terminal", view="head"))
        return worst <= 1e-6 and page.stat().st_size > 10_000 and len(text) > 100, f"largest difference {worst:.1e}"


def _generation(device: str) -> tuple[bool, str]:
    config = transformers.LlamaConfig(
        hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=100, pad_token_id=0, bos_token_id=1, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    model = on_device(transformers.LlamaForCausalLM(config).train(False), device)
    ids = torch.randint(3, 100, (1, 6), device=device)
    settings: dict[str, Any] = {"max_new_tokens": 5, "do_sample": False, "cache_implementation": "static"}
    plain = model.generate(ids, **settings)
    with attncore.capture(model) as session:
        captured = model.generate(ids, **settings)
    trace = session.trace()
    whole = copy.deepcopy(model)
    whole.set_attn_implementation("eager")
    with torch.no_grad():
        own = whole(captured[:, :-1], output_attentions=True).attentions[0].double().cpu().numpy()
    found = np.asarray(trace[0].weights, np.float64)
    if found.shape != own.shape:
        return False, f"shape {found.shape}, {own.shape} expected"
    worst = float(np.abs(found - own).max())
    return worst <= TOLERANCE and torch.equal(plain, captured), f"{found.shape}, largest difference {worst:.1e}"


def _random_state(device: str) -> tuple[bool, str]:
    model = nn.TransformerEncoderLayer(64, 4, 64, dropout=0.5, batch_first=True).to(device).train()
    x = torch.randn(2, 16, 64, device=device)
    results: list[tuple[Tensor, Tensor]] = []
    runs: tuple[Callable[[], Any], ...] = (lambda: model(x), lambda: attncore.trace(model, x).output)
    for run in runs:
        torch.manual_seed(1)
        results.append((run(), cuda.get_rng_state() if device == "cuda" else torch.get_rng_state()))
    return torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1]), ""


def _autocast(device: str) -> tuple[bool, str]:
    layer, x = _pair(device)
    with torch.no_grad(), torch.autocast(device, torch.bfloat16):
        plain = layer(x)
        trace = attncore.trace(layer, x)
        reference = layer.weights(x)
    worst = float(np.abs(np.asarray(trace[0].weights, np.float64) - reference).max())
    return torch.equal(plain, trace.output) and worst <= 1e-5, f"{trace[0].model_dtype}, largest difference {worst:.1e}"


def cost(device: str, _only: str) -> Iterator[Check]:
    """BERT-base size in float16: the plain SDPA forward, and with query and key kept, in alternating rounds."""
    config = transformers.BertConfig(max_position_embeddings=16384)
    config._attn_implementation = "sdpa"
    model = on_device(transformers.BertModel(config).half().train(False), device)
    for batch, length in ((1, 128), (1, 512), (1, 2048), (1, 8192), (16, 512)):
        ways = _ways(model, torch.randint(0, 1000, (batch, length), device=device))
        if length > 2048:  # the weights would take 38 GB
            del ways["weights"]
        times: dict[str, list[float]] = {name: [] for name in ways}
        with torch.no_grad():
            for _ in range(8):
                for name, way in ways.items():
                    times[name].append(_seconds(way))
        plain, *others = (statistics.median(times[name][2:]) for name in ways)
        ratios = ", ".join(f"{name} {other / plain:.2f} ×" for name, other in zip(list(ways)[1:], others, strict=True))
        detail = f"plain {plain * 1000:.1f} ms; {ratios}; query, key take {(others[0] - plain) * 1000:.1f} ms more"
        yield Check("cost", f"batch {batch}, {length:,} tokens", True, detail)


def _ways(model: Any, ids: Tensor) -> dict[str, Callable[[], Any]]:
    return {
        "plain": lambda: model(input_ids=ids),
        "query, key": lambda: attncore.trace(model, {"input_ids": ids}, keep="qk"),
        "weights": lambda: attncore.trace(model, {"input_ids": ids}, keep="weights"),
    }


def _seconds(way: Callable[[], Any]) -> float:
    synchronize: Callable[[], None] = cuda.synchronize if cuda.is_available() else lambda: None
    synchronize()
    start = time.perf_counter()
    result = way()
    synchronize()
    seconds = time.perf_counter() - start
    del result
    return seconds


PARTS: dict[str, Callable[[str, str], Iterator[Check]]] = {
    "cases": cases,
    "kernels": kernels,
    "hugging_face": hugging_face,
    "options": options,
    "cost": cost,
}
