"""A transformer in numpy and the backend that captures it: the contract of a backend, at its smallest.

A real backend learns of attention from its framework (hooks, a function mode, a traced graph). Here the "framework" is
one list of observers, which the session joins on entering and leaves on exit.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np

from attncore.arrays import Array, FloatArray
from attncore.attention import AttentionTrace
from attncore.axis_book import AxisBook
from attncore.coverage import Coverage, CoverageEntry
from attncore.errors import CaptureError, NoAttentionError
from attncore.layer import AttentionLayer
from attncore.protocols import CaptureOptions
from attncore.provenance import Provenance
from attncore.scoring import Scoring
from attncore.selection import choose, may_match, parts_of
from attncore.tokens import AxisFacts, label_axes
from attncore.weights import DenseWeights, LazyWeights, RecomputedWeights

# Called with the layer's name, query, key, value and the mask of allowed keys.
Observer = Callable[[str, FloatArray, FloatArray, FloatArray, Array], None]


class NumpyTransformer:
    """A causal transformer: embedding, ``n_layers`` of attention and feed-forward, each with a residual connection.

    ``model(token_ids)`` takes (batch, tokens) and returns hidden states (batch, tokens, model_dim). With
    ``return_attentions=True`` it returns the hidden states and the weights that it used, one (batch, heads, query, key)
    a layer. The parameters are random and depend on ``seed`` alone.
    """

    def __init__(
        self, n_layers: int = 2, n_heads: int = 4, *, kv_heads: int | None = None, head_dim: int = 8, seed: int = 0
    ) -> None:
        self.n_layers, self.n_heads = n_layers, n_heads
        self.kv_heads = kv_heads or n_heads
        self.head_dim = head_dim
        self.observers: list[Observer] = []
        width = n_heads * head_dim
        random = np.random.default_rng(seed)

        def parameter(*shape: int) -> FloatArray:
            return np.asarray(random.standard_normal(shape) * shape[0] ** -0.5, dtype=np.float32)

        self.embedding = random.standard_normal((100, width)).astype(np.float32)
        self.blocks = [
            {
                "query": parameter(width, width),
                "key": parameter(width, self.kv_heads * head_dim),
                "value": parameter(width, self.kv_heads * head_dim),
                "out": parameter(width, width),
                "up": parameter(width, 2 * width),
                "down": parameter(2 * width, width),
            }
            for _ in range(n_layers)
        ]

    def __call__(self, token_ids: Any, *, return_attentions: bool = False) -> Any:
        """Run the model."""
        hidden = self.embedding[np.asarray(token_ids)]
        attentions = []
        for number, block in enumerate(self.blocks):
            attended, weights = self._attend(f"blocks.{number}.attention", block, hidden)
            attentions.append(weights)
            hidden = hidden + attended
            hidden = hidden + np.maximum(hidden @ block["up"], 0) @ block["down"]
        return (hidden, attentions) if return_attentions else hidden

    def _attend(self, name: str, block: dict[str, FloatArray], hidden: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Multi-head attention as a model writes it, on its own: nothing here comes from attncore."""
        batch, tokens, _ = hidden.shape

        def heads(parameter: str) -> FloatArray:
            projected = (hidden @ block[parameter]).reshape(batch, tokens, -1, self.head_dim)
            return projected.transpose(0, 2, 1, 3)

        query, key, value = heads("query"), heads("key"), heads("value")
        allowed = np.tril(np.ones((tokens, tokens), dtype=bool))[None, None]
        for observer in tuple(self.observers):
            observer(name, query, key, value, allowed)
        group = self.n_heads // self.kv_heads
        scores = query @ np.repeat(key, group, axis=1).swapaxes(-1, -2) / np.sqrt(np.float32(self.head_dim))
        scores = np.where(allowed, scores, np.float32(-np.inf))
        exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
        mixed = (weights @ np.repeat(value, group, axis=1)).transpose(0, 2, 1, 3).reshape(batch, tokens, -1)
        return mixed @ block["out"], weights


