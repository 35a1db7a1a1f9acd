"""Write docs/gpu.md from the committed result of `gpu.py`: ``python benchmarks/gpu_report.py``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "gpu.json"
REPORT = HERE.parent / "docs" / "gpu.md"
TITLES = {
    "cases": "PyTorch: the cases of the conformance page, on the card",
    "kernels": "PyTorch: fused kernels in half precision",
    "hugging_face": "Hugging Face models on the card, beside their own eager weights",
    "options": "PyTorch: options, storage and pictures",
    "cost": "What a capture costs there",
    "jax": "JAX: the cases of the conformance page, on the card",
}
# Parts of which each line is worth reading; of the others, only what did not hold.
SHOWN = ("kernels", "hugging_face", "options", "cost")


@dataclass(frozen=True)
class Check:
    """One thing that was tried: whether it held, and by how much."""

    part: str
    what: str
    held: bool
    detail: str = ""

    @property
    def always_shown(self) -> bool:
        """Whether the line is worth printing when it held."""
        return self.part in SHOWN

    def line(self) -> str:
        """One line of the printed result."""
        return f"{'held' if self.held else 'NOT HELD'}  {self.part}: {self.what}  {self.detail}"


def report(result: dict[str, Any]) -> str:
    """The page, every figure from the result."""
    environment = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    lines = [
        "# On a graphics card",
        "",
        "Written by `python benchmarks/gpu_report.py` from `benchmarks/results/gpu.json`, which `python "
        "benchmarks/gpu.py --write` makes on a machine that has one. The tests know no graphics card: what this page "
        "says held on the day it was measured, in one run or in several (`--only`) on one kind of machine.",
        "",
        f"Environment: {environment}.",
    ]
    for part, title in TITLES.items():
        checks = [check for check in result["checks"] if check["part"] == part]
        if not checks:
            continue
        lines += ["", f"## {title}", "", _verdict(part, checks)]
        shown = [check for check in checks if part in SHOWN or not check["held"]]
        if shown:
            lines += ["", "| what | | |", "|---|---|---|", *(_row(check) for check in shown)]
    return "\n".join(lines) + "\n"


def _verdict(part: str, checks: list[dict[str, Any]]) -> str:
    """How many held; a cost has no bound that it could miss."""
    if part == "cost":
        return "Medians of alternating rounds; the plain forward is the same model without a capture."
    return f"{sum(check['held'] for check in checks)} of {len(checks)} held."


def _row(check: dict[str, Any]) -> str:
    detail = check["detail"].replace("|", "\\|").replace("\n", " ").replace("<", "\\<")
    held = "" if check["part"] == "cost" else "held" if check["held"] else "**not held**"
    return f"| {check['what']} | {held} | {detail} |"


if __name__ == "__main__":
    REPORT.write_text(report(json.loads(RESULTS.read_text())))
