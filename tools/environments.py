"""Install the wheel into clean environments, a row each, and try it there: one extra alone, an old and a new Python.

    python tools/environments.py                 # every row
    python tools/environments.py "jax, " lowest  # rows whose title has one of these
    python tools/environments.py --write         # and write the result file and docs/environments.md
    python tools/environments.py --graphics      # and install builds for GPUs where there is no other

A row with the lowest versions that pyproject.toml allows also runs the tests that concern it. What is not to be had
here (no wheel for that Python) is said, and is no failure. A build for GPUs runs without one too, but with CUDA it is
several gigabytes: where there is no other, it is installed with ``--graphics`` only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environment_report
from clean_copy import clean_copy
from environment_rows import Row, rows

ROOT = Path(__file__).parent.parent
CHECKS = Path(__file__).parent / "environment_checks"
RESULT = Path(__file__).parent / "results" / "environments.json"
UV = (sys.executable, "-m", "uv")
# The checks' folder goes to the end of the path, so that no file of it stands in front of a library's.
RUN = (
    "import runpy, sys; sys.path.append(sys.argv[1]); runpy.run_path(sys.argv[1] + '/' + sys.argv[2], None, '__main__')"
)
# A check or the tests of one row.
_SECONDS = 1800


class NotHereError(Exception):
    """What a row needs is not to be had on this machine."""


@dataclass(frozen=True)
class Workplace:
    """Where environments are made, and the wheel that goes into each."""

    folder: Path
    wheel: Path
    pythons: dict[str, str]
    graphics: bool


def environment_variables() -> dict[str, str]:
    """The variables without those that lead Python back to this repository; uv looks where pip was told to look."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    if "PIP_FIND_LINKS" in kept:
        kept.setdefault("UV_FIND_LINKS", kept["PIP_FIND_LINKS"])
    return kept | {"OMP_NUM_THREADS": "1", "CI": "1", "MPLBACKEND": "agg", "TF_CPP_MIN_LOG_LEVEL": "3"}


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command with its output, whatever its result."""
    return subprocess.run(
        command, cwd=cwd, env=environment_variables(), capture_output=True, text=True, timeout=_SECONDS, check=False
    )


def must_run(*command: str | Path, cwd: Path | None = None) -> str:
    """The output of a command.

    Raises:
        RuntimeError: it failed.
    """
    done = run(*command, cwd=cwd)
    if done.returncode:
        raise RuntimeError(f"{' '.join(str(part) for part in command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def installed_pythons() -> dict[str, str]:
    """The Pythons of this machine that attncore may run on, by version, oldest first; none is downloaded."""
    found: dict[str, str] = {}
    for minor in range(11, 20):
        name = f"python3.{minor}"
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        for candidate in (shutil.which(name), *(str(path) for path in sorted(pyenv.glob(f"*/bin/{name}")))):
            if candidate and run(candidate, "-c", "import venv, ssl").returncode == 0:
                found.setdefault(f"3.{minor}", candidate)
    return found


def built_wheel(folder: Path) -> Path:
    """The wheel, built from the source archive as a package index would hand it out."""
    copy = clean_copy(folder / "copy")
    must_run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", folder, copy)
    shutil.unpack_archive(next(folder.glob("*.tar.gz")), folder, filter="data")
    unpacked = next(path for path in folder.glob("attncore-*") if path.is_dir())
    must_run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, unpacked)
    return next(folder.glob("*.whl"))


def resolved(row: Row, place: Workplace) -> str:
    """The exact versions that a row installs, one a line.

    Raises:
        NotHereError: there are none for this Python, or only builds for GPUs, which were not asked for.
    """
    python, folder = place.pythons[row.python], place.folder
    command = [*UV, "pip", "compile", "--quiet", "--python", python, "--only-binary", ":all:", "--no-header"]
    command += ["--no-annotate", "--resolution", row.resolution]
    if row.extra:
        command += ["--extra", row.extra]
    if row.resolution == "highest":
        command += ["--constraint", str(ROOT / "constraints.txt")]
    if row.held:
        (folder / "held.txt").write_text("".join(f"{name}{bound}\n" for name, bound in row.held.items()))
        command += ["--constraint", "held.txt"]
    done = run(*command, ROOT / "pyproject.toml", cwd=folder)
    if done.returncode:
        raise NotHereError(" ".join(done.stderr.split())[:300])
    graphics = [line for line in done.stdout.splitlines() if line.startswith("nvidia-")]
    if graphics and not place.graphics:
        raise NotHereError(f"only a build for GPUs, with {len(graphics)} packages of CUDA, is to be had here")
    return done.stdout


def tried(row: Row, place: Workplace) -> dict[str, Any]:
    """Make a row's environment, try attncore in it, and remove it again."""
    result: dict[str, Any] = {"name": row.name, "python": row.python, "resolution": row.resolution}
    folder = place.folder / "row"
    try:
        versions = resolved(row, place)
        must_run(*UV, "venv", "--quiet", "--python", place.pythons[row.python], folder)
        (place.folder / "versions.txt").write_text(versions)
        install = (*UV, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"))
        must_run(*install, "--requirement", place.folder / "versions.txt")
        must_run(*install, "--no-deps", place.wheel)
        result["versions"] = {name: dict(_pairs(versions)).get(name, "") for name in row.shown}
        result["found"] = must_run(folder / "bin" / "python", "-P", "-c", RUN, CHECKS, row.check, cwd=place.folder)
        result["found"] = result["found"].strip().splitlines()[-1]
        if row.tests:
            # What tests need must not bring newer versions of what is tried.
            kept = ("--constraint", place.folder / "versions.txt")
            must_run(*install, *kept, "pytest", "hypothesis", *row.test_needs)
            result["tests"] = tests_passed(row, folder)
        result["result"] = "passed"
    except NotHereError as reason:
        result |= {"result": "not to be had here", "found": str(reason)}
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        result |= {"result": "FAILED", "found": str(error)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def tests_passed(row: Row, folder: Path) -> str:
    """The closing line of the row's tests, run against the installed wheel.

    Raises:
        RuntimeError: one failed.
    """
    python = folder / "bin" / "python"
    left_out = [f"--deselect={name}" for name in row.without]
    # Without the options of plugins that only the development environment has.
    options = ("-q", "-ra", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib --strict-markers")
    printed = must_run(python, "-m", "pytest", *options, *row.tests, *left_out, cwd=ROOT)
    return printed.strip().splitlines()[-1]


def _pairs(versions: str) -> list[tuple[str, str]]:
    return [(name, version) for name, _, version in (line.partition("==") for line in versions.splitlines())]


def written(result: dict[str, Any], everything: list[Row]) -> None:
    """Put one result into the result file, in place of an earlier one of the same row, and write the page anew."""
    known = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    by_row = {_key(one): one for one in (*known, result)}
    ordered = [by_row[key] for row in everything if (key := (row.name, row.python, row.resolution)) in by_row]
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"rows": ordered}, indent=1, ensure_ascii=False) + "\n")
    environment_report.PAGE.write_text(environment_report.page(ordered))


def _key(result: dict[str, Any]) -> tuple[str, str, str]:
    return result["name"], result["python"], result["resolution"]


def main() -> int:
    """Every row asked for; the exit status says whether one failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="only rows whose title has one of these; all by default")
    parser.add_argument("--write", action="store_true", help="write the result file and docs/environments.md")
    parser.add_argument("--graphics", action="store_true", help="install builds for GPUs where there is no other")
    asked = parser.parse_args()
    pythons = installed_pythons()
    everything = rows(tuple(pythons))
    chosen = [row for row in everything if not asked.words or any(word in row.title for word in asked.words)]
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = Workplace(folder, built_wheel(folder), pythons, asked.graphics)
        for row in chosen:
            results.append(tried(row, place))
            print(environment_report.line(results[-1]), flush=True)
            if asked.write:
                written(results[-1], everything)
    print("\n" + environment_report.table(results))
    return 1 if any(result["result"] == "FAILED" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
