"""The example notebooks: they run, what they show is what is committed, and what is committed keeps to the rules."""

from __future__ import annotations

import copy
import importlib.util
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from jupyter_lab import environment

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))

# What a cell of a notebook must say, by the cell's id, as regular expressions.
FACTS = {
    "01-first-steps": {
        "trace": r"6 x self-attention .* \(1, 12, 13, 13\), from sdpa(.|\n)*everything that ran is in the trace",
        "strongest": r"it looks at 'cat' most, with a weight of 0\.49(.|\n)*2  cat +0\.492 +━",
        "page-view": r"an interactive page of 0\.\d MB",
        "pattern-counts": r"layer 0, head 2: previous token, 100% of its attention",
        "check-and-save": r"6 layers agree with the model's own weights, and the file gives them back",
    },
    "02-your-own-pytorch-model": {
        "trace-and-check": r"1 x self-attention .* \(1, 1, 10, 10\), from softmax",
        "gradients-early": r"the gradient asks for the right letter in (9\d|100)% of the places",
        "learning-curve": r"step 30 +(9[5-9]|100)%",
        "hybrid": r"1 layer of attention: 0\.self_attn(.|\n)*a router, gate or classifier(.|\n)*made of GRU",
    },
    "03-flax-and-equinox": {
        "flax-module": r"layer: attention \| coverage: everything that ran is in the trace",
        "flax-exact": r"head 2 gives (99\.\d|100\.0)% of its attention to the previous token",
        "equinox-module": r"Flax and Equinox agree on \(2, 12, 9, 9\)",
        "gradient": r"\{\(0, 3\)\}",
    },
    "04-keras": {
        "trace": r"coverage: everything that ran is in the trace\nright on new tables: (9[5-9]|100)%",
        "statistics": r"the strongest of the six pairs is the right one in (9[5-9]|100)%",
    },
    "05-savedmodel-without-its-code": {
        "load": r"attention_mask: int32 \(None, None\)\ninput_ids: int32 \(None, None\)",
        "trace": r"layers: layer_0_attention, (.|\n)*coverage: everything that ran is in the trace",
        "check": r"6 layers agree; head 2 of layer 0 gives (99\.\d|100\.0)% to the previous token",
    },
    "06-writing-a-renderer": {
        "use": r"layer 3, head 1, query 'his'\n(.|\n)*keeper\(0\.4\d\)",
        "errors": r'renderer "shaded" has no option "had" \(did you mean "head"\?\)',
    },
}

MOST_CELLS = 15
MOST_BYTES = 300_000
# An output may move a little with the versions of libraries and the processor's way to add.
_NUMBER = re.compile(r"\d+\.\d+|\d+")
_BARS = re.compile(r"[█▓▒░━╸]+")
# Anywhere in a file system: two folders or more, or a drive. Addresses on the web are none.
_ABSOLUTE_PATH = re.compile(r"(?<![\w.:/<~])/(?:[\w.+-]+/)+[\w.+-]+|\b[A-Za-z]:\\\w")


