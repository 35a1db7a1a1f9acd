"""The suite for backends: passed by a good one, and failed by each way of breaking the contract."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attncore import (
    AttentionTrace,
    CaptureError,
    CaptureOptions,
    NoAttentionError,
    TokenError,
)
from attncore.testing import (
    NumpyBackend,
    NumpyTransformer,
    check_backend,
)
from attncore.testing_numpy import NumpySession

TOKEN_IDS = np.arange(10).reshape(2, 5)


def numpy_case(**options: Any) -> tuple[NumpyTransformer, Any, list[np.ndarray]]:
    """A model, its inputs, and the weights that it used itself."""
    model = NumpyTransformer(**options)
    return model, (TOKEN_IDS,), model(TOKEN_IDS, return_attentions=True)[1]


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


class MatchesRaises(NumpyBackend):
    """Reads an attribute that only its own models have."""

    def matches(self, model: Any) -> bool:
        return bool(model.observers is not None)


def renumbered(trace: AttentionTrace, _: Any) -> AttentionTrace:
    """Layers that all say to be the first."""
    return replace(trace, layers=tuple(layer.replaced(index=0) for layer in trace))


def anonymous_heads(trace: AttentionTrace, _: Any) -> AttentionTrace:
    """Layers that forget which heads they hold."""
    return replace(trace, layers=tuple(layer.replaced(heads=None) for layer in trace))


def mute(self: Any, tokens: Any = None) -> AttentionTrace:
    """The right error, and nothing in it."""
    if not self._seen:
        raise CaptureError("no")
    return NumpySession.trace(self, tokens)


def crashing(**wrong: Any) -> Any:
    """A backend that falls over one option."""

    class Fragile(NumpyBackend):
        def capture(self, model: Any, given: CaptureOptions) -> NumpySession:
            if all(getattr(given, name) == value for name, value in wrong.items()):
                raise TypeError(f"cannot do {wrong}")
            return NumpySession(model, given)

    return Fragile()


MORE_BROKEN_BACKENDS = {
    "no session": (type("Half", (), {"name": "half", "matches": lambda self, model: False})(), "lacks one of name"),
    "matches raises": (MatchesRaises(), r"matches\(None\) raised AttributeError.*must answer False"),
    "a crash without options": (crashing(keep="auto"), "a capture without options raised TypeError: cannot do"),
    "a crash on keep": (crashing(keep="qk"), "the options keep, dtype and values raised TypeError: cannot do"),
    "indices": (with_trace(renumbered), "layer 1 has index 0"),
    "a shape": (
        with_trace(lambda trace, _: replace(trace, layers=tuple(layer.with_heads([0]) for layer in trace))),
        r"shape \(batch, heads, query, key\) \(2, 1, 5, 5\), expected \(2, 4, 5, 5\)",
    ),
    "an output too many": (
        with_trace(lambda trace, _: replace(trace, output=[trace.output, trace.output])),
        r"trace\.output has 2 array\(s\), expected 1",
    ),
    "heads forgotten": (with_trace(anonymous_heads), r"heads=\[3, 2, 1, 0\]: head_numbers\(\) is \(0, 1, 2, 3\)"),
    "an error without words": (broken_session(trace=mute), 'too short an error for a session never entered: "no"'),
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


@pytest.mark.parametrize("case", MORE_BROKEN_BACKENDS)
def test_what_a_backend_forgets_is_said(case: str) -> None:
    """What is left out, and what it raises by itself: the message names the step."""
    backend, said = MORE_BROKEN_BACKENDS[case]
    with pytest.raises(AssertionError, match=said):
        check_backend(backend, [numpy_case()])


def test_a_model_without_arrays_cannot_be_compared() -> None:
    """An output that holds none would compare equal to anything."""

    class Mute(NumpyTransformer):
        def __call__(self, token_ids: Any, *, return_attentions: bool = False) -> Any:
            result = super().__call__(token_ids, return_attentions=return_attentions)
            return result if return_attentions else "done"

    model = Mute()
    with pytest.raises(AssertionError, match="the model returned no array"):
        check_backend(NumpyBackend(), [(model, (TOKEN_IDS,), model(TOKEN_IDS, return_attentions=True)[1])])


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
