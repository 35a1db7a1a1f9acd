"""The trace that a command is about: a saved one, or that of a model which is run on a text."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import typer

from attncore.api import trace as capture_trace
from attncore.attention import AttentionTrace
from attncore.cli_output import working
from attncore.errors import AttncoreError, OptionError
from attncore.model_loading import LoadedModel, load_model, running
from attncore.storage import load


def capture(model: str, text: str, text_b: str | None, **options: Any) -> AttentionTrace:
    """The trace of the model of this name on a text.

    Raises:
        OptionError: the name is that of a saved trace.
        ModelLoadError: the model cannot be loaded, or not be run on the text.
    """
    if _is_trace(model):
        raise OptionError(f'"{model}" is a trace that was captured already; show it with: attncore show {model}')
    with loading(model):
        loaded = load_model(model, text, text_b)
    return capture_loaded(model, loaded, **options)


def capture_loaded(name: str, loaded: LoadedModel, **options: Any) -> AttentionTrace:
    """The trace of a model that is loaded.

    Raises:
        ModelLoadError: it cannot be run on the text.
    """
    with working("capturing attention"), redirect_stdout(sys.stderr), running(name, loaded):
        return capture_trace(loaded.model, loaded.inputs, tokens=loaded.tokens, **options)


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Around the loading of a model: what it prints goes to standard error, since scripts read standard output."""
    with working(f"loading {name}"), redirect_stdout(sys.stderr):
        yield


def trace_of(source: str, text: str | None, text_b: str | None) -> AttentionTrace:
    """The trace in a file, or of a model on a text.

    Raises:
        typer.BadParameter: there is a text too many or too few.
    """
    if text is not None:
        if _is_trace(source):
            raise typer.BadParameter(f'"{source}" is a trace that was captured already, so it takes no TEXT')
        return capture(source, text, text_b)
    if Path(source).is_file() or source.endswith(".safetensors"):
        return load(source)
    raise typer.BadParameter(f'there is no file "{source}"; to run it as a model, give the TEXT it is to read')


def _is_trace(name: str) -> bool:
    """Whether a trace is saved under this name; whatever else a file is, loading it as a model says what is wrong."""
    if not Path(name).is_file():
        return False
    try:
        load(name)
    except AttncoreError:
        return False
    return True
