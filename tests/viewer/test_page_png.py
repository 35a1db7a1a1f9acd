"""The view as a PNG: the same picture as its SVG, which the browser draws by itself."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from viewer_page import VIEWS, ViewerPage

# A PNG has so many pixels for each of the page's.
SCALE = 2


def exported(viewer: ViewerPage, kind: str) -> bytes:
    """The view as a file of this kind."""
    viewer.press("e")
    with viewer.page.expect_download() as download:
        viewer.page.get_by_role("menuitem", name=kind).click()
    assert download.value.suggested_filename.endswith(f".{kind.lower()}")
    return Path(download.value.path()).read_bytes()


def pixels_of(png: bytes) -> np.ndarray:
    """(height, width, 3), 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.float64)


def drawn_by_the_browser(viewer: ViewerPage, svg: bytes, folder: Path) -> np.ndarray:
    """The SVG file opened in a tab of its own, as sharp as the PNG."""
    file = folder / "picture.svg"
    file.write_bytes(svg)
    root = re.search(rb"<svg[^>]*>", svg)
    assert root is not None
    width, height = (float(re.findall(rb' %s="([\d.]+)' % name, root[0])[0]) for name in (b"width", b"height"))
    browser = viewer.page.context.browser
    assert browser is not None
    window = {"width": round(width), "height": round(height)}
    context = browser.new_context(viewport=window, device_scale_factor=SCALE, offline=True)
    try:
        page = context.new_page()
        page.goto(file.as_uri())
        return pixels_of(page.screenshot())
    finally:
        context.close()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", ["plain", "hostile"])
def test_a_png_is_the_svg_in_pixels(open_page, request, tmp_path, view: str, kind: str) -> None:
    """Twice as many pixels as the picture has units, and each as the browser draws the SVG; hostile tokens or not."""
    viewer = open_page(request.getfixturevalue(kind), f"#view={view}")
    png, svg = pixels_of(exported(viewer, "PNG")), exported(viewer, "SVG")
    expected = drawn_by_the_browser(viewer, svg, tmp_path)
    assert abs(png.shape[0] - expected.shape[0]) <= SCALE
    assert abs(png.shape[1] - expected.shape[1]) <= SCALE
    rows, columns = (min(sizes) for sizes in zip(png.shape[:2], expected.shape[:2], strict=True))
    assert np.unique(png.reshape(-1, 3), axis=0).shape[0] > 20  # a picture, not an empty sheet
    difference = np.abs(png[:rows, :columns] - expected[:rows, :columns])
    assert difference.mean() < 2
    # The lines of the letters may lie a part of a pixel beside; a larger part of the picture may not differ.
    assert (difference.max(axis=2) > 64).mean() < 0.01
