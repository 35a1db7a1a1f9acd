"""Write docs/cost-jax-tensorflow.md from the committed result of `program_cost.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent / "results" / "program_cost.json"
PAGE = Path(__file__).parent.parent / "docs" / "cost-jax-tensorflow.md"
PAGE_TEXT = """# What a capture costs in JAX and TensorFlow

Written by `python benchmarks/program_cost.py --write`: an encoder of 12 layers of 12 heads × 64 under `jax.jit` and
`tf.function`, plainly and captured with `keep="qk", values=False`, in turns in one process; {about}.

{table}

The first call traces and compiles; a captured one also looks for the attention. Both are kept for the next call of the
same shapes. What PyTorch costs is in [cost.md](cost.md).
"""


class Measured(NamedTuple):
    """Seconds: medians of a plain and of a captured run, the first of each, and the spread of the ratios."""

    framework: str
    length: int
    plain: float
    captured: float
    first_plain: float
    first_captured: float
    quartiles: tuple[float, float]

    @property
    def ratio(self) -> float:
        """Captured by plain."""
        return self.captured / self.plain


def table(measured: list[Measured]) -> str:
    """A row for each framework and length."""
    rows = [
        "| framework | tokens | plain | captured | ratio | its middle half | first plain call | first captured call |",
        "|---|---:|---:|---:|---:|---|---:|---:|",
    ]
    for one in measured:
        low, high = one.quartiles
        rows.append(
            f"| {one.framework} | {one.length:,} | {one.plain * 1e3:.0f} ms | {one.captured * 1e3:.0f} ms | "
            f"{one.ratio:.2f} | {low:.2f} to {high:.2f} | {one.first_plain:.1f} s | {one.first_captured:.1f} s |"
        )
    return "\n".join(rows)


def page(result: dict[str, Any]) -> str:
    """The page of the documentation, every figure from the result."""
    measured = [Measured(**row) for row in result["rows"]]
    return PAGE_TEXT.format(about=result["about"], table=table(measured))


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RESULTS.read_text())), encoding="utf-8")
