"""Runs a call with what is wanted of its attention: compiled once, and again where a loop ran longer than thought."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from attncore.protocols import CaptureOptions

from ._jax_assemble import leave_out_unwanted
from ._jax_call import Call
from ._jax_gradients import check_loss, differentiated
from ._jax_plan import SitePlan, plan_sites
from ._jax_recorded import Recorded
from ._jax_run import FIRST_BOUND, Found, Runner
from ._jax_trace import Traced, traced


def record(call: Call, options: CaptureOptions) -> tuple[Recorded, Any]:
    """Run a call; what its attention showed, and its output.

    Raises:
        UnsupportedModelError: JAX cannot trace the function.
        CaptureError: ``grad=True`` and there is nothing to differentiate.
    """
    made = traced(call)
    plans = plan_sites(made, options)
    leave_out_unwanted(made, plans, call.target.label, options)
    if options.grad:
        check_loss(made, plans, call.target.label)
    runner, arrays, found = _run(made, plans, call, options.grad)
    output = made.shape.output(arrays)
    call.bring_up_to_date(made.shape.changed(arrays))
    given = [*zip(call.inputs, call.arrays, strict=True), *((one, array) for array, one in call.held)]
    data = [(name, array) for one, array in given if one.origin == "data" for name in (one.name, *one.other_names)]
    return Recorded(made, plans, found, runner, data, call.target.label), output


def _run(made: Traced, plans: list[SitePlan], call: Call, grad: bool) -> tuple[Runner, list[Any], Found]:
    """The program's outputs and what was picked up, whatever the number of turns of its loops."""
    while True:
        runner, compiled = _compiled(made, plans, grad)
        arrays, found = compiled(list(made.program.constants.values()), call.arrays)
        longer = {}
        for step in runner.numbers:
            turns = found.get(runner.turns_key(step))
            if turns is not None and (most := int(np.max(np.asarray(turns), initial=0))) > _bound(made, step):
                longer[step] = 1 << (most - 1).bit_length()
        if not longer:
            return runner, arrays, found
        made.bounds.update(longer)


def _bound(made: Traced, step: Any) -> int:
    return made.bounds.get(step, FIRST_BOUND)


def _compiled(made: Traced, plans: list[SitePlan], grad: bool) -> tuple[Runner, Any]:
    picks = [pick for plan in plans for pick in plan.picks.values()]
    key = (tuple((pick.key, pick.last) for pick in picks), tuple(made.bounds.items()), grad)
    if key not in made.compiled:
        runner = Runner(made.program, picks, dict(made.bounds))
        made.compiled[key] = (runner, jax.jit(differentiated(runner, plans) if grad else runner))
    found: tuple[Runner, Any] = made.compiled[key]
    return found
