"""Turn rows into the printed table, the committed result file and the page of the documentation."""

from __future__ import annotations

import collections
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence

from conformance_rows import Row, Status

STATUSES: tuple[Status, ...] = ("ok", "falls short", "no attention", "cannot be built here")
COLUMNS = (
    "Architecture",
    "Implementation",
    "Layers",
    "Shape",
    "Largest difference",
    "Output",
    "Reference",
    "Note",
)
PACKAGES = ("attncore", "torch", "transformers", "numpy", "timm", "x-transformers")
INTRODUCTION = """\
# Conformance

What attncore captures, compared with what each model really applies. This page is written by
`python benchmarks/conformance.py --write`; every figure is from that run.

Models are tiny and random: the default configuration of every base model in transformers' registry, shrunk by rule
(`benchmarks/hf_configs.py`), with inputs made by rule (`benchmarks/hf_inputs.py`): two items, the second padded on the
right. Each runs under `eager`, and with the same weights under `sdpa` and `flex_attention` where it supports them
(`flex_attention` uncompiled).

**Layers** is how many of the reference's layers were captured and agree, and after a plus sign the captured layers that
the model does not return itself, each checked against what was applied. **Shape** is that of the first layer:
batch, heads, query, key. **Largest difference** is over all layers and rows, in float32; under `sdpa` and
`flex_attention` it leaves out query rows without a key to attend to (padding), which implementations fill in
differently. The tolerance is 1e-5, times the largest attention score over 50 where that is more than 1, because
rounding grows with the scores. **Output** says whether every tensor that the model returns is bit-identical with
capture and without. A row also fails if hooks, configuration or random state are left changed.

**Reference** says what the weights were compared with:

- `own`: the model's `output_attentions`, by field name, after checking that these values are what multiplied the
  values; the check watches the operations that reach PyTorch's dispatcher and shares no code with attncore;
- `applied`: what that check saw, where a model returns nothing or something else under the name of attention: the note
  says what;
- `kernel`: the fused kernel's own weights, by giving it the identity as values, where a model's implementations differ
  from each other.

In the families other than Hugging Face, `own` stands for a reference of the case's own: the weights that the code
of the case (or `nn.MultiheadAttention`) returns, a plain re-implementation, or a log of every softmax that reaches the
dispatcher, with the math kernel for fused attention (`benchmarks/model_case.py`, `benchmarks/softmax_log.py`).

Where a layer is missing, the note adds what attncore itself reports about it (`trace.coverage`).
"""


def summary_lines(rows: Sequence[Row]) -> list[str]:
    """Counts by family, implementation and status."""
    counts = collections.Counter((row.family, row.implementation, row.status) for row in rows)
    lines = ["", "| Family | Implementation | " + " | ".join(STATUSES) + " |", "|---|---|" + "---|" * len(STATUSES)]
    for family, implementation in sorted({(row.family, row.implementation) for row in rows}):
        numbers = [str(counts[family, implementation, status]) for status in STATUSES]
        lines.append(f"| {family} | {implementation} | " + " | ".join(numbers) + " |")
    return lines


def table_lines(rows: Sequence[Row]) -> list[str]:
    """The rows as a Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    return lines + [line(row) for row in rows]


def line(row: Row) -> str:
    """One row of the table."""
    layers = f"{row.found}/{row.expected}" + (f" + {row.extra}" if row.extra else "")
    output = {True: "identical", False: "changed", None: ""}[row.identical]
    cells = (
        row.architecture,
        row.implementation,
        layers if row.expected or row.extra else "",
        " × ".join(map(str, row.shape)) if row.shape else "",
        "" if row.difference is None else f"{row.difference:.1e}" if row.difference else "0",
        output,
        row.reference,
        row.note.replace("|", "\\|").replace("<", "\\<"),
    )
    return "| " + " | ".join(cells) + " |"


def page(rows: Sequence[Row], environment: dict[str, str]) -> str:
    """The page of the documentation."""
    passed = {row.architecture for row in rows if row.status == "ok"}
    failed = {row.architecture for row in rows if row.status == "falls short"}
    parts = [INTRODUCTION]
    parts.append(
        f"{len(passed - failed)} architectures agree under every implementation that they run under, "
        f"{len(failed)} fall short under at least one."
    )
    parts += summary_lines(rows)
    parts.append("\nRun with " + ", ".join(f"{name} {version}" for name, version in environment.items()) + ".")
    titles = {
        "falls short": "Falls short",
        "ok": "Agrees",
        "no attention": "No attention, and none reported",
        "cannot be built here": "Cannot be built here",
    }
    for status, title in titles.items():
        chosen = [row for row in rows if row.status == status]
        if chosen:
            parts.append(f"\n## {title}\n")
            parts += table_lines(chosen)
    return "\n".join(parts) + "\n"


def environment_versions() -> dict[str, str]:
    """Python and the packages that the figures depend on."""
    versions = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    versions["machine"] = platform.machine()
    return versions


def write_results(rows: Sequence[Row], root: str, seconds: float) -> None:
    """Write benchmarks/results/conformance.json and docs/conformance.md."""
    environment = environment_versions()
    results = os.path.join(root, "benchmarks", "results")
    os.makedirs(results, exist_ok=True)
    os.makedirs(os.path.join(root, "docs"), exist_ok=True)
    content = {
        "environment": environment,
        "seconds": round(seconds),
        "rows": [row.as_dict() for row in rows],
    }
    with open(os.path.join(results, "conformance.json"), "w", encoding="utf-8") as file:
        file.write(one_row_a_line(content))
    with open(os.path.join(root, "docs", "conformance.md"), "w", encoding="utf-8") as file:
        file.write(page(rows, environment))


def one_row_a_line(content: dict[str, object]) -> str:
    """JSON with one row of the table to a line, so that a change of one row is a change of one line."""
    rows = content["rows"]
    assert isinstance(rows, list)
    lines = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in rows)
    head = json.dumps({key: value for key, value in content.items() if key != "rows"}, indent=2, ensure_ascii=False)
    return head[:-2] + ',\n  "rows": [\n' + lines + "\n  ]\n}\n"
