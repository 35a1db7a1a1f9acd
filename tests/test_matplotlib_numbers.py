"""Numbers read back from each figure's artists are the trace's, for every kind of trace and every view.

The weights are worked out here by the formula, from query and key, and pooled by products with indicator matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

import attncore
from attncore.patterns import head_statistics
from attncore.testing import example_cross_trace, example_trace

Array = np.ndarray[Any, Any]

# A trace, and which of its layers and batch items is looked at.
CASES: dict[str, tuple[Callable[[], attncore.AttentionTrace], int, int]] = {
    "plain": (lambda: example_trace(lazy=True), 1, 0),
    "one token": (lambda: example_trace(n_tokens=1, lazy=True), 0, 0),
    "1,024 tokens": (lambda: example_trace(n_tokens=1024, lazy=True), 1, 0),
    "shared key heads": (lambda: example_trace(n_heads=6, kv_heads=2, lazy=True), 0, 0),
    "second batch item": (lambda: example_trace(batch=3, lazy=True), 0, 1),
    "padding": (lambda: example_trace(batch=2, padding=4, lazy=True), 1, 1),
    "cross": (lambda: example_cross_trace(n_source=13, n_target=5, batch=2, lazy=True), 3, 1),
    "long cross": (lambda: example_cross_trace(n_source=300, n_target=40, lazy=True), 3, 0),
    "two heads of six": (lambda: example_trace(n_heads=6, lazy=True).select(heads=[4, 1]), 1, 0),
}


def weights_of(trace: attncore.AttentionTrace, layer: attncore.AttentionLayer, batch: int) -> Array:
    """(heads, query, key) in float64 from query and key, without padding."""
    assert layer.query is not None
    assert layer.key is not None
    assert layer.scoring is not None
    query, key = (np.asarray(array, np.float64)[batch] for array in (layer.query, layer.key))
    key = np.repeat(key, len(query) // len(key), axis=0)
    scores = query @ key.swapaxes(1, 2) / np.sqrt(query.shape[-1])
    kept = [np.flatnonzero(~axis.padding_of(batch)) for axis in trace.axes_of(layer)]
    scores = scores[:, kept[0]][:, :, kept[1]]
    if layer.scoring.causal:
        scores[:, np.triu(np.ones(scores.shape[1:], bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def pooled(weights: Array, most: int) -> Array:
    """In at most so many rows and columns: sums over neighbouring keys, means over neighbouring queries."""
    rows, columns = (
        (np.arange(count)[:, None] // -(-count // most) == np.arange(-(-count // -(-count // most)))).astype(float)
        for count in weights.shape[1:]
    )
    return np.asarray((rows / rows.sum(axis=0)).T @ weights @ columns)


def figure_of(trace: attncore.AttentionTrace, **options: Any) -> Any:
    """The figure of a view."""
    return trace.render("matplotlib", **options).figure  # type: ignore[attr-defined]


def images(figure: Any) -> list[Array]:
    """The numbers of every image that is not a colour bar, from the left and the top."""
    bars = [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]
    return [np.asarray(image.get_array()) for ax in figure.axes if ax not in bars for image in ax.get_images()]


def close(found: Array, expected: Array) -> None:
    """Equal, but for single precision."""
    np.testing.assert_allclose(found, expected, atol=2e-6, rtol=1e-5)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[attncore.AttentionTrace, int, int, Array, tuple[int, ...]]:
    """Trace, layer, batch item, that layer's weights, and its heads' numbers."""
    make, layer, batch = CASES[request.param]
    trace = make()
    weights = weights_of(trace, trace[layer], batch)
    return trace, layer, batch, weights, trace[layer].head_numbers()


def test_matrix(case: Any) -> None:
    """One head by the model's own number, and the mean over heads."""
    trace, layer, batch, weights, numbers = case
    (found,) = images(figure_of(trace, view="matrix", layer=layer, batch=batch, head=numbers[-1]))
    close(found, pooled(weights[-1:], 256)[0])
    (found,) = images(figure_of(trace, view="matrix", layer=layer, batch=batch))
    close(found, pooled(weights.mean(axis=0, keepdims=True), 256)[0])


