"""Saving and loading: every field comes back."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from storage_examples import full_trace

import attncore
from attncore import (
    AttentionTrace,
    AttncoreError,
    TokenAxis,
)
from attncore.arrays import BFloat16Array, HeadsOf
from attncore.errors import ArrayError
from attncore.layer import AttentionLayer
from attncore.scoring import Scoring
from attncore.storage import FORMAT_VERSION
from attncore.testing import assert_traces_close, example_cross_trace, example_trace
from attncore.weights import DenseWeights, RecomputedWeights


def round_trip(trace: AttentionTrace, folder: Path) -> AttentionTrace:
    """The trace after saving and loading."""
    path = folder / "trace.attn.safetensors"
    trace.save(path)
    return attncore.load(path)


def same(left: Any, right: Any) -> bool:
    """Whether two field values are equal, arrays by shape, type and content."""
    if left is None or right is None:
        return left is right
    if isinstance(left, str | int | float | tuple):
        return type(left) is type(right) and left == right
    if isinstance(left, Scoring):
        return all(same(getattr(left, f.name), getattr(right, f.name)) for f in fields(Scoring))
    left_array, right_array = np.asarray(left), np.asarray(right)
    return left_array.dtype == right_array.dtype and np.array_equal(left_array, right_array)


def test_every_field_of_a_layer_comes_back(tmp_path: Path) -> None:
    """No field of a layer is lost or changed, weights included."""
    before = full_trace()
    after = round_trip(before, tmp_path)
    differing = [
        field.name
        for field in fields(AttentionLayer)
        if field.name != "gradient" and not same(getattr(before[0], field.name), getattr(after[0], field.name))
    ]
    assert differing == []


def test_every_field_of_an_axis_comes_back(tmp_path: Path) -> None:
    """No field of an axis is lost or changed, and the axes keep their order."""
    before = full_trace()
    after = round_trip(before, tmp_path)
    assert list(after.axes) == ["decoder", "encoder"]
    for name, axis in before.axes.items():
        differing = [
            f.name for f in fields(TokenAxis) if not same(getattr(axis, f.name), getattr(after.axes[name], f.name))
        ]
        assert differing == []


def test_coverage_and_provenance_come_back_and_the_output_does_not(tmp_path: Path) -> None:
    """What ran beside attention and where the trace is from are kept; the model's output is not."""
    before = full_trace()
    after = round_trip(before, tmp_path)
    assert after.coverage == before.coverage
    assert after.provenance == before.provenance
    assert before.output == "not saved"
    assert after.output is None


@pytest.mark.parametrize("trace", [example_trace(batch=2), example_cross_trace(), example_trace(lazy=True, padding=3)])
def test_example_traces_come_back(trace: AttentionTrace, tmp_path: Path) -> None:
    """Dense, cross and lazy traces are equal after a round trip, and after a second one."""
    once = round_trip(trace, tmp_path)
    assert_traces_close(once, trace, atol=0)
    assert_traces_close(round_trip(once, tmp_path), trace, atol=0)


