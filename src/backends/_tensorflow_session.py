"""The capture a user holds: a context manager around calls of a model or function of TensorFlow."""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import Any, Self

import tensorflow as tf

from attncore.attention import AttentionTrace
from attncore.errors import CaptureError
from attncore.protocols import CaptureOptions

from ._tensorflow_arrays import check_device, floating_type
from ._tensorflow_assemble import leave_out_unwanted, trace_of
from ._tensorflow_call import call_of
from ._tensorflow_callable import target_of
from ._tensorflow_capture import Recorded, record


class TensorFlowSession:
    """Captures every call made through it inside its ``with`` block; `trace` gives what was captured."""

    def __init__(self, model: Any, options: CaptureOptions) -> None:
        self.model = model
        self.options = options
        floating_type(options.dtype)
        check_device(options.device)
        self._target = target_of(model)
        self._open = False
        self._calls: list[Recorded] = []
        self._output: Any = None

    def __enter__(self) -> Self:
        if self._open:
            raise CaptureError("this session is already capturing; make another with attncore.capture(model)")
        self._open = True
        self._calls, self._output = [], None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model and keep its attention.

        Raises:
            CaptureError: the session is not inside its ``with`` block, or is called while TensorFlow traces.
            UnsupportedModelError: TensorFlow cannot trace the function.
        """
        if not self._open:
            raise CaptureError("call the session inside its block: with attncore.capture(model) as session: ...")
        if not tf.executing_eagerly():
            raise CaptureError(
                "the session was called while TensorFlow builds a graph (inside a tf.function), where there are no "
                "numbers yet; capture the function itself: attncore.capture(function)"
            )
        call = call_of(self._target, args, kwargs)
        wanted = partial(leave_out_unwanted, label=self._target.label, options=self.options)
        recorded, output = record(call, self.options, wanted)
        self._calls.append(recorded)
        self._output = output
        return output

    def trace(self, tokens: Any = None) -> AttentionTrace:
        """What was captured, as a trace; ``tokens`` as in `attncore.trace`.

        Raises:
            CaptureError: the model has not been called through the session.
            NoAttentionError: it ran and showed no attention.
        """
        if not self._calls:
            raise CaptureError(
                "nothing was captured: the session was not called. TensorFlow gives nothing to hook into, so calling "
                "the model itself is not seen: call session(x) inside the block, with the model's own arguments"
            )
        return trace_of(self._calls, self.options, tokens=tokens, output=self._output)
