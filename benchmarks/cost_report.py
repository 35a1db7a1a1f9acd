"""Write docs/cost.md from the committed results of `capture_cost.py` and `long_input.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "cost.md"


def loaded(name: str) -> Any:
    """One committed result."""
    return json.loads((HERE / "results" / name).read_text())


def page(cost: Any, long_input: Any) -> str:
    """The page, every figure from the results."""
    environment = ", ".join(f"{name} {value}" for name, value in cost["environment"].items())
    lines = [
        "# What a capture costs",
        "",
        "Written by `python benchmarks/cost_report.py` from `benchmarks/results/`, which `python "
        "benchmarks/capture_cost.py --write` and `python benchmarks/long_input.py --write` make.",
        "",
        "Each figure is the median over rounds of one way's time by another's in the same round, batch 1, random "
        f'weights. Environment: {environment}. `query, key` is `keep="qk"`, `weights` is `keep="weights"`, both '
        "with the values and over the plain SDPA forward; `eager` is the same model under eager attention with "
        "`output_attentions=True`.",
        "",
        "| model | tokens | plain SDPA forward | query, key | the same, no values | weights | eager | "
        "weights by eager |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in cost["rows"]:
        lines.append(
            f"| {row['model']} | {row['tokens']} | {row['plain_ms']:.0f} ms | {row['qk_by_plain']:.2f} × | "
            f"{row['qk_without_v_by_plain']:.2f} × | {row['weights_by_plain']:.2f} × | {row['eager_by_plain']:.2f} × | "
            f"{row['weights_by_eager']:.2f} × |"
        )
    lines += [
        "",
        "A capture has a fixed cost of about a hundredth of a second for twelve layers: the function mode sees every "
        "operation, and the hooks are put on and taken off. It shows where the forward itself is short.",
        "",
        f"A long input: at {long_input['tokens']:,} tokens, 12 layers of 12 heads, query and key hold "
        f"{long_input['query_and_key_mb']:,.0f} MB, where the weights would be {long_input['weights_in_full_mb']:,.0f} "
        f"MB; one row of one head is read in {long_input['row_ms']:.2f} ms.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(loaded("capture_cost.json"), loaded("long_input.json")))
