"""A model for inputs of some shapes: what was found in it, what is picked up, and what runs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import onnx
import onnxruntime

from attncore import CaptureOptions
from attncore.arrays import Array
from attncore.coverage import Coverage, CoverageEntry
from attncore.dataflow import Opaque
from attncore.dataflow_coverage import coverage_of
from attncore.dataflow_find import find_attention
from attncore.dataflow_happened import CallRecord, Happened, seen_of
from attncore.dataflow_plan import Wanted, kept_in_full, wanted_of
from attncore.dataflow_provenance import Provenance
from attncore.dataflow_sites import Findings, Site
from attncore.dataflow_turns import Ancestry
from attncore_onnx.fused import CannotRecomputeError
from attncore_onnx.fused_reading import site_of
from attncore_onnx.fused_running import FusedPlan
from attncore_onnx.reading import Read
from attncore_onnx.running import Arrays, inner_results, session_of, with_outputs


@dataclass(frozen=True)
class SitePlan:
    """An attention that is written out in the graph, and what is picked up of it."""

    site: Site
    in_full: bool
    wanted: dict[str, Wanted]


@dataclass(frozen=True)
class Program:
    """``plans`` are the attentions in order of execution; ``hidden`` says why a fused operator shows none."""

    findings: Findings
    ancestry: Ancestry
    plans: list[SitePlan | FusedPlan]
    hidden: dict[str, str]
    weights: Arrays
    runs: onnxruntime.InferenceSession
    picked: list[str]
    values: bool

    def record(self, found: Arrays, feeds: Arrays, label: str) -> CallRecord:
        """What happened in one run, whose tensors are ``found``."""
        arrays = {**self.weights, **feeds, **found}
        happened: list[Happened] = []
        missing: list[CoverageEntry] = []
        for plan in self.plans:
            try:
                happened.append(self._happened(plan, arrays))
            except CannotRecomputeError as error:
                assert isinstance(plan, FusedPlan)
                missing.append(plan.missing(str(error), label))
        shown = replace(self.findings, opaque=())
        coverage = coverage_of(shown, happened, label, hidden="", readable=np.asarray)
        entries = (*self._opaque(label), *missing, *coverage)
        return CallRecord(label, self.ancestry, happened, list(feeds.items()), Coverage(entries))

    def _opaque(self, label: str) -> Iterator[CoverageEntry]:
        """Operators that hide their attention, each with the reason."""
        for one in self.findings.opaque:
            output = one.node.outputs[0]
            assert isinstance(one.node.operation, Opaque)
            shape = tuple(length or 0 for length in output.shape) or None
            name, kind = one.node.scope or label, one.node.operation.name
            yield CoverageEntry(name, kind, "opaque", self.hidden[output.handle], shape)

    def fused_names(self, record: CallRecord) -> dict[str, str]:
        """The operator of each layer that a fused one hides, by the layer's name."""
        kinds = {plan.site: plan.fused.node.op_type for plan in self.plans if isinstance(plan, FusedPlan)}
        return {one.name: kinds[one.happened.site] for one in seen_of([record]) if one.happened.site in kinds}

    def _happened(self, plan: SitePlan | FusedPlan, arrays: Arrays) -> Happened:
        if isinstance(plan, FusedPlan):
            return plan.happened(arrays, self.values)
        wanted = plan.wanted
        return Happened(plan.site, plan.in_full, {}, wanted.keys(), partial(_read, wanted, arrays), lambda: None)


def program_of(model: onnx.ModelProto, feeds: Arrays, options: CaptureOptions) -> Program:
    """Read a model for these inputs, find its attention, and prepare a run that gives what the options ask for."""
    read = Read(model, feeds, inner_results(model, feeds))
    findings, fused = _found(read)
    plans: list[SitePlan | FusedPlan] = [*fused]
    for site in findings.sites:
        in_full = kept_in_full(site, options)
        plans.append(SitePlan(site, in_full, {one[0]: one for one in wanted_of(site, in_full, options)}))
    order = {node: number for number, (node, _) in enumerate(read.graph.walk())}
    plans.sort(key=lambda plan: order[plan.site.product])
    names = {name for plan in fused for name in plan.names}
    names |= {one[1].handle for plan in plans if isinstance(plan, SitePlan) for one in plan.wanted.values()}
    picked = sorted(names - set(read.weights) - set(feeds) - {output.name for output in model.graph.output})
    runs = session_of(with_outputs(model, picked))
    return Program(findings, Ancestry(read.graph), plans, read.hidden, read.weights, runs, picked, options.values)


def _found(read: Read) -> tuple[Findings, list[FusedPlan]]:
    """What the finder found, and the attention of fused operators besides."""
    findings = find_attention(read.graph)
    provenance = Provenance(read.graph)
    plans, rejected = [], list(findings.rejected)
    for fused in read.fused:
        site = site_of(fused, provenance)
        if isinstance(site, Site):
            plans.append(FusedPlan(fused, site))
        else:
            rejected.append(site)
    return replace(findings, rejected=tuple(rejected)), plans


def _read(wanted: dict[str, Wanted], arrays: Arrays, role: str) -> Array | None:
    """The array of a role as (batch, heads, length, last)."""
    if role not in wanted:
        return None
    _, value, layout = wanted[role]
    array: Array = layout(arrays[value.handle].reshape(value.shape))
    return array
