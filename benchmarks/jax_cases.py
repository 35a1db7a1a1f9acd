"""Every JAX case of the conformance benchmark."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from jax_case import JaxCase

MODULES = (
    "jax_functions",
    "jax_heads",
    "jax_scores",
    "jax_softmax_forms",
    "jax_fused",
    "jax_loops",
    "jax_transforms",
    "jax_calls",
    "jax_linen",
    "jax_nnx",
    "jax_equinox",
)


def cases() -> Iterator[JaxCase]:
    """The cases of every module, in order."""
    for module in MODULES:
        yield from importlib.import_module(module).cases()
