"""Pages on the command line: written to a file, and opened in the browser where somebody sits in front of one."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from pathlib import Path

from attncore.cli_output import say
from attncore.rendering import Rendered


def is_page(rendered: Rendered) -> bool:
    """Whether a picture is a page for a browser, which no terminal can show."""
    return "text/html" in rendered.files


def show_page(rendered: Rendered, path: Path | None = None, *, open_page: bool = True) -> Path:
    """Write a page, say where it lies, and open it where there is a display.

    Args:
        rendered: a page, by `is_page`.
        path: where to write it; None for a temporary file, which stays for the browser.
        open_page: whether to open it.

    Returns:
        Where it was written.
    """
    if path is None:
        handle, name = tempfile.mkstemp(prefix="attncore-", suffix=".html")
        os.close(handle)
        path = Path(name)
    written = rendered.save(path)
    opened = open_page and open_in_browser(written.resolve().as_uri())
    say(f"the page is in {written}" + (", and open in the browser" if opened else "; open it in a browser"))
    return written


def open_in_browser(url: str) -> bool:
    """Opens ``url`` where there is a display; whether a browser took it."""
    if not has_display():
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False


def has_display() -> bool:
    """Whether this process runs on a desktop: never in continuous integration, over SSH without one, or headless."""
    if os.environ.get("CI"):
        return False
    if sys.platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
