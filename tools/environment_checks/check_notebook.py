"""The notebook's widget: it is made, is of the kind that notebooks show, and answers the page with exact numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from shared import only, report, saved_and_shown

from attncore.testing import example_trace

if __name__ == "__main__":
    trace = example_trace(lazy=True)
    widget = trace.widget(view="matrix")
    bundle: Any = widget._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data, sorted(data)

    sent: list[tuple[Any, Any]] = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers))
    whole = {"queries": [0, 12], "keys": [0, 12], "maxRows": 12, "maxColumns": 12}
    question = {"ask": "tile", "layer": 1, "head": 3, "item": 0, **whole}
    widget._handle_msg(
        {"content": {"data": {"method": "custom", "content": {"id": 1, "question": question}}}, "buffers": []}
    )
    [(content, buffers)] = sent
    assert "error" not in content["answer"], content
    numbers = np.frombuffer(buffers[0], np.float32).reshape(12, 12)
    assert np.array_equal(numbers, np.asarray(trace[1].weights[0, 3], dtype=np.float32))
    report(only(None), "a widget that answers exactly", saved_and_shown(trace))
