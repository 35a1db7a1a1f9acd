"""A backend for ONNX models, registered through attncore's own hook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attncore import Backend, hookimpl
from attncore_onnx.backend import OnnxBackend

__all__ = ["OnnxModel"]


def __getattr__(name: str) -> Any:
    """`OnnxModel`, imported when it is asked for: a plugin that nobody uses should cost nothing."""
    if name != "OnnxModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from attncore_onnx.model import OnnxModel

    return OnnxModel


@hookimpl
def attncore_register_backends(register: Callable[[Backend], None]) -> None:
    """Make the backend known."""
    register(OnnxBackend())
