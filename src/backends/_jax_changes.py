"""Modules of flax.nnx, which change while they are called: taken apart before a call, and brought up to date after."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import jax

from attncore.dataflow import Origin

from ._jax_trees import Path


class Modules:
    """The modules among the arguments of one call; empty, and free of charge, where there are none."""

    def __init__(self, modules: Sequence[Any]) -> None:
        self._modules = list(modules)
        self.structure: Any = None
        self._paths: list[tuple[Path, Any]] = []
        self._tree: Any = None
        if self._modules:
            nnx = sys.modules["flax.nnx"]
            self.structure, state = nnx.split(self._modules)
            self._paths, self._tree = jax.tree_util.tree_flatten_with_path(state)
            self._kinds = {path: type(variable) for path, variable in nnx.to_flat_state(state)}

    def arrays(self) -> list[tuple[Path, Any]]:
        """Every array of the modules with its path from the module."""
        return [(path[1:], array) for path, array in self._paths]

    def origins(self) -> list[Origin]:
        """What each array is, by the kind of its variable."""
        return [self._origin(path) for path, _ in self._paths]

    def _origin(self, path: Path) -> Origin:
        nnx = sys.modules["flax.nnx"]
        names = tuple(getattr(key, "key", getattr(key, "idx", None)) for key in path)
        found = [kind for place, kind in self._kinds.items() if names[: len(place)] == tuple(place)]
        kind = found[0] if found else object
        if issubclass(kind, nnx.Cache):
            return "state"
        return "constant" if issubclass(kind, nnx.RngState) else "parameter"

    def merged(self, arrays: Sequence[Any]) -> list[Any]:
        """New modules of the same structure around other arrays."""
        if not self._modules:
            return []
        nnx = sys.modules["flax.nnx"]
        merged: list[Any] = nnx.merge(self.structure, jax.tree.unflatten(self._tree, arrays))
        self._before = {path: jax.tree.leaves(variable) for path, variable in nnx.to_flat_state(nnx.state(merged))}
        return merged

    def changes(self, merged: list[Any]) -> Any:
        """The variables that a call changed or made, as a state."""
        if not self._modules:
            return None
        nnx = sys.modules["flax.nnx"]
        changed = []
        for path, variable in nnx.to_flat_state(nnx.state(merged)):
            now, before = jax.tree.leaves(variable), self._before.get(path)
            if before is None or len(now) != len(before) or any(a is not b for a, b in zip(now, before, strict=True)):
                changed.append((path, variable))
        return nnx.from_flat_state(changed) if changed else None

    def bring_up_to_date(self, changes: Any) -> None:
        """Give the user's own modules what a call changed."""
        if changes is not None:
            sys.modules["flax.nnx"].update(self._modules, changes)
