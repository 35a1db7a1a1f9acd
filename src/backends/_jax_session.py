"""The capture a user holds: a context manager around calls of a function or module of JAX."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import jax

from attncore.attention import AttentionTrace
from attncore.errors import CaptureError
from attncore.protocols import CaptureOptions

from ._jax_arrays import device_of, floating_type
from ._jax_assemble import trace_of
from ._jax_call import call_of
from ._jax_callable import target_of
from ._jax_capture import record
from ._jax_recorded import Recorded


class JaxSession:
    """Captures every call made through it inside its ``with`` block; `trace` gives what was captured."""

    def __init__(self, model: Any, options: CaptureOptions) -> None:
        self.model = model
        self.options = options
        floating_type(options.dtype)
        device_of(options.device)
        target_of(model)
        self._open = False
        self._entered = False
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
            CaptureError: the session is not inside its ``with`` block, or is called while JAX traces.
            UnsupportedModelError: JAX cannot trace the function.
        """
        if not self._open:
            raise CaptureError("call the session inside its block: with attncore.capture(model) as session: ...")
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, kwargs))):
            raise CaptureError(
                "the session was called while JAX traces (inside jit, grad, vmap or scan), where there are no numbers "
                "yet; capture the function that is transformed: attncore.capture(jax.jit(model)), or a function that "
                "calls jax.grad"
            )
        call = call_of(self.model, args, kwargs)
        recorded, output = record(call, self.options)
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
                "nothing was captured: the session was not called. JAX gives nothing to hook into, so calling the "
                "model itself is not seen: call session(params, x) inside the block, with the model's own arguments"
            )
        return trace_of(self._calls, self.options, tokens=tokens, output=self._output)
