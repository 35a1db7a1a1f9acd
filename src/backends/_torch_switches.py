"""Process-wide switches that a capture needs, counted, so that captures in several threads may end in any order."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack

# The garbage collector may end a dropped session at any point, also while its thread holds this.
_lock = threading.RLock()
_active = 0
_undo = ExitStack()


def switch_on() -> None:
    """Compiled code runs its eager source while any capture is under way; dynamo cannot trace function modes."""
    global _active
    with _lock:
        _active += 1
        compiling = "torch._dynamo" in sys.modules or "torch.nn.attention.flex_attention" in sys.modules
        if _active == 1 and compiling:
            import torch

            _undo.enter_context(torch.compiler.set_stance("force_eager"))
            _quiet_flex_attention()


def _quiet_flex_attention() -> None:
    """Running `flex_attention` uncompiled is what is wanted here: no warning about it."""
    module = sys.modules.get("torch.nn.attention.flex_attention")
    switch = "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG"
    if module is not None and hasattr(module, switch):
        _undo.callback(setattr, module, switch, getattr(module, switch))
        setattr(module, switch, True)


def switch_off() -> None:
    """Undo `switch_on`, when this was the last capture."""
    global _active
    with _lock:
        _active -= 1
        if _active == 0:
            _undo.close()
