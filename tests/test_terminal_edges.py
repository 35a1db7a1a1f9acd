"""The terminal renderer at its edges: rows without attention, long inputs, colour or none, and what it refuses."""

from __future__ import annotations

import io
import re
import sys
import time
from typing import Any

import numpy as np
import pytest

from attncore import AttentionLayer, AttentionTrace, OptionError, SelectionError, TokenAxis, UnavailableError
from attncore.arrays import Array
from attncore.patterns import head_statistics
from attncore.renderers.terminal import TerminalRenderer
from attncore.testing import example_cross_trace, example_trace
from attncore.weights import DenseWeights

RENDERER = TerminalRenderer()


def softmax(rng: np.random.Generator, *shape: int) -> Array:
    """Random rows that sum to 1."""
    scores = np.exp(rng.normal(size=shape) * 2)
    return np.asarray(scores / scores.sum(axis=-1, keepdims=True))


def troubled_trace(queries: int = 9, keys: int = 7) -> AttentionTrace:
    """Cross-attention with a masked row (2), a row of NaN (4) and two padded positions at each end."""
    weights = softmax(np.random.default_rng(0), 1, 2, queries, keys)
    weights[..., -2:] = 0
    weights[:, :, 2] = 0
    weights[:, :, 4] = np.nan
    axes = {}
    for name, length in (("source", keys), ("target", queries)):
        padding = (np.arange(length) >= length - 2)[None]
        axis = TokenAxis.of_positions(name, 1, length).replaced(padding=padding)
        axes[name] = axis.replaced(labels=(tuple(f"{name[0]}{place}" for place in range(length)),))
    layer = AttentionLayer("cross", 0, "target", "source", DenseWeights(weights), kind="cross")
    return AttentionTrace((layer,), axes)


def text_of(trace: AttentionTrace, view: str, width: int = 80, **options: Any) -> str:
    """The plain text of a view."""
    return str(RENDERER.render(trace, view=view, width=width, color=False, **options).bundle["text/plain"])


def test_rows_without_attention_are_marked_not_drawn() -> None:
    """Masked, NaN and padded queries say what they are in every view of a head."""
    matrix = text_of(troubled_trace(), "matrix", head=0).splitlines()
    rows = {one.split()[1]: one.split()[2:] for one in matrix if one[:1].isdigit()}
    assert rows["t2"][0] == "masked"
    assert rows["t4"][0] == "NaN"
    assert rows["t7"][0] == rows["t8"][0] == "pad"
    assert len(rows["t0"]) == 7
    head = text_of(troubled_trace(), "head", head=0)
    assert "2 t2  masked" in head
    assert "4 t4  NaN" in head
    assert "7 t7  pad to position 8" in head


@pytest.mark.parametrize(("query", "words"), [(2, "masked"), (4, "NaN"), (8, "padding")])
def test_a_query_without_attention_has_no_bars(query: int, words: str) -> None:
    """Asked for such a row, the head view says why there is nothing to show."""
    text = text_of(troubled_trace(), "head", query=query)
    assert words in text
    assert "━" not in text


def test_weights_that_are_no_shares_are_rounded_and_not_cut() -> None:
    """1.29 is 1.3, and 12.7 is 13: arrays that somebody brings need not be a softmax's."""
    trace = AttentionTrace.from_arrays([np.array([[[[1.29, 12.7, 0.124, 0.0]]]])])
    line = text_of(trace, "head").splitlines()[-1]
    assert [line.split("█")[place].split()[0] for place in (1, 2)] == ["13", "1.3"]
    assert "▁.12" in line


def test_padded_keys_are_marked() -> None:
    """The columns of padded keys are called pad; a weight that a model gave them all the same is marked too."""
    assert text_of(troubled_trace(), "matrix").count("pad") == 4  # two keys, two queries
    axis = TokenAxis("tokens", 3, (("a", "b", "c"),), kind="text", padding=np.array([[False, False, True]]))
    layer = AttentionLayer("layer", 0, "tokens", "tokens", DenseWeights(np.full((1, 1, 3, 3), 1 / 3)))
    trace = AttentionTrace((layer,), {"tokens": axis})
    assert "c pad  " in text_of(trace, "head", query=0)


