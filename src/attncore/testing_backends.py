"""The contract of a backend, as a suite that any backend's tests can run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from attncore.arrays import Array, as_numpy
from attncore.attention import AttentionTrace
from attncore.errors import ArrayError, AttncoreError, CaptureError, SelectionError, UnavailableError
from attncore.protocols import Backend, CaptureOptions, inputs_for


class BackendCase(NamedTuple):
    """A model, the inputs to call it with, and the weights it must show, (batch, heads, query, key) a layer."""

    model: Any
    inputs: Any
    reference: Sequence[Array]


def check_backend(
    backend: Backend,
    models: Iterable[tuple[Any, Any, Sequence[Array]]],
    *,
    atol: float = 1e-5,
    output_atol: float = 0.0,
) -> None:
    """Check that a backend keeps the contract on some models.

    Its traces equal the reference, the model's output is what it is without a capture, captures can be repeated and
    nested and leave nothing behind (after an error too), a session asked too early says so, and the capture options
    mean what `attncore.CaptureOptions` says.

    Args:
        backend: the backend.
        models: `BackendCase` or plain (model, inputs, reference); at least one, small ones. The reference should come
            from elsewhere than attncore: from the model itself, or from the formula written out.
        atol: how far weights may be from the reference.
        output_atol: how far the model's output may be from its output without a capture; 0 means equal bit for bit.

    Raises:
        AssertionError: the contract is broken; the message says how.
    """
    assert isinstance(backend, Backend), f"{backend!r} lacks one of name, matches, capture"
    cases = [BackendCase(*case) for case in models]
    assert cases, "check_backend needs at least one (model, inputs, reference): without any it would check nothing"
    for stranger in (None, object(), "model", 3, dict, {}):
        _check_stranger(backend, stranger)
    for number, case in enumerate(cases):
        suite = _Suite(backend, case, f'backend "{backend.name}", model {number} ({type(case.model).__name__})')
        for check, what in (
            (suite.check_matches, "asking whether it is a model of this backend"),
            (lambda suite=suite: suite.check_weights(atol), "a capture without options"),
            (lambda suite=suite: suite.check_output(output_atol), "comparing the output with that of no capture"),
            (lambda suite=suite: suite.check_repeated_and_nested(atol), "capturing again, and inside another capture"),
            (lambda suite=suite: suite.check_error_leaves_nothing(atol, output_atol), "an error inside a capture"),
            (suite.check_too_early, "asking for a trace too early"),
            (lambda suite=suite: suite.check_layers(atol), "the option layers"),
            (lambda suite=suite: suite.check_heads(atol), "the option heads"),
            (lambda suite=suite: suite.check_keep(atol), "the options keep, dtype and values"),
            (suite.check_reduce, "the option reduce"),
        ):
            _in_words(check, f"{suite.where}: {what}")


def _check_stranger(backend: Backend, stranger: Any) -> None:
    """What is no model of anybody is looked at calmly, and refused."""
    try:
        taken = backend.matches(stranger)
    except Exception as error:
        raise AssertionError(
            f'backend "{backend.name}": matches({stranger!r}) raised {type(error).__name__}: {error}; it is asked '
            "about whatever a user captures, and must answer False to what it does not know"
        ) from error
    assert not taken, (
        f'backend "{backend.name}" says that {stranger!r} is a model of its own; matches must know its models by their '
        "class, or every other backend's models would come to it"
    )


def _in_words(check: Callable[[], None], what: str) -> None:
    """Run a check; what the backend raises in it by itself is named with what was done."""
    try:
        check()
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{what} raised {type(error).__name__}: {error}") from error


class _Suite:
    """The checks on one model."""

    def __init__(self, backend: Backend, case: BackendCase, where: str) -> None:
        self.backend, self.case, self.where = backend, case, where
        self.arguments = inputs_for(backend, case.model, case.inputs)

    def capture(self, **options: Any) -> AttentionTrace:
        """The trace of one run."""
        session = self.backend.capture(self.case.model, CaptureOptions(**options))
        with session:
            session(*self.arguments.args, **self.arguments.kwargs)
        return session.trace()

    def plain_output(self) -> list[Array]:
        """What the model returns without a capture."""
        return _arrays_in(self.case.model(*self.arguments.args, **self.arguments.kwargs))

    def check_matches(self) -> None:
        assert self.backend.matches(self.case.model), (
            f"{self.where}: matches() does not recognise the model; look at its class"
        )

    def check_weights(self, atol: float) -> None:
        trace = self.capture()
        self.compare(trace, self.case.reference, atol, "captured")
        assert trace.provenance.backend == self.backend.name, (
            f'{self.where}: the provenance names the backend "{trace.provenance.backend}"; '
            "give AttentionTrace a Provenance with the backend's own name"
        )
        for place, layer in enumerate(trace):
            assert layer.index == place, f"{self.where}: layer {place} has index {layer.index}"

    def compare(self, trace: AttentionTrace, reference: Sequence[Array], atol: float, what: str) -> None:
        """The trace's weights are those of the reference, layer by layer."""
        assert len(trace) == len(reference), (
            f"{self.where}: {what} {len(trace)} layer(s) and expected {len(reference)}: "
            f"{[layer.name for layer in trace]}\n{trace.coverage}"
        )
        for layer, expected in zip(trace, reference, strict=True):
            assert tuple(layer.shape) == tuple(expected.shape), (
                f'{self.where}, {what} "{layer.name}": shape (batch, heads, query, key) {layer.shape}, '
                f"expected {tuple(expected.shape)}"
            )
            lengths = tuple(axis.length for axis in trace.axes_of(layer))
            assert lengths == tuple(expected.shape[2:]), (
                f'{self.where}, {what} "{layer.name}": its axes have lengths {lengths} and its weights {expected.shape}'
            )
            difference = np.abs(np.asarray(layer.weights, dtype=np.float64) - np.asarray(expected, dtype=np.float64))
            worst = [int(place) for place in np.unravel_index(difference.argmax(), difference.shape)]
            assert difference.max() <= atol, (
                f'{self.where}, {what} "{layer.name}": weights differ from the reference by {difference.max():.3g} '
                f"(atol {atol:g}) at batch {worst[0]}, head {worst[1]}, query {worst[2]}, key {worst[3]}"
            )

    def check_output(self, output_atol: float) -> None:
        trace = self.capture()
        self.compare_output(_arrays_in(trace.output), output_atol, "trace.output")

    def compare_output(self, found: list[Array], output_atol: float, what: str) -> None:
        """An output under capture (or after one) is the plain output."""
        expected = self.plain_output()
        assert expected, f"{self.where}: the model returned no array, so its output cannot be compared"
        assert len(found) == len(expected), f"{self.where}: {what} has {len(found)} array(s), expected {len(expected)}"
        for number, (mine, other) in enumerate(zip(found, expected, strict=True)):
            assert mine.shape == other.shape, f"{self.where}: {what}, array {number}: shape {mine.shape}, {other.shape}"
            close = np.allclose(mine, other, rtol=0, atol=output_atol, equal_nan=True)
            assert close, f"{self.where}: {what}, array {number}, is not what the model returns without a capture"

    def check_repeated_and_nested(self, atol: float) -> None:
        for attempt in ("first", "second"):
            self.compare(self.capture(), self.case.reference, atol, f"{attempt} capture,")
        outer = self.backend.capture(self.case.model, CaptureOptions())
        with outer:
            self.compare(self.capture(), self.case.reference, atol, "inside another capture,")
        self.compare(self.capture(), self.case.reference, atol, "after nested captures,")

    def check_error_leaves_nothing(self, atol: float, output_atol: float) -> None:
        """An exception goes through unchanged, and the model is as it was."""
        session = self.backend.capture(self.case.model, CaptureOptions())
        try:
            with session:
                raise _InterruptedError
        except _InterruptedError:
            pass
        else:
            raise AssertionError(
                f"{self.where}: the session swallowed an exception raised inside it; __exit__ returns None"
            )
        self.compare_output(self.plain_output(), output_atol, "the output after an error in a capture")
        self.compare(self.capture(), self.case.reference, atol, "after an error,")

    def check_too_early(self) -> None:
        untouched = self.backend.capture(self.case.model, CaptureOptions())
        entered = self.backend.capture(self.case.model, CaptureOptions())
        with entered:
            pass
        for what, session in (("never entered", untouched), ("entered, but no call was made", entered)):
            message = self.error(CaptureError, session.trace, f"session.trace() of a session that was {what}")
            assert len(message) >= 30, f'{self.where}: too short an error for a session {what}: "{message}"'

    def error(self, kind: type[AttncoreError], action: Any, what: str) -> str:
        """The message of the error that ``action`` must raise."""
        try:
            action()
        except kind as error:
            return str(error)
        raise AssertionError(f"{self.where}: {what} must raise {kind.__name__}")

    def check_layers(self, atol: float) -> None:
        reference, last = self.case.reference, len(self.case.reference) - 1
        name = self.capture()[0].name
        for layers, places in ((0, [0]), ([-1], [last]), (slice(1, None), list(range(1, last + 1))), (name, [0])):
            if not places:
                continue
            trace = self.capture(layers=layers)
            if layers == name:  # a shared layer has several calls of one name
                trace = trace[:1]
            self.compare(trace, [reference[place] for place in places], atol, f"layers={layers!r}:")
            indices = [layer.index for layer in trace]
            assert indices == places, f"{self.where}, layers={layers!r}: index is {indices}, expected {places}"
        message = self.error(SelectionError, lambda: self.capture(layers="no-such-layer"), "an unknown layer")
        assert "no-such-layer" in message, f"{self.where}: the error for an unknown layer does not name it: {message}"

    def check_heads(self, atol: float) -> None:
        fewest = min(int(weights.shape[1]) for weights in self.case.reference)
        for heads in ([0], list(range(fewest))[::-1]):
            trace = self.capture(heads=heads)
            self.compare(trace, [weights[:, heads] for weights in self.case.reference], atol, f"heads={heads}:")
            for layer in trace:
                numbers = layer.head_numbers()
                assert numbers == tuple(heads), f"{self.where}, heads={heads}: head_numbers() is {numbers}"
        self.error(SelectionError, lambda: self.capture(heads=[10_000]), "heads=[10000]")

    def check_keep(self, atol: float) -> None:
        for keep in ("auto", "weights", "qk"):
            self.compare(self.capture(keep=keep), self.case.reference, atol, f"keep={keep!r}:")
        halved = self.capture(keep="weights", dtype="float16")
        for layer in halved:
            found = layer.weights.dtype
            assert found == np.float16, f"{self.where}: dtype='float16' with keep='weights' gave weights of {found}"
        self.compare(halved, self.case.reference, max(atol, 1e-3), "dtype='float16':")
        held = [layer.name for layer in self.capture(values=False) if layer.value is not None]
        assert not held, f"{self.where}: values=False kept the values of {held}"

    def check_reduce(self) -> None:
        trace = self.capture(reduce=lambda layer: np.asarray(layer.weights).max(axis=(0, 2, 3)))
        assert len(trace) == len(self.case.reference), f"{self.where}: reduce= gave {len(trace)} layers"
        for layer, expected in zip(trace, self.case.reference, strict=True):
            largest = np.asarray(expected).max(axis=(0, 2, 3))
            close = layer.reduced is not None and np.allclose(layer.reduced, largest, atol=1e-3)
            assert close, f'{self.where}, reduce=: layer "{layer.name}" was reduced to {layer.reduced}, not {largest}'
            self.error(UnavailableError, lambda kept=layer: kept.weights, "reading the weights after reduce=")


class _InterruptedError(Exception):
    """Raised inside a capture to see what it leaves behind."""


def _arrays_in(output: Any) -> list[Array]:
    """Every array of numbers in a model's output, in order."""
    if output is None or isinstance(output, str | bytes):
        return []
    if isinstance(output, Mapping):
        return [array for value in output.values() for array in _arrays_in(value)]
    if isinstance(output, list | tuple):
        return [array for value in output for array in _arrays_in(value)]
    try:
        return [as_numpy(output)]
    except ArrayError:
        return []
