"""Write the README's table of measured figures from the committed results: ``python benchmarks/readme_table.py``.

What stands between the two comments in README.md is replaced; the rest is left as it is.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from cost_report import loaded
from page_report import PEERS, TITLES, cell

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- benchmark table: begin -->", "<!-- benchmark table: end -->"
# The name in the README, and the figure.
_ROWS = (
    ("one file, 128 tokens", "size", 128),
    ("one file, 512 tokens", "size", 512),
    ("writing it, 512 tokens", "write", 512),
    ("head view on the screen, 16 tokens", "head view drawn", 16),
    ("head view on the screen, 128 tokens", "head view drawn", 128),
    ("head view on the screen, 512 tokens", "head view drawn", 512),
    ("model view on the screen, 128 tokens", "model view drawn", 128),
    ("switching the layer, 128 tokens", "switch layer", 128),
    ("hovering over a token, 128 tokens", "hover a token", 128),
    ("hovering over a token, 1,024 tokens", "hover a token", 1024),
)


def page_lines(result: dict[str, Any]) -> list[str]:
    """What the page takes beside its peers; a figure that the run did not measure is left out."""
    cells = {(each["what"], each["tokens"], each["tool"]): each for each in result["figures"]}
    lines = [f"| 12 layers of 12 heads | {' | '.join(TITLES.values())} |", "|---|" + "---|" * len(TITLES)]
    for title, what, tokens in _ROWS:
        if (what, tokens, "attncore") in cells:
            lines.append(f"| {title} | {' | '.join(cell(cells.get((what, tokens, tool))) for tool in TITLES)} |")
    versions = ", ".join(f"{TITLES[tool]} {result['environment'][tool]}" for tool in TITLES if tool != "attncore")
    limits = result["limits"]
    skipped = " *not run*: it failed with fewer tokens;" if any("not run" in line for line in lines) else ""
    return [
        *lines,
        "",
        f"Medians in headless Chromium {result['environment']['chromium']} on {result['environment']['processors']} "
        f"cores, {versions}. *fails*: not within {limits['write_seconds']:g} s for a file, "
        f"{limits['draw_seconds']:g} s in the browser, or {limits['gigabytes']:g} GB of memory;{skipped} *none*: it "
        "has no such control. How each was used and measured: [page benchmark](docs/page-benchmark.md); `python "
        "benchmarks/peers.py --write` runs it.",
    ]


def capture_lines(result: dict[str, Any]) -> list[str]:
    """What captures cost, over the lengths of one model, in ratios to the plain forward."""
    rows = [row for row in result["rows"] if "fails" not in row]
    lengths = list(dict.fromkeys(row["tokens"] for row in rows))
    titles = {
        "keep q,k": "attncore, query and key",
        "keep weights": "attncore, weights",
        "eager output_attentions": "Hugging Face eager, `output_attentions`",
        "transformer-lens": "transformer-lens, patterns",
        "nnsight": "nnsight, weights",
    }
    lines = [
        "| time of a forward, plain SDPA = 1 | " + " | ".join(f"{length:,} tokens" for length in lengths) + " |",
        "|---|" + "---|" * len(lengths),
    ]
    for way, title in titles.items():
        shown = []
        for length in lengths:
            found = [row["by_plain"][way] for row in rows if row["tokens"] == length and way in row["by_plain"]]
            shown.append(f"{statistics.median(found):.2f}" if found else "fails")
        lines.append(f"| {title} | {' | '.join(shown)} |")
    versions = ", ".join(f"{name} {value}" for name, value in result["peers"].items())
    models = " and ".join(dict.fromkeys(row["model"] for row in rows))
    return [
        *lines,
        "",
        f"Medians over {models} on the CPU; {versions}, torch {result['environment']['torch']}. Each row of it: "
        "[cost](docs/cost.md); `python benchmarks/capture_peers.py --write` runs it.",
    ]


def block() -> str:
    """What stands between the comments."""
    page = page_lines(json.loads(PEERS.read_text()))
    peers = loaded("capture_peers.json")
    return "\n".join(["", *page, "", *([*capture_lines(peers), ""] if peers else [])])


def updated(readme: str) -> str:
    """The README with the block of today's results.

    Raises:
        ValueError: the comments are not there, once each and in this order.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"README.md needs the comments {BEGIN} and {END}, once each, around the table")
    return f"{before}{begin}\n{block()}\n{end}{after}"


if __name__ == "__main__":
    README.write_text(updated(README.read_text()))
