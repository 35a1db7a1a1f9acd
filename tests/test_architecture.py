"""Who may import whom, as a table; and that `import attncore` brings in no framework."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "flax", "transformers"}
HEAVY = FRAMEWORKS | {"matplotlib", "plotly", "anywidget", "IPython", "rich", "typer"}

# What each part may import while it is imported itself, beyond the standard library and its own siblings.
# Frameworks may be imported inside functions: then they are asked for.
MAY_IMPORT = {
    "attncore": {"numpy", "pluggy"},
    "attncore.cli": {"attncore", "typer", "numpy"},
    "attncore.backends": {"attncore", "numpy"},
    "attncore.backends.torch": {"attncore", "numpy", "torch"},
    # Flax, Equinox and Keras it never imports: it looks for them among the modules that the user has imported.
    "attncore.backends.jax": {"attncore", "numpy", "jax"},
    # Keras it never imports either.
    "attncore.backends.tensorflow": {"attncore", "numpy", "tensorflow"},
    "attncore.renderers": {"attncore", "numpy"},
    "attncore.renderers.terminal": {"attncore", "numpy", "rich"},
    "attncore.renderers.matplotlib": {"attncore", "numpy", "matplotlib"},
    # The d3 renderer imports these two inside functions: they need what only a notebook or a server has.
    "attncore.renderers._page_widget": {"attncore", "anywidget", "traitlets"},
    "attncore.renderers._page_server": {"attncore", "starlette"},
}
# What begins with this belongs to the module of that name.
SIBLINGS = {"page": "d3"}
# And never, not even inside a function.
NEVER = {
    "attncore": {"attncore.backends", "attncore.renderers"},
    "attncore.backends": {"attncore.renderers"},
    "attncore.renderers": {"attncore.backends", *FRAMEWORKS},
}
# Loading a model by its name is what these do, so they may import a framework inside functions.
MAY_IMPORT_FRAMEWORKS_LATE = ("attncore.model_loading", "attncore.cli", "attncore.backends")


def module_name(path: Path) -> str:
    """The name under which a source file is imported: src/backends/torch.py is attncore.backends.torch."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    parts = parts if parts[0] == "attncore" else ("attncore", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def source_files() -> list[Path]:
    """Every source file once; the links inside src/attncore lead to folders that are listed themselves."""
    folders = ("attncore", "backends", "renderers")
    return sorted(path for folder in folders for path in (SOURCE / folder).glob("*.py"))


