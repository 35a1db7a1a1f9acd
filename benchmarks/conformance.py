"""Compare the attention that attncore captures with what each architecture really applies, and print the table.

    python benchmarks/conformance.py [--only bert,gpt2] [--source hf_cases] [--jobs 2] [--write]

``--write`` also writes benchmarks/results/conformance.json and docs/conformance.md, from this run alone.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import importlib
import importlib.util
import multiprocessing
import os
import signal
import sys
import time
import warnings
from concurrent.futures.process import BrokenProcessPool
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from conformance_report import summary_lines, table_lines, write_results  # noqa: E402
from conformance_rows import Case, Row  # noqa: E402

# Modules with a function cases(); one that is not there is left out.
SOURCES = ("hf_cases", "other_models", "jax_cases", "tensorflow_cases")
SECONDS_PER_CASE = 90


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen cases and print the table. Rows that fall short are results, not errors: the exit status is 0."""
    options = parse(arguments)
    names = chosen_cases(options.only, options.source)
    started = time.monotonic()
    rows = run_all(names, options.jobs)
    seconds = time.monotonic() - started
    print("\n".join(table_lines(rows)))
    print("\n".join(summary_lines(rows)))
    print(f"{len(names)} cases in {seconds:.0f} s")
    if options.write:
        write_results(rows, os.path.dirname(HERE), seconds)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names of architectures, with commas between them")
    parser.add_argument("--source", default="", choices=["", *SOURCES], help="only the cases of this module")
    parser.add_argument("--jobs", type=int, default=1, help="processes to run side by side")
    parser.add_argument("--write", action="store_true", help="write the committed result and the page of the docs")
    return parser.parse_args(arguments)


def prepare() -> None:
    """What every process needs before it imports a framework: one thread, no network, no chatter."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(1)


@functools.cache
def cases_of(source: str) -> dict[str, Case]:
    """The cases of one module by name; none where the module does not exist."""
    if importlib.util.find_spec(source) is None:
        return {}
    return {case.name: case for case in importlib.import_module(source).cases()}


def chosen_cases(only: str, source: str) -> list[tuple[str, str]]:
    """(module, case) of every case asked for.

    Raises:
        SystemExit: a name is unknown.
    """
    prepare()
    found = [(each, name) for each in SOURCES if source in ("", each) for name in cases_of(each)]
    if not only:
        return found
    # A name may itself hold a comma.
    wanted = [only] if (only in {name for _, name in found}) else [name.strip() for name in only.split(",")]
    unknown = sorted(set(wanted) - {name for _, name in found})
    if unknown:
        raise SystemExit(f"no such case: {', '.join(unknown)}")
    return [(each, name) for each, name in found if name in wanted]


def run_all(names: list[tuple[str, str]], jobs: int) -> list[Row]:
    """Every case's rows, in the order of the cases; a case that kills its process costs only itself."""
    results: dict[tuple[str, str], list[Row]] = {}
    left = run_pool(names, jobs, results)
    for name in left:
        if run_pool([name], 1, results):
            results[name] = [died(name)]
    return [row for name in names for row in results[name]]


def run_pool(
    names: list[tuple[str, str]], jobs: int, results: dict[tuple[str, str], list[Row]]
) -> list[tuple[str, str]]:
    """Run cases in a pool of processes; returns those that did not finish because the pool broke."""
    context = multiprocessing.get_context("spawn")
    left = []
    with concurrent.futures.ProcessPoolExecutor(max(1, jobs), context, initializer=prepare) as pool:
        futures = {name: pool.submit(run_case, *name) for name in names}
        for name, future in futures.items():
            try:
                results[name] = future.result()
            except BrokenProcessPool:
                left.append(name)
    return left


def run_case(source: str, name: str) -> list[Row]:
    """Run one case within its time."""
    rows: list[Row] = []
    signal.signal(signal.SIGALRM, time_is_up)
    signal.alarm(SECONDS_PER_CASE)
    try:
        for row in cases_of(source)[name].run():
            rows.append(row)
    except Exception as error:  # a case must not take the others with it
        rows.append(Row(source, name, "", "cannot be built here", note=f"{type(error).__name__}: {error}"[:200]))
    finally:
        signal.alarm(0)
    return rows


def time_is_up(number: int, frame: Any) -> None:
    """Raise in the middle of whatever takes too long."""
    raise TimeoutError(f"more than {SECONDS_PER_CASE} s")


def died(name: tuple[str, str]) -> Row:
    """The row of a case whose process ended."""
    return Row("", name[1], "", "cannot be built here", note="the process ended")


if __name__ == "__main__":
    sys.exit(main())
