"""A TensorFlow function or Keras model with the weights that a capture of it must show, as a case of the benchmark."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

# Read once, when TensorFlow and Keras are imported: no chatter, and the Keras backend that these cases are about.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
from conformance_rows import Row, Status
from layer_checks import Examination, compare_coverage, compare_layers, no_attention, one_line

import attncore

ABSOLUTE = 1e-5
# A capture runs a graph where the user ran operation by operation: a few roundings of float32 by the largest output.
RECOMPILED = 4e-6
SEED = 0

Pairs = Iterable[tuple[Any, np.ndarray]]


@dataclass
class Prepared:
    """A model, the inputs to call it with, and its references (batch, heads, query, key) in the order of the calls.

    No reference means that the model must show no attention. ``confirm`` gives pairs of what the model itself computes
    and what the reference says of it, which must agree before any capture. ``random_output`` is true of a model that
    draws numbers; ``reported`` of one whose coverage must name what it did not capture. ``notes_contain``,
    ``coverage_contains`` and ``bfloat16_steps`` are as in `layer_checks.Expected`; each of ``names`` must be in the
    name of its layer. ``owner`` is what must live as long as the model, as a SavedModel, whose functions hold their
    variables weakly.
    """

    model: Any
    inputs: attncore.Inputs
    references: Sequence[np.ndarray] = ()
    confirm: Callable[[], Pairs] | None = None
    confirm_tolerance: float = ABSOLUTE
    tolerance: float = ABSOLUTE
    bfloat16_steps: int = 0
    output_tolerance: float = RECOMPILED
    random_output: bool = False
    changes_state: bool = False
    reported: bool = False
    notes_contain: str = ""
    coverage_contains: str = ""
    kinds: Sequence[str] = ()
    names: Sequence[str] = ()
    options: dict[str, Any] = field(default_factory=dict)
    owner: Any = None
    reference: str = "numpy"
    note: str = ""


@dataclass(frozen=True)
class TensorFlowCase:
    """One model by name; ``make`` builds it with its references."""

    family: str
    name: str
    make: Callable[[], Prepared]

    def __str__(self) -> str:
        return f"{self.family}: {self.name}"

    def run(self) -> Iterator[Row]:
        """The row of this model; failures are rows too."""
        try:
            prepared = self.prepare()
        except Exception as error:  # any failure to build is a row of its own
            note = one_line(error)
            yield Row(self.family, self.name, "", "cannot be built here", note=note, framework="TensorFlow")
            return
        yield self.row(prepared)

    def prepare(self) -> Prepared:
        """Build it from the same random state every time."""
        tf.random.set_seed(SEED)
        keras.utils.set_random_seed(SEED)
        return self.make()

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
            framework="TensorFlow",
            output_difference=result.output_difference,
        )


class Catalogue:
    """Collects cases of one family under the names that their decorator gives."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.all: list[TensorFlowCase] = []

    def __call__(self, name: str) -> Callable[[Callable[[], Prepared]], Callable[[], Prepared]]:
        def register(make: Callable[[], Prepared]) -> Callable[[], Prepared]:
            self.all.append(TensorFlowCase(self.family, name, make))
            return make

        return register

    def cases(self) -> Iterator[TensorFlowCase]:
        """The cases in the order in which they are written."""
        return iter(self.all)


def examine(prepared: Prepared) -> Examination:
    """Everything that is wrong with a capture of this model, in words."""
    plain = prepared.model(*prepared.inputs.args, **prepared.inputs.kwargs)
    before = state_of(prepared.model)
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
        entries = getattr(error, "coverage", None)
        if prepared.reported and entries is not None and not len(entries):
            result.faults.append("nothing was captured and the coverage is empty")
    except Exception as error:  # any failure is a fault of the capture, the plain run having passed
        result.faults.append(f"capture failed: {one_line(error)}")
    compare_coverage(result, prepared, coverage)
    if not prepared.changes_state and not same_state(before, state_of(prepared.model)):
        result.faults.append("changes the model or Keras")
    return result


def confirm(prepared: Prepared) -> list[str]:
    """Where the model itself disagrees with its reference; says nothing about a capture."""
    faults = []
    for place, (own, reference) in enumerate(prepared.confirm() if prepared.confirm else ()):
        array = plain_numpy(own)
        if array.shape != reference.shape:
            faults.append(f"pair {place}: the model has shape {array.shape}, its reference {reference.shape}")
        elif not np.abs(array - reference).max() <= prepared.confirm_tolerance:
            faults.append(f"pair {place}: they differ by {np.abs(array - reference).max():.1e}")
    return faults


def compare_names(result: Examination, prepared: Prepared) -> None:
    """The layers are called by what the model calls them."""
    for layer, name in zip(result.trace, prepared.names, strict=False):
        if name not in layer.name:
            result.faults.append(f'a layer is called "{layer.name}", without "{name}"')


def compare_output(result: Examination, prepared: Prepared, plain: Any, captured: Any) -> None:
    """The output under capture is the plain one."""
    one, two = (as_arrays(output) for output in (plain, captured))
    if [kind(array) for array in one] != [kind(array) for array in two] or not same_structure(plain, captured):
        result.faults.append(f"the output has {kinds_of(two)} under capture and {kinds_of(one)} without")
        return
    if prepared.random_output:
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


def same_structure(one: Any, two: Any) -> bool:
    """Whether two outputs are the same dictionaries, lists and tuples of tensors."""
    try:
        tf.nest.assert_same_structure(one, two)
    except (TypeError, ValueError):
        return False
    return True


def as_arrays(tree: Any) -> list[np.ndarray]:
    """Every tensor of an output in numpy."""
    return [plain_numpy(leaf) for leaf in tf.nest.flatten(tree) if leaf is not None]


def plain_numpy(tensor: Any) -> np.ndarray:
    """One tensor in numpy; bfloat16 as the float32 numbers it stands for, ragged rows one after the other."""
    if isinstance(tensor, tf.RaggedTensor):
        tensor = tensor.flat_values
    tensor = tf.convert_to_tensor(tensor)
    return np.array(tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor)


def kind(array: np.ndarray) -> tuple[tuple[int, ...], str]:
    """Shape and type."""
    return array.shape, str(array.dtype)


def kinds_of(arrays: Sequence[np.ndarray]) -> str:
    """Shapes and types in words."""
    return ", ".join(f"{array.dtype} {array.shape}" for array in arrays) or "no tensor"


def state_of(model: Any) -> tuple[list[np.ndarray], list[Any]]:
    """What a capture might leave changed: variables, attributes, and the functions that a capture could replace."""
    variables = [plain_numpy(variable) for variable in getattr(model, "variables", ())]
    functions = [tf.nn.softmax, tf.matmul, tf.einsum, keras.ops.softmax, keras.ops.dot_product_attention]
    functions += [keras.layers.Softmax.call, keras.layers.MultiHeadAttention.call, keras.Layer.__call__]
    config = [keras.config.dtype_policy().name, tf.config.functions_run_eagerly(), keras.backend.backend()]
    return variables, [sorted(getattr(model, "__dict__", ())), functions, config]


def same_state(before: tuple[list[np.ndarray], list[Any]], after: tuple[list[np.ndarray], list[Any]]) -> bool:
    """Whether two states are equal."""
    same_arrays = len(before[0]) == len(after[0]) and all(map(np.array_equal, before[0], after[0]))
    return same_arrays and before[1] == after[1]
