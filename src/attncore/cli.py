"""The command ``attncore``: capture, show and describe attention without writing Python.

Exit codes: 0 when it worked, 1 for an error that attncore explains, 2 for a wrong command line.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from traceback import format_exception
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from attncore._version import __version__
from attncore.cli_capture import capture, trace_of
from attncore.cli_output import plain_warnings, print_json, print_text, report, say
from attncore.cli_values import index_or_name, layer_selectors, numbers, renderer_options
from attncore.errors import AttncoreError
from attncore.storage import check_folder, load


class _Commands(TyperGroup):
    """Turns attncore's errors into a paragraph on standard error and exit code 1, after a traceback if it is wanted."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        debug = ctx.params["debug"]
        with nullcontext() if debug else plain_warnings():
            try:
                return super().invoke(ctx)
            except BrokenPipeError:  # `attncore … | head`: whoever reads has had enough
                raise
            except (AttncoreError, OSError) as error:
                if debug:
                    say("".join(format_exception(error)))
                report(error)
        raise typer.Exit(1)


app = typer.Typer(
    cls=_Commands,
    name="attncore",
    help="Take the attention out of any transformer and show it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[
    str,
    typer.Argument(help="A folder or hub name for transformers, or package.module:factory.", metavar="MODEL"),
]
Text = Annotated[str, typer.Argument(help="What the model reads.", metavar="TEXT")]
TextB = Annotated[
    str | None, typer.Argument(help="A second sentence, or an encoder-decoder's target.", metavar="TEXT_B")
]
TraceFile = Annotated[Path, typer.Argument(help="A file that `attncore trace` or `trace.save` wrote.", metavar="FILE")]
Open = Annotated[bool, typer.Option("--open/--no-open", help="Open the browser; never done where there is no display.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say what each is, and its options.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


class Keep(StrEnum):
    """What to hold of each layer."""

    auto = "auto"
    weights = "weights"
    qk = "qk"


class Demo(StrEnum):
    """The models of `attncore demo`."""

    minilm = "minilm"
    smollm2 = "smollm2"


class DemoBackend(StrEnum):
    """The frameworks of `attncore demo`."""

    torch = "torch"
    jax = "jax"
    tensorflow = "tensorflow"


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"attncore {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="ATTNCORE_DEBUG", help="Show where errors and warnings come from."),
    ] = False,
) -> None:
    """Take the attention out of any transformer and show it."""


@app.command()
def trace(
    model: Model,
    text: Text,
    text_b: TextB = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.", metavar="FILE")],
    layers: Annotated[
        list[str] | None,
        typer.Option(help="Only these layers: an index, 0:4, a name or a glob, or several as 0,3,5; may be repeated."),
    ] = None,
    heads: Annotated[str | None, typer.Option(help="Only these heads, such as 0,3,5.")] = None,
    keep: Annotated[Keep, typer.Option(help="Hold weights, query and key, or the smaller.")] = Keep.auto,
    as_json: AsJson = False,
) -> None:
    """Run MODEL on TEXT, capture its attention and save it to a file."""
    check_folder(output)
    options: dict[str, Any] = {"keep": keep.value}
    if layers:
        options["layers"] = layer_selectors(layers)
    if heads is not None:
        options["heads"] = numbers(heads)
    captured = capture(model, text, text_b, **options)
    captured.save(output)
    if as_json:
        from attncore.cli_info import trace_as_json

        print_json({"file": str(output), **trace_as_json(captured)})
    else:
        print_text(str(captured))
        say(f"saved to {output}; show it with: attncore show {output}")


