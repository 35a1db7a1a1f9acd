"""What a user may give as a model: what of it to call, what to call it, and what its variables are called."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Any

import tensorflow as tf

from attncore.errors import UnsupportedModelError

_PLAIN = (bool, int, float, str, type(None))
# What TensorFlow calls the function of a signature: the name of the Python function in a frame, counted.
_CONCRETE = re.compile(r"__inference_(.+)_\d+")
_COUNTED = re.compile(r"_\d+$")


@dataclass(frozen=True, eq=False)
class Target:
    """``function`` is called; ``owner`` is the object whose variables it uses, ``kept`` what programs are kept for.

    ``kept`` is None where a later call may mean another program: Python functions that TensorFlow did not compile.
    """

    function: Callable[..., Any]
    label: str
    owner: Any
    kept: Any
    compiled: bool


def target_of(model: Any) -> Target:
    """What to call.

    Raises:
        UnsupportedModelError: it cannot be called, or has several signatures to choose from.
    """
    if not callable(model):
        model = _only_signature(model)
    owner = _owner(model)
    label = _label(model)
    function = _compiled(model)
    compiled = hasattr(function, "get_concrete_function") or hasattr(function, "structured_input_signature")
    if compiled or isinstance(model, tf.Module) or is_keras(model):
        return Target(_traceable(function), label, owner, model, compiled)
    return Target(model, label, owner, None, compiled)


def is_keras(model: Any) -> bool:
    """Whether this is a layer or model of Keras."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Layer)


def _only_signature(model: Any) -> Any:
    """The signature of a loaded SavedModel that is nothing else."""
    signatures = getattr(model, "signatures", None)
    if not isinstance(signatures, Mapping) or not signatures:
        raise UnsupportedModelError(
            f"a {type(model).__name__} cannot be called; give a Keras model, a tf.function, a tf.Module with __call__, "
            "or a signature of a loaded SavedModel: loaded.signatures['serving_default']"
        )
    found = signatures.get("serving_default") or (next(iter(signatures.values())) if len(signatures) == 1 else None)
    if found is None:
        names = ", ".join(map(repr, signatures))
        raise UnsupportedModelError(f"the model has several signatures, {names}; give one: loaded.signatures[name]")
    return found


def _compiled(model: Any) -> Any:
    """The compiled function that a module's call is, if it is one; else the model itself."""
    call = None if is_keras(model) else getattr(model, "__call__", None)  # noqa: B004 - it is wanted, not asked for
    return call if hasattr(call, "python_function") else model


def _traceable(model: Any) -> Callable[..., Any]:
    """A compiled function without its cache of programs, which a capture has no business in."""
    function = getattr(model, "python_function", None)
    loaded = type(model).__name__ == "RestoredFunction"
    if function is None or loaded or getattr(model, "input_signature", None) is not None:
        return model  # type: ignore[no-any-return]
    return function  # type: ignore[no-any-return]


def _owner(model: Any) -> Any:
    """The object whose attributes lead to the variables."""
    function = getattr(model, "python_function", model)
    function = getattr(function, "func", function)
    if isinstance(function, MethodType):
        held = function.__self__
        # tf.function binds methods to a proxy that holds the object weakly.
        weak = getattr(held, "weakrefself_target__", None) or getattr(held, "weakrefself_func__", None)
        return weak() if callable(weak) else held
    return function


def _label(model: Any) -> str:
    """What a model or function is called."""
    for source in (model, getattr(model, "python_function", None), getattr(model, "func", None)):
        for attribute in ("__qualname__", "name", "__name__"):
            name = getattr(source, attribute, None)
            if isinstance(name, str | bytes) and name:
                text = name.decode() if isinstance(name, bytes) else name
                return _CONCRETE.sub(r"\1", text.rpartition("<locals>.")[2])
    return type(model).__name__


def scope_names(target: Target) -> Callable[[str], str]:
    """What turns the name of a scope in the graph of a Keras model into the names of the layers; of others, nothing.

    Keras opens a scope of a layer's name twice, to build it and to call it, and TensorFlow counts what it has already.
    """
    owner = target.owner
    if not is_keras(owner):
        return lambda scope: scope
    names = {layer.name for layer in owner._flatten_layers()}
    # The paths of a functional model's variables begin with the layer, and so do the names here.
    is_root = not any(variable.path.startswith(f"{owner.name}/") for variable in owner.variables)

    def named(scope: str) -> str:
        parts = [before if (before := _COUNTED.sub("", part)) in names else part for part in scope.split("/")]
        return "/".join(parts[1:] if is_root and len(parts) > 1 and parts[0] == owner.name else parts)

    return named


def variable_names(target: Target) -> dict[int, tuple[str, Any]]:
    """Name and variable by the identity of the handle, of every variable that the owner leads to."""
    found: dict[int, tuple[str, Any]] = {}
    for name, variable in _variables(target.owner):
        variable = getattr(variable, "value", variable) if not isinstance(variable, tf.Variable) else variable
        handle = getattr(variable, "handle", None)
        if handle is not None:
            found.setdefault(id(handle), (name, variable))
    return found


def _variables(owner: Any) -> Iterator[tuple[str, Any]]:
    if is_keras(owner):
        yield from ((variable.path, variable) for variable in owner.variables)
    elif any(kind.__module__.startswith("tf_keras.") for kind in type(owner).__mro__):
        # Keras 2 names variables in full, and keeps layers in lists of its own, whose names say nothing.
        yield from ((variable.name.removesuffix(":0"), variable) for variable in owner.variables)
    elif isinstance(owner, tf.Module):
        flatten: Any = owner._flatten
        yield from (
            ("/".join(map(str, path)), variable)
            for path, variable in flatten(predicate=_is_variable, with_path=True, expand_composites=True)
        )
    elif (closure := getattr(owner, "__closure__", None)) is not None:
        for name, cell in zip(owner.__code__.co_freevars, closure, strict=True):
            yield from _of_cell(name, cell)


def _of_cell(name: str, cell: Any) -> Iterator[tuple[str, Any]]:
    """The variables of something that a function closes over."""
    try:
        held = cell.cell_contents
    except ValueError:  # a name that has no value yet
        return
    if is_keras(held) or isinstance(held, tf.Module):
        yield from _variables(held)
    elif isinstance(held, dict | list | tuple):
        items = held.items() if isinstance(held, dict) else enumerate(held)
        yield from ((f"{name}/{key}", value) for key, value in items if _is_variable(value))
    elif _is_variable(held):
        yield name, held


def _is_variable(thing: Any) -> bool:
    return isinstance(thing, tf.Variable)


def fingerprint(target: Target) -> Any:
    """What a program of this model depends on besides its arguments: its layers and their plain attributes.

    A compiled function holds on to what its Python code once meant, and so does its program here.
    """
    owner: Any = None if target.compiled else target.owner
    if is_keras(owner):
        parts = list(owner._flatten_layers())
    else:
        parts = [owner, *owner.submodules] if isinstance(owner, tf.Module) else []
    return tuple(
        (id(part), tuple((name, value) for name, value in vars(part).items() if isinstance(value, _PLAIN)))
        for part in parts
    )


def parameters_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """The signature of what is called, to name its arguments by."""
    called = getattr(function, "call", None) if is_keras(function) else function
    try:
        return inspect.signature(called) if called is not None else None
    except (TypeError, ValueError):
        return None
