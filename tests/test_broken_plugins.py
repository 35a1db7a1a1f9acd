"""Plugins that are broken, each a distribution that is really installed: none takes the others down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REGISTER = """
from attncore import hookimpl, Rendered

class Drawing:
    name, views = "{name}", ("one",)
    def render(self, trace, *, view):
        {body}

@hookimpl
def attncore_register_renderers(register):
    {registration}
"""
BROKEN = {
    "on_import": 'raise RuntimeError("broken on import")',
    "on_registration": REGISTER.format(
        name="on_registration", body="pass", registration='raise RuntimeError("broken on registration")'
    ),
    "on_render": REGISTER.format(
        name="on_render", body='raise RuntimeError("broken on render")', registration="register(Drawing())"
    ),
    "nonsense": REGISTER.format(name="nonsense", body="pass", registration='register("not a renderer")'),
    "clash": REGISTER.format(name="terminal", body="pass", registration="register(Drawing())"),
    "sound": REGISTER.format(
        name="sound", body='return Rendered({"text/plain": "sound"})', registration="register(Drawing())"
    ),
}
PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "broken-{place}"
version = "1.0"
[project.entry-points.attncore]
{name} = "plugin_{name}"
[tool.setuptools]
py-modules = ["plugin_{name}"]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them, installed by pip."""
    folder = tmp_path_factory.mktemp("broken")
    sources = []
    for name, code in BROKEN.items():
        source = folder / name
        source.mkdir()
        place = name.replace("_", "-")
        (source / "pyproject.toml").write_text(PYPROJECT.format(name=name, place=place), encoding="utf-8")
        (source / f"plugin_{name}.py").write_text(code, encoding="utf-8")
        sources.append(str(source))
    target = folder / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    done = subprocess.run([*pip, str(target), *sources], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
    return target


def run(code: str, installed: Path) -> subprocess.CompletedProcess[str]:
    """A program that finds the plugins."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    program = f"import attncore\nfrom attncore.testing import example_trace\ntrace = example_trace()\n{code}"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


def test_sound_plugins_work_beside_broken_ones(installed: Path) -> None:
    """And each of the broken is warned of by its name."""
    done = run("print(trace.render('sound')); print(trace.render('terminal').title)", installed)
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.splitlines()[0] == "sound"
    for name in ("on_import", "on_registration", "nonsense", "clash"):
        assert name in done.stderr, name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("on_import", "broken on import"),
        ("on_registration", "broken on registration"),
        ("nonsense", "nonsense"),
        ("on_render", "broken on render"),
    ],
)
def test_asking_for_a_broken_one_gives_the_reason(name: str, words: str, installed: Path) -> None:
    """Rather than that there is no such renderer."""
    done = run(f"trace.render({name!r})", installed)
    assert done.returncode != 0
    assert words in done.stderr


def test_a_clash_names_both_distributions(installed: Path) -> None:
    """Whose name it is, and whose it cannot be."""
    done = run("attncore.renderers()", installed)
    clash = next(line for line in done.stderr.splitlines() if "clash" in line)
    assert "broken-clash" in clash
    assert "attncore" in clash


def test_the_command_lists_them_with_reasons(installed: Path) -> None:
    """Also as a sentence for a person."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "COLUMNS": "200"}
    command = [sys.executable, "-W", "ignore", "-m", "attncore", "renderers", "-v"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
    assert "broken-sound" in done.stdout
    assert "broken on import" in done.stdout + done.stderr
