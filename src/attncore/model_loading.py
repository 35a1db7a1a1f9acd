"""A model by its name, ready to be run on a text: for the command line, where there is no Python object to give.

A name is one of:

- a folder or a hub name that `transformers` loads: ``./my-bert``, ``google-t5/t5-small``;
- ``package.module:factory``, anybody's own model. ``factory()`` takes no arguments and returns

  - ``(model, prepare)``, where ``prepare(text, text_b)`` gives ``(inputs, tokens)`` as `attncore.trace` takes them, and
    ``text_b`` is None where there is no second text;
  - ``(model, tokenizer)``, where the tokenizer is one of `transformers` and the model takes what it returns;
  - ``model``, which is called with the text itself (and the second one).

The module is looked for in the current folder first.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attncore.errors import AttncoreError, did_you_mean, named

_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
# Long enough for a sentence, short enough to wait for.
_NEW_TOKENS = 40


# Tables of learned positions, as the models of transformers call them. The config alone does not tell: rotary models
# have a number of positions in it too and take more, and RoBERTa's counts rows that are no positions.
_POSITION_TABLE = re.compile(r"(^|\.)(position_embeddings?|embed_positions|wpe)$")
# Whatever a stranger's code raises; one that ends the program must not end ours without a word.
_ANY_ERROR = (Exception, SystemExit)


class ModelLoadError(AttncoreError):
    """A model could not be loaded by the name that was given, or not be run."""


@dataclass(frozen=True)
class LoadedModel:
    """A model with the inputs and tokens that `attncore.trace` takes."""

    model: Any
    inputs: Any
    tokens: Any


def load_model(name: str, text: str, text_b: str | None = None) -> LoadedModel:
    """The model of this name and ``text`` as its inputs; see the module's description for what a name may be.

    Raises:
        ModelLoadError: there is no such model, something it needs is not installed, or the hub cannot be reached.
    """
    if _FACTORY.fullmatch(name) and not Path(name).exists():
        return _from_factory(name, text, text_b)
    if name.endswith(".py") and Path(name).is_file():
        function = f"{Path(name).stem}:FUNCTION"
        raise ModelLoadError(f'"{name}" is a file of Python; give a function in it that returns the model: {function}')
    if name.startswith((".", "/", "~")) and not Path(name).expanduser().exists():
        raise ModelLoadError(f'there is no folder "{name}"; give one that holds config.json, weights and a tokenizer')
    return load_transformers_model(name, text, text_b)


def _from_factory(name: str, text: str, text_b: str | None) -> LoadedModel:
    factory = _find_factory(name)
    with _told(f'"{name}" was called without arguments and'):
        made = factory()
    texts = (text,) if text_b is None else (text, text_b)
    if made is None:
        raise ModelLoadError(f'"{name}" returned None; return a model, (model, tokenizer) or (model, prepare)')
    if not isinstance(made, tuple):
        return LoadedModel(made, texts, None)
    if len(made) != 2:
        raise ModelLoadError(
            f'"{name}" returned {len(made)} things; return a model, (model, tokenizer) or (model, prepare)'
        )
    model, second = made
    if hasattr(second, "convert_ids_to_tokens"):
        with _told(f'the tokenizer of "{name}" was given the text and'):
            return LoadedModel(model, _tokenized(model, second, *texts), second)
    if not callable(second):
        raise ModelLoadError(
            f'"{name}" returned a model and a {type(second).__name__}, which is neither a tokenizer of transformers '
            "nor a function; return (model, prepare), where prepare(text, text_b) gives (inputs, tokens)"
        )
    return _prepared(name, model, second, text, text_b)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Around a stranger's code, whose errors are told in a sentence that begins with ``what``."""
    try:
        yield
    except AttncoreError:
        raise
    except _ANY_ERROR as error:
        raise ModelLoadError(f"{what} raised {named(error)}") from error


