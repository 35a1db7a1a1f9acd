"""Reads a jaxpr: calls are opened, loops and branches become regions, everything else a graph operation or two."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core

from attncore.dataflow import Graph, Origin, Region, Value

from ._jax_constants import HeldArrays
from ._jax_operations import add_operations
from ._jax_private import name_stack, scan_counts
from ._jax_program import Body, Program, Step
from ._jax_trees import Input

# Primitives that call a function with their own inputs and give back what it gives back.
CALLS = frozenset(
    {
        "call",
        "checkpoint",
        "closed_call",
        "composite",
        "core_call",
        "core_closed_call",
        "custom_jvp_call",
        "custom_lin",
        "custom_vjp_call",
        "custom_vjp_call_jaxpr",
        "jit",
        "pjit",
        "remat",
        "remat2",
        "xla_call",
    }
)
# What JAX writes around the names of operations that a transposition made.
_BACKWARD = "transpose("
_FEW = 64
_WRAPPER = re.compile(r"[A-Za-z_]\w*\((.*)\)")
_NOT_A_NAME = re.compile(r"\(|\)|->|^\.\.\.|^$")


def read_program(closed: Any, inputs: Sequence[Input], held: HeldArrays) -> Program:
    """The program of a closed jaxpr.

    Args:
        closed: what `jax.make_jaxpr` gives.
        inputs: what each of its inputs is.
        held: what the model holds besides.
    """
    values = [
        value_of(variable.aval, one.origin, one.name) for variable, one in zip(closed.jaxpr.invars, inputs, strict=True)
    ]
    reader = _Reader(held)
    body = reader.body(closed.jaxpr, closed.consts, values, "")
    return Program(body, reader.constants, reader.literals)


def value_of(aval: Any, origin: Origin = "result", name: str = "") -> Value:
    """A value of this abstract array."""
    return Value(tuple(getattr(aval, "shape", ())), str(getattr(aval, "dtype", "")), origin, name)


class _Reader:
    """Collects the arrays that the program closed over while it is read."""

    def __init__(self, held: HeldArrays) -> None:
        self._held = held
        self.constants: dict[Value, Any] = {}
        self.literals: dict[Value, Any] = {}

    def body(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Value], scope: str) -> Body:
        """The steps and the graph of a jaxpr whose inputs have values already."""
        body = Body(Graph(inputs))
        known = self._known(jaxpr, consts, inputs)
        self._read(body.graph, body.steps, jaxpr, known, scope)
        body.graph.outputs = [self._value(known, variable) for variable in jaxpr.outvars]
        return body

    def _known(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Value]) -> dict[Any, Value]:
        known = dict(zip(jaxpr.invars, inputs, strict=True))
        for variable, const in zip(jaxpr.constvars, consts, strict=True):
            # A constant of an inner jaxpr may be a value of the outer one.
            known[variable] = const if isinstance(const, Value) else self._closed_over(variable.aval, const)
        return known

    def _closed_over(self, aval: Any, array: Any) -> Value:
        """A value for an array that the function closed over; numbers with a fraction were learned, most likely."""
        told = self._held.known(array)
        learned = len(getattr(aval, "shape", ())) > 0 and jax.numpy.issubdtype(aval.dtype, jax.numpy.floating)
        unnamed = Input("", "parameter" if learned else "constant")
        value = value_of(aval, (told or unnamed).origin, (told or unnamed).name)
        value.constant = _few_numbers(array)
        self.constants[value] = array
        return value

    def _value(self, known: dict[Any, Value], variable: Any) -> Value:
        if not isinstance(variable, core.Literal):
            return known[variable]
        value = value_of(variable.aval, "constant")
        value.constant = _few_numbers(variable.val)
        # With the type the program gives it: a bare number would take any.
        self.literals[value] = np.asarray(variable.val, dtype=getattr(variable.aval, "dtype", None))
        return value

    def _read(self, graph: Graph, steps: list[Step], jaxpr: Any, known: dict[Any, Value], outer: str) -> None:
        for equation in jaxpr.eqns:
            inputs = tuple(self._value(known, variable) for variable in equation.invars)
            names, before = name_stack(equation), len(graph.nodes)
            scope = _joined(outer, names)
            inner = _called(equation)
            if inner is not None:
                step = self._call(graph, equation, inner, inputs, scope)
            else:
                outputs = tuple(value_of(variable.aval) for variable in equation.outvars)
                step = Step(equation, inputs, outputs)
                if equation.primitive.name in _REGIONS:
                    self._region(graph, step, scope)
                else:
                    add_operations(graph, equation, inputs, outputs, scope)
            if _BACKWARD in names:
                graph.mark_backward(before)
            steps.append(step)
            known.update(zip(equation.outvars, step.outputs, strict=True))

    def _call(self, graph: Graph, equation: Any, inner: Any, inputs: tuple[Value, ...], scope: str) -> Step:
        """The steps of a called function, whose operations go into the caller's graph."""
        known = self._known(inner.jaxpr, inner.consts, inputs)
        inside: list[Step] = []
        self._read(graph, inside, inner.jaxpr, known, scope)
        outputs = tuple(self._value(known, variable) for variable in inner.jaxpr.outvars)
        return Step(equation, inputs, outputs, inside=inside)

    def _region(self, graph: Graph, step: Step, scope: str) -> None:
        """A loop, branch or map over shards: a node with inner graphs."""
        operation, jaxprs = _REGIONS[step.equation.primitive.name](step.equation)
        bodies = []
        for jaxpr in jaxprs:
            closed = _closed(jaxpr)
            values = [value_of(variable.aval) for variable in closed.jaxpr.invars]
            bodies.append(self.body(closed.jaxpr, closed.consts, values, scope))
        step.bodies = tuple(bodies)
        step.region = Region(bodies=tuple(body.graph for body in bodies), **operation)
        node = graph.add(step.region, step.inputs, step.outputs, scope=scope)
        node.handle = step


