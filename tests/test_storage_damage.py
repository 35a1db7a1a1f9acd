"""Broken, foreign and hostile files: each is refused with FileFormatError when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from storage_examples import hostile, rewritten

import attncore
from attncore import (
    FileFormatError,
)
from attncore.storage import FORMAT_VERSION
from attncore.testing import assert_traces_close, example_trace


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    """A wrong path is the error that Python programmers expect; a folder is not a file."""
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere"):
        attncore.load(tmp_path / "nowhere")
    with pytest.raises(FileFormatError, match="is not a file"):
        attncore.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"hello world, this is no trace", b"PK\x03\x04" + b"\x00" * 100])
def test_a_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """Something else altogether is named as such."""
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="not a complete safetensors file"):
        attncore.load(path)


def test_a_safetensors_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """A model's weights are a safetensors file, and no trace."""
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(FileFormatError, match=r"holds no attention trace; trace\.save writes one"):
        attncore.load(tmp_path / "model.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(share: float, tmp_path: Path) -> None:
    """A download that was cut off is found when loading, not when the last layer is read."""
    path = tmp_path / "trace.attn.safetensors"
    example_trace().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(FileFormatError, match="cut off"):
        attncore.load(path)


def test_an_unchanged_rewrite_loads(tmp_path: Path) -> None:
    """The helper above writes valid files, so that what it breaks is what is found."""
    path = rewritten(tmp_path / "file", lambda metadata, described: None)
    assert_traces_close(attncore.load(path), example_trace(lazy=True, padding=2), atol=0)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (str(FORMAT_VERSION + 1), r"format version 2 and this attncore reads up to 1; upgrade attncore"),
        ("0", "which never was"),
        ("", "expected a number"),
        ("one", "expected a number"),
        ("-1", "expected a number"),
        ("9" * 5000, "expected a number"),
        ("٣", "expected a number"),
    ],
)
def test_another_version_is_refused(version: str, said: str, tmp_path: Path) -> None:
    """A file of a newer attncore says to upgrade; nonsense is nonsense."""
    path = rewritten(tmp_path / "file", lambda metadata, described: metadata.update(format_version=version))
    with pytest.raises(FileFormatError, match=said):
        attncore.load(path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("layers", 0, "query"), "layer.0.no-such-tensor"),
        (("layers", 0, "query"), ["a", "list"]),
        (("layers", 0, "query"), None),
        (("layers", 0, "query"), "axis.tokens.padding"),
        (("layers", 0, "scoring"), None),
        (("layers", 0, "scoring", "scale"), "1"),
        (("layers", 0, "scoring", "scale"), float("nan")),
        (("layers", 0, "scoring", "scale"), 10**400),
        (("layers", 0, "scoring", "softcap"), 0),
        (("layers", 0, "scoring", "causal_offset"), 10**30),
        (("layers", 0, "scoring", "causal"), "yes"),
        (("layers", 0, "scoring", "window"), 1.5),
        (("layers", 0, "scoring", "window"), 10**30),
        (("layers", 0, "scoring", "mask"), "layer.0.query"),
        (("layers", 0, "scoring", "bias"), "layer.0.key"),
        (("layers", 0, "scoring", "sinks"), "layer.0.value"),
        (("layers", 0, "value"), "axis.tokens.padding"),
        (("layers", 0, "query_axis"), "no-such-axis"),
        (("layers", 0, "query_axis"), ["tokens"]),
        (("layers", 0, "kind"), "sideways"),
        (("layers", 0, "name"), 3),
        (("layers", 0, "index"), "0"),
        (("layers", 0, "index"), True),
        (("layers", 0, "heads"), [0, 1]),
        (("layers", 0, "heads"), "0123"),
        (("layers", 0, "notes"), [1]),
        (("layers", 0, "lazy"), "yes"),
        (("layers", 0), "layer"),
        (("layers",), None),
        (("layers",), {"a": 1}),
        (("axes", 0, "length"), 11),
        (("axes", 0, "length"), -1),
        (("axes", 0, "labels"), [["a"]]),
        (("axes", 0, "labels"), [list(range(12))]),
        (("axes", 0, "kind"), "smell"),
        (("axes", 0, "grid"), [1]),
        (("axes", 0, "grid"), [100, 100]),
        (("axes", 0, "padding"), "layer.0.query"),
        (("axes", 0, "special"), "axis.tokens.steps"),
        (("axes", 0, "name"), "other"),
        (("axes",), []),
        (("coverage", 0, "status"), "fine"),
        (("coverage", 0, "shape"), [1, "2"]),
        (("coverage",), 3),
        (("provenance", "backend"), None),
        (("provenance", "options"), ["a"]),
        (("provenance", "versions"), {"torch": 2}),
        (("bfloat16",), 3),
        (("bfloat16",), ["layer.0.query"]),
    ],
    ids=lambda part: str(part)[:60],
)
def test_a_hostile_description_is_refused(path: tuple[Any, ...], value: Any, tmp_path: Path) -> None:
    """A description that does not fit the tensors is found when loading."""
    file = rewritten(tmp_path / "file", hostile(path, value))
    with pytest.raises(FileFormatError, match="is damaged"):
        attncore.load(file)


@pytest.mark.parametrize("text", ["", "[]", "null", "3", '"a"', "{", "[" * 100_000, '{"layers": []}'])
def test_a_description_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    """The JSON may be cut, of another kind, or nested beyond what a parser takes."""
    path = tmp_path / "file"
    from safetensors.numpy import save_file

    save_file({}, path, metadata={"format_version": "1", "attncore": text})
    with pytest.raises(FileFormatError, match="is damaged"):
        attncore.load(path)
