"""What each axis of a mesh of devices divides, inside a shard_map: the batch, the heads, or nothing."""

from __future__ import annotations

from typing import Any, Literal

from attncore.dataflow_sites import Site

from ._jax_program import Step

Divided = Literal["batch", "heads", "same", "positions"]


def manual_axes(step: Step) -> tuple[str, ...]:
    """The mesh's axes over which a shard_map maps, in the mesh's order."""
    params = step.equation.params
    manual = params.get("manual_axes") or params["mesh"].axis_names
    return tuple(name for name in params["mesh"].axis_names if name in manual)


def divided(traced: Any, step: Step, node: Any, site: Site) -> list[Divided]:
    """What each axis of the mesh divides of this attention, by how the arrays that it is made of are divided.

    Parameters are divided by heads. Inputs are divided along their first axis, which is the batch; along one in the
    middle of four it is the heads; otherwise it is the positions, which cannot be put together again.
    """
    specs = step.equation.params["in_specs"]
    needed = traced.ancestry.reached([site.query, site.key, site.value], node)
    found: list[Divided] = []
    for name in manual_axes(step):
        meanings = {
            meaning
            for place in needed
            for meaning in [_meaning(traced, node.inputs[place], tuple(specs[place]), name)]
            if meaning != "same"
        }
        found.append("positions" if "positions" in meanings or len(meanings) > 1 else next(iter(meanings), "same"))
    return found


def _meaning(traced: Any, value: Any, spec: tuple[Any, ...], name: str) -> Divided:
    places = [place for place, names in enumerate(spec) if name in (names if isinstance(names, tuple) else (names,))]
    if not places:
        return "same"
    if traced.ancestry.is_parameter(value):
        return "heads"
    if places[0] == 0:
        return "batch"
    return "heads" if len(value.shape) == 4 else "positions"
