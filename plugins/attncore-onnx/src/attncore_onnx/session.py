"""The capture a user holds: the graph is read at the first call of some shapes, and run with further outputs."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np
import onnx
import onnxruntime

from attncore import AttentionTrace, CaptureError, CaptureOptions, OptionError
from attncore.arrays import Array
from attncore.dataflow_assemble import Framework, assemble
from attncore.dataflow_happened import CallRecord
from attncore_onnx.fused_running import as_recomputed
from attncore_onnx.program import Program, program_of
from attncore_onnx.running import Arrays, feeds_of, without_functions

_MECHANISM = "attention found in the graph, and the graph run with it as further outputs"


class NumpyHolding:
    """Arrays as onnxruntime gives them."""

    def __init__(self, dtype: str | None) -> None:
        self._dtype = dtype

    def hold(self, array: Any) -> Array:
        """As it is."""
        return np.asarray(array)

    def cast(self, array: Any) -> Any:
        """Weights in the type that the options ask for."""
        return array if self._dtype is None else array.astype(self._dtype)


class OnnxSession:
    """Captures every call made through it inside its ``with`` block."""

    def __init__(self, model: onnx.ModelProto, options: CaptureOptions) -> None:
        if options.grad:
            raise OptionError("grad=True: an ONNX model has no backward pass; capture it without")
        if options.dtype is not None and options.dtype not in ("float16", "float32", "float64"):
            raise OptionError(f'dtype="{options.dtype}": use "float16", "float32" or "float64"')
        if options.device not in (None, "cpu"):
            raise OptionError(f'device="{options.device}": arrays are held in the computer\'s memory, "cpu"')
        self.model, self.options = without_functions(model), options
        self._programs: dict[Any, Program] = {}
        self._records: list[CallRecord] = []
        self._fused: dict[str, str] = {}
        self._output: Any = None
        self._open = False

    def __enter__(self) -> Self:
        if self._open:
            raise CaptureError("this session is already capturing; make another with attncore.capture(model)")
        self._open, self._records, self._output = True, [], None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False

    def __call__(self, *args: Any, **kwargs: Any) -> Arrays:
        """Run the model and keep its attention; its outputs by name."""
        if not self._open:
            raise CaptureError("call the session inside its block: with attncore.capture(model) as session: ...")
        feeds = feeds_of(self.model, args, kwargs)
        key = tuple((name, array.shape, str(array.dtype)) for name, array in feeds.items())
        if key not in self._programs:
            self._programs[key] = program_of(self.model, feeds, self.options)
        program = self._programs[key]
        names = [output.name for output in self.model.graph.output]
        found = dict(zip((*names, *program.picked), program.runs.run([*names, *program.picked], feeds), strict=True))
        output: Arrays = {name: found[name] for name in names}
        self._output = output
        self._records.append(program.record(found, feeds, self.model.graph.name))
        self._fused |= program.fused_names(self._records[-1])
        return output

    def trace(self, tokens: Any = None) -> AttentionTrace:
        """What was captured; raises as `attncore.dataflow_assemble.assemble`, and before anything has run."""
        if not self._records:
            raise CaptureError("nothing was captured: call session(...) inside the block, with the model's inputs")
        versions = {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__, "numpy": np.__version__}
        framework = Framework("onnx", _MECHANISM, versions, NumpyHolding(self.options.dtype))
        trace = assemble(self._records, self.options, framework, tokens=tokens, output=self._output)
        return as_recomputed(trace, self._fused, self.options)
