"""Hugging Face architectures as cases of the conformance benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from comparison import Comparison, Rows, compare, left_behind, same_output, state_of
from conformance_rows import Row
from hf_inputs import Tensors, candidates
from hf_makers import head_counts
from hf_models import architectures, build, model_class
from kernel_weights import kernel_references
from references import SEED, ReferenceSet, make_references
from transformers import PreTrainedModel

import attncore


@dataclass(frozen=True)
class HuggingFaceCase:
    """One architecture under every implementation that it supports."""

    name: str
    family: str = "Hugging Face"

    def run(self) -> Iterator[Row]:
        """The eager row first: it also makes the references and the weights for the others."""
        try:
            model = build(self.name, "eager")
            inputs, references = first_accepted(model)
        except Exception as error:  # any failure is a row of its own
            yield self.row("eager", "cannot be built here", note=one_line(error))
            return
        yield self.compared(model, "eager", inputs, references)
        for implementation in supported(self.name):
            try:
                other = build(self.name, implementation)
                other.load_state_dict(model.state_dict())
                kernel = kernel_references(other, inputs, references.tolerance)
                if not kernel.expected:
                    raise ValueError("no tower calls this kernel")
                yield self.compared(other, implementation, inputs, references, kernel)
            except Exception as error:
                yield self.row(implementation, "cannot be built here", note=one_line(error))

    def row(self, implementation: str, status: Any, **values: Any) -> Row:
        """A row of this architecture."""
        return Row(self.family, self.name, implementation, status, **values)

    def compared(
        self,
        model: PreTrainedModel,
        implementation: str,
        inputs: Tensors,
        references: ReferenceSet,
        kernel: ReferenceSet | None = None,
    ) -> Row:
        """Run plainly, run captured, compare: with ``references``, or with ``kernel`` where eager does otherwise."""
        plain = run_plain(model, inputs)
        before = state_of(model)
        rows = Rows(padded_rows(inputs), exact=implementation == "eager")
        try:
            capture = run_captured(model, inputs)
            after = state_of(model)
            comparison = compare(capture.layers, references, rows)
            if comparison.faults and kernel is not None:
                references, comparison = against_kernel(kernel, capture, rows, references, comparison)
        except Exception as error:
            return self.row(
                implementation,
                "falls short",
                expected=len(references.expected),
                reference=references.describe(),
                note=f"capture failed: {one_line(error)}",
            )
        comparison.faults += comparison.mislabelled
        if comparison.faults:
            comparison.remarks = [f"attncore says: {reason}" for reason in capture.reasons]
        comparison.faults += odd_shapes(model, capture.layers) + left_behind(before, after)
        identical = None if capture.output is None else same_output(plain, capture.output)
        return self.finished(implementation, references, comparison, identical)

    def finished(
        self, implementation: str, references: ReferenceSet, comparison: Comparison, identical: bool | None
    ) -> Row:
        """The row of a comparison that ran to its end."""
        if identical is False:
            comparison.faults.append("the output changes")
        nothing = not references.expected and not comparison.extra
        status = "falls short" if comparison.faults else "no attention" if nothing else "ok"
        return self.row(
            implementation,
            status,
            found=comparison.found,
            expected=len(references.expected),
            extra=comparison.extra,
            shape=comparison.shape,
            difference=comparison.difference if comparison.shape or comparison.extra else None,
            tolerance=references.tolerance,
            identical=identical,
            reference=references.describe(),
            note="; ".join(summary(comparison.faults) + summary(comparison.remarks) + references.notes),
        )


def cases() -> Iterator[HuggingFaceCase]:
    """Every architecture in transformers' registry of base models."""
    for name in architectures():
        yield HuggingFaceCase(name)


def supported(name: str) -> list[str]:
    """The implementations beside eager."""
    cls = model_class(name)
    known = {"sdpa": cls._supports_sdpa, "flex_attention": cls._supports_flex_attn}
    return [implementation for implementation, has_it in known.items() if has_it]


def first_accepted(model: PreTrainedModel) -> tuple[Tensors, ReferenceSet]:
    """The first candidate inputs that the model takes, with the references made from them."""
    failures = []
    for inputs in candidates(model):
        try:
            return inputs, make_references(model, inputs)
        except Exception as error:  # the next candidate may do
            failures.append(one_line(error))
    raise ValueError(f"takes none of the inputs made by rule: {failures[0] if failures else 'no candidates'}")


def uncompiled() -> Any:
    """Flex attention runs its Python source, with capture and without: compiling takes minutes on a CPU."""
    return torch.compiler.set_stance("force_eager")


def run_plain(model: PreTrainedModel, inputs: Tensors) -> Any:
    """The output without capture."""
    with torch.no_grad(), uncompiled():
        torch.manual_seed(SEED)
        return model(**inputs)


@dataclass(frozen=True)
class Capture:
    """The captured layers, the model's output under capture, and why attncore left out what it left out."""

    layers: tuple[Any, ...]
    output: Any
    reasons: list[str]


def run_captured(model: PreTrainedModel, inputs: Tensors) -> Capture:
    """One run under attncore."""
    with torch.no_grad(), uncompiled():
        torch.manual_seed(SEED)
        try:
            trace = attncore.trace(model, attncore.Inputs(**inputs))
        except attncore.NoAttentionError as error:
            return Capture((), None, reasons_of(error.coverage))
    return Capture(tuple(trace.layers), trace.output, reasons_of(trace.coverage))


def reasons_of(coverage: Any) -> list[str]:
    """Why something that looked like attention is not in the trace, each reason once."""
    entries = [*coverage.with_status("rejected"), *coverage.with_status("opaque")]
    return list(dict.fromkeys(entry.reason for entry in entries))


def against_kernel(
    kernel: ReferenceSet, capture: Capture, rows: Rows, references: ReferenceSet, comparison: Comparison
) -> tuple[ReferenceSet, Comparison]:
    """A second look where an implementation differs from eager: with what its own kernel computes."""
    again = compare(capture.layers, kernel, rows)
    if again.faults:
        return references, comparison
    again.mislabelled = comparison.mislabelled
    kernel.notes = ["the model's own weights differ between eager and this implementation", *references.notes]
    return kernel, again


def odd_shapes(model: PreTrainedModel, layers: Any) -> list[str]:
    """A layer that is not (batch, heads, query, key), told by its number of heads.

    Models also split heads in two, or have twice as many in a down-sampling layer, or one where the width allows none.
    """
    known = head_counts(model.config)
    allowed = {1} | {count * 2 for count in known} | known | {count // 2 for count in known}
    for layer in layers:
        shape = tuple(layer.weights.shape)
        if len(shape) != 4 or (known and shape[1] not in allowed):
            return [f"{layer.name} has shape {shape}, the model {sorted(known)} heads"]
    return []


def padded_rows(inputs: Tensors) -> np.ndarray | None:
    """True where a text position is padding."""
    mask = inputs.get("attention_mask")
    return None if mask is None else mask.numpy() == 0


def summary(faults: list[str], most: int = 2) -> list[str]:
    """The first faults, and how many more there are."""
    rest = len(faults) - most
    return faults[:most] + ([f"and {rest} more"] if rest > 0 else [])


def one_line(error: BaseException, longest: int = 160) -> str:
    """An error's type and the start of its message, fit for a table."""
    text = " ".join(str(error).split())
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return f"{type(error).__name__}: {short}"
