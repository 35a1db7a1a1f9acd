"""The pages with measured figures are what the reports make of the committed results: no figure is typed in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import conformance_report
import cost_report
import environment_report
import gpu_report
import mutation
import page_report
import program_cost_report
import pytest
import readme_table
from conformance_rows import Row
from peers_kept import Kept

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def test_the_pages_benchmark_is_its_results() -> None:
    """docs/page-benchmark.md, from page.json and peers.json."""
    assert page_report.REPORT.read_text() == page_report.text()


def test_the_cost_page_is_its_results() -> None:
    """docs/cost.md, from capture_cost.json, capture_peers.json and long_input.json."""
    assert cost_report.PAGE.read_text() == cost_report.text()


def test_the_cost_page_of_jax_and_tensorflow_is_its_results() -> None:
    """docs/cost-jax-tensorflow.md, from program_cost.json."""
    results = program_cost_report.RESULTS
    assert program_cost_report.PAGE.read_text() == program_cost_report.page(json.loads(results.read_text()))


def test_the_conformance_page_is_its_results() -> None:
    """docs/conformance.md, from conformance.json."""
    result = json.loads((RESULTS / "conformance.json").read_text())
    rows = [Row(**{**row, "shape": tuple(row["shape"]) if row["shape"] else row["shape"]}) for row in result["rows"]]
    assert (ROOT / "docs" / "conformance.md").read_text() == conformance_report.page(rows, result["environment"])


def test_the_page_of_graphics_cards_is_its_results() -> None:
    """docs/gpu.md, from gpu.json."""
    assert gpu_report.REPORT.read_text() == gpu_report.report(json.loads(gpu_report.RESULTS.read_text()))


def test_the_page_of_environments_is_its_results() -> None:
    """docs/environments.md, from environments.json."""
    results = json.loads((ROOT / "tools" / "results" / "environments.json").read_text())["rows"]
    assert environment_report.PAGE.read_text() == environment_report.page(results)


def test_the_page_of_faults_is_its_results() -> None:
    """docs/mutants.md, from mutants.json."""
    assert mutation.PAGE.read_text() == mutation.page(json.loads(mutation.RESULT.read_text()))


@pytest.mark.parametrize("mutant", mutation.MUTANTS, ids=lambda mutant: mutant.fault)
def test_every_fault_still_has_its_place(mutant: Any) -> None:
    """The text that a fault replaces is in the source exactly once: else it could not be tried any more."""
    assert (ROOT / mutant.path).read_text(encoding="utf-8").count(mutant.before) == 1


def test_a_fault_that_was_not_run_or_not_noticed_is_said_to_be() -> None:
    """The page counts neither as noticed."""
    first, second, *rest = mutation.MUTANTS
    text = mutation.page({first.fault: "test_weights.py::test_it", second.fault: None})
    assert f"1 of 2 faults are noticed. {len(rest)} more are" in text
    assert f"| {second.fault} | `{second.path.removeprefix('src/')}` | **nothing** |" in text


def test_the_readmes_table_is_its_results() -> None:
    """README.md between its comments, from peers.json and capture_peers.json."""
    readme = readme_table.README.read_text()
    assert readme_table.updated(readme) == readme


def test_a_typed_figure_is_noticed() -> None:
    """The twin of the test above: a README with another number is not what the results make."""
    readme = readme_table.README.read_text()
    before, begin, rest = readme.partition(readme_table.BEGIN)
    changed = before + begin + rest.replace(" s |", "1 s |", 1)
    assert changed != readme
    assert readme_table.updated(changed) == readme


@pytest.mark.parametrize("readme", ["no comments", readme_table.END + readme_table.BEGIN, readme_table.BEGIN * 2])
def test_a_readme_without_its_comments_is_refused(readme: str) -> None:
    """Nothing is written into a README that has no place for it."""
    with pytest.raises(ValueError, match="once each"):
        readme_table.updated(readme)


def test_failures_stand_in_the_table_with_their_reason() -> None:
    """What did not finish is shown, and the page says why; a wanted figure that is exceeded is called missed."""
    result = {
        "figures": [
            {"what": "size", "tokens": 512, "tool": "attncore", "value": 17.0, "unit": "MB"},
            {"what": "size", "tokens": 512, "tool": "bertviz", "fails": "more than 300 s"},
            {"what": "size", "tokens": 512, "tool": "circuitsvis", "value": 850.0, "unit": "MB"},
            {"what": "size", "tokens": 512, "tool": "treescope", "value": 201.4, "unit": "MB"},
        ]
    }
    assert page_report.side_by_side(result).splitlines()[-1] == (
        "| size | 512 | fails | 850 MB | 201 MB | 17.00 MB | ≤ 16 MB | **missed** |"
    )
    assert page_report.failures(result) == ["- BertViz: size at 512: more than 300 s."]


LIMITS = {"write_seconds": 300.0, "draw_seconds": 180.0, "gigabytes": 12.0}


def _drawn(tokens: int, tool: str, **result: object) -> dict[str, object]:
    return {"what": "head view drawn", "tokens": tokens, "tool": tool, **result}


def test_a_run_that_is_stopped_keeps_its_figures_and_those_before_it(tmp_path: Path) -> None:
    """Each figure is in the file at once; a row that is begun anew has nothing of the earlier run's."""
    file = tmp_path / "peers.json"
    first = Kept(file, {"chromium": "1", "load": 3.0}, LIMITS)
    for tokens in (128, 16):
        for tool in ("attncore", "bertviz"):
            first.add(_drawn(tokens, tool, value=1.0, unit="s"), write=True)
    stopped = Kept(file, {"chromium": "1", "load": 0.5}, LIMITS)
    stopped.add(_drawn(128, "attncore", value=2.0, unit="s"), write=True)
    stopped.add({"what": "size", "tokens": 512, "tool": "attncore", "value": 9.0, "unit": "MB"}, write=False)
    result = json.loads(file.read_text())
    assert [(each["tokens"], each["tool"], each["value"]) for each in result["figures"]] == [
        (16, "attncore", 1.0),
        (16, "bertviz", 1.0),
        (128, "attncore", 2.0),
    ]
    assert result["environment"]["load"] == 3.0
    lines = page_report.side_by_side(result).splitlines()
    assert lines[-1] == "| head view drawn | 128 | not run | not run | not run | 2.00 s | ≤ 0.4 s | **missed** |"


