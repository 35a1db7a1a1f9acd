"""Figures: their numbers are the trace's, their labels are legible, and nothing of the user's is touched."""

from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import matplotlib
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import attncore
from attncore.patterns import head_statistics
from attncore.renderers.matplotlib import MatplotlibRenderer
from attncore.testing import check_renderer, example_cross_trace, example_trace

VIEWS = MatplotlibRenderer.views


def draw(trace: attncore.AttentionTrace, view: str, **options: Any) -> Any:
    """The figure of a view."""
    return trace.render("matplotlib", view=view, **options).figure  # type: ignore[attr-defined]


def images(figure: Any) -> list[np.ndarray[Any, Any]]:
    """The numbers of every image in a figure."""
    return [np.asarray(image.get_array()) for ax in figure.axes for image in ax.get_images()]


@pytest.mark.filterwarnings("ignore:no installed font has")
def test_the_renderer_keeps_the_contract() -> None:
    """Every view, every shape of trace."""
    check_renderer(MatplotlibRenderer())


def test_a_matrix_is_the_heads_weights() -> None:
    """And without a head the mean over heads."""
    trace = example_trace(n_layers=2)
    np.testing.assert_allclose(images(draw(trace, "matrix", layer=1, head=2))[0], trace[1].weights[0, 2], atol=1e-7)
    mean = np.asarray(trace[1].weights[0]).mean(axis=0)
    np.testing.assert_allclose(images(draw(trace, "matrix", layer=1))[0], mean, atol=1e-7)


def test_the_cells_of_a_matrix_can_be_read_as_numbers() -> None:
    """Two digits, in the order of the cells."""
    trace = example_trace(n_tokens=5)
    ax = draw(trace, "matrix", head=0, values=True).axes[0]
    shown = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in ax.texts}
    weights = np.asarray(trace[0].weights[0, 0])
    assert len(shown) == 25
    for place, text in shown.items():
        assert float(text) == pytest.approx(weights[place], abs=0.0051)


def test_tokens_label_both_sides() -> None:
    """Keys across and queries down, padding left out."""
    trace = example_trace(n_tokens=8, padding=3, batch=2)
    for item, count in ((0, 8), (1, 5)):
        ax = draw(trace, "matrix", batch=item).axes[0]
        expected = list(trace.axes["tokens"].labels[item][:count])
        assert [label.get_text() for label in ax.get_xticklabels()] == expected
        assert [label.get_text() for label in ax.get_yticklabels()] == expected


def test_long_inputs_are_summed_over_keys() -> None:
    """Each row of cells still sums to one, and the colour bar says what a cell is."""
    figure = draw(example_trace(n_tokens=600, lazy=True), "matrix", head=1)
    found = images(figure)[0]
    assert max(found.shape) <= 256
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-4)
    assert "summed over 3 keys" in figure.axes[-1].get_ylabel()