def test_cross_attention_shows_both_texts() -> None:
    """Queries are labelled with the one axis and keys with the other."""
    trace = example_cross_trace()
    layer = next(layer for layer in trace if layer.kind == "cross")
    queries, keys = trace.axes_of(layer)
    text = text_of(trace, "head", width=200, layer=layer.index, head=0, query=1, top=100)
    assert f'"{queries.name}" to "{keys.name}"' in text
    shown = [one.split()[1] for one in text.splitlines()[4:]]
    assert shown
    assert set(shown) <= set(keys.labels[0])


@pytest.mark.parametrize("view", RENDERER.views)
@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_shortest_inputs(view: str, length: int) -> None:
    """One token is enough for every view."""
    assert text_of(example_trace(1, 2, length), view)


@pytest.mark.parametrize("view", RENDERER.views)
def test_long_inputs_are_quick(view: str) -> None:
    """A thousand tokens and 24 heads take well under the second that a reader would notice."""
    weights = softmax(np.random.default_rng(0), 1, 12, 1024, 1024).astype(np.float32)
    trace = AttentionTrace.from_arrays([weights, weights])
    start = time.process_time()
    text = text_of(trace, view)
    assert time.process_time() - start < 1
    assert view == "head" or len(text.splitlines()) < 100


def test_a_single_query_reads_a_single_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head view of one query computes that row alone."""
    trace = example_trace(1, 4, 50, lazy=True)
    read: list[tuple[int, int]] = []
    block = trace[0].weights.block

    def watched(batch: Any, heads: Any, rows: Any) -> Array:
        read.append((len(heads), len(rows)))
        return block(batch, heads, rows)

    monkeypatch.setattr(trace[0].weights, "block", watched)
    text_of(trace, "head", head=2, query=30)
    assert read == [(1, 1)]


def test_selected_heads_keep_their_numbers() -> None:
    """After a selection heads are asked for, and labelled, by the model's own numbers."""
    trace = example_trace(1, 4, 6).select(heads=[3, 1])
    assert "head 3" in text_of(trace, "head", head=3, query=0)
    assert "0.3" in text_of(trace, "model")
    with pytest.raises(SelectionError, match="give 3, 1"):
        text_of(trace, "head", head=0)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"head": 4}, SelectionError, "give 0 to 3"),
        ({"head": True}, OptionError, "head is a number"),
        ({"layer": 9}, SelectionError, "2 attention layer"),
        ({"layer": "nope"}, SelectionError, "nope"),
        ({"layer": 1.5}, OptionError, "index or a name"),
        ({"batch": 1}, SelectionError, "1 batch item"),
        ({"batch": "x"}, OptionError, "batch is the number"),
        ({"query": 12}, SelectionError, "give 0 to 11"),
        ({"query": "dog"}, SelectionError, "no token"),
        ({"query": 0.5}, OptionError, "query is a position"),
        ({"top": 0}, OptionError, "top is how many"),
        ({"sort": "size"}, OptionError, "sort is"),
        ({"width": 3}, OptionError, "24 or more"),
        ({"color": "yes"}, OptionError, "color is True"),
        ({"view": "heads"}, OptionError, 'did you mean "head"'),
    ],
)
def test_what_does_not_exist_is_said(options: dict[str, Any], error: type[Exception], words: str) -> None:
    """Each error lists what there is."""
    with pytest.raises(error, match=words):
        RENDERER.render(example_trace(), **{"view": "head", **options})


def test_reduced_layers() -> None:
    """The summary describes what was kept of them; the pictures say that there are no weights."""
    trace = example_trace(2, 4, 12)
    reduced = [layer.replaced(stored_weights=None, reduced=head_statistics(layer)) for layer in trace]
    mixed = AttentionTrace((reduced[0], trace[1]), trace.axes)
    assert "reduced" in text_of(mixed, "summary")
    assert "0.0 " in text_of(mixed, "summary").split("previous token")[1].splitlines()[0]
    for view in ("head", "matrix", "model"):
        with pytest.raises(UnavailableError, match="reduce="):
            text_of(mixed, view)
    nothing = AttentionTrace((reduced[0].replaced(reduced=None),), trace.axes)
    assert "no weights were kept" in text_of(nothing, "summary")


