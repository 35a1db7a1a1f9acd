"""The Plotly renderer keeps attncore's contract, and its numbers are the trace's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attncore_plotly.renderer import PlotlyRenderer

import attncore
from attncore.patterns import head_statistics
from attncore.testing import check_renderer, example_trace


def figure(trace: attncore.AttentionTrace, **options: Any) -> Any:
    """Plotly's figure of a view."""
    return trace.render("plotly", **options).figure  # type: ignore[attr-defined]


def test_the_contract() -> None:
    """Attncore's own suite for renderers."""
    check_renderer(PlotlyRenderer())


def test_a_matrix_is_the_heads_weights() -> None:
    """One head, and the mean of all."""
    trace = example_trace(n_layers=2)
    np.testing.assert_allclose(figure(trace, layer=1, head=2).data[0].z, trace[1].weights[0, 2], atol=1e-7)
    np.testing.assert_allclose(figure(trace).data[0].z, np.asarray(trace[0].weights[0]).mean(axis=0), atol=1e-7)


def test_bars_are_the_heads_statistics() -> None:
    """A bar a head."""
    trace = example_trace()
    bars = figure(trace, view="heads", statistic="previous_mass").data[0]
    expected = head_statistics(trace[0], axes=trace.axes_of(trace[0])).previous_mass
    np.testing.assert_allclose(bars.y, expected)


def test_the_page_needs_no_network() -> None:
    """Plotly itself is in it."""
    page = str(example_trace().render("plotly").bundle["text/html"])
    assert "Plotly.newPlot" in page
    assert 'src="http' not in page


def test_a_wrong_statistic_lists_what_there_is() -> None:
    """In the error."""
    with pytest.raises(attncore.OptionError, match="previous_mass"):
        example_trace().render("plotly", view="heads", statistic="size")
