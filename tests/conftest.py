"""Fixtures that several test modules share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import attncore
from attncore import plugins as plugins_module
from attncore.plugins import plugins
from attncore.testing import NumpyBackend, example_trace


class NumpyPlugin:
    """Makes the numpy backend an installed one, and adds a renderer that draws HTML alone."""

    name, views = "page", ("only",)

    @attncore.hookimpl
    def attncore_register_backends(self, register: Any) -> None:
        register(NumpyBackend())

    @attncore.hookimpl
    def attncore_register_renderers(self, register: Any) -> None:
        register(self)

    def render(self, trace: Any, *, view: str, title: str = "none", size: int = 0) -> attncore.Rendered:
        return attncore.Rendered({"text/html": f"<p>{title} {size + 1}</p>"})


@pytest.fixture
def cli_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Runs each test in an empty folder, with the numpy backend installed."""
    plugin = NumpyPlugin()
    entry_point = SimpleNamespace(
        name="numpy", load=lambda: plugin, dist=SimpleNamespace(name="attncore-np", version="1")
    )
    monkeypatch.setattr(plugins_module, "entry_points", lambda group: [entry_point])
    monkeypatch.delenv("ATTNCORE_PLUGINS", raising=False)
    monkeypatch.setenv("CI", "1")  # no command may open a browser
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    plugins.cache_clear()
    yield
    plugins.cache_clear()


@pytest.fixture
def saved(cli_folder: None) -> Path:
    """A saved trace in the current folder."""
    path = Path("saved.attn.safetensors")
    example_trace(n_layers=3, batch=2).save(path)
    return path
