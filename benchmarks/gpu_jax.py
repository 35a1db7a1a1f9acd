"""The JAX cases of the conformance benchmark on a graphics card, and attention by cuDNN there."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from gpu_report import Check
from jax_case import examine
from jax_cases import cases
from jax_shell import random_array
from layer_checks import one_line

import attncore

# What a tiny model's float32 products may differ by, between a card and the float64 of a reference.
TOLERANCE = 5e-5


def checks(only: str) -> Iterator[Check]:
    """The cases of the benchmark with this in their name, then the fused kernel that cannot be looked into."""
    for case in cases():
        if only in str(case):
            yield _case(case)
    if not only:
        yield _cudnn()


def _case(case: object) -> Check:
    name = str(case)
    try:
        prepared = case.make()  # type: ignore[attr-defined]
        prepared.tolerance = max(prepared.tolerance, TOLERANCE)
        prepared.output_tolerance = max(prepared.output_tolerance, TOLERANCE)
        result = examine(prepared)
    except Exception as error:  # a case that does not run here is a finding of its own
        return Check("jax", name, False, one_line(error))
    return Check("jax", name, not result.faults, "; ".join(result.faults) or f"{result.difference:.1e}")


def _cudnn() -> Check:
    """CuDNN's kernel is a call that shows no softmax: it must be named in the coverage, not left out."""
    what = "dot_product_attention(implementation='cudnn') is reported"
    query = jnp.asarray(random_array(1, 2, 128, 4, 64), jnp.bfloat16)

    def layer(x: jax.Array) -> jax.Array:
        return jax.nn.dot_product_attention(x, x, x, implementation="cudnn")

    try:
        trace = attncore.trace(layer, query)
    except attncore.NoAttentionError as error:
        return Check("jax", what, "cudnn" in str(error).lower(), one_line(error))
    except Exception as error:
        return Check("jax", what, False, one_line(error))
    return Check("jax", what, "cudnn" in str(trace.coverage).lower(), str(trace.coverage))
