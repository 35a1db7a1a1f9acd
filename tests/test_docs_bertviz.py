"""docs/from-bertviz.md maps every parameter of BertViz' three functions, and none that they do not have."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from pathlib import Path

import bertviz
import pytest
from bertviz import neuron_view

PAGE = (Path(__file__).parent.parent / "docs" / "from-bertviz.md").read_text()
FUNCTIONS = {"head_view": bertviz.head_view, "model_view": bertviz.model_view, "neuron_view.show": neuron_view.show}


def mapped(name: str, page: str = PAGE) -> set[str]:
    """The parameters in the first column of the table under the heading of a function."""
    section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    first = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {parameter for cell in first for parameter in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_mapped(name: str) -> None:
    """By the signature of the version that the page names."""
    assert f"BertViz {version('bertviz')} call by call" in " ".join(PAGE.split())
    assert mapped(name) == set(inspect.signature(FUNCTIONS[name]).parameters)


def test_a_parameter_that_is_left_out_is_found() -> None:
    """The twin: without one line, the comparison fails."""
    shorter = PAGE.replace("| `include_heads` |", "| include_heads |")
    missing = set(inspect.signature(bertviz.model_view).parameters) - mapped("model_view", shorter)
    assert missing == {"include_heads"}
