"""Every case beside those of Hugging Face, for the table of the conformance benchmark."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace

from model_case import ModelCase

SOURCES = (
    "builtin_models",
    "handwritten_products",
    "handwritten_scores",
    "handwritten_modules",
    "pooling_models",
    "not_attention",
    "library_models",
)


def cases() -> Iterator[ModelCase]:
    """The cases of every source, in order, each under a name of its own."""
    for source in SOURCES:
        yield from cases_of(source)


def cases_of(source: str) -> Iterator[ModelCase]:
    """The cases of one source; the family is part of the name, since families use the same names."""
    for case in importlib.import_module(source).cases():
        yield replace(case, name=str(case))
