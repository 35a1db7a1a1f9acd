"""What can go wrong, in a few classes. Each message says what was asked, what was found and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attncore.coverage import Coverage


class AttncoreError(Exception):
    """The base of every error that attncore raises on purpose."""


class UnsupportedModelError(AttncoreError):
    """The object is not a model that a backend can capture, or it cannot be seen inside."""


class CaptureError(AttncoreError):
    """A capture was used in a way that cannot give a trace, such as asking for it before the model ran."""


class NoAttentionError(CaptureError):
    """The model ran and no softmax attention was found; ``coverage`` says what ran instead."""

    def __init__(self, message: str, coverage: Coverage) -> None:
        super().__init__(message)
        self.coverage = coverage


class SelectionError(AttncoreError, LookupError):
    """A layer, head, batch item or token that does not exist was asked for."""


class LayerIndexError(SelectionError, IndexError):
    """A layer's number is out of range. Being an IndexError, it ends a loop over a sequence."""


class TokenError(AttncoreError, ValueError):
    """Token labels do not fit the axis they are meant for."""


class OptionError(AttncoreError, ValueError):
    """An option has a value that is not understood."""


class ArrayError(AttncoreError, ValueError):
    """An array has the wrong shape, type or values for what it is meant to be."""


class UnavailableError(AttncoreError):
    """Something was asked for that this trace does not hold, such as weights that were reduced while capturing."""


class FileFormatError(AttncoreError):
    """A file is not a trace, is damaged, or was written by a newer version."""


class PluginError(AttncoreError):
    """A renderer or backend is unknown, failed to load, clashes with another or broke its contract."""


def did_you_mean(asked: str, known: Iterable[str]) -> str:
    """A clause such as ``' (did you mean "head"?)'``, or nothing when no known name is close."""
    close = get_close_matches(asked, list(known), n=1, cutoff=0.5)
    return f' (did you mean "{close[0]}"?)' if close else ""


def named(error: BaseException) -> str:
    """The kind of an error and the first line that says something, of what may be pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300].rstrip('.')}" if lines else type(error).__name__
