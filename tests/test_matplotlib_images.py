"""Figures look as they did: each is compared with a picture of itself in ``tests/baseline``, which people looked at.

``CONTRIBUTING.md`` has the command that draws the pictures anew. The letters are DejaVu Sans, which comes with
matplotlib, and constraints.txt holds matplotlib to the version that drew them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.testing.compare import compare_images
from PIL import Image

import attncore
from attncore.testing import example_cross_trace, example_trace

HERE = Path(__file__).parent
BASELINE = HERE / "baseline"
# Root mean square of all pixels' differences, of 255. The same version draws the same pixels, but for the last digit of
# a colour on another processor; a twin below sees that one cell off by 0.05, and one token off by a letter, are more.
TOLERANCE = 0.25
COLUMN = (3.3, 3.0)  # inches, as one column of a paper

FIGURES: dict[str, tuple[str, dict[str, Any]]] = {
    "matrix": ("plain", {"view": "matrix", "layer": 1, "head": 2, "figsize": COLUMN}),
    "matrix_long": ("long", {"view": "matrix", "head": 3, "figsize": COLUMN}),
    "matrix_cross": ("cross", {"view": "matrix", "layer": 3, "cmap": "magma", "figsize": COLUMN}),
    "head": ("plain", {"view": "head", "layer": 1, "head": 2, "figsize": COLUMN}),
    "head_all": ("cross", {"view": "head", "layer": 3, "figsize": (3.3, 4.0)}),
    "heads": ("plain", {"view": "heads", "layer": 1, "figsize": COLUMN}),
    "heads_patches": ("patches", {"view": "heads", "query": 0, "figsize": COLUMN}),
    "model": ("long", {"view": "model", "figsize": (3.3, 2.4)}),
    "summary": ("plain", {"view": "summary", "figsize": COLUMN}),
}


def patches() -> attncore.AttentionTrace:
    """A class token, and an image of 4 x 6 patches."""
    weights = np.random.default_rng(0).random((1, 4, 25, 25)) ** 6
    trace = attncore.AttentionTrace.from_arrays([weights / weights.sum(-1, keepdims=True)])
    (axis,) = trace.axes.values()
    axes = {axis.name: axis.replaced(grid=(4, 6), kind="patch")}
    return attncore.AttentionTrace(trace.layers, axes, trace.coverage, trace.provenance)


TRACES = {
    "plain": lambda: example_trace(n_heads=6),
    "long": lambda: example_trace(n_tokens=128, n_heads=6, lazy=True),
    "cross": lambda: example_cross_trace(n_source=10, n_target=6, n_heads=6),
    "patches": patches,
}


def draw(name: str) -> Any:
    """One of the figures."""
    trace, options = FIGURES[name]
    return TRACES[trace]().render("matplotlib", **options).figure  # type: ignore[attr-defined]


@pytest.mark.mpl_image_compare(style="default", tolerance=TOLERANCE, savefig_kwargs={"dpi": 100})
@pytest.mark.parametrize("name", FIGURES)
def test_figures_look_as_they_did(name: str) -> Any:
    """In matplotlib's own style, at the width of one column."""
    return draw(name)


@pytest.mark.mpl_image_compare(style="dark_background", tolerance=TOLERANCE, savefig_kwargs={"dpi": 100})
@pytest.mark.parametrize("name", ["matrix", "head_all"])
def test_dark_figures_look_as_they_did(name: str) -> Any:
    """With light letters on a dark ground."""
    return draw(name)


def change_a_weight(figure: Any) -> None:
    """One cell is off by 0.05."""
    (image,) = figure.axes[0].get_images()
    weights = np.array(image.get_array())
    weights[5, 3] += 0.05
    image.set_data(weights)


def change_a_letter(figure: Any) -> None:
    """One token of twelve is another."""
    ticks = figure.axes[0].get_yticklabels()
    ticks[2].set_text("car")
    figure.axes[0].yaxis.set_ticks(range(12), [tick.get_text() for tick in ticks], fontsize=ticks[0].get_fontsize())


@pytest.mark.parametrize("change", [change_a_weight, change_a_letter, lambda figure: figure.axes[0].invert_yaxis()])
def test_a_small_change_is_seen(change: Any, tmp_path: Path) -> None:
    """The twin: unchanged, the figure is within the tolerance, and changed it is not."""
    import matplotlib.style

    with matplotlib.style.context("default", after_reset=True):
        figure = draw("matrix")
        expected = str(shutil.copy(BASELINE / "test_figures_look_as_they_did_matrix.png", tmp_path / "expected.png"))
        actual = str(tmp_path / "actual.png")
        figure.savefig(actual, dpi=100)
        assert compare_images(expected, actual, TOLERANCE) is None
        change(figure)
        figure.savefig(actual, dpi=100)
        assert compare_images(expected, actual, TOLERANCE)


def test_the_settings_of_the_tests_compare_pictures(tmp_path: Path) -> None:
    """The twin of the twin: with a baseline that has a spot, a plain run of pytest fails."""
    shutil.copy(__file__, tmp_path)
    shutil.copytree(BASELINE, tmp_path / "baseline")
    spoilt = tmp_path / "baseline" / "test_figures_look_as_they_did_head.png"
    with Image.open(spoilt) as picture:
        changed = picture.convert("RGB")
    changed.paste((255, 0, 0), (100, 100, 110, 110))
    changed.save(spoilt)
    settings = ["-c", str(HERE.parent / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    chosen = [f"{Path(__file__).name}::test_figures_look_as_they_did[{name}]" for name in ("head", "matrix")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *settings, *chosen],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "Image files did not match" in done.stdout
