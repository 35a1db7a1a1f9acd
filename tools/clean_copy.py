"""A copy of the tracked files and nothing else: what is built or broken there leaves the repository alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def tracked_files() -> list[str]:
    """The files that git knows and that are there, as paths from the root; links as they are."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = (name for name in listed.stdout.split("\0") if name)
    return [name for name in names if (ROOT / name).exists() or (ROOT / name).is_symlink()]


def clean_copy(folder: Path) -> Path:
    """Copy the tracked files into a folder that is made for it."""
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder
