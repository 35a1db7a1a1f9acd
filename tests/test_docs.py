"""The pages keep their word: what they say runs does run, and every hook is described with its exact signature."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from doc_examples import blocks_of, lay_out_models, run_blocks

from attncore import hookspecs

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Each sample of these is a whole program, to be copied alone.
APART = {"quick-start.md"}
HOOKS = [name for name in vars(hookspecs) if name.startswith("attncore_")]


# BertViz leaves the scripts that it reads open.
@pytest.mark.filterwarnings("ignore:unclosed file .*bertviz:ResourceWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block marked ```` ```python run ```` runs, in order, and prints what the page says it prints."""
    monkeypatch.chdir(tmp_path)
    lay_out_models(tmp_path)
    blocks = blocks_of(page.read_text())
    ready = [block for block in blocks if block.runnable and not block.missing]
    assert run_blocks(page, apart=page.name in APART) == len(ready)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_is_python(page: Path) -> None:
    """A block that is not run must at least be Python that compiles."""
    for block in blocks_of(page.read_text()):
        try:
            ast.parse(block.code)
        except SyntaxError as error:
            pytest.fail(f"{page.name}, block at line {block.line}: {error}")


def signature_text(hook: str) -> str:
    """A hook's signature as the page must show it; annotations come as quoted texts and are written without quotes."""
    return f"def {hook}{inspect.signature(getattr(hookspecs, hook))}:".replace("'", "")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_described_with_its_signature(hook: str) -> None:
    """A plugin author copies the signature from the documentation, so it must be exact."""
    page = ROOT / "docs" / "plugins.md"
    if not page.exists():
        pytest.skip("docs/plugins.md is not written yet")
    assert signature_text(hook) in page.read_text(), f"docs/plugins.md does not show `{signature_text(hook)}`"


def test_a_hooks_signature_reads_as_one_writes_it() -> None:
    """What the test above looks for is what stands in the source."""
    assert len(HOOKS) == 2
    expected = "def attncore_register_renderers(register: Callable[[Renderer], None]) -> None:"
    assert signature_text("attncore_register_renderers") == expected
    assert expected in Path(hookspecs.__file__).read_text()


PAGE = """
```python run
x = 1
```
text
```python
y = undefined
```
   ```python run needs=no_such_module_anywhere
   raise RuntimeError
   ```
```python run
assert x == {expected}
```
"""


def test_the_runner_runs_what_is_marked(tmp_path: Path) -> None:
    """Blocks share their names, unmarked ones and those that need something else are left out."""
    page = tmp_path / "page.md"
    page.write_text(PAGE.format(expected=1))
    assert run_blocks(page) == 2


def test_the_runner_finds_a_failing_block(tmp_path: Path) -> None:
    """The twin: a block that fails fails the page, and the traceback names the page's line."""
    page = tmp_path / "page.md"
    page.write_text(PAGE.format(expected=2))
    with pytest.raises(AssertionError) as caught:
        run_blocks(page)
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno + 1) == (str(page), 13)


PRINTS = "```python run\nprint(1); print(2)\n```\n\n```text output\n1\n{second}\n```\n"


def test_the_runner_compares_what_is_printed(tmp_path: Path) -> None:
    """An output that is right passes, and one that is not is found."""
    page = tmp_path / "page.md"
    page.write_text(PRINTS.format(second=2))
    assert run_blocks(page) == 1
    page.write_text(PRINTS.format(second=3))
    with pytest.raises(AssertionError, match=r"page\.md, line 2: prints something else"):
        run_blocks(page)


def test_blocks_that_run_apart_share_no_names(tmp_path: Path) -> None:
    """What one sample defines, the next does not find."""
    page = tmp_path / "page.md"
    page.write_text("```python run\nx = 1\n```\n\n```python run\nx\n```\n")
    assert run_blocks(page) == 2
    with pytest.raises(NameError):
        run_blocks(page, apart=True)


@pytest.mark.parametrize("before", ["", "```python\nprint(1)\n```\n", "```python run\nprint(1)\n```\ntext\n"])
def test_an_output_without_its_block_is_an_error(before: str) -> None:
    """It would never be compared."""
    with pytest.raises(ValueError, match="must follow"):
        blocks_of(f"{before}```text output\n1\n```\n")


def test_a_misspelt_mark_is_an_error() -> None:
    """```` ```python rnu ```` would never run, so it is refused."""
    with pytest.raises(ValueError, match=r"line 1: unknown word 'rnu'"):
        blocks_of("```python rnu\nx = 1\n```\n")