def _refresh() -> ModuleType:
    """The script that made what is committed, so that the tests run notebooks as it does."""
    spec = importlib.util.spec_from_file_location("refresh", FOLDER / "refresh.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


refresh = _refresh()


def shown_text(cell: Any) -> str:
    """What a reader sees of a code cell, pictures left out."""
    parts = []
    for output in cell.get("outputs", []):
        parts.append(output.text if output.output_type == "stream" else output.get("data", {}).get("text/plain", ""))
    return "\n".join(parts)


def picture_kinds(cell: Any) -> list[str]:
    """The formats of the pictures of a cell."""
    kinds = [kind for output in cell.get("outputs", []) for kind in output.get("data", {})]
    return sorted(kind for kind in kinds if kind.startswith("image/"))


def same_but_for_digits(one: str, other: str) -> bool:
    """Whether two outputs say the same, each number within a twentieth of the other or 0.03 of it."""
    words = [_BARS.sub("", _NUMBER.sub("#", text)).split() for text in (one, other)]
    numbers = [[float(number) for number in _NUMBER.findall(text)] for text in (one, other)]
    return words[0] == words[1] and all(
        math.isclose(a, b, rel_tol=0.05, abs_tol=0.03) for a, b in zip(*numbers, strict=True)
    )


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_is_committed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty folder, by a kernel of this Python: no error, no warning, and the outputs that readers see."""
    for name, place in environment(tmp_path).items():
        if name.startswith("JUPYTER_"):
            monkeypatch.setenv(name, place)
    (tmp_path / "empty").mkdir()
    committed = refresh.read(path)
    done = refresh.tidied(refresh.executed(committed, tmp_path / "empty"))
    cells = {cell.id: cell for cell in done.cells}
    for cell in committed.cells:
        ran = cells[cell.id]
        assert not [output for output in ran.get("outputs", []) if output.get("name") == "stderr"], shown_text(ran)
        assert same_but_for_digits(shown_text(ran), shown_text(cell)), (
            f"cell {cell.id} shows\n{shown_text(ran)}\nand the committed notebook\n{shown_text(cell)}\n"
            "if that is right, run python examples/notebooks/refresh.py"
        )
        assert picture_kinds(ran) == picture_kinds(cell), f"cell {cell.id} shows other pictures than are committed"
    for name, fact in FACTS[path.stem].items():
        assert re.search(fact, shown_text(cells[name])), f"cell {name} shows\n{shown_text(cells[name])}"


def broken_rules(notebook: Any, text: str) -> list[str]:
    """What in a notebook, and its file's text, is against the rules of README.md; nbformat warns of an id twice."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    kinds = {kind for cell in code for output in cell.outputs for kind in output.get("data", {})}
    shown = [cell.source for cell in notebook.cells] + [shown_text(cell) for cell in code]
    checks = {
        "it is not as refresh.py writes it": text == refresh.text_of(refresh.tidied(notebook)),
        "it has too many cells": len(notebook.cells) <= MOST_CELLS,
        "it is too large": len(text.encode()) <= MOST_BYTES,
        "a cell was not run, or not in order": [c.execution_count for c in code] == [*range(1, len(code) + 1)],
        "an output is of another type": kinds <= set(refresh.KEPT_TYPES),
        "an output is an error or a warning": not any(
            output.output_type == "error" or output.get("name") == "stderr" for cell in code for output in cell.outputs
        ),
        "an id is not made of words": all(re.fullmatch(r"[a-z]+(-[a-z]+)*", cell.id) for cell in notebook.cells),
        "it does not begin with a title": notebook.cells[0].source.startswith("# "),
        "a path of a machine is in it": not any(_ABSOLUTE_PATH.search(part) for part in shown),
        "no picture is in it": any(picture_kinds(cell) for cell in code),
    }
    return [rule for rule, holds in checks.items() if not holds]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_committed_notebook_keeps_the_rules(path: Path) -> None:
    """Outputs are text and pictures that stay the same, and nothing tells of the machine that ran it."""
    assert broken_rules(refresh.read(path), path.read_text(encoding="utf-8")) == []


def _output(notebook: Any, **data: str) -> None:
    kinds = {kind.replace("_", "/"): content for kind, content in data.items()}
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    code.outputs.append(nbformat.v4.new_output("execute_result", kinds, execution_count=code.execution_count))


def _printed(notebook: Any, text: str, name: str = "stdout") -> None:
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    code.outputs = [nbformat.v4.new_output("stream", name=name, text=text)]


def _more_cells() -> list[Any]:
    return [nbformat.v4.new_markdown_cell("more", id=f"more-{letter}") for letter in "abcdefghijklmnop"]


BREAKS: dict[str, Callable[[Any], Any]] = {
    "as refresh.py": lambda notebook: notebook.metadata.update(language_info={"name": "python", "version": "3.11.2"}),
    "many cells": lambda notebook: notebook.cells.extend(_more_cells()),
    "large": lambda notebook: _printed(notebook, "x" * MOST_BYTES),
    "in order": lambda notebook: notebook.cells.reverse(),
    "another type": lambda notebook: _output(notebook, text_html="<p>page</p>", text_plain="page"),
    "warning": lambda notebook: _printed(notebook, "UserWarning: old", name="stderr"),
    "words": lambda notebook: notebook.cells[0].update(id="8f3a2c1d"),
    "title": lambda notebook: notebook.cells[0].update(source="First steps"),
    "machine": lambda notebook: _printed(notebook, "/usr/lib/python3/site-packages/a.py:3: a line"),
    "no picture": lambda notebook: [cell.update(outputs=[]) for cell in notebook.cells if cell.cell_type == "code"],
}


@pytest.mark.parametrize("rule", BREAKS)
def test_a_broken_rule_is_found(rule: str) -> None:
    """The twin of the test above: a notebook that breaks one rule is told so."""
    notebook = copy.deepcopy(refresh.read(PATHS[0]))
    BREAKS[rule](notebook)
    assert any(rule in found for found in broken_rules(notebook, refresh.text_of(notebook)))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("weight 0.49 of 13", "weight 0.50 of 13", True),
        ("step 5  20%  ████", "step 5  21%  █████", True),
        ("weight 0.49", "weight 0.60", False),
        ("it looks at cat", "it looks at mat", False),
        ("6 layers", "7 layers", False),
    ],
)
def test_outputs_are_compared_word_by_word(one: str, other: str, same: bool) -> None:
    """Digits may move by roundings; words, and numbers that mean something else, may not."""
    assert same_but_for_digits(one, other) is same


@pytest.mark.parametrize("text", ["https://example.org/a/b", "layers/0/attn", "[…](../../docs/page.md)", "1 / 2 / 3"])
def test_what_is_no_path_of_a_machine(text: str) -> None:
    """Addresses, names of layers and links within the repository may be written."""
    assert not _ABSOLUTE_PATH.search(text)


def test_every_notebook_is_listed_and_checked() -> None:
    """Each has facts to be checked, and a line on the page about notebooks and beside the notebooks."""
    assert {path.stem for path in PATHS} == set(FACTS)
    for page in (ROOT / "docs" / "notebooks.md", FOLDER / "README.md"):
        listed = re.findall(r"\((?:[^()]*/)?([\w-]+)\.ipynb\)", page.read_text())
        assert listed == [path.stem for path in PATHS], f"{page.name} lists {listed}"


def test_the_kernel_is_this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one of a kernel that somebody installed under the same name."""
    for name, place in environment(tmp_path).items():
        if name.startswith("JUPYTER_"):
            monkeypatch.setenv(name, place)
    cell = nbformat.v4.new_code_cell("import sys\nprint(sys.executable)")
    [ran] = refresh.executed(nbformat.v4.new_notebook(cells=[cell]), tmp_path).cells
    assert shown_text(ran).strip() == sys.executable
