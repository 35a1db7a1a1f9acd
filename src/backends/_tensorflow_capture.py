"""Runs a call with what is wanted of its attention, and says what each attention showed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from attncore.dataflow_plan import Wanted, kept_in_full, wanted_of
from attncore.dataflow_sites import Site
from attncore.errors import CaptureError
from attncore.protocols import CaptureOptions

from ._tensorflow_call import Call
from ._tensorflow_pick import Pick, Picker, Placed, arrays_of
from ._tensorflow_replay import Replay
from ._tensorflow_trace import Traced, outputs_of, traced


@dataclass(eq=False)
class SitePlan:
    """One attention and what is picked up of it: for each role the path, and how the array there gets its axes."""

    site: Site
    in_full: bool
    wanted: dict[str, Wanted] = field(default_factory=dict)


@dataclass(eq=False)
class Recorded:
    """What one call gave: arrays by the path of their tensor, gradients by that of the weights."""

    traced: Traced
    plans: list[SitePlan]
    arrays: dict[str, Placed]
    gradients: dict[str, Any]
    data: list[tuple[str, Any]]
    label: str


def record(call: Call, options: CaptureOptions, wanted: Any) -> tuple[Recorded, Any]:
    """Run a call; what its attention showed, and its output.

    Args:
        call: what to run.
        options: what to keep.
        wanted: given what was traced and the plans, leaves out what ``layers=`` does not mean.

    Raises:
        UnsupportedModelError: TensorFlow cannot trace the function.
        CaptureError: ``grad=True`` and there is nothing to differentiate.
    """
    made = traced(call)
    plans = [_plan(made, site, options) for site in made.findings.sites]
    wanted(made, plans)
    if options.grad:
        _check_loss(made, plans, call.target.label)
    picks = {path: pick for plan in plans for path, pick in _picks(made, plan)}
    outputs, found, gradients = _compiled(made, picks, _weights_of(plans) if options.grad else [])(*call.tensors)
    arrays = {path: arrays_of(one) for path, one in found.items()}
    data = [(name, tensor.numpy()) for names, tensor in zip(call.names, call.tensors, strict=True) for name in names]
    recorded = Recorded(made, plans, arrays, dict(gradients), data, call.target.label)
    return recorded, outputs_of(made.concrete, outputs)


def _plan(made: Traced, site: Site, options: CaptureOptions) -> SitePlan:
    plan = SitePlan(site, bool(site.around) or kept_in_full(site, options))
    for role, value, layout in wanted_of(site, plan.in_full, options):
        plan.wanted[role] = (role, made.ancestry.outermost(value), layout)
    return plan


def _picks(made: Traced, plan: SitePlan) -> Iterator[tuple[str, Pick]]:
    for _, value, _ in plan.wanted.values():
        yield value.handle, Pick(value.handle, tf.as_dtype(value.dtype), made.program.ranks[value.handle])


def _weights_of(plans: Sequence[SitePlan]) -> list[str]:
    return [plan.wanted["weights"][1].handle for plan in plans if "weights" in plan.wanted]


def _compiled(made: Traced, picks: dict[str, Pick], differentiated: list[str]) -> Any:
    """The program with what is wanted as further outputs, as a function of the call's tensors."""
    key = (tuple(picks), tuple(differentiated))
    if key not in made.compiled:
        concrete, program = made.concrete, made.program

        def run(*tensors: Any) -> Any:
            picker = Picker(program, picks)
            inputs = [*tensors, *(tf.identity(one) if _is_plain(one) else one for one in concrete.captured_inputs)]
            for old, new in zip(concrete.graph.inputs, inputs, strict=True):
                picker.keep(old.name, new)
            outputs = Replay(picker).run(concrete.graph, inputs)
            found = {path: tuple(one) if isinstance(one, tuple) else one for path, one in picker.found.items()}
            of_loss = tf.gradients(outputs[0], [found[path] for path in differentiated]) if differentiated else []
            gradients = {path: one for path, one in zip(differentiated, of_loss, strict=True) if one is not None}
            return outputs, found, gradients

        specifications = [tf.TensorSpec(one.shape, one.dtype) for one in concrete.graph.inputs[: made.given]]
        made.compiled[key] = tf.function(run, autograph=False).get_concrete_function(*specifications)
    return made.compiled[key]


def _is_plain(tensor: Any) -> bool:
    return tensor.dtype not in (tf.resource, tf.variant)


def _check_loss(made: Traced, plans: Sequence[SitePlan], label: str) -> None:
    """Refuse what has no gradient."""
    outputs = made.concrete.outputs
    if not outputs or outputs[0].shape.rank != 0 or not outputs[0].dtype.is_floating:
        shape = f"{outputs[0].dtype.name} of shape {tuple(outputs[0].shape)}" if outputs else "no tensor"
        raise CaptureError(
            "grad=True differentiates what the function returns by the weights, which must be a loss (a single "
            f"number), or a tuple that begins with it; {label} returns {shape}. Capture a function that returns the "
            "loss, such as lambda x: loss(model(x))"
        )
    for plan in plans:
        if plan.site.around:
            raise CaptureError(
                f'grad=True: the attention at "{plan.site.scope or label}" is inside a loop or a branch, through which '
                "no gradient by its weights can be taken; capture without grad=True"
            )
