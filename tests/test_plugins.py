"""Plugins: found through entry points, loaded on first use, and never able to take the others down."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import attncore
from attncore import PluginError, Rendered
from attncore import plugins as plugins_module
from attncore.plugins import PluginWarning, find_backend, find_renderer, plugins
from attncore.testing import example_trace


class TinyRenderer:
    """The smallest renderer there can be."""

    def __init__(self, name: str = "tiny") -> None:
        self.name = name
        self.views = ("only",)

    def render(self, trace: Any, *, view: str) -> Rendered:
        return Rendered({"text/plain": f"{len(trace)} layers"})


class TinyBackend:
    """The smallest backend there can be."""

    name = "tiny"

    def matches(self, model: Any) -> bool:
        return model == "tiny model"

    def capture(self, model: Any, options: Any) -> Any:
        raise NotImplementedError


def renderer_plugin(*renderers: Any) -> Any:
    """A plugin object that registers these renderers."""

    class Plugin:
        @attncore.hookimpl
        def attncore_register_renderers(self, register: Any) -> None:
            for renderer in renderers:
                register(renderer)

    return Plugin()


class FakeEntryPoint:
    """An installed entry point that gives a plugin, or raises when it is loaded."""

    def __init__(self, name: str, plugin: Any) -> None:
        self.name, self.plugin = name, plugin
        self.dist = SimpleNamespace(name=f"attncore-{name}", version="1.2")

    def load(self) -> Any:
        if isinstance(self.plugin, BaseException):
            raise self.plugin
        return self.plugin


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Pretends that plugins are installed; everything is forgotten afterwards."""
    monkeypatch.delenv("ATTNCORE_PLUGINS", raising=False)

    def do(**installed: Any) -> None:
        found = [FakeEntryPoint(name, plugin) for name, plugin in installed.items()]
        monkeypatch.setattr(plugins_module, "entry_points", lambda group: found)
        plugins.cache_clear()

    yield do
    plugins.cache_clear()


def test_built_ins_come_through_the_same_door(install: Any) -> None:
    """Our own renderers and backends are registered by hooks, under our own name and version."""
    install()
    found = plugins()
    assert "terminal" in found.renderers
    assert "torch" in found.backends
    assert found.renderers["terminal"].distribution == f"attncore {attncore.__version__}"
    assert found.failures == {}


def test_a_plugin_registers_a_renderer_and_a_backend(install: Any) -> None:
    """What a plugin registers is listed, found by name, and known by its distribution."""

    class Plugin:
        @attncore.hookimpl
        def attncore_register_renderers(self, register: Any) -> None:
            register(TinyRenderer())

        @attncore.hookimpl
        def attncore_register_backends(self, register: Any) -> None:
            register(TinyBackend())

    install(tiny=Plugin())
    assert attncore.renderers()["tiny"] == ("only",)
    assert "tiny" in attncore.backends()
    assert find_renderer("tiny").name == find_backend("tiny").name == "tiny"
    assert plugins().renderers["tiny"].distribution == "attncore-tiny 1.2"


def test_plugins_are_loaded_once(install: Any) -> None:
    """The second question costs nothing."""
    install(tiny=renderer_plugin(TinyRenderer()))
    assert plugins() is plugins()


class MisspeltHook:
    """Implements a hook that does not exist."""

    @attncore.hookimpl
    def attncore_register_renderer(self, register: Any) -> None:
        register(TinyRenderer())


class RaisingHook:
    """Registers one renderer and then fails."""

    @attncore.hookimpl
    def attncore_register_renderers(self, register: Any) -> None:
        register(TinyRenderer("half"))
        raise RuntimeError("no licence")


class WrongArgument:
    """Its hook takes an argument that the hook has not."""

    @attncore.hookimpl
    def attncore_register_renderers(self, add: Any) -> None:
        add(TinyRenderer())


