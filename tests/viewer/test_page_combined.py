"""Controls that meet: what one of them changes, every number, name and picture on the page has to follow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from viewer_page import ViewerPage

from attncore import AttentionTrace
from attncore.axis import TokenAxis
from attncore.layer import AttentionLayer
from attncore.scoring import Scoring
from attncore.weights import DenseWeights, RecomputedWeights

pytestmark = pytest.mark.browser

LENGTH = 8


def axis_of_pairs() -> TokenAxis:
    """Two batch items: a pair of sentences with special tokens, and nothing but padding."""
    special = np.zeros((2, LENGTH), dtype=bool)
    special[0, [0, 4, 7]] = True
    return TokenAxis(
        "tokens",
        LENGTH,
        tuple(tuple(f"t{item}{place}" for place in range(LENGTH)) for item in range(2)),
        kind="text",
        padding=np.repeat([[False], [True]], LENGTH, axis=1),
        special=special,
        segments=np.array([[0] * 5 + [1] * 3, [0] * LENGTH]),
    )


def random_trace(*head_numbers: tuple[int, ...]) -> AttentionTrace:
    """Layers with these heads on `axis_of_pairs`, their weights from random queries and keys."""
    random = np.random.default_rng(7)
    layers = []
    for index, numbers in enumerate(head_numbers):
        query, key = random.standard_normal((2, 2, len(numbers), LENGTH, 8)).astype(np.float32)
        scoring = Scoring(scale=0.5)
        weights = RecomputedWeights(query, key, scoring)
        layer = AttentionLayer(f"layers.{index}", index, "tokens", "tokens", weights)
        layers.append(layer.replaced(query=query, key=key, scoring=scoring, heads=numbers))
    return AttentionTrace(tuple(layers), {"tokens": axis_of_pairs()})


@pytest.fixture
def show(open_page, tmp_path):
    """Opens the page of a trace."""

    def one(trace: AttentionTrace, fragment: str) -> ViewerPage:
        file = tmp_path / "page.html"
        trace.render("d3").save(file)
        return open_page(type("Shown", (), {"file": file}), fragment)

    return one


def listed(viewer: ViewerPage) -> list[float]:
    """The largest weights of the pointed token, as the details list them."""
    return [float(text) for text in viewer.page.locator("ol .attn-weight").all_inner_texts()]


def exported(viewer: ViewerPage) -> str:
    """The text of the view's SVG."""
    viewer.press("e")
    with viewer.page.expect_download() as download:
        viewer.page.get_by_role("menuitem", name="SVG").click()
    return Path(download.value.path()).read_text("utf8")


def test_the_small_matrices_are_described_by_their_own_layer(show) -> None:
    """A head that looks at the previous token in layer 0 and at the first one in layer 1 is said to do so."""
    rows = np.arange(LENGTH)
    weights = np.zeros((2, 1, 2, LENGTH, LENGTH), dtype=np.float32)
    weights[0, ..., rows, np.maximum(rows - 1, 0)] = 1
    weights[1, ..., 0] = 1
    viewer = show(AttentionTrace.from_arrays(weights), "#view=matrix")
    choices = viewer.page.locator(".attn-matrix-choice")
    expect(choices.first).to_have_attribute("title", "head 0: previous token")
    viewer.select(layer=1)
    expect(choices.first).to_have_attribute("title", "head 0: first token (sink)")
    expect(choices.nth(1)).to_contain_text("first token (sink)")


def test_the_details_beside_the_neuron_view_have_its_weights(show) -> None:
    """That view takes nothing out of the sums, whatever is discounted elsewhere."""
    trace = random_trace((0, 1))
    viewer = show(trace, "#view=neuron&sink=discount&query=2&heads=1")
    weights = np.asarray(trace[0].weights)[0, 1, 2]
    np.testing.assert_allclose(listed(viewer), np.sort(weights)[::-1], atol=6e-4)
    viewer.select(view="head")
    rest = np.sort(weights[1:] / weights[1:].sum())[::-1]
    np.testing.assert_allclose(listed(viewer), rest, atol=6e-4)


