"""What ran in JAX and is not in the trace, or not with certainty."""

from __future__ import annotations

from collections.abc import Sequence

from attncore.coverage import Coverage
from attncore.dataflow_coverage import coverage_of
from attncore.dataflow_happened import Happened

from ._jax_arrays import to_array
from ._jax_plan import is_scattered
from ._jax_unroll import Unrolled

_HIDDEN = (
    "a fused kernel, outside of which its weights never exist; to see them, run the model with attention in plain JAX, "
    'such as jax.nn.dot_product_attention(..., implementation="xla")'
)
_SCATTERED = "each device holds a block of positions (sequence parallelism), and the blocks are not put together"


def coverage(one: Unrolled, happened: Sequence[Happened]) -> Coverage:
    """Of one call, with attention that is divided among devices along the positions."""
    traced = one.recorded.traced
    scattered = [(site, _SCATTERED) for site in traced.findings.sites if is_scattered(traced, site)]
    uncertain = [(plan.site, reason) for plan, reason in one.uncertain]
    return coverage_of(
        traced.findings,
        happened,
        one.recorded.label,
        hidden=_HIDDEN,
        readable=to_array,
        left_out=scattered,
        uncertain=uncertain,
    )
