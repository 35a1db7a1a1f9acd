"""No file, however broken, does anything but raise FileFormatError or load as a trace that can be read."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storage_examples import full_trace, hostile, rewritten

import attncore
from attncore import (
    AttentionTrace,
    FileFormatError,
    LazyWeights,
)
from attncore.testing import example_trace


def read_everything(trace: AttentionTrace) -> None:
    """Use every part of a loaded trace."""
    repr(trace)
    str(trace.coverage)
    for axis in trace.axes.values():
        for item in range(axis.batch):
            axis.labels_of(item)
            axis.padding_of(item)
    for layer in trace:
        trace.axes_of(layer)
        for part in (layer.query, layer.key, layer.value, layer.mask, layer.bias, layer.sinks):
            if part is not None:
                np.asarray(part)
        weights: LazyWeights = layer.weights
        assert np.asarray(weights).shape == weights.shape
        layer.with_heads(slice(None))
        layer.head_numbers()


def valid_files() -> list[bytes]:
    """The bytes of a few traces."""
    import tempfile

    contents = []
    with tempfile.TemporaryDirectory() as folder:
        for trace in (example_trace(n_tokens=3, n_layers=1, lazy=True, padding=1), full_trace()):
            path = Path(folder) / "file"
            trace.save(path)
            contents.append(path.read_bytes())
    return contents


VALID = valid_files()
PIECES = [
    b"0",
    b"9",
    b"-1",
    b"1e999",
    b"null",
    b"true",
    b'""',
    b"[]",
    b"{}",
    b"F64",
    b"BOOL",
    b"U8",
    b"\xff",
    b"\x00",
    b'\\"',
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid file with a few bytes changed, put in, taken out or cut off, mostly in the header."""
    content = bytearray(draw(st.sampled_from(VALID)))
    (header,) = struct.unpack("<Q", content[:8])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, min(len(content), header + 16) - 1) | st.integers(0, len(content) - 1))
        piece = draw(st.binary(min_size=1, max_size=3) | st.sampled_from(PIECES))
        how = draw(st.sampled_from(["replace", "replace", "swap", "delete", "insert", "cut"]))
        if how == "replace":
            content[place : place + len(piece)] = piece
        elif how == "swap":
            content[place] = ord("0") + content[place] % 10
        elif how == "delete":
            del content[place : place + len(piece)]
        elif how == "insert":
            content[place:place] = piece
        else:
            del content[place:]
        if len(content) < 2:
            break
    return bytes(content)


@settings(
    max_examples=int(os.environ.get("ATTNCORE_FUZZ_EXAMPLES", "500")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=mutated())
@pytest.mark.filterwarnings("ignore:invalid value|overflow|divide by zero:RuntimeWarning")
def test_no_damage_does_more_than_raise_file_format_error(content: bytes, tmp_path: Path) -> None:
    """A mutated file is refused with FileFormatError, or it is a trace of which everything can be read."""
    path = tmp_path / "mutated"
    path.write_bytes(content)
    try:
        trace = attncore.load(path)
    except FileFormatError:
        return
    if all(layer.stored_weights is not None for layer in trace):
        read_everything(trace)


def places_in(described: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a JSON description."""
    paths = [path] if path else []
    if isinstance(described, dict | list):
        for step, value in described.items() if isinstance(described, dict) else enumerate(described):
            paths += places_in(value, (*path, step))
    return paths


JSON_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 13)
    | st.sampled_from([2**53, 2**70, -(2**70), 1e308, float("inf"), "tokens", "layer.0.query", "layer.0.key"])
    | st.sampled_from(["axis.tokens.padding", "axis.tokens.special", "layer.0.mask", "self", "F64", "9" * 30])
    | st.lists(st.integers(-1, 5) | st.text(max_size=2), max_size=4)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
)


@settings(
    max_examples=int(os.environ.get("ATTNCORE_FUZZ_EXAMPLES", "500")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:invalid value|overflow|divide by zero:RuntimeWarning")
def test_no_description_does_more_than_raise_file_format_error(data: st.DataObject, tmp_path: Path) -> None:
    """Any value of the description replaced by any other is refused, or gives a trace that can be read."""

    def change(metadata: Any, described: Any) -> None:
        for _ in range(data.draw(st.integers(1, 2))):
            place = data.draw(st.sampled_from(places_in(described)))
            hostile(place, data.draw(JSON_VALUES))(metadata, described)

    path = rewritten(tmp_path / "file", change)
    try:
        trace = attncore.load(path)
    except FileFormatError:
        return
    if all(layer.stored_weights is not None for layer in trace):
        read_everything(trace)
