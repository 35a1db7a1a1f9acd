"""Tensor hooks that keep gradients for `AttentionLayer.weights_grad`."""

from __future__ import annotations

from torch import Tensor

from ._torch_layout import Layout
from ._torch_pieces import as_layer
from ._torch_record import Gradients
from ._torch_tags import Softmax


class GradientInto:
    """A tensor hook that keeps the gradient of a softmax output."""

    def __init__(self, entry: Softmax) -> None:
        self.entry = entry

    def __call__(self, gradient: Tensor) -> None:
        self.entry.gradient = gradient.detach()


class WeightsGradient:
    """The gradient of weights that were seen as a tensor, in (batch, heads, query, key)."""

    def __init__(self, entry: Softmax, layout: Layout) -> None:
        self.entry, self.layout = entry, layout

    def __call__(self) -> Tensor | None:
        gradient = self.entry.gradient
        if gradient is None:
            return None
        arranged = as_layer(self.entry, gradient)
        if arranged is not None:
            return arranged
        place = next(i for i, dim in enumerate(self.entry.dims) if len(dim) == 1 and dim[0] is self.entry.key)
        return self.layout.apply(gradient.movedim(place, -1))


class OutputGradient:
    """A tensor hook that keeps the gradient of a fused attention's output, in (batch, heads, query, value_dim)."""

    def __init__(self, gradients: Gradients, layout: Layout) -> None:
        self.gradients, self.layout = gradients, layout

    def __call__(self, gradient: Tensor) -> None:
        self.gradients.output = self.layout.apply(gradient.detach())
