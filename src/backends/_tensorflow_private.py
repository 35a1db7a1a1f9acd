"""What TensorFlow has and does not call public: graphs as objects, and operations made from their attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework.func_graph import FuncGraph
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph
from tensorflow.python.ops import handle_data_util

# Attributes that belong to the graph an operation was in, or to how its gradient is found there.
_OF_THE_OLD_GRAPH = frozenset({"_output_shapes", "_gradient_op_type", "_class"})


def inner_graph(graph: Any, name: str) -> Any:
    """The graph of a function that an operation of ``graph`` calls by this name."""
    found = graph._get_function(name)
    if found is not None and getattr(found, "graph", None) is not None:
        return found.graph
    with tf.init_scope():  # functions of a loaded model are known to the eager context alone
        return function_def_to_graph(context.context().get_function_def(name))


def copy_operation(operation: Any, inputs: Sequence[Any]) -> Any:
    """The same operation on other inputs, in the graph that is being built."""
    graph = tf.compat.v1.get_default_graph()
    attributes = {key: value for key, value in operation.node_def.attr.items() if key not in _OF_THE_OLD_GRAPH}
    for value in attributes.values():
        if value.WhichOneof("value") == "func":
            _bring_function(operation.graph, graph, value.func.name)
    with tf.device(operation.device):
        made = graph._create_op_internal(
            operation.type,
            list(inputs),
            [output.dtype for output in operation.outputs],
            name=operation.name.rpartition("/")[2].lstrip("_") or None,
            attrs=attributes,
            op_def=operation.op_def,
        )
    for old, new in zip(operation.outputs, made.outputs, strict=True):
        if old.dtype in (tf.resource, tf.variant):
            handle_data_util.copy_handle_data(old, new)
    return made


def _bring_function(source: Any, graph: Any, name: str) -> None:
    if not graph._is_function(name) and (function := source._get_function(name)) is not None:
        graph._add_function_recursive(function)


def scratch_graph(name: str) -> Any:
    """A graph to build something in that never runs."""
    return FuncGraph(name)


def copy_handle(source: Any, target: Any) -> None:
    """Tell a new handle of a variable or list what the old one is known to hold."""
    if source.dtype in (tf.resource, tf.variant):
        handle_data_util.copy_handle_data(source, target)


def shape_behind(handle: Any) -> tuple[tf.TensorShape, tf.DType] | None:
    """Shape and type of the variable or list behind a handle; None where they are not known."""
    data = handle_data_util.get_resource_handle_data(handle)
    if data is None or not data.is_set or len(data.shape_and_type) != 1:
        return None
    known = data.shape_and_type[0]
    return tf.TensorShape(known.shape), tf.as_dtype(known.dtype)


def is_stateful(operation: Any) -> bool:
    """Whether running an operation twice may give two results, or change something."""
    return bool(operation.op_def is None or operation.op_def.is_stateful)


def raw_operation(name: str) -> Callable[..., Any] | None:
    """TensorFlow's own function for one operation."""
    found: Callable[..., Any] | None = getattr(tf.raw_ops, name, None)
    return found
