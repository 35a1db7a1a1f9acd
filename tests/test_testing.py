"""The public test helpers: what they accept, and that each check fails on what breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import attncore
from attncore import (
    AttentionTrace,
    CaptureError,
    CaptureOptions,
    NoAttentionError,
    OptionError,
    Rendered,
    TokenError,
    UnavailableError,
)
from attncore.patterns import head_statistics, strongest_pattern
from attncore.testing import (
    NumpyBackend,
    NumpyTransformer,
    assert_traces_close,
    check_backend,
    check_renderer,
    example_cross_trace,
    example_trace,
)
from attncore.testing_numpy import NumpySession
from attncore.testing_renderers import HOSTILE_TOKENS

TOKEN_IDS = np.arange(10).reshape(2, 5)


def numpy_case(**options: Any) -> tuple[NumpyTransformer, Any, list[np.ndarray]]:
    """A model, its inputs, and the weights that it used itself."""
    model = NumpyTransformer(**options)
    return model, (TOKEN_IDS,), model(TOKEN_IDS, return_attentions=True)[1]


# Example traces.


def test_example_traces_are_the_same_every_time() -> None:
    """Two calls give equal traces; another seed gives others."""
    assert_traces_close(example_trace(batch=2), example_trace(batch=2), atol=0)
    assert_traces_close(example_cross_trace(), example_cross_trace(), atol=0)
    with pytest.raises(AssertionError, match="weights differ"):
        assert_traces_close(example_trace(), example_trace(seed=1))


def test_lazy_and_dense_examples_are_equal() -> None:
    """The same numbers, held in two ways."""
    assert_traces_close(example_trace(lazy=True, kv_heads=2), example_trace(kv_heads=2), atol=1e-6)
    assert example_trace(lazy=True)[0].query is not None
    assert example_trace()[0].query is None


def test_example_heads_look_like_real_ones() -> None:
    """Previous token, sink, broad, self: the patterns that people know are recognised as such."""
    stats = head_statistics(example_trace(n_tokens=24)[0])
    assert [strongest_pattern(stats, head)[0] for head in (0, 1, 3)] == [
        "previous token",
        "first token (sink)",
        "same token",
    ]
    assert stats.entropy[2] > 2 * stats.entropy[0]


@pytest.mark.parametrize("trace", [example_trace(n_layers=3, batch=2, padding=4), example_cross_trace(batch=2)])
def test_example_weights_are_probabilities(trace: AttentionTrace) -> None:
    """Rows sum to one; a causal layer looks at nothing ahead, and nobody looks at padding."""
    for layer in trace:
        weights = np.asarray(layer.weights)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
        if layer.stack != "encoder" and layer.kind == "self":
            assert np.triu(weights, 1).max() == 0
        assert weights[-1][..., trace.axes[layer.key_axis].padding_of(1)].sum() == 0


# assert_traces_close.


def changed(**changes: Any) -> AttentionTrace:
    """The example with a field of its second layer changed."""
    trace = example_trace()
    return AttentionTrace((trace[0], trace[1].replaced(**changes)), trace.axes)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (example_trace(n_layers=3), r"the layers differ"),
        (changed(name="other"), r"the layers differ"),
        (changed(kind="cross"), r'layer 1 "layers.1.attention": kind is \'cross\', expected \'self\''),
        (changed(call=2), r"call is 2, expected 0"),
        (changed(stack="decoder"), r"stack is 'decoder', expected None"),
        (example_trace(n_heads=2), r"shape is \(1, 2, 12, 12\), expected \(1, 4, 12, 12\)"),
        (changed(heads=(3, 2, 1, 0)), r"heads held are \(3, 2, 1, 0\)"),
        (example_trace(tokens=["x"] * 12), r'labels of its query axis "tokens" begin x, x'),
    ],
)
def test_a_difference_between_traces_is_named(other: AttentionTrace, said: str) -> None:
    """The message says which layer and what about it."""
    with pytest.raises(AssertionError, match=said):
        assert_traces_close(other, example_trace())


def test_the_worst_weight_is_named() -> None:
    """Layer, batch item, head, query and key of the largest difference, with both values."""
    weights = np.array(example_trace()[1].weights)
    weights[0, 2, 5, 3] += 0.25
    weights[0, 1, 4, 0] += 0.125
    other = changed(stored_weights=attncore.AttentionTrace.from_arrays([weights])[0].weights)
    with pytest.raises(AssertionError, match=r"up to 0\.25 .*head 2, query 5, key 3: .*2 of 576 weights differ"):
        assert_traces_close(other, example_trace())
    assert_traces_close(other, example_trace(), atol=0.3)


# check_backend.


def test_the_numpy_backend_keeps_the_contract() -> None:
    """With and without grouped-query attention, one layer or several."""
    cases = [numpy_case(), numpy_case(n_layers=3, kv_heads=2), numpy_case(n_layers=1, n_heads=1, seed=5)]
    check_backend(NumpyBackend(), cases)


def broken_session(**methods: Any) -> Any:
    """A numpy backend whose session has some methods replaced."""
    session_class = type("BrokenSession", (NumpySession,), methods)

    class BrokenBackend(NumpyBackend):
        def capture(self, model: Any, options: CaptureOptions) -> Any:
            return session_class(model, options)

    return BrokenBackend()


def with_trace(change: Any) -> Any:
    """A backend whose traces go through ``change``."""
    return broken_session(trace=lambda self, tokens=None: change(NumpySession.trace(self, tokens), self))


def ignoring(**options: Any) -> Any:
    """A backend that ignores some capture options."""

    class Forgetful(NumpyBackend):
        def capture(self, model: Any, given: CaptureOptions) -> NumpySession:
            return NumpySession(model, CaptureOptions(**{**vars(given), **options}))

    return Forgetful()


def scaled_weights(trace: AttentionTrace, session: Any) -> AttentionTrace:
    """Weights that are a little wrong in one place."""
    if trace[0].stored_weights is None:
        return trace
    weights = np.array(trace[0].weights)
    weights[0, 0, 2, 1] += 0.01
    first = trace[0].replaced(stored_weights=AttentionTrace.from_arrays([weights])[0].weights)
    return replace(trace, layers=(first, *trace.layers[1:]))


def never_leaves(self: Any, *error: Any) -> None:
    """An exit that leaves its observer behind, which breaks the next call."""
    self.model.blocks[0]["query"] = self.model.blocks[0]["query"] * 2


def swallows(self: Any, *error: Any) -> bool:
    """An exit that hides exceptions."""
    NumpySession.__exit__(self, None, None, None)
    return True


class MatchesAll(NumpyBackend):
    """Says yes to everything."""

    def matches(self, model: Any) -> bool:
        return True


class MatchesNone(NumpyBackend):
    """Says no to everything."""

    def matches(self, model: Any) -> bool:
        return False


BROKEN_BACKENDS = {
    "matches everything": (MatchesAll(), "says that None is a model"),
    "matches nothing": (MatchesNone(), "does not recognise the model"),
    "wrong weights": (with_trace(scaled_weights), r"differ from the reference by 0\.01 .*head 0, query 2, key 1"),
    "a layer missing": (with_trace(lambda trace, _: trace[:1]), r"captured 1 layer\(s\) and expected 2"),
    "output changed": (
        with_trace(
            lambda trace, _: AttentionTrace(trace.layers, trace.axes, provenance=trace.provenance, output=[1.0])
        ),
        r"trace\.output",
    ),
    "provenance": (with_trace(lambda trace, _: AttentionTrace(trace.layers, trace.axes)), "provenance names"),
    "left behind": (broken_session(__exit__=never_leaves), "differ|not what the model returns"),
    "swallows errors": (broken_session(__exit__=swallows), "swallowed an exception"),
    "too early": (
        broken_session(trace=lambda self, tokens=None: early(self)),
        r"session\.trace\(\) of a session that was never entered must raise CaptureError",
    ),
    "layers ignored": (ignoring(layers=None), r"layers=0: 2 layer\(s\) and expected 1"),
    "heads ignored": (ignoring(heads=None), r"heads=\[0\]: .*shape"),
    "dtype ignored": (ignoring(dtype=None), "dtype='float16'"),
    "values ignored": (ignoring(values=True), "values=False kept the values"),
    "reduce ignored": (ignoring(reduce=None), "was reduced to None"),
}


def early(session: Any) -> Any:
    """An empty trace where there should be an error."""
    return NumpySession.trace(session) if session._seen else AttentionTrace((), {})


@pytest.mark.parametrize("case", BROKEN_BACKENDS)
def test_a_backend_that_breaks_the_contract_is_found(case: str) -> None:
    """Each way of breaking it fails the suite with a message that says what."""
    backend, said = BROKEN_BACKENDS[case]
    with pytest.raises(AssertionError, match=said):
        check_backend(backend, [numpy_case()])


def test_checking_nothing_is_refused() -> None:
    """A suite without models must not look green."""
    with pytest.raises(AssertionError, match="at least one"):
        check_backend(NumpyBackend(), [])


def test_the_numpy_session_labels_and_explains() -> None:
    """A tokenizer labels the ids, a second call is counted, and a model without layers is named."""
    model = NumpyTransformer()
    session = NumpyBackend().capture(model, CaptureOptions())
    with session:
        session(TOKEN_IDS)
        session(TOKEN_IDS)
    trace = session.trace(tokens=lambda ids: [f"t{number}" for number in ids])
    assert [(layer.call, layer.index) for layer in trace] == [(0, 0), (0, 1), (1, 2), (1, 3)]
    assert trace.axes["tokens"].labels[1] == ("t5", "t6", "t7", "t8", "t9")
    with pytest.raises(TokenError, match="3 tokens were given"):
        session.trace(tokens=[["a", "b", "c"]] * 2)
    with pytest.raises(CaptureError, match="not called inside the session"):
        NumpyBackend().capture(model, CaptureOptions()).trace()
    empty = NumpyBackend().capture(NumpyTransformer(n_layers=0), CaptureOptions())
    with empty:
        empty(TOKEN_IDS)
    with pytest.raises(NoAttentionError, match="has no layers") as caught:
        empty.trace()
    assert caught.value.coverage[0].status == "no-attention"


# check_renderer.


class TextRenderer:
    """A renderer that keeps the contract."""

    name = "text"
    views = ("head", "neuron")

    def render(self, trace: AttentionTrace, *, view: str, layer: int = 0) -> Rendered:
        chosen = trace[layer]
        if view == "neuron" and chosen.query is None:
            raise UnavailableError("the neuron view needs queries and keys; capture with keep='qk'")
        from html import escape

        axis = trace.axes[chosen.query_axis]
        text = " ".join(label.replace("\x1b", "?") for label in axis.labels[0])
        shape = chosen.weights.shape
        html = f"<p title='{escape(text)}'>{escape(text)} {shape} {escape(chosen.name)}</p>"
        return Rendered({"text/html": html, "text/plain": f"{view} {text}\n"})


def test_a_good_renderer_passes() -> None:
    """Drawing what it can and refusing the rest in words is enough."""
    check_renderer(TextRenderer())


def renderer_with(**members: Any) -> Any:
    """The good renderer with something broken."""
    return type("BrokenRenderer", (TextRenderer,), members)()


def drawing(draw: Any) -> Any:
    """A renderer whose picture is what ``draw(trace, picture)`` returns."""

    def render(self: Any, trace: AttentionTrace, *, view: str, layer: int = 0) -> Any:
        return draw(trace, TextRenderer.render(self, trace, view=view, layer=layer))

    return renderer_with(render=render)


def raw_html(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Labels straight into the page."""
    return Rendered({"text/html": "<p>" + " ".join(trace.axes[trace[0].query_axis].labels[0]) + "</p>"})


