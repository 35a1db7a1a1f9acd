"""Layers of Keras on PyTorch, which are modules that PyTorch does not list: Keras keeps them itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from torch import nn


def keras_children(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers directly inside a layer of Keras, by Keras' paths; none of any other module."""
    keras = sys.modules.get("keras")
    if keras is None or not isinstance(module, keras.Layer):
        return
    for layer in module._flatten_layers(include_self=False, recursive=False):
        if isinstance(layer, nn.Module):
            own = f"{name}/{layer.name}" if name else str(layer.name)
            yield str(layer.path or own), layer
