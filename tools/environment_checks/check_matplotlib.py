"""Figures: every view of the matplotlib renderer, as PNG, SVG and PDF, without a screen."""

from __future__ import annotations

import tempfile
from pathlib import Path

from shared import only, report, saved_and_shown

import attncore
from attncore.testing import example_trace

BEGINNINGS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}

if __name__ == "__main__":
    trace = example_trace(lazy=True)
    views = attncore.renderers()["matplotlib"]
    with tempfile.TemporaryDirectory() as folder:
        for view in views:
            for ending, beginning in BEGINNINGS.items():
                saved = trace.render("matplotlib", view=view).save(Path(folder) / f"{view}.{ending}")
                assert saved.read_bytes().startswith(beginning), saved
    report(only(None), f"{', '.join(views)} as {', '.join(BEGINNINGS)}", saved_and_shown(trace))
