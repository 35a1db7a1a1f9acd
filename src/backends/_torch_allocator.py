"""Lets the C library keep freed memory for the process, since a capture keeps what the model would have used again.

glibc gives freed memory back to the system as soon as there is much of it, and the next layer or the next call has to
ask for it anew, page by page. How much is much, it learns from use: twice the largest piece, up to 32 MB, that was ever
freed after it had come from the system by itself (mallopt(3), M_MMAP_THRESHOLD).
"""

from __future__ import annotations

from functools import cache

import numpy as np

# The query, key and value of a model of 12 layers of 768 numbers, for 128 tokens, are 14 MB.
_PIECE = 16 << 20


@cache
def keep_freed_memory() -> None:
    """Free one such piece, which nothing is written to: any longer input would do the same. Once in a process."""
    np.empty(_PIECE, dtype=np.uint8)
