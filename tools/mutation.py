"""Break the capture core on purpose, a fault at a time, in a copy of the tree, and see that tests notice each.

    python tools/mutation.py                  # every fault of `mutants.py`
    python tools/mutation.py sinks window     # faults whose description has one of these words
    python tools/mutation.py --write          # and write the result file and docs/mutants.md

A fault that no test notices is a missing test: the command fails and names it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from clean_copy import clean_copy
from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "mutants.md"
RESULT = Path(__file__).parent / "results" / "mutants.json"
# A fault may make a loop endless: that is noticed too.
_SECONDS = 1200
INTRODUCTION = """\
# Faults that the tests notice

Written by `make mutants`, which breaks the capture core on purpose, one fault at a time, in a copy of the tree, and
runs the tests that should notice. Each fault gives wrong numbers in silence, or changes the model, so a fault that no
test notices is a missing test, and the command fails. Before, the same tests must pass in a copy that is not broken."""


@dataclass(frozen=True)
class Outcome:
    """What became of a fault: the first test that noticed it, or none."""

    mutant: Mutant
    noticed_by: str | None


def broken(mutant: Mutant, copy: Path) -> None:
    """Put a fault into a copy.

    Raises:
        ValueError: the source has moved, and the text to replace is not there exactly once.
    """
    file = copy / mutant.path
    text = file.read_text(encoding="utf-8")
    if (count := text.count(mutant.before)) != 1:
        raise ValueError(f'"{mutant.fault}": its text is {count} times in {mutant.path}; mend tools/mutants.py')
    file.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")


def test(copy: Path, tests: Sequence[str]) -> str | None:
    """Run tests of a copy on the copy's source; the first that fails, or None.

    Raises:
        RuntimeError: no test could run, or what was imported is not the copy.
    """
    variables = os.environ | {"PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    code = "import attncore, attncore.backends.torch as t; print(attncore.__file__, t.__file__)"
    where = subprocess.run([sys.executable, "-c", code], cwd=copy, env=variables, capture_output=True, text=True)
    if where.returncode == 0 and where.stdout.count(str(copy)) != 2:
        raise RuntimeError(f"the tests would import {where.stdout.strip()}, not the copy in {copy}")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=copy, env=variables, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return "they did not end"
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+?)(?:\[.*)?(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode not in (1, 2) or found is None:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return found[1].removeprefix("tests/")


def outcome(mutant: Mutant) -> Outcome:
    """Break a copy of its own and test it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = clean_copy(Path(folder).resolve() / "copy")
        broken(mutant, copy)
        result = Outcome(mutant, test(copy, mutant.tests))
    print(f"{mutant.fault}: {result.noticed_by or 'NOT NOTICED'}", flush=True)
    return result


def check_unbroken(mutants: Sequence[Mutant]) -> None:
    """The same tests pass where nothing is broken, and every fault still has its place.

    Raises:
        RuntimeError: one fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = clean_copy(Path(folder).resolve() / "copy")
        tests = list(dict.fromkeys(name for mutant in mutants for name in mutant.tests))
        failed = test(copy, tests)
        if failed is not None:
            raise RuntimeError(f"{failed} fails without any fault")
        for number, mutant in enumerate(mutants):
            broken(mutant, clean_copy(Path(folder).resolve() / f"copy-{number}"))


def page(noticed_by: Mapping[str, str | None]) -> str:
    """docs/mutants.md, from the first test that noticed each fault."""
    ran = [one for one in MUTANTS if one.fault in noticed_by]
    noticed = sum(noticed_by[one.fault] is not None for one in ran)
    rest = len(MUTANTS) - len(ran)
    said = f" {rest} more are in `tools/mutants.py` and were not run for this page." if rest else ""
    lines = [INTRODUCTION, "", f"{noticed} of {len(ran)} faults are noticed.{said}", ""]
    lines += ["| fault | in | first noticed by |", "|---|---|---|"]
    for one in ran:
        seen = f"`{noticed_by[one.fault]}`" if noticed_by[one.fault] else "**nothing**"
        lines.append(f"| {one.fault} | `{one.path.removeprefix('src/')}` | {seen} |")
    return "\n".join(lines) + "\n"


def written(outcomes: Sequence[Outcome]) -> None:
    """Put these into the result file, in place of earlier ones of the same faults, and write the page anew."""
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    known |= {one.mutant.fault: one.noticed_by for one in outcomes}
    RESULT.write_text(
        json.dumps({one.fault: known[one.fault] for one in MUTANTS if one.fault in known}, indent=1) + "\n"
    )
    PAGE.write_text(page(known), encoding="utf-8")


def main() -> int:
    """Every fault asked for; the exit status says whether one was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="only faults whose description has one of these; all by default")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write the result file and docs/mutants.md")
    asked = parser.parse_args()
    chosen = [one for one in MUTANTS if not asked.words or any(word in one.fault for word in asked.words)]
    check_unbroken(chosen)
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(asked.jobs) as pool:
        for one in pool.map(outcome, chosen):
            outcomes.append(one)
            if asked.write:
                written(outcomes)
    missed = [one.mutant.fault for one in outcomes if one.noticed_by is None]
    print(f"{len(outcomes) - len(missed)} of {len(outcomes)} faults were noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
