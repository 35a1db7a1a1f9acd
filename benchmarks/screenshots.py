"""Write the pictures of docs/images: each view at 12, 128 and 1,024 tokens, light and dark.

Usage: ``python benchmarks/screenshots.py [--views head ...] [--tokens 12 ...]``.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

from page_browser import chromium, opened
from page_traces import minilm_trace
from PIL import Image
from playwright.sync_api import Browser

from attncore.attention import AttentionTrace
from attncore.testing import example_trace

IMAGES = Path(__file__).parent.parent / "docs" / "images"
VIEWS = ("head", "model", "neuron", "matrix")
LENGTHS = (12, 128, 1024)
THEMES = ("light", "dark")
# Enough for flat colours and their edges; it makes the files a third of the size.
_COLOURS = 256


def trace_of(tokens: int) -> AttentionTrace:
    """A real sentence at 12 tokens and a real text at 128, where the model is installed; otherwise an example.

    The real model reads at most 512 tokens.
    """
    real = None if tokens > 512 else minilm_trace(None if tokens == 12 else tokens)
    return real or example_trace(12, 12, tokens, lazy=True)


def shoot(browser: Browser, page_file: Path, tokens: int, view: str, theme: str) -> None:
    """Write one picture."""
    with opened(browser, page_file, view, theme) as page:
        # Fonts and fading settle.
        page.wait_for_timeout(300)
        picture = Image.open(io.BytesIO(page.screenshot()))
    file = IMAGES / f"page-{view}-{tokens}-{theme}.png"
    # The palette covers rare colours too: the heads' own are seen on a few pixels and must not become each other's.
    few = picture.convert("RGB").quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    few.save(file, optimize=True)
    print(f"{file.name} {file.stat().st_size / 1000:.0f} kB", flush=True)


def main() -> None:
    """Write the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", nargs="+", choices=VIEWS, default=list(VIEWS))
    parser.add_argument("--tokens", nargs="+", type=int, choices=LENGTHS, default=list(LENGTHS))
    arguments = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for tokens in arguments.tokens:
            trace = trace_of(tokens)
            for view in arguments.views:
                page_file = Path(folder) / f"{tokens}-{view}.html"
                # The neuron view's queries and keys are in a file of its own where a file cannot hold all.
                trace.render("d3", view=view).save(page_file)
                for theme in THEMES:
                    shoot(browser, page_file, tokens, view, theme)


if __name__ == "__main__":
    main()
