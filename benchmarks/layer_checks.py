"""Compare captured layers with the weights that they must show: the part of a case that no framework has a hand in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

import attncore


class Expected(Protocol):
    """What a capture must show: references (batch, heads, query, key) in the order of the calls, and words about them.

    ``notes_contain`` must appear in the notes of every layer, ``coverage_contains`` in the coverage. With
    ``bfloat16_steps`` a weight may besides be that many representable bfloat16 numbers from its reference.
    """

    references: Sequence[np.ndarray]
    tolerance: float
    bfloat16_steps: int
    kinds: Sequence[str]
    notes_contain: str
    coverage_contains: str


@dataclass
class Examination:
    """What a capture of one prepared model showed."""

    found: int = 0
    difference: float = 0.0
    shape: tuple[int, ...] | None = None
    identical: bool | None = None
    output_difference: float | None = None
    faults: list[str] = field(default_factory=list)
    trace: Any = None


def compare_layers(result: Examination, expected: Expected) -> None:
    """Layer by layer, in the order of the calls; one too many is as wrong as one too few."""
    layers = list(result.trace)
    if len(layers) != len(expected.references):
        names = [f"{layer.name} {layer.shape}" for layer in layers]
        coverage = str(result.trace.coverage)
        result.faults.append(f"{len(layers)} layers, {len(expected.references)} expected: {names}; {coverage}")
        return
    for place, (layer, reference) in enumerate(zip(layers, expected.references, strict=True)):
        compare_layer(result, expected, layer, reference)
        if expected.kinds and layer.kind != expected.kinds[place]:
            result.faults.append(f"{layer.name} is called {layer.kind}, not {expected.kinds[place]}")


def compare_layer(result: Examination, expected: Expected, layer: Any, reference: np.ndarray) -> None:
    """Shape, every weight, and the notes."""
    weights = np.asarray(layer.weights, dtype=np.float64)
    result.shape = result.shape or weights.shape
    if weights.shape != reference.shape:
        result.faults.append(f"{layer.name} has shape {weights.shape}, expected {reference.shape}")
        return
    known = ~np.isnan(reference)
    differences = np.abs(weights - reference)[known]
    worst = float(differences.max(initial=0.0))
    result.difference = max(result.difference, worst)
    allowed = expected.tolerance + expected.bfloat16_steps * bfloat16_step(reference[known])
    if not bool((differences <= allowed).all()):  # also when it is not a number
        result.faults.append(f"{layer.name} differs by {worst:.1e}")
        return
    result.found += 1
    if expected.notes_contain not in "; ".join(layer.notes):
        result.faults.append(f'{layer.name} has notes {layer.notes}, none about "{expected.notes_contain}"')


def bfloat16_step(numbers: np.ndarray) -> np.ndarray:
    """The distance to the next representable bfloat16 number: 8 bits of significand, so 2^-7 of the power of two."""
    return np.exp2(np.floor(np.log2(np.maximum(np.abs(numbers), 1e-30))) - 7)


def compare_coverage(result: Examination, expected: Expected, coverage: str) -> None:
    """What was not captured is said in the words that are expected."""
    if expected.coverage_contains not in coverage:
        result.faults.append(f'the coverage does not say "{expected.coverage_contains}": {coverage}')


def no_attention(result: Examination, expected: Expected, error: attncore.NoAttentionError) -> str:
    """The coverage of a capture that found nothing, which is a fault where something was to be found."""
    if expected.references:
        result.faults.append(f"NoAttentionError: {error}")
    return str(error)


def one_line(error: BaseException, longest: int = 200) -> str:
    """An error's type and the start of its message, fit for a table."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= longest else text[: longest - 1] + '…'}"
