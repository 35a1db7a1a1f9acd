"""The picture of the layers shows the imports as they are: every arrow is one, and every one is an arrow."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from source_files import module_of

from attncore.plugins import BUILT_IN

ROOT = Path(__file__).parent.parent
ARROW = re.compile(r'data-kind="(?P<kind>\w+)" data-from="(?P<start>[^"]+)" data-to="(?P<end>[^"]+)"')
Arrows = set[tuple[str, str]]

layers = module_of(ROOT / "docs" / "layers.py")
rules = module_of(ROOT / "tests" / "test_architecture.py")


def part_of(name: str) -> str:
    """The box of a module: of ``attncore.backends._torch_x`` it is "backends.torch", of ``attncore.cli_x`` "cli"."""
    _, _, rest = name.partition(".")
    folder, _, last = rest.partition(".")
    if folder in ("backends", "renderers"):
        return f"{folder}.{rules.owner_of(last)}" if last else folder
    return "cli" if folder.startswith("cli") or folder == "__main__" else "core"


def arrows_of(sources: Iterable[tuple[str, str]]) -> Arrows:
    """Which part imports which part or library, late imports included; the standard library and numpy left out."""
    arrows = set()
    for name, source in sources:
        package = name if name in ("attncore", "attncore.backends", "attncore.renderers") else name.rpartition(".")[0]
        for imported in rules.imports_of(ast.parse(source), package, late=True):
            top = imported.split(".")[0]
            if top in sys.stdlib_module_names or imported == package:
                continue
            target = part_of(imported) if top == "attncore" else top
            if target != part_of(name) and not (target == "numpy" and part_of(name) != "core"):
                arrows.add((part_of(name), target))
    return arrows - {("backends", "core"), ("renderers", "core")}  # the packages' own __init__


def drawn(svg: str, kind: str) -> Arrows:
    """The arrows of a picture; one to a box of several libraries is an arrow to each."""
    return {
        (match["start"], end) for match in ARROW.finditer(svg) if match["kind"] == kind for end in match["end"].split()
    }


@cache
def arrows_of_the_source() -> frozenset[tuple[str, str]]:
    """The arrows of every module there is."""
    return frozenset(arrows_of((rules.module_name(path), path.read_text()) for path in rules.source_files()))


@pytest.mark.parametrize("theme", layers.THEMES)
def test_the_picture_is_the_one_that_is_drawn(theme: str) -> None:
    """The committed file is what the script draws: ``python docs/layers.py`` after a change."""
    assert (ROOT / "docs" / "images" / f"layers-{theme}.svg").read_text() == layers.picture(theme)


@pytest.mark.parametrize("theme", layers.THEMES)
def test_the_arrows_are_the_imports(theme: str) -> None:
    """None is missing and none is made up."""
    svg = (ROOT / "docs" / "images" / f"layers-{theme}.svg").read_text()
    assert drawn(svg, "imports") == arrows_of_the_source()


def test_no_arrow_contradicts_the_rules() -> None:
    """What the picture shows is what the table of ``test_architecture.py`` allows, late imports included."""
    for start, end in drawn(layers.picture("light"), "imports"):
        target = {"core": "attncore.axis", "cli": "attncore.cli"}.get(end, f"attncore.{end}" if "." in end else end)
        never = rules.NEVER[f"attncore.{start.partition('.')[0]}" if "." in start else "attncore"]
        assert not any(target == other or target.startswith(f"{other}.") for other in never), (start, end)


def test_what_is_loaded_by_name_stands_in_the_frames() -> None:
    """The dashed arrows lead to the built-in plugins, and to nothing else."""
    frames = {end for _, end in drawn(layers.picture("light"), "loads")}
    assert frames == {"backends", "renderers"}
    inside = {name for name in layers.BOXES if name.partition(".")[0] in frames and "." in name}
    assert inside == {name.removeprefix("attncore.") for name in BUILT_IN}


def test_every_arrow_joins_its_boxes() -> None:
    """An arrow begins at the edge of the box it says it comes from, and ends within two pixels of the other."""
    for (start, end), (x1, y1, x2, y2) in (layers.IMPORTS | layers.LOADS).items():
        for name, x, y in ((start, x1, y1), (end, x2, y2)):
            box = layers.BOXES[name]
            assert box.x - 2 <= x <= box.x + box.width + 2, (start, end)
            assert box.y - 2 <= y <= box.y + box.height + 2, (start, end)


@pytest.mark.parametrize(
    ("name", "source", "arrow"),
    [
        ("attncore.axis", "from attncore.backends.torch import TorchBackend", ("core", "backends.torch")),
        ("attncore.axis", "def f():\n    import plotly", ("core", "plotly")),
        (
            "attncore.backends._torch_x",
            "from attncore.renderers._page_html import page",
            ("backends.torch", "renderers.d3"),
        ),
        ("attncore.backends.jax", "from ._torch_x import y", ("backends.jax", "backends.torch")),
        ("attncore.renderers.terminal", "import matplotlib.figure", ("renderers.terminal", "matplotlib")),
        ("attncore.weights", "from attncore.cli_output import say", ("core", "cli")),
    ],
)
def test_an_import_that_is_not_drawn_is_found(name: str, source: str, arrow: tuple[str, str]) -> None:
    """The twin: with one import more, the picture is no longer right."""
    assert arrows_of([(name, source)]) - drawn(layers.picture("light"), "imports") == {arrow}


def test_every_file_of_a_backend_and_a_renderer_has_its_line() -> None:
    """The tables say what each is for; a file that is new gets a line, and one that is gone loses it."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`(\w+\.py)`", page))
    parts = {path.name for folder in ("backends", "renderers") for path in (ROOT / "src" / folder).glob("*.py")}
    shared = {path.name for path in (ROOT / "src" / "attncore").glob("*.py")}
    assert sorted(parts - {"__init__.py"} - named) == []
    assert sorted({path.name for path in (ROOT / "src" / "attncore").glob("dataflow*.py")} - named) == []
    assert sorted(named - parts - shared) == []


def test_an_arrow_too_many_is_found() -> None:
    """The other twin: an arrow that no import stands behind."""
    svg = layers.picture("light").replace('data-from="core" data-to="numpy', 'data-from="core" data-to="torch numpy')
    assert drawn(svg, "imports") - arrows_of_the_source() == {("core", "torch")}
