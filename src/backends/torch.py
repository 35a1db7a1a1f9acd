"""The PyTorch backend: forward hooks for names, a function mode for the attention itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from attncore.hookspecs import hookimpl
from attncore.protocols import Backend, CaptureOptions, Session


class TorchBackend:
    """Captures attention of any `torch.nn.Module`, a bound method of one, or a pipeline around one."""

    name = "torch"

    def matches(self, model: Any) -> bool:
        """Whether this is a PyTorch model; looks, and never imports torch."""
        torch = sys.modules.get("torch")
        module_type = getattr(getattr(torch, "nn", None), "Module", None)
        if module_type is None:
            return False
        if type(model).__module__.startswith("torch.jit"):
            return True
        candidates = (model, getattr(model, "__self__", None), getattr(model, "model", None))
        return any(isinstance(candidate, module_type) for candidate in candidates)

    def capture(self, model: Any, options: CaptureOptions) -> Session:
        """A session that captures calls of ``model``.

        Raises:
            UnsupportedModelError: it is no module, or scripted or traced by torch.jit.
        """
        from ._torch_session import TorchSession

        owner = getattr(model, "__self__", None)
        if getattr(model, "__name__", "") == "forward" and self.matches(owner):
            model = owner  # called by itself it goes past the hooks, so that its parts look like calls of their own
        return TorchSession(model, options)


@hookimpl
def attncore_register_backends(register: Callable[[Backend], None]) -> None:
    """Make the backend known, through the same hook as any plugin."""
    register(TorchBackend())
