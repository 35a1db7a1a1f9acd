"""Arrays that a function closes over become arguments, so that they have names and are never out of date.

A closure is traced into constants, which say nothing of where they come from. A copy of the function with other cells
is called instead; the function itself is never touched.
"""

from __future__ import annotations

import builtins
import dis
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType
from typing import Any

from ._jax_trees import holds_arrays

_DEPTH = 4


@dataclass(frozen=True)
class Lifted:
    """``held`` by name is what the function closes over; ``rebuild`` gives the function closing over other values."""

    held: dict[str, Any]
    rebuild: Callable[[Sequence[Any]], Any]


def lift(function: Any, depth: int = _DEPTH) -> Lifted:
    """What a plain Python function closes over, functions in its closure looked into as well."""
    if not isinstance(function, FunctionType) or depth == 0:
        return Lifted({}, lambda values: function)
    assigned = _assigned(function.__code__)
    cells = {name: cell for name, cell in _cells(function).items() if name not in assigned}
    globals_read = [name for name in _names_read(function.__code__) if _is_liftable_global(function, name, assigned)]
    inner = {name: lift(cell.cell_contents, depth - 1) for name, cell in cells.items()}
    held: dict[str, Any] = {name: cell.cell_contents for name, cell in cells.items() if _has_arrays(cell.cell_contents)}
    own_cells = list(held)
    held |= {name: function.__globals__[name] for name in globals_read}
    nested = {name: lifted for name, lifted in inner.items() if lifted.held}
    for lifted in nested.values():
        held |= {_unused(found, held): value for found, value in lifted.held.items()}
    if not held:
        return Lifted({}, lambda values: function)

    def rebuild(values: Sequence[Any]) -> Any:
        given = iter(values)
        new_cells = {name: next(given) for name in own_cells}
        new_globals = {name: next(given) for name in globals_read}
        for name, lifted in nested.items():
            new_cells[name] = lifted.rebuild([next(given) for _ in lifted.held])
        return _copy(function, new_cells, new_globals)

    return Lifted(held, rebuild)


def _unused(name: str, taken: dict[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


def _cells(function: FunctionType) -> dict[str, CellType]:
    """The cells of the closure that hold something, by name."""
    named = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell for name, cell in named if _is_filled(cell)}


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # a name that has no value yet
        return False


def _has_arrays(value: Any) -> bool:
    return not isinstance(value, FunctionType) and holds_arrays(value)


def _codes(code: CodeType) -> list[CodeType]:
    """The code and that of every function written within it."""
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    return [code, *(found for one in inner for found in _codes(one))]


def _names_read(code: CodeType) -> list[str]:
    """The names that the code looks up among the globals."""
    read = {
        instruction.argval
        for one in _codes(code)
        for instruction in dis.get_instructions(one)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    return sorted(read)


def _assigned(code: CodeType) -> set[str]:
    """Names that the code assigns outside its own frame: those must stay the function's own."""
    stores = ("STORE_DEREF", "STORE_GLOBAL", "DELETE_DEREF", "DELETE_GLOBAL")
    return {
        instruction.argval
        for one in _codes(code)
        for instruction in dis.get_instructions(one)
        if instruction.opname in stores
    }


def _is_liftable_global(function: FunctionType, name: str, assigned: set[str]) -> bool:
    if name in assigned or name not in function.__globals__ or hasattr(builtins, name):
        return False
    return _has_arrays(function.__globals__[name])


def _copy(function: FunctionType, cells: dict[str, Any], new_globals: dict[str, Any]) -> FunctionType:
    closure = tuple(
        CellType(cells[name]) if name in cells else cell
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    )
    scope = {**function.__globals__, **new_globals} if new_globals else function.__globals__
    copied = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, closure)
    copied.__kwdefaults__ = function.__kwdefaults__
    copied.__dict__.update(function.__dict__)
    return copied
