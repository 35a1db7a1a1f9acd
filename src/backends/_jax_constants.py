"""Numpy arrays that a model holds: they stay numpy for numpy's own functions, and are known again in the program."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import jax
import numpy as np

from attncore.arrays import Array

from ._jax_trees import Input


def stays_numpy(leaf: Any) -> bool:
    """Whether a leaf of what a model holds is numpy's: without a capture it would be no array of JAX either."""
    return isinstance(leaf, np.ndarray | np.generic)


def key_of(leaf: Any) -> Any:
    """What a compiled program depends on of a leaf that is no argument of it: of arrays their numbers."""
    if not isinstance(leaf, np.ndarray) or leaf.dtype.hasobject:
        return type(leaf), leaf
    numbers = np.ascontiguousarray(leaf).reshape(-1).view(np.uint8)
    return np.ndarray, leaf.shape, leaf.dtype, hashlib.blake2b(numbers.data).digest()


class HeldArrays:
    """Numpy arrays of a model, each with its name and what it is."""

    def __init__(self, held: Sequence[tuple[Array, Input]]) -> None:
        self._held = held

    def known(self, constant: Any) -> Input | None:
        """Which of them a constant of the program is, or is a part of; None of one that Python made on the way.

        JAX gives the array itself, what Python cut or turned of it, or a copy in a type of its own.
        """
        if not self._held or not hasattr(constant, "__array__"):
            return None
        numbers = np.asarray(constant)
        near = [(array, told) for array, told in self._held if np.may_share_memory(array, numbers)]
        if len(near) > 1:  # parts of one array, of which that one is meant that begins there
            near = [(array, told) for array, told in near if _address(array) == _address(numbers)]
        found = [told for _, told in near] or self._copies.get(key_of(numbers), [])
        # Copies that are alike cannot be told apart.
        return found[0] if len(found) == 1 else None

    @cached_property
    def _copies(self) -> dict[Any, list[Input]]:
        """What each array is, by its numbers in the type that JAX gives them."""
        copies = defaultdict(list)
        for array, told in self._held:
            if not array.dtype.hasobject and array.dtype.kind not in "SUmM":
                copies[key_of(array.astype(jax.dtypes.canonicalize_dtype(array.dtype)))].append(told)
        return copies


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])
