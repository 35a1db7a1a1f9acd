"""What a fused operator did in a run: its weights, held against the output that it gave itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attncore import AttentionTrace, CaptureOptions
from attncore.arrays import Array
from attncore.coverage import CoverageEntry
from attncore.dataflow_happened import Happened
from attncore.dataflow_names import site_name
from attncore.dataflow_sites import Site
from attncore.errors import ArrayError
from attncore.layer import AttentionLayer
from attncore.weights import DenseWeights, RecomputedWeights
from attncore_onnx.fused import CannotRecomputeError, FusedOperator, Inputs, Operands
from attncore_onnx.fused_kinds import with_remedy
from attncore_onnx.fused_reading import FusedNode

_ROWS = 16
_WRONG = (
    "the weights recomputed from its operands do not give its own output (they differ by up to {difference:.2g}, where "
    "{allowed:.2g} is rounding), so they are not shown"
)


@dataclass(frozen=True, eq=False)
class FusedPlan:
    """A fused operator and the attention that it is."""

    fused: FusedNode
    site: Site

    @property
    def names(self) -> set[str]:
        """The tensors that are needed to recompute its weights, and to check them."""
        return {name for name in (*self.fused.node.input, *self.fused.node.output[:3]) if name}

    def happened(self, arrays: Mapping[str, Array], values: bool) -> Happened:
        """The attention of one run.

        Args:
            arrays: the tensors of the run by name.
            values: whether the values are kept.

        Raises:
            CannotRecomputeError: the weights do not follow from the operands of this run, or not exactly.
        """
        node = self.fused.node
        operands = operands_of(self.fused.operator, node, [arrays[name] if name else None for name in node.input])
        operands = with_own_cache(operands, [arrays[name] for name in node.output[1:3] if name])
        check(operands, arrays[node.output[0]])
        scoring = operands.scoring
        held = {
            **{"query": operands.query, "key": operands.key, "value": operands.value if values else None},
            **{"mask 0": scoring.mask, "bias 0": scoring.bias, "sinks": scoring.sinks},
        }
        roles = {role: array for role, array in held.items() if array is not None}
        return Happened(self.site, False, {}, roles.keys(), roles.get, lambda: None)

    def missing(self, reason: str, label: str) -> CoverageEntry:
        """What to say where the weights cannot be shown."""
        shape = tuple(length or 0 for length in self.site.weights.shape)
        name = site_name(self.site, label)
        return CoverageEntry(name, self.fused.node.op_type, "opaque", with_remedy(reason), shape)


def operands_of(operator: FusedOperator, node: Any, inputs: Inputs) -> Operands:
    """What the weights follow from.

    Raises:
        CannotRecomputeError: they do not, or the inputs do not fit the formula.
    """
    try:
        return operator.operands(node, inputs)
    except (ArrayError, IndexError, ValueError) as error:
        raise CannotRecomputeError(f"its inputs do not fit the documented formula ({error})") from error


def with_own_cache(operands: Operands, caches: Sequence[Array]) -> Operands:
    """With the keys and values that the operator put into its cache, where it gives them and they are the same.

    Ours are a rounding away, and the next step of a generation is known by its keeping the keys of the one before.
    """
    if len(caches) == 1 and caches[0].ndim == 5:
        caches = list(caches[0])
    if len(caches) != 2 or caches[0].ndim != 4:
        return operands
    own = []
    for cache, array in zip(caches, (operands.key, operands.value), strict=True):
        kept = cache[:, :, : array.shape[2]]
        if kept.shape != array.shape or not np.allclose(kept, array, rtol=0, atol=1e-5 * float(np.abs(array).max())):
            return operands
        own.append(kept)
    return replace(operands, key=own[0], value=own[1])


def check(operands: Operands, output: Array) -> None:
    """See that the weights, multiplied with the values, are what the operator gave; a few rows of all heads.

    Raises:
        CannotRecomputeError: they are not.
    """
    batch, heads, queries, _ = operands.query.shape
    if not output.size:
        return
    rows = np.unique(np.linspace(0, queries - 1, min(queries, _ROWS)).astype(np.intp))
    given = output if output.ndim == 4 else output.reshape(batch, queries, heads, -1).transpose(0, 2, 1, 3)
    expected = given[:, :, rows].astype(np.float32)
    try:
        weights = RecomputedWeights(operands.query, operands.key, operands.scoring)
        block = weights.block(np.arange(batch), np.arange(heads), rows)
        value = np.repeat(operands.value.astype(np.float32), heads // operands.value.shape[1], axis=1)
        difference = np.abs(block @ value - expected)
    except (ArrayError, ValueError) as error:
        raise CannotRecomputeError(f"its inputs do not fit the documented formula ({error})") from error
    if operands.unspecified is not None:
        difference = np.where(operands.unspecified[:, None, rows, None], 0, difference)
    rounding = _rounding(operands) * np.maximum(np.abs(value).max(axis=(2, 3), keepdims=True), 1e-6)
    if not bool((difference <= rounding).all()):
        worst = np.unravel_index(np.argmax(np.nan_to_num(difference, nan=np.inf)), difference.shape)
        allowed = float(np.broadcast_to(rounding, difference.shape)[worst])
        raise CannotRecomputeError(_WRONG.format(difference=float(difference[worst]), allowed=allowed))


def _rounding(operands: Operands) -> float:
    """How far two computations of the same output may be apart, as a part of the largest value."""
    plain = 1e-4 if operands.query.dtype.itemsize >= 4 else 1e-2
    bias = operands.scoring.bias
    if bias is None:
        return plain
    # Scores that a bias moves far away lose digits: at -10,000, float32 has steps of 0.001.
    far = np.abs(bias[np.isfinite(bias) & (np.abs(bias) < 1e6)]).max(initial=0)
    return plain + 4 * float(np.spacing(np.float32(far)))


def as_recomputed(trace: AttentionTrace, kinds: Mapping[str, str], options: CaptureOptions) -> AttentionTrace:
    """The trace with its fused layers named by their operators (``kinds``), and held as the options say."""
    layers = tuple(_kept(layer, kinds[layer.name], options) if layer.name in kinds else layer for layer in trace)
    return replace(trace, layers=layers)


def _kept(layer: AttentionLayer, kind: str, options: CaptureOptions) -> AttentionLayer:
    weights = layer.stored_weights
    layer = layer.replaced(source=kind, computed="recomputed")
    if not isinstance(weights, RecomputedWeights) or options.keep == "qk":
        return layer
    if options.keep == "auto" and weights.size * weights.dtype.itemsize > weights.held_bytes:
        return layer
    return layer.replaced(stored_weights=DenseWeights(np.asarray(weights, dtype=options.dtype)))
