"""TensorFlow's arrays in a trace: in numpy, in the computer's own memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from attncore.arrays import Array, ArrayLike, BFloat16Array
from attncore.errors import OptionError
from attncore.protocols import CaptureOptions


class NumpyHolding:
    """Arrays in numpy, weights in the floating type that the options ask for."""

    def __init__(self, options: CaptureOptions) -> None:
        self.kind = floating_type(options.dtype)
        check_device(options.device)

    def hold(self, array: Any) -> ArrayLike:
        """The array, which cannot be written to; bfloat16 in its 16 bits."""
        return readable(array)

    def cast(self, array: Any) -> Any:
        """Weights in the type that the options ask for."""
        return array if self.kind is None else array.astype(self.kind)


def readable(array: Array) -> ArrayLike:
    """The array as something that reads as numpy's own types."""
    if array.dtype == tf.bfloat16.as_numpy_dtype:
        return BFloat16Array(np.ascontiguousarray(array).view(np.uint16))
    if array.dtype.kind not in "fiub":  # the other types of ml_dtypes, such as float8
        array = array.astype(np.float32)
    array = array.view()
    array.flags.writeable = False
    return array


def floating_type(name: str | None) -> Any:
    """The floating type of this name; None for None.

    Raises:
        OptionError: there is none.
    """
    if name is None:
        return None
    try:
        found = tf.as_dtype(name)
    except TypeError:
        found = None
    if found is None or not found.is_floating:
        raise OptionError(f'dtype="{name}" is no floating type; use "float16", "bfloat16", "float32" or "float64"')
    return found.as_numpy_dtype


def check_device(name: str | None) -> None:
    """Refuse devices other than the computer's own memory.

    Raises:
        OptionError: it is another.
    """
    if name is not None and str(name).partition(":")[0].lower() != "cpu":
        raise OptionError(
            f"device=\"{name}\" cannot be used here: TensorFlow's arrays are held in the computer's memory, as numpy; "
            'leave device out, or give "cpu"'
        )
