"""``attncore new-plugin``: a distribution with a renderer of one's own, its test, and nothing to fill in first."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from attncore.cli_output import say
from attncore.errors import OptionError
from attncore.plugins import plugins

_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{distribution}"
version = "0.1.0"
description = "The renderer {name}, for attncore"
requires-python = ">=3.11"
dependencies = ["attncore"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points.attncore]
{name} = "{package}"

[tool.setuptools.packages.find]
where = ["src"]
"""

_INIT = '''\
"""The renderer {name}, registered through attncore's hook."""

from __future__ import annotations

from collections.abc import Callable

from attncore import Renderer, hookimpl

from {package}.renderer import {class_name}


@hookimpl
def attncore_register_renderers(register: Callable[[Renderer], None]) -> None:
    """Make the renderer known."""
    register({class_name}())
'''

_RENDERER = '''\
"""Draws a trace; change `render` to draw what you want."""

from __future__ import annotations

from attncore import AttentionTrace, OptionError, Rendered
from attncore.subject import Subject


class {class_name}:
    """Says which key each query attends to most."""

    name = "{name}"
    views = ("list",)

    def render(
        self,
        trace: AttentionTrace,
        *,
        view: str = "list",
        layer: int | str = 0,
        head: int | None = None,
        batch: int = 0,
    ) -> Rendered:
        """Draw one view; options of your own are further keyword-only arguments.

        Args:
            trace: what to show.
            view: one of ``views``.
            layer: index or name of a layer.
            head: the number of a head, or None for the mean over heads.
            batch: which batch item.
        """
        if view not in self.views:
            raise OptionError(f'there is no view "{{view}}"; use {{", ".join(self.views)}}')
        subject = Subject.of(trace, layer, head, batch)
        weights = subject.read_mean(slice(0, subject.queries))  # (query, key)
        queries = subject.query_axis.labels_of(batch if subject.query_axis.batch != 1 else 0)
        keys = subject.key_axis.labels_of(batch if subject.key_axis.batch != 1 else 0)
        lines = [
            f"{{query!r}} -> {{keys[best]!r}} ({{weights[place, best]:.2f}})"
            for place, (query, best) in enumerate(zip(queries, weights.argmax(axis=-1), strict=True))
        ]
        title = f"layer {{subject.layer.index}}, {{subject.describe_head()}}"
        return Rendered({{"text/plain": "\\n".join([title, *lines])}}, title)
'''

_TEST = '''\
"""The renderer keeps attncore's contract, and is found where it is installed."""

from __future__ import annotations

from attncore.testing import check_renderer, example_trace

from {package}.renderer import {class_name}


def test_the_contract() -> None:
    """Every view, every shape of trace, hostile tokens, options that do not exist."""
    check_renderer({class_name}())


def test_it_is_found_by_its_name() -> None:
    """Through the entry point of the installed distribution."""
    assert example_trace().render("{name}").bundle["text/plain"]
'''

_README = """\
# {distribution}

A renderer for [attncore](https://pypi.org/project/attncore/), made by `attncore new-plugin renderer {name}`.

```
pip install --editable '.[test]'
pytest
attncore renderers
```

```python
trace.render("{name}")
```
"""


def make_renderer_plugin(name: str, folder: Path) -> Path:
    """Write the distribution ``attncore-NAME`` into ``folder`` and say what to do with it; returns where it is.

    Raises:
        OptionError: the name cannot be a module's, is taken, or the folder is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise OptionError(
            f'"{name}" cannot be the name of a renderer: use small letters, digits and _, such as my_bars'
        )
    if name in plugins().renderers:
        raise OptionError(
            f'there is a renderer "{name}" already, of {plugins().renderers[name].distribution}; choose another name'
        )
    distribution, package = f"attncore-{name.replace('_', '-')}", f"attncore_{name}"
    target = folder / distribution
    if target.exists():
        raise OptionError(f"{target} is there already; remove it, or choose another name or folder")
    words = {
        "name": name,
        "distribution": distribution,
        "package": package,
        "class_name": "".join(part.title() for part in name.split("_")) + "Renderer",
    }
    files = {
        "pyproject.toml": _PYPROJECT,
        "README.md": _README,
        f"src/{package}/__init__.py": _INIT,
        f"src/{package}/renderer.py": _RENDERER,
        "tests/test_renderer.py": _TEST,
    }
    for path, template in files.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(template.format(**words), encoding="utf-8")
    steps = [f"cd {target}", "pip install --editable '.[test]'", "pytest", "attncore renderers"]
    say("\n    ".join([f"wrote {target}; try it:", *steps]))
    return target