class NumpyBackend:
    """Captures a `NumpyTransformer`."""

    name = "numpy"

    def matches(self, model: Any) -> bool:
        """Whether ``model`` is one of ours."""
        return isinstance(model, NumpyTransformer)

    def capture(self, model: Any, options: CaptureOptions) -> NumpySession:
        """A session that observes ``model`` while it is entered."""
        return NumpySession(model, options)


class NumpySession:
    """Collects the layers of a model's calls between entering and leaving."""

    def __init__(self, model: NumpyTransformer, options: CaptureOptions) -> None:
        self.model, self.options = model, options
        self._layers: list[AttentionLayer] = []
        self._seen = 0
        self._calls: dict[str, int] = {}
        self._token_ids: Array | None = None
        self._output: Any = None
        self._book = AxisBook()

    def __enter__(self) -> Self:
        self.model.observers.append(self._observe)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.model.observers.remove(self._observe)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model; its token ids are kept, so that a tokenizer can label them."""
        self._output = self.model(*args, **kwargs)
        self._token_ids = np.asarray(args[0])
        return self._output

    def _observe(self, name: str, query: FloatArray, key: FloatArray, value: FloatArray, allowed: Array) -> None:
        """Keep of one attention call what the options say."""
        index, call = self._seen, self._calls.get(name, 0)
        self._seen += 1
        self._calls[name] = call + 1
        axis = self._book.name_for("tokens", query.shape[0], query.shape[2])
        scoring = Scoring(scale=query.shape[-1] ** -0.5, mask=allowed)
        layer = AttentionLayer(
            name=name,
            index=index,
            call=call,
            query_axis=axis,
            key_axis=axis,
            stored_weights=RecomputedWeights(query, key, scoring),
            source="numpy",
            computed="recomputed",
            module_class="NumpyTransformer",
            model_dtype=str(query.dtype),
            query=query,
            key=key,
            value=value if self.options.values else None,
            scoring=scoring,
        )
        # Whether a negative index means this layer is known at the end only.
        if may_match(parts_of(self.options.layers), layer):
            layer = layer if self.options.heads is None else layer.with_heads(self.options.heads)
            self._layers.append(_kept(layer, self.options))

    def trace(self, tokens: Any = None) -> AttentionTrace:
        """What was captured.

        Raises:
            CaptureError: the model has not run. NoAttentionError: it ran and attended to nothing.
        """
        if self._output is None and not self._seen:
            raise CaptureError(
                "nothing was captured: the model was not called inside the session; enter it with "
                "`with session:` and call session(token_ids) there, then ask for session.trace()"
            )
        if not self._seen:
            entry = CoverageEntry("", "NumpyTransformer", "no-attention", "ran and has no layers")
            raise NoAttentionError("the model ran and showed no attention: it has no layers", Coverage((entry,)))
        chosen = choose(parts_of(self.options.layers), self._layers, self._seen)
        layers = tuple(self._layers[place] for place in chosen)
        used = {layer.query_axis for layer in layers}
        facts = {} if self._token_ids is None else {"tokens": AxisFacts(ids=self._token_ids)}
        axes = label_axes({name: axis for name, axis in self._book.axes.items() if name in used}, tokens, facts)
        provenance = Provenance("numpy", "observers", "NumpyTransformer", options=self.options.as_text())
        return AttentionTrace(layers, axes, provenance=provenance, output=self._output)


def _kept(layer: AttentionLayer, options: CaptureOptions) -> AttentionLayer:
    """The layer with what ``keep``, ``dtype`` and ``reduce`` leave of it."""
    if options.reduce is not None:
        reduced = options.reduce(layer)
        return layer.replaced(stored_weights=None, query=None, key=None, value=None, scoring=None, reduced=reduced)
    weights = layer.weights
    smaller = weights.size * weights.dtype.itemsize <= weights.held_bytes
    if options.keep == "qk" or (options.keep == "auto" and not smaller):
        return layer
    held: LazyWeights = DenseWeights(np.asarray(weights, dtype=options.dtype))
    return layer.replaced(stored_weights=held, computed="recomputed")