def raw_attribute(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Labels with < escaped and quotes not."""
    labels = [label.replace("<", "&lt;") for label in trace.axes[trace[0].query_axis].labels[0]]
    return Rendered({"text/html": "".join(f'<p title="{label}"></p>' for label in labels)})


def raw_layer_name(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """The name of a layer, straight into the page."""
    return Rendered({"text/html": f"<h1>{trace[0].name}</h1>"})


def raw_spelling(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """The tokenizer's spelling, with its control characters, straight to the terminal."""
    return Rendered({"text/plain": " ".join(trace.axes[trace[0].query_axis].raw[0]) + "\n"})


def writing(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Normalises the weights where they lie."""
    if trace[0].source == "example" and trace[0].query is None:
        trace[0].weights[0, 0][:] = 0
    return picture


def one_token_fails(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Divides by the number of tokens less one."""
    return Rendered({"text/plain": f"{1 // (trace[0].weights.shape[2] - 1)}."})


def laconic(trace: AttentionTrace, picture: Rendered) -> Rendered:
    """Refuses cross-attention without a word of help."""
    if len(trace.axes) > 1:
        raise UnavailableError("cannot")
    return picture


BROKEN_RENDERERS = {
    "no name": (renderer_with(name=""), "name must not be empty"),
    "no views": (renderer_with(views=()), "declares no view"),
    "views in a list": (renderer_with(views=["head"]), "views must be a tuple"),
    "a view twice": (renderer_with(views=("head", "head")), "declares a view twice"),
    "no picture": (drawing(lambda trace, picture: "text"), "returned a str; it must return a Rendered"),
    "empty picture": (drawing(lambda trace, picture: Rendered({})), "empty bundle"),
    "empty text": (drawing(lambda trace, picture: Rendered({"text/plain": ""})), "text/plain is empty"),
    "bytes as text": (drawing(lambda trace, picture: Rendered({"text/plain": b"x"})), "text/plain holds a bytes"),
    "any option": (
        renderer_with(render=lambda self, trace, *, view, **options: TextRenderer.render(self, trace, view=view)),
        "accepted {'no_such_option': 1}",
    ),
    "raw html": (drawing(raw_html), "tokens as markup"),
    "raw attribute": (drawing(raw_attribute), "became markup on the page: .*onmouseover"),
    "raw layer name": (drawing(raw_layer_name), "as markup"),
    "raw control characters": (drawing(raw_spelling), "control sequence reaches the terminal"),
    "writes": (drawing(writing), r"changed the trace: layers\.0\.attention\.weights"),
    "one token": (drawing(one_token_fails), "one token: raised ZeroDivisionError"),
    "laconic": (drawing(laconic), 'said only "cannot"'),
}


@pytest.mark.parametrize("case", BROKEN_RENDERERS)
def test_a_renderer_that_breaks_the_contract_is_found(case: str) -> None:
    """Each way of breaking it fails the suite with a message that says what."""
    renderer, said = BROKEN_RENDERERS[case]
    with pytest.raises(AssertionError, match=said):
        check_renderer(renderer)


@pytest.mark.parametrize("name", attncore.installed_renderers())
def test_every_installed_renderer_keeps_the_contract(name: str) -> None:
    """Our own renderers pass what plugin authors are asked to pass."""
    from attncore.plugins import find_renderer

    check_renderer(find_renderer(name))


def test_hostile_tokens_are_drawn_by_the_default_renderer() -> None:
    """The trace that the suite uses holds every hostile token."""
    trace = example_trace(n_tokens=len(HOSTILE_TOKENS), tokens=HOSTILE_TOKENS)
    assert trace.axes["tokens"].raw[0] == HOSTILE_TOKENS
    with pytest.raises(OptionError):
        trace.render(view="no-such-view")
