"""The pages with measured figures are what the reports make of the committed results: no figure is typed in."""

from __future__ import annotations

import json
from pathlib import Path

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
    if not results.exists():
        pytest.skip("benchmarks/results/program_cost.json is not committed yet: make bench writes it")
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
