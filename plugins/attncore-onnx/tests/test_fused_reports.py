"""What is not recomputed is reported with the reason; what is keeps the contract, alone and among other operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from attncore_onnx import OnnxModel, fused_contrib, fused_kinds
from attncore_onnx.backend import OnnxBackend
from attncore_onnx.fused import FusedOperator, Operands
from onnx import TensorProto, helper, numpy_helper

import attncore
from attncore.testing import check_backend

Array = np.ndarray[Any, Any]
BATCH, LENGTH, HEADS, SIZE = 2, 5, 3, 4
WIDTH = HEADS * SIZE
STATES = np.random.default_rng(3).standard_normal((BATCH, LENGTH, WIDTH)).astype(np.float32)
FLOAT = TensorProto.FLOAT


def kernels() -> list[dict[str, Array]]:
    """Two layers of random projections."""
    random = np.random.default_rng(2)
    return [
        {name: random.normal(0, 0.3, (WIDTH, WIDTH)).astype(np.float32) for name in ("query", "key", "value")}
        for _ in range(2)
    ]


def two_layers(folded: bool = False) -> onnx.ModelProto:
    """`MultiHeadAttention` after projections, each layer added to its input; ``folded`` adds a constant."""
    nodes, weights, x = [], [], "x"
    if folded:
        weights.append(numpy_helper.from_array(np.zeros((BATCH, LENGTH, WIDTH), np.float32), "folded"))
        nodes.append(helper.make_node("Add", ["x", "folded"], ["start"]))
        x = "start"
    for place, layer in enumerate(kernels()):
        for name, array in layer.items():
            weight = f"layer.{place}.attn.{name}.weight"
            weights.append(numpy_helper.from_array(array, weight))
            nodes.append(helper.make_node("MatMul", [x, weight], [f"{name}{place}"]))
        inputs = [f"query{place}", f"key{place}", f"value{place}"]
        nodes.append(
            helper.make_node("MultiHeadAttention", inputs, [f"mixed{place}"], domain="com.microsoft", num_heads=HEADS)
        )
        nodes.append(helper.make_node("Add", [x, f"mixed{place}"], [f"sum{place}"]))
        x = f"sum{place}"
    return model_of(nodes, x, weights)


def model_of(nodes: list[onnx.NodeProto], output: str, weights: list[onnx.TensorProto]) -> onnx.ModelProto:
    """A model from ``x`` to ``output``."""
    shape = [None, None, WIDTH]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info(output, FLOAT, None)],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def reference() -> list[Array]:
    """The weights in numpy in float64."""
    x, found = STATES.astype(np.float64), []
    for layer in kernels():
        query, key, value = (
            (x @ layer[name]).reshape(BATCH, LENGTH, HEADS, SIZE).swapaxes(1, 2) for name in ("query", "key", "value")
        )
        scores = np.exp(query @ key.swapaxes(2, 3) * SIZE**-0.5)
        found.append(scores / scores.sum(-1, keepdims=True))
        x = x + (found[-1] @ value).swapaxes(1, 2).reshape(x.shape)
    return found


def test_the_contract() -> None:
    """Attncore's own suite for backends, on a model whose attention is fused."""
    case = (OnnxModel(two_layers()), attncore.Inputs(x=STATES), reference())
    check_backend(OnnxBackend(), [case], output_atol=1e-6)


@pytest.mark.parametrize("folded", [False, True])
def test_layers_are_named_and_told_apart(folded: bool) -> None:
    """By their projections; queries and keys are of the same positions, in the second layer too."""
    trace = attncore.trace(two_layers(folded), STATES)
    assert [layer.name for layer in trace] == ["layer/0/attn", "layer/1/attn"]
    assert [layer.kind for layer in trace] == ["self", "self"]
    for layer, weights in zip(trace, reference(), strict=True):
        np.testing.assert_allclose(layer.weights, weights, rtol=0, atol=1e-5)


