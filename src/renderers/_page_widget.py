"""The page as a notebook widget: the kernel answers its questions, and its selection is synced both ways."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from attncore.errors import OptionError, SelectionError, did_you_mean
from attncore.layer import AttentionLayer

from ._page_answers import Answers
from ._page_start import THEMES, VIEWS, checked_height

_STATIC = Path(__file__).parent / "static"


class _RefusedPlaceError(SelectionError, traitlets.TraitError):
    """A layer, head, item or token that the trace does not have; what traitlets needs to take an assignment back."""


class _RefusedOptionError(OptionError, traitlets.TraitError):
    """The same for anything else."""


class _Place(traitlets.TraitType[int, int]):
    """A whole number, of Python or numpy: ``widget.item = numpy.argmax(…)`` must work."""

    info_text = "a whole number"
    default_value = 0

    def validate(self, obj: Any, value: Any) -> int:
        return _whole(self, obj, value)


class _PlaceOrNone(traitlets.TraitType[int | None, int | None]):
    """The same, or None where nothing is selected."""

    info_text = "a whole number or None"
    default_value = None

    def validate(self, obj: Any, value: Any) -> int | None:
        return None if value is None else _whole(self, obj, value)


def _whole(trait: traitlets.TraitType[Any, Any], widget: Any, value: Any) -> int:
    """``value`` as Python's int; True and False are no places."""
    if isinstance(value, bool):
        trait.error(widget, value)
    try:
        return operator.index(value)
    except TypeError:
        trait.error(widget, value)


class AttentionWidget(anywidget.AnyWidget):
    """The interactive page of a trace, exact at any length: its numbers come from the kernel when they are looked at.

    What is selected is synced both ways: read it in another cell, assign to it, or ``widget.observe(function,
    "query")``. ``layer``, ``heads``, ``item``, ``query`` and ``key`` are places from 0, as in
    ``trace[widget.layer].weights[widget.item, widget.heads]``; where only some heads were captured, a head's own number
    in the model is ``trace[widget.layer].head_numbers()[place]``. ``query`` and ``key`` are None while no token is
    pinned. A change of layer drops the heads and tokens that the new one does not have; no heads means all of them.

    Questions are answered in the kernel's thread: while a cell runs, the page waits.

    Raises:
        SelectionError, OptionError: a value was assigned that the trace or the page does not have.
    """

    _esm = _STATIC / "widget.js"
    _css = _STATIC / "viewer.css"

    _trace = traitlets.Dict(read_only=True).tag(sync=True)
    view = traitlets.Unicode("head").tag(sync=True)
    layer = _Place().tag(sync=True)
    heads = traitlets.List(_Place()).tag(sync=True)
    item = _Place().tag(sync=True)
    query = _PlaceOrNone().tag(sync=True)
    key = _PlaceOrNone().tag(sync=True)
    theme = traitlets.Unicode("auto").tag(sync=True)
    height = _Place(640).tag(sync=True)

    def __init__(self, answers: Answers, **selected: Any) -> None:
        # Before anything is assigned, since every assignment is checked against the trace.
        self._answers = answers
        super().__init__()
        self.set_trait("_trace", answers.description())
        self._fit_to_layer()
        with self.hold_trait_notifications():
            for name, value in selected.items():
                setattr(self, name, value)
        self.on_msg(self._answer)

    def __repr__(self) -> str:
        # What is left of a widget where there is no kernel.
        return (
            f'AttentionWidget of {len(self._answers.trace)} layers; trace.render("d3") shows the page without a kernel'
        )

    def _shown_layer(self) -> AttentionLayer:
        return self._answers.trace[self.layer]

    @traitlets.validate("layer", "item", "query", "key")
    def _check_place(self, proposal: Mapping[str, Any]) -> int | None:
        name, place = proposal["trait"].name, proposal["value"]
        if name == "layer":
            length, where = len(self._answers.trace), "the trace"
        else:
            layer = self._shown_layer()
            length = dict(zip(("item", "query", "key"), (layer.shape[0], *layer.shape[2:]), strict=True))[name]
            where = f'layer {self.layer} "{layer.name}"'
        if place is not None and not 0 <= place < length:
            raise _RefusedPlaceError(
                f"{name} = {place}, and {where} has {length}; places count from 0, so give 0 to {length - 1}"
            )
        return place  # type: ignore[no-any-return]

    @traitlets.validate("heads")
    def _check_heads(self, proposal: Mapping[str, Any]) -> list[int]:
        total = self._shown_layer().n_heads
        missing = [head for head in proposal["value"] if not 0 <= head < total]
        if missing:
            raise _RefusedPlaceError(
                f'heads holds {missing[0]}, and layer {self.layer} "{self._shown_layer().name}" holds {total} head(s); '
                f"places count from 0, so give some of 0 to {total - 1}, or [] for all"
            )
        return sorted(set(proposal["value"])) or list(range(total))

    @traitlets.validate("view", "theme")
    def _check_name(self, proposal: Mapping[str, Any]) -> str:
        name, value = proposal["trait"].name, proposal["value"]
        known = VIEWS if name == "view" else THEMES
        if value not in known:
            hint = did_you_mean(value, known)
            raise _RefusedOptionError(f"{name} is one of {', '.join(known)}; {value!r} was given{hint}")
        return str(value)

    @traitlets.validate("height")
    def _check_height(self, proposal: Mapping[str, Any]) -> int:
        try:
            return checked_height(proposal["value"])
        except OptionError as error:
            raise _RefusedOptionError(str(error)) from None

    @traitlets.observe("layer")
    def _fit_to_layer(self, change: Any = None) -> None:
        """Drops what this layer does not have, as the page itself does when its layer changes."""
        items, heads, queries, keys = self._shown_layer().shape
        self.heads = [head for head in self.heads if head < heads]
        self.item = min(self.item, items - 1)
        self.query = self.query if self.query is not None and self.query < queries else None
        self.key = self.key if self.key is not None and self.key < keys else None

    def _answer(self, widget: Any, message: Any, buffers: Any) -> None:
        """A question from the page: ``{"id": …, "question": {…}}``."""
        if not isinstance(message, Mapping) or "question" not in message:
            return
        try:
            answer, buffer = self._answers.answer(message["question"])
        except Exception as error:  # a page without an answer would wait for ever
            answer, buffer = {"error": f"the kernel failed on this question: {type(error).__name__}: {error}"}, b""
        self.send({"id": message.get("id"), "answer": answer}, [buffer] if buffer else None)
