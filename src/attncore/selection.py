"""Which layers and heads are meant: by index, name, glob or a function of the layer."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Protocol

from attncore.errors import OptionError, SelectionError, did_you_mean


class Named(Protocol):
    """What a layer selector may look at while the model runs: the first three are known then, the rest later."""

    @property
    def name(self) -> str:
        """The qualified name."""

    @property
    def index(self) -> int:
        """The place among all layers of the run."""

    @property
    def call(self) -> int:
        """Which call of this name it is."""


LayerSelector = int | str | slice | Callable[[Any], bool] | Iterable[int | str | Callable[[Any], bool]] | None
HeadSelector = int | slice | Iterable[int] | None


def whole_number(value: Any) -> int | None:
    """The number that ``value`` is, of Python, numpy or another library; None for truth values and all else."""
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")) or getattr(value, "shape", ()) != ():
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def parts_of(layers: LayerSelector) -> list[Any] | None:
    """The selector as a list of single ones; None means every layer.

    Raises:
        OptionError: it is empty or holds something that selects nothing.
    """
    if layers is None:
        return None
    number = whole_number(layers)
    if number is not None:
        parts: list[Any] = [number]
    elif isinstance(layers, str | slice | Mapping) or callable(layers) or not isinstance(layers, Iterable):
        parts = [layers]
    else:
        parts = [part if (number := whole_number(part)) is None else number for part in layers]
    if not parts:
        raise OptionError("layers= is empty, which would select nothing; leave it out to get every layer")
    for part in parts:
        if isinstance(part, bool) or not (isinstance(part, int | str | slice) or callable(part)):
            raise OptionError(
                f"layers= holds {part!r} ({type(part).__name__}); give an index, a name, a glob such as "
                '"encoder.*", a slice or a function of the layer that returns true or false'
            )
    return parts


def matches(part: Any, layer: Named, total: int | None = None) -> bool:
    """Whether one selector means this layer; ``total`` (once known) gives negative indices a meaning."""
    if isinstance(part, int):
        return layer.index == (part + total if part < 0 and total is not None else part)
    if isinstance(part, slice):
        if total is None:
            return True
        return layer.index in range(*part.indices(total))
    if isinstance(part, str):
        return part in (layer.name, f"{layer.name}@{layer.call}") or fnmatchcase(layer.name, part)
    return _says_yes(part, layer)


def _says_yes(function: Callable[[Any], Any], layer: Named) -> bool:
    """What somebody's function says of a layer.

    Raises:
        OptionError: it asks for what is not known yet.
    """
    try:
        return bool(function(layer))
    except AttributeError as error:
        if error.obj is not layer:
            raise
        raise OptionError(
            f"the function given as layers= asks for layer.{error.name}, which is not there; while a model runs, a "
            "layer has name, index and call. Choose by anything else afterwards: trace.select(layers=…)"
        ) from error


def may_match(parts: Sequence[Any] | None, layer: Named) -> bool:
    """Whether the layer can still be wanted while later layers are unknown (negative indices, slices: perhaps)."""
    if parts is None:
        return True
    return any((isinstance(part, int) and part < 0) or matches(part, layer) for part in parts)


def choose(parts: Sequence[Any] | None, layers: Sequence[Named], total: int | None = None) -> list[int]:
    """Positions in ``layers`` of those selected, in order; each selector must select something.

    A number that is not negative is a layer's own index, in a slice too. Negative ones count from the end of the layers
    held, or, where ``total`` is given, of that many of which ``layers`` are some.

    Raises:
        SelectionError: a selector means no layer; the message lists what there is.
    """
    if parts is None:
        return list(range(len(layers)))
    chosen: set[int] = set()
    for part in parts:
        if total is None and isinstance(part, slice):
            found = set(_sliced(part, [layer.index for layer in layers]))
        elif total is None and isinstance(part, int) and part < 0:
            found = {len(layers) + part} if -part <= len(layers) else set()
        else:
            found = {place for place, layer in enumerate(layers) if matches(part, layer, total)}
        if not found:
            raise SelectionError(no_such_layer(part, layers, total))
        chosen |= found
    return sorted(chosen)


def _sliced(part: slice, numbers: Sequence[int]) -> list[int]:
    """Places in ``numbers`` that a slice means; its bounds are such numbers, or if negative count from the end."""
    start, stop, step = (None if each is None else operator.index(each) for each in (part.start, part.stop, part.step))

    def beyond(place: int, bound: int) -> int:
        """How far a number is behind a bound."""
        return numbers[place] - bound if bound >= 0 else place - len(numbers) - bound

    direction = -1 if step is not None and step < 0 else 1
    places = [
        place
        for place in range(len(numbers))
        if (start is None or direction * beyond(place, start) >= 0)
        and (stop is None or direction * beyond(place, stop) < 0)
    ]
    return places[::step]


def no_such_layer(asked: Any, layers: Sequence[Named], total: int | None = None) -> str:
    """The message for a layer that does not exist."""
    names = list(dict.fromkeys(layer.name for layer in layers))
    hint = did_you_mean(asked, names) if isinstance(asked, str) else ""
    shown = ", ".join(f'"{name}"' for name in names[:6]) + (", …" if len(names) > 6 else "")
    count = len(layers) if total is None else total
    indices = list(range(count)) if total is not None else [layer.index for layer in layers]
    held = f"this trace has {count} attention layer(s), indices {_listed(indices)}" if count else "there are no layers"
    return f"no attention layer matches {asked!r}{hint}; {held}: {shown}"


def _listed(numbers: Sequence[int]) -> str:
    """``0 to 5``, or each number where some between are missing."""
    if list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


def choose_heads(heads: HeadSelector, total: int, where: str) -> tuple[int, ...]:
    """The head numbers selected out of ``total``, in the order asked.

    Raises:
        OptionError: the selection is empty or not made of integers.
        SelectionError: a head does not exist.
    """
    return choose_held_heads(heads, range(total), where)


def choose_held_heads(heads: HeadSelector, held: Sequence[int], where: str) -> tuple[int, ...]:
    """Places in ``held``, which are the model's own numbers of the heads held, of those selected, in the order asked.

    As with layers, a number that is not negative is a head's own, in a slice too, and negative ones count from the end.

    Raises:
        OptionError: the selection is empty or not made of integers.
        SelectionError: a head is not held.
    """
    if heads is None:
        return tuple(range(len(held)))
    if isinstance(heads, Mapping):
        raise OptionError(
            "heads= is a mapping; give head numbers, which hold for every layer. Heads of some layers: "
            "AttentionTrace.select(layers=…, heads=…)"
        )
    chosen: list[Any]
    if isinstance(heads, slice):
        chosen = [held[place] for place in _sliced(heads, held)]
    elif isinstance(heads, Iterable) and getattr(heads, "shape", None) != ():
        chosen = list(heads)
    else:
        chosen = [heads]
    if not chosen:
        raise OptionError(f"heads= selects nothing in {where}, which has {len(held)} heads; leave it out to get all")
    return tuple(_place_of_head(head, held, where) for head in chosen)


def _place_of_head(head: Any, held: Sequence[int], where: str) -> int:
    number = whole_number(head)
    if number is None:
        raise OptionError(f"heads= holds {head!r} ({type(head).__name__}); give head numbers")
    if number in held:
        return list(held).index(number)
    if -len(held) <= number < 0:
        return number + len(held)
    listed = f"0 to {len(held) - 1}" if list(held) == list(range(len(held))) else _listed(held)
    raise SelectionError(f"{where} has {len(held)} heads and head {number} was asked for; give {listed}")
