"""JupyterLab on this machine alone, for as long as a test needs it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from background import running

_SECONDS_TO_START = 30
# Lab asks for news and extensions on the network otherwise.
_QUIET = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """Serves the notebooks in ``folder``; gives the address with its token at the end.

    Settings, runtime files and signatures of trusted notebooks are kept in ``folder``/jupyter, so that no setting of
    the person who runs the tests has a part in them.
    """
    own = folder / "jupyter"
    (own / "config" / "labconfig").mkdir(parents=True)
    (own / "config" / "labconfig" / "page_config.json").write_text(json.dumps(_QUIET))
    token = secrets.token_hex(16)
    line = [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"),
        *(f"--notebook-dir={folder}", f"--IdentityProvider.token={token}", "--LabApp.extension_manager=readonly"),
    ]
    with running(line, folder, environment(folder), own / "log") as process:
        yield f"{_address(own, process)}lab/tree/{{}}?token={token}"


def environment(folder: Path) -> dict[str, str]:
    """Variables that keep everything of Jupyter's in ``folder``/jupyter."""
    own = folder / "jupyter"
    places = {name: str(own / name) for name in ("config", "data", "runtime")}
    return {**os.environ, **{f"JUPYTER_{name.upper()}_DIR": place for name, place in places.items()}}


def _address(own: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the server listens, once it does."""
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        for found in (own / "runtime").glob("jpserver-*.json"):
            with suppress(json.JSONDecodeError):  # the server is still writing it
                return str(json.loads(found.read_text())["url"])
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{(own / 'log').read_text()[-3000:]}")
