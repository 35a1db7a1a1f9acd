"""From what calls showed to what `attncore.dataflow_assemble` makes a trace of."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax

from attncore.arrays import Array, ArrayLike
from attncore.attention import AttentionTrace
from attncore.coverage import Coverage
from attncore.dataflow_assemble import Framework, assemble
from attncore.dataflow_happened import CallRecord, Happened, wanted_sites
from attncore.protocols import CaptureOptions

from ._jax_arrays import device_of, floating_type, numpy_of, to_array
from ._jax_coverage import coverage
from ._jax_plan import SitePlan
from ._jax_recorded import Recorded
from ._jax_run import Runner
from ._jax_trace import Traced
from ._jax_unroll import Instance, Unrolled

MECHANISM = "the function traced to a jaxpr, attention found in it, and the program run with it as further outputs"


def trace_of(calls: Sequence[Recorded], options: CaptureOptions, *, tokens: Any, output: Any) -> AttentionTrace:
    """The trace of everything captured; raises as `attncore.dataflow_assemble.assemble`."""
    framework = Framework("jax", MECHANISM, _versions(), JaxHolding(options))
    records = [_record(recorded) for recorded in calls]
    return assemble(records, options, framework, tokens=tokens, output=output)


def leave_out_unwanted(made: Traced, plans: Sequence[SitePlan], label: str, options: CaptureOptions) -> None:
    """Pick nothing up of sites that ``layers=`` does not mean.

    Names and places are known before the run, unless it decides how often a loop turns or which branch is taken.
    """
    undecided = any(
        one.meaning == "branch" or one.step.equation.primitive.name == "while" for plan in plans for one in plan.around
    )
    if options.layers is None or undecided:
        return
    unrolled = Unrolled(Recorded(made, list(plans), {}, Runner(made.program, ()), [], label))
    planned = CallRecord(label, made.ancestry, _happened(unrolled), [], Coverage())
    wanted = wanted_sites(planned, options.layers)
    for plan in plans:
        if plan.site not in wanted:
            plan.picks.clear()


class JaxHolding:
    """Arrays as JAX has them, on the device and in the type that the options ask for."""

    def __init__(self, options: CaptureOptions) -> None:
        self.device = device_of(options.device)
        self.kind = floating_type(options.dtype)

    def hold(self, array: Any) -> ArrayLike:
        """Where the options want it."""
        return to_array(array if self.device is None else jax.device_put(array, self.device))

    def cast(self, array: Any) -> Any:
        """Weights in the type that the options ask for."""
        return array if self.kind is None else array.astype(self.kind)


def _record(recorded: Recorded) -> CallRecord:
    unrolled = Unrolled(recorded)
    happened = _happened(unrolled)
    return CallRecord(recorded.label, recorded.traced.ancestry, happened, recorded.data, coverage(unrolled, happened))


def _happened(unrolled: Unrolled) -> list[Happened]:
    return [
        Happened(
            instance.plan.site,
            instance.plan.in_full,
            {around.node: place for around, place in instance.index.items()},
            instance.plan.picks.keys(),
            partial(unrolled.array, instance),
            partial(_gradient, unrolled, instance),
        )
        for instance in unrolled.instances
    ]


def _gradient(unrolled: Unrolled, instance: Instance) -> Array | None:
    gradient = unrolled.gradient(instance)
    return None if gradient is None else numpy_of(gradient)


def _versions() -> dict[str, str]:
    versions = {}
    for name in ("jax", "jaxlib", "flax", "equinox", "keras", "numpy"):
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            versions[name] = str(version)
    return versions
