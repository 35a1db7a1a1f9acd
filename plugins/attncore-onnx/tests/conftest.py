"""A model of one fused operator: run by onnxruntime as it is, captured, and the two held against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import attncore

Array = np.ndarray[Any, Any]
LEARNED = ("weight", "bias")


@dataclass(frozen=True)
class Ran:
    """``layer`` is what was captured; ``output`` what onnxruntime gives without a capture."""

    layer: attncore.AttentionLayer
    trace: attncore.AttentionTrace
    output: Array


def node_model(
    kind: str, inputs: Mapping[str, Array | None], attributes: Mapping[str, Any], domain: str, outputs: int, opset: int
) -> onnx.ModelProto:
    """A graph of one node; ``weight`` and ``bias`` are learned, other inputs come from the caller."""
    given = {name: array for name, array in inputs.items() if array is not None}
    kinds = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in given.items()}
    names = [f"output{number}" for number in range(outputs)]
    places = [name if name in given else "" for name in inputs]
    while not places[-1]:
        places.pop()
    node = helper.make_node(kind, places, names, "/layer.0/attn/fused", domain=domain)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(name, kinds[name], a.shape) for name, a in given.items() if name not in LEARNED],
        [helper.make_tensor_value_info(name, next(iter(kinds.values())), None) for name in names],
        [numpy_helper.from_array(array, name) for name, array in given.items() if name in LEARNED],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.fixture
def make_model() -> Callable[..., onnx.ModelProto]:
    """`node_model`, with what most tests ask for."""

    def make(
        kind: str,
        inputs: Mapping[str, Array | None],
        attributes: Mapping[str, Any],
        domain: str = "com.microsoft",
        outputs: int = 1,
        opset: int = 23,
    ) -> onnx.ModelProto:
        return node_model(kind, inputs, attributes, domain, outputs, opset)

    return make


@pytest.fixture
def run_fused(make_model: Callable[..., onnx.ModelProto]) -> Callable[..., Ran]:
    """Capture one fused operator; its weights times its values must be what it gives itself."""

    def run(*arguments: Any, atol: float = 2e-6, rows: Any = slice(None), **options: Any) -> Ran:
        model = make_model(*arguments, **options)
        feeds = {name: array for name, array in arguments[1].items() if array is not None and name not in LEARNED}
        session_options = onnxruntime.SessionOptions()
        session_options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), session_options, providers=["CPUExecutionProvider"]
        )
        output = session.run(None, feeds)[0]
        trace = attncore.trace(model, attncore.Inputs(**feeds), keep="qk")
        np.testing.assert_array_equal(trace.output["output0"], output)
        assert len(trace) == 1, str(trace.coverage)
        assert not trace.coverage, str(trace.coverage)
        layer = trace[0]
        assert (layer.name, layer.source, layer.computed) == ("layer/0/attn", arguments[0], "recomputed")
        mixed = _mixed(layer)
        flat = mixed if output.ndim == 4 else mixed.swapaxes(1, 2).reshape(output.shape)
        np.testing.assert_allclose(flat[rows], output[rows], rtol=0, atol=atol)
        return Ran(layer, trace, output)

    return run


def _mixed(layer: attncore.AttentionLayer) -> Array:
    """Weights times values, (batch, heads, query, head_dim), in float64."""
    assert layer.query is not None
    value = np.asarray(layer.value, dtype=np.float64)
    value = np.repeat(value, layer.query.shape[1] // value.shape[1], axis=1)
    return np.asarray(layer.weights, dtype=np.float64) @ value
