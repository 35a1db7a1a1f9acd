"""An ONNX model that can be called: plainly with onnxruntime, or captured."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

import onnx

from attncore_onnx.running import Arrays, feeds_of, session_of


class OnnxModel:
    """A file or a `ModelProto`, called with the graph's inputs; gives its outputs by name."""

    def __init__(self, source: str | PathLike[str] | onnx.ModelProto) -> None:
        self.proto = source if isinstance(source, onnx.ModelProto) else onnx.load(fspath(source))
        self._session = session_of(self.proto)

    def __call__(self, *args: Any, **kwargs: Any) -> Arrays:
        """Run it; inputs as numpy arrays by name, or in the graph's order."""
        names = [output.name for output in self.proto.graph.output]
        found = self._session.run(names, feeds_of(self.proto, args, kwargs))
        return dict(zip(names, found, strict=True))
