"""A traced TensorFlow graph as the dataflow in which attention is looked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from attncore.dataflow import Graph

Shapes = list[Any]


@dataclass(eq=False, slots=True)
class Program:
    """The dataflow of a graph; a value's ``handle`` is the path of the tensor that holds its numbers.

    ``ranks`` are the numbers of axes of these tensors; a value may have more or fewer axes of length 1.
    ``loop_shapes`` are the shapes that the tensors of a loop keep from turn to turn, by the loop's path.
    """

    graph: Graph
    ranks: dict[str, int] = field(default_factory=dict)
    loop_shapes: dict[str, Shapes] = field(default_factory=dict)


# No operation can be called this.
_TURN, _BRANCH = "<turn>", "<branch"


def turn_path(path: str) -> str:
    """The path of a loop's body, given that of the loop."""
    return f"{path}/{_TURN}"


def branch_path(path: str, number: int) -> str:
    """The path of a branch, given that of the operation that chooses it."""
    return f"{path}/{_BRANCH} {number}>"


def is_inside(key: str, path: str) -> bool:
    """Whether a tensor is in a loop's body or a branch of the operation of this path."""
    return key.startswith((f"{path}/{_TURN}/", f"{path}/{_BRANCH} "))


def loops_around(key: str, path: str) -> int:
    """How many loops are around a tensor that is inside the operation of this path, itself counted."""
    return key.removeprefix(path).split("/").count(_TURN)


def is_a_name(part: str) -> bool:
    """Whether a part of a path is the name of an operation or a scope."""
    return bool(part) and not part.startswith("<")
