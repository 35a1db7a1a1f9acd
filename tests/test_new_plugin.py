"""``attncore new-plugin``: what it writes can be installed, passes its own test, and is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import attncore
from attncore.cli_new_plugin import make_renderer_plugin


def run(*command: str, cwd: Path, path: Path) -> str:
    """Run a program with this folder among the installed ones; its output."""
    environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    return done.stdout


def test_a_new_plugin_works_as_it_is(tmp_path: Path) -> None:
    """Installed with pip, tested with pytest, listed by the command."""
    target, installed = make_renderer_plugin("my_list", tmp_path), tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    run(*pip, str(installed), str(target), cwd=tmp_path, path=installed)
    run(sys.executable, "-m", "pytest", "-q", "-W", "error", str(target / "tests"), cwd=target, path=installed)
    listed = run(sys.executable, "-m", "attncore", "renderers", cwd=tmp_path, path=installed)
    assert "my_list" in listed
    assert "attncore-my-list" in listed


@pytest.mark.parametrize("name", ["My", "2d", "class", "a-b", "terminal"])
def test_a_name_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(attncore.OptionError):
        make_renderer_plugin(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A folder that is there stays as it is."""
    make_renderer_plugin("twice", tmp_path)
    with pytest.raises(attncore.OptionError, match="there already"):
        make_renderer_plugin("twice", tmp_path)
