"""The figures of docs/figures.md, of all-MiniLM-L6-v2 on one sentence, as a paper would have them.

Needs matplotlib and the packages of requirements-demo.txt. Usage: ``python examples/figures.py [FOLDER]``; without a
folder they go where the documentation has them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib
from transformers import AutoModel, AutoTokenizer

import attncore
from attncore.cli_demo import MODELS, folder_of
from attncore.testing import example_trace

TEXT = MODELS["minilm"].text
# Made-up attention, since this model knows few of these words. Needs Noto's fonts for Chinese, Japanese and Korean.
SCRIPTS = ["The", "cat", "кошка", "γάτα", "ネコ", "猫", "고양이", "القطة", "חתול"]
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
    model = AutoModel.from_pretrained(source, local_files_only=True)
    trace = traced(model, tokenizer, TEXT)
    for name, options in FIGURES.items():
        print(trace.render("matplotlib", **options).save(folder / f"figure-{name}.png"))
    with matplotlib.rc_context({"font.size": 8}):
        column = traced(model, tokenizer, " ".join([TEXT] * 12)).render("matplotlib", layer=1, head=8, figsize=(3.3, 3))
        print(column.save(folder / "figure-column.png"))
    scripts = example_trace(n_tokens=len(SCRIPTS), tokens=SCRIPTS).render("matplotlib", view="head", head=2)
    print(scripts.save(folder / "figure-scripts.png"))


def traced(model: Any, tokenizer: Any, text: str) -> attncore.AttentionTrace:
    """The attention on the first 128 tokens of a text."""
    encoded = tokenizer(text, return_tensors="pt", truncation=True, max_length=128)
    return attncore.trace(model, encoded, tokens=tokenizer)


if __name__ == "__main__":
    main()
