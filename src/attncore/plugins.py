"""Finds renderers and backends through pluggy; one broken plugin never takes the rest down."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version
from typing import Any, Generic, TypeVar

import pluggy

from attncore import hookspecs
from attncore.errors import PluginError, did_you_mean
from attncore.protocols import Backend, Renderer

GROUP = "attncore"
# What we ship comes through the same hooks as anybody else's plugin. The first renderer is the default.
BUILT_IN = (
    "attncore.renderers.d3",
    "attncore.renderers.terminal",
    "attncore.renderers.matplotlib",
    "attncore.backends.torch",
    "attncore.backends.jax",
    "attncore.backends.tensorflow",
)

# Where renderers of `register_renderer` come from.
RUNNING_PROGRAM = "this program"

Thing = TypeVar("Thing", Backend, Renderer)


@dataclass(frozen=True)
class Registered(Generic[Thing]):
    """A renderer or backend and the distribution it came from."""

    thing: Thing
    distribution: str


@dataclass
class Plugins:
    """Everything found: ``failures`` maps the name of a plugin that could not be used to the reason."""

    renderers: dict[str, Registered[Renderer]] = field(default_factory=dict)
    backends: dict[str, Registered[Backend]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


class PluginWarning(UserWarning):
    """A plugin could not be used; the others were loaded."""


@cache
def plugins() -> Plugins:
    """All plugins, loaded on first use.

    ``ATTNCORE_PLUGINS=a,b`` restricts third-party plugins to these entry-point names (empty: none).
    """
    manager = pluggy.PluginManager("attncore")
    manager.add_hookspecs(hookspecs)
    found = Plugins()
    for module_name in BUILT_IN:
        _register(found, manager, import_module(module_name), module_name, f"attncore {version('attncore')}")
    for entry_point in entry_points(group=GROUP):
        if _wanted(entry_point.name):
            _load(found, manager, entry_point)
    for name, reason in found.failures.items():
        warnings.warn(f'attncore plugin "{name}" could not be used: {reason}', PluginWarning, stacklevel=2)
    return found


def _wanted(name: str) -> bool:
    chosen = os.environ.get("ATTNCORE_PLUGINS")
    return chosen is None or name in [part.strip() for part in chosen.split(",")]


def _load(found: Plugins, manager: pluggy.PluginManager, entry_point: EntryPoint) -> None:
    try:
        plugin = entry_point.load()
    except (Exception, SystemExit) as error:  # whatever a stranger's module raises on import
        found.failures[entry_point.name] = f"importing it raised {type(error).__name__}: {error}"
        return
    distribution = entry_point.dist
    source = f"{distribution.name} {distribution.version}" if distribution is not None else "unknown distribution"
    _register(found, manager, plugin, entry_point.name, source)


def _register(found: Plugins, manager: pluggy.PluginManager, plugin: object, name: str, source: str) -> None:
    """Let one plugin register what it has; what it had registered before it failed is not kept."""
    renderers: dict[str, Registered[Renderer]] = {}
    backends: dict[str, Registered[Backend]] = {}
    try:
        manager.register(plugin, name=name)
        manager.check_pending()  # a misspelt hook is an error, not silence
        only_this = manager.subset_hook_caller
        others = [other for other in manager.get_plugins() if other is not plugin]
        only_this("attncore_register_renderers", others)(register=_adder(renderers, found.renderers, Renderer, source))
        only_this("attncore_register_backends", others)(register=_adder(backends, found.backends, Backend, source))
    except (Exception, SystemExit) as error:  # whatever a stranger's hook raises
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        found.failures[name] = f"{error}" if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        return
    found.renderers.update(renderers)
    found.backends.update(backends)


def _adder(
    mine: dict[str, Registered[Any]], known: Mapping[str, Registered[Any]], contract: type[Any], source: str
) -> Callable[[Any], None]:
    """The ``register`` function a plugin is given."""

    def register(thing: Any) -> None:
        kind = contract.__name__.lower()
        if isinstance(thing, type) or not isinstance(thing, contract):
            needed = "name, views, render" if kind == "renderer" else "name, matches, capture"
            raise PluginError(f"{source} registered {thing!r} as a {kind}; register an object with {needed}")
        if not isinstance(thing.name, str) or not thing.name:
            raise PluginError(f"{source} registered a {kind} whose name is {thing.name!r}; a name is a text")
        clash = {**known, **mine}.get(thing.name)
        if clash is not None:
            remedy = "uninstall one of the two or choose with ATTNCORE_PLUGINS"
            raise PluginError(
                f'the {kind} "{thing.name}" of {source} has the name of one from {clash.distribution}; '
                f"{'choose another name' if source == RUNNING_PROGRAM else remedy}"
            )
        mine[thing.name] = Registered(thing, source)

    return register


def register_renderer(renderer: Renderer) -> None:
    """Make a renderer known by its name until Python ends, without a plugin: for notebooks and scripts.

    Registered again, as when a cell is run twice, the new one takes the place of the one before.

    Raises:
        PluginError: it is no renderer, or its name is that of an installed one.
    """
    known = plugins().renderers
    installed = {name: entry for name, entry in known.items() if entry.distribution != RUNNING_PROGRAM}
    mine: dict[str, Registered[Renderer]] = {}
    _adder(mine, installed, Renderer, RUNNING_PROGRAM)(renderer)
    known.update(mine)


def find_renderer(name: str) -> Renderer:
    """The renderer of this name.

    Raises:
        PluginError: there is none; the message lists what there is.
    """
    return _find(name, plugins().renderers, "renderer")


def find_backend(name: str) -> Backend:
    """The backend of this name.

    Raises:
        PluginError: there is none; the message lists what there is.
    """
    return _find(name, plugins().backends, "backend")


def _find(name: str, known: Mapping[str, Registered[Thing]], kind: str) -> Thing:
    if name in known:
        return known[name].thing
    failed = plugins().failures.get(name)
    reason = f"; it failed to load: {failed}" if failed else ""
    raise PluginError(f'no {kind} "{name}"{did_you_mean(name, known)}; installed: {", ".join(known)}{reason}')
