"""The one place that reads what JAX does not promise to keep: the names that people gave to parts of a program."""

from __future__ import annotations

from typing import Any


def name_stack(equation: Any) -> str:
    """The named scopes around an equation, such as ``"jit(apply)/Encoder/block_0/attn"``.

    No public function gives them. Where a version of JAX keeps them elsewhere, layers are named by their parameters
    alone.
    """
    return str(getattr(getattr(equation, "source_info", None), "name_stack", ""))
