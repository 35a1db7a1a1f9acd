"""Runs a program again, step by step under `jax.jit`, with values from anywhere inside it as further outputs.

Calls without anything wanted inside run as they are. A loop gives a wanted value stacked by turn, a while loop in a
buffer of bounded length with the number of turns, a branch zeros where another branch ran.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from attncore.dataflow import Value

from ._jax_private import debug_info, is_dropped, scan_counts
from ._jax_program import Body, Program, Step
from ._jax_shards import manual_axes

Found = dict[str, Any]
FIRST_BOUND = 64


@dataclass(frozen=True)
class Pick:
    """A value that is wanted under ``key``, brought into its place by ``layout``.

    Of the loops in ``last`` only the last turn's is kept.
    """

    key: str
    value: Value
    layout: Callable[[Any], Any]
    last: frozenset[Step] = frozenset()


class Runner:
    """Runs a program with some picks. ``bounds`` are the lengths of the buffers of while loops, by step.

    ``shifts``, by the key of a pick, are added to its value where it is made, a slice in each turn of a loop: what the
    value is differentiated by.
    """

    def __init__(self, program: Program, picks: Iterable[Pick], bounds: dict[Step, int] | None = None) -> None:
        self.program = program
        self.bounds = bounds or {}
        self.numbers: dict[Step, int] = {}
        picks = list(picks)
        self._last = {(pick.key, step) for pick in picks for step in pick.last}
        wanted: dict[Value, list[Pick]] = defaultdict(list)
        for pick in picks:
            wanted[pick.value].append(pick)
        self._keys_of = {value: [pick.key for pick in found] for value, found in wanted.items()}
        self._of_body: dict[Body, list[Pick]] = {}
        self._holds: set[Step] = set()
        self._locate(program.body, wanted)

    def _locate(self, body: Body, wanted: dict[Value, list[Pick]]) -> bool:
        """Note which picks are made in which body, and which steps must be gone into for one."""
        found = [pick for value in body.inputs for pick in wanted.get(value, ())]
        inside = self._locate_steps(body.steps, wanted, found)
        # A value may be asked for under several names, and is listed once for each place that makes it.
        self._of_body[body] = list(dict.fromkeys(found))
        return bool(found) or inside

    def _locate_steps(self, steps: Iterable[Step], wanted: dict[Value, list[Pick]], found: list[Pick]) -> bool:
        any_inside = False
        for step in steps:
            self.numbers[step] = len(self.numbers)
            inner = [self._locate(body, wanted) for body in step.bodies]
            before = len(found)
            deeper = step.inside is not None and self._locate_steps(step.inside, wanted, found)
            if any(inner) or deeper or len(found) > before:
                self._holds.add(step)
                any_inside = any_inside or any(inner) or deeper
            if step.inside is None:
                found += [pick for value in step.outputs for pick in wanted.get(value, ())]
        return any_inside

    def __call__(
        self, constants: Sequence[Any], arrays: Sequence[Any], shifts: Found | None = None
    ) -> tuple[list[Any], Found]:
        """The program's outputs and everything picked."""
        given = dict(zip(self.program.constants, constants, strict=True))
        self._constants: dict[Value, Any] = {**self.program.literals, **given}
        try:
            return self._body(self.program.body, arrays, shifts or {})
        finally:
            self._constants = {}

    def _body(self, body: Body, arrays: Sequence[Any], shifts: Found) -> tuple[list[Any], Found]:
        known: dict[Value, Any] = {**self._constants, **dict(zip(body.inputs, arrays, strict=True))}
        found: Found = {}
        self._steps(body.steps, known, found, shifts)
        for pick in self._of_body[body]:
            found[pick.key] = pick.layout(known[pick.value])
        return [known[value] for value in body.outputs], found

    def _steps(self, steps: Iterable[Step], known: dict[Value, Any], found: Found, shifts: Found) -> None:
        for step in steps:
            if step in self._holds and step.inside is not None:
                self._steps(step.inside, known, found, shifts)
                continue
            arrays = [known[value] for value in step.inputs]
            if step in self._holds:
                outputs, inner = getattr(self, f"_{step.equation.primitive.name}")(step, arrays, shifts)
                found.update(inner)
            else:
                outputs = evaluate(step.equation, arrays)
            known.update(zip(step.outputs, outputs, strict=True))
            for value in step.outputs if shifts else ():
                for key in self._keys_of.get(value, ()):
                    known[value] = known[value] + shifts[key] if key in shifts else known[value]

    def _scan(self, step: Step, arrays: Sequence[Any], shifts: Found) -> tuple[list[Any], Found]:
        params, body = step.equation.params, step.bodies[0]
        consts, carry = scan_counts(params)
        before, start, stacked = arrays[:consts], arrays[consts : consts + carry], arrays[consts + carry :]
        inner_shifts = {key: shift for key, shift in shifts.items() if key in self._keys_inside(body)}

        def turn(state: Any, items: Any) -> Any:
            outputs, found = self._body(body, [*before, *state[0], *items[0]], items[1])
            latest, each = self._apart(step, found)
            return (outputs[:carry], latest), (outputs[carry:], each)

        first = [jax.ShapeDtypeStruct(one.shape[1:], one.dtype) for one in stacked]
        shapes = jax.eval_shape(lambda *inner: self._body(body, inner, {})[1], *before, *start, *first)
        empty = zeros(self._apart(step, shapes)[0])
        options = {name: params[name] for name in ("length", "reverse", "unroll")}
        (end, latest), (outputs, each) = jax.lax.scan(
            turn, (list(start), empty), (list(stacked), inner_shifts), **options
        )
        return [*end, *outputs], {**latest, **each}

    def _keys_inside(self, body: Body) -> set[str]:
        """The keys of everything picked in a body, at any depth."""
        inner = [deeper for step in _all_steps(body.steps) for deeper in step.bodies]
        return {pick.key for pick in self._of_body[body]}.union(*(self._keys_inside(one) for one in inner))

    def _apart(self, step: Step, found: Found) -> tuple[Found, Found]:
        """What only the last turn of a loop matters of, and what every turn does."""
        latest = {key: value for key, value in found.items() if (key, step) in self._last}
        return latest, {key: value for key, value in found.items() if key not in latest}

    def _while(self, step: Step, arrays: Sequence[Any], shifts: Found) -> tuple[list[Any], Found]:
        params, body = step.equation.params, step.bodies[0]
        tests, consts = params["cond_nconsts"], params["body_nconsts"]
        of_test, before, start = arrays[:tests], arrays[tests : tests + consts], arrays[tests + consts :]
        go_on = core.jaxpr_as_fun(params["cond_jaxpr"])
        bound = self.bounds.get(step, FIRST_BOUND)
        shapes = jax.eval_shape(lambda *state: self._body(body, [*before, *state], {})[1], *start)
        latest, each = self._apart(step, shapes)
        buffers = jax.tree.map(lambda one: jnp.zeros((bound, *one.shape), one.dtype), each)

        def turn(state: Any) -> Any:
            count, carried, latest, buffers = state
            outputs, found = self._body(body, [*before, *carried], {})
            latest, each = self._apart(step, found)
            place = jnp.minimum(count, bound - 1)
            buffers = jax.tree.map(
                lambda buffer, one: jax.lax.dynamic_update_index_in_dim(buffer, one, place, 0), buffers, each
            )
            return count + 1, outputs, latest, buffers

        state = (jnp.int32(0), list(start), zeros(latest), buffers)
        count, end, last, filled = jax.lax.while_loop(lambda state: go_on(*of_test, *state[1])[0], turn, state)
        return list(end), {**last, **filled, self.turns_key(step): count}

    def turns_key(self, step: Step) -> str:
        """Under which key the number of a while loop's turns is found."""
        return f"turns {self.numbers[step]}"

    def branch_key(self, step: Step) -> str:
        """Under which key the number of the branch that ran is found."""
        return f"branch {self.numbers[step]}"

    def _cond(self, step: Step, arrays: Sequence[Any], shifts: Found) -> tuple[list[Any], Found]:
        index, operands = arrays[0], arrays[1:]
        shapes = [jax.eval_shape(lambda *a, b=body: self._body(b, a, {})[1], *operands) for body in step.bodies]
        everything: Found = {key: one for found in shapes for key, one in found.items()}

        def branch(body: Body) -> Callable[..., Any]:
            def run(*operands: Any) -> Any:
                outputs, found = self._body(body, operands, shifts)
                return outputs, {**zeros(everything), **found}

            return run

        # A condition is a boolean, where a number of a branch is kept within bounds.
        number = jnp.clip(jnp.asarray(index, jnp.int32), 0, len(step.bodies) - 1)
        outputs, found = jax.lax.switch(number, [branch(body) for body in step.bodies], *operands)
        return list(outputs), {**found, self.branch_key(step): number}

    def _shard_map(self, step: Step, arrays: Sequence[Any], shifts: Found) -> tuple[list[Any], Found]:
        params, body = step.equation.params, step.bodies[0]
        axes = manual_axes(step)

        def shard(*local: Any) -> Any:
            outputs, found = self._body(body, local, {})
            return tuple(outputs), jax.tree.map(lambda one: one[(None,) * len(axes)], found)

        stacked = jax.sharding.PartitionSpec(*axes)
        specs = (tuple(params["out_specs"]), stacked)
        mapped = jax.shard_map(
            shard,
            mesh=params["mesh"],
            in_specs=tuple(params["in_specs"]),
            out_specs=specs,
            axis_names=set(axes),
            check_vma=bool(params.get("check_vma", params.get("check_rep", False))),
        )
        outputs, found = mapped(*arrays)
        return list(outputs), found


def _all_steps(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _all_steps(step.inside or ())


def zeros(shapes: Found) -> Found:
    """Zeros of these shapes."""
    return {key: jnp.zeros(one.shape, one.dtype) for key, one in shapes.items()}


def evaluate(equation: Any, arrays: Sequence[Any]) -> list[Any]:
    """One equation on these arrays; outputs that nobody uses are None."""
    given = {
        variable: array
        for variable, array in zip(equation.invars, arrays, strict=True)
        if not isinstance(variable, core.Literal)
    }
    used = [variable for variable in equation.outvars if not is_dropped(variable)]
    about = debug_info(equation.primitive.name, len(given), len(used))
    alone = core.ClosedJaxpr(core.Jaxpr((), list(given), used, [equation], equation.effects, about), ())
    results = iter(core.jaxpr_as_fun(alone)(*given.values()))
    return [None if is_dropped(variable) else next(results) for variable in equation.outvars]
