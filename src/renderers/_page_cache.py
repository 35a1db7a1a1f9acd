"""A cache of arrays that forgets the ones not used for longest when it holds too many bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

from attncore.arrays import FloatArray


class ArrayCache:
    """Arrays by key, at most ``limit`` bytes of them; may be used from several threads."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held_bytes = 0
        self._arrays: OrderedDict[Hashable, FloatArray] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> FloatArray | None:
        """The array, which is now the last to be forgotten."""
        with self._lock:
            found = self._arrays.get(key)
            if found is not None:
                self._arrays.move_to_end(key)
            return found

    def put(self, key: Hashable, array: FloatArray) -> None:
        """Keep an array; one larger than the limit is not kept. Nobody may write into it afterwards."""
        if array.nbytes > self.limit:
            return
        array.flags.writeable = False
        with self._lock:
            before = self._arrays.pop(key, None)
            self.held_bytes += array.nbytes - (0 if before is None else before.nbytes)
            self._arrays[key] = array
            while self.held_bytes > self.limit:
                _, oldest = self._arrays.popitem(last=False)
                self.held_bytes -= oldest.nbytes