@contextmanager
def running(name: str, loaded: LoadedModel) -> Iterator[None]:
    """Around a call of the model, whose errors are told in a sentence: they are no fault of attncore's.

    Raises:
        ModelLoadError: it failed.
    """
    try:
        yield
    except AttncoreError:
        raise
    except _ANY_ERROR as error:
        if not isinstance(loaded.inputs, tuple) or not all(isinstance(one, str) for one in loaded.inputs):
            hint = _too_long_perhaps(loaded)
            raise ModelLoadError(f'the model "{name}" was run on the text and raised {named(error)}{hint}') from error
        raise ModelLoadError(
            f'the model that "{name}" returned was called with the text itself and raised {named(error)}; if it takes '
            "something else, return (model, tokenizer), with a tokenizer of transformers, or (model, prepare), where "
            "prepare(text, text_b) gives (inputs, tokens)"
        ) from error


def _prepared(name: str, model: Any, prepare: Callable[..., Any], text: str, text_b: str | None) -> LoadedModel:
    with _told(f'prepare(text, text_b) of "{name}"'):
        prepared = prepare(text, text_b)
    if not isinstance(prepared, tuple) or len(prepared) != 2:
        raise ModelLoadError(
            f'prepare(text, text_b) of "{name}" returned a {type(prepared).__name__}; return (inputs, tokens)'
        )
    return LoadedModel(model, *prepared)


