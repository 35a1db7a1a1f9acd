"""Figures: their numbers are the trace's, their labels are legible, and nothing of the user's is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import matplotlib
from matplotlib.figure import Figure

import attncore
from attncore.patterns import head_statistics
from attncore.renderers._matplotlib_scale import color_map
from attncore.renderers.matplotlib import MatplotlibRenderer
from attncore.testing import example_cross_trace, example_trace
from attncore.weights import DenseWeights

VIEWS = MatplotlibRenderer.views


def draw(trace: attncore.AttentionTrace, view: str, **options: Any) -> Any:
    """The figure of a view."""
    return trace.render("matplotlib", view=view, **options).figure  # type: ignore[attr-defined]


def images(figure: Any) -> list[np.ndarray[Any, Any]]:
    """The numbers of every image in a figure."""
    return [np.asarray(image.get_array()) for ax in figure.axes for image in ax.get_images()]


def test_a_notebook_shows_a_figure_in_its_own_size() -> None:
    """The picture has more pixels than it is shown with, for screens that have them too."""
    rendered: Any = example_trace().render("matplotlib", view="matrix", layer=0, head=0, figsize=(5, 4))
    data, metadata = rendered._repr_mimebundle_()
    assert metadata == {"image/png": {"width": 480, "height": 384}}
    assert int.from_bytes(data["image/png"][16:20], "big") == 1000  # the width that the file itself names


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


def test_few_lines_say_how_much_they_leave_out() -> None:
    """In the title."""
    rendered = example_trace(n_tokens=12).render("matplotlib", view="head", top=5)
    assert "% of the weight drawn" in rendered.title


@pytest.mark.parametrize("tokens", [6, 24])
@pytest.mark.parametrize("heads", [12, 32, 64])
def test_the_legend_of_many_heads_leaves_room_for_the_lines(heads: int, tokens: int) -> None:
    """Beyond twenty heads, whose colours are in order, it names some and says so."""
    figure = draw(example_trace(1, heads, tokens, lazy=True), "head")
    figure.draw_without_rendering()
    (ax,) = figure.axes
    legend = ax.get_legend()
    names = [int(text.get_text()) for text in legend.get_texts()]
    step = names[1] - names[0]
    assert names == list(range(0, heads, step))
    assert ("one in" in legend.get_title().get_text()) == (step > 1) == (heads > 20)
    assert legend.get_window_extent().height < 0.4 * figure.bbox.height
    assert ax.get_window_extent().height > 0.4 * figure.bbox.height


def test_weights_below_zero_are_said() -> None:
    """They have the colour of 0, and no line."""
    weights = np.random.default_rng(0).normal(size=(1, 2, 5, 5)) / 5
    for own, said, views in ((weights, True, ("matrix", "heads", "model")), (abs(weights), False, ("matrix",))):
        trace = attncore.AttentionTrace.from_arrays([own])
        for view in views:
            label = " ".join(draw(trace, view, norm="sqrt").axes[-1].get_ylabel().split())
            assert label.endswith("negative as 0") == said, view
        title = trace.render("matplotlib", view="head").title
        assert ("negative weights not drawn" in title) == said
        assert "% of the weight" not in title


def test_lines_say_what_is_not_a_number() -> None:
    """A row of it is grey in the other views, and lines have none."""
    trace = example_trace(1, 3, 6)
    weights = np.array(trace[0].weights)
    weights[0, 1, 2] = np.nan
    broken = attncore.AttentionTrace((trace[0].replaced(stored_weights=DenseWeights(weights)),), trace.axes)
    for head, said in ((None, True), (1, True), (0, False)):
        title = broken.render("matplotlib", view="head", head=head).title
        assert ("NaN in 1 row(s) not drawn" in title) == said


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
        ({"view": "matrix", "ax": figure}, "plain matplotlib Axes"),
        ({"view": "matrix", "ax": Figure().add_subplot(projection="polar")}, "polar axes"),
        ({"view": "heads", "fig": ax}, "Figure or SubFigure"),
    ):
        with pytest.raises(attncore.OptionError, match=words):
            trace.render("matplotlib", **wrong)


def test_pyplot_is_not_imported() -> None:
    """In a process of its own, every view is drawn and saved without it, and no backend is chosen."""
    program = (
        "import sys\nfrom attncore.testing import example_trace\nimport matplotlib\n"
        f"for view in {VIEWS}:\n"
        "    rendered = example_trace(n_tokens=4).render('matplotlib', view=view)\n"
        "    for mime in ('image/png', 'image/svg+xml', 'application/pdf'): assert rendered.files[mime]\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        # Read past the mapping, which would choose one; get_backend has no way not to before matplotlib 3.10.
        "assert not isinstance(dict.__getitem__(matplotlib.rcParams, 'backend'), str)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("view", VIEWS)
def test_settings_pyplot_and_backend_are_left_alone(view: str) -> None:
    """No figure of pyplot's is opened, and no setting changes."""
    import matplotlib.pyplot as plt

    before = (dict(matplotlib.rcParams), matplotlib.get_backend(), plt.get_fignums())
    trace = example_trace()
    trace.render("matplotlib", view=view).bundle["image/png"]
    assert (dict(matplotlib.rcParams), matplotlib.get_backend(), plt.get_fignums()) == before


def test_colours_are_perceptually_uniform_and_the_norm_is_said() -> None:
    """Lightness rises evenly over matplotlib's own map, and a scale that is not linear is named."""
    colors = color_map(None)
    lightness = np.array([luminance(color) for color in colors(np.linspace(0, 1, 64))[:, :3]])
    steps = np.diff(lightness)
    assert (steps > 0.7 * steps.mean()).all()
    assert (steps < 1.3 * steps.mean()).all()
    for view in ("matrix", "heads", "model"):
        labels = [draw(example_trace(), view, norm=norm).axes[-1].get_ylabel() for norm in ("linear", "sqrt")]
        assert ["square-root" in label for label in labels] == [False, True]
    assert "square-root" in draw(example_trace(), "head", norm="sqrt").axes[0].get_title()


def luminance(color: np.ndarray[Any, Any]) -> float:
    """CIE 1976 L* of an sRGB colour."""
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    relative = float(linear @ np.array([0.2126, 0.7152, 0.0722]))
    return 116 * relative ** (1 / 3) - 16 if relative > 0.008856 else 903.3 * relative


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


def test_fonts_in_a_pdf_are_true_type(tmp_path: Path) -> None:
    """Since journals refuse type 3, matplotlib's default; the setting itself stays as it was."""
    before = matplotlib.rcParams["pdf.fonttype"]
    with matplotlib.rc_context({"pdf.compression": 0}):
        pdf = example_trace().render("matplotlib", view="matrix").save(tmp_path / "figure.pdf").read_bytes()
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf
    assert matplotlib.rcParams["pdf.fonttype"] == before
