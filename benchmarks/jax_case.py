"""A JAX function or module with the weights that a capture of it must show, as a case of the conformance benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import equinox
import jax
import jax.numpy as jnp
import numpy as np
from conformance_rows import Row, Status
from layer_checks import Examination, compare_coverage, compare_layers, no_attention, one_line

import attncore

ABSOLUTE = 1e-5
# What compiling a function anew may change, by the size of its largest output: a few roundings of float32.
RECOMPILED = 2e-6


@dataclass
class Prepared:
    """A model, the inputs to call it with, and its references (batch, heads, query, key) in the order of the calls.

    No reference means that the model must show no attention. ``plain`` runs the model without a capture where it is
    not enough to compile it; ``output_tolerance`` is by the largest output. ``bfloat16_steps``, ``notes_contain`` and
    ``coverage_contains`` are as in `layer_checks.Expected`; each of ``names`` must be in the name of its layer.
    ``changes_state`` is true of a model that a call leaves changed, as one with a cache.
    """

    model: Any
    inputs: attncore.Inputs
    references: Sequence[np.ndarray] = ()
    tolerance: float = ABSOLUTE
    bfloat16_steps: int = 0
    output_tolerance: float = RECOMPILED
    plain: Callable[[], Any] | None = None
    changes_state: bool = False
    notes_contain: str = ""
    coverage_contains: str = ""
    kinds: Sequence[str] = ()
    names: Sequence[str] = ()
    options: dict[str, Any] = field(default_factory=dict)
    reference: str = "numpy"
    note: str = ""


@dataclass(frozen=True)
class JaxCase:
    """One model by name; ``make`` builds it with its references."""

    family: str
    name: str
    make: Callable[[], Prepared]

    def __str__(self) -> str:
        return self.name if self.name.startswith(f"{self.family}: ") else f"{self.family}: {self.name}"

    def run(self) -> Iterator[Row]:
        """The row of this model; failures are rows too."""
        try:
            prepared = self.make()
        except Exception as error:  # any failure to build is a row of its own
            note = one_line(error)
            yield Row(self.family, self.name, "", "cannot be built here", note=note, framework="JAX")
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
            "",
            status,
            found=result.found,
            expected=expected,
            shape=result.shape,
            difference=result.difference if expected else None,
            tolerance=prepared.tolerance if expected else None,
            identical=result.identical,
            reference=prepared.reference if expected else "",
            note="; ".join([*result.faults[:3], prepared.note] if prepared.note else result.faults[:3]),
            framework="JAX",
            output_difference=result.output_difference,
        )


class Catalogue:
    """Collects cases of one family under the names that their decorator gives."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.all: list[JaxCase] = []

    def __call__(self, name: str) -> Callable[[Callable[[], Prepared]], Callable[[], Prepared]]:
        def register(make: Callable[[], Prepared]) -> Callable[[], Prepared]:
            self.all.append(JaxCase(self.family, name, make))
            return make

        return register

    def cases(self) -> Iterator[JaxCase]:
        """The cases in the order in which they are written."""
        return iter(self.all)


def examine(prepared: Prepared) -> Examination:
    """Everything that is wrong with a capture of this model, in words."""
    plain = run_plain(prepared)
    before = state_of(prepared)
    result = Examination()
    coverage = ""
    try:
        result.trace = attncore.trace(prepared.model, prepared.inputs, **prepared.options)
        coverage = str(result.trace.coverage)
        compare_layers(result, prepared)
        compare_names(result, prepared)
        compare_output(result, prepared, plain, result.trace.output)
    except attncore.NoAttentionError as error:
        coverage = no_attention(result, prepared, error)
    except Exception as error:  # any failure is a fault of the capture, the plain run having passed
        result.faults.append(f"capture failed: {one_line(error)}")
    compare_coverage(result, prepared, coverage)
    if not prepared.changes_state and not same_state(before, state_of(prepared)):
        result.faults.append("changes the model, its inputs or JAX's configuration")
    return result


def run_plain(prepared: Prepared) -> Any:
    """The output without a capture, of the model compiled as a user would."""
    if prepared.plain is not None:
        return prepared.plain()
    return equinox.filter_jit(_call)(prepared.model, prepared.inputs.args, prepared.inputs.kwargs)


def _call(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return model(*args, **kwargs)


def compare_names(result: Examination, prepared: Prepared) -> None:
    """The layers are called by what the model calls them."""
    for layer, name in zip(result.trace, prepared.names, strict=False):
        if name not in layer.name:
            result.faults.append(f'a layer is called "{layer.name}", without "{name}"')


def compare_output(result: Examination, prepared: Prepared, plain: Any, captured: Any) -> None:
    """The output under capture is the plain one."""
    one, two = (as_arrays(output) for output in (plain, captured))
    same_kinds = [(array.shape, array.dtype) for array in one] == [(array.shape, array.dtype) for array in two]
    if not same_kinds or jax.tree.structure(plain) != jax.tree.structure(captured):
        result.faults.append(f"the output has {kinds_of(two)} under capture and {kinds_of(one)} without")
        return
    result.identical = all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one, two, strict=True))
    if result.identical:
        return
    pairs = [(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(one, two, strict=True)]
    worst = max(float(np.abs(a - b).max(initial=0.0)) for a, b in pairs)
    largest = max(float(np.abs(a).max(initial=0.0)) for a, _ in pairs)
    result.output_difference = worst
    if not worst <= prepared.output_tolerance * max(1.0, largest):
        result.faults.append(f"the output changes by {worst:.1e}")


def as_arrays(tree: Any) -> list[np.ndarray]:
    """Every array of a tree in numpy, random keys by their numbers, bfloat16 as the float32 numbers it stands for."""
    arrays = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, (jax.Array, np.ndarray))]
    return [plain_numpy(array) for array in arrays]


def plain_numpy(array: Any) -> np.ndarray:
    """One array in numpy."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(array))
    return np.asarray(array, dtype=np.float32) if array.dtype == jnp.bfloat16 else np.array(array)


def kinds_of(arrays: Sequence[np.ndarray]) -> str:
    """Shapes and types in words."""
    return ", ".join(f"{array.dtype} {array.shape}" for array in arrays) or "no array"


def state_of(prepared: Prepared) -> tuple[list[np.ndarray], dict[str, Any]]:
    """What a capture might leave changed: the arrays of the model and of its inputs, and JAX's configuration."""
    inputs = (prepared.inputs.args, prepared.inputs.kwargs)
    return as_arrays((prepared.model, inputs)), dict(jax.config.values)


def same_state(before: tuple[list[np.ndarray], dict[str, Any]], after: tuple[list[np.ndarray], dict[str, Any]]) -> bool:
    """Whether two states are equal."""
    same_arrays = len(before[0]) == len(after[0]) and all(map(np.array_equal, before[0], after[0]))
    return same_arrays and before[1] == after[1]
