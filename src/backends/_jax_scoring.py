"""The rest of the formula: from the steps between the product and the softmax to `attncore.scoring.Scoring`."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from attncore.arrays import Array
from attncore.scoring import Scoring

from ._jax_arrays import numpy_of
from ._jax_unroll import Instance, Unrolled


def scoring_of(unrolled: Unrolled, instance: Instance) -> Scoring | None:
    """The formula of one attention, with what was picked up for it; None where it is not understood."""
    steps = instance.plan.site.scoring
    if steps is None:
        return None
    if instance.plan.in_full:
        # Masks and biases are in the weights, and were not picked up besides.
        return Scoring(steps.scale, softcap=steps.softcap)
    vectors = ("weights", "query", "key", "value")
    roles = [role for role in instance.plan.picks if role not in vectors]
    picked = {role: numpy_of(unrolled.array(instance, role)) for role in roles}
    masks = [array.astype(bool) for role, array in picked.items() if role.startswith("mask")]
    biases = [array for role, array in picked.items() if role.startswith("bias")]
    return Scoring(
        steps.scale,
        mask=_joined(np.logical_and, masks),
        bias=_joined(np.add, biases),
        softcap=steps.softcap,
        sinks=picked.get("sinks"),
    )


def _joined(function: Any, arrays: list[Array]) -> Array | None:
    return reduce(function, arrays) if arrays else None
