"""The ONNX backend keeps attncore's contract on attention that is written out in the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from attncore_onnx import OnnxModel
from attncore_onnx.backend import OnnxBackend
from onnx import TensorProto, helper, numpy_helper

import attncore
from attncore.api import choose_backend
from attncore.testing import check_backend

BATCH, LENGTH, HEADS, HEAD_DIM = 2, 5, 3, 4
DIM = HEADS * HEAD_DIM


def kernels() -> list[dict[str, np.ndarray[Any, Any]]]:
    """Two layers of random projections."""
    generator = np.random.default_rng(2)
    return [
        {name: generator.normal(0, 0.3, (DIM, DIM)).astype(np.float32) for name in ("query", "key", "value")}
        for _ in range(2)
    ]


def states() -> np.ndarray[Any, Any]:
    """Random hidden states (batch, length, dim)."""
    return np.random.default_rng(3).standard_normal((BATCH, LENGTH, DIM)).astype(np.float32)


def model(softmax: str = "Softmax") -> onnx.ModelProto:
    """Attention written node by node."""
    nodes: list[onnx.NodeProto] = []
    weights = [numpy_helper.from_array(np.array([0, 0, HEADS, HEAD_DIM]), "apart")]
    weights += [numpy_helper.from_array(np.array([0, 0, DIM]), "together")]
    weights += [numpy_helper.from_array(np.float32(HEAD_DIM**-0.5), "scale")]
    x = "x"
    for place, layer in enumerate(kernels()):

        def add(kind: str, inputs: list[str], name: str, place: int = place, **attributes: Any) -> str:
            output = f"{name}{place}"
            nodes.append(helper.make_node(kind, inputs, [output], f"/layer.{place}/attn/{name}", **attributes))
            return output

        for name, order in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3))):
            weights.append(numpy_helper.from_array(layer[name], f"layer.{place}.attn.{name}.weight"))
            flat = add("MatMul", [x, f"layer.{place}.attn.{name}.weight"], f"{name}_flat")
            add("Transpose", [add("Reshape", [flat, "apart"], f"{name}_apart")], name, perm=order)
        scores = add("Mul", [add("MatMul", [f"query{place}", f"key{place}"], "product"), "scale"], "scores")
        mixed = add("MatMul", [add(softmax, [scores], "weights"), f"value{place}"], "mixed")
        joined = add("Reshape", [add("Transpose", [mixed], "turned", perm=(0, 2, 1, 3)), "together"], "joined")
        x = add("Add", [x, joined], "sum")
    shape = [None, None, DIM]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def reference() -> list[np.ndarray[Any, Any]]:
    """The weights in numpy in float64."""
    x, found = states().astype(np.float64), []
    for layer in kernels():
        query, key, value = (
            (x @ layer[name]).reshape(BATCH, LENGTH, HEADS, HEAD_DIM).swapaxes(1, 2)
            for name in ("query", "key", "value")
        )
        scores = np.exp(query @ key.swapaxes(2, 3) * HEAD_DIM**-0.5)
        found.append(scores / scores.sum(-1, keepdims=True))
        x = x + (found[-1] @ value).swapaxes(1, 2).reshape(x.shape)
    return found


def test_the_weights_are_numpys() -> None:
    """And the layers are called as in the graph."""
    trace = attncore.trace(model(), attncore.Inputs(x=states()))
    assert [layer.name for layer in trace] == ["layer/0/attn", "layer/1/attn"]
    for layer, expected in zip(trace, reference(), strict=True):
        np.testing.assert_allclose(layer.weights, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("keep", ["qk", "weights"])
def test_options_mean_what_they_mean_elsewhere(keep: str) -> None:
    """Kept in full or computed again, some layers, some heads."""
    trace = attncore.trace(model(), states(), keep=keep, layers=[1], heads=[2])
    np.testing.assert_allclose(trace[0].weights, reference()[1][:, 2:], rtol=0, atol=1e-5)
    assert trace[0].query.shape == (BATCH, 1, LENGTH, HEAD_DIM)


def test_the_backend_is_found_and_leaves_the_model_alone() -> None:
    """The graph is copied before outputs are added."""
    own = model()
    before = own.SerializeToString()
    assert choose_backend(own).name == "onnx"
    trace = attncore.trace(own, states())
    assert own.SerializeToString() == before
    import onnxruntime

    plain = onnxruntime.InferenceSession(before, providers=["CPUExecutionProvider"]).run(None, {"x": states()})
    np.testing.assert_allclose(trace.output["sum1"], plain[0], rtol=0, atol=1e-6)


def test_wrong_inputs_say_what_the_graph_takes() -> None:
    """By name."""
    with pytest.raises(attncore.OptionError, match="missing: x"):
        attncore.trace(model(), attncore.Inputs(y=states()))


def test_a_softmax_that_is_none_is_reported() -> None:
    """Hardmax between the products: nothing to show."""
    with pytest.raises(attncore.NoAttentionError):
        attncore.trace(model("Hardmax"), states())


def test_the_contract() -> None:
    """Attncore's own suite for backends."""
    check_backend(OnnxBackend(), [(OnnxModel(model()), attncore.Inputs(x=states()), reference())], output_atol=1e-6)
