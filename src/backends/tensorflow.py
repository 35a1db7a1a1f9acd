"""The TensorFlow backend: a call is traced to a graph, its attention found in it, and the graph run with it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FunctionType, MethodType, ModuleType
from typing import Any

from attncore.hookspecs import hookimpl
from attncore.protocols import Backend, CaptureOptions, Session

_OWN = frozenset({"tensorflow", "tf_keras"})


class TensorFlowBackend:
    """Captures attention of Keras models, tf.functions, tf.Modules and loaded SavedModels."""

    name = "tensorflow"

    def matches(self, model: Any) -> bool:
        """Whether this is TensorFlow's; looks, and never imports TensorFlow.

        A plain Python function is, if a name that it reads or something it closes over is TensorFlow's.
        """
        if "tensorflow" not in sys.modules or isinstance(model, type) or not (callable(model) or _is_own(model)):
            return False
        if isinstance(model, functools.partial):
            return self.matches(model.func) or any(map(_is_own, (*model.args, *model.keywords.values())))
        if isinstance(model, MethodType):
            return _is_own(model.__self__) or self.matches(model.__func__)
        return _works_with_it(model) if isinstance(model, FunctionType) else _is_own(model)

    def capture(self, model: Any, options: CaptureOptions) -> Session:
        """A session that captures calls of ``model``.

        Raises:
            UnsupportedModelError: it is nothing that can be called. OptionError: an option cannot be met.
        """
        from ._tensorflow_session import TensorFlowSession

        return TensorFlowSession(model, options)


def _works_with_it(function: FunctionType) -> bool:
    """Whether the names that a function reads, or what it closes over, belong to TensorFlow."""
    read = [function.__globals__.get(name) for name in function.__code__.co_names]
    return any(map(_is_own, (*read, *_closed_over(function))))


def _closed_over(function: FunctionType) -> list[Any]:
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a name that has no value yet
            continue
    return found


def _is_own(thing: Any) -> bool:
    kinds = [thing.__name__] if isinstance(thing, ModuleType) else [kind.__module__ for kind in type(thing).__mro__]
    packages = {kind.split(".")[0] for kind in kinds}
    return bool(packages & _OWN) or ("keras" in packages and _keras_is_on_tensorflow())


def _keras_is_on_tensorflow() -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and bool(keras.backend.backend() == "tensorflow")


@hookimpl
def attncore_register_backends(register: Callable[[Backend], None]) -> None:
    """Make the backend known, through the same hook as any plugin."""
    register(TensorFlowBackend())
