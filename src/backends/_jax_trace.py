"""Traces a call into a program and finds the attention in it, once for each function and kind of arguments."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import jax

from attncore.dataflow_find import find_attention
from attncore.dataflow_sites import Findings
from attncore.dataflow_turns import Ancestry
from attncore.errors import UnsupportedModelError

from ._jax_call import Call
from ._jax_constants import HeldArrays
from ._jax_program import Program, Step
from ._jax_read import read_program
from ._jax_trees import is_array

# What JAX raises where Python needs to know a number that is only known when the program runs.
_NEEDS_NUMBERS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
)
_KEPT_PER_FUNCTION = 8
_LARGE = 64


@dataclass(eq=False)
class Shape:
    """How to put the outputs of a program together again: the output's tree and the changes of its modules."""

    structure: Any
    static: list[Any]
    changes: Any
    count: int

    def output(self, arrays: list[Any]) -> Any:
        """What the function returns."""
        given = iter(arrays)
        return jax.tree.unflatten(self.structure, [next(given) if leaf is _ARRAY else leaf for leaf in self.static])

    def changed(self, arrays: list[Any]) -> Any:
        """What the call changed in modules."""
        return jax.tree.unflatten(self.changes, arrays[self.count :])


@dataclass(eq=False)
class Traced:
    """A program with what was found in it. ``compiled`` holds it by what is wanted of it, ``bounds`` those of loops."""

    program: Program
    findings: Findings
    ancestry: Ancestry
    shape: Shape
    compiled: dict[Any, Any] = field(default_factory=dict)
    bounds: dict[Step, int] = field(default_factory=dict)


class _ArrayMark:
    """Stands for an array among the leaves of an output."""


_ARRAY = _ArrayMark()
_traced: weakref.WeakKeyDictionary[Any, OrderedDict[Any, Traced]] = weakref.WeakKeyDictionary()


def traced(call: Call) -> Traced:
    """The program of a call; of one with the same function and kinds of arguments, the one from before.

    Raises:
        UnsupportedModelError: the function asks for numbers while it is traced.
    """
    known = _known_for(call.target.anchor)
    if known is not None and call.key is not None and call.key in known:
        known.move_to_end(call.key)
        return known[call.key]
    made = _trace(call)
    if known is not None and call.key is not None and _may_be_kept(call, made):
        known[call.key] = made
        while len(known) > _KEPT_PER_FUNCTION:
            known.popitem(last=False)
    return made


def _known_for(anchor: Any) -> OrderedDict[Any, Traced] | None:
    try:
        return _traced.setdefault(anchor, OrderedDict())
    except TypeError:  # it can be neither hashed nor weakly referenced
        return None


def _may_be_kept(call: Call, made: Traced) -> bool:
    """Whether the program still holds when it is called again: arrays that a function picked up may be others then."""
    # What has a name is the model's own, and a part of the key; small ones of numpy were made while it was traced.
    others = [array for value, array in made.program.constants.items() if not value.name]
    is_made_here = all(array.size <= _LARGE and not isinstance(array, jax.Array) for array in others)
    return call.target.frozen or is_made_here


def _trace(call: Call) -> Traced:
    shapes: list[Shape] = []

    def flat(*arrays: Any) -> list[Any]:
        output, changes = call.run(arrays)
        leaves, structure = jax.tree.flatten(output)
        found = [leaf for leaf in leaves if is_array(leaf)]
        static = [_ARRAY if is_array(leaf) else leaf for leaf in leaves]
        changed, changes_tree = jax.tree.flatten(changes)
        shapes[:] = [Shape(structure, static, changes_tree, len(found))]
        return [*found, *changed]

    try:
        closed = jax.make_jaxpr(flat)(*call.arrays)
    except _NEEDS_NUMBERS as error:
        reason = str(error).strip().splitlines()[0]
        raise UnsupportedModelError(
            f"JAX cannot trace this function, as jax.jit could not compile it either: {reason} Where it branches on "
            "the values of an array, use jax.lax.cond or jnp.where, or give that argument as a Python number"
        ) from error
    program = read_program(closed, call.inputs, HeldArrays(call.held))
    graph = program.body.graph
    repeated = [place for place, one in enumerate(call.inputs) if one.other_names]
    return Traced(program, find_attention(graph, repeated), Ancestry(graph), shapes[0])
