"""Write docs/cost.md from the committed results of `capture_cost.py`, `capture_peers.py` and `long_input.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "cost.md"


def loaded(name: str) -> Any:
    """One committed result; None where it was not measured yet."""
    file = HERE / "results" / name
    return json.loads(file.read_text()) if file.exists() else None


def environment_of(result: Any) -> str:
    """What the figures depend on, in words."""
    return ", ".join(f"{name} {value}" for name, value in result["environment"].items())


def peers_table(result: Any) -> list[str]:
    """A line for each peer, model and length."""
    lines = [
        "| beside | model | tokens | plain SDPA forward | attncore, query, key | attncore, weights | eager | "
        "the peer | the peer's weights and ours, from eager's |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        start = f"| {row['peer']} | {row['model']} | {row['tokens']:,} |"
        if "fails" in row:
            lines.append(f"{start} fails: {row['fails']} | | | | | |")
            continue
        ways = ("keep q,k", "keep weights", "eager output_attentions", row["peer"])
        ratios = " | ".join(f"{row['by_plain'][way]:.2f} ×" for way in ways)
        away = " and ".join(f"{row['difference'][way]:.0e}" for way in (row["peer"], "keep weights"))
        lines.append(f"{start} {row['plain_ms']:.0f} ms | {ratios} | {away} |")
    return lines


def peers_section(result: Any) -> list[str]:
    """What transformer-lens and nnsight cost for the same."""
    versions = ", ".join(f"{name} {value}" for name, value in result["peers"].items())
    return [
        "## Beside transformer-lens and nnsight",
        "",
        "The same way of measuring, each peer in an environment of its own with the same torch and transformers, and "
        "attncore measured again there. The models have their language-modelling heads, which transformer-lens needs. "
        "transformer-lens is its bridge around the model, caching the pattern of every layer; nnsight traces the eager "
        "model and saves what each attention module returns as weights. Both get the weights of all layers, and "
        "nothing else. The last column is the largest difference from the weights that the eager model returns. "
        f"Environment: {versions}, {environment_of(result)}. Made by `python benchmarks/capture_peers.py --write`.",
        "",
        *peers_table(result),
        "",
    ]


def vectors_table(rows: Any) -> list[str]:
    """What query and key cost: a line for each model and length."""
    lines = [
        "| model | tokens | plain SDPA forward | query, key | without values | more than plain | of it fresh memory | "
        "bare hooks and mode |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['model']} | {row['tokens']:,} | {row['plain_ms']:.0f} ms | {row['qk_by_plain']:.3f} × | "
            f"{row['qk_without_v_by_plain']:.3f} × | {row['qk_more_ms']:.1f} ms | "
            f"{max(0.0, row['qk_fresh_memory_ms']):.1f} ms | {row['bare_by_plain']:.3f} × |"
        )
    return lines


def weights_table(rows: Any) -> list[str]:
    """What all weights cost, of the same runs."""
    lines = ["| model | tokens | weights | eager | weights by eager |", "|---|---|---|---|---|"]
    for row in rows:
        lines.append(
            f"| {row['model']} | {row['tokens']:,} | {row['weights_by_plain']:.3f} × | {row['eager_by_plain']:.3f} × | "
            f"{row['weights_by_eager']:.3f} × |"
        )
    return lines


def memory_section(rows: Any) -> list[str]:
    """The same where freed memory stays with the process."""
    return [
        "## Where freed memory stays",
        "",
        "More freed memory than these 32 MB glibc gives back to the system at once, and the next layer, or the next "
        "call, has to ask for it again, which costs eager attention most. Allocators made for such work, tcmalloc and "
        "jemalloc, keep freed memory for a while; so does glibc with "
        "`MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` set high, which is how this table was made: `python "
        "benchmarks/capture_cost.py --memory-stays --write`.",
        "",
        *vectors_table(rows),
        "",
        "And all weights, in the same rounds:",
        "",
        *weights_table(rows),
        "",
    ]


def page(cost: Any, peers: Any, long_input: Any) -> str:
    """The page, every figure from the results."""
    lines = [
        "# What a capture costs",
        "",
        "Written by `python benchmarks/cost_report.py` from `benchmarks/results/`, which `python "
        "benchmarks/capture_cost.py --write`, `python benchmarks/capture_peers.py --write` and `python "
        "benchmarks/long_input.py --write` make.",
        "",
        "Each figure is the median over rounds of one way's time by another's in the same round, batch 1, random "
        f"weights. Environment: {environment_of(cost)}. "
        '`query, key` is `keep="qk"`, `weights` is `keep="weights"`, both '
        "with the values and over the plain SDPA forward; `eager` is the same model under eager attention with "
        "`output_attentions=True`.",
        "",
        *vectors_table(cost["rows"]),
        "",
        "And all weights, in the same rounds:",
        "",
        *weights_table(cost["rows"]),
        "",
        "A capture has a fixed cost, whatever the length: the function mode sees the operations up to each block's "
        "last attention, and the hooks are put on and taken off. At 128 tokens it is nearly all that *more than plain* "
        "says; at greater lengths memory comes on top, and longer inputs have fewer rounds, so that a few percent "
        "there are noise. *Bare hooks and mode* is no capture: hooks on the same modules and a function mode, on for "
        "the whole call, that hold what the kernel is given, and name, follow and check nothing. *Fresh memory* is "
        "what the system takes to hand out the pages for what is kept, more than it does for the plain "
        "forward, which uses its memory again: the same for any tool that keeps the tensors. It depends on the machine "
        "and on what the allocator gave back before. So that short inputs need none, the first capture of a process "
        "lets glibc keep up to 32 MB of freed memory; this stays so, for the plain forward too.",
        "",
        *memory_section(cost["rows_memory_stays"]),
        *(peers_section(peers) if peers else []),
        "## A long input",
        "",
        f"At {long_input['tokens']:,} tokens, 12 layers of 12 heads, query and key hold "
        f"{long_input['query_and_key_mb']:,.0f} MB, where the weights would be {long_input['weights_in_full_mb']:,.0f} "
        f"MB; one row of one head is read in {long_input['row_ms']:.2f} ms.",
    ]
    return "\n".join(lines) + "\n"


def text() -> str:
    """The page from the committed results."""
    return page(loaded("capture_cost.json"), loaded("capture_peers.json"), loaded("long_input.json"))


if __name__ == "__main__":
    PAGE.write_text(text())
