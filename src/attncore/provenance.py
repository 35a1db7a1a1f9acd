"""Where a trace comes from: versions, model, mechanism, options and time."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from attncore._version import __version__


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Provenance:
    """How a trace came about.

    Attributes:
        backend: its name, such as "torch".
        mechanism: in words, how the backend saw the attention.
        model: the qualified name of the model's class.
        options: the capture options that differ from the default, as text.
        versions: each framework involved, with its version.
        created: the time, UTC in ISO 8601.
        attncore: the version of attncore.
        python: the version of Python.
    """

    backend: str
    mechanism: str
    model: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = field(default_factory=_now)
    attncore: str = __version__
    python: str = field(default_factory=platform.python_version)