def test_the_neuron_view_shows_no_numbers_of_another_item(show) -> None:
    """An item that is all padding has nothing to explain; the item before it comes back as it was."""
    viewer = show(random_trace((0, 1)), "#view=neuron")
    table = viewer.page.locator(".attn-neuron-table")
    expect(table).to_contain_text("t01")
    viewer.select(item=1)
    expect(table).to_have_count(0)
    expect(viewer.page.get_by_text("No token is left to explain").first).to_be_visible()
    viewer.select(item=0)
    expect(table).to_contain_text("t01")


def test_a_mean_over_layers_is_of_the_same_heads(show) -> None:
    """Layers that hold other heads are not averaged with them, and are not counted."""
    trace = random_trace((0, 3), (0, 3), (0, 1))
    viewer = show(trace, "#meanLayers=true&query=2&heads=1")
    expect(viewer.page.locator(".attn-layer-name")).to_have_text("mean of 2 layers")
    mean = np.mean([np.asarray(layer.weights)[0, 1, 2] for layer in trace.layers[:2]], axis=0)
    np.testing.assert_allclose(listed(viewer), np.sort(mean)[::-1], atol=6e-4)


def test_an_export_of_a_mean_over_layers_names_no_layer(show) -> None:
    """It says of how many layers the mean is, in the head view and in the matrix."""
    viewer = show(random_trace((0, 1), (0, 1)), "#meanLayers=true")
    for view in ("head", "matrix"):
        viewer.select(view=view)
        text = exported(viewer)
        assert "ean of 2 layers" in text
        assert "layers.0" not in text
        assert "layer 0" not in text.lower()


def test_columns_of_heads_are_numbered_only_where_all_layers_agree(show) -> None:
    """Otherwise each picture has its head's own number, on the page and in the export."""
    viewer = show(random_trace((3, 0), (1, 0)), "#view=model")
    assert viewer.page.locator(".attn-model-caption b").all_inner_texts() == ["3", "0", "1", "0"]
    assert viewer.page.locator(".attn-model-head").count() == 0
    assert "head 3" not in exported(viewer)
    viewer = show(random_trace((3, 0), (3, 0)), "#view=model")
    assert viewer.page.locator(".attn-model-head").all_inner_texts() == ["3", "0"]


def test_a_row_that_lost_its_weight_is_not_called_masked(show) -> None:
    """The first query of a causal model gives all it has to the first token, which is taken out here."""
    weights = np.tril(np.ones((1, 1, LENGTH, LENGTH), dtype=np.float32))
    trace = AttentionTrace.from_arrays([weights / weights.sum(axis=-1, keepdims=True)])
    viewer = show(trace, "#view=matrix&sink=discount")
    legend = viewer.page.locator(".attn-matrix-legend")
    expect(legend).to_contain_text("row without weight on what is shown")
    viewer.select(sink="show")
    expect(legend).not_to_contain_text("row without weight")


def test_an_export_of_a_pair_parts_the_sentences(show) -> None:
    """A rule above the first token of sentence B, on both sides."""
    trace = random_trace((0, 1))
    layer = trace[0].replaced(stored_weights=DenseWeights(np.asarray(trace[0].weights)))
    viewer = show(AttentionTrace((layer,), trace.axes), "#view=head")
    text = exported(viewer)
    assert text.count(">A</text>") == text.count(">B</text>") == 2
    assert text.count("<line ") == 2