def test_a_constant_of_one_batch_size_makes_no_heads() -> None:
    """What an exporter folded to (batch, length, width) is added to attention that is written out: 3 heads, not 6."""
    nodes, weights = [], [numpy_helper.from_array(np.zeros((BATCH, LENGTH, WIDTH), np.float32), "folded")]
    weights.append(numpy_helper.from_array(np.array([BATCH, LENGTH, HEADS, SIZE]), "apart"))
    nodes.append(helper.make_node("Add", ["x", "folded"], ["start"]))
    for name, order in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3))):
        weights.append(numpy_helper.from_array(kernels()[0][name], f"layer.0.attn.{name}.weight"))
        nodes.append(helper.make_node("MatMul", ["start", f"layer.0.attn.{name}.weight"], [f"{name}_flat"]))
        nodes.append(helper.make_node("Reshape", [f"{name}_flat", "apart"], [f"{name}_apart"]))
        nodes.append(helper.make_node("Transpose", [f"{name}_apart"], [name], perm=order))
    nodes.append(helper.make_node("MatMul", ["query", "key"], ["scores"]))
    nodes.append(helper.make_node("Softmax", ["scores"], ["weights"]))
    nodes.append(helper.make_node("MatMul", ["weights", "value"], ["mixed"]))
    trace = attncore.trace(model_of(nodes, "mixed", weights), STATES)
    assert trace[0].shape == (BATCH, HEADS, LENGTH, LENGTH)


@pytest.mark.parametrize("keep", ["auto", "qk", "weights"])
def test_weights_are_said_to_be_recomputed(keep: str) -> None:
    """Held in full or not, they are not what the operator had inside."""
    trace = attncore.trace(two_layers(), STATES, keep=keep)
    assert {(layer.source, layer.computed) for layer in trace} == {("MultiHeadAttention", "recomputed")}


def test_weights_that_do_not_give_the_operators_output_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime whose formula is another one is found out by its own output."""

    def sharper(node: onnx.NodeProto, inputs: Any) -> Operands:
        operands = right.operands(node, inputs)
        return replace(operands, scoring=replace(operands.scoring, scale=operands.scoring.scale * 1.01))

    right = fused_contrib.MULTI_HEAD_ATTENTION
    wrong = FusedOperator(sharper, right.sources)
    monkeypatch.setitem(fused_kinds._RECOMPUTED, ("com.microsoft", "MultiHeadAttention"), wrong)
    with pytest.raises(attncore.NoAttentionError, match="do not give its own output") as caught:
        attncore.trace(two_layers(), STATES)
    assert [entry.name for entry in caught.value.coverage] == ["layer/0/attn", "layer/1/attn"]


def test_learned_keys_are_no_attention() -> None:
    """A memory that is the same for every input has keys and no positions."""
    memory = [
        numpy_helper.from_array(np.ones((BATCH, 7, WIDTH), np.float32) * np.arange(WIDTH, dtype=np.float32), name)
        for name in ("memory.key", "memory.value")
    ]
    node = helper.make_node(
        "MultiHeadAttention", ["x", "memory.key", "memory.value"], ["y"], domain="com.microsoft", num_heads=HEADS
    )
    with pytest.raises(attncore.NoAttentionError, match="learned vectors") as caught:
        attncore.trace(model_of([node], "y", memory), STATES)
    assert caught.value.coverage[0].status == "rejected"


def test_quantised_attention_is_reported() -> None:
    """`QAttention` runs, and is named with the reason."""
    random = np.random.default_rng(5)
    inputs = {
        "input": random.integers(0, 255, (BATCH, LENGTH, WIDTH)).astype(np.uint8),
        "weight": random.integers(-100, 100, (WIDTH, 3 * WIDTH)).astype(np.int8),
        "bias": np.zeros(3 * WIDTH, np.float32),
        "input_scale": np.float32(0.01),
        "weight_scale": np.float32(0.01),
    }
    node = helper.make_node("QAttention", list(inputs), ["y"], "/layer.0/q", domain="com.microsoft", num_heads=HEADS)
    graph = helper.make_graph(
        [node],
        "quantised",
        [helper.make_tensor_value_info("input", TensorProto.UINT8, [None, None, WIDTH])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in inputs.items() if name != "input"],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    with pytest.raises(attncore.NoAttentionError, match="quantised") as caught:
        attncore.trace(model, attncore.Inputs(input=inputs["input"]))
    (entry,) = caught.value.coverage
    assert (entry.name, entry.what, entry.status) == ("layer/0", "QAttention", "opaque")


REASONS = {
    "PackedAttention": "packed into one without padding",
    "PackedMultiHeadAttention": "packed into one without padding",
    "PagedAttention": "pages of a cache",
    "SparseAttention": "which keys it reads is decided inside",
    "LongformerAttention": "which keys it reads is decided inside",
    "DecoderMaskedMultiHeadAttention": "one step of generation at a time",
    "LinearAttention": "has no softmax",
    "SomebodysAttention": "whose formula is not known here",
}


@pytest.mark.parametrize("kind", REASONS)
def test_each_operator_has_its_reason(kind: str) -> None:
    """Those that onnxruntime's processor build cannot run, too."""
    reason = fused_kinds.why_hidden(helper.make_node(kind, ["x"], ["y"], domain="com.microsoft"))
    assert reason is not None
    assert REASONS[kind] in reason


