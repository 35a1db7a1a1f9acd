"""Weights as colours: which colour map, from where to where, and the bar that says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.colors import Colormap, Normalize, PowerNorm

from attncore.arrays import Array
from attncore.errors import OptionError, did_you_mean

Norm = Literal["auto", "linear", "sqrt"]
NORMS = ("auto", "linear", "sqrt")
# With more keys than this the weights of most are too small to be seen on a linear scale.
_FEW_KEYS = 48
# What is not a number, such as a row that masks every key.
_BAD = "0.85"


@dataclass(frozen=True)
class Scale:
    """``largest`` is None where the largest weight shown decides."""

    colors: Colormap
    norm: Norm
    largest: float | None

    @classmethod
    def of(cls, cmap: str | None, norm: Norm, vmax: float | None) -> Scale:
        """The scale that these options mean.

        Raises:
            OptionError: one of them is not understood.
        """
        if norm not in NORMS:
            raise OptionError(f'norm is "auto", "linear" or "sqrt"; {norm!r} was given')
        if vmax is not None and not (isinstance(vmax, int | float) and 0 < vmax < float("inf")):
            raise OptionError(f"vmax is the weight of the last colour, more than 0; {vmax!r} was given")
        return cls(color_map(cmap), norm, None if vmax is None else float(vmax))

    def for_keys(self, keys: int) -> Scale:
        """With the norm decided: the square root for many keys, if it was left open."""
        norm: Norm = ("sqrt" if keys > _FEW_KEYS else "linear") if self.norm == "auto" else self.norm
        return replace(self, norm=norm)

    def over(self, arrays: Iterable[Array]) -> Normalize:
        """From 0 to the largest weight of all."""
        largest = self.largest
        if largest is None:
            largest = (
                max((float(np.max(array, initial=0.0, where=~np.isnan(array))) for array in arrays), default=0.0) or 1.0
            )
        return PowerNorm(0.5, 0, largest) if self.norm == "sqrt" else Normalize(0, largest)

    def bar(self, figure: Any, image: Any, axes: Any) -> Any:
        """A colour bar beside these axes, without a label yet."""
        bar = figure.colorbar(image, ax=axes, aspect=30)
        bar.outline.set_visible(False)
        return bar

    def describe(self, what: str, arrays: Iterable[Array] = ()) -> str:
        """What the colours show, with the norm where it is not linear, and what looks otherwise than it is."""
        shown = list(arrays)
        parts = [what] if self.norm == "linear" else [what, "square-root scale"]
        if any((array < 0).any() for array in shown):
            parts.append("negative as 0")
        if any(np.isnan(array).any() for array in shown):
            parts.append("grey: no weight")
        return ", ".join(parts)


def color_map(name: str | None) -> Colormap:
    """A colour map by its name, with grey for what is not a number.

    Raises:
        OptionError: there is none of this name.
    """
    name = matplotlib.rcParams["image.cmap"] if name is None else name
    if name not in matplotlib.colormaps:
        raise OptionError(f'there is no colour map "{name}"{did_you_mean(str(name), tuple(matplotlib.colormaps))}')
    return matplotlib.colormaps[name].with_extremes(bad=_BAD)
