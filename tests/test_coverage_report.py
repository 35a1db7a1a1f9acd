"""The page of lines that tests run is made of what coverage counted, every file in it and none left out on purpose."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import coverage_report
import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [*sorted((ROOT / "src").glob("*/*.py")), *sorted((ROOT / "examples").glob("*.py"))]


def _has_statements(source: str) -> bool:
    """A file with its docstring alone has no lines to run."""
    return len(ast.parse(source).body) > 1


def test_the_page_is_its_results() -> None:
    """docs/coverage.md, from coverage.json."""
    assert coverage_report.PAGE.read_text() == coverage_report.page(json.loads(coverage_report.RESULT.read_text()))


def test_every_source_file_has_a_part() -> None:
    """None is counted nowhere, and a file of another kind must be given a place first."""
    names = [file.relative_to(ROOT).as_posix() for file in SOURCES if _has_statements(file.read_text())]
    assert {coverage_report.part_of(name) for name in names} == {part for part, _ in coverage_report.PARTS}
    with pytest.raises(ValueError, match=r"_mxnet_read\.py belongs to no part"):
        coverage_report.part_of("src/backends/_mxnet_read.py")


def test_no_line_is_marked_to_be_left_out() -> None:
    """As the page says."""
    assert [file.name for file in SOURCES if "no cover" in file.read_text()] == []


def test_parts_and_sums_are_those_of_their_files() -> None:
    """Two files of a part are added, the file with the least of them is named, and examples are not the package."""
    counts = {
        "src/attncore/cli.py": (100, 100),
        "src/attncore/dataflow.py": (10, 10),
        "src/attncore/testing.py": (10, 10),
        "src/attncore/axis.py": (300, 299),
        "src/attncore/layer.py": (100, 50),
        "src/backends/torch.py": (10, 10),
        "src/backends/_jax_call.py": (10, 10),
        "src/backends/_tensorflow_call.py": (10, 0),
        "src/renderers/d3.py": (10, 10),
        "src/renderers/matplotlib.py": (10, 10),
        "src/renderers/_terminal_text.py": (10, 10),
        "examples/figures.py": (2000, 1),
    }
    summaries = {
        path: {"summary": {"num_statements": lines, "covered_lines": ran}} for path, (lines, ran) in counts.items()
    }
    report = {"meta": {"version": "7"}, "files": {"src/backends/__init__.py": _empty(), **summaries}}
    text = coverage_report.page(coverage_report.result_of(report))
    assert "The tests run 519 of the 580 lines in `src/`: **89.4 %**." in text
    assert "| core | 2 | 400 | 349 | 87.2 % | `attncore/layer.py`, 50.0 % |" in text
    assert "| TensorFlow backend | 1 | 10 | 0 | 0.0 % | `backends/_tensorflow_call.py`, 0.0 % |" in text
    assert "| `src/` and examples | 12 | 2,580 | 520 | 20.1 % | `backends/_tensorflow_call.py`, 0.0 % |" in text


def _empty() -> dict[str, dict[str, int]]:
    return {"summary": {"num_statements": 0, "covered_lines": 0}}


def test_shares_are_rounded_down() -> None:
    """What is a hair under a bound is not shown as the bound."""
    assert coverage_report.percent(10_000, 8_999) == "89.9 %"
    assert coverage_report.percent(10, 9) == "90.0 %"
