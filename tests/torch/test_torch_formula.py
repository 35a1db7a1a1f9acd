"""The formula in torch, for weights that are held, against numpy in float64 written out here."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attncore.backends._torch_probabilities import TorchScoring, probabilities

CASES = [
    (rows, columns, kv_heads, causal, masked, biased)
    for rows, columns in ((4, 4), (3, 5), (5, 3))
    for kv_heads in (1, 2, 6)
    for causal in (False, True)
    for masked in (False, True)
    for biased in (False, True)
] + [
    # Long ones are computed by blocks of rows.
    (rows, columns, kv_heads, True, False, False)
    for rows, columns in ((130, 130), (129, 300), (300, 129), (257, 3))
    for kv_heads in (2, 6)
]


@pytest.mark.parametrize(("rows", "columns", "kv_heads", "causal", "masked", "biased"), CASES)
def test_the_formula(rows: int, columns: int, kv_heads: int, causal: bool, masked: bool, biased: bool) -> None:
    """Grouped heads are repeated, a causal mask begins at the upper left, and a row without keys is all zeros."""
    random = np.random.default_rng(0)
    batch, heads, dim = 2, 6, 4
    query, key = (
        random.standard_normal((batch, heads, rows, dim)),
        random.standard_normal((batch, kv_heads, columns, dim)),
    )
    mask = random.random((batch, 1, rows, columns)) < 0.6
    mask[1, 0, 1] = False
    bias = random.standard_normal((1, heads, rows, columns))

    expected = np.zeros((batch, heads, rows, columns))
    for b, h, i in np.ndindex(batch, heads, rows):
        scores = key[b, h // (heads // kv_heads)] @ query[b, h, i] * 0.7 + (bias[0, h, i] if biased else 0)
        allowed = np.ones(columns, dtype=bool)
        allowed &= np.arange(columns) <= i if causal else True
        allowed &= mask[b, 0, i] if masked else True
        exponentials = np.where(allowed, np.exp(scores), 0)
        expected[b, h, i] = exponentials / (exponentials.sum() or 1)

    scoring = TorchScoring(
        0.7,
        causal=causal,
        mask=torch.from_numpy(mask) if masked else None,
        bias=torch.from_numpy(bias) if biased else None,
    )
    found = probabilities(torch.from_numpy(query), torch.from_numpy(key), scoring)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shared", ["query", "key"])
def test_what_all_batch_items_share(shared: str) -> None:
    """A query or key of one batch item serves all."""
    random = torch.Generator().manual_seed(0)
    sizes = {"query": 3, "key": 3, shared: 1}
    query, key = (torch.randn(sizes[name], 2, 200, 4, generator=random) for name in ("query", "key"))
    whole = probabilities(query.expand(3, -1, -1, -1), key.expand(3, -1, -1, -1), TorchScoring(0.5, causal=True))
    found = probabilities(query, key, TorchScoring(0.5, causal=True))
    torch.testing.assert_close(found, whole)