def _scan(equation: Any) -> tuple[dict[str, Any], list[Any]]:
    params = equation.params
    consts, carry = scan_counts(params)
    count, results = len(equation.invars), len(equation.outvars)
    return {
        "kind": "scan",
        "operands": (tuple(range(count)),),
        "results": (tuple(range(results)),),
        "carried": tuple((place, consts + place) for place in range(carry)),
        "stacked_inputs": frozenset(range(consts + carry, count)),
        "stacked_outputs": frozenset(range(carry, results)),
        "length": params["length"],
    }, [params["jaxpr"]]


def _while(equation: Any) -> tuple[dict[str, Any], list[Any]]:
    params = equation.params
    before, consts = params["cond_nconsts"], params["body_nconsts"]
    results = len(equation.outvars)
    return {
        "kind": "while",
        "operands": (tuple(range(before, len(equation.invars))),),
        "results": (tuple(range(results)),),
        "carried": tuple((place, consts + place) for place in range(results)),
    }, [params["body_jaxpr"]]


def _cond(equation: Any) -> tuple[dict[str, Any], list[Any]]:
    branches = list(equation.params["branches"])
    return {
        "kind": "branch",
        "operands": (tuple(range(1, len(equation.invars))),) * len(branches),
        "results": (tuple(range(len(equation.outvars))),) * len(branches),
    }, branches


def _shard_map(equation: Any) -> tuple[dict[str, Any], list[Any]]:
    return {
        "kind": "shards",
        "operands": (tuple(range(len(equation.invars))),),
        "results": (tuple(range(len(equation.outvars))),),
    }, [equation.params["jaxpr"]]


_REGIONS = {"scan": _scan, "while": _while, "cond": _cond, "shard_map": _shard_map}


def _called(equation: Any) -> Any | None:
    """The jaxpr of the function that an equation calls, closed; None when it is no call."""
    if equation.primitive.name not in CALLS:
        return None
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        inner = equation.params.get(name)
        if inner is not None:
            closed = _closed(inner)
            if len(closed.jaxpr.invars) == len(equation.invars):
                return closed
    return None


def _closed(jaxpr: Any) -> Any:
    return jaxpr if isinstance(jaxpr, core.ClosedJaxpr) else core.ClosedJaxpr(jaxpr, ())


def _few_numbers(array: Any) -> Any:
    """The numbers of a small constant; None of a large one, or of one that has none."""
    if isinstance(array, jax.core.Tracer) or np.size(array) > _FEW:
        return None
    if hasattr(array, "dtype") and jax.numpy.issubdtype(array.dtype, jax.dtypes.extended):
        return None
    numbers = np.asarray(array)
    return numbers if numbers.dtype.kind in "fiubc" else numbers.astype(np.float32)


def _joined(outer: str, own: str) -> str:
    """One path of the names that people gave: ``jit(f)`` and the like are what transformations add."""
    parts = [part for part in outer.split("/") if part]
    for part in own.split("/"):
        name = part
        while (wrapped := _WRAPPER.fullmatch(name)) is not None:
            name = "" if name.startswith(("jit(", "pjit(", "closed_call(")) else wrapped[1]
        if not _NOT_A_NAME.search(name):
            parts.append(name)
    return "/".join(parts)
