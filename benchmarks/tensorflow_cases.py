"""Every TensorFlow and Keras case of the conformance benchmark."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from tensorflow_case import TensorFlowCase

MODULES = (
    "tensorflow_layers",
    "tensorflow_handwritten",
    "tensorflow_scores",
    "tensorflow_models",
    "tensorflow_hub",
    "tensorflow_negatives",
)


def cases() -> Iterator[TensorFlowCase]:
    """The cases of every module, in order."""
    for module in MODULES:
        yield from importlib.import_module(module).cases()
