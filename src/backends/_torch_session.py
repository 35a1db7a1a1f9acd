"""The capture a user holds: a context manager around calls of a PyTorch model."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn

from attncore.attention import AttentionTrace
from attncore.errors import CaptureError, UnsupportedModelError
from attncore.protocols import CaptureOptions

from ._torch_assemble import assemble
from ._torch_keep import check_device, torch_dtype
from ._torch_recorder import Recorder


def module_of(model: Any) -> nn.Module:
    """The module to hook: the model itself, the object of a bound method, or a pipeline's model.

    Raises:
        UnsupportedModelError: there is none, or it is scripted.
    """
    for candidate in (model, getattr(model, "__self__", None), getattr(model, "model", None)):
        if isinstance(candidate, torch.jit.ScriptModule | torch.jit.ScriptFunction):
            raise UnsupportedModelError(
                f"this {type(candidate).__name__} was compiled by torch.jit (script or trace), so its operations run "
                "outside Python and cannot be seen; capture the original torch.nn.Module it was made from"
            )
        if isinstance(candidate, nn.Module):
            return candidate
    raise UnsupportedModelError(
        f"a {type(model).__module__}.{type(model).__qualname__} is no torch.nn.Module, nor a method or pipeline of one"
    )


class TorchSession:
    """Captures every call of the model inside its ``with`` block; `trace` gives what was captured."""

    def __init__(self, model: Any, options: CaptureOptions) -> None:
        self.model = model
        self.options = options
        torch_dtype(options.dtype)
        check_device(options.device)
        self._module = module_of(model)
        self._recorder: Recorder | None = None
        self._cleanup: weakref.finalize[Any, Any] | None = None
        self._output: Any = None

    def __enter__(self) -> Self:
        if self._cleanup is not None and self._cleanup.alive:
            raise CaptureError("this session is already capturing; make another with attncore.capture(model)")
        self._recorder = Recorder(self._module, self.options)
        # A session that is dropped without its `with` having ended must not leave hooks behind.
        self._cleanup = weakref.finalize(self, self._recorder.close)
        self._recorder.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cleanup is not None:
            self._cleanup()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model.

        Raises:
            CaptureError: the session is not inside its ``with`` block.
        """
        if self._cleanup is None or not self._cleanup.alive:
            raise CaptureError("call the session inside its block: with attncore.capture(model) as session: ...")
        if self._recorder is not None:
            self._recorder.begin_call(self.model, args, kwargs)
        self._output = self.model(*args, **kwargs)
        return self._output

    def trace(self, tokens: Any = None) -> AttentionTrace:
        """What was captured, as a trace; ``tokens`` as in `attncore.trace`.

        Raises:
            CaptureError: the model has not run inside the block.
            NoAttentionError: it ran and showed no attention.
        """
        if self._recorder is None or not self._recorder.roots:
            raise CaptureError(
                "nothing was captured: the model was not called inside the block. Call it (or the session) there; "
                "model.forward(...) goes past the hooks, model(...) does not"
            )
        return assemble(self._recorder, tokens=tokens, output=self._output)
