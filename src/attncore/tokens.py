"""From what the user gives as ``tokens=`` to labels on the axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from attncore.axis import AxisKind, BoolArray, IntArray, Labels, TokenAxis
from attncore.axis_book import QUERIES, REORDERED
from attncore.errors import TokenError, did_you_mean, named
from attncore.token_display import looks_special, readable

_SHOWN_AXES = 8
_OF_IDS = "to have token ids turned into text, give the tokenizer"


@dataclass(frozen=True)
class AxisFacts:
    """What a backend learned about an axis from the inputs; arrays are (batch, length), except ``steps`` (length,)."""

    ids: npt.NDArray[np.integer[Any]] | None = None
    padding: BoolArray | None = None
    segments: IntArray | None = None
    kind: AxisKind | None = None
    grid: tuple[int, int] | None = None
    steps: IntArray | None = None


def label_axes(
    axes: Mapping[str, TokenAxis], tokens: Any, facts: Mapping[str, AxisFacts] | None = None
) -> dict[str, TokenAxis]:
    """The axes with labels, padding, special tokens and segments.

    Args:
        axes: the axes by name, the main one first.
        tokens: None; a tokenizer, or a processor that has one; a list of strings (batch of one); a list of such lists,
            one per batch item; or a mapping from axis name to any of these. A list is for the text, where a model is
            given text and something else.
        facts: what is known about each axis from the inputs.

    Raises:
        TokenError: a wrong number of labels, an unknown axis, or a tokenizer where no token ids were seen.
    """
    facts = facts or {}
    known = {name: _with_facts(axis, facts.get(name)) for name, axis in axes.items()}
    tokens = _inner_tokenizer(tokens)
    if tokens is None:
        return known
    if isinstance(tokens, Mapping) and not is_tokenizer(tokens):
        for name, labels in tokens.items():
            if name not in known:
                advice = "; in place of the model's inputs, give the tokenizer" if "input_ids" in tokens else ""
                raise TokenError(
                    f'tokens= names the axis "{name}"{did_you_mean(str(name), known)}; this trace has {sorted(known)}'
                    f"{advice}"
                )
            known[name] = _labelled(known[name], labels, facts.get(name))
        return known
    if is_tokenizer(tokens):
        return _all_from_tokenizer(known, tokens, facts)
    main = _main_axis(known, facts)
    others = f"; {_choice(known, main)}" if len(known) > 1 else ""
    known[main] = _labelled(known[main], tokens, facts.get(main), others)
    return known


def _with_facts(axis: TokenAxis, facts: AxisFacts | None) -> TokenAxis:
    if facts is None:
        return axis
    kind = facts.kind or axis.kind
    return axis.replaced(padding=facts.padding, segments=facts.segments, kind=kind, grid=facts.grid, steps=facts.steps)


def _main_axis(axes: Mapping[str, TokenAxis], facts: Mapping[str, AxisFacts]) -> str:
    """The axis that a bare list of labels is for: the one whose token ids are known, else the first that may be text.

    Raises:
        TokenError: there are several streams of tokens, so that it must be said which is meant; or the model puts its
            input in another order before all its layers.
    """
    if "encoder" in axes and "decoder" in axes:
        streams = {name: axes[name] for name in ("encoder", "decoder")}
        raise TokenError(_choice(streams, "encoder"))
    in_order = [name for name in axes if not name.partition("@")[0].endswith(REORDERED)]
    if not in_order:
        raise TokenError(
            "the model puts positions in another order than it was given before all its layers; "
            + _choice(axes, next(iter(axes)))
        )
    whole = [name for name in in_order if not name.partition("@")[0].endswith(QUERIES)]
    known = [name for name in whole if name in facts and facts[name].ids is not None]
    known.sort(key=lambda name: name.partition("@")[0] != "tokens")  # before inputs beside the model's main one
    maybe = [name for name in whole if axes[name].kind in ("text", "position")]
    return next(iter((*known, *maybe, *in_order)))


def _choice(axes: Mapping[str, TokenAxis], example: str) -> str:
    """The axes that labels may be for, and how to say which."""
    return f'the trace has the axes {_sizes(axes)}; give tokens as a mapping, such as tokens={{"{example}": [...]}}'


def _sizes(axes: Mapping[str, TokenAxis]) -> str:
    """The axes with their lengths, the first few of many."""
    shown = [f'"{name}" ({axis.length})' for name, axis in islice(axes.items(), _SHOWN_AXES)]
    return ", ".join([*shown, "…"] if len(axes) > _SHOWN_AXES else shown)


def _all_from_tokenizer(
    axes: dict[str, TokenAxis], tokenizer: Any, facts: Mapping[str, AxisFacts]
) -> dict[str, TokenAxis]:
    labelled = {
        name: _labelled(axis, tokenizer, facts[name]) if name in facts and facts[name].ids is not None else axis
        for name, axis in axes.items()
    }
    reordered = any(name.partition("@")[0].endswith(REORDERED) for name in axes)
    if not reordered and not any(fact.ids is not None for fact in facts.values()):
        raise TokenError(
            f"tokens= is a tokenizer and the model was given no token ids that fit an axis ({_sizes(axes)}); "
            "give the labels as a list of strings, or a list per batch item"
        )
    return labelled


def _labelled(axis: TokenAxis, labels: Any, facts: AxisFacts | None, others: str = "") -> TokenAxis:
    """The axis with these labels, from a tokenizer or from strings; ``others`` is said when they do not fit."""
    special: BoolArray | None = None
    labels = _inner_tokenizer(labels)
    if is_tokenizer(labels):
        ids = None if facts is None else facts.ids
        if ids is None:
            raise TokenError(f'axis "{axis.name}": a tokenizer was given, but the model was given no ids for it')
        raw = tuple(tuple(_spelled(labels, row)) for row in ids)
        special_ids = getattr(labels, "all_special_ids", None)
        special = None if special_ids is None else np.isin(ids, list(special_ids))
    else:
        raw = _rows(axis, labels, others)
    shown = tuple(readable(row) for row in raw)
    if special is None:
        special = np.array([[looks_special(token) for token in row] for row in raw], dtype=bool)
    return axis.replaced(labels=shown, raw=raw, kind="text" if axis.kind == "position" else axis.kind, special=special)


def _rows(axis: TokenAxis, labels: Any, others: str) -> Labels:
    """The user's strings as one row per batch item, counted."""
    if isinstance(labels, str) or not isinstance(labels, Sequence | np.ndarray):
        advice = "; split it as the model does" if isinstance(labels, str) else ""
        advice = f"; {_OF_IDS}" if hasattr(labels, "shape") else advice
        raise TokenError(
            f'axis "{axis.name}": tokens must be a list of strings, a list per batch item or a tokenizer; '
            f"a {type(labels).__name__} was given{advice}"
        )
    rows = [labels] if all(isinstance(label, str) for label in labels) else list(labels)
    _check_are_strings(axis, rows)
    if len(rows) != axis.batch:
        advice = "give a list of labels for each batch item" if len(rows) == 1 else "give one list per batch item"
        raise TokenError(
            f'axis "{axis.name}" has a batch of {axis.batch} and labels for {len(rows)} item(s) were given; {advice}'
            f"{others}"
        )
    for item, row in enumerate(rows):
        if isinstance(row, str):
            raise TokenError(f'axis "{axis.name}", batch item {item}: {row!r} was given for a list of labels')
        if len(row) != axis.length:
            raise TokenError(
                f'axis "{axis.name}", batch item {item}: {len(row)} tokens were given and the axis has '
                f"{axis.length} positions (special tokens and padding count); give a label for each, or the tokenizer, "
                f"or nothing to have them numbered{_of_output_ids(axis, len(row))}{others}"
            )
    return tuple(tuple(str(label) for label in row) for row in rows)