@app.command()
def show(
    source: Annotated[str, typer.Argument(help="A trace's file, or a model as for `trace`.", metavar="FILE|MODEL")],
    text: Annotated[str | None, typer.Argument(help="What a model reads.", metavar="TEXT")] = None,
    text_b: TextB = None,
    *,
    renderer: Annotated[str, typer.Option("--renderer", "-r", help="See `attncore renderers`.")] = "terminal",
    view: Annotated[str | None, typer.Option("--view", "-v", help="One of the renderer's views.")] = None,
    layer: Annotated[str | None, typer.Option(help="A layer's index, as it is shown, or its name.")] = None,
    head: Annotated[int | None, typer.Option(help="A head's number.")] = None,
    query: Annotated[
        str | None, typer.Option(help="A position or a token; a token that reads like a position as -O 'query=\"3\"'.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="A batch item.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-O", help="Another option of the renderer; may be repeated.", metavar="NAME=VALUE"),
    ] = None,
    save: Annotated[Path | None, typer.Option("--save", "-s", help="Write the picture to a file instead.")] = None,
    open_page: Open = True,
) -> None:
    """Show a saved trace, or run MODEL on TEXT and show that."""
    from attncore.cli_show import Asked, put_out, render

    if save is not None:
        check_folder(save)
    asked = Asked(renderer, view, layer=layer, head=head, query=query, batch=batch, more=renderer_options(option or []))
    put_out(render(trace_of(source, text, text_b), asked), asked, save, open_page=open_page)


@app.command()
def serve(
    source: Annotated[str, typer.Argument(help="A trace's file, or a model as for `trace`.", metavar="FILE|MODEL")],
    text: Annotated[str | None, typer.Argument(help="What a model reads.", metavar="TEXT")] = None,
    text_b: TextB = None,
    *,
    view: Annotated[str | None, typer.Option("--view", "-v", help="What the page opens with.")] = None,
    layer: Annotated[str | None, typer.Option(help="A layer's index, as it is shown, or its name.")] = None,
    port: Annotated[int, typer.Option(help="The port to listen on; 0 for a free one.")] = 0,
    host: Annotated[
        str, typer.Option(help="The address to listen on; as it is, only this machine is answered.")
    ] = "127.0.0.1",
    open_page: Open = True,
) -> None:
    """Show a trace as the interactive page from a local server: exact at any length."""
    from attncore.cli_serve import run_server

    found = trace_of(source, text, text_b)
    asked = {"view": view, "layer": None if layer is None else index_or_name(layer)}
    options = {name: value for name, value in asked.items() if value is not None}
    run_server(found, host=host, port=port, open_page=open_page, **options)


@app.command()
def info(file: TraceFile, as_json: AsJson = False) -> None:
    """Say what a saved trace holds and where it comes from."""
    from attncore.cli_info import trace_as_json, trace_as_text

    found = load(file)
    if as_json:
        print_json({"file": str(file), **trace_as_json(found)})
    else:
        print_text(trace_as_text(found))


@app.command()
def renderers(as_json: AsJson = False, verbose: Verbose = False) -> None:
    """List the installed renderers and their views."""
    _list_plugins("renderers", as_json, verbose)


@app.command()
def backends(as_json: AsJson = False, verbose: Verbose = False) -> None:
    """List the installed backends, whether or not their framework is."""
    _list_plugins("backends", as_json, verbose)


class PluginKind(StrEnum):
    """What `attncore new-plugin` makes."""

    renderer = "renderer"


@app.command("new-plugin")
def new_plugin(
    kind: Annotated[PluginKind, typer.Argument(help="What to make.")],
    name: Annotated[str, typer.Argument(help="Its name, as in `trace.render(NAME)`.", metavar="NAME")],
    folder: Annotated[Path, typer.Option("--folder", help="Where to put it.", metavar="FOLDER")] = Path(),
) -> None:
    """Make a distribution with a plugin of your own, which works as it is, with its test."""
    from attncore.cli_new_plugin import make_renderer_plugin

    make_renderer_plugin(name, folder)


@app.command()
def demo(
    model: Annotated[Demo, typer.Option(help="Which model; smollm2 takes most of a minute to load.")] = Demo.minilm,
    text: Annotated[str | None, typer.Option(help="Another text for the model to read.")] = None,
    backend: Annotated[DemoBackend, typer.Option(help="Which framework runs minilm.")] = DemoBackend.torch,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.", metavar="FILE")] = Path(
        "demo.attn.safetensors"
    ),
    open_page: Open = True,
) -> None:
    """Capture a real model on a real sentence, offline, and show what its heads do."""
    from attncore.cli_demo import page_beside, run_demo

    check_folder(output)
    check_folder(page_beside(output))
    run_demo(model.value, text, output, backend=backend.value, open_page=open_page)


def _list_plugins(kind: str, as_json: bool, verbose: bool) -> None:
    from attncore.cli_info import plugins_as_json, plugins_as_text
    from attncore.plugins import plugins

    rows = plugins_as_json(plugins(), kind)
    if as_json:
        print_json(rows)
    else:
        print_text(plugins_as_text(rows, verbose=verbose))


def main() -> None:
    """The entry point of the command."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal with a small character set gets question marks, not a crash.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    app()
