"""What to call: from the model a user gives to its arrays, and a way to call it with other arrays in their place."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

import jax

from attncore.errors import UnsupportedModelError

from ._jax_lift import lift
from ._jax_trees import holds_arrays, is_nnx_module


@dataclass(frozen=True)
class Target:
    """``held`` is a tree of the model's own arrays and modules, ``call(held, args, kwargs)`` calls it.

    ``anchor`` is the object that a compiled capture lives as long as, ``identity`` tells apart what is called where
    trees and arrays do not. ``learned`` says that ``held`` are the model's parameters, so that its arguments are data.
    ``frozen`` says that what it closes over besides may be kept: JAX itself, or ``held``, sees to changes. Where there
    is ``update``, ``call`` gives the output and what it changed, which ``update`` then gives the model.
    """

    held: Any
    call: Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Any]
    anchor: Any
    identity: tuple[Any, ...]
    label: str
    learned: bool = False
    frozen: bool = False
    update: Callable[[Any], None] | None = None


def target_of(model: Any) -> Target:
    """How to call this model.

    Raises:
        UnsupportedModelError: it cannot be called, or it is a module that was bound to change its own variables.
    """
    if is_linen_module(model):
        return _linen(model)
    if is_keras_model(model):
        return _keras(model)
    if isinstance(model, functools.partial):
        return _partial(model)
    if isinstance(model, MethodType):
        return _method(model)
    if type(model).__module__.startswith("equinox") and type(model).__name__ == "_JitWrapper":
        return target_of(model.__wrapped__)  # it takes the module apart; the capture is compiled anyway
    if isinstance(model, FunctionType):
        return _function(model)
    if isinstance(model, type) or not callable(model):
        raise UnsupportedModelError(
            f"a {type(model).__module__}.{type(model).__qualname__} is nothing that JAX can call; give a function, a "
            "module of Flax, Equinox or Keras, or a method such as module.apply"
        )
    kind = type(model)
    if is_nnx_module(model) or holds_arrays(model):
        return Target(model, _call_held, kind, (kind,), _label(kind), learned=True)
    return Target((), lambda held, args, kwargs: model(*args, **kwargs), model, (), _label(model), frozen=True)


def argument_names(model: Any, count: int) -> list[str]:
    """What the function calls its first positional arguments."""
    try:
        parameters = list(inspect.signature(model).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if positional and positional[0] == "variables" and is_linen_module(getattr(model, "__self__", None)):
        positional += [name for name in inspect.signature(type(model.__self__).__call__).parameters if name != "self"]
    return (positional + [f"input_{place}" for place in range(len(positional), count)])[:count]


def is_linen_module(thing: Any) -> bool:
    """Whether this is a module of flax.linen."""
    linen = sys.modules.get("flax.linen")
    return linen is not None and isinstance(thing, linen.Module)


def is_keras_model(thing: Any) -> bool:
    """Whether this is a Keras layer or model that runs on JAX."""
    keras = sys.modules.get("keras")
    layer = getattr(getattr(keras, "layers", None), "Layer", None)
    return layer is not None and isinstance(thing, layer) and keras is not None and keras.backend.backend() == "jax"


def _call_held(held: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return held(*args, **kwargs)


def _label(thing: Any) -> str:
    module, name = getattr(thing, "__module__", ""), getattr(thing, "__qualname__", type(thing).__qualname__)
    return f"{module}.{name}".lstrip(".")


def _applied(module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if "variables" not in kwargs and not (args and isinstance(args[0], Mapping)):
        name = type(module).__qualname__
        raise UnsupportedModelError(
            f"this {name} of flax.linen holds no variables of its own, and the first of the inputs must be those that "
            "module.init returned: trace(module.apply, (variables, x)), or trace(module.bind(variables), x)"
        )
    return module.apply(*args, **kwargs)


def _linen(module: Any) -> Target:
    """A module of flax.linen: bound to variables, or to be applied to some."""
    if module.scope is None:
        identity = _of_linen(module)
        return Target(
            (),
            lambda held, args, kwargs: _applied(module, args, kwargs),
            type(module),
            identity,
            _label(type(module)),
            frozen=True,
        )
    if module.scope.mutable:
        raise UnsupportedModelError(
            f"this {type(module).__qualname__} is bound with mutable={module.scope.mutable!r}, and would be left "
            "changed; give module.apply with the variables and mutable= among the inputs, which returns the changes"
        )
    plain, variables = module.unbind()

    def call(held: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return plain.apply(held, *args, **kwargs)

    return Target(variables, call, type(module), _of_linen(plain), _label(type(module)), learned=True, frozen=True)


def _linen_method(module: Any, function: Any) -> Target:
    """A method such as ``apply``, which is given the variables."""

    def call(held: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return function(module, *args, **kwargs)

    kind = type(module)
    return Target((), call, kind, (function, *_of_linen(module)), _label(kind), frozen=True)


def _of_linen(module: Any) -> tuple[Any, ...]:
    """What tells one module from another: modules are dataclasses, equal when their fields are."""
    try:
        hash(module)
    except TypeError:
        return ("linen", id(module), _Kept(module))
    return ("linen", module)


class _Kept:
    """Keeps an object alive, so that its id stays its own; equal to any other."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kept)

    def __hash__(self) -> int:
        return 0


