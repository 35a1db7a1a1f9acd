"""The trace: every attention layer of one run, with the axes they count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, overload

from attncore.axis import TokenAxis
from attncore.coverage import Coverage
from attncore.errors import AttncoreError, LayerIndexError, OptionError, SelectionError
from attncore.layer import AttentionLayer, LayerKind
from attncore.provenance import Provenance
from attncore.selection import HeadSelector, LayerSelector, choose, no_such_layer, parts_of, whole_number
from attncore.weights import LazyWeights

if TYPE_CHECKING:
    from attncore.protocols import Renderer
    from attncore.rendering import Rendered


@dataclass(frozen=True, eq=False, repr=False)
class AttentionTrace(Sequence[AttentionLayer]):
    """The attention of one run of a model: a sequence of layers in call order.

    ``trace[3]`` is a layer, ``trace["encoder.layer.3"]`` the one of that name (``name@2`` its third call),
    ``trace[:4]`` and ``trace.select(...)`` smaller traces.

    Attention weights show where information can flow, not what caused an output.

    Attributes:
        layers: the layers in call order.
        axes: each name in ``layer.query_axis`` and ``layer.key_axis`` with its `TokenAxis`.
        coverage: what ran and is not in here, each with the reason.
        provenance: how the trace came about: versions, model, options, time.
        output: what the model returned; never saved.
    """

    layers: tuple[AttentionLayer, ...]
    axes: Mapping[str, TokenAxis]
    coverage: Coverage = field(default_factory=Coverage)
    provenance: Provenance = field(default_factory=lambda: Provenance("arrays", "built from arrays"))
    output: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "axes", MappingProxyType(dict(self.axes)))
        for layer in self.layers:
            for name in (layer.query_axis, layer.key_axis):
                if name not in self.axes:
                    raise AttncoreError(f"{layer!r} counts the axis {name!r}; the trace has {sorted(self.axes)}")

    # For pickle and copy. A pickle leaves out what a file does: the model's output, and what computes gradients.

    def __reduce__(self) -> tuple[Any, ...]:
        layers = tuple(layer.replaced(gradient=None) for layer in self.layers)
        return type(self), (layers, dict(self.axes), self.coverage, self.provenance)

    def __copy__(self) -> Self:
        return replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # The output stays what it is: a tensor that has a gradient cannot be copied.
        layers, axes = deepcopy((self.layers, dict(self.axes)), memo)
        return replace(self, layers=layers, axes=axes, provenance=deepcopy(self.provenance, memo))

    # A trace is a sequence of its layers.

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[AttentionLayer]:
        return iter(self.layers)

    @overload
    def __getitem__(self, item: int | str) -> AttentionLayer: ...
    @overload
    def __getitem__(self, item: slice) -> AttentionTrace: ...
    def __getitem__(self, item: int | str | slice) -> AttentionLayer | AttentionTrace:
        if isinstance(item, slice):
            return self._with_layers(self.layers[item])
        if isinstance(item, str):
            return self._named(item)
        place = whole_number(item)
        if place is None:
            raise SelectionError(
                f"trace[...] takes the place of a layer, its name or a slice, and was given {item!r}; trace.select() "
                "takes lists and functions, and trace[0].weights[item, head, query, key] parts of a layer's weights"
            )
        if not -len(self) <= place < len(self):
            # IndexError is what ends a loop over a sequence; SelectionError says why.
            raise LayerIndexError(no_such_layer(place, self.layers) + self._hint_of_index(place))
        return self.layers[place]

    def _hint_of_index(self, index: int) -> str:
        """What to say where a layer's own index was given, and not its place among the layers held."""
        if all(layer.index != index for layer in self.layers):
            return ""
        return f"; trace[...] counts the layers held: trace.select(layers={index}) takes a layer's own index"

    def _named(self, name: str) -> AttentionLayer:
        found = [layer for layer in self.layers if name in (layer.name, f"{layer.name}@{layer.call}")]
        if not found:
            raise SelectionError(no_such_layer(name, self.layers))
        if len(found) > 1:
            raise SelectionError(
                f'"{name}" was called {len(found)} times; say which, "{name}@0" to "{name}@{len(found) - 1}", '
                f"or take them all with trace.select(layers={name!r})"
            )
        return found[0]

    def select(
        self,
        *,
        layers: LayerSelector = None,
        heads: HeadSelector = None,
        kind: LayerKind | None = None,
        stack: str | None = None,
    ) -> AttentionTrace:
        """A smaller trace; nothing is copied or computed.

        Args:
            layers: index, name, glob (``"encoder.*"``), slice or function of the layer, or a list of these. An index is
                the layer's own, ``layer.index``, and so are the bounds of a slice; negative ones count from the end of
                the layers held: of the layers 2 to 5, ``3`` and ``-3`` are layer 3, ``slice(3, -1)`` layers 3 and 4.
            heads: head numbers, a slice, or one number. A number is the model's own, as layers have theirs; negative
                ones count from the end of the heads held.
            kind: ``"self"`` or ``"cross"``.
            stack: ``"encoder"``, ``"decoder"``, ``"vision"``, … as in ``layer.stack``.

        Raises:
            SelectionError: nothing is left, or a layer or head does not exist.
        """
        if kind not in (None, "self", "cross"):
            raise OptionError(f'kind is "self" or "cross"; {kind!r} was given')
        positions = choose(parts_of(layers), self.layers)
        kept = [self.layers[position] for position in positions]
        kept = [layer for layer in kept if kind in (None, layer.kind) and stack in (None, layer.stack)]
        if not kept:
            have = sorted({f"{layer.kind} attention in stack {layer.stack!r}" for layer in self.layers})
            raise SelectionError(
                f"no layer is left for layers={layers!r}, kind={kind!r}, stack={stack!r}; there is: {', '.join(have)}"
            )
        if heads is not None:
            kept = [layer.with_heads(heads) for layer in kept]
        return self._with_layers(kept)

    def _with_layers(self, layers: Sequence[AttentionLayer]) -> AttentionTrace:
        used = {name for layer in layers for name in (layer.query_axis, layer.key_axis)}
        return replace(self, layers=tuple(layers), axes={k: axis for k, axis in self.axes.items() if k in used})

    def axes_of(self, layer: AttentionLayer) -> tuple[TokenAxis, TokenAxis]:
        """The query axis and the key axis of one of the layers."""
        return self.axes[layer.query_axis], self.axes[layer.key_axis]

    # The tuples that Hugging Face models return and that other tools take.

    @property
    def attentions(self) -> tuple[LazyWeights, ...]:
        """The weights of every self-attention layer, each of shape (batch, heads, query, key)."""
        return tuple(layer.weights for layer in self.layers if layer.kind == "self")

    @property
    def encoder_attentions(self) -> tuple[LazyWeights, ...]:
        """The self-attention of the layers whose stack is "encoder", each (batch, heads, encoder, encoder)."""
        return self._weights_of("self", "encoder")

    @property
    def decoder_attentions(self) -> tuple[LazyWeights, ...]:
        """The self-attention of the layers whose stack is "decoder", each (batch, heads, decoder, decoder)."""
        return self._weights_of("self", "decoder")

    @property
    def cross_attentions(self) -> tuple[LazyWeights, ...]:
        """The weights of every cross-attention layer, each (batch, heads, decoder, encoder)."""
        return tuple(layer.weights for layer in self.layers if layer.kind == "cross")

    def _weights_of(self, kind: LayerKind, stack: str) -> tuple[LazyWeights, ...]:
        return tuple(layer.weights for layer in self.layers if layer.kind == kind and layer.stack == stack)

    # Making, keeping and showing.

    @classmethod
    def from_arrays(
        cls,
        attentions: Any = None,
        *,
        tokens: Any = None,
        encoder_attentions: Any = None,
        decoder_attentions: Any = None,
        cross_attentions: Any = None,
        names: Iterable[str] | None = None,
    ) -> AttentionTrace:
        """A trace from attention weights that somebody already has, whatever framework they came from.

        Args:
            attentions: a list of arrays (batch, heads, query, key), one a layer; one array (layers, batch, heads,
                query, key); or an output object or mapping with fields of these names, as Hugging Face models return.
            tokens: labels, as for `attncore.trace`: a list, a list per batch item, or a mapping from axis to these
                (the axes are "tokens", or "encoder" and "decoder").
            encoder_attentions: self-attention of an encoder, each (batch, heads, encoder, encoder).
            decoder_attentions: self-attention of a decoder, each (batch, heads, decoder, decoder).
            cross_attentions: from decoder to encoder, each (batch, heads, decoder, encoder).
            names: one name a layer of ``attentions``; layers of one name are its calls.

        None in place of a layer's array, as models give it for a layer that was skipped, leaves that layer out; the
        others keep their numbers.

        Raises:
            ArrayError: there are no weights, they have not four axes, some are masked, the lengths of cross-attention
                are not the encoder's and decoder's, a row has some NaN, or names are no strings.
            TokenError: labels do not fit.
        """
        from attncore.from_arrays import build_trace

        return build_trace(
            attentions,
            tokens=tokens,
            encoder_attentions=encoder_attentions,
            decoder_attentions=decoder_attentions,
            cross_attentions=cross_attentions,
            names=names,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write one safetensors file; `attncore.load` reads it. Lazy weights stay lazy, ``output`` is left out.

        Args:
            path: the file, by habit ``NAME.attn.safetensors``; it is replaced when it is there.

        Raises:
            ArrayError: a value kept by ``reduce=`` is not an array of numbers.
            OSError: the file cannot be written, because its folder does not exist for example.
        """
        from attncore.storage import save

        save(self, path)

    def render(self, renderer: str | Renderer | None = None, *, view: str | None = None, **options: Any) -> Rendered:
        """Show the trace with one of `attncore.renderers()`, or a renderer itself; the result shows or saves itself."""
        from attncore.rendering import render

        return render(self, renderer, view=view, **options)

    def widget(self, renderer: str | None = None, **options: Any) -> Any:
        """The interactive page as a notebook widget, exact at any length: the kernel gives it its numbers.

        Args:
            renderer: one that makes widgets; by default the first.
            **options: the renderer's own; those of "d3" are ``view``, ``layer``, ``heads``, ``query``, ``batch``,
                ``theme`` and ``height``, as for ``render("d3")``.

        Returns:
            The widget, whose ``view``, ``layer``, ``heads``, ``item``, ``query`` and ``key`` are what is selected on
            the page, as places from 0; assign to them to select something else. (The options ``layer`` and ``heads``
            are the model's own numbers, as everywhere.)

        Raises:
            UnavailableError: anywidget is not installed (the extra ``notebook``).
            SelectionError: the trace holds no such layer, head, token or batch item.
        """
        from attncore.live import make_widget

        return make_widget(self, renderer, **options)

    def __repr__(self) -> str:
        from attncore.describe import describe

        return describe(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """What a notebook shows: the first installed renderer that draws HTML of it, and the text beside it."""
        from attncore.rendering import notebook_bundle

        return {**notebook_bundle(self), "text/plain": repr(self)}
