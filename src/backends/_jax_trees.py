"""Trees of arguments: which leaves are arrays, and what each is called."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from attncore.dataflow import Origin

Path = tuple[Any, ...]
# What wrappers call the function that they hold.
_WRAPPED = frozenset({"fun", "_fun", "__wrapped__"})


@dataclass(frozen=True)
class Input:
    """What an array that goes into the program is called, and what it is.

    ``other_names`` are those of further arguments for which the very same array was given.
    """

    name: str
    origin: Origin
    other_names: tuple[str, ...] = ()


def is_array(leaf: Any) -> bool:
    """Whether a leaf is an array, which the compiled program takes; Python's own numbers are part of the program."""
    return isinstance(leaf, jax.Array | np.ndarray | np.generic)


def is_nnx_module(thing: Any) -> bool:
    """Whether this is a module of flax.nnx, whose variables change in place."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(thing, nnx.Module | nnx.Rngs)


def holds_arrays(tree: Any) -> bool:
    """Whether there is an array in a tree, or a module of flax.nnx."""
    if isinstance(tree, str | int | float | type) or tree is None:
        return False
    try:
        leaves = jax.tree.leaves(tree, is_leaf=is_nnx_module)
    except (TypeError, ValueError):  # no tree to JAX: a dictionary whose keys have no order
        return False
    return any(is_array(leaf) or is_nnx_module(leaf) for leaf in leaves)


def path_name(path: Iterable[Any]) -> str:
    """A path in a tree as people write it: ``blocks/0/attn/kernel``."""
    keys = list(path)
    # The array within a variable of Flax, which is an attribute; a projection called "value" is an entry.
    if keys and isinstance(keys[-1], jax.tree_util.GetAttrKey) and keys[-1].name in ("value", "raw_value"):
        keys.pop()
    parts = [key_name(key) for key in keys]
    if parts and parts[0] in _WRAPPED:
        parts = parts[1:]
    return "/".join(part for part in parts if part)


def key_name(key: Any) -> str:
    """One step of a path."""
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def mappings(tree: Any) -> Iterator[dict[Any, Any]]:
    """Every dictionary within a tree; in the same order whatever the order of their keys."""
    if is_nnx_module(tree):
        return
    if isinstance(tree, dict):
        yield tree
    children, structure = jax.tree.flatten(tree, is_leaf=lambda node: node is not tree)
    if not jax.tree_util.treedef_is_leaf(structure):
        for child in children:
            yield from mappings(child)


def keep_order(original: Any, rebuilt: Any) -> None:
    """Put the keys within a rebuilt tree in the order of the original's: JAX sorts them, and a model may go through."""
    for one, other in zip(list(mappings(original)), list(mappings(rebuilt)), strict=True):
        items = [(key, other[key]) for key in one]
        other.clear()
        other.update(items)
