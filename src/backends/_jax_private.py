"""The one place that reads what JAX does not promise to keep: names of scopes, a scan's parts, two classes."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax


def name_stack(equation: Any) -> str:
    """The named scopes around an equation, such as ``"jit(apply)/Encoder/block_0/attn"``.

    No public function gives them. Where a version of JAX keeps them elsewhere, layers are named by their parameters
    alone.
    """
    return str(getattr(getattr(equation, "source_info", None), "name_stack", ""))


def is_dropped(variable: Any) -> bool:
    """Whether an equation's output is used by nobody; JAX makes the class public in some versions only."""
    return type(variable).__name__ == "DropVar"


def scan_counts(parameters: Any) -> tuple[int, int]:
    """How many inputs of a scan are the same in every turn, and how many are carried from turn to turn.

    Since JAX 0.11 its equation holds a tree of three parts in place of the two numbers.
    """
    if "num_consts" in parameters:
        return parameters["num_consts"], parameters["num_carry"]
    same, carried, _ = parameters["ft_in"].unpack()
    return len(list(same)), len(list(carried))


def debug_info(name: str, inputs: int, outputs: int) -> Any:
    """What a jaxpr of our own says of itself, of the class that JAX gives to those it makes."""
    return _debug_info_class()("attncore", name, ("",) * inputs, ("",) * outputs)


@cache
def _debug_info_class() -> Any:
    return type(jax.make_jaxpr(lambda: ())().jaxpr.debug_info)