def test_an_empty_trace() -> None:
    """Without layers the summary says so and the model view is refused."""
    empty = example_trace()[:0]
    assert "0 layers" in text_of(empty, "summary")
    with pytest.raises(SelectionError, match="no attention layers"):
        text_of(empty, "model")


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable that says anything about colour."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return monkeypatch


def test_colour_for_terminals_only(plain_environment: pytest.MonkeyPatch) -> None:
    """Printed to a terminal it is coloured; in a pipe the same object is plain, and so is the bundle."""
    with plain_environment.context() as patch:
        patch.setattr(sys, "stdout", Terminal())
        rendered = RENDERER.render(example_trace(), view="matrix")
        assert "\x1b[" in str(rendered)
    assert "\x1b" not in str(rendered)
    assert "\x1b" not in str(rendered.bundle["text/plain"])


def test_no_color_is_respected(plain_environment: pytest.MonkeyPatch) -> None:
    """With NO_COLOR set a terminal gets plain text, unless colour is asked for."""
    plain_environment.setenv("NO_COLOR", "1")
    plain_environment.setattr(sys, "stdout", Terminal())
    assert "\x1b" not in str(RENDERER.render(example_trace(), view="matrix"))
    assert "\x1b" in str(RENDERER.render(example_trace(), view="matrix", color=True))


def test_sixteen_colours_get_shades(plain_environment: pytest.MonkeyPatch) -> None:
    """A terminal with few colours is shown shades of grey, never a scale it cannot draw."""
    plain_environment.setenv("TERM", "linux")
    plain_environment.setenv("COLORTERM", "")
    plain_environment.setattr(sys, "stdout", Terminal())
    text = str(RENDERER.render(example_trace(), view="model"))
    assert "▀" not in text
    assert "█" in text


def test_html_stands_alone() -> None:
    """The page names its encoding, loads nothing, and can be saved."""
    html = str(RENDERER.render(example_trace(), view="matrix").bundle["text/html"])
    assert '<meta charset="utf-8">' in html
    assert "http" not in html
    assert "<script" not in html


def test_it_is_found_by_name() -> None:
    """A trace renders with it through the plugin manager, and saves its text and its page."""
    rendered = example_trace().render("terminal", view="head", color=False, width=60)
    assert rendered.details["view"] == "head"
    assert set(rendered.bundle) == {"text/plain", "text/html"}


def matrix_of(weights: Any) -> list[str]:
    """The matrix view's lines of weights (query, key), from the line of positions on."""
    trace = AttentionTrace.from_arrays([np.asarray(weights, dtype=float)[None, None]])
    return text_of(trace, "matrix").split("\n\n")[1].splitlines()


def test_numbers_that_are_no_shares_stay_in_their_columns() -> None:
    """Negative weights and those of 10 and more end where the positions above them do."""
    lines = matrix_of([[-0.12, 0.5, 12.34], [123.4, -1.5, 0.25], [1e6, -0.001, -45.6]])
    ends = [[match.end() for match in re.finditer(r"\S+", one)][-3:] for one in lines]
    assert ends == [ends[0]] * 4
    shown = [one.split()[-3:] for one in lines[1:]]
    assert shown == [["-.12", ".50", "12.3"], ["123", "-1.50", ".25"], ["1e6", "·", "-45.6"]]


@pytest.mark.parametrize("weight", [1 / 5000, 1e-7])
def test_a_legend_of_small_weights_has_digits_enough(weight: float) -> None:
    """Each shade begins at a number of its own, and neither it nor the brightest colour is said to be nothing."""
    trace = AttentionTrace.from_arrays([np.full((1, 1, 200, 200), weight)])
    bounds = re.findall(r"[·░▒▓█] from (\S+)", text_of(trace, "matrix"))
    assert len(set(bounds)) == len(bounds) == 5
    assert all(float(bound) > 0 for bound in bounds)
    colored = str(RENDERER.render(trace, view="matrix", width=80, color=True).bundle["text/plain"])
    brightest = re.search(r"(\S+) or more", colored)
    assert brightest is not None
    assert float(re.sub(r"\S*m", "", brightest[1])) > float(bounds[-1])