def test_heads(case: Any) -> None:
    """All heads in their order, and some in the order that was asked for, each under its number."""
    trace, layer, batch, weights, numbers = case
    close(np.stack(images(figure_of(trace, view="heads", layer=layer, batch=batch))), pooled(weights, 128))
    asked = [numbers[-1], numbers[0]]
    figure = figure_of(trace, view="heads", layer=layer, batch=batch, heads=asked)
    close(np.stack(images(figure)), pooled(weights[[-1, 0]], 128))
    assert [ax.get_title() for ax in figure.axes[:2]] == [f"head {number}" for number in asked]


def test_model(case: Any) -> None:
    """Every head of every layer, at its own place."""
    trace, _, batch, _, _ = case
    figure = figure_of(trace, view="model", batch=batch)
    expected = [
        (row, head, one) for row, layer in enumerate(trace) for head, one in enumerate(layer_maps(trace, layer, batch))
    ]
    found = figure.axes[0].get_images()
    assert len(found) == len(expected)
    for image, (row, column, weights) in zip(found, expected, strict=True):
        close(np.asarray(image.get_array()), weights)
        left, right, bottom, top = image.get_extent()
        assert (left, top) == pytest.approx((1.15 * column, 1.15 * row))
        assert (right - left, bottom - top) == pytest.approx((1, 1))


def layer_maps(trace: attncore.AttentionTrace, layer: attncore.AttentionLayer, batch: int) -> Array:
    """(heads, rows, columns) of a thumbnail."""
    return pooled(weights_of(trace, layer, batch), 32)


@pytest.mark.parametrize("several", [False, True])
def test_head(case: Any, several: bool) -> None:
    """The heaviest lines, from each query's place to the key's, by opacity and colour."""
    trace, layer, batch, weights, numbers = case
    options = {} if several else {"head": numbers[-1]}
    figure = figure_of(trace, view="head", layer=layer, batch=batch, norm="linear", top=300, **options)
    shown = weights if several else weights[-1:]
    (ax,) = figure.axes
    (lines,) = (child for child in ax.get_children() if isinstance(child, LineCollection))
    colors = lines.get_colors()
    heads = place_of_colors(ax, colors, len(shown))
    found = {}
    for head, color, (start, end) in zip(heads, colors, lines.get_segments(), strict=True):
        query, key = (
            round(float(point[1]) * count - 0.5) for point, count in ((start, shown.shape[1]), (end, shown.shape[2]))
        )
        found[head, query, key] = color[3]
    largest = shown.max() if shown.max() <= 0.9 else 1.0
    assert ("solid at" in ax.get_title()) == (largest < 1)
    for place, opacity in found.items():
        assert opacity == pytest.approx(shown[place] / largest, abs=1e-5)
    assert len(found) == min(300, int((shown > 1e-3).sum()))
    left_out = shown.copy()
    left_out[tuple(np.array(list(found)).T)] = 0
    assert left_out.max() <= max(1e-3, min(shown[place] for place in found)) + 1e-6


def place_of_colors(ax: Any, colors: Array, count: int) -> list[int]:
    """The head of each line: by the legend, if there is one."""
    legend = ax.get_legend()
    if legend is None:
        assert count == 1
        return [0] * len(colors)
    keys = np.array([to_rgb(handle.get_color()) for handle in legend.legend_handles])
    assert len(np.unique(keys, axis=0)) == count
    return [int(np.abs(keys - color[:3]).sum(axis=1).argmin()) for color in colors]


@pytest.mark.parametrize("view", ["matrix", "heads", "model"])
def test_a_query_without_any_weight_is_grey(view: str) -> None:
    """Its zeros would look like attention; the colour bar says what grey is, and nothing where there is none."""
    weights = np.tril(np.ones((1, 2, 6, 6), np.float32))
    figure = figure_of(attncore.AttentionTrace.from_arrays([weights]), view=view)
    assert not any(np.isnan(np.ma.filled(np.ma.asarray(image), np.nan)).any() for image in images(figure))
    weights[:, :, 2] = 0
    figure = figure_of(attncore.AttentionTrace.from_arrays([weights]), view=view)
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert any("grey: no weight" in " ".join(label.split()) for label in labels)
    if view == "model":
        return
    for image in images(figure):
        found = np.isnan(np.ma.filled(np.ma.asarray(image), np.nan))
        assert found[2].all()
        assert not found[[0, 1, 3, 4, 5]].any()


