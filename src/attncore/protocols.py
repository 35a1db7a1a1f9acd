"""What a backend and a renderer are: the two contracts a plugin author meets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

import numpy as np

from attncore.errors import OptionError
from attncore.inputs import Inputs, is_one_argument
from attncore.selection import HeadSelector, LayerSelector, parts_of

if TYPE_CHECKING:
    from attncore.attention import AttentionTrace
    from attncore.layer import AttentionLayer
    from attncore.rendering import Rendered

Keep = Literal["auto", "weights", "qk"]
KEEP = ("auto", "weights", "qk")


@dataclass(frozen=True)
class CaptureOptions:
    """What to keep of each layer.

    Attributes:
        layers: which layers, by index, name, glob (``"encoder.*"``), slice or function of the layer, or a list of
            these; None for all. A function sees the ``name``, ``index`` and ``call`` of a layer.
        heads: which heads, as numbers, a slice or one number; None for all.
        keep: ``"qk"`` holds query and key, and computes weights when they are read (memory grows with the length);
            ``"weights"`` holds the weights (with its square); ``"auto"`` whichever is smaller. Weights that cannot be
            computed again are held in any case.
        values: whether to hold the value vectors too.
        dtype: the type of weights that are held, such as ``"float16"``, or a framework's own type of that name; None
            for as they come.
        device: where arrays are held, by the framework's name, such as ``"cpu"``; None for where they are.
        grad: whether ``layer.weights_grad`` is wanted after a backward pass.
        reduce: a function of an `AttentionLayer`, called while the model runs; what it returns is kept as
            ``layer.reduced``, and neither weights nor query and key are.

    Raises:
        OptionError: a value is not understood.
    """

    layers: LayerSelector = None
    heads: HeadSelector = None
    keep: Keep = "auto"
    values: bool = True
    dtype: Any = None
    device: str | None = None
    grad: bool = False
    reduce: Callable[[AttentionLayer], Any] | None = None

    def __post_init__(self) -> None:
        parts_of(self.layers)
        if self.keep not in KEEP:
            raise OptionError(f"keep is one of {', '.join(KEEP)}; {self.keep!r} was given")
        object.__setattr__(self, "dtype", _type_name(self.dtype))
        for name in ("values", "grad"):
            if getattr(self, name) not in (True, False):
                raise OptionError(f"{name} is True or False; {getattr(self, name)!r} was given")
        if self.reduce is not None and not callable(self.reduce):
            raise OptionError(f"reduce must be a function of a layer; {self.reduce!r} was given")
        if self.reduce is not None and self.grad:
            raise OptionError("reduce= keeps no weights, so grad=True has nothing to belong to; give one of the two")

    def as_text(self) -> dict[str, str]:
        """The options that differ from the default, as text, for the provenance."""
        default = CaptureOptions()
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: repr(value) for name, value in named.items() if not _equal(value, getattr(default, name))}


def _type_name(dtype: Any) -> str | None:
    """``"float16"`` for any framework's type of that name."""
    if dtype is None or isinstance(dtype, str):
        return dtype
    try:
        return str(np.dtype(dtype).name)
    except TypeError:
        return str(getattr(dtype, "name", dtype)).rpartition(".")[2]


def _equal(value: Any, default: Any) -> bool:
    """Whether two options are the same; an array, which compares each of its numbers, is no default."""
    return type(value) is type(default) and bool(value == default)


class Session(Protocol):
    """A capture under way: use it as a context manager, run the model, ask for the trace."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model and return what it returns."""

    def trace(self, tokens: Any = None) -> AttentionTrace:
        """What was captured; CaptureError before the model has run, NoAttentionError when it showed no attention."""


@runtime_checkable
class Backend(Protocol):
    """Takes attention out of the models of one framework.

    ``matches`` must not import the framework: when the user has a model of it, it is in ``sys.modules``. ``inputs_of``
    may be left out; it says how ``attncore.trace`` passes the user's inputs on, where that differs from `Inputs.of`.
    """

    @property
    def name(self) -> str:
        """What people give as ``backend=``, such as "torch"."""

    def matches(self, model: Any) -> bool:
        """Whether this backend can capture ``model``; false, without an error, for any other object."""

    def capture(self, model: Any, options: CaptureOptions) -> Session:
        """A session that has not been entered yet; UnsupportedModelError when the model cannot be seen inside."""


@runtime_checkable
class Renderer(Protocol):
    """Shows a trace. ``views`` names what it can draw, the first being the default.

    ``render`` is a method ``render(trace, *, view, …) -> Rendered``: ``view`` is one of ``views``, and the options are
    keyword-only parameters of its own, which `attncore.render` checks the caller's against. (It is a property here
    since a method with ``**options`` would make type-checkers refuse every renderer that names its options.)
    """

    @property
    def name(self) -> str:
        """What people give to ``trace.render``, such as "terminal"."""

    @property
    def views(self) -> tuple[str, ...]:
        """What ``view=`` may be; the first is the default."""

    @property
    def render(self) -> Callable[..., Rendered]:
        """The method that draws the picture of a trace."""


@runtime_checkable
class GlanceRenderer(Renderer, Protocol):
    """A renderer with a way of its own to show a trace that stands alone in a notebook's cell."""

    def glance(self, trace: AttentionTrace) -> Rendered | None:
        """A picture that is small and made in a second or two; None when this trace does not allow it."""


@runtime_checkable
class WidgetRenderer(Renderer, Protocol):
    """A renderer that also makes notebook widgets, which ask the kernel for numbers while they are looked at.

    ``widget`` is ``widget(trace, …)`` with keyword-only options and returns what a notebook displays.
    """

    @property
    def widget(self) -> Callable[..., Any]:
        """The method that makes a widget of a trace."""


@runtime_checkable
class ServerRenderer(Renderer, Protocol):
    """A renderer whose page can be served, and asks the server for numbers while it is looked at.

    ``app`` is ``app(trace, *, token, hosts, …)`` with keyword-only options and returns an ASGI application. It answers
    nobody who does not begin the path with ``/token/``, and only requests for one of ``hosts`` (``"*"`` for any).
    """

    @property
    def app(self) -> Callable[..., Any]:
        """The method that makes an ASGI application of a trace."""


def inputs_for(backend: Backend, model: Any, inputs: Any) -> Inputs:
    """The user's inputs as arguments of the model, by the backend's rule or the general one."""
    own_rule = getattr(backend, "inputs_of", None)
    if own_rule is not None:
        found: Inputs = own_rule(inputs)
        return found
    return Inputs.of(inputs, mapping_is_one_argument=is_one_argument(model, inputs))
