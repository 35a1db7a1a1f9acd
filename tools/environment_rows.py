"""The environments that a release is tried in, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

VERSIONS = {"highest": "newest", "lowest-direct": "lowest allowed"}


@dataclass(frozen=True)
class Row:
    """One environment: an extra, a Python, the newest or the lowest versions, and what is run in it."""

    name: str
    extra: str
    python: str
    resolution: Literal["highest", "lowest-direct"]
    check: str
    # Distributions whose versions the table shows.
    shown: tuple[str, ...]
    tests: tuple[str, ...] = ()
    test_needs: tuple[str, ...] = ()
    # Tests left out with the lowest versions, each with its reason below.
    without: tuple[str, ...] = ()
    # Bounds on what the lowest versions use in turn, each with its reason below.
    held: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What it is called, for example "jax, Python 3.11, lowest allowed"."""
        return f"{self.name}, Python {self.python}, {VERSIONS[self.resolution]}"


@dataclass(frozen=True)
class Extra:
    """An extra, and how it is tried."""

    name: str
    shown: tuple[str, ...]
    tests: tuple[str, ...]
    test_needs: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What the table calls it."""
        return self.name or "no extra"


_CORE = ("numpy", "pluggy", "safetensors", "rich", "typer")
_CORE_TESTS = tuple(
    f"tests/test_{name}.py"
    for name in (
        *("attention", "axis", "cli", "cli_errors", "d3_renderer", "dataflow_find", "from_arrays", "page_answers"),
        *("page_describe", "page_html", "page_payload", "page_questions", "page_vectors", "patterns", "plugins"),
        *("rendering", "selection", "storage", "storage_damage", "storage_fuzz", "terminal", "terminal_edges"),
        *("testing", "testing_backends", "testing_renderers", "token_display", "tokens", "weights"),
    )
)
# This one draws, which needs matplotlib.
_CONTRACT = "tests/test_testing_renderers.py::test_every_installed_renderer_keeps_the_contract"
# Float32 through the four turns of a loop: XLA before 0.10 rounds otherwise, and is 1.2e-5 off where 1e-5 is allowed.
_ROUNDING = "tests/jax/test_jax_transforms.py::test_layers_within_a_branch_within_a_loop"
# Matplotlib before 3.10.7 uses names that pyparsing warns about from 3.3 on, and in tests warnings are errors.
_PARSER = {"pyparsing": "<3.3"}
EXTRAS = (
    Extra("", _CORE, _CORE_TESTS, without=(f"{_CONTRACT}[matplotlib]",)),
    Extra("torch", ("numpy", "torch"), ("tests/torch/test_torch_options.py", "tests/torch/test_torch_untouched.py")),
    Extra(
        "transformers",
        ("numpy", "torch", "transformers"),
        ("tests/torch/test_torch_tokens.py", "tests/torch/test_torch_options.py"),
    ),
    Extra(
        "jax",
        ("numpy", "jax", "jaxlib"),
        ("tests/jax/test_jax_options.py", "tests/jax/test_jax_transforms.py"),
        ("equinox", "flax"),
        (_ROUNDING,),
    ),
    Extra("tensorflow", ("numpy", "tensorflow-cpu", "keras"), ("tests/tensorflow/test_tensorflow_backend.py",)),
    Extra("matplotlib", ("numpy", "matplotlib"), ("tests/test_matplotlib.py",), held=_PARSER),
    Extra("notebook", ("numpy", "anywidget"), ("tests/test_widget.py",)),
    Extra("serve", ("numpy", "starlette", "uvicorn"), ("tests/test_serve.py",), ("httpx2",)),
)


def rows(pythons: tuple[str, ...]) -> list[Row]:
    """Each extra with the newest versions on the oldest and the newest Python, and with the lowest on the oldest."""
    made = []
    for extra in EXTRAS:
        check = f"check_{extra.name or 'core'}.py"
        for python in dict.fromkeys((pythons[0], pythons[-1])):
            made.append(Row(extra.title, extra.name, python, "highest", check, extra.shown))
        made.append(
            Row(
                extra.title, extra.name, pythons[0], "lowest-direct", check, (*extra.shown, *extra.held),
                extra.tests, extra.test_needs, extra.without, extra.held,
            )
        )  # fmt: skip
    return made
