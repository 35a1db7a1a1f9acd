"""What a capture costs: paired with the plain forward and with Hugging Face's eager ``output_attentions``.

Each round runs every way once, in a random order, and the table shows medians of the ratios within rounds, so that
a machine that is slow for a while slows all of them, and none always runs after the one that leaves the most memory.
One of the ways is no capture but hooks and a function mode that only hold what the kernel is given.
Usage: ``python benchmarks/capture_cost.py [--memory-stays] [--write]``. With ``--memory-stays`` the C library keeps
all freed memory for the process in place of giving most of it back, as allocators made for such work do.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import platform
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from bare_capture import bare_capture

import attncore

RESULTS = Path(__file__).parent / "results" / "capture_cost.json"
# What glibc reads when a process starts.
MEMORY_STAYS = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 30)}
Way = Callable[[], Any]
# What is printed: the title, the figure, the width and the format.
COLUMNS = (
    ("model", "model", 10, ""),
    ("tokens", "tokens", 6, ""),
    ("plain ms", "plain_ms", 9, ".0f"),
    ("q,k", "qk_by_plain", 7, ".3f"),
    ("more ms", "qk_more_ms", 8, ".1f"),
    ("pages ms", "qk_fresh_memory_ms", 9, ".1f"),
    ("bare", "bare_by_plain", 7, ".3f"),
    ("q,k no v", "qk_without_v_by_plain", 9, ".3f"),
    ("weights", "weights_by_plain", 8, ".3f"),
    ("eager", "eager_by_plain", 7, ".3f"),
    ("weights/eager", "weights_by_eager", 14, ".3f"),
)


def build(name: str, length: int) -> tuple[Any, Any]:
    """The same random weights twice: with SDPA, as users run it, and with eager attention."""
    models = []
    for implementation in ("sdpa", "eager"):
        torch.manual_seed(0)
        if name == "bert-base":
            config = transformers.BertConfig(max_position_embeddings=max(512, length))
            config._attn_implementation = implementation
            models.append(transformers.BertModel(config).train(False))
        else:
            gpt2 = transformers.GPT2Config(n_positions=max(1024, length))
            gpt2._attn_implementation = implementation
            models.append(transformers.GPT2Model(gpt2).train(False))
    return models[0], models[1]


def ways_of(name: str, length: int) -> dict[str, Way]:
    """The ways to run the model that are compared."""
    sdpa, eager = build(name, length)
    torch.manual_seed(1)
    ids = torch.randint(0, 1000, (1, length))
    inputs = {"input_ids": ids, "use_cache": False} if name == "gpt2" else {"input_ids": ids}
    return {
        "plain": lambda: sdpa(**inputs),
        "bare hooks and mode": bare_capture(sdpa, inputs),
        "keep q,k": lambda: attncore.trace(sdpa, inputs, keep="qk"),
        "keep q,k without v": lambda: attncore.trace(sdpa, inputs, keep="qk", values=False),
        "keep weights": lambda: attncore.trace(sdpa, inputs, keep="weights"),
        "eager output_attentions": lambda: eager(**inputs, output_attentions=True),
    }


def measure(ways: dict[str, Way], rounds: int) -> tuple[dict[str, list[float]], dict[str, list[int]]]:
    """Seconds of each way in each round, and how many pages of memory it was first to touch."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    pages: dict[str, list[int]] = {name: [] for name in ways}
    order = random.Random(0)
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name in order.sample(list(ways), len(ways)):
            before, start = fresh_pages(), time.perf_counter()
            result = ways[name]()
            seconds[name].append(time.perf_counter() - start)
            pages[name].append(fresh_pages() - before)
            del result
    return seconds, pages


def fresh_pages() -> int:
    """How many pages the system has given to this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def seconds_of_a_page() -> float:
    """What it takes to get one page of memory from the system, beside writing to it."""
    size = 64 << 20
    with mmap.mmap(-1, size) as memory:
        filling = bytes(size)
        before = fresh_pages()
        times = []
        for _ in range(2):
            start = time.perf_counter()
            memory[:] = filling
            times.append(time.perf_counter() - start)
        return (times[0] - times[1]) / max(1, fresh_pages() - before)


def ratio(seconds: dict[str, list[float]], way: str, base: str) -> float:
    """The median over rounds of one way's time by another's."""
    return statistics.median(a / b for a, b in zip(seconds[way], seconds[base], strict=True))


def more_ms(seconds: dict[str, list[float]], way: str, base: str) -> float:
    """The median over rounds of how many milliseconds one way takes more than another."""
    return 1000 * statistics.median(a - b for a, b in zip(seconds[way], seconds[base], strict=True))


def row(model: str, length: int, rounds: int) -> dict[str, Any]:
    """One line of the table."""
    with torch.no_grad():
        seconds, pages = measure(ways_of(model, length), rounds)
    more_pages = statistics.mean(pages["keep q,k"]) - statistics.mean(pages["plain"])
    return {
        "model": model,
        "tokens": length,
        "plain_ms": 1000 * statistics.median(seconds["plain"]),
        "qk_by_plain": ratio(seconds, "keep q,k", "plain"),
        "qk_more_ms": more_ms(seconds, "keep q,k", "plain"),
        "bare_by_plain": ratio(seconds, "bare hooks and mode", "plain"),
        "qk_fresh_memory_ms": 1000 * more_pages * seconds_of_a_page(),
        "qk_without_v_by_plain": ratio(seconds, "keep q,k without v", "plain"),
        "weights_by_plain": ratio(seconds, "keep weights", "plain"),
        "eager_by_plain": ratio(seconds, "eager output_attentions", "plain"),
        "weights_by_eager": ratio(seconds, "keep weights", "eager output_attentions"),
    }


def rounds_of(length: int) -> int:
    """More rounds for shorter inputs, whose ratios are closer to 1 than single rounds are to each other."""
    return max(8, min(200, 48 * 512**2 // length**2))


def main() -> None:
    """Print the table; with ``--write`` also keep it for the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["bert-base", "gpt2"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[128, 512, 1024, 2048])
    parser.add_argument("--rounds", type=int, default=0, help="0: more rounds for shorter inputs")
    parser.add_argument("--memory-stays", action="store_true", help="let freed memory stay with the process")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.memory_stays and not MEMORY_STAYS.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **MEMORY_STAYS})
    rows = []
    print(" ".join(f"{title:>{width}}" for title, _, width, _ in COLUMNS))
    for model in arguments.models:
        for length in arguments.lengths:
            line = row(model, length, arguments.rounds or rounds_of(length))
            rows.append(line)
            print(" ".join(f"{line[key]:>{width}{kind}}" for _, key, width, kind in COLUMNS), flush=True)
    if arguments.write:
        environment = {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
            "threads": torch.get_num_threads(),
        }
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        which = "rows_memory_stays" if arguments.memory_stays else "rows"
        RESULTS.parent.mkdir(exist_ok=True)
        same = known.get("environment") == environment
        result = {"environment": environment, which: replaced(known.get(which, []) if same else [], rows)}
        RESULTS.write_text(json.dumps(known | result, indent=1) + "\n")


def replaced(known: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of an earlier run, those measured again in their places; each has its own ratios within rounds."""
    table = {(row["model"], row["tokens"]): row for row in [*known, *rows]}
    return list(table.values())


if __name__ == "__main__":
    main()
