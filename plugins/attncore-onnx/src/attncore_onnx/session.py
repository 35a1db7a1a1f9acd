"""The capture a user holds: the graph is read at the first call of some shapes, and run with further outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnx
import onnxruntime

from attncore import AttentionTrace, CaptureError, CaptureOptions, OptionError
from attncore.arrays import Array
from attncore.dataflow_assemble import Framework, assemble
from attncore.dataflow_coverage import coverage_of
from attncore.dataflow_find import find_attention
from attncore.dataflow_happened import CallRecord, Happened
from attncore.dataflow_plan import Wanted, kept_in_full, wanted_of
from attncore.dataflow_sites import Findings, Site
from attncore.dataflow_turns import Ancestry
from attncore_onnx.reading import Read
from attncore_onnx.running import Arrays, feeds_of, inner_results, session_of, with_outputs

_HIDDEN = "a fused operator, outside of which its weights never exist; export the model without attention fusion"
_MECHANISM = "attention found in the graph, and the graph run with it as further outputs"


@dataclass(frozen=True)
class Program:
    """A model for inputs of some shapes: what was found in it, what is picked up, and what runs it."""

    findings: Findings
    ancestry: Ancestry
    plans: list[tuple[Site, bool, dict[str, Wanted]]]
    weights: Arrays
    runs: onnxruntime.InferenceSession
    picked: list[str]


class NumpyHolding:
    """Arrays as onnxruntime gives them."""

    def __init__(self, dtype: str | None) -> None:
        self._dtype = dtype

    def hold(self, array: Any) -> Array:
        """As it is."""
        return np.asarray(array)

    def cast(self, array: Any) -> Any:
        """Weights in the type that the options ask for."""
        return array if self._dtype is None else array.astype(self._dtype)


class OnnxSession:
    """Captures every call made through it inside its ``with`` block."""

    def __init__(self, model: onnx.ModelProto, options: CaptureOptions) -> None:
        if options.grad:
            raise OptionError("grad=True: an ONNX model has no backward pass; capture it without")
        if options.dtype is not None and options.dtype not in ("float16", "float32", "float64"):
            raise OptionError(f'dtype="{options.dtype}": use "float16", "float32" or "float64"')
        if options.device not in (None, "cpu"):
            raise OptionError(f'device="{options.device}": arrays are held in the computer\'s memory, "cpu"')
        self.model, self.options = model, options
        self._programs: dict[Any, Program] = {}
        self._records: list[CallRecord] = []
        self._output: Any = None
        self._open = False

    def __enter__(self) -> Self:
        if self._open:
            raise CaptureError("this session is already capturing; make another with attncore.capture(model)")
        self._open, self._records, self._output = True, [], None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False

    def __call__(self, *args: Any, **kwargs: Any) -> Arrays:
        """Run the model and keep its attention; its outputs by name."""
        if not self._open:
            raise CaptureError("call the session inside its block: with attncore.capture(model) as session: ...")
        feeds = feeds_of(self.model, args, kwargs)
        key = tuple((name, array.shape, str(array.dtype)) for name, array in feeds.items())
        if key not in self._programs:
            self._programs[key] = _program(self.model, feeds, self.options)
        program = self._programs[key]
        names = [output.name for output in self.model.graph.output]
        found = dict(zip((*names, *program.picked), program.runs.run([*names, *program.picked], feeds), strict=True))
        output: Arrays = {name: found[name] for name in names}
        self._output = output
        self._records.append(_record(program, {**program.weights, **feeds, **found}, feeds, self.model.graph.name))
        return output

    def trace(self, tokens: Any = None) -> AttentionTrace:
        """What was captured; raises as `attncore.dataflow_assemble.assemble`, and before anything has run."""
        if not self._records:
            raise CaptureError("nothing was captured: call session(...) inside the block, with the model's inputs")
        versions = {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__, "numpy": np.__version__}
        framework = Framework("onnx", _MECHANISM, versions, NumpyHolding(self.options.dtype))
        return assemble(self._records, self.options, framework, tokens=tokens, output=self._output)


def _program(model: onnx.ModelProto, feeds: Arrays, options: CaptureOptions) -> Program:
    read = Read(model, feeds, inner_results(model, feeds))
    findings = find_attention(read.graph)
    plans = []
    for site in findings.sites:
        in_full = kept_in_full(site, options)
        plans.append((site, in_full, {one[0]: one for one in wanted_of(site, in_full, options)}))
    names = {value.handle for _, _, wanted in plans for _, value, _ in wanted.values()}
    picked = sorted(names - set(read.weights) - set(feeds) - {output.name for output in model.graph.output})
    runs = session_of(with_outputs(model, picked))
    return Program(findings, Ancestry(read.graph), plans, read.weights, runs, picked)


def _record(program: Program, arrays: Arrays, feeds: Arrays, label: str) -> CallRecord:
    happened = list(_happened(program, arrays))
    coverage = coverage_of(program.findings, happened, label, hidden=_HIDDEN, readable=np.asarray)
    return CallRecord(label, program.ancestry, happened, list(feeds.items()), coverage)


def _happened(program: Program, arrays: Arrays) -> Iterator[Happened]:
    for site, in_full, wanted in program.plans:
        yield Happened(site, in_full, {}, wanted.keys(), partial(_read, wanted, arrays), lambda: None)


def _read(wanted: dict[str, Wanted], arrays: Arrays, role: str) -> Array | None:
    """The array of a role as (batch, heads, length, last)."""
    if role not in wanted:
        return None
    _, value, layout = wanted[role]
    array: Array = layout(arrays[value.handle].reshape(value.shape))
    return array