def test_figures_of_other_versions_or_limits_are_not_kept(tmp_path: Path) -> None:
    """They would stand in a table that says it is of one environment."""
    file = tmp_path / "peers.json"
    Kept(file, {"chromium": "1", "load": 3.0}, LIMITS).add(_drawn(16, "bertviz", value=1.0, unit="s"), write=True)
    assert Kept(file, {"chromium": "2", "load": 3.0}, LIMITS).figures == []
    assert Kept(file, {"chromium": "1", "load": 3.0}, {**LIMITS, "draw_seconds": 60.0}).figures == []
    assert len(Kept(file, {"chromium": "1", "load": 3.0}, LIMITS).figures) == 1


def test_what_broke_a_limit_is_not_tried_with_more_tokens(tmp_path: Path) -> None:
    """Only that tool's, only a limit of time or memory, and only for more tokens; the page says which it broke."""
    known = Kept(tmp_path / "peers.json", {"chromium": "1", "load": 3.0}, LIMITS)
    known.add(_drawn(128, "bertviz", fails="no file: more than 300 s"), write=False)
    known.add(_drawn(128, "circuitsvis", fails="the browser's tab ended"), write=False)
    reason = known.hopeless("bertviz", "head view drawn", 512)
    assert reason == "at 128 tokens it already took more than 300 s"
    others = [("bertviz", "size", 512), ("bertviz", "head view drawn", 128), ("circuitsvis", "head view drawn", 512)]
    assert [known.hopeless(*each) for each in others] == [None, None, None]
    skipped = _drawn(512, "bertviz", skipped=reason)
    assert page_report.cell(skipped) == "not run"
    assert page_report.failures({"figures": [skipped]}) == [f"- BertViz: head view drawn at 512: {reason}."]
