"""Runs a model with some of its inner results as further outputs; the user's model is never touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import onnxruntime

from attncore import OptionError
from attncore.arrays import Array

Arrays = dict[str, Array]


def with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A copy of the model that returns these results too."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    known = {output.name for output in copied.graph.output}
    for name in names:
        if name not in known:
            copied.graph.output.append(onnx.ValueInfoProto(name=name))
    return copied


def without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with the functions it defines written out where they are called; itself if it has none."""
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """What runs a model, on the processor; a graph of the size that a message may have."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def inner_results(model: onnx.ModelProto, feeds: Arrays) -> Arrays:
    """Every result of every node of the graph, for these inputs."""
    names = [name for node in model.graph.node for name in node.output if name]
    session = session_of(with_outputs(model, names))
    found = session.run(names, feeds)
    return {name: array for name, array in zip(names, found, strict=True) if isinstance(array, np.ndarray)}


def feeds_of(model: onnx.ModelProto, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arrays:
    """The inputs by the graph's names, in the types that it asks for.

    Raises:
        OptionError: there are too many, or one has no such name, or one is missing.
    """
    initial = {one.name for one in model.graph.initializer}
    wanted = {one.name: one for one in model.graph.input if one.name not in initial}
    if len(args) == 1 and isinstance(args[0], Mapping):
        kwargs = {**args[0], **kwargs}
        args = ()
    given = {**dict(zip(wanted, args, strict=False)), **kwargs}
    unknown = [name for name in given if name not in wanted]
    missing = [name for name in wanted if name not in given]
    if len(args) > len(wanted) or unknown or missing:
        raise OptionError(
            f"the graph's inputs are {', '.join(wanted)}; "
            + (f"missing: {', '.join(missing)}" if missing else f"not among them: {', '.join(unknown) or len(args)}")
        )
    return {name: _typed(array, wanted[name]) for name, array in given.items()}


def _typed(array: Any, wanted: onnx.ValueInfoProto) -> Array:
    kind = onnx.helper.tensor_dtype_to_np_dtype(wanted.type.tensor_type.elem_type)
    return np.asarray(array).astype(kind, copy=False)
