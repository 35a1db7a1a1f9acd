"""Gradients with respect to attention weights: JAX has no backward pass to wait for, so the run takes them itself.

The function that is captured gives the loss. Zeros are added to the weights where they are made, and the loss is
differentiated by these zeros, in the same compiled program as the forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from attncore.errors import CaptureError

from ._jax_plan import SitePlan
from ._jax_run import Found, Runner
from ._jax_trace import Traced


def check_loss(made: Traced, plans: Sequence[SitePlan], label: str) -> None:
    """Refuse what has no gradient.

    Raises:
        CaptureError: the function returns no single number first, or an attention is where JAX cannot differentiate.
    """
    outputs = made.program.body.outputs
    if not outputs or outputs[0].shape != () or not outputs[0].dtype.startswith(("float", "bfloat")):
        shape = f"{outputs[0].dtype} of shape {outputs[0].shape}" if outputs else "no array"
        raise CaptureError(
            f"grad=True differentiates what the function returns by the weights, which must be a loss (a single "
            f"number), or a tuple that begins with it; {label} returns {shape}. Capture a function that returns the "
            "loss, such as lambda params, x: loss(model(params, x))"
        )
    for plan in plans:
        for one in plan.around:
            kind = one.step.equation.primitive.name
            if kind in ("while", "shard_map"):
                raise CaptureError(
                    f'grad=True: the attention at "{plan.site.scope or label}" is inside a {kind}, through which no '
                    "gradient by its weights can be taken; capture without grad=True, or use jax.lax.scan"
                )


def differentiated(runner: Runner, plans: Sequence[SitePlan]) -> Callable[..., tuple[list[Any], Found]]:
    """The runner with the gradient of its first output by each site's weights among what it finds."""
    # Where rows are divided by their sum later, the numbers that multiply the values are not yet the weights.
    plans = [plan for plan in plans if "weights" in plan.picks and plan.site.normalised]

    def run(constants: Sequence[Any], arrays: Sequence[Any]) -> tuple[list[Any], Found]:
        shifts = {plan.picks["weights"].key: jnp.zeros(*_kind_of_shift(plan)) for plan in plans}

        def loss(shifts: Found) -> Any:
            outputs, found = runner(constants, arrays, shifts)
            return outputs[0], (outputs, found)

        gradients, (outputs, found) = jax.grad(loss, has_aux=True)(shifts)
        for plan in plans:
            layout = plan.picks["weights"].layout
            for one in plan.depths["weights"]:
                layout = jax.vmap(layout) if one.axes else layout
            found[plan.picks["weights"].key + " gradient"] = layout(gradients[plan.picks["weights"].key])
        return outputs, found

    return run


def _kind_of_shift(plan: SitePlan) -> tuple[tuple[int, ...], str]:
    """Shape and type of what is added to the weights: a slice for each turn of the loops around them."""
    turns = tuple(one.step.equation.params["length"] for one in plan.depths["weights"] if one.axes)
    return (*turns, *(length or 1 for length in plan.site.weights.shape)), plan.site.weights.dtype