def _keras(model: Any) -> Target:
    """A Keras layer or model on JAX, called with its variables given and their new values returned."""
    if not model.built:
        raise UnsupportedModelError(
            f"this Keras {type(model).__qualname__} has no variables yet; call it once, or model.build(shape), first"
        )
    held = {
        "": {variable.path: variable.value for variable in model.trainable_variables},
        "other": {variable.path: variable.value for variable in model.non_trainable_variables},
    }

    def call(held: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        trainable = [held[""][variable.path] for variable in model.trainable_variables]
        other = [held["other"][variable.path] for variable in model.non_trainable_variables]
        output, after = model.stateless_call(trainable, other, *args, **kwargs)
        changed = zip(held["other"], other, after, strict=True)
        return output, {path: new for path, old, new in changed if new is not old}

    def update(changes: Mapping[str, Any]) -> None:
        for variable in model.non_trainable_variables:
            if variable.path in changes:
                variable.assign(changes[variable.path])

    label = _label(type(model))
    return Target(held, call, model, ("keras",), label, learned=True, frozen=True, update=update)


def _partial(model: Any) -> Target:
    """A function with some arguments given: those that hold arrays are the model's parameters."""
    inner = target_of(model.func)
    names = argument_names(model.func, len(model.args))
    given = zip(names, model.args, strict=True)
    held = Ordered({"": inner.held, **dict(given), **model.keywords})
    count = len(model.args)

    def call(held: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        own, *given = held.values()
        keywords = dict(zip(list(held)[1 + count :], given[count:], strict=True))
        return inner.call(own, (*given[:count], *args), {**keywords, **kwargs})

    learned = inner.learned or holds_arrays((model.args, model.keywords))
    return Target(held, call, inner.anchor, ("partial", *inner.identity), inner.label, learned, inner.frozen)


def _method(model: MethodType) -> Target:
    owner, function = model.__self__, model.__func__
    if is_linen_module(owner):
        return _linen_method(owner, function)
    if not isinstance(owner, type) and (is_nnx_module(owner) or holds_arrays(owner)):

        def call(held: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            return function(held, *args, **kwargs)

        return Target(owner, call, type(owner), (type(owner), function), _label(type(owner)), learned=True)
    identity = (function, id(owner), _Kept(owner))
    return Target((), lambda held, args, kwargs: model(*args, **kwargs), type(owner), identity, _label(function))


def _function(model: FunctionType) -> Target:
    lifted = lift(model)

    def call(held: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return lifted.rebuild(list(held.values()))(*args, **kwargs)

    # A lone array in a closure may be a mask; a container or a module holds what was learned.
    learned = any(is_nnx_module(value) or not hasattr(value, "shape") for value in lifted.held.values())
    return Target(Ordered(lifted.held), call, model, (), _label(model), learned)


class Ordered(dict[str, Any]):
    """A mapping in the order in which it was made: JAX sorts plain dictionaries by their keys."""


def _flatten(tree: Ordered) -> tuple[tuple[tuple[Any, Any], ...], tuple[str, ...]]:
    return tuple((jax.tree_util.DictKey(name), value) for name, value in tree.items()), tuple(tree)


def _unflatten(names: tuple[str, ...], values: Any) -> Ordered:
    return Ordered(zip(names, values, strict=True))


jax.tree_util.register_pytree_with_keys(Ordered, _flatten, _unflatten)
