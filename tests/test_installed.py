"""The wheel, built from the source archive, installed with pip into clean environments, with no framework at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from environments import CHECKS, RUN, built_wheel, environment_variables, installed_pythons

PYTHONS = installed_pythons()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as a package index would hand it out."""
    return built_wheel(tmp_path_factory.mktemp("dist"))


@pytest.mark.parametrize("python", sorted({min(PYTHONS), max(PYTHONS)}))
def test_the_core_works_with_no_framework(python: str, wheel: Path, tmp_path: Path) -> None:
    """Import, load, the terminal, a page and the command line, on the oldest and the newest Python of this machine."""
    inside = str(tmp_path / "env" / "bin" / "python")
    for command in (
        [PYTHONS[python], "-m", "venv", str(tmp_path / "env")],
        [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)],
        [inside, "-P", "-W", "error", "-c", RUN, str(CHECKS), "check_core.py"],
    ):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment_variables(), capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"Python {python}" in done.stdout
