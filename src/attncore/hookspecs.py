"""The hooks a plugin implements (pluggy)."""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from attncore.protocols import Backend, Renderer

hookspec = pluggy.HookspecMarker("attncore")
hookimpl = pluggy.HookimplMarker("attncore")


@hookspec
def attncore_register_renderers(register: Callable[[Renderer], None]) -> None:
    """Call ``register(renderer)`` for each renderer of this plugin."""


@hookspec
def attncore_register_backends(register: Callable[[Backend], None]) -> None:
    """Call ``register(backend)`` for each backend of this plugin."""
