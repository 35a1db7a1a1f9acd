"""Numbers that are known before a graph runs: shapes, positions, scales. They are computed as TensorFlow would."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import tensorflow as tf

from attncore.arrays import Array

from ._tensorflow_private import is_stateful, raw_operation

# More than this are data, not numbers about data.
_FEW = 64
_KINDS = "biuf"


class Numbers:
    """What is known of tensors: those of two graphs, as of a loop and what is around it, may have the same name."""

    def __init__(self) -> None:
        self._known: dict[Any, Array | None] = {}

    def of(self, tensor: Any) -> Array | None:
        """The numbers of a tensor, if they are few and known."""
        key = tensor.ref()
        if key not in self._known:
            self._known[key] = self._find(tensor)
        return self._known[key]

    def _find(self, tensor: Any) -> Array | None:
        size = tensor.shape.num_elements()
        if (
            size is None
            or size > _FEW
            or not (tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool)
        ):
            return None
        found = tf.get_static_value(tensor)
        if found is None:
            found = self._computed(tensor)
        if found is None:
            return None
        numbers = np.asarray(found)
        return numbers if numbers.dtype.kind in _KINDS else numbers.astype(np.float32)

    def _computed(self, tensor: Any) -> Any:
        """The numbers as the operation computes them from others that are known."""
        operation = tensor.op
        function = raw_operation(operation.type)
        if function is None or is_stateful(operation) or not operation.inputs:
            return None
        inputs = [self.of(one) for one in operation.inputs]
        if any(one is None for one in inputs):
            return None
        given = _arguments(operation, inputs, function)
        if given is None:
            return None
        try:
            with tf.init_scope():
                outputs = function(**given)
        except Exception:  # whatever an operation objects to, it is then not known before it runs
            return None
        several = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        place = tensor.value_index
        return several[place].numpy() if place < len(several) and hasattr(several[place], "numpy") else None


def _arguments(operation: Any, inputs: list[Any], function: Any) -> dict[str, Any] | None:
    """The arguments of TensorFlow's function for an operation: its inputs by name, and its attributes."""
    given: dict[str, Any] = {}
    waiting = list(zip(inputs, operation.inputs, strict=True))
    for argument in operation.op_def.input_arg:
        if argument.number_attr or argument.type_list_attr:
            count = operation.get_attr(argument.number_attr) if argument.number_attr else len(waiting)
            given[argument.name] = [_typed(*one) for one in waiting[:count]]
            waiting = waiting[count:]
        else:
            given[argument.name] = _typed(*waiting.pop(0))
    for name in inspect.signature(function).parameters:
        if name not in given and name != "name":
            try:
                given[name] = operation.get_attr(name)
            except ValueError:
                return None
    return given


def _typed(numbers: Any, tensor: Any) -> Any:
    with tf.init_scope():
        return tf.constant(numbers, tensor.dtype)
