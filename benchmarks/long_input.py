"""A long input: what query and key hold, and how quickly one head's row is there. BERT-base size, 8,192 tokens.

Usage: ``python benchmarks/long_input.py [--tokens 8192] [--write]``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

import attncore
from attncore.describe import full_bytes, held_bytes

RESULTS = Path(__file__).parent / "results" / "long_input.json"


def row_seconds(trace: attncore.AttentionTrace, tokens: int, reads: int = 30) -> float:
    """The median time to read one row of one head, at changing places."""
    places = np.random.default_rng(0)
    seconds = []
    for _ in range(reads):
        layer, head, row = places.integers(len(trace)), places.integers(12), places.integers(tokens)
        start = time.perf_counter()
        weights = trace[int(layer)].weights[0, int(head), int(row)]
        seconds.append(time.perf_counter() - start)
        assert weights.shape == (tokens,)
        assert abs(float(weights.sum()) - 1) < 1e-3
    return statistics.median(seconds)


def measure(tokens: int) -> dict[str, Any]:
    """Run once with query and key kept."""
    torch.manual_seed(0)
    model = transformers.BertModel(transformers.BertConfig(max_position_embeddings=tokens)).train(False)
    ids = torch.randint(0, 1000, (1, tokens))
    with torch.no_grad():
        trace = attncore.trace(model, {"input_ids": ids}, keep="qk", values=False)
    return {
        "tokens": tokens,
        "query_and_key_mb": held_bytes(trace) / 1e6,
        "weights_in_full_mb": full_bytes(trace) / 1e6,
        "row_ms": 1000 * row_seconds(trace, tokens),
        "torch": torch.__version__,
    }


def main() -> None:
    """Print the figures; with ``--write`` keep them for the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments.tokens)
    print(json.dumps(result, indent=1))
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