def _check_are_strings(axis: TokenAxis, rows: Sequence[Any]) -> None:
    """Raise where something is given for a label, or for a row of labels, that can be none."""
    for row in rows:
        is_row = isinstance(row, Sequence | np.ndarray) and not isinstance(row, bytes)
        wrong = [label for label in row if not isinstance(label, str)] if is_row else [row]
        if wrong:
            advice = "decode them: [token.decode() for token in …]" if isinstance(wrong[0], bytes) else _OF_IDS
            raise TokenError(
                f'axis "{axis.name}": tokens holds {wrong[0]!r} ({type(wrong[0]).__name__}) and labels must be '
                f"strings; {advice}"
            )


def _of_output_ids(axis: TokenAxis, given: int) -> str:
    """What to say to labels of all the ids that a generation returns: its last one was never an input."""
    if axis.steps is None or not axis.steps.any() or given != axis.length + 1:
        return ""
    return "; the last token that a generation writes is never a query: where labels are of all its ids, leave it out"


def is_tokenizer(tokens: Any) -> bool:
    """Something that turns token ids into texts: Hugging Face, tokenizers, sentencepiece, tiktoken, or a function."""
    return _spells(tokens) or (callable(tokens) and not isinstance(tokens, Sequence))


def _spells(tokens: Any) -> bool:
    """Whether this has a method that gives the token of an id."""
    known = ("convert_ids_to_tokens", "id_to_token", "id_to_piece", "decode_single_token_bytes")
    return any(hasattr(tokens, name) for name in known)


def _inner_tokenizer(tokens: Any) -> Any:
    """The tokenizer of a processor, which prepares text and images for a model; anything else as it is."""
    inner = getattr(tokens, "tokenizer", None)
    return inner if _spells(inner) and not _spells(tokens) else tokens


def _spelled(tokenizer: Any, ids: npt.NDArray[np.integer[Any]]) -> list[str]:
    """The tokens of these ids as the tokenizer spells them; an id it does not know becomes ``<id>``."""
    numbers = [int(number) for number in ids]
    if hasattr(tokenizer, "convert_ids_to_tokens"):
        spelled = tokenizer.convert_ids_to_tokens(numbers)
    elif hasattr(tokenizer, "id_to_token"):
        spelled = [tokenizer.id_to_token(number) for number in numbers]
    elif hasattr(tokenizer, "id_to_piece"):
        spelled = [tokenizer.id_to_piece(number) for number in numbers]
    elif hasattr(tokenizer, "decode_single_token_bytes"):
        spelled = [tokenizer.decode_single_token_bytes(number).decode("utf-8", "replace") for number in numbers]
    else:
        spelled = _spelled_by(tokenizer, numbers)
    return [f"<{number}>" if token is None else str(token) for token, number in zip(spelled, numbers, strict=True)]


def _spelled_by(function: Callable[[list[int]], Any], ids: list[int]) -> list[Any]:
    """The labels that somebody's own function gives for these ids.

    Raises:
        TokenError: it fails, or returns something else than a label for each.
    """
    needed = "it must return a list with a label for each, as tokenizer.convert_ids_to_tokens does"
    try:
        spelled = function(ids)
    except Exception as error:
        raise TokenError(
            f"the tokens= function was called with a list of {len(ids)} token ids and raised {named(error)}; {needed}"
        ) from error
    if isinstance(spelled, str | bytes) or not isinstance(spelled, Iterable):
        raise TokenError(f"the tokens= function returned a {type(spelled).__name__} for {len(ids)} ids; {needed}")
    labels = [one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in spelled]
    if len(labels) != len(ids):
        raise TokenError(f"the tokens= function returned {len(labels)} labels for {len(ids)} ids; {needed}")
    return labels
