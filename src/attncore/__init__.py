"""attncore takes the attention out of any transformer and shows it.

    trace = attncore.trace(model, inputs, tokens=tokenizer)
    trace[3].weights[0, 5]        # layer 3, batch item 0, head 5: numpy, (query, key)

Attention weights show where information can flow, not what caused an output.
"""

from attncore._version import __version__
from attncore.api import backends, capture, renderers, trace
from attncore.attention import AttentionTrace
from attncore.axis import TokenAxis
from attncore.coverage import Coverage, CoverageEntry
from attncore.errors import (
    ArrayError,
    AttncoreError,
    CaptureError,
    FileFormatError,
    NoAttentionError,
    OptionError,
    PluginError,
    SelectionError,
    TokenError,
    UnavailableError,
    UnsupportedModelError,
)
from attncore.hookspecs import hookimpl, hookspec
from attncore.inputs import Inputs
from attncore.layer import AttentionLayer
from attncore.plugins import register_renderer
from attncore.protocols import Backend, CaptureOptions, Renderer, Session
from attncore.provenance import Provenance
from attncore.rendering import Rendered, render
from attncore.storage import load
from attncore.weights import LazyWeights

__all__ = [
    "ArrayError",
    "AttentionLayer",
    "AttentionTrace",
    "AttncoreError",
    "Backend",
    "CaptureError",
    "CaptureOptions",
    "Coverage",
    "CoverageEntry",
    "FileFormatError",
    "Inputs",
    "LazyWeights",
    "NoAttentionError",
    "OptionError",
    "PluginError",
    "Provenance",
    "Rendered",
    "Renderer",
    "SelectionError",
    "Session",
    "TokenAxis",
    "TokenError",
    "UnavailableError",
    "UnsupportedModelError",
    "__version__",
    "backends",
    "capture",
    "hookimpl",
    "hookspec",
    "load",
    "register_renderer",
    "render",
    "renderers",
    "trace",
]
