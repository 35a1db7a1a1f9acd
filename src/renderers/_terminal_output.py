"""From coloured lines to what `Rendered` carries: plain text, text for a terminal, and HTML."""

from __future__ import annotations

import html
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

from attncore.errors import OptionError
from attncore.rendering import Rendered

from ._terminal_paint import Paint
from ._terminal_text import clean, wrap

Line = list[Segment]
NARROWEST = 24

PLAIN = Style()
BOLD = Style(bold=True)
# Faint colours differ from terminal to terminal; this grey can be read on black and on white.
FAINT = Style(color="#808080")
ACCENT = Style(color="#2f8fd0")

_COLOR_SYSTEMS = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
    "windows": ColorSystem.WINDOWS,
}
_PAGE = (
    '<!doctype html>\n<meta charset="utf-8">\n<title>{title}</title>\n'
    "<pre style=\"font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:13px;"
    'line-height:1.17;overflow-x:auto;white-space:pre;margin:0;padding:8px"><code style="font-family:inherit">'
    "{code}</code></pre>\n"
)


@dataclass(frozen=True)
class Page:
    """How wide to draw, and whether with colour: None means for people at a colour terminal only."""

    width: int
    color: bool | None

    @classmethod
    def of(cls, width: int | None, color: bool | None) -> Page:
        """The page for these options.

        Raises:
            OptionError: the width is too small or not a number, or ``color`` is not True, False or None.
        """
        if color not in (None, True, False):
            raise OptionError(f"color is True, False or None (as the terminal can); {color!r} was given")
        if width is None:
            return cls(max(NARROWEST, shutil.get_terminal_size((80, 24)).columns), color)
        if isinstance(width, bool) or not isinstance(width, int) or width < NARROWEST:
            raise OptionError(f"width is a number of columns, {NARROWEST} or more; {width!r} was given")
        return cls(width, color)


def line(*parts: str | tuple[str, Style]) -> Line:
    """A line of pieces of text, each plain or with a style."""
    return [Segment(part, PLAIN) if isinstance(part, str) else Segment(part[0], part[1]) for part in parts]


def wrapped(text: str, width: int, style: Style) -> Iterator[Line]:
    """``text`` in lines of at most ``width`` cells; no line where there is no text."""
    for part in wrap(text, width, indent="  ") if text else []:
        yield line((part, style))


def finished(draw: Callable[[Paint], Iterable[Line]], page: Page, title: str, details: Mapping[str, Any]) -> Rendered:
    """The picture that ``draw`` makes, drawn once without colour and once with.

    ``text/plain`` has colour only where ``color=True`` asks for it. Otherwise the coloured text is kept beside the
    bundle, for printing to a terminal that shows colour.
    """
    colored = list(draw(Paint(color=True)))
    plain = _plain(draw(Paint(color=False)))
    bundle = {"text/plain": plain, "text/html": _html(colored, title)}
    if page.color is False:
        return Rendered(bundle, title=title, details=details)
    system = _color_system(force=page.color is True)
    if system is None:
        return Rendered(bundle, title=title, details=details)
    # Sixteen colours are too few for a scale; there the shades of the plain drawing say more.
    fine = system in (ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT)
    styled = _ansi(colored if fine else draw(Paint(color=False)), system)
    if page.color:
        bundle["text/plain"] = styled
        return Rendered(bundle, title=title, details=details)
    return Rendered(bundle, title=title, details=details, terminal_text=styled)


def _color_system(force: bool) -> ColorSystem | None:
    """The colours of the terminal that standard output is; None when it is none or wants no colour (NO_COLOR)."""
    if not force and (os.environ.get("NO_COLOR") or sys.stdout is None):
        return None
    name = Console(file=sys.stdout, force_terminal=True if force else None).color_system
    if force and name not in ("256", "truecolor"):
        return ColorSystem.EIGHT_BIT  # what a pager or a log viewer can be trusted with
    return None if name is None else _COLOR_SYSTEMS[name]


def _plain(lines: Iterable[Line]) -> str:
    return "\n".join("".join(segment.text for segment in one).rstrip() for one in lines)


def _ansi(lines: Iterable[Line], system: ColorSystem) -> str:
    return "\n".join(
        "".join((segment.style or PLAIN).render(segment.text, color_system=system) for segment in one) for one in lines
    )


def _html(lines: Iterable[Line], title: str) -> str:
    code = "\n".join("".join(_span(segment) for segment in one) for one in lines)
    return _PAGE.format(title=html.escape(clean(title)), code=code)


def _span(segment: Segment) -> str:
    text = html.escape(segment.text)
    rule = segment.style.get_html_style(DEFAULT_TERMINAL_THEME) if segment.style else ""
    return f'<span style="{rule}">{text}</span>' if rule else text
