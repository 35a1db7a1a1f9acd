"""JAX arrays at the border to numpy: shared memory on the CPU, copied piecewise from elsewhere."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attncore.arrays import Array, ArrayLike, BFloat16Array
from attncore.errors import OptionError

_NUMPY_KINDS = "fiub"


def to_array(array: Any) -> ArrayLike:
    """The array as something that reads as numpy; sharded arrays are gathered when they are read, not before."""
    array = at_hand(array)
    return DeviceArray(array) if isinstance(array, jax.Array) else _as_numpy(array)


def at_hand(array: Any) -> Any:
    """The array in numpy where that copies nothing; else as it is."""
    return np.asarray(array) if not isinstance(array, jax.Array) or _is_at_hand(array) else array


def gathered(array: Any) -> Any:
    """An array that lies on several devices in numpy; any other as it is."""
    several = isinstance(array, jax.Array) and len(array.devices()) > 1
    return np.asarray(array) if several else array


def numpy_of(array: Any) -> Array:
    """The array in numpy, in full."""
    return np.asarray(to_array(array))


def _is_at_hand(array: jax.Array) -> bool:
    devices = array.devices()
    return len(devices) == 1 and next(iter(devices)).platform == "cpu"


def _as_numpy(array: Array) -> ArrayLike:
    if array.dtype == jnp.bfloat16:
        return BFloat16Array(_frozen(array.view(np.uint16)))
    if array.dtype.kind not in _NUMPY_KINDS:  # the other types of ml_dtypes, such as float8
        array = array.astype(np.float32)
    return _frozen(array)


def _frozen(array: Array) -> Array:
    array = array.view()
    array.flags.writeable = False
    return array


class DeviceArray:
    """An array on another device, or on several; what is read is copied, the rest stays there."""

    def __init__(self, array: jax.Array) -> None:
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        held = np.dtype(self.array.dtype)
        return held if held.kind in _NUMPY_KINDS else np.dtype(np.float32)

    @property
    def nbytes(self) -> int:
        return int(self.array.nbytes)

    def __getitem__(self, index: Any) -> Array:
        whole: Any = self.array
        # Taking a part of an array that lies on several devices is a program of its own, and may need to be told how.
        part = gathered(whole)[index] if len(whole.devices()) > 1 else np.asarray(whole[index])
        return np.asarray(_as_numpy(part))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[...], dtype=dtype)

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, devices={len(self.array.devices())})"


def floating_type(name: str | None) -> Any:
    """The floating type of this name; None for None.

    Raises:
        OptionError: there is none.
    """
    if name is None:
        return None
    try:
        found = jnp.dtype(name)
    except TypeError:
        found = None
    if found is None or not jnp.issubdtype(found, jnp.floating):
        raise OptionError(f'dtype="{name}" is no floating type; use "float16", "bfloat16", "float32" or "float64"')
    return found


def device_of(name: str | None) -> Any:
    """The device of this name: "cpu", "gpu:1"; None for None.

    Raises:
        OptionError: JAX knows no such device, or it is not to be had here.
    """
    if name is None:
        return None
    platform, _, number = str(name).partition(":")
    try:
        return jax.devices(platform)[int(number or 0)]
    except (RuntimeError, ValueError, IndexError) as error:
        here = ", ".join(f"{device.platform}:{device.id}" for device in jax.devices())
        reason = str(error).splitlines()[0]
        raise OptionError(f'device="{name}" cannot be used here: {reason}; there is {here}') from error