def body(kind: str) -> onnx.GraphProto:
    """The inner graph of a control-flow node, with a softmax between two products in it."""
    nodes = [
        helper.make_node("Transpose", ["state"], ["turned"], perm=(0, 2, 1)),
        helper.make_node("MatMul", ["state", "turned"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["weights"]),
        helper.make_node("MatMul", ["weights", "state"], ["mixed"]),
    ]
    state = helper.make_tensor_value_info("state", FLOAT, None)
    mixed = helper.make_tensor_value_info("mixed", FLOAT, None)
    if kind == "If":
        return helper.make_graph([helper.make_node("Identity", ["x"], ["state"]), *nodes], "branch", [], [mixed])
    if kind == "Scan":
        item = helper.make_tensor_value_info("item", FLOAT, None)
        return helper.make_graph(nodes, "turn", [state, item], [mixed])
    counters = [
        helper.make_tensor_value_info("turn", TensorProto.INT64, []),
        helper.make_tensor_value_info("go", TensorProto.BOOL, []),
    ]
    on = helper.make_tensor_value_info("on", TensorProto.BOOL, [])
    return helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), *nodes], "turn", [*counters, state], [on, mixed]
    )


def flow(kind: str) -> onnx.NodeProto:
    """A control-flow node with attention inside."""
    makers: dict[str, Callable[[], onnx.NodeProto]] = {
        "If": lambda: helper.make_node("If", ["yes"], ["y"], "/flow", then_branch=body("If"), else_branch=body("If")),
        "Loop": lambda: helper.make_node("Loop", ["times", "yes", "x"], ["y"], "/flow", body=body("Loop")),
        "Scan": lambda: helper.make_node("Scan", ["x", "x"], ["y"], "/flow", body=body("Scan"), num_scan_inputs=1),
    }
    return makers[kind]()


@pytest.mark.parametrize("kind", ["If", "Loop", "Scan"])
def test_attention_inside_control_flow_is_reported(kind: str) -> None:
    """Its results stay inside, so that it is named with what to do, and not passed over."""
    weights = [numpy_helper.from_array(np.array(True), "yes"), numpy_helper.from_array(np.array(2, np.int64), "times")]
    with pytest.raises(attncore.NoAttentionError, match="Softmax inside, in a graph of its own") as caught:
        attncore.trace(model_of([flow(kind)], "y", weights), STATES)
    (entry,) = caught.value.coverage
    assert (entry.what, entry.status) == (kind, "opaque")


def test_control_flow_without_attention_is_not_mentioned() -> None:
    """The twin: a branch that adds."""
    branch = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["twice"])], "b", [], [helper.make_tensor_value_info("twice", FLOAT, None)]
    )
    assert fused_kinds.why_hidden(helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)) is None


def test_a_models_own_functions_are_looked_into() -> None:
    """A function that the model defines is written out where it is called."""
    inner = helper.make_node("MultiHeadAttention", ["a", "a", "a"], ["b"], domain="com.microsoft", num_heads=HEADS)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    function = helper.make_function("own", "Block", ["a"], ["b"], [inner], opsets)
    model = model_of([helper.make_node("Block", ["x"], ["y"], domain="own")], "y", [])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    assert attncore.trace(model, STATES)[0].shape == (BATCH, HEADS, LENGTH, LENGTH)
