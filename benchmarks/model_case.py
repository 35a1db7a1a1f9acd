"""A model with the weights that a capture of it must show, as a case of the conformance benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from comparison import left_behind, output_tensors, same_output, state_of
from conformance_rows import Row, Status
from layer_checks import Examination, compare_coverage, compare_layers, no_attention, one_line

import attncore

SEED = 0
ABSOLUTE = 1e-5


@dataclass
class Prepared:
    """A model, the inputs to call it with, and its references (batch, heads, query, key) in the order of the calls.

    No reference means that the model must show no attention. ``output_tolerance`` is 0 where the output under capture
    must be equal to the bit; ``output_rows`` (batch, length) names the rows of the output that are compared.
    ``notes_contain`` must appear in the notes of every layer, ``coverage_contains`` in the coverage.
    """

    model: torch.nn.Module
    inputs: attncore.Inputs
    references: Sequence[np.ndarray] = ()
    tolerance: float = ABSOLUTE
    bfloat16_steps: int = 0
    output_tolerance: float = 0.0
    output_rows: torch.Tensor | None = None
    notes_contain: str = ""
    coverage_contains: str = ""
    kinds: Sequence[str] = ()
    options: dict[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class ModelCase:
    """One model by name; ``make`` builds it with its references."""

    family: str
    name: str
    make: Callable[[], Prepared]
    implementation: str = ""

    def __str__(self) -> str:
        return self.name if self.name.startswith(f"{self.family}: ") else f"{self.family}: {self.name}"

    def run(self) -> Iterator[Row]:
        """The row of this model; failures are rows too."""
        try:
            torch.manual_seed(SEED)
            prepared = self.make()
        except Exception as error:  # any failure to build is a row of its own
            yield Row(self.family, self.name, self.implementation, "cannot be built here", note=one_line(error))
            return
        yield self.row(prepared)

    def row(self, prepared: Prepared) -> Row:
        """Run plainly and under capture, and compare."""
        result = examine(prepared)
        expected = len(prepared.references)
        status: Status = "falls short" if result.faults else "ok" if expected else "no attention"
        return Row(
            self.family,
            self.name,
            self.implementation,
            status,
            found=result.found,
            expected=expected,
            shape=result.shape,
            difference=result.difference if expected else None,
            tolerance=prepared.tolerance if expected else None,
            identical=result.identical,
            reference="own" if expected else "",
            note="; ".join([*result.faults[:3], prepared.note] if prepared.note else result.faults[:3]),
        )


def examine(prepared: Prepared) -> Examination:
    """Everything that is wrong with a capture of this model, in words."""
    plain = run_plain(prepared)
    before = state_of(prepared.model)
    result = Examination()
    coverage = ""
    try:
        torch.manual_seed(SEED)
        result.trace = attncore.trace(prepared.model, prepared.inputs, **prepared.options)
        coverage = str(result.trace.coverage)
        compare_layers(result, prepared)
        compare_output(result, prepared, plain, result.trace.output)
    except attncore.NoAttentionError as error:
        coverage = no_attention(result, prepared, error)
    except Exception as error:  # any failure is a fault of the capture, the plain run having passed
        result.faults.append(f"capture failed: {one_line(error)}")
    compare_coverage(result, prepared, coverage)
    result.faults += left_behind(before | RANDOM, state_of(prepared.model) | RANDOM)
    return result


# The random state may differ: a model that draws numbers draws them under capture too.
RANDOM = {"random state": None}


def run_plain(prepared: Prepared) -> Any:
    """The output without a capture."""
    torch.manual_seed(SEED)
    return prepared.model(*prepared.inputs.args, **prepared.inputs.kwargs)


def compare_output(result: Examination, prepared: Prepared, plain: Any, captured: Any) -> None:
    """The output under capture is the plain one."""
    result.identical = same_output(plain, captured)
    if result.identical:
        return
    one, two = list(output_tensors(plain)), list(output_tensors(captured))
    if prepared.output_rows is not None:
        one, two = ([tensor[prepared.output_rows] for tensor in tensors] for tensors in (one, two))
    shapes = [tensor.shape for tensor in one] == [tensor.shape for tensor in two]
    worst = max((float((a - b).abs().max()) for a, b in zip(one, two, strict=True)), default=0.0) if shapes else None
    if worst is None or worst > prepared.output_tolerance:
        result.faults.append(f"the output changes by {worst}")
