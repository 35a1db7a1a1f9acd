"""Saving and loading a trace: one safetensors file, memory-mapped when loaded, no pickle.

The tensors are plain safetensors that any tool can read. The header's metadata holds ``format_version`` and, under
``attncore``, a JSON text that says which tensor is what. Format: docs/file-format.md.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attncore.arrays import Array, ArrayLike, BFloat16Array, as_numpy
from attncore.attention import AttentionTrace
from attncore.errors import ArrayError, AttncoreError, FileFormatError
from attncore.stored_trace import trace_from_json, trace_to_json

FORMAT_VERSION = 1

# safetensors' names of the number types that a trace may hold.
_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "U16": np.uint16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


class _Writer:
    """Collects the arrays of a trace; one that several layers share is written once."""

    def __init__(self) -> None:
        self.tensors: dict[str, Array] = {}
        self.bfloat16: list[str] = []
        self._names: dict[int, str] = {}
        self._alive: list[Any] = []

    def add(self, name: str, array: ArrayLike | None) -> str | None:
        """The name under which ``array`` is stored."""
        if array is None:
            return None
        if id(array) not in self._names:
            self._names[id(array)] = name
            self._alive.append(array)  # an id is only unique while its object lives
            if isinstance(array, BFloat16Array):
                self.bfloat16.append(name)
            self.tensors[name] = _plain(array)
        return self._names[id(array)]


def _plain(array: ArrayLike) -> Array:
    """What safetensors' numpy interface takes; bfloat16 goes as the 16 bits it is, since numpy has no such type."""
    values = array.bits if isinstance(array, BFloat16Array) else as_numpy(array)
    if values.dtype.type not in _DTYPES.values():
        raise ArrayError(f"cannot save an array of dtype {values.dtype}; safetensors has no such type")
    return np.ascontiguousarray(values).reshape(values.shape)


def save(trace: AttentionTrace, path: str | PathLike[str]) -> None:
    """Write ``trace`` to one file. The model's output and gradients are not saved.

    Raises:
        ArrayError: a value kept by ``reduce=`` is not an array of numbers.
        OSError: the file cannot be written, because its folder does not exist for example.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    writer = _Writer()
    with replaced_whole(path) as partial:
        described = {**trace_to_json(trace, writer.add), "bfloat16": writer.bfloat16}
        metadata = {"format_version": str(FORMAT_VERSION), "attncore": json.dumps(described)}
        try:
            save_file(writer.tensors, partial, metadata=metadata)
        except SafetensorError as error:
            raise OSError(f"cannot write {path}: {error}") from error


@contextmanager
def replaced_whole(path: str | PathLike[str]) -> Iterator[Path]:
    """Gives the block another file to write, beside ``path``, which takes its place when the block is done.

    So a file that was there is replaced whole or not at all. It keeps its permissions, and a symbolic link to it stays
    one; a new file has the permissions that the process gives to new files.

    Raises:
        OSError: as `check_folder` does, or the file cannot be written.
    """
    target = check_folder(path)
    # A name of its own, since others may be writing the same file, and a short one, since names have a longest.
    partial = target.with_name(f".attncore-{secrets.token_hex(8)}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        # Read before the block writes: safetensors makes the file anew, for its owner alone.
        permissions = stat.S_IMODE((target if target.exists() else partial).stat().st_mode)
        yield partial
        partial.chmod(permissions)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def check_folder(path: str | PathLike[str]) -> Path:
    """Whether a file can be put there, to find out before a long run and not after.

    Returns:
        Where the file will lie: ``path`` itself, or what a symbolic link there leads to.

    Raises:
        OSError: its folder does not exist or is not to be written to, or something lies there that is not a file.
    """
    there = Path(path)
    target = Path(os.path.realpath(path)) if there.is_symlink() else there
    if there.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give the name of a file")
    if there.exists() and not there.is_file():
        raise OSError(f"cannot write {path}: it is a device, a pipe or a socket; give the name of a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {target.parent}; create it first")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write {path}: you may not write to the folder {target.parent}; choose another")
    return target


def load(path: str | PathLike[str]) -> AttentionTrace:
    """The trace in a file that `AttentionTrace.save` wrote; arrays are mapped and read only when used.

    Args:
        path: the file.

    Returns:
        The trace, without ``output``.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is not a trace, is damaged, or a newer attncore wrote it.
    """
    target = Path(path)
    if not target.exists():
        raise FileNotFoundError(f"no file {target}")
    if not target.is_file():
        raise FileFormatError(f"{target} is not a file; give one that trace.save wrote")
    metadata = _validated_metadata(target)
    _check_version(target, metadata)
    try:
        described = json.loads(metadata["attncore"])
        return trace_from_json(described, _reader(target, set(described["bfloat16"])))
    except (
        AttncoreError,
        LookupError,
        ArithmeticError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:
        raise FileFormatError(
            f"{target} is damaged: its description does not fit its contents ({type(error).__name__}: {error})"
        ) from error


def _validated_metadata(path: Path) -> dict[str, str]:
    """The header's metadata, after safetensors has checked the whole header against the file's length."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise FileFormatError(
            f"{path} is not a complete safetensors file ({error}); was it cut off while copying?"
        ) from error
    if "attncore" not in metadata:
        raise FileFormatError(f"{path} is a safetensors file and holds no attention trace; trace.save writes one")
    return dict(metadata)


def _check_version(path: Path, metadata: dict[str, str]) -> None:
    version = metadata.get("format_version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise FileFormatError(f"{path} has the format version {version[:20]!r}; expected a number")
    if int(version) > FORMAT_VERSION:
        raise FileFormatError(
            f"{path} has format version {version} and this attncore reads up to {FORMAT_VERSION}; upgrade attncore"
        )
    if int(version) < 1:
        raise FileFormatError(f"{path} has format version {version}, which never was")


def _reader(path: Path, bfloat16: set[str]) -> Callable[[str | None], ArrayLike | None]:
    """A function from tensor name to an array mapped from the file."""
    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_length))
    mapped = np.memmap(path, dtype=np.uint8, mode="r")
    data_start = 8 + header_length
    arrays: dict[str, ArrayLike] = {}

    def read(name: str | None) -> ArrayLike | None:
        if name is None:
            return None
        if name not in arrays:
            entry = header[name]
            start, end = entry["data_offsets"]
            kind = _DTYPES[entry["dtype"]]
            raw = mapped[data_start + start : data_start + end].view(np.ndarray)
            # safetensors aligns tensors of one size only; an unaligned view is legal and slow, so copy that one.
            aligned = raw if (data_start + start) % np.dtype(kind).itemsize == 0 else raw.copy()
            values = aligned.view(kind).reshape(entry["shape"])
            if name in bfloat16 and kind is not np.uint16:
                raise FileFormatError(f'tensor "{name}" is said to hold bfloat16 and has the type {entry["dtype"]}')
            # One object a tensor, so that layers share it, and saving again writes it once.
            arrays[name] = BFloat16Array(values) if name in bfloat16 else values
        return arrays[name]

    return read
