"""What `import attncore` offers is a promise: nothing is added or dropped by accident."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import attncore
import attncore.testing

ATTNCORE = [
    "ArrayError",
    "AttentionLayer",
    "AttentionTrace",
    "AttncoreError",
    "Backend",
    "CaptureError",
    "CaptureOptions",
    "Coverage",
    "CoverageEntry",
    "FileFormatError",
    "Inputs",
    "LazyWeights",
    "NoAttentionError",
    "OptionError",
    "PluginError",
    "Provenance",
    "Rendered",
    "Renderer",
    "SelectionError",
    "Session",
    "TokenAxis",
    "TokenError",
    "UnavailableError",
    "UnsupportedModelError",
    "__version__",
    "backends",
    "capture",
    "hookimpl",
    "hookspec",
    "load",
    "register_renderer",
    "render",
    "renderers",
    "trace",
]
TESTING = [
    "BackendCase",
    "NumpyBackend",
    "NumpyTransformer",
    "assert_traces_close",
    "check_backend",
    "check_renderer",
    "example_cross_trace",
    "example_trace",
]


@pytest.mark.parametrize(("module", "names"), [("attncore", ATTNCORE), ("attncore.testing", TESTING)])
def test_all_is_exact(module: str, names: list[str]) -> None:
    """``__all__`` is this list, sorted, and each name exists."""
    loaded = importlib.import_module(module)
    assert loaded.__all__ == names == sorted(names)
    assert all(hasattr(loaded, name) for name in names)


def test_nothing_public_is_left_out_of_all() -> None:
    """A class or function that `attncore` shows without an underscore is in ``__all__``; modules are no API."""
    public = {
        name
        for name, value in vars(attncore).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name not in attncore.__all__
    }
    assert public == set()


def test_a_module_that_shares_a_public_name_is_the_function_too() -> None:
    """Importing a submodule binds its name on the package: `attncore.renderers()` must work before and after."""
    folder = Path(attncore.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert modules & set(attncore.__all__) == {"backends", "renderers"}
    program = (
        "import attncore, types\n"
        "assert isinstance(attncore.renderers, types.FunctionType)\n"
        "before = attncore.renderers(), attncore.backends()\n"
        "import attncore.renderers.terminal, attncore.backends.torch\n"
        "assert isinstance(attncore.renderers, types.ModuleType)\n"
        "assert (attncore.renderers(), attncore.backends()) == before\n"
        "assert 'terminal' in before[0] and 'torch' in before[1]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_error_is_an_attncore_error() -> None:
    """One ``except`` is enough for a caller."""
    errors = [getattr(attncore, name) for name in ATTNCORE if name.endswith("Error")]
    assert len(errors) == 11
    assert all(issubclass(error, attncore.AttncoreError) for error in errors)


@pytest.mark.parametrize("name", [name for name in ATTNCORE if name != "__version__"])
def test_every_public_name_is_documented(name: str) -> None:
    """Each has a docstring of its own; markers of pluggy bring theirs."""
    value = getattr(attncore, name)
    assert value.__doc__


def test_the_version_is_the_one_of_the_distribution() -> None:
    """The file that holds the version is what packaging read, and is a version."""
    from importlib.metadata import version

    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", attncore.__version__)
    assert version("attncore") == attncore.__version__


def test_the_package_is_typed() -> None:
    """Type-checkers of users look for this file."""
    assert (Path(attncore.__file__).parent / "py.typed").is_file()


def test_the_hooks_and_the_commands_are_these() -> None:
    """Plugins and scripts rely on them by name."""
    from attncore import hookspecs
    from attncore.cli import app

    hooks = {name for name, value in vars(hookspecs).items() if hasattr(value, "attncore_spec")}
    assert hooks == {"attncore_register_renderers", "attncore_register_backends"}
    functions = [command.callback for command in app.registered_commands if command.callback is not None]
    named = [command.name for command in app.registered_commands if command.name is not None]
    commands = {function.__name__.replace("_", "-") for function in functions}
    assert commands == {"trace", "show", "serve", "info", "renderers", "backends", "new-plugin", "demo"}
    assert set(named) <= commands
