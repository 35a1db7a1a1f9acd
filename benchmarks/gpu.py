"""What holds on a graphics card: the cases of the conformance benchmark, fused kernels, options and cost on CUDA.

Usage: ``python benchmarks/gpu.py [--parts cases kernels hugging_face options cost jax] [--device cuda] [--write]``.

Nothing here runs in the tests, which know no graphics card; ``--write`` keeps the result and writes docs/gpu.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Before JAX is imported: products as exact as on a processor, and memory left for PyTorch.
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
from gpu_report import REPORT, RESULTS, Check, report

PARTS = ("cases", "kernels", "hugging_face", "options", "cost", "jax")


def checks_of(part: str, device: str, only: str) -> Iterator[Check]:
    """The checks of one part, imported only when it is asked for."""
    if part == "jax":
        from gpu_jax import checks

        return checks(only)
    from gpu_torch import PARTS as TORCH_PARTS

    return TORCH_PARTS[part](device, only)


def run_part(part: str, device: str, only: str) -> dict[str, Any]:
    """Run one part, print a line for each check, and give its result."""
    warnings.filterwarnings("ignore")
    found: list[Check] = []
    start = time.perf_counter()
    try:
        for check in checks_of(part, device, only):
            found.append(check)
            if not check.held or check.always_shown:
                print(check.line(), flush=True)
    except Exception as error:  # what was found before is worth keeping
        found.append(Check(part, "the part ran to its end", False, f"{type(error).__name__}: {error}"))
        print(found[-1].line(), flush=True)
    print(f"{part}: {sum(check.held for check in found)} held in {time.perf_counter() - start:.0f} s", flush=True)
    return {"environment": environment(device), "checks": [asdict(check) for check in found]}


def environment(device: str) -> dict[str, str]:
    """What the figures depend on, as far as this part uses it."""
    versions = {"python": platform.python_version()}
    for name in ("torch", "transformers", "jax"):
        if name in sys.modules:
            versions[name] = sys.modules[name].__version__
    if device == "cuda" and "torch" in sys.modules:
        versions["device"] = sys.modules["torch"].cuda.get_device_name()
    return versions


def run_apart(part: str, device: str, only: str, folder: Path) -> dict[str, Any]:
    """Run one part in a process of its own: a fault on a card ends the whole process."""
    file = folder / f"{part}.json"
    command = [sys.executable, __file__, "--parts", part, "--device", device, "--only", only, "--part-to", str(file)]
    status = subprocess.run(command, check=False).returncode
    if file.exists():
        result: dict[str, Any] = json.loads(file.read_text())
        return result
    return {"environment": {}, "checks": [asdict(Check(part, "the part ran to its end", False, f"status {status}"))]}


def merged(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """The earlier result with the checks that were made again replaced."""
    checks = {(check["part"], check["what"]): check for check in (*earlier["checks"], *later["checks"])}
    return {"environment": earlier["environment"] | later["environment"], "checks": list(checks.values())}


def main() -> None:
    """Run the parts; the exit status says whether all held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", default="", help="cases and models with this in their name; results of others stay")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--part-to", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part_to is not None:
        arguments.part_to.write_text(json.dumps(run_part(arguments.parts[0], arguments.device, arguments.only)))
        return
    result: dict[str, Any] = {"environment": {}, "checks": []}
    with tempfile.TemporaryDirectory() as name:
        for part in arguments.parts:
            one = run_apart(part, arguments.device, arguments.only, Path(name))
            result["environment"] |= one["environment"]
            result["checks"] += one["checks"]
    if arguments.write:
        if arguments.only and arguments.out.exists():
            result = merged(json.loads(arguments.out.read_text()), result)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")
        if arguments.out == RESULTS:
            REPORT.write_text(report(result))
    sys.exit(not all(check["held"] for check in result["checks"]))


if __name__ == "__main__":
    main()
