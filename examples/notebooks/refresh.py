"""Runs the notebooks beside this file and writes them again, with the outputs that are kept.

Usage: ``python examples/notebooks/refresh.py [NAME …]`` with (beginnings of) file names; without any, all of them.
README.md beside this file says which outputs are kept, and why. Needs nbclient, ipykernel and what the notebooks use.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
# Interactive pages are megabytes of HTML that no website shows; text and pictures are what a reader sees there.
KEPT_TYPES = ("text/plain", "image/png", "image/svg+xml")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_SECONDS_A_CELL = 300


def notebook_paths(beginnings: list[str] | None = None) -> list[Path]:
    """The notebooks beside this file whose names begin so, in order."""
    paths = sorted(FOLDER.glob("*.ipynb"))
    return [path for path in paths if not beginnings or path.name.startswith(tuple(beginnings))]


def read(path: Path) -> Any:
    """The notebook in a file."""
    return nbformat.read(path, as_version=4)


def text_of(notebook: Any) -> str:
    """The notebook as its file holds it."""
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def executed(notebook: Any, folder: Path) -> Any:
    """A copy of the notebook after a kernel of this Python ran it in ``folder`` from the first cell to the last.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an error.
    """
    done = copy.deepcopy(notebook)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(
        done, timeout=_SECONDS_A_CELL, kernel_name="python3", record_timing=False, resources=resources
    ).execute()
    return done


def tidied(notebook: Any) -> Any:
    """A copy that keeps of each output its text and pictures, and nothing that differs from run to run."""
    tidy = copy.deepcopy(notebook)
    tidy.metadata = NotebookNode(METADATA)
    for cell in tidy.cells:
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = list(_kept(cell.outputs))
    return tidy


def _kept(outputs: list[Any]) -> Iterator[Any]:
    """The outputs with what is kept of each; text that was printed in pieces is one."""
    printed = None
    for output in outputs:
        if output.output_type == "stream":
            if printed is not None and printed.name == output.name:
                printed.text += output.text
                continue
            printed = output
        else:
            printed = None
            if "data" in output:
                kept = {kind: output.data[kind] for kind in KEPT_TYPES if kind in output.data}
                output.data = NotebookNode(kept)
                # The size in which a picture is shown.
                shown = {kind: output.metadata[kind] for kind in kept if kind in output.metadata}
                output.metadata = NotebookNode(shown)
        yield output


def main() -> None:
    """Run, tidy and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="the beginning of a notebook's file name")
    paths = notebook_paths(parser.parse_args().names)
    if not paths:
        parser.error(f"no notebook begins so; there are {', '.join(path.name for path in notebook_paths())}")
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            done = executed(read(path), Path(folder))
        path.write_text(text_of(tidied(done)), encoding="utf-8")
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
