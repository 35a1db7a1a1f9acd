"""Models of other libraries as cases: timm, vit-pytorch and x-transformers, in tiny variants with random weights.

The reference is every softmax of a run in which PyTorch takes fused attention apart itself (`softmax_log`), brought to
(batch, heads, query, key) by what is known of the model.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torchvision_standin
from model_case import ModelCase, Prepared
from softmax_log import softmaxes

from attncore import Inputs

LIBRARIES = {"timm": "timm", "vit-pytorch": "vit_pytorch", "x-transformers": "x_transformers"}
Arrange = Callable[[torch.Tensor], torch.Tensor | None]


def installed(family: str) -> bool:
    """Whether the library of these cases can be imported."""
    return importlib.util.find_spec(LIBRARIES[family]) is not None


def all_cases() -> Iterator[ModelCase]:
    """The cases of every library, installed or not."""
    for source in ("timm_models", "vit_pytorch_models", "x_transformers_models"):
        yield from importlib.import_module(source).cases()


def cases() -> Iterator[ModelCase]:
    """The cases of every library that is installed."""
    return (case for case in all_cases() if installed(case.family))


@dataclass(frozen=True)
class Library:
    """One model: how it is made, what it is given, and how its softmaxes become references.

    ``arrange`` brings one softmax to (batch, heads, query, key) or drops it (None). ``twin`` makes a model of the same
    weights that computes the same without a fused kernel, where PyTorch cannot take the kernel apart.
    """

    family: str
    name: str
    make: Callable[[], torch.nn.Module]
    inputs: Callable[[], Inputs]
    arrange: Arrange = lambda weights: weights
    twin: Callable[[], torch.nn.Module] | None = None
    expected: dict[str, Any] = field(default_factory=dict)

    def case(self) -> ModelCase:
        """A case of the benchmark."""
        return ModelCase(self.family, self.name, self.prepare)

    def prepare(self) -> Prepared:
        """The model with its references."""
        torchvision_standin.install()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a library warns of when it is imported is its own affair
            source = model = self.make().eval()
            if self.twin is not None:
                source = self.twin().eval()
        source.load_state_dict(model.state_dict())
        inputs = self.inputs()
        references = softmaxes(source, inputs, self.arrange)
        return Prepared(model, inputs, references, **self.expected)


def image(size: int, *, batch: int = 2, frames: int | None = None) -> Callable[[], Inputs]:
    """Random pictures, or clips of pictures."""
    shape = (batch, 3, size, size) if frames is None else (batch, 3, frames, size, size)
    return partial(random_inputs, shape)


def random_inputs(shape: tuple[int, ...]) -> Inputs:
    """One random tensor."""
    return Inputs(torch.randn(shape))


# Ways to bring a softmax to (batch, heads, query, key).


def without(size: int) -> Arrange:
    """Drop what is square of this size, over feature channels or a kernel's places; keep the rest."""
    return lambda weights: None if tuple(weights.shape[-2:]) == (size, size) else weights


def windows_second(weights: torch.Tensor) -> torch.Tensor:
    """(batch, windows, heads, …) with the windows as items of the batch."""
    return weights.flatten(0, 1) if weights.dim() == 5 else weights


def windows_third(weights: torch.Tensor) -> torch.Tensor:
    """(batch, heads, windows, …) with the windows as items of the batch."""
    return weights.transpose(1, 2).flatten(0, 1) if weights.dim() == 5 else weights


def heads_folded(heads: int) -> Arrange:
    """(batch · heads, query, key) taken apart."""
    return lambda weights: weights.unflatten(0, (-1, heads)) if weights.dim() == 3 else weights


def nothing(weights: torch.Tensor) -> None:
    """None of the softmaxes is attention over positions."""


def no_sink(weights: torch.Tensor) -> torch.Tensor:
    """Without the first column, which takes mass and no value."""
    return weights[..., 1:]


def hardened(weights: torch.Tensor) -> torch.Tensor:
    """One where the softmax is largest."""
    return torch.nn.functional.one_hot(weights.argmax(-1), weights.shape[-1]).to(weights.dtype)
