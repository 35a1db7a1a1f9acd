"""The border to numpy: what counts as an array here, and how any framework's array becomes one."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from attncore.errors import ArrayError

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.floating[Any]]


@runtime_checkable
class ArrayLike(Protocol):
    """Anything with a shape that gives numpy arrays when indexed: numpy itself, a mapped file, a lazy array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As in numpy."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements when read."""

    def __getitem__(self, index: Any, /) -> Any: ...
    def __array__(self) -> Array: ...


def as_numpy(array: Any) -> Array:
    """``array`` as numpy, from any framework; bfloat16, which numpy lacks, becomes float32.

    Raises:
        ArrayError: it is no array of numbers, or some of it is masked.
    """
    if np.ma.is_masked(array):
        raise ArrayError(
            "expected an array of numbers and found a masked one, whose mask would be lost; fill what is masked, "
            "for example array.filled(0)"
        )
    if hasattr(array, "detach") and hasattr(array, "cpu"):  # a torch tensor, told by its looks: no import here
        array = array.detach().cpu()
        array = array.float() if str(array.dtype).endswith("bfloat16") else array
        result: Array = array.numpy()
    else:
        try:
            result = np.asarray(array)
        except ValueError as error:
            found = f"a {type(array).__name__} that is none"
            raise ArrayError(f"expected an array of numbers and found {found}: {error}") from error
    if str(result.dtype) == "bfloat16":  # an ml_dtypes view, as JAX gives it
        result = result.astype(np.float32)
    if result.dtype.kind not in "fiub":
        raise ArrayError(f"expected an array of numbers and found dtype {result.dtype} in a {type(array).__name__}")
    return result


class BFloat16Array:
    """A bfloat16 array kept as its 16 bits, read as float32: exact, and half the size on disk and in memory."""

    def __init__(self, bits: npt.NDArray[np.uint16]) -> None:
        self.bits = bits

    @property
    def shape(self) -> tuple[int, ...]:
        """As in numpy."""
        return self.bits.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type it is read as."""
        return np.dtype(np.float32)

    @property
    def nbytes(self) -> int:
        """Bytes held: two for each value."""
        return self.bits.nbytes

    def __getitem__(self, index: Any) -> Array:
        # A bfloat16 is the upper half of a float32.
        widened = np.asarray(self.bits[index]).astype(np.uint32) << np.uint32(16)
        return np.asarray(widened).view(np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[...], dtype=dtype)

    def __repr__(self) -> str:
        return f"BFloat16Array(shape={self.shape})"


class HeadsOf:
    """Some heads of a (batch, heads, length, dim) array, taken when it is read."""

    def __init__(self, source: ArrayLike, heads: tuple[int, ...]) -> None:
        self.source = source
        self.heads = np.asarray(heads, dtype=np.intp)

    @property
    def shape(self) -> tuple[int, ...]:
        """(batch, heads, length, dim)."""
        return (self.source.shape[0], len(self.heads), *self.source.shape[2:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the source."""
        return self.source.dtype

    def __getitem__(self, index: Any) -> Array:
        parts = index if isinstance(index, tuple) else (index,)
        plain = all(isinstance(part, int | np.integer | slice) for part in parts)
        if plain and len(parts) >= 2 and not isinstance(parts[1], slice):
            # The usual read, one head: never copies the others.
            return np.asarray(self.source[(parts[0], int(self.heads[parts[1]]), *parts[2:])])
        return np.asarray(np.asarray(self)[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(np.asarray(self.source[:])[:, self.heads], dtype=dtype)

    def __repr__(self) -> str:
        return f"HeadsOf(shape={self.shape})"
