"""A marimo notebook that is served on this machine alone, for as long as a test needs it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from background import running

_SECONDS_TO_START = 60


@contextmanager
def marimo_app(notebook: Path) -> Iterator[str]:
    """Runs a notebook as an application; gives its address. Settings and caches are kept beside the notebook."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}/"
    line = [
        *(sys.executable, "-m", "marimo", "-q", "run", str(notebook), "--headless", "--no-token", "--no-sandbox"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    own = {f"XDG_{name}_HOME": str(notebook.parent / name.lower()) for name in ("CONFIG", "CACHE", "STATE", "DATA")}
    log = notebook.with_suffix(".log")
    with running(line, notebook.parent, {**os.environ, **own}, log) as process:
        _wait_for(address, process, log)
        yield address


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"marimo did not start:\n{log.read_text()[-3000:]}")
