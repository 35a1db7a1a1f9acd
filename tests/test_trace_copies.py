"""A trace can be copied, and pickled for another process."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from attncore import AttentionTrace, load
from attncore.testing import assert_traces_close, example_trace


@pytest.mark.parametrize("make", ["held", "lazy", "heads", "loaded"])
def test_a_trace_can_be_pickled_and_copied(make: str, tmp_path: Path) -> None:
    """Its numbers and axes come back, and it still does not change."""
    trace = example_trace(lazy=make != "held", batch=2, padding=2)
    if make == "heads":
        trace = trace.select(heads=[2, 0])
    if make == "loaded":
        trace.save(tmp_path / "trace")
        trace = load(tmp_path / "trace")
    for other in (pickle.loads(pickle.dumps(trace)), copy.deepcopy(trace), copy.copy(trace)):
        assert_traces_close(other, trace, atol=0)
        assert (other.coverage, other.provenance) == (trace.coverage, trace.provenance)
        with pytest.raises(TypeError):
            other.axes["tokens"] = trace.axes["tokens"]


def test_a_pickle_leaves_out_what_a_file_does() -> None:
    """The output and what computes gradients, neither of which can be pickled in general; copies keep both."""
    trace = example_trace()
    layer = trace[0].replaced(gradient=lambda: np.zeros(1))
    trace = AttentionTrace((layer,), trace.axes, output=(each for each in ()))
    loaded = pickle.loads(pickle.dumps(trace))
    assert (loaded.output, loaded[0].gradient) == (None, None)
    for other in (copy.copy(trace), copy.deepcopy(trace)):
        assert other.output is trace.output
        assert other[0].gradient is layer.gradient