def imports_of(tree: ast.AST, package: str, *, late: bool) -> Iterator[str]:
    """The modules a file imports: when it is imported itself, or (``late``) inside functions as well."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = f"{package}.{node.module or ''}".rstrip(".") if node.level else node.module or ""
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if base in ("attncore", package))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports_of(ast.Module(node.orelse, []), package, late=late)
        elif late or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports_of(node, package, late=late)


def allowed_for(name: str) -> set[str]:
    """The row of the table that fits a module best; a sibling ``_torch_x`` or ``cli_x`` has the row of its module."""
    parent, _, last = name.rpartition(".")
    for row in (name, f"{parent}.{owner_of(last)}", parent):
        if row in MAY_IMPORT:
            return MAY_IMPORT[row]
    return MAY_IMPORT["attncore"]


def owner_of(name: str) -> str:
    """The module that a sibling belongs to: ``_torch_x`` to torch, ``_page_x`` to d3; a module to itself."""
    stem = name.lstrip("_").split("_")[0]
    return SIBLINGS.get(stem, stem)


def violations(name: str, source: str) -> list[str]:
    """The imports of a module that the tables forbid, in words."""
    tree = ast.parse(source)
    package = name.rpartition(".")[0] or name
    found = []
    for imported in imports_of(tree, package, late=False):
        top = imported.split(".")[0]
        if top not in sys.stdlib_module_names and top not in allowed_for(name) | {"attncore"}:
            found.append(f"{name} imports {imported} while it is imported")
    part = ".".join(name.split(".")[:2]) if name.startswith(("attncore.backends", "attncore.renderers")) else "attncore"
    for imported in imports_of(tree, package, late=True):
        if any(imported == other or imported.startswith(f"{other}.") for other in NEVER[part]):
            found.append(f"{name} imports {imported}, which {part} never may")
        if imported.split(".")[0] in FRAMEWORKS and not name.startswith(MAY_IMPORT_FRAMEWORKS_LATE):
            found.append(f"{name} imports the framework {imported} inside a function")
    return found + sibling_violations(name, tree, package)


def sibling_violations(name: str, tree: ast.AST, package: str) -> list[str]:
    """A backend or renderer imports no sibling of another: torch.py takes ``_torch_x``, never ``jax`` or ``_jax_x``."""
    if package not in ("attncore.backends", "attncore.renderers"):
        return []
    own = owner_of(name.rpartition(".")[2])
    found = []
    for imported in imports_of(tree, package, late=True):
        if imported.startswith(f"{package}."):
            other = imported.removeprefix(f"{package}.").split(".")[0]
            if owner_of(other) != own:
                found.append(f"{name} imports {imported}, a sibling that is not its own")
    return found


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_modules_import_only_what_their_part_may(path: Path) -> None:
    """Every source file keeps to the tables above."""
    assert violations(module_name(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("attncore.layer", "import torch"),
        ("attncore.layer", "def f():\n    import jax"),
        ("attncore.layer", "import rich.console"),
        ("attncore.layer", "try:\n    import matplotlib\nexcept ImportError:\n    pass"),
        ("attncore.layer", "if True:\n    from tensorflow import keras"),
        ("attncore.layer", "class A:\n    import plotly"),
        ("attncore.api", "from attncore.backends.torch import TorchBackend"),
        ("attncore.api", "def f():\n    from attncore import renderers"),
        ("attncore.backends.torch", "from attncore.renderers import terminal"),
        ("attncore.backends.torch", "def f():\n    from ._jax_helpers import x"),
        ("attncore.backends._torch_hooks", "from . import jax"),
        ("attncore.backends.jax", "import torch"),
        ("attncore.renderers.terminal", "from attncore.backends.torch import TorchBackend"),
        ("attncore.renderers.terminal", "def f():\n    import torch"),
        ("attncore.renderers.d3", "import rich"),
        ("attncore.renderers.d3", "import starlette"),
        ("attncore.renderers._page_html", "import anywidget"),
        ("attncore.renderers._page_html", "from ._terminal_text import clean"),
        ("attncore.renderers.terminal", "from ._page_html import page_of"),
        ("attncore.cli_show", "import transformers"),
    ],
)
def test_the_check_finds_what_is_forbidden(name: str, source: str) -> None:
    """The twin of the test above: each of these must be found."""
    assert violations(name, source)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("attncore.layer", "import numpy as np\nimport os.path\nfrom attncore.axis import TokenAxis"),
        ("attncore.layer", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("attncore.backends.torch", "import torch\nfrom ._torch_hooks import hook\nfrom attncore import errors"),
        ("attncore.renderers.terminal", "from rich.text import Text"),
        ("attncore.renderers.d3", "from ._page_html import page_of\ndef f():\n    from ._page_server import page_app"),
        ("attncore.renderers._page_server", "import starlette"),
        ("attncore.model_loading", "def load():\n    import transformers"),
    ],
)
def test_the_check_lets_through_what_is_allowed(name: str, source: str) -> None:
    """Type-checking imports, own siblings and what the table names are no violations."""
    assert violations(name, source) == []


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after running ``code``."""
    report = f"{code}\nimport sys; print(' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_importing_attncore_brings_in_no_framework() -> None:
    """A fresh interpreter holds numpy and pluggy after the import, and none of the heavy ones."""
    loaded = modules_after("import attncore")
    assert loaded & HEAVY == set()
    assert {"numpy", "pluggy", "attncore"} <= loaded


def test_testing_and_loading_bring_in_no_framework(tmp_path: Path) -> None:
    """Nor does reading a trace and computing its weights."""
    path = tmp_path / "trace.attn.safetensors"
    loaded = modules_after(
        "import attncore, attncore.testing\n"
        f"attncore.testing.example_trace(lazy=True).save({str(path)!r})\n"
        f"attncore.load({str(path)!r})[0].weights[0, 0]"
    )
    assert loaded & HEAVY == set()


def test_the_subprocess_check_sees_a_framework() -> None:
    """The twin of the two tests above: an import that is there is found."""
    assert "rich" in modules_after("import attncore, rich")
