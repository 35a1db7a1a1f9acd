"""The capture options as keyword arguments, for editors and type-checkers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from attncore.protocols import Keep
from attncore.selection import HeadSelector, LayerSelector


class OptionNames(TypedDict, total=False):
    """The fields of `attncore.CaptureOptions`, each optional."""

    layers: LayerSelector
    heads: HeadSelector
    keep: Keep
    values: bool
    dtype: Any
    device: str | None
    grad: bool
    reduce: Callable[[Any], Any] | None