BROKEN = {
    "import": (ImportError("No module named 'matplotlib'"), r"importing it raised ImportError: No module named"),
    "syntax": (SyntaxError("invalid syntax"), r"importing it raised SyntaxError"),
    "raising": (RaisingHook(), r"RuntimeError: no licence"),
    "misspelt": (MisspeltHook(), r"attncore_register_renderer\b"),
    "argument": (WrongArgument(), r"attncore_register_renderers"),
    "class": (renderer_plugin(TinyRenderer), r"registered <class .*TinyRenderer'> as a renderer; register an object"),
    "no renderer": (renderer_plugin(object()), r"as a renderer; register an object with name, views, render"),
    "clash": (renderer_plugin(TinyRenderer("terminal")), r'"terminal" of attncore-broken 1\.2 .* one from attncore \d'),
    "twice": (renderer_plugin(TinyRenderer("a"), TinyRenderer("a")), r'renderer "a" .*has the name of one from'),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_warns_and_the_rest_works(case: str, install: Any) -> None:
    """However a plugin is broken, it is named with the reason, nothing of it is kept, and the others are there."""
    plugin, said = BROKEN[case]
    install(broken=plugin, tiny=renderer_plugin(TinyRenderer()))
    with pytest.warns(PluginWarning, match=rf'(?s)plugin "broken" could not be used: .*{said}'):
        found = plugins()
    assert set(found.failures) == {"broken"}
    assert {"terminal", "tiny"} <= set(found.renderers)
    assert not {"half", "a"} & set(found.renderers)
    assert found.renderers["terminal"].distribution.startswith("attncore ")


def test_a_plugin_after_a_misspelt_one_is_not_blamed_for_it(install: Any) -> None:
    """The failed plugin is unregistered, so that its unknown hook does not fail the next one."""
    install(first=MisspeltHook(), second=renderer_plugin(TinyRenderer()))
    with pytest.warns(PluginWarning, match='"first"'):
        assert "tiny" in plugins().renderers
    assert set(plugins().failures) == {"first"}


def test_asking_for_a_failed_plugin_gives_the_reason(install: Any) -> None:
    """Long after the warning scrolled away, the name still says why it is not there."""
    install(fancy=ImportError("No module named 'plotly'"))
    with pytest.warns(PluginWarning):
        plugins()
    with pytest.raises(PluginError, match=r'no renderer "fancy".*it failed to load: .*plotly'):
        find_renderer("fancy")


@pytest.mark.parametrize(("find", "kind"), [(find_renderer, "renderer"), (find_backend, "backend")])
def test_an_unknown_name_lists_what_there_is(find: Any, kind: str, install: Any) -> None:
    """A typing error is met with the nearest name, anything else with the list."""
    install()
    near = {"renderer": "terminl", "backend": "troch"}[kind]
    real = {"renderer": "terminal", "backend": "torch"}[kind]
    with pytest.raises(PluginError, match=rf'no {kind} "{near}" \(did you mean "{real}"\?\); installed: .*{real}'):
        find(near)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, {"one", "two"}), ("", set()), ("one", {"one"}), (" two , one ", {"one", "two"})]
)
def test_an_environment_variable_restricts_plugins(
    value: str | None, expected: set[str], install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``ATTNCORE_PLUGINS`` names the plugins to load; the built-in ones are always there."""
    install(one=renderer_plugin(TinyRenderer("one")), two=renderer_plugin(TinyRenderer("two")))
    if value is not None:
        monkeypatch.setenv("ATTNCORE_PLUGINS", value)
    assert {"one", "two"} & set(attncore.renderers()) == expected
    assert "terminal" in attncore.renderers()


def test_a_restricted_plugin_is_not_even_imported(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin left out cannot do harm, and gives no warning."""
    install(bad=RuntimeError("imported"))
    monkeypatch.setenv("ATTNCORE_PLUGINS", "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plugins().failures == {}


def test_a_program_registers_a_renderer_of_its_own(install: Any) -> None:
    """It is listed and found by its name, and once it is registered again the new one is used."""
    install(other=renderer_plugin(TinyRenderer("other")))
    first, second = TinyRenderer("mine"), TinyRenderer("mine")
    attncore.register_renderer(first)
    assert find_renderer("mine") is first
    assert attncore.renderers()["mine"] == ("only",)
    assert example_trace().render("mine").bundle == {"text/plain": "2 layers"}
    attncore.register_renderer(second)
    assert find_renderer("mine") is second
    assert {"other", "terminal"} <= set(attncore.renderers())


@pytest.mark.parametrize(
    ("renderer", "said"),
    [
        (TinyRenderer("terminal"), r'"terminal" of this program .* one from attncore \d.*; choose another name'),
        (TinyRenderer("other"), r'"other" of this program .* one from attncore-other 1\.2; choose another name'),
        (TinyRenderer, r"this program registered <class .*TinyRenderer'> as a renderer; register an object"),
        (object(), r"this program registered .* as a renderer; register an object with name, views, render"),
        (TinyRenderer(None), r"registered a renderer whose name is None; a name is a text"),  # type: ignore[arg-type]
    ],
)
def test_a_program_cannot_take_an_installed_name(renderer: Any, said: str, install: Any) -> None:
    """Nor register what is no renderer; nothing of it is kept."""
    install(other=renderer_plugin(TinyRenderer("other")))
    before = dict(plugins().renderers)
    with pytest.raises(PluginError, match=said):
        attncore.register_renderer(renderer)
    assert plugins().renderers == before


PLUGIN_MODULE = """
import attncore

class Renderer:
    name = "installed"
    views = ("count",)

    def render(self, trace, *, view):
        return attncore.Rendered({"text/plain": f"{len(trace)} layers"})

@attncore.hookimpl
def attncore_register_renderers(register):
    register(Renderer())
"""


def test_an_installed_distribution_is_found(tmp_path: Path) -> None:
    """A module beside a ``dist-info`` folder, as pip leaves them, is a plugin; a broken one beside it only warns."""
    for name, module in (("good", PLUGIN_MODULE), ("broken", "raise RuntimeError('out of order')")):
        (tmp_path / f"attncore_{name}.py").write_text(module)
        info = tmp_path / f"attncore_{name}-3.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: attncore-{name}\nVersion: 3.1\n")
        (info / "entry_points.txt").write_text(f"[attncore]\n{name} = attncore_{name}\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import attncore, warnings\n"
        "assert 'attncore_good' not in sys.modules, 'plugins must not be loaded by import attncore'\n"
        "from attncore.testing import example_trace\n"
        "print(example_trace().render('installed'))\n"
        "from attncore.plugins import plugins\n"
        "print(plugins().renderers['installed'].distribution)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["2 layers", "attncore-good 3.1"]
    assert 'plugin "broken" could not be used: importing it raised RuntimeError: out of order' in done.stderr


def test_entry_points_of_our_group_only_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group is part of the contract with plugin authors."""
    asked: list[str] = []

    def entry_points(group: str) -> list[EntryPoint]:
        asked.append(group)
        return []

    monkeypatch.setattr(plugins_module, "entry_points", entry_points)
    plugins.cache_clear()
    plugins()
    plugins.cache_clear()
    assert asked == ["attncore"]
