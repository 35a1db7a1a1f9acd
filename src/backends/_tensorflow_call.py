"""One call of a model: its tensors in a row, and a function of them alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ._tensorflow_callable import Target, fingerprint, is_keras, parameters_of


@dataclass(frozen=True)
class _Tensor:
    """Stands for a tensor among the leaves of the arguments; one that is given twice is one."""

    place: int


@dataclass(eq=False)
class Call:
    """``tensors``, each with its ``names``, of which one that is given twice has two.

    ``key`` tells calls apart that need programs of their own; it is None if all do.
    """

    target: Target
    tensors: list[Any]
    names: list[list[str]]
    key: Any
    _structure: Any
    _leaves: list[Any]

    def run(self, tensors: Sequence[Any]) -> Any:
        """The model called on these tensors in the place of its own."""
        leaves = [tensors[leaf.place] if isinstance(leaf, _Tensor) else leaf for leaf in self._leaves]
        args, kwargs = tf.nest.pack_sequence_as(self._structure, leaves, expand_composites=True)
        return self.target.function(*args, **kwargs)


def call_of(target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """A call of the model with these arguments; numpy arrays become tensors."""
    if is_keras(target.owner):
        args, kwargs = _with_arrays(args), _with_arrays(kwargs)
    structure = (args, kwargs)
    leaves = tf.nest.flatten(structure, expand_composites=True)
    given: dict[int, tuple[Any, list[str]]] = {}
    for name, leaf in zip(_names(target, args, kwargs), leaves, strict=True):
        if _is_tensor(leaf):
            given.setdefault(id(leaf), (leaf, []))[1].append(name)
    places = {identity: place for place, identity in enumerate(given)}
    tensors = [tf.convert_to_tensor(leaf) for leaf, _ in given.values()]
    static = [_Tensor(places[id(leaf)]) if id(leaf) in places else leaf for leaf in leaves]
    names = [names for _, names in given.values()]
    return Call(target, tensors, names, _key(target, structure, tensors, static), structure, static)


def _is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, tf.Tensor | np.ndarray | np.generic) and not isinstance(leaf, str | bytes)


def _with_arrays(tree: Any) -> Any:
    """The arguments with lists of numbers as arrays, which Keras takes them for."""
    if isinstance(tree, dict):
        return {key: _with_arrays(value) for key, value in tree.items()}
    if isinstance(tree, tuple) and not hasattr(tree, "_fields"):
        return tuple(_with_arrays(value) for value in tree)
    if isinstance(tree, list):
        if _is_numbers(tree):
            array = np.asarray(tree)
            return array.astype(np.float32) if array.dtype == np.float64 else array
        return [_with_arrays(value) for value in tree]
    return tree


def _is_numbers(tree: list[Any]) -> bool:
    return bool(tree) and all(
        _is_numbers(one) if isinstance(one, list) else isinstance(one, int | float) and not isinstance(one, bool)
        for one in tree
    )


def _names(target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """A name for each leaf, in the order of `tf.nest`: the argument's, and the path within it."""
    signature = parameters_of(target.function)
    positional = list(signature.parameters) if signature is not None else []
    several = signature is not None and any(one.kind is one.VAR_POSITIONAL for one in signature.parameters.values())
    if several or len(positional) < len(args):
        positional = [str(place) for place in range(len(args))]
    named = [*zip(positional, args, strict=False), *sorted(kwargs.items())]
    return _of_model_inputs(target, [path for name, tree in named for path in _paths(name, tree)])


def _paths(name: str, tree: Any) -> list[str]:
    """A path for each leaf of a tree."""
    if isinstance(tree, dict):
        return [path for key in sorted(tree) for path in _paths(f"{name}/{key}", tree[key])]
    if isinstance(tree, list | tuple):
        fields = getattr(tree, "_fields", range(len(tree)))
        return [path for key, one in zip(fields, tree, strict=True) for path in _paths(f"{name}/{key}", one)]
    return [name] * len(tf.nest.flatten(tree, expand_composites=True))


def _of_model_inputs(target: Target, paths: list[str]) -> list[str]:
    """A functional model's inputs go by the names that it gives them."""
    own = getattr(target.owner, "input_names", None)
    return list(own) if isinstance(own, list) and len(own) == len(paths) else paths


def _key(target: Target, structure: Any, tensors: Sequence[Any], static: Sequence[Any]) -> Any:
    """What a program depends on; None where that cannot be compared."""
    shapes = tuple((tuple(tensor.shape), tensor.dtype.name) for tensor in tensors)
    marks = tuple((type(leaf).__name__, leaf) for leaf in static)
    blank = [None] * len(static)
    outline = (
        repr(tf.nest.pack_sequence_as(structure, blank, expand_composites=False)) if _is_plain(structure) else None
    )
    key = (shapes, marks, outline, fingerprint(target), _policy())
    try:
        hash(key)
    except TypeError:
        return None
    return key if outline is not None else None


def _is_plain(structure: Any) -> bool:
    """Whether no tensors that are made of several, as ragged ones, are among the arguments."""
    apart = tf.nest.flatten(structure, expand_composites=True)
    return len(apart) == len(tf.nest.flatten(structure))


def _policy() -> str:
    keras = sys.modules.get("keras")
    return "" if keras is None else str(keras.config.dtype_policy().name)