def base_of(array: np.ndarray) -> Any:
    """The object that owns an array's memory."""
    while isinstance(array.base, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return array


def test_lazy_weights_stay_lazy_and_mapped(tmp_path: Path) -> None:
    """The file holds query and key, not the weights, and loading reads neither."""
    trace = example_trace(n_tokens=400, n_layers=1, lazy=True)
    loaded = round_trip(trace, tmp_path)
    size = (tmp_path / "trace.attn.safetensors").stat().st_size
    assert size < trace[0].weights.size * 4 / 2
    assert isinstance(loaded[0].weights, RecomputedWeights)
    for part in (loaded[0].query, loaded[0].key, loaded[0].value):
        assert isinstance(base_of(np.asarray(part)), np.memmap)


def test_dense_weights_are_mapped(tmp_path: Path) -> None:
    """Weights in full are read from the file when they are used."""
    weights = round_trip(example_trace(), tmp_path)[0].weights
    assert isinstance(weights, DenseWeights)
    assert isinstance(base_of(np.asarray(weights.source)), np.memmap)


def test_selected_heads_are_saved(tmp_path: Path) -> None:
    """A cut-down trace is saved as what it is, whether dense or lazy."""
    for lazy in (False, True):
        trace = example_trace(lazy=lazy, kv_heads=2).select(heads=[3, 1])
        assert_traces_close(round_trip(trace, tmp_path), trace, atol=1e-7)


def test_bfloat16_keeps_its_bits_and_its_size(tmp_path: Path) -> None:
    """Queries of a bfloat16 model take two bytes a number and come back exactly."""
    random = np.random.default_rng(0)
    bits = (random.standard_normal((1, 2, 50, 64)).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    query = BFloat16Array(bits)
    scoring = Scoring(scale=0.125, causal=True)
    layer = example_trace()[0].replaced(
        stored_weights=RecomputedWeights(query, query, scoring), query=query, key=query, scoring=scoring
    )
    trace = AttentionTrace((layer,), {"tokens": TokenAxis.of_positions("tokens", 1, 50)})
    loaded = round_trip(trace, tmp_path)
    assert isinstance(loaded[0].query, BFloat16Array)
    np.testing.assert_array_equal(loaded[0].query.bits, bits)
    assert loaded[0].key is loaded[0].query, "an array shared by two fields is stored and loaded once"
    assert (tmp_path / "trace.attn.safetensors").stat().st_size < bits.nbytes + 4000
    assert_traces_close(loaded, trace, atol=0)


def test_bfloat16_heads_keep_their_values(tmp_path: Path) -> None:
    """Some heads of bfloat16 queries come back with the same values."""
    bits = np.arange(0x3F00, 0x3F00 + 4 * 3 * 8, dtype=np.uint16).reshape(1, 4, 3, 8)
    layer = example_trace()[0].replaced(value=HeadsOf(BFloat16Array(bits), (3, 1)))
    loaded = round_trip(AttentionTrace((layer,), example_trace().axes), tmp_path)
    np.testing.assert_array_equal(np.asarray(loaded[0].value), BFloat16Array(bits[:, [3, 1]])[...])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_weights_keep_their_type(kind: Any, tmp_path: Path) -> None:
    """Half-precision weights are not widened on disk."""
    trace = AttentionTrace.from_arrays([np.full((1, 1, 2, 2), 0.5, dtype=kind)])
    assert round_trip(trace, tmp_path)[0].weights.dtype == kind


def test_arrays_in_any_memory_order_are_saved(tmp_path: Path) -> None:
    """Views that are transposed or strided are written as what they show."""
    whole = np.random.default_rng(0).random((2, 6, 4, 8)).astype(np.float32)
    turned = whole.transpose(0, 2, 1, 3)
    layer = example_trace()[0].replaced(value=turned, query=turned[:, ::2, :, ::-1])
    loaded = round_trip(AttentionTrace((layer,), example_trace().axes), tmp_path)
    np.testing.assert_array_equal(np.asarray(loaded[0].value), turned)
    np.testing.assert_array_equal(np.asarray(loaded[0].query), turned[:, ::2, :, ::-1])


def test_reduced_values_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    """An object kept by ``reduce=`` cannot be saved without pickle; nothing is left behind."""
    layer = example_trace()[0].replaced(stored_weights=None, reduced={"mean": 1})
    path = tmp_path / "trace.attn.safetensors"
    with pytest.raises(
        ArrayError, match=r'layer 0 "layers.0.attention" holds a dict that reduce= returned, and a file holds arr'
    ):
        AttentionTrace((layer,), example_trace().axes).save(path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    """A file that was there is replaced whole or not at all."""
    path = tmp_path / "trace.attn.safetensors"
    example_trace().save(path)
    before = path.read_bytes()
    layer = example_trace()[0].replaced(reduced=object())
    with pytest.raises(AttncoreError):
        AttentionTrace((layer,), example_trace().axes).save(path)
    assert path.read_bytes() == before


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """Saving into a missing folder is an ordinary file error, and does not create it."""
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing; create it first"):
        example_trace().save(tmp_path / "missing" / "trace.attn.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_the_tensors_are_plain_safetensors(tmp_path: Path) -> None:
    """Any tool that reads safetensors can read the arrays and the description."""
    from safetensors import safe_open

    path = tmp_path / "trace.attn.safetensors"
    example_trace(lazy=True).save(path)
    with safe_open(str(path), framework="numpy") as file:
        assert file.get_tensor("layer.0.query").shape == (1, 4, 12, 32)
        assert file.metadata()["format_version"] == str(FORMAT_VERSION)
        assert json.loads(file.metadata()["attncore"])["layers"][1]["name"] == "layers.1.attention"
