"""Write docs/page-benchmark.md from the committed results of `page.py` and `peers.py`.

Usage: ``python benchmarks/page_report.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "page.json"
PEERS = HERE / "results" / "peers.json"
REPORT = HERE.parent / "docs" / "page-benchmark.md"
# What each figure is wanted to be at most, in the unit of the figure.
WANTED = {
    "size": {128: 3.0, 512: 16.0, 1024: 24.0, 4096: 32.0},
    "write": {512: 3.0},
    "head view drawn": {16: 0.25, 128: 0.4, 512: 1.0},
    "model view drawn": {16: 0.3, 128: 0.8},
    "switch layer": {128: 50.0},
    "hover a token": {128: 16.0, 1024: 33.0},
}
TITLES = {"bertviz": "BertViz", "circuitsvis": "CircuitsVis", "treescope": "treescope", "attncore": "attncore"}
OTHER_CLOCK = "attncore, by the peers' clock"
_HEADING = ["| what | tokens | median | worst | of | wanted | |", "|---|---|---|---|---|---|---|"]
_DIGITS = {"s": 2, "ms": 1, "MB": 2}


def table(figures: Sequence[dict[str, Any]], *, heading: bool = True) -> str:
    """The figures as a table in Markdown."""
    return "\n".join([*(_HEADING if heading else []), *(_row(figure) for figure in figures)])


def _row(figure: dict[str, Any]) -> str:
    unit, wanted = figure["unit"], figure["wanted"]
    value, worst = (number(figure[name], unit) for name in ("value", "worst"))
    return (
        f"| {figure['what']} | {figure['tokens']:,} | {value} | {worst} | {figure['rounds']} | "
        f"{bound(wanted, unit)} | {verdict(figure['value'], wanted)} |"
    )


def number(value: float, unit: str) -> str:
    """A figure with its unit, in no more digits than it is worth."""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.{_DIGITS[unit]}f} {unit}"


def bound(wanted: float | None, unit: str) -> str:
    """What is wanted, if anything is."""
    return "" if wanted is None else f"≤ {wanted:g} {unit}"


def verdict(value: float, wanted: float | None) -> str:
    """Whether the median is what is wanted."""
    return "" if wanted is None else "held" if value <= wanted else "**missed**"


def cell(figure: dict[str, Any] | None) -> str:
    """One tool's figure, or one or two words about why there is none; the page gives the reason in full."""
    if figure is None or "skipped" in figure:
        return "not run"
    if "fails" not in figure:
        return number(figure["value"], figure["unit"])
    return "none" if figure["fails"].startswith("its view") else "fails"


def side_by_side(result: dict[str, Any]) -> str:
    """What each tool takes for the same, as a table in Markdown."""
    cells = {(each["what"], each["tokens"], each["tool"]): each for each in result["figures"]}
    lines = [
        "| what | tokens | " + " | ".join(TITLES.values()) + " | wanted | |",
        "|---|---|" + "---|" * (len(TITLES) + 2),
    ]
    for what, tokens in dict.fromkeys((each["what"], each["tokens"]) for each in result["figures"]):
        ours, wanted = cells[what, tokens, "attncore"], WANTED[what].get(tokens)
        shown = " | ".join(cell(cells.get((what, tokens, tool))) for tool in TITLES)
        lines.append(
            f"| {what} | {tokens:,} | {shown} | {bound(wanted, ours['unit'])} | {verdict(ours['value'], wanted)} |"
        )
    return "\n".join(lines)


