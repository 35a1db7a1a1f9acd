"""Python blocks of Markdown pages: found by their fence, run one after the other."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?P<indent> *)```python(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """One block: what stands behind ```` ```python ````, its code, and the line it begins on."""

    info: tuple[str, ...]
    code: str
    line: int

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
        ValueError: a word behind ```` ```python ```` is unknown; a misspelt ``run`` would never run.
    """
    blocks = []
    for match in FENCE.finditer(text):
        info = tuple(match["info"].split())
        line = text.count("\n", 0, match.start("code")) + 1
        for word in info:
            if word != "run" and not word.startswith("needs="):
                raise ValueError(f"line {line - 1}: unknown word {word!r} after ```python; use run or needs=module")
        indent = match["indent"]
        code = "\n".join(row.removeprefix(indent) for row in match["code"].splitlines())
        blocks.append(Block(info, code, line))
    return blocks


def run_blocks(path: Path) -> int:
    """Run a page's runnable blocks as one program, and say how many ran; a traceback shows the page's own lines."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    count = 0
    for block in blocks_of(path.read_text()):
        if block.runnable and not block.missing:
            code = compile("\n" * (block.line - 1) + block.code, str(path), "exec")
            exec(code, namespace)
            count += 1
    return count