def _find_factory(name: str) -> Callable[[], Any]:
    """The function of ``package.module:factory``."""
    module_name, _, path = name.partition(":")
    if module_name.endswith(".py"):
        raise ModelLoadError(
            f'"{name}" names a file; give the module\'s name: {module_name.removesuffix(".py")}:{path}'
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except _ANY_ERROR as error:
        raise ModelLoadError(
            f'cannot import "{module_name}" for the model "{name}": {named(error)}; it is looked for in the current '
            "folder and among the installed packages"
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            public = [known for known in vars(found) if not known.startswith("_")]
            raise ModelLoadError(f'"{module_name}" has no "{part}"{did_you_mean(part, public)}; "{name}" asks for it')
        found = getattr(found, part)
    is_model = hasattr(found, "named_modules") and not isinstance(found, type)
    if is_model or not callable(found):
        raise ModelLoadError(f'"{name}" is a {type(found).__name__}; it must be a function that returns the model')
    return found  # type: ignore[no-any-return]


def load_transformers_model(
    name: str, text: str, text_b: str | None = None, *, gguf_file: str | None = None
) -> LoadedModel:
    """A model and tokenizer of `transformers`, from a folder or the hub.

    An encoder-decoder is run with ``text`` as its source and ``text_b`` as its target; without one, the target is what
    the model generates. To any other model the two are a pair of sentences.

    Raises:
        ModelLoadError: see `load_model`.
    """
    transformers = _transformers(name)
    options = {} if gguf_file is None else {"gguf_file": gguf_file}
    try:
        config = transformers.AutoConfig.from_pretrained(name, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
        encoder_decoder = bool(getattr(config, "is_encoder_decoder", False))
        kind = transformers.AutoModelForSeq2SeqLM if encoder_decoder else transformers.AutoModel
        model = kind.from_pretrained(name, **options)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        raise ModelLoadError(_why_not(name, error) + _swapped_perhaps(text)) from error
    with _told(f'"{name}" was given the text and'):
        if encoder_decoder:
            return LoadedModel(model, _source_and_target(model, tokenizer, text, text_b), tokenizer)
        texts = (text,) if text_b is None else (text, text_b)
        return LoadedModel(model, _tokenized(model, tokenizer, *texts), tokenizer)


def _tokenized(model: Any, tokenizer: Any, *texts: str, **options: Any) -> dict[str, Any]:
    """What the tokenizer makes of the texts.

    Raises:
        ModelLoadError: it makes more tokens than the model has positions for.
    """
    inputs = dict(tokenizer(*texts, return_tensors="pt", **options))
    check_length(_token_count(inputs), most_positions(model))
    return inputs


def check_length(tokens: int, most: int | None) -> None:
    """Whether a model takes so many tokens, where it is known how many it takes at the most.

    Raises:
        ModelLoadError: it does not.
    """
    if most is not None and tokens > most:
        raise ModelLoadError(f"the text has {tokens} tokens and this model takes {most}; give a shorter one")


def _token_count(inputs: Any) -> int:
    ids: Any = inputs.get("input_ids") if isinstance(inputs, dict) else None
    return int(ids.shape[-1]) if getattr(ids, "shape", ()) else 0


def most_positions(model: Any) -> int | None:
    """How many tokens a model has learned positions for; None where it computes them and so takes any number."""
    named = getattr(model, "named_modules", None)
    tables = [module for name, module in named() if _POSITION_TABLE.search(name)] if named else []
    sizes = [_usable_rows(table) for table in tables if hasattr(table, "weight")]
    limit = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    return min(max(sizes), limit or max(sizes)) if sizes else None


def _usable_rows(table: Any) -> int:
    """Rows of a table of positions; those up to the row for padding, as RoBERTa's has one, are no positions."""
    padding = getattr(table, "padding_idx", None)
    return int(table.weight.shape[0]) - (0 if padding is None else padding + 1)


def _too_long_perhaps(loaded: LoadedModel) -> str:
    """A clause for a failed run of a text that is longer than its tokenizer says the model takes."""
    tokens, most = _token_count(loaded.inputs), getattr(loaded.tokens, "model_max_length", None)
    if not isinstance(most, int) or tokens <= most:
        return ""
    return f"; the text has {tokens} tokens and by its tokenizer the model takes {most}, so try a shorter one"


def _transformers(name: str) -> Any:
    """The `transformers` library with its progress bars off, since we show our own."""
    try:
        importlib.import_module("torch")  # transformers imports without it and then cannot load anything
        transformers: Any = importlib.import_module("transformers")
    except ImportError as error:
        raise ModelLoadError(
            f'loading "{name}" by its name needs transformers and torch ({error}); install them with\n'
            '    pip install "attncore[transformers]"\n'
            "or give your own model as package.module:factory"
        ) from error
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    # The hub's client announces each of its retries; what matters is how they end.
    importlib.import_module("huggingface_hub").logging.set_verbosity_error()
    return transformers


def _why_not(name: str, error: Exception) -> str:
    """Why transformers could not load a name, in words for the person who typed it."""
    folder = Path(name)
    if folder.is_dir():
        files = sorted(path.name for path in folder.iterdir())[:8]
        return (
            f'transformers cannot load the folder "{name}": {named(error)}; a model\'s folder has config.json, '
            f"weights and a tokenizer, and this one has: {', '.join(files) or 'nothing'}"
        )
    if folder.exists():
        return (
            f'"{name}" is a file and neither a trace nor a model\'s folder; give the folder that holds config.json, '
            "or a file that attncore trace wrote"
        )
    return (
        f'there is no folder "{name}" here, and loading it from the hub failed: {named(error)}; check the spelling '
        "and the network, or give a folder that holds the model, or your own model as package.module:factory"
    )


def _swapped_perhaps(text: str) -> str:
    """A clause for a model that is not found, where the text looks like one."""
    looks_like_model = _FACTORY.fullmatch(text) or Path(text).is_dir()
    return f'; the model comes first and the text second, and the text given is "{text}"' if looks_like_model else ""


def _source_and_target(model: Any, tokenizer: Any, text: str, text_b: str | None) -> dict[str, Any]:
    """Inputs of an encoder-decoder: the source, and the target shifted as in training."""
    inputs = _tokenized(model, tokenizer, text)
    if text_b is None:
        target = model.generate(**inputs, max_new_tokens=_NEW_TOKENS)
    else:
        labels = _tokenized(model, tokenizer, text_target=text_b)["input_ids"]
        target = model.prepare_decoder_input_ids_from_labels(labels)
    return {**inputs, "decoder_input_ids": target}
