"""Writes one page with one peer, in the peer's environment: ``python peers_write.py bertviz head FILE.npy page.html``.

Prints, as JSON, the seconds of each round: from the weights in memory, as the peer takes them, to the file on the disk.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

Weights = np.ndarray[Any, np.dtype[np.float32]]
Make = Callable[[], str]
_ROUNDS, _SECONDS = 5, 30.0


def bertviz(view: str, weights: Weights, tokens: list[str]) -> Make:
    """Its head view and its model view; a list of tensors (1, heads, query, key), as a model gives them."""
    torch = import_module("torch")
    attention = [torch.from_numpy(layer)[None] for layer in weights]
    draw = getattr(import_module("bertviz"), f"{view}_view")
    return lambda: str(draw(attention, tokens, html_action="return").data)


def circuitsvis(view: str, weights: Weights, tokens: list[str]) -> Make:
    """Its attention heads: those of the first layer for the head view, and of all layers for the model view.

    In the form that loads no script, since its script is not on npm; without the causal mask that it draws by default.
    """
    layers, heads, n, _ = weights.shape
    draw = import_module("circuitsvis").attention.attention_heads
    if view == "head":
        return lambda: str(draw(weights[0], tokens, mask_upper_tri=False).local_src)
    names = [f"L{layer}H{head}" for layer in range(layers) for head in range(heads)]
    every = weights.reshape(layers * heads, n, n)
    return lambda: str(draw(every, tokens, names, mask_upper_tri=False).local_src)


def treescope(view: str, weights: Weights, tokens: list[str]) -> Make:
    """Its array: sliders for layer and head for the head view, all heads side by side for the model view."""
    draw = import_module("treescope").render_array
    labels = {2: tokens, 3: tokens}
    axes: dict[str, Any] = (
        {"rows": [2], "columns": [3], "sliders": [0, 1]} if view == "head" else {"rows": [0, 2], "columns": [1, 3]}
    )
    return lambda: str(draw(weights, **axes, truncate=False, axis_item_labels=labels)._repr_html_())


PEERS = {"bertviz": bertviz, "circuitsvis": circuitsvis, "treescope": treescope}


def main() -> None:
    """Write the page, several times where that is quick."""
    tool, view, array, file = sys.argv[1:]
    # Read as a whole, so that the clock does not run for the disk.
    weights = np.load(array)
    make = PEERS[tool](view, weights, [f"token{i}" for i in range(weights.shape[-1])])
    seconds: list[float] = []
    while len(seconds) < _ROUNDS and sum(seconds) < _SECONDS:
        start = time.perf_counter()
        Path(file).write_text(make(), encoding="utf-8")
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
