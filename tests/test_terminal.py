"""The terminal renderer: what is drawn is what the weights say, in any width, with any tokens."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from attncore import AttentionLayer, AttentionTrace, TokenAxis
from attncore.arrays import Array
from attncore.renderers.terminal import TerminalRenderer
from attncore.testing import check_renderer, example_cross_trace, example_trace
from attncore.weights import DenseWeights

RENDERER = TerminalRenderer()
VIEWS = RENDERER.views
SHADES = " ·░▒▓█"
HOSTILE = (
    "[bold]x[/bold]",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "日本語",
    "שלום",
    "عربى",
    "👨\u200d👩\u200d👧",
    "❤\ufe0f",
    "e" + "\u0301" * 20,
    "\u0301",
    "a\nb\tc\r",
    "\u202egnp.exe",
    "<script>alert(1)</script>",
    "a_token_that_never_comes_to_an_end",
    "",
    "  ",
    "\u200b",
    "\ud800",
)


def text_of(trace: AttentionTrace, view: str, width: int = 80, **options: Any) -> str:
    """The plain text of a view."""
    return str(RENDERER.render(trace, view=view, width=width, color=False, **options).bundle["text/plain"])


def trace_of(weights: Array, tokens: list[str] | None = None) -> AttentionTrace:
    """A trace of one layer with these weights (heads, query, key)."""
    return AttentionTrace.from_arrays([np.asarray(weights)[None]], tokens=tokens)


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


def test_contract() -> None:
    """The renderer passes the suite that every renderer has to pass."""
    check_renderer(RENDERER)  # type: ignore[arg-type]  # it names its options, the contract takes any


def test_one_query_shows_its_weights_by_weight() -> None:
    """The numbers and bars of a query are the largest weights of its row, in order."""
    weights = softmax(np.random.default_rng(1), 3, 20, 20)
    text = text_of(trace_of(weights), "head", head=1, query=7, top=6)
    rows = re.findall(r"^ *(\d+)   ([\d.]+)  ([━╸]*)$", text, flags=re.MULTILINE)
    order = np.argsort(-weights[1, 7])[:6]
    assert [int(key) for key, _, _ in rows] == order.tolist()
    np.testing.assert_allclose([float(number) for _, number, _ in rows], weights[1, 7, order], atol=0.0005)
    lengths = np.array([len(bar) for _, _, bar in rows])
    np.testing.assert_allclose(lengths / lengths[0], weights[1, 7, order] / weights[1, 7, order[0]], atol=0.02)
    assert f"together {weights[1, 7, order].sum():.3f}" in text


def test_one_query_by_position_and_token() -> None:
    """sort="position" keeps the order of the text; a token stands for its first position, and that is said."""
    weights = softmax(np.random.default_rng(2), 2, 5, 5)
    trace = trace_of(weights, ["a", "b", "a", "c", "[bold]"])
    text = text_of(trace, "head", query="a", sort="position", top=5)
    assert 'query 0 "a" (the first of 2 such tokens)' in text
    numbers = [float(number) for number in re.findall(r"^ +\d  \S+ +<?([\d.]+)", text, flags=re.MULTILINE)]
    np.testing.assert_allclose(numbers, weights[:, 0].mean(axis=0), atol=0.001)
    assert "mean over 2 heads" in " ".join(text.split())
    assert "[bold]" in text


def test_every_query_shows_its_strongest_keys() -> None:
    """Each line has the largest weights of one row, with their positions."""
    weights = softmax(np.random.default_rng(3), 2, 30, 30)
    text = text_of(trace_of(weights), "head", head=0, width=100)
    lines = text.split("\n\n", 1)[1].splitlines()
    assert len(lines) == 30
    for query, one in enumerate(lines):
        found = re.findall(r"[▁▂▃▄▅▆▇█](\.\d\d|1\.0) +(\d+)", one)
        order = np.argsort(-weights[0, query])[: len(found)]
        assert len(found) >= 3
        assert [int(key) for _, key in found] == order.tolist()
        np.testing.assert_allclose([float(number) for number, _ in found], weights[0, query, order], atol=0.005)


def test_matrix_shows_every_number() -> None:
    """Where there is room a cell is its weight, to two decimals."""
    weights = softmax(np.random.default_rng(4), 2, 8, 8)
    text = text_of(trace_of(weights), "matrix", head=1)
    lines = [one.split() for one in text.split("\n\n")[1].splitlines()[1:]]
    assert [int(cells[0]) for cells in lines] == list(range(8))
    shown = [[0.0 if cell == "·" else float(cell) for cell in cells[1:]] for cells in lines]
    np.testing.assert_allclose(shown, weights[1], atol=0.0051)


def test_matrix_pools_to_shares() -> None:
    """Pooled, a cell is the mean over its queries of the sum over its keys, and the page says so."""
    length = 400
    weights = softmax(np.random.default_rng(5), 1, length, length)
    text = text_of(trace_of(weights), "matrix", width=45)
    assert "the weight summed over its keys" in " ".join(text.split())
    lines = [one for one in text.splitlines() if re.match(r" *\d+ +[·░▒▓█]", one)]
    rows = [*(int(one.split()[0]) for one in lines), length]
    columns = np.round(np.linspace(0, length, 41)).astype(int)
    means = np.stack([weights[0, start:end].mean(axis=0) for start, end in pairwise(rows)])
    pooled = np.add.reduceat(means, columns[:-1], axis=1)
    levels = np.array([[SHADES.index(shade) for shade in one[5:].ljust(40)] for one in lines])
    least = [0.0, *(float(number) for number in re.findall(r"[·░▒▓█] from ([\d.]+)", text)), 1.0]
    for level in range(len(SHADES)):
        drawn = pooled[levels == level]
        assert np.all((least[level] - 0.006 < drawn) & (drawn < least[level + 1] + 0.006))


def test_model_draws_known_heads() -> None:
    """Uniform, previous-token and first-token heads look like what they are."""
    length = 12
    first = np.tile(np.eye(length)[0], (length, 1))
    previous = np.vstack([np.eye(length)[:1], np.eye(length)[:-1]])
    text = text_of(trace_of(np.stack([first, previous, np.zeros((length, length))])), "model")
    lines = text.split("layer 0")[1].splitlines()[2:]
    assert "12 fully masked rows" in text
    assert lines[0].split() == ["0.0", "0.1", "0.2"]
    pictures = [[one.ljust(40)[start : start + 12] for one in lines[1:7]] for start in (0, 14, 28)]
    assert all(row == "█" + " " * 11 for row in pictures[0])
    dark = [[place for place, character in enumerate(row) if character != " "] for row in pictures[1]]
    assert dark == [[0], *([2 * row - 1, 2 * row] for row in range(1, 6))]
    assert all(row == "×" * 12 for row in pictures[2])


def test_model_labels_every_head_once() -> None:
    """However narrow the page, each head of each layer is there."""
    for width in (40, 80, 200):
        text = text_of(example_trace(3, 8, 20), "model", width=width)
        found = re.findall(r"(?<![\d.])\d\.\d(?![\d.])", "\n".join(text.splitlines()[4:]))
        assert sorted(found) == sorted(f"{layer}.{head}" for layer in range(3) for head in range(8))


def test_colour_is_the_same_picture() -> None:
    """In colour a half block holds two rows: the brightest are where the weights are largest."""
    weights = np.eye(16)[None]
    html = str(RENDERER.render(trace_of(weights), view="model", width=80).bundle["text/html"])
    assert "▀" in html
    assert "#fcfdbf" in html
    assert "#000004" in html


def test_summary_says_what_there_is() -> None:
    """Layers, shapes, patterns, coverage and the reminder are all in it."""
    trace = example_trace(2, 4, 12)
    text = text_of(trace, "summary", width=100)
    for layer in trace:
        assert layer.name in text
    assert "1 x 4 x 12 x 12" in text
    assert re.search(r"previous token +[01]\.0 \d+%", text)
    assert "not what caused an output" in text
    assert "Coverage: " in text


@pytest.mark.parametrize("width", [24, 40, 80, 200])
@pytest.mark.parametrize("view", VIEWS)
def test_no_line_is_wider_than_the_page(view: str, width: int) -> None:
    """Short and long, plain and coloured, with hostile tokens: every line fits."""
    rng = np.random.default_rng(0)
    hostile = trace_of(softmax(rng, 2, len(HOSTILE), len(HOSTILE)), list(HOSTILE))
    traces = (hostile, example_trace(2, 5, 1), example_trace(1, 4, 150, padding=20), troubled_trace())
    for trace in (*traces, example_cross_trace()):
        for color in (False, True):
            rendered = RENDERER.render(trace, view=view, width=width, color=color)
            text = re.sub(r"\x1b\[[\d;]*m", "", str(rendered.bundle["text/plain"]))
            assert max(map(cell_len, text.split("\n"))) <= width


@pytest.mark.parametrize(("view", "options"), [*((view, {}) for view in VIEWS), ("head", {"query": 1})])
def test_tokens_never_control_the_terminal(view: str, options: dict[str, Any]) -> None:
    """No control, format (but for the mark that holds right-to-left text in place) or surrogate character comes out."""
    weights = softmax(np.random.default_rng(0), 1, len(HOSTILE), len(HOSTILE))
    rendered = RENDERER.render(trace_of(weights, list(HOSTILE)), view=view, width=200, color=False, **options)
    text = str(rendered.bundle["text/plain"])
    bad = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\u200e"}
    assert not bad
    assert "<script>" not in str(rendered.bundle["text/html"])
    assert "<script>" in text or view not in ("head",) or options


@given(st.lists(st.text(max_size=12), min_size=1, max_size=14), st.integers(24, 130), st.sampled_from(VIEWS[1:]))
@settings(max_examples=80, deadline=None)
def test_any_labels_in_any_width(labels: list[str], width: int, view: str) -> None:
    """Whatever the tokens are, lines fit and hold nothing that controls."""
    weights = np.full((1, len(labels), len(labels)), 1 / len(labels))
    text = text_of(trace_of(weights, labels), view, width=width)
    assert max(map(cell_len, text.split("\n"))) <= width
    assert not {c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c != "\n"}