def test_summary(case: Any) -> None:
    """Six maps of layers by heads; each head's own numbers, grey where one means nothing."""
    trace, _, batch, _, _ = case
    found = images(figure_of(trace, view="summary", batch=batch))
    fields = ("normalised_entropy", "distance", "self_mass", "previous_mass", "next_mass", "first_mass")
    statistics = [head_statistics(layer, batch, axes=trace.axes_of(layer), max_rows=256) for layer in trace]
    assert len(found) == len(fields)
    for image, field in zip(found, fields, strict=True):
        close(np.ma.filled(np.ma.asarray(image), np.nan), np.stack([getattr(one, field) for one in statistics]))


def test_summary_by_the_formula() -> None:
    """The masses of a layer, worked out here."""
    trace = example_trace(lazy=True)
    found = images(figure_of(trace, view="summary"))
    for row, layer in enumerate(trace):
        weights = weights_of(trace, layer, 0)
        for place, offset in ((2, 0), (3, -1), (4, 1)):
            close(found[place][row], np.diagonal(weights, offset, 1, 2).mean(axis=1))
        close(found[5][row], weights[:, :, 0].mean(axis=1))


@pytest.mark.parametrize("extra", [0, 1, 5])
@pytest.mark.parametrize("query", [0, -1])
def test_patches(extra: int, query: int) -> None:
    """One query's weights on the grid of patches, row by row, without the positions before them."""
    rows, columns = 3, 4
    length = extra + rows * columns
    weights = np.random.default_rng(extra).random((2, 3, length, length))
    weights /= weights.sum(axis=-1, keepdims=True)
    trace = attncore.AttentionTrace.from_arrays([weights])
    (axis,) = trace.axes.values()
    axes = {axis.name: axis.replaced(grid=(rows, columns), kind="patch")}
    trace = attncore.AttentionTrace(trace.layers, axes, trace.coverage, trace.provenance)
    for heads in (None, [2, 0]):
        figure = figure_of(trace, view="heads", query=query, batch=1, heads=heads)
        for found, head in zip(images(figure), heads or range(3), strict=True):
            for row in range(rows):
                for column in range(columns):
                    assert found[row, column] == pytest.approx(weights[1, head, query, extra + row * columns + column])


def trace_of_heads(*head_numbers: tuple[int, ...]) -> attncore.AttentionTrace:
    """A layer for each of these selections out of six heads."""
    layers = [layer.with_heads(heads) for layer, heads in zip(example_trace(3, 6), head_numbers, strict=False)]
    return attncore.AttentionTrace(tuple(layers), example_trace().axes)


@pytest.mark.parametrize("view", ["model", "summary"])
def test_columns_of_heads_have_the_models_own_numbers(view: str) -> None:
    """Those of the longest layer, where all agree; where they do not, no column claims a number."""
    ax = figure_of(trace_of_heads((4, 1), (4,)), view=view).axes[0 if view == "model" else 3]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["4", "1"]
    ax = figure_of(trace_of_heads((4, 1), (3, 1)), view=view).axes[0 if view == "model" else 3]
    assert [label.get_text() for label in ax.get_xticklabels()] == []
    assert ax.get_xlabel() == "heads, as each layer has them"


@pytest.mark.parametrize("view", ["model", "summary"])
def test_no_other_batch_item_is_drawn_than_the_one_asked_for(view: str) -> None:
    """It is named in the title, and one that there is not is refused."""
    trace = example_trace(batch=3)
    assert "item 1 of 3" in attncore.render(trace, "matplotlib", view=view, batch=1).title
    with pytest.raises(attncore.SelectionError, match="3 batch item"):
        attncore.render(trace, "matplotlib", view=view, batch=3)


def test_numbers_in_cells_are_the_weights() -> None:
    """Those above 1 and below 0 too, which no softmax gives."""
    weights = np.array([[[[1.0, 0.996, 2.5, -0.25, -0.001, -1.5]]]])
    (ax, *_) = figure_of(attncore.AttentionTrace.from_arrays([weights]), view="matrix").axes
    assert [text.get_text() for text in ax.texts] == ["1", "1", "2.50", "-.25", ".00", "-1.50"]


@pytest.mark.parametrize(("length", "padding", "words"), [(40, 20, "attention weight"), (40, 0, "weight, summed over")])
def test_the_models_colour_bar_says_whether_cells_are_sums(length: int, padding: int, words: str) -> None:
    """Of the tokens that are drawn, which are those without padding."""
    trace = example_trace(1, 2, length, padding=padding)
    assert " ".join(figure_of(trace, view="model").axes[1].get_ylabel().split()).startswith(words)
