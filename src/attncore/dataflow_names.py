"""What an attention is called: by the parameters that lead to it, else by the scope it is in, else by the function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attncore.dataflow import Node
from attncore.dataflow_sites import Site
from attncore.dataflow_turns import Ancestry

# The last part of a parameter's path, which names an array and no module.
_LEAVES = frozenset(["kernel", "weight", "weights", "w", "b", "bias", "scale", "embedding", "value", "gamma", "beta"])


def name_of(site: Site, ancestry: Ancestry, label: str, turns: Mapping[Node, Any]) -> str:
    """The qualified name of an attention; of stacked parameters, with the place among them.

    Args:
        site: the attention.
        ancestry: where the values of its graph come from.
        label: the name of the model or function.
        turns: of each loop around it the number of the turn that it happened in, or something else where it took all.
    """
    stacked = [
        place
        for node, place in turns.items()
        if isinstance(place, int) and ancestry.has_own_parameters(node, [site.query, site.key])
    ]
    return site_name(site, label, stacked)


def site_name(site: Site, label: str, stacked: Sequence[int] = ()) -> str:
    """The name of a site in a model or function of this label, at these places of stacked parameters."""
    parts = _common(site) or [part for part in site.scope.split("/") if part]
    if not parts or all(part.isdigit() for part in parts):
        parts = [label.rpartition(".")[2].strip("<>") or "attention", *parts]
    numbers = [str(place) for place in stacked]
    return "/".join([*parts[:1], *numbers, *parts[1:]])


def _common(site: Site) -> list[str]:
    """The path that all parameters of query, key and value have in common, without the projection itself."""
    paths = sorted({_module_path(name) for names in site.parameters.values() for name in names if name})
    if not paths:
        return []
    if len(paths) == 1:
        return list(paths[0][:-1])
    common = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return common


def _module_path(name: str) -> tuple[str, ...]:
    parts = tuple(part for part in name.split("/") if part)
    return parts[:-1] if len(parts) > 1 and parts[-1].lower() in _LEAVES else parts


_STACK_WORDS = (
    ("vision", ("vision", "visual", "image", "img")),
    ("audio", ("audio", "speech")),
    ("text", ("text", "language")),
    ("encoder", ("encoder",)),
    ("decoder", ("decoder",)),
)


def stack_of(name: str) -> str | None:
    """The part of the model ("encoder", "vision", …) that a name says it belongs to; names only label."""
    found = [stack for part in name.lower().split("/") for stack, words in _STACK_WORDS if _says(part, words)]
    towers = [stack for stack in found if stack in ("vision", "audio")]
    return next(iter(towers or found), None)


def _says(part: str, words: tuple[str, ...]) -> bool:
    return any(f"_{word}_" in f"_{part}_" for word in words)
