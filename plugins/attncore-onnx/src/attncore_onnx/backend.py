"""The backend: recognises an ONNX model by its class, and imports ONNX only when it captures one."""

from __future__ import annotations

from typing import Any

from attncore import CaptureOptions
from attncore.protocols import Session


class OnnxBackend:
    """Captures attention of `onnx.ModelProto`s and of `attncore_onnx.OnnxModel`s."""

    name = "onnx"

    def matches(self, model: Any) -> bool:
        """Whether this is a model as `onnx.load` gives it, or one of ours; looks, and imports nothing."""
        kinds = {(kind.__module__.split(".")[0], kind.__name__) for kind in type(model).__mro__}
        return bool(kinds & {("onnx", "ModelProto"), ("attncore_onnx", "OnnxModel")})

    def capture(self, model: Any, options: CaptureOptions) -> Session:
        """A session that runs ``model`` with its attention as further outputs."""
        from attncore_onnx.session import OnnxSession

        return OnnxSession(getattr(model, "proto", model), options)
