"""The plugins' page: every sample is run, or is a file's own text; every signature is the one in the source."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
from doc_examples import blocks_of

from attncore import hookspecs, protocols

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "plugins.md"
# A comment above a block says which file it is, or which definition of it.
FROM = re.compile(
    r"^<!-- from (?P<path>[^\s:]+)(?:: (?P<name>\w+))? -->\n\n```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MEMBERS = [
    (protocol, name)
    for protocol in ("Renderer", "GlanceRenderer", "WidgetRenderer", "ServerRenderer", "Backend", "Session")
    for name, member in vars(getattr(protocols, protocol)).items()
    if isinstance(member, property) or (inspect.isfunction(member) and member.__module__ == protocols.__name__)
    if name in ("__enter__", "__exit__", "__call__") or not name.startswith("_")
]


def part_of(path: str, name: str | None) -> str:
    """A file's text, or that of one of its top-level definitions with its decorators."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if name is None:
        return text
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno]) + "\n"
    raise LookupError(f"{path} defines no {name}")


def differing(page: str) -> list[str]:
    """The samples of a page that are not what their file says."""
    return [
        f"{match['path']}: {match['name'] or 'the whole file'}"
        for match in FROM.finditer(page)
        if match["text"] != part_of(match["path"], match["name"])
    ]


def test_each_sample_is_the_files_own_text() -> None:
    """Byte for byte, so that what a reader copies is what our tests run."""
    page = PAGE.read_text(encoding="utf-8")
    assert len(FROM.findall(page)) == page.count("<!-- from ") >= 7
    assert not differing(page), "copy these into docs/plugins.md again"


def test_a_sample_that_fell_behind_is_found() -> None:
    """The twin: one changed letter."""
    page = PAGE.read_text(encoding="utf-8")
    assert differing(page.replace("class NumpyBackend", "class NumpyBackends", 1)) == [
        "src/attncore/testing_numpy.py: the whole file"
    ]


def test_no_sample_is_neither() -> None:
    """A block of Python is run, or a file's, or shows nothing but signatures."""
    page = PAGE.read_text(encoding="utf-8")
    from_files = {page.count("\n", 0, match.start("text")) + 1 for match in FROM.finditer(page)}
    for block in blocks_of(page):
        if block.runnable or block.line in from_files:
            continue
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.FunctionDef):
                body = [ast.unparse(line) for line in node.body]
                assert len(body) == 1, f"line {block.line}: {node.name} does something and is not run"
                assert body[0] == "..." or ast.get_docstring(node), f"line {block.line}: {node.name} is not run"


def shown(page: str) -> dict[tuple[str, str], str]:
    """The signature of each method, and the type of each attribute, of the classes that the page shows."""
    found = {}
    for block in blocks_of(page):
        for node in ast.parse(block.code).body:
            if isinstance(node, ast.ClassDef) and not block.runnable:
                for member in node.body:
                    if isinstance(member, ast.FunctionDef):
                        returns = "" if member.returns is None else f" -> {ast.unparse(member.returns)}"
                        found[node.name, member.name] = f"({ast.unparse(member.args)}){returns}"
                    elif isinstance(member, ast.AnnAssign):
                        found[node.name, ast.unparse(member.target)] = ast.unparse(member.annotation)
    return found


def expected(protocol: str, name: str) -> str:
    """The same of the protocol itself, out of its source."""
    source = ast.parse(inspect.getsource(getattr(protocols, protocol)).strip()).body[0]
    assert isinstance(source, ast.ClassDef)
    member = next(one for one in source.body if isinstance(one, ast.FunctionDef) and one.name == name)
    assert member.returns is not None
    if member.decorator_list:
        return ast.unparse(member.returns)
    return f"({ast.unparse(member.args)}) -> {ast.unparse(member.returns)}"


@pytest.mark.parametrize(("protocol", "name"), MEMBERS, ids=lambda part: str(part))
def test_each_method_is_shown_with_its_signature(protocol: str, name: str) -> None:
    """What an author writes from the page is what attncore calls."""
    assert shown(PAGE.read_text(encoding="utf-8")).get((protocol, name)) == expected(protocol, name)


def test_a_wrong_signature_is_found() -> None:
    """The twin: another default, another type."""
    page = PAGE.read_text(encoding="utf-8")
    assert len(MEMBERS) == 13
    wrong = page.replace("tokens: Any = None", "tokens: Any").replace("views: tuple[str, ...]", "views: list[str]")
    assert shown(wrong)["Session", "trace"] != expected("Session", "trace")
    assert shown(wrong)["Renderer", "views"] != expected("Renderer", "views")


def test_each_hook_is_shown_with_its_signature() -> None:
    """Once, as the source has it."""
    page = PAGE.read_text(encoding="utf-8")
    source = ast.parse(Path(hookspecs.__file__).read_text(encoding="utf-8")).body
    hooks = [node for node in source if isinstance(node, ast.FunctionDef)]
    assert [hook.name for hook in hooks] == ["attncore_register_renderers", "attncore_register_backends"]
    for hook in hooks:
        assert hook.returns is not None
        assert f"def {hook.name}({ast.unparse(hook.args)}) -> {ast.unparse(hook.returns)}:" in page
