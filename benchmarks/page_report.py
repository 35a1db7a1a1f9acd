"""Write docs/page-benchmark.md from the committed result of `page.py`: ``python benchmarks/page_report.py``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "page.json"
REPORT = HERE.parent / "docs" / "page-benchmark.md"
_HEADING = ["| what | tokens | median | worst | of | wanted | |", "|---|---|---|---|---|---|---|"]
_DIGITS = {"s": 2, "ms": 1, "MB": 2}


def table(figures: Sequence[dict[str, Any]], *, heading: bool = True) -> str:
    """The figures as a table in Markdown."""
    return "\n".join([*(_HEADING if heading else []), *(_row(figure) for figure in figures)])


def _row(figure: dict[str, Any]) -> str:
    unit, wanted = figure["unit"], figure["wanted"]
    digits = _DIGITS[unit]
    value, worst = (f"{figure[name]:.{digits}f} {unit}" for name in ("value", "worst"))
    bound = "" if wanted is None else f"≤ {wanted:g} {unit}"
    verdict = "" if wanted is None else "held" if figure["value"] <= wanted else "**missed**"
    return f"| {figure['what']} | {figure['tokens']:,} | {value} | {worst} | {figure['rounds']} | {bound} | {verdict} |"


def report(result: dict[str, Any]) -> str:
    """The page, every figure from the result."""
    environment = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    lines = [
        "# How large the page is, and how fast",
        "",
        "Written by `python benchmarks/page_report.py` from `benchmarks/results/page.json`, which `python "
        "benchmarks/page.py --write` makes.",
        "",
        "A trace of 12 layers of 12 heads, captured as query and key: random, of unit variance, head_dim 64, without "
        "a causal mask. Such weights are broad and compress worse than a real model's; the lines of MiniLM are a real "
        f"model on a long English text. Environment: {environment}, no graphics card.",
        "",
        table(result["figures"]),
        "",
        "- *write* is from the trace in memory to the file on the disk: the weights are computed, reduced, packed.",
        "- *drawn* is from the start of the navigation, by the page's clock, to the frame after the last drawing, "
        "each time in an empty profile.",
        "- *switch layer* and *hover* are from the change or the mouse's event to the first frame that begins when "
        "nothing is being drawn any more; *until idle* is what the page itself took of it.",
        "- *load* in the environment is how many processes wanted a processor: where it is more than the processors, "
        "others were at work and the times are too long.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    REPORT.write_text(report(json.loads(RESULTS.read_text())))
