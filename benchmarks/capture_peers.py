"""What a capture costs beside transformer-lens and nnsight, each in an environment of its own.

Every way runs once a round, in a changing order, on the same random weights, in one process for each peer; the table
shows medians of the ratios to the plain SDPA forward within rounds.

Usage: ``python benchmarks/capture_peers.py [--lengths 128 512] [--environments FOLDER] [--write]``. It takes about ten
minutes; what does not finish within its time and memory is shown as failed, with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from capture_cost import Way, measure, ratio
from peers_bounded import bounded
from peers_environment import ENVIRONMENTS, pinned, python_of

import attncore

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "capture_peers.json"
PEERS = ("transformer-lens", "nnsight")
MODELS = {"bert-base": "google-bert/bert-base-uncased", "gpt2": "openai-community/gpt2"}
SECONDS, GIGABYTES = 900.0, 12.0
WAYS = ("keep q,k", "keep weights", "eager output_attentions")


def build(name: str, implementation: str) -> Any:
    """A random model with its language-modelling head, which transformer-lens needs; the same weights each time."""
    torch.manual_seed(0)
    if name == "bert-base":
        config: Any = transformers.BertConfig(max_position_embeddings=1024, architectures=["BertForMaskedLM"])
    else:
        config = transformers.GPT2Config(use_cache=False, architectures=["GPT2LMHeadModel"])
    config._attn_implementation = implementation
    make = transformers.BertForMaskedLM if name == "bert-base" else transformers.GPT2LMHeadModel
    return make(config).train(False)


def transformer_lens_way(name: str, ids: Any) -> Way:
    """A bridge around the eager model, with the patterns of all layers in the cache."""
    from tokenizers import Tokenizer, models

    # It wants a tokenizer and would fetch one; this one is never used.
    fast: Any = transformers.PreTrainedTokenizerFast
    words = fast(
        tokenizer_object=Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1}, unk_token="[UNK]")),
        unk_token="[UNK]",
        pad_token="[PAD]",
    )
    bridge = import_module("transformer_lens.model_bridge").TransformerBridge.boot_transformers(
        MODELS[name], hf_model=build(name, "eager"), tokenizer=words, device="cpu"
    )

    def run() -> list[Any]:
        _, cache = bridge.run_with_cache(ids, names_filter=lambda hook: hook.endswith("hook_pattern"))
        return [cache[f"blocks.{layer}.attn.hook_pattern"] for layer in range(12)]

    return run


def nnsight_way(name: str, ids: Any) -> Way:
    """The eager model traced, and the weights that each attention module returns saved."""
    model = import_module("nnsight").NNsight(build(name, "eager"))

    def bert() -> list[Any]:
        saved = []
        with model.trace(ids):
            for layer in model.bert.encoder.layer:
                saved.append(layer.attention.self.output[1].save())
        return saved

    def gpt2() -> list[Any]:
        saved = []
        with model.trace(ids):
            for layer in model.transformer.h:
                saved.append(layer.attn.output[1].save())
        return saved

    return bert if name == "bert-base" else gpt2


def ways_of(peer: str, name: str, length: int) -> dict[str, Way]:
    """The ways to run the model that are compared."""
    torch.manual_seed(1)
    # Without the tokenizer's two special ids, one of which is padding.
    ids = torch.randint(2, 1000, (1, length))
    sdpa, eager = build(name, "sdpa"), build(name, "eager")
    make = transformer_lens_way if peer == "transformer-lens" else nnsight_way
    return {
        "plain": lambda: sdpa(ids),
        "keep q,k": lambda: attncore.trace(sdpa, {"input_ids": ids}, keep="qk"),
        "keep weights": lambda: attncore.trace(sdpa, {"input_ids": ids}, keep="weights"),
        "eager output_attentions": lambda: eager(ids, output_attentions=True),
        peer: make(name, ids),
    }


def differences(ways: dict[str, Way], peer: str) -> dict[str, float]:
    """How far each way's weights are from the model's own under eager, at most over all layers."""
    own = ways["eager output_attentions"]().attentions
    peers = ways[peer]()
    if len(peers) != len(own):
        raise RuntimeError(f"{peer} gave the weights of {len(peers)} layers, and the model has {len(own)}")
    kept = ways["keep weights"]()
    ours = [torch.from_numpy(layer.weights[:]) for layer in kept]
    pairs = {peer: peers, "keep weights": ours}
    return {
        way: max(float((one - other).abs().max()) for one, other in zip(own, found, strict=True))
        for way, found in pairs.items()
    }


def row(peer: str, name: str, length: int, rounds: int) -> dict[str, Any]:
    """One line of the table."""
    with torch.no_grad():
        ways = ways_of(peer, name, length)
        away = differences(ways, peer)
        seconds, _ = measure(ways, rounds)
    return {
        "peer": peer,
        "model": name,
        "tokens": length,
        "rounds": rounds,
        "plain_ms": 1000 * statistics.median(seconds["plain"]),
        "by_plain": {way: ratio(seconds, way, "plain") for way in (*WAYS, peer)},
        "difference": away,
    }


def measured_apart(peer: str, name: str, length: int, options: argparse.Namespace) -> dict[str, Any]:
    """One line, from a process in the peer's environment."""
    python = python_of(peer, options.environments.resolve())
    command: list[str | Path] = [python, __file__, "--inside", peer, "--models", name, "--lengths", str(length)]
    outcome = bounded([*command, "--rounds", str(options.rounds)], SECONDS, GIGABYTES)
    if outcome.fails:
        return {"peer": peer, "model": name, "tokens": length, "fails": outcome.fails}
    # Libraries print too; the result is the last line.
    found: dict[str, Any] = json.loads(outcome.printed.splitlines()[-1])
    return found


def shown(line: dict[str, Any]) -> str:
    """One line as text."""
    start = f"{line['peer']:17} {line['model']:10} {line['tokens']:6}"
    if "fails" in line:
        return f"{start} fails: {line['fails']}"
    ratios = " ".join(f"{line['by_plain'][way]:8.3f}" for way in (*WAYS, line["peer"]))
    return f"{start} {line['plain_ms']:8.0f} ms {ratios}   differs by {max(line['difference'].values()):.1e}"


def main() -> None:
    """Print the table; with ``--write`` also keep it for the docs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--lengths", nargs="+", type=int, default=[128, 512, 1024])
    parser.add_argument("--rounds", type=int, default=0, help="0: more rounds for shorter inputs")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--inside", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    if options.inside:
        length = options.lengths[0]
        print(json.dumps(row(options.inside, options.models[0], length, options.rounds or max(7, 4096 // length))))
        return
    rows = []
    print(
        f"{'beside':17} {'model':10} {'tokens':>6} {'plain':>11} "
        + " ".join(f"{way[:8]:>8}" for way in (*WAYS, "peer"))
    )
    for peer in PEERS:
        for name in options.models:
            for length in options.lengths:
                rows.append(measured_apart(peer, name, length, options))
                print(shown(rows[-1]), flush=True)
    environment = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
    }
    print(", ".join(f"{name} {value}" for name, value in environment.items()))
    if options.write:
        result = {"environment": environment, "peers": pinned(*PEERS), "rows": rows}
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
