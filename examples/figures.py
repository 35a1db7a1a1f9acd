"""The figures of docs/figures.md, of all-MiniLM-L6-v2 on one sentence, as a paper would have them.

Needs matplotlib and the packages of requirements-demo.txt. Usage: ``python examples/figures.py [FOLDER]``; without a
folder they go where the documentation has them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from transformers import AutoModel, AutoTokenizer

import attncore
from attncore.cli_demo import MODELS, folder_of

FIGURES: dict[str, dict[str, Any]] = {
    "matrix": {"view": "matrix", "layer": 2, "head": 0, "cmap": "Blues"},
    "head": {"view": "head", "layer": 1, "head": 8},
    "heads": {"view": "heads", "layer": 1},
    "model": {"view": "model"},
    "summary": {"view": "summary"},
}


def main() -> None:
    """Trace, draw and save."""
    default = Path(__file__).parent.parent / "docs" / "images"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    folder.mkdir(parents=True, exist_ok=True)
    source = folder_of(MODELS["minilm"])
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    encoded = tokenizer(MODELS["minilm"].text, return_tensors="pt")
    model = AutoModel.from_pretrained(source, local_files_only=True)
    trace = attncore.trace(model, encoded, tokens=tokenizer)
    for name, options in FIGURES.items():
        print(trace.render("matplotlib", **options).save(folder / f"figure-{name}.png"))


if __name__ == "__main__":
    main()