@pytest.mark.parametrize("tokens", [12, 128, 1024])
def test_labels_do_not_overlap(tokens: int) -> None:
    """Smaller letters first, then fewer of them, never below five points."""
    figure = draw(example_trace(n_tokens=tokens, lazy=True), "matrix", head=0)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    labels = [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
    assert all(label.get_fontsize() >= 5 for label in labels)
    assert len(boxes) >= min(tokens, 20)
    # The boxes hold room for accents; the letters themselves must be apart.
    assert all(above.y0 - below.y0 >= 0.8 * below.height for below, above in pairwise(boxes))


def test_the_grid_shows_each_head() -> None:
    """All of them, or those asked for, on one scale."""
    trace = example_trace(n_heads=6)
    figure = draw(trace, "heads")
    np.testing.assert_allclose(np.stack(images(figure)[:6]), trace[0].weights[0], atol=1e-7)
    assert len({image.norm.vmax for ax in figure.axes for image in ax.get_images()[:1] if image.cmap.name}) <= 2
    chosen = draw(trace, "heads", heads=[4, 1])
    np.testing.assert_allclose(images(chosen)[0], trace[0].weights[0, 4], atol=1e-7)


def test_one_query_on_the_patches_of_an_image() -> None:
    """Without the class token that comes before them."""
    weights = np.random.default_rng(0).random((1, 3, 7, 7))
    weights /= weights.sum(-1, keepdims=True)
    trace = attncore.AttentionTrace.from_arrays([weights])
    axis = next(iter(trace.axes.values()))
    placed = attncore.AttentionTrace(
        trace.layers, {axis.name: axis.replaced(grid=(2, 3), kind="patch")}, trace.coverage, trace.provenance
    )
    found = images(draw(placed, "heads", query=0))
    np.testing.assert_allclose(np.stack(found[:3]), weights[0, :, 0, 1:].reshape(3, 2, 3), atol=1e-7)
    with pytest.raises(attncore.OptionError, match="image patches"):
        draw(trace, "heads", query=0)


def test_the_model_shows_every_head_of_every_layer() -> None:
    """Each in its place, on one scale."""
    trace = example_trace(n_layers=3, n_heads=4)
    found = images(draw(trace, "model"))
    assert len(found) == 12
    np.testing.assert_allclose(found[2 * 4 + 1], trace[2].weights[0, 1], atol=1e-7)


def test_lines_are_as_opaque_as_the_weights() -> None:
    """From the query's place to the key's."""
    trace = example_trace(n_tokens=6)
    ax = draw(trace, "head", head=2).axes[0]
    (lines,) = (child for child in ax.get_children() if isinstance(child, LineCollection))
    weights = np.asarray(trace[0].weights[0, 2])
    for (start, end), color in zip(lines.get_segments(), lines.get_colors(), strict=True):
        query, key = (round(float(point[1]) * 6 - 0.5) for point in (start, end))
        assert color[3] == pytest.approx(weights[query, key], abs=1e-6)


def test_few_lines_say_how_much_they_leave_out() -> None:
    """In the title."""
    rendered = example_trace(n_tokens=12).render("matplotlib", view="head", top=5)
    assert "% of the weight drawn" in rendered.title


def test_the_summary_is_the_heads_statistics() -> None:
    """Six maps of layers by heads."""
    trace = example_trace(n_layers=2)
    found = images(draw(trace, "summary"))
    statistics = [head_statistics(layer, axes=trace.axes_of(layer)) for layer in trace]
    for place, field in enumerate(("normalised_entropy", "distance", "self_mass")):
        np.testing.assert_allclose(found[place], [getattr(one, field) for one in statistics], atol=1e-6)


def test_cross_attention_has_two_kinds_of_tokens() -> None:
    """The keys' along the x axis."""
    trace = example_cross_trace()
    layer = next(layer for layer in trace if layer.kind == "cross")
    ax = draw(trace, "matrix", layer=layer.index).axes[0]
    query_axis, key_axis = trace.axes_of(layer)
    assert [label.get_text() for label in ax.get_xticklabels()] == list(key_axis.labels[0])
    assert [label.get_text() for label in ax.get_yticklabels()] == list(query_axis.labels[0])


def test_it_draws_where_it_is_told() -> None:
    """Into axes, a figure, or a part of one."""
    trace = example_trace()
    figure = Figure()
    ax = figure.subplots()
    assert draw(trace, "matrix", ax=ax) is figure
    assert ax.get_images()
    parts = Figure(figsize=(8, 4)).subfigures(1, 2)
    draw(trace, "heads", fig=parts[0])
    draw(trace, "summary", fig=parts[1])
    assert parts[0].axes
    assert parts[1].axes
    for wrong, words in (
        ({"view": "heads", "ax": ax}, "fig="),
        ({"view": "matrix", "ax": ax, "fig": figure}, "not both"),
        ({"view": "matrix", "figsize": (3, 3), "fig": figure}, "size"),
        ({"view": "matrix", "figsize": (0, 3)}, "inches"),
        ({"view": "matrix", "norm": "log"}, "sqrt"),
        ({"view": "matrix", "cmap": "viridiss"}, "viridis"),
        ({"view": "matrix", "vmax": -1}, "more than 0"),
        ({"view": "matrix", "values": 3}, "True"),
        ({"view": "head", "top": 0}, "1 or more"),
        ({"view": "heads", "heads": []}, "list"),
    ):
        with pytest.raises(attncore.OptionError, match=words):
            trace.render("matplotlib", **wrong)


@pytest.mark.parametrize("view", VIEWS)
def test_settings_pyplot_and_backend_are_left_alone(view: str) -> None:
    """No figure of pyplot's is opened, and no setting changes."""
    import matplotlib.pyplot as plt

    before = (dict(matplotlib.rcParams), matplotlib.get_backend(), plt.get_fignums())
    trace = example_trace()
    trace.render("matplotlib", view=view).bundle["image/png"]
    assert (dict(matplotlib.rcParams), matplotlib.get_backend(), plt.get_fignums()) == before


def test_styles_are_followed() -> None:
    """The colour map, the size of letters and the background are the style's."""
    with matplotlib.rc_context({"image.cmap": "magma", "ytick.labelsize": 6, "figure.facecolor": "black"}):
        figure = draw(example_trace(), "matrix")
        assert figure.axes[0].get_images()[0].cmap.name == "magma"
        assert figure.axes[0].get_yticklabels()[0].get_fontsize() == 6
        assert figure.get_facecolor()[:3] == (0, 0, 0)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_figures_are_saved(tmp_path: Path, ending: str) -> None:
    """As what their name says."""
    path = example_trace().render("matplotlib", view="head").save(tmp_path / f"figure.{ending}")
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(begins)


def test_tokens_are_never_formulas() -> None:
    """A dollar sign is one, and a broken formula breaks nothing."""
    trace = example_trace(n_tokens=3)
    axis = next(iter(trace.axes.values()))
    hostile = axis.replaced(labels=(("$x^2$", r"\frac{", "a\nb"),), raw=())
    figure = draw(
        attncore.AttentionTrace(trace.layers, {axis.name: hostile}, trace.coverage, trace.provenance), "matrix"
    )
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown == ["$x^2$", r"\frac{", "a\N{MIDDLE DOT}b"]
    assert not any(label.get_parse_math() for label in figure.axes[0].get_yticklabels())


def test_missing_characters_are_said_once_and_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install; saving says nothing more."""
    from attncore.renderers import _matplotlib_text

    monkeypatch.setattr(_matplotlib_text, "_installed", lambda: ())
    _matplotlib_text._missing.cache_clear()
    trace = example_trace(n_tokens=3)
    axis = next(iter(trace.axes.values()))
    labelled = axis.replaced(labels=(("\N{HANGUL SYLLABLE GA}", "b", "c"),), raw=())
    trace = attncore.AttentionTrace(trace.layers, {axis.name: labelled}, trace.coverage, trace.provenance)
    with pytest.warns(_matplotlib_text.MissingGlyphWarning, match="fonts-noto"):
        rendered = trace.render("matplotlib", view="matrix")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rendered.bundle["image/png"]
