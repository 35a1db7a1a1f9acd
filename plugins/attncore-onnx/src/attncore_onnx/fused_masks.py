"""The masks of onnxruntime's `Attention` and `MultiHeadAttention`: what is forbidden only has its score lowered."""

from __future__ import annotations

import numpy as np

from attncore.arrays import Array
from attncore_onnx.fused import CannotRecomputeError, both

# Scores as far below the largest as this have a weight of exactly 0 in float32.
_NOTHING = 110.0


def filled(mask: Array, batch: int, queries: int, keys: int) -> Array | None:
    """True where the operator lowers the score, broadcastable to (batch, 1, query, key); None where nowhere.

    The mask is one of: (batch,), keys up to there; (2 * batch,), the ends and then the starts of the keys;
    (3 * batch + 2,), keys up to the first ``batch`` numbers; (batch, key) or (batch, query, key), 0 where masked;
    (batch, 1) or (1, 1), which masks nothing.

    Raises:
        CannotRecomputeError: it has another shape.
    """
    position = np.arange(keys)[None, :]
    if mask.shape in ((batch,), (3 * batch + 2,)):
        return (position >= mask[:batch, None])[:, None, None]
    if mask.shape == (2 * batch,):
        return ((position >= mask[:batch, None]) | (position < mask[batch:, None]))[:, None, None]
    if mask.shape == (batch, keys):
        return (mask <= 0)[:, None, None]
    if mask.shape == (batch, queries, keys):
        return (mask <= 0)[:, None]
    if mask.shape in ((batch, 1), (1, 1)):
        return None
    raise CannotRecomputeError(
        f"its mask has shape {tuple(mask.shape)}, whose meaning for {batch} items, {queries} queries and {keys} keys "
        "is not documented for processors"
    )


def combined(
    lowered: Array | None, causal: Array | None, bias: Array | None, *, amount: float, largest: float
) -> tuple[Array | None, Array | None]:
    """The mask and the bias that give the operator's weights exactly.

    Where ``lowered``, the operator adds ``amount``, mostly -10,000. For a row with another key left this gives weights
    of 0, as a mask does; in a row of nothing but padding it changes nothing, so that there it must stay a number.

    Args:
        lowered: as `filled` gives it.
        causal: True where a causal query may look, (1, 1, query, key).
        bias: what is added to the scores besides.
        amount: what is added where ``lowered``.
        largest: no score is further from 0 than this.
    """
    if lowered is None:
        return causal, bias
    allowed = both(~lowered, causal)
    assert allowed is not None
    spread = 2 * (largest + (0.0 if bias is None else float(np.abs(bias[np.isfinite(bias)]).max(initial=0.0))))
    if allowed.any(axis=-1).all() and -amount > spread + _NOTHING:
        return allowed, bias
    fill = np.where(lowered, np.float32(amount), np.float32(0))
    return causal, fill if bias is None else bias + fill


def largest_score(query: Array, key: Array, scale: float) -> float:
    """No product of a query and a key is further from 0 than this, by the lengths of the longest of each."""
    lengths = [float(np.sqrt(np.square(one.astype(np.float64)).sum(axis=-1)).max(initial=0.0)) for one in (query, key)]
    return abs(scale) * lengths[0] * lengths[1]
