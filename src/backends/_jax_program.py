"""A traced JAX program, twice: as steps that can be run again, and as the graph in which attention is looked for.

Both share their `Value`s, so that what the finder names in the graph can be picked up while the steps run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from attncore.dataflow import Graph, Region, Value


@dataclass(eq=False, slots=True)
class Step:
    """One equation of a jaxpr.

    ``inside`` are the steps of the function that a call (jit, remat, custom_jvp, …) calls: the graph sees them in the
    place of the call. ``bodies`` are those of a loop, a branch or a shard_map, and ``region`` is its graph operation.
    """

    equation: Any
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    inside: list[Step] | None = None
    bodies: tuple[Body, ...] = ()
    region: Region | None = None


@dataclass(eq=False, slots=True)
class Body:
    """Steps with their inputs and outputs; ``graph`` is the same as a graph."""

    graph: Graph
    steps: list[Step] = field(default_factory=list)

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The values that come from outside, in the jaxpr's order."""
        return tuple(self.graph.inputs)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """What the body gives back."""
        return tuple(self.graph.outputs)


@dataclass(eq=False, slots=True)
class Program:
    """The whole: ``constants`` are arrays that the function closed over, ``literals`` numbers in the program itself."""

    body: Body
    constants: dict[Value, Any] = field(default_factory=dict)
    literals: dict[Value, Any] = field(default_factory=dict)
