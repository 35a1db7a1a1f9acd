"""Traces a call to a graph and finds the attention in it, once for each function and kind of arguments."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from attncore.dataflow import Origin
from attncore.dataflow_find import find_attention
from attncore.dataflow_sites import Findings
from attncore.dataflow_turns import Ancestry
from attncore.errors import UnsupportedModelError

from ._tensorflow_call import Call
from ._tensorflow_callable import Target, is_keras, scope_names, variable_names
from ._tensorflow_program import Program
from ._tensorflow_read import read_program

_KEPT_PER_FUNCTION = 8
# What Python raises where it needs a number that is only known when the graph runs.
_NEEDS_NUMBERS = ("numpy", "symbolic", "Symbolic", "bool` is not allowed", "iterating over", "__index__", "_numpy")


@dataclass(eq=False)
class Traced:
    """A program with what was found in it. ``compiled`` holds what was made of it, by what was wanted of it."""

    concrete: Any
    program: Program
    findings: Findings
    ancestry: Ancestry
    compiled: dict[Any, Any] = field(default_factory=dict)

    @property
    def given(self) -> int:
        """How many of the graph's inputs are the call's own tensors, the rest being what it closes over."""
        return len(self.concrete.graph.inputs) - len(self.concrete.captured_inputs)


_traced: weakref.WeakKeyDictionary[Any, OrderedDict[Any, Traced]] = weakref.WeakKeyDictionary()


def traced(call: Call) -> Traced:
    """The program of a call; of one with the same function and kinds of arguments, the one from before.

    Raises:
        UnsupportedModelError: the function asks for numbers while it is traced.
    """
    known = _known_for(call.target.kept)
    if known is not None and call.key is not None and call.key in known:
        known.move_to_end(call.key)
        return known[call.key]
    made = _trace(call)
    if known is not None and call.key is not None:
        known[call.key] = made
        while len(known) > _KEPT_PER_FUNCTION:
            known.popitem(last=False)
    return made


def _known_for(kept: Any) -> OrderedDict[Any, Traced] | None:
    try:
        return None if kept is None else _traced.setdefault(kept, OrderedDict())
    except TypeError:  # it can be neither hashed nor weakly referenced
        return None


def _trace(call: Call) -> Traced:
    calls = [call]

    def run(*tensors: Any) -> Any:
        return calls[0].run(tensors)

    specifications = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in call.tensors]
    with _losses_kept(call.target):
        try:
            concrete = tf.function(run).get_concrete_function(*specifications)
        except (TypeError, AttributeError, NotImplementedError, ValueError) as error:
            if not any(word in str(error) for word in _NEEDS_NUMBERS):
                kinds = ", ".join(f"{one.dtype.name} {tuple(one.shape)}" for one in specifications)
                error.add_note(
                    f"attncore traced {call.target.label} with {kinds}; where a SavedModel or an input_signature asks "
                    "for another type, give a tensor of that: tf.constant(x, tf.int32)"
                )
                raise
            reason = _reason(error)
            raise UnsupportedModelError(
                f"TensorFlow cannot make a graph of {call.target.label}, as tf.function could not compile it either: "
                f"{reason} Where it asks for the numbers of a tensor (.numpy(), int(x)), use TensorFlow's own "
                "operations, such as tf.cond and tf.where"
            ) from error
    calls.clear()  # what is kept for a model must not keep the model alive
    program = read_program(concrete.graph, _inputs(concrete, call))
    named = scope_names(call.target)
    for node, _ in program.graph.walk():
        node.scope = named(node.scope)
    repeated = [place for place, names in enumerate(call.names) if len(names) > 1]
    return Traced(concrete, program, find_attention(program.graph, repeated), Ancestry(program.graph))


def _reason(error: Exception) -> str:
    """What went wrong, without the places in the user's code that TensorFlow puts before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0] == "in user code:":
        lines = [line for line in lines[1:] if any(word in line for word in _NEEDS_NUMBERS)] or lines[-1:]
        return lines[-1].rstrip(".") + "."
    return lines[0] if lines else type(error).__name__


@contextmanager
def _losses_kept(target: Target) -> Iterator[None]:
    """Losses that Keras' layers note when they are called are tensors of the graph while it is traced: undone."""
    layers = list(target.owner._flatten_layers()) if is_keras(target.owner) else []
    before = [(layer, list(layer._losses), set(layer._loss_ids)) for layer in layers if hasattr(layer, "_loss_ids")]
    try:
        yield
    finally:
        for layer, losses, names in before:
            layer._losses[:] = losses
            layer._loss_ids.clear()
            layer._loss_ids.update(names)


def _inputs(concrete: Any, call: Call) -> list[tuple[Any, str, Origin]]:
    """Each input of the graph: a tensor of its shape, its name, and what it is."""
    inputs = concrete.graph.inputs
    captured = concrete.captured_inputs
    given: list[tuple[Any, str, Origin]] = [
        (tensor, names[-1], "data") for tensor, names in zip(inputs, call.names, strict=False)
    ]
    names = variable_names(call.target)
    own = {id(variable.handle): variable for variable in _variables(concrete)}
    assigned = _assigned(concrete.graph)
    for tensor, held in zip(inputs[len(inputs) - len(captured) :], captured, strict=True):
        name, variable = names.get(id(held), (None, own.get(id(held))))
        if variable is not None:
            text = name or variable.name.removesuffix(":0")
            given.append((tensor, text, _origin(variable, text, tensor.name in assigned)))
        else:
            given.append((tensor, "", _origin_of_array(held)))
    return given


def _variables(concrete: Any) -> list[Any]:
    """The variables that a graph uses; those of a loaded model may be gone, and only their numbers held."""
    try:
        return list(concrete.graph.variables)
    except AssertionError:
        return []


def _origin(variable: Any, name: str, assigned: bool) -> Origin:
    """What a variable is: learned, a cache that calls write to, or a number of Keras' own."""
    if not variable.dtype.is_floating:
        return "constant"
    if "cache" in name.lower().split("/")[-1] or (assigned and not variable.trainable and len(variable.shape) >= 3):
        return "state"
    return "parameter"


def _assigned(graph: Any) -> set[str]:
    """The names of the inputs whose variables the graph itself writes to."""
    writes = [one for one in graph.get_operations() if one.type.startswith(("Assign", "ResourceScatter"))]
    return {one.inputs[0].name for one in writes}


def _origin_of_array(held: Any) -> Origin:
    """Arrays with a fraction that a function closes over were learned, most likely."""
    learned = held.dtype != tf.resource and held.dtype.is_floating and held.shape.rank
    return "parameter" if learned or held.dtype == tf.resource else "constant"


def outputs_of(concrete: Any, tensors: Sequence[Any]) -> Any:
    """What the function returns, from the tensors of its outputs."""
    structure = concrete.structured_outputs
    if structure is None:
        return None
    leaves = tf.nest.flatten(structure, expand_composites=True)
    given = iter(tensors)
    filled = [next(given) if isinstance(leaf, tf.Tensor | tf.TensorSpec) else leaf for leaf in leaves]
    return tf.nest.pack_sequence_as(structure, filled, expand_composites=True)
