"""Draws the layers of docs/architecture.md: which part imports which. Usage: ``python docs/layers.py``.

``tests/test_docs_layers.py`` compares the arrows with the imports of the source, and the pictures with what this draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT = 860, 400
THEMES = {
    "light": {"ground": "#ffffff", "box": "#e8eaf6", "line": "#3f51b5", "text": "#1a1a2e", "quiet": "#5f6368"},
    "dark": {"ground": "#1e2129", "box": "#2b3150", "line": "#8c9eff", "text": "#eceff4", "quiet": "#a8adbd"},
}


@dataclass(frozen=True)
class Box:
    """A part of attncore, a library (``library=True``) or a frame around parts (``frame=True``)."""

    x: int
    y: int
    width: int
    title: str
    note: str = ""
    height: int = 52
    library: bool = False
    frame: bool = False


BOXES = {
    "cli": Box(335, 14, 180, "command line", "cli*.py"),
    "typer rich uvicorn": Box(660, 20, 180, "typer, rich, uvicorn", height=40, library=True),
    "core": Box(200, 114, 420, "core", "trace, axes, weights, the finder, files, plugins"),
    "numpy pluggy safetensors": Box(660, 120, 180, "numpy, pluggy, safetensors", height=40, library=True),
    "backends": Box(10, 222, 415, "backends", height=86, frame=True),
    "renderers": Box(435, 222, 415, "renderers", height=86, frame=True),
    "backends.torch": Box(20, 248, 125, "torch", "_torch_*.py"),
    "backends.jax": Box(155, 248, 125, "jax", "_jax_*.py"),
    "backends.tensorflow": Box(290, 248, 125, "tensorflow", "_tensorflow_*.py"),
    "renderers.d3": Box(445, 248, 125, "d3", "_page_*.py"),
    "renderers.terminal": Box(580, 248, 125, "terminal", "_terminal_*.py"),
    "renderers.matplotlib": Box(715, 248, 125, "matplotlib", "_matplotlib_*.py"),
    "torch": Box(20, 344, 125, "torch", height=40, library=True),
    "jax": Box(155, 344, 125, "jax", height=40, library=True),
    "tensorflow": Box(290, 344, 125, "tensorflow", height=40, library=True),
    "anywidget traitlets starlette": Box(445, 344, 125, "anywidget, starlette", height=40, library=True),
    "rich": Box(580, 344, 125, "rich", height=40, library=True),
    "matplotlib": Box(715, 344, 125, "matplotlib", height=40, library=True),
}
# From a box to a box, and the points between which the arrow is drawn.
IMPORTS = {
    ("cli", "core"): (425, 66, 425, 112),
    ("cli", "typer rich uvicorn"): (515, 40, 658, 40),
    ("core", "numpy pluggy safetensors"): (620, 140, 658, 140),
    ("backends.torch", "core"): (82, 248, 240, 168),
    ("backends.jax", "core"): (217, 248, 305, 168),
    ("backends.tensorflow", "core"): (352, 248, 375, 168),
    ("renderers.d3", "core"): (507, 248, 445, 168),
    ("renderers.terminal", "core"): (642, 248, 515, 168),
    ("renderers.matplotlib", "core"): (777, 248, 580, 168),
    ("backends.torch", "torch"): (82, 300, 82, 342),
    ("backends.jax", "jax"): (217, 300, 217, 342),
    ("backends.tensorflow", "tensorflow"): (352, 300, 352, 342),
    ("renderers.d3", "anywidget traitlets starlette"): (507, 300, 507, 342),
    ("renderers.terminal", "rich"): (642, 300, 642, 342),
    ("renderers.matplotlib", "matplotlib"): (777, 300, 777, 342),
}
LOADS = {("core", "backends"): (200, 150, 40, 220), ("core", "renderers"): (620, 158, 820, 220)}


def picture(theme: str) -> str:
    """The picture as SVG; each arrow says in ``data-from`` and ``data-to`` which boxes it joins."""
    colours = THEMES[theme]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-size="14" '
        'font-family="system-ui, sans-serif" text-anchor="middle">',
        "<title>Who imports whom: the command line, the backends and the renderers import the core, and each one its "
        "own libraries; the core loads backends and renderers by name</title>",
        f'<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{colours["line"]}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{colours["ground"]}"/>',
        *(line for box in BOXES.values() for line in _box(box, colours)),
        *(_arrow("imports", ends, points, colours) for ends, points in IMPORTS.items()),
        *(_arrow("loads", ends, points, colours) for ends, points in LOADS.items()),
        f'<text x="76" y="160" font-size="12" fill="{colours["quiet"]}">loads by name</text>',
        f'<text x="776" y="186" font-size="12" fill="{colours["quiet"]}">loads by name</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _box(box: Box, colours: dict[str, str]) -> Iterator[str]:
    middle = box.x + box.width / 2
    fill = "none" if box.library or box.frame else colours["box"]
    line = colours["quiet"] if box.library or box.frame else colours["line"]
    dash = ' stroke-dasharray="4 4"' if box.frame else ""
    yield (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6" fill="{fill}" '
        f'stroke="{line}"{dash}/>'
    )
    if box.frame:
        place = f'x="{box.x + 6}" y="{box.y + box.height + 16}" text-anchor="start"'
        yield f'<text {place} font-size="12" fill="{colours["quiet"]}">{box.title}</text>'
        return
    size, colour = (11, colours["quiet"]) if box.library else (14, colours["text"])
    weight = "" if box.library else ' font-weight="600"'
    height = box.y + box.height / 2 + (-3 if box.note else 4)
    yield f'<text x="{middle}" y="{height}" font-size="{size}" fill="{colour}"{weight}>{box.title}</text>'
    if box.note:
        yield f'<text x="{middle}" y="{height + 17}" font-size="11" fill="{colours["quiet"]}">{box.note}</text>'


def _arrow(kind: str, ends: tuple[str, str], points: tuple[int, int, int, int], colours: dict[str, str]) -> str:
    dash = ' stroke-dasharray="5 4"' if kind == "loads" else ""
    x1, y1, x2, y2 = points
    return (
        f'<path data-kind="{kind}" data-from="{ends[0]}" data-to="{ends[1]}" d="M{x1} {y1}L{x2} {y2}" fill="none" '
        f'stroke="{colours["line"]}" stroke-width="1.5"{dash} marker-end="url(#head)"/>'
    )


if __name__ == "__main__":
    for name in THEMES:
        (IMAGES / f"layers-{name}.svg").write_text(picture(name))