def failures(result: dict[str, Any]) -> list[str]:
    """Why a cell has no number, a line for each tool and reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for each in result["figures"]:
        reason = each.get("fails") or each.get("skipped")
        if reason:
            where = reasons.setdefault((TITLES.get(each["tool"], each["tool"]), reason), [])
            where.append(f"{each['what']} at {each['tokens']:,}")
    return [f"- {tool}: {', '.join(where)}: {reason}." for (tool, reason), where in reasons.items()]


def other_clock(result: dict[str, Any]) -> str:
    """Our page by the clock that is used for the others."""
    figures = [each for each in result["figures"] if each["tool"] == OTHER_CLOCK]
    return "; ".join(f"{each['what']} at {each['tokens']:,}: {cell(each)}" for each in figures)


def compared(result: dict[str, Any]) -> list[str]:
    """The part of the page that sets the tools side by side."""
    limits = result["limits"]
    return [
        "## Beside its peers",
        "",
        "The same weights, 12 layers of 12 heads, given to every tool and opened in the same headless Chromium, all "
        f"tools of a row in one run. Medians. Environment: {environment(result)}, no graphics card. Made by `python "
        "benchmarks/peers.py --write`.",
        "",
        side_by_side(result),
        "",
        *(["Why there is no number:", "", *failures(result), ""] if failures(result) else []),
        "How each is used, and how it is measured:",
        "",
        "- **BertViz**: `head_view` and `model_view`, the HTML that they return. **CircuitsVis**: `attention_heads`, "
        "for the head view with the 12 heads of one layer, otherwise with all 144, in its form that needs no network, "
        "without the causal mask. **treescope**: `render_array`, for the head view with sliders for layer and head, "
        "for the model view with all heads side by side. Theirs are maps where BertViz and attncore draw lines; it is "
        "the nearest that they have. Scripts that a page loads are served from this machine at once; BertViz gets "
        "jQuery 2.1.0 for the 2.0.0 that npm does not have.",
        "- *write* is from the weights in memory to the file on the disk. For attncore it is from query and key, and "
        "computing the weights counts.",
        "- *drawn* is from the start of the navigation, in a window of the browser that has been open for a second. A "
        "peer's picture stands at the first frame that begins when all its elements are there, nothing was drawn in "
        "the frame before, no gap between frames was longer than 50 ms, and none of that changes for another 200 ms, "
        "which do not count. attncore's stands at the first frame that begins after the page itself says that it "
        "draws no more. By the peers' clock attncore takes: "
        f"{other_clock(result)}.",
        "- *switch layer* is from the control's event to the first frame that begins when what was drawn for it at "
        "once is painted, *hover* from the mouse's event until the frame is painted in which it was answered; "
        "animations after it do not count. BertViz and attncore: the mouse over a token; CircuitsVis and treescope: "
        "over a cell, which shows one number.",
        f"- *fails* is a result: {limits['write_seconds']:g} s for one file, {limits['draw_seconds']:g} s for one "
        f"figure in the browser, {limits['gigabytes']:g} GB of memory for either. What broke a limit is not tried "
        "again at more tokens: *not run*.",
        "",
    ]


def environment(result: dict[str, Any]) -> str:
    """What the figures depend on, in words."""
    return ", ".join(f"{name} {value}" for name, value in result["environment"].items())


def own(result: dict[str, Any]) -> list[str]:
    """The part of the page about attncore alone."""
    return [
        "## attncore in detail",
        "",
        "A trace of 12 layers of 12 heads, captured as query and key: random, of unit variance, head_dim 64, without "
        "a causal mask. Such weights are broad and compress worse than a real model's; the lines of MiniLM are a real "
        f"model on a long English text. Environment: {environment(result)}, no graphics card. Made by `python "
        "benchmarks/page.py --write`.",
        "",
        table(result["figures"]),
        "",
        "- *write* is from the trace in memory to the file on the disk: the weights are computed, reduced, packed.",
        "- *drawn* is from the start of the navigation, by the page's clock, to the frame after the last drawing, "
        "each time in an empty profile and a window that has been open for a second: before that, the browser is still "
        "loading the window's own parts beside the page.",
        "- *switch layer* is from the change to the first frame that begins when nothing is being drawn any more, "
        "*hover* from the mouse's event until the frame is painted in which it was answered. Frames begin every "
        "16.7 ms. *until idle* is what the page itself says that it took.",
        "- *load* in the environment is how many processes wanted a processor: where it is more than the processors, "
        "others were at work and the times are too long.",
    ]


def report(result: dict[str, Any], peers: dict[str, Any]) -> str:
    """The page, every figure from the results."""
    lines = [
        "# How large the page is, and how fast",
        "",
        "Written by `python benchmarks/page_report.py` from `benchmarks/results/peers.json` and "
        "`benchmarks/results/page.json`.",
        "",
        *compared(peers),
        *own(result),
    ]
    return "\n".join(lines) + "\n"


def text() -> str:
    """The page from the committed results."""
    return report(json.loads(RESULTS.read_text()), json.loads(PEERS.read_text()))


def write() -> None:
    """Writes the page anew."""
    REPORT.write_text(text())


if __name__ == "__main__":
    write()
