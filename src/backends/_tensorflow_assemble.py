"""From what calls showed to what `attncore.dataflow_assemble` makes a trace of."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from attncore.attention import AttentionTrace
from attncore.coverage import Coverage
from attncore.dataflow_assemble import Framework, assemble
from attncore.dataflow_coverage import coverage_of
from attncore.dataflow_happened import CallRecord, wanted_sites
from attncore.protocols import CaptureOptions

from ._tensorflow_arrays import NumpyHolding, readable
from ._tensorflow_capture import Recorded, SitePlan
from ._tensorflow_trace import Traced
from ._tensorflow_unroll import happened_in

MECHANISM = "the function traced to a graph, attention found in it, and the graph run anew with it as further outputs"
_HIDDEN = (
    "a fused kernel, outside of which its weights never exist; to see them, run the model with attention of single "
    "operations, in Keras with keras.config.disable_flash_attention()"
)


def trace_of(calls: Sequence[Recorded], options: CaptureOptions, *, tokens: Any, output: Any) -> AttentionTrace:
    """The trace of everything captured; raises as `attncore.dataflow_assemble.assemble`."""
    framework = Framework("tensorflow", MECHANISM, _versions(), NumpyHolding(options))
    return assemble([_record(one) for one in calls], options, framework, tokens=tokens, output=output)


def leave_out_unwanted(made: Traced, plans: Sequence[SitePlan], label: str, options: CaptureOptions) -> None:
    """Pick nothing up of sites that ``layers=`` does not mean.

    Names and places are known before the run, unless it decides how often a loop turns or which branch is taken.
    """
    if options.layers is None or any(plan.site.around for plan in plans):
        return
    happened = happened_in(Recorded(made, list(plans), {}, {}, [], label))
    wanted = wanted_sites(CallRecord(label, made.ancestry, happened, [], Coverage()), options.layers)
    for plan in plans:
        if plan.site not in wanted:
            plan.wanted.clear()


def _record(recorded: Recorded) -> CallRecord:
    traced, label = recorded.traced, recorded.label
    happened = happened_in(recorded)
    coverage = coverage_of(traced.findings, happened, label, hidden=_HIDDEN, readable=readable)
    return CallRecord(label, traced.ancestry, happened, recorded.data, coverage)


def _versions() -> dict[str, str]:
    versions = {}
    for name in ("tensorflow", "keras", "tf_keras", "keras_hub", "numpy"):
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            versions[name] = str(version)
    return versions
