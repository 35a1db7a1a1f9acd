"""What is left to run of a module's forward after a call inside it, read from the frames of those who are running it.

The code of a whole attention module says little: it looks kernels up and calls what it was given. But once the kernel
has run, most modules only reshape its result and project it, and each running frame tells where its code goes on.
"""

from __future__ import annotations

import dis
from collections.abc import Sequence
from functools import lru_cache
from inspect import unwrap
from types import CodeType, FrameType

from torch import nn

from ._torch_plain import Mentions, PlainCode, mentions_in, steps_of

_CALL = nn.Module._call_impl.__code__
# A module with hooks runs in this function inside it, where PyTorch has one, and nothing is found plain where it has
# not; a module without hooks only passes through the others.
_INNER = [code for code in _CALL.co_consts if isinstance(code, CodeType) and code.co_name == "inner"]
_PASSING = (_CALL, nn.Module._wrapped_call_impl.__code__)
# What calls what it is given, and may do so again when the call has ended.
_CALLING = frozenset({"map", "filter", "sorted", "sort", "reduce", "accumulate", "starmap", "iter", "vmap", "apply"})
_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
_NOT_PASSED = ("RETURN", "RAISE", "RERAISE", "JUMP_FORWARD")
# Steps that leave no result of their own behind.
_LEAVES_NOTHING = ("STORE_", "POP_", "RETURN_", "RAISE")

# The frames of a call inside a module, from the innermost out: each one's code, and where it is in it.
_Way = list[tuple[CodeType, int]]


class RestOfForward:
    """Tells whether a module's forward does no more than layers do, from a call on that is running in it."""

    def __init__(self) -> None:
        self._plain = PlainCode()
        # The way last found plain, and what the forward at its end will mention of its module: most blocks are alike.
        self._way: _Way = []
        self._own: Mentions | None = None

    def is_plain(self, frame: FrameType, module: nn.Module) -> bool:
        """Whether all code from this frame out to the call of ``module``, which has hooks, goes on like that."""
        if not self._goes_the_same_way(frame):
            self._way = []
            found = self._find_way(frame, getattr(unwrap(type(module).forward), "__code__", None))
            if found is None:
                return False
            self._way, self._own = found
        return self._own is None or self._plain.are_plain_attributes(module, self._own)

    def _goes_the_same_way(self, frame: FrameType | None) -> bool:
        for code, place in self._way:
            if frame is None or frame.f_code is not code or frame.f_lasti != place:
                return False
            frame = frame.f_back
        return bool(self._way)

    def _find_way(self, frame: FrameType | None, forward: CodeType | None) -> tuple[_Way, Mentions | None] | None:
        """The way out to the call of a module with this forward, if it is plain."""
        way, own = [], None
        while frame is not None:
            way.append((frame.f_code, frame.f_lasti))
            if frame.f_code in _INNER:
                return way, own
            if frame.f_code not in _PASSING:
                mentions = mentions_after(frame.f_code, frame.f_lasti)
                if mentions is None or not self._plain.mentions_are_plain(mentions, frame.f_globals):
                    return None
                if mentions.own:
                    if frame.f_code is not forward or own is not None:
                        return None
                    own = mentions
            frame = frame.f_back
        return None


@lru_cache(maxsize=4096)
def mentions_after(code: CodeType, offset: int) -> Mentions | None:
    """What the code mentions after the call at this offset; None where it may do more than layers do."""
    # Handlers of exceptions, and ends of contexts, may come at any time.
    if code.co_exceptiontable or not _CALLING.isdisjoint(code.co_names):
        return None
    steps = steps_of(code)
    call = max((step for step in steps if step.offset <= offset), key=lambda step: step.offset, default=None)
    if call is None or not call.opname.startswith(("CALL", "BINARY_OP")):
        return None
    reached = _reached([step for step in steps if step.offset > offset])
    return None if reached is None else mentions_in(code, reached)


def _reached(steps: Sequence[dis.Instruction]) -> list[dis.Instruction] | None:
    """The steps that may follow, with the call's result on the stack; None if they use what was put there before it.

    What waits there may be a function to be called with the result.
    """
    depths = {steps[0].offset: 1} if steps else {}
    reached = []
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        depth = depths.get(step.offset)
        if depth is None:
            continue
        reached.append(step)
        argument = step.arg if step.opcode >= dis.HAVE_ARGUMENT else None
        after = depth + dis.stack_effect(step.opcode, argument, jump=False)
        least = 0 if step.opname.startswith(_LEAVES_NOTHING) else 1
        touched = step.arg or 0 if step.opname in ("SWAP", "COPY") else 0
        if after < least or touched > depth:
            return None
        if step.opcode in _JUMPS:
            depths[step.argval] = depth + dis.stack_effect(step.opcode, argument, jump=True)
        if following is not None and not step.opname.startswith(_NOT_PASSED):
            depths[following.offset] = after
    return reached
