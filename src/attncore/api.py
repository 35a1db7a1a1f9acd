"""The functions most people use: ``trace``, ``capture``, and what is installed."""

from __future__ import annotations

import warnings
from os import PathLike
from typing import Any, Unpack

from attncore.attention import AttentionTrace
from attncore.errors import OptionError, UnsupportedModelError, did_you_mean, named
from attncore.inputs import inputs_named
from attncore.options import OptionNames
from attncore.plugins import PluginWarning, Registered, find_backend, plugins
from attncore.protocols import Backend, CaptureOptions, Session, inputs_for


def trace(
    model: Any, inputs: Any, *, tokens: Any = None, backend: str | None = None, **options: Unpack[OptionNames]
) -> AttentionTrace:
    """Run ``model`` once on ``inputs`` and capture every attention layer.

    Args:
        model: a model of any installed framework.
        inputs: a mapping is passed as keywords, a tuple as positional arguments, anything else as the one argument;
            a Keras model whose inputs have names takes a mapping of them. `attncore.Inputs` says it exactly.
        tokens: labels for the positions: a list of strings, a list per batch item, a tokenizer, a mapping from axis
            name to these, or nothing; positions are then numbered.
        backend: which backend to use; by default the one that recognises the model.
        **options: the fields of `attncore.CaptureOptions`: ``layers``, ``heads``, ``keep``, ``values``, ``dtype``,
            ``device``, ``grad`` and ``reduce``.

    Returns:
        The trace; ``trace.output`` is what the model returned.

    Raises:
        UnsupportedModelError: no backend recognises the model, or it cannot be seen inside.
        NoAttentionError: the model ran and showed no attention.
        TokenError: labels do not fit.
        OptionError: an option is unknown or has a value that is not understood.
        SelectionError: ``layers`` or ``heads`` name what is not there.
    """
    chosen = choose_backend(model, backend)
    arguments = inputs_for(chosen, model, inputs)
    session = chosen.capture(model, make_options(options))
    with session, inputs_named(arguments):
        session(*arguments.args, **arguments.kwargs)
    return session.trace(tokens=tokens)


def capture(model: Any, *, backend: str | None = None, **options: Unpack[OptionNames]) -> Session:
    """A context in which calls of ``model`` are captured; ``session.trace()`` gives the trace afterwards.

    In PyTorch, calling the model itself inside the ``with`` is the same as calling the session:

        with attncore.capture(model) as session:
            session(x)
        trace = session.trace(tokens=tokenizer)

    Args:
        model: as for `trace`.
        backend: as for `trace`.
        **options: as for `trace`.

    Raises:
        UnsupportedModelError: no backend recognises the model.
        OptionError: an option is unknown or has a value that is not understood.
    """
    return choose_backend(model, backend).capture(model, make_options(options))


def make_options(options: Any) -> CaptureOptions:
    """The options as one object.

    Raises:
        OptionError: one is unknown.
    """
    known = list(CaptureOptions.__dataclass_fields__)
    for name in options:
        if name == "tokens":
            raise OptionError("labels are given when the trace is asked for: session.trace(tokens=…)")
        if name not in known:
            hint = did_you_mean(name, [*known, "tokens", "backend"])
            hint = hint or f" (an argument of the model goes into the inputs, as attncore.Inputs(…, {name}=…))"
            raise OptionError(f'no option "{name}"{hint}; the options are {", ".join(known)}')
    return CaptureOptions(**options)


def choose_backend(model: Any, name: str | None = None) -> Backend:
    """The backend of this name, or the first that recognises the model.

    Raises:
        UnsupportedModelError: none does.
    """
    if name is not None:
        return find_backend(name)
    for registered in plugins().backends.values():
        if _recognises(registered, model):
            return registered.thing
    if isinstance(model, str | PathLike):
        raise UnsupportedModelError(
            f"{str(model)!r} is a name or a path and no model; load it first, such as with AutoModel.from_pretrained, "
            "keras.models.load_model or tf.saved_model.load, and give what that returns"
        )
    if isinstance(model, type):
        raise UnsupportedModelError(f"{model.__qualname__} is a class; give a model that was made of it")
    raise UnsupportedModelError(
        f"no backend recognises this {type(model).__module__}.{type(model).__qualname__} as a model; "
        f"installed backends: {', '.join(plugins().backends)}. Give the model itself (for PyTorch a torch.nn.Module, "
        "or a method or pipeline of one), or name the backend with backend=. For weights you already have, use "
        "AttentionTrace.from_arrays"
    )


def _recognises(registered: Registered[Backend], model: Any) -> bool:
    """Whether a backend recognises the model; one that fails at looking is passed over with a warning."""
    try:
        return bool(registered.thing.matches(model))
    except Exception as error:  # whatever a stranger's backend raises
        warnings.warn(
            f'backend "{registered.thing.name}" of {registered.distribution} could not look at a '
            f"{type(model).__name__}, and is passed over: {named(error)}",
            PluginWarning,
            stacklevel=2,
        )
        return False


def renderers() -> dict[str, tuple[str, ...]]:
    """The installed renderers, each name with its views; the first renderer, and its first view, are the default."""
    return {name: tuple(registered.thing.views) for name, registered in plugins().renderers.items()}


def backends() -> tuple[str, ...]:
    """The names of the installed backends, whether or not their framework is."""
    return tuple(plugins().backends)
