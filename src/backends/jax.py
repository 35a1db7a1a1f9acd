"""The JAX backend: a function is traced once, its attention found in the program, and the program run with it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

from attncore.hookspecs import hookimpl
from attncore.protocols import Backend, CaptureOptions, Session

_OTHERS = frozenset({"torch", "tensorflow", "tf_keras"})


class JaxBackend:
    """Captures attention of functions of JAX, and of modules of Flax, Equinox and Keras on JAX."""

    name = "jax"

    def matches(self, model: Any) -> bool:
        """Whether this can be called with JAX's arrays; looks, and never imports JAX.

        Any plain Python function can, once JAX is there, unless it works with another framework.
        """
        jax = sys.modules.get("jax")
        if jax is None or isinstance(model, type) or not callable(model):
            return False
        if isinstance(model, functools.partial):
            return self.matches(model.func)
        if isinstance(model, MethodType):
            return _is_function(model.__func__) and not _is_foreign(model.__self__)
        return _is_function(model) or _is_module(model)

    def capture(self, model: Any, options: CaptureOptions) -> Session:
        """A session that captures calls of ``model``.

        Raises:
            UnsupportedModelError: it is nothing that JAX can call. OptionError: an option cannot be met.
        """
        from ._jax_session import JaxSession

        return JaxSession(model, options)


def _is_function(model: Any) -> bool:
    """A plain function that does not work with another framework, or one that JAX compiled."""
    if isinstance(model, FunctionType):
        return not _works_with_others(model)
    return type(model).__module__.startswith(("jaxlib", "jax."))


def _works_with_others(function: FunctionType) -> bool:
    """Whether the names that a function reads, or what it closes over, belong to another framework."""
    code = function.__code__
    read = [function.__globals__.get(name) for name in code.co_names]
    return any(_is_foreign(thing) for thing in (*read, *_closed_over(function)))


def _closed_over(function: FunctionType) -> list[Any]:
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a name that has no value yet
            continue
    return found


def _is_foreign(thing: Any) -> bool:
    kinds = [thing.__name__] if isinstance(thing, ModuleType) else [kind.__module__ for kind in type(thing).__mro__]
    if any(kind.split(".")[0] in _OTHERS for kind in kinds):
        return True
    return any(kind.split(".")[0] == "keras" for kind in kinds) and not _keras_is_on_jax()


def _keras_is_on_jax() -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and keras.backend.backend() == "jax"


def _is_module(model: Any) -> bool:
    """A module of Flax or Equinox, of Keras on JAX, or of a library of the user's own that JAX knows as a tree."""
    kinds = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    if kinds & {"flax", "equinox"}:
        return True
    if "keras" in kinds:
        return _keras_is_on_jax()
    return not kinds & _OTHERS and _is_tree(model)


def _is_tree(model: Any) -> bool:
    tree = getattr(sys.modules.get("jax"), "tree", None)
    if tree is None or isinstance(model, Mapping):
        return False
    leaves = tree.leaves(model)
    return not (len(leaves) == 1 and leaves[0] is model)


@hookimpl
def attncore_register_backends(register: Callable[[Backend], None]) -> None:
    """Make the backend known, through the same hook as any plugin."""
    register(JaxBackend())
