"""Which layers and heads are meant: by index, name, glob or a function of the layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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


def parts_of(layers: LayerSelector) -> list[Any] | None:
    """The selector as a list of single ones; None means every layer.

    Raises:
        OptionError: it is empty or holds something that selects nothing.
    """
    if layers is None:
        return None
    if isinstance(layers, int | str | slice) or callable(layers) or not isinstance(layers, Iterable):
        parts: list[Any] = [layers]
    else:
        parts = list(layers)
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
    return bool(part(layer))


def may_match(parts: Sequence[Any] | None, layer: Named) -> bool:
    """Whether the layer can still be wanted while later layers are unknown (negative indices, slices: perhaps)."""
    if parts is None:
        return True
    return any((isinstance(part, int) and part < 0) or matches(part, layer) for part in parts)


def choose(parts: Sequence[Any] | None, layers: Sequence[Named], total: int | None = None) -> list[int]:
    """Positions in ``layers`` of those selected, in order; each selector must select something.

    Raises:
        SelectionError: a selector means no layer; the message lists what there is.
    """
    if parts is None:
        return list(range(len(layers)))
    total = len(layers) if total is None else total
    chosen: set[int] = set()
    for part in parts:
        found = {place for place, layer in enumerate(layers) if matches(part, layer, total)}
        if not found:
            raise SelectionError(no_such_layer(part, layers, total))
        chosen |= found
    return sorted(chosen)


def no_such_layer(asked: Any, layers: Sequence[Named], total: int | None = None) -> str:
    """The message for a layer that does not exist."""
    names = list(dict.fromkeys(layer.name for layer in layers))
    hint = did_you_mean(asked, names) if isinstance(asked, str) else ""
    shown = ", ".join(f'"{name}"' for name in names[:6]) + (", …" if len(names) > 6 else "")
    count = len(layers) if total is None else total
    held = f"this trace has {count} attention layer(s), indices 0 to {count - 1}" if count else "there are no layers"
    return f"no attention layer matches {asked!r}{hint}; {held}: {shown}"


def choose_heads(heads: HeadSelector, total: int, where: str) -> tuple[int, ...]:
    """The head numbers selected out of ``total``, in the order asked.

    Raises:
        OptionError: the selection is empty or not made of integers.
        SelectionError: a head does not exist.
    """
    if heads is None:
        return tuple(range(total))
    if isinstance(heads, slice):
        chosen = list(range(total))[heads]
    elif isinstance(heads, int):
        chosen = [heads]
    else:
        chosen = list(heads)
    if not chosen:
        raise OptionError(f"heads= selects nothing in {where}, which has {total} heads; leave it out to get all")
    for head in chosen:
        if isinstance(head, bool) or not hasattr(head, "__index__"):
            raise OptionError(f"heads= holds {head!r} ({type(head).__name__}); give head numbers")
        if not -total <= head < total:
            raise SelectionError(f"{where} has {total} heads and head {head} was asked for; give 0 to {total - 1}")
    return tuple(int(head) % total for head in chosen)