@pytest.mark.parametrize(
    ("view", "nothing", "changes", "something"),
    [
        ("neuron", {"layer": 1}, {"heads": [1]}, {"layer": 0}),
        ("head", {"item": 1}, {"threshold": 0.5}, {"item": 0}),
        ("matrix", {"item": 1}, {"scale": "log"}, {"item": 0}),
        ("model", {"pattern": "separator", "only": True}, {"heads": [1]}, {"pattern": ""}),
    ],
)
def test_why_nothing_is_shown_is_said_as_long_as_nothing_is(show, view, nothing, changes, something) -> None:
    """Whatever else is changed meanwhile; and no longer, nor in another view."""
    trace = random_trace((0, 1), (0, 1))
    bare = trace[1].replaced(query=None, key=None)
    viewer = show(AttentionTrace((trace[0], bare), trace.axes), f"#view={view}")
    why = viewer.page.locator(".attn-explanation")
    expect(why).to_be_hidden()
    viewer.select(**nothing)
    expect(why).to_be_visible()
    said = why.inner_text()
    viewer.select(**changes)
    expect(why).to_be_visible()
    assert why.inner_text() == said
    viewer.select(**something)
    expect(why).to_be_hidden()
    expect(viewer.spoken).to_have_text("")
    viewer.select(**nothing)
    viewer.select(view="neuron" if view == "model" else "model", item=0, pattern="", layer=0)
    expect(why).to_be_hidden()


@pytest.mark.parametrize("start", ["#view=matrix", "#view=matrix&layer=1&window=9,11,9,11", "#view=head"])
def test_a_link_followed_on_an_open_page_shows_what_it_shows_on_a_new_one(show, start: str) -> None:
    """The same part of the same matrix, whatever was shown before and however large it was."""
    random = np.random.default_rng(0)
    trace = AttentionTrace.from_arrays([random.dirichlet(np.ones(size), (1, 2, size)) for size in (24, 12, 12)])
    link = "#view=matrix&layer=2&window=1,9,1,9&query=2"
    viewer = show(trace, start)
    viewer.page.evaluate("(link) => { location.hash = link; }", link)
    viewer.page.wait_for_function("async () => (await window.attncore.ready).store.selection.layer === 2")
    viewer.settle()
    rulers = viewer.page.locator(".attn-matrix-stage text").all_text_contents()
    assert "".join(rulers)
    assert rulers == show(trace, link).page.locator(".attn-matrix-stage text").all_text_contents()


def test_the_automatic_threshold_suits_what_a_filter_leaves(show) -> None:
    """Between the sentences of a pair there is little attention, and lines are drawn all the same."""
    random = np.random.default_rng(5)
    weights = random.uniform(0.5, 1.5, (2, 2, LENGTH, LENGTH))
    sentence = np.array([0] * 5 + [1] * 3)
    weights *= np.where(sentence[:, None] == sentence, 1, 0.001)
    weights /= weights.sum(axis=-1, keepdims=True)
    layer = AttentionLayer("layers.0", 0, "tokens", "tokens", DenseWeights(weights.astype(np.float32)))
    viewer = show(AttentionTrace((layer,), {"tokens": axis_of_pairs()}), "#pair=BA&special=hide")
    number, status = viewer.page.locator(".attn-threshold-number"), viewer.page.locator(".attn-columns-status")
    largest = weights[0, :, 5:7, 1:4].max()
    assert 0 < float(number.inner_text()) < largest < 0.001
    assert not status.inner_text().startswith("0 lines")
    before = number.inner_text()
    viewer.select(pair="all")
    assert float(number.inner_text()) > largest
    viewer.select(pair="BA")
    assert number.inner_text() == before


def test_what_is_not_a_number_is_not_said_to_be_nothing(show) -> None:
    """Of a head that has diverged, alone and among others, and of one weight of a row."""
    weights = np.full((2, 3, LENGTH, LENGTH), 1 / LENGTH, dtype=np.float32)
    weights[0, 1] = np.nan
    weights[0, 2, 3, 6] = np.nan
    layer = AttentionLayer("layers.0", 0, "tokens", "tokens", DenseWeights(weights))
    viewer = show(AttentionTrace((layer,), {"tokens": axis_of_pairs()}), "#query=3")
    heads = viewer.page.locator('ul[aria-label="Each head\'s weight"] .attn-weight')
    assert heads.all_inner_texts()[:2] == ["0.125", "not a number"]
    details = viewer.page.get_by_role("complementary", name="Details")
    for head, words in ((1, "No weight is a number."), (2, f"Not a number: 1 of {LENGTH} weights.")):
        viewer.select(heads=[head])
        expect(details).to_contain_text(words)
        expect(details).not_to_contain_text("No weight above 0")
