"""The local server, as a command: the page comes with its token, and without it nothing does."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from shared import only, report, saved_and_shown

from attncore.testing import example_trace


def answer(address: str) -> tuple[int, str]:
    """The status of a request, and what was sent."""
    try:
        with urllib.request.urlopen(address, timeout=30) as response:
            return int(response.status), response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


if __name__ == "__main__":
    trace = example_trace(lazy=True)
    with tempfile.TemporaryDirectory() as folder:
        trace.save(Path(folder) / "saved.attn.safetensors")
        program = [str(Path(sys.executable).parent / "attncore"), "serve", "saved.attn.safetensors", "--no-open"]
        with subprocess.Popen(program, cwd=folder, stdout=subprocess.PIPE, encoding="utf-8") as server:
            try:
                assert server.stdout is not None
                address = server.stdout.readline().strip()
                status, page = answer(address)
                assert status == 200, address
                assert "</html>" in page
                status, page = answer(address.rsplit("/", 2)[0] + "/")
                assert (status, page) == (403, ""), status
            finally:
                server.terminate()
    report(only(None), "a page with its token, nothing without", saved_and_shown(trace))
