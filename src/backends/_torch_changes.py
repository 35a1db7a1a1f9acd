"""What a model does to scores before the softmax, and to weights after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from . import _torch_functions as fn
from ._torch_tags import Scores, Softmax, Tag


def precedence(tag: Tag) -> int:
    """Of several scores and weights in one operation the lowest counts: what no softmax or product has taken yet."""
    if isinstance(tag.role, Softmax):
        return 0 if tag.role.uses == 0 else 2
    assert isinstance(tag.role, Scores)
    return 3 if tag.role.operands.taken else 1


def noted(
    tag: Tag, tensor: Tensor, others: Sequence[Tag], function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tag:
    """Write down what happens to scores before, and to weights after, the softmax; ``tensor`` holds them."""
    if tag.role is None or function in fn.KEEPS_VALUES:
        return tag
    if isinstance(tag.role, Scores):
        tag.role = _scores_after(tag.role, tensor, others, function, args, kwargs)
    elif function not in fn.DROPOUT:
        tag.changes = (*tag.changes, fn.name_of(function).strip("_"))
    elif _drops(args, kwargs):
        tag.changes = (*tag.changes, "dropout")
    return tag


def _scores_after(
    scores: Scores, tensor: Tensor, others: Sequence[Tag], function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Scores:
    """The scores with one more step written down."""
    step = next((name for name, family in _STEPS if function in family), "")
    factor: float | None = 1.0
    if function in fn.SCALE_UP or function in fn.SCALE_DOWN:
        factor = _number(args, kwargs, down=function in fn.SCALE_DOWN)
        step = "" if factor is not None else "mul"
    elif step == "add":
        same = any(isinstance(other.role, Scores) and other.role.operands is scores.operands for other in others)
        same = same or sum(value is tensor for value in args) > 1
        factor = None if same else _sign(tensor, function, args) * _alpha(tensor, args, kwargs)
    elif function in fn.NEGATE:
        factor = -1.0
    elif step not in ("mask", "add") and function not in fn.DROPOUT:
        step, factor = step or fn.name_of(function).strip("_"), None
    scale = None if scores.scale is None or factor is None else scores.scale * factor
    steps = (*scores.steps, step) if step and step not in scores.steps else scores.steps
    return replace(scores, scale=scale, steps=steps)


_STEPS = (("add", fn.ADD), ("tanh", fn.TANH), ("mask", fn.MASK), ("exp", fn.EXPONENTIAL))


def _number(args: tuple[Any, ...], kwargs: dict[str, Any], *, down: bool) -> float | None:
    """The number that scores are multiplied with; None where it is not a plain one."""
    number = next((value for value in (*args, kwargs.get("other")) if isinstance(value, int | float)), None)
    if not number or kwargs.get("rounding_mode") is not None:
        return None
    return 1 / number if down else float(number)


def _sign(tensor: Tensor, function: Any, args: tuple[Any, ...]) -> float:
    """Whether scores are subtracted from something."""
    first = not args or args[0] is tensor
    return -1.0 if function in (fn.SUBTRACT if not first else fn.SUBTRACT_REVERSED) else 1.0


def _alpha(tensor: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    """What the second term of a sum is multiplied with, if the scores are that one."""
    second = len(args) > 1 and args[1] is tensor
    return float(kwargs.get("alpha", 1)) if second else 1.0


def _drops(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a dropout call drops anything."""
    rate = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
    training = kwargs.get("training", kwargs.get("train", args[2] if len(args) > 2 else True))
    return bool(rate) and bool(training)
