"""What is installed is what is tracked: the wheel and the sdist are built from a clean copy and looked into."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from importlib.metadata import version
from pathlib import Path

import pytest
from clean_copy import clean_copy, tracked_files

ROOT = Path(__file__).parent.parent
if not (ROOT / ".git").exists():
    pytest.skip("this is no git checkout, so there is no list of files to compare with", allow_module_level=True)
# Where each folder of the repository is installed, and which of its files are.
INSTALLED = {
    "src/attncore/": "attncore/",
    "src/backends/": "attncore/backends/",
    "src/renderers/": "attncore/renderers/",
    "examples/": "attncore/examples/",
}


def expected_modules(tracked: list[str]) -> set[str]:
    """The files that belong into the wheel: Python files, the marker of types, and the page's assets."""
    expected = set()
    for name in tracked:
        for folder, installed in INSTALLED.items():
            rest = name.removeprefix(folder)
            plain = "/" not in rest and rest.endswith((".py", "py.typed"))
            asset = folder == "src/renderers/" and rest.startswith("static/") and rest.count("/") == 1
            if name.startswith(folder) and (plain or asset):
                expected.add(installed + rest)
    return expected


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of a copy that holds the tracked files and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    copy, out = clean_copy(folder / "copy"), folder / "dist"
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


def wheel_names(built: Path) -> list[str]:
    """The files in the wheel."""
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        return wheel.namelist()


def test_the_wheel_holds_every_tracked_module_once(built: Path) -> None:
    """No module is left out, none is there twice, and nothing else is."""
    names = [name for name in wheel_names(built) if ".dist-info/" not in name]
    assert len(names) == len(set(names))
    assert set(names) == expected_modules(tracked_files())
    assert {"attncore/__init__.py", "attncore/py.typed", "attncore/backends/torch.py"} <= set(names)
    assert {f"attncore/renderers/static/viewer.{ending}" for ending in ("js", "css")} <= set(names)


def test_the_wheel_has_one_top_level_package(built: Path) -> None:
    """Site-packages gets `attncore` and its metadata, and nobody else's name."""
    assert {name.split("/")[0].split("-")[0] for name in wheel_names(built)} == {"attncore"}


def test_the_wheel_is_for_every_platform_and_carries_its_licence(built: Path) -> None:
    """Pure Python, with the licence text and the command's entry point."""
    assert next(built.glob("*.whl")).name.endswith("-py3-none-any.whl")
    names = wheel_names(built)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "attncore = attncore.cli:main" in wheel.read(entry_points).decode()


def test_the_sdist_can_build_the_same_wheel(built: Path, tmp_path: Path) -> None:
    """Somebody who has the source archive only gets the same files."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = next(tmp_path.iterdir())
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--wheel",
        "--outdir",
        str(tmp_path / "out"),
        str(unpacked),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert sorted(wheel_names(tmp_path / "out")) == sorted(wheel_names(built))


def test_the_wheel_works_where_the_source_is_not(built: Path, tmp_path: Path) -> None:
    """Unpacked on its own, the package imports from there and finds its renderers."""
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import attncore; from attncore.testing import example_trace\n"
        f"assert attncore.__file__.startswith({str(tmp_path)!r}), attncore.__file__\n"
        "import attncore.renderers.terminal as t; print(t.__file__)\n"
        "assert example_trace().render('terminal').bundle\n"
        f"assert example_trace().render('d3').save({str(tmp_path / 'page.html')!r}).stat().st_size > 10_000\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))


def test_the_metadata_says_what_is_needed(built: Path) -> None:
    """Each extra of pyproject.toml is offered, the core asks for what it imports and no framework, and for Python."""
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_string(wheel.read(name).decode())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {requirement.split(">")[0] for requirement in metadata.get_all("Requires-Dist") if ";" not in requirement}
    assert needed == {"numpy", "pluggy", "safetensors", "rich", "typer"}
    assert set(metadata.get_all("Provides-Extra")) == set(project["optional-dependencies"])
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Version"] == version("attncore")
    assert metadata.get_payload().startswith("# attncore")


def test_the_sdist_holds_what_is_tracked_and_nothing_else(built: Path) -> None:
    """No file is in the archive that git does not know, and the source and its licence are all there."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        files = {member.name.partition("/")[2] for member in archive if not member.isdir()}
    made = {name for name in files if name.startswith("attncore.egg-info/") or name in ("PKG-INFO", "setup.cfg")}
    tracked = set(tracked_files())
    assert files - made <= tracked
    needed = {name for name in tracked if name.startswith("src/") and name.endswith(".py") and name.count("/") == 2}
    assert needed | {"LICENSE", "README.md", "pyproject.toml"} <= files
