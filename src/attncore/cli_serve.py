"""``attncore serve``: the interactive page from a local server, exact at any length."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import socket
from typing import Any

from attncore.attention import AttentionTrace
from attncore.cli_output import say
from attncore.cli_page import open_in_browser
from attncore.errors import OptionError, UnavailableError
from attncore.live import make_app

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1", "[::1]")
# How long answers that are under way may take after Ctrl-C.
_SECONDS_TO_STOP = 1


def run_server(trace: AttentionTrace, *, host: str, port: int, open_page: bool, **options: Any) -> None:
    """Serve the page of ``trace`` until Ctrl-C; prints its address, and opens it where there is a display.

    Args:
        trace: what to show.
        host: the address to listen on; anything but a loopback address lets others on the network in.
        port: 0 for a free one.
        open_page: whether to open the browser.
        **options: of the renderer's ``app``, such as ``view`` and ``layer``.

    Raises:
        UnavailableError: what a server needs is not installed.
        OptionError: the address cannot be listened on, or an option is not understood.
    """
    uvicorn = _uvicorn()
    token = secrets.token_urlsafe(24)
    local = is_loopback(host)
    app = make_app(trace, token=token, hosts=_LOOPBACK_NAMES if local else ("*",), **options)
    with listening_socket(host, port) as listener:
        url = f"http://{_shown_host(host)}:{listener.getsockname()[1]}/{token}/"
        if not local:
            say(f"attncore: warning: listening on {host}: whoever on the network learns this address sees the trace")
        print(url, flush=True)
        say("showing the attention at this address; press Ctrl-C to stop")
        if open_page:
            open_in_browser(url)
        # uvicorn's own logging set-up closes every handler in the process, those of other libraries included.
        config = uvicorn.Config(app, log_config=None, log_level="warning", timeout_graceful_shutdown=_SECONDS_TO_STOP)
        logging.getLogger("uvicorn.error").addFilter(says_more_than_stopped)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:  # uvicorn has stopped in good order, and then raises it again
            say("stopped")


def says_more_than_stopped(record: logging.LogRecord) -> bool:
    """False for what uvicorn logs on answers that Ctrl-C cut short; whoever pressed it knows."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and "graceful shutdown exceeded" not in record.getMessage()


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that takes connections already, so that a browser opened now finds the server.

    Raises:
        OptionError: the address is not one of this machine, or the port is taken.
    """
    if not 0 <= port <= 65_535:
        raise OptionError(f"a port is a number from 1 to 65535, or 0 for a free one; {port} was given")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(found[4][:2], family=found[0])
    except OSError as error:
        raise OptionError(
            f"cannot listen on {host}, port {port}: {error}; leave out --port for a free one and --host for this "
            "machine alone"
        ) from error


def _shown_host(host: str) -> str:
    """The host as it stands in an address; an unspecified one is reached by this machine as itself."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1" if host == "0.0.0.0" else "[::1]"
    return f"[{host}]" if ":" in host else host


def _uvicorn() -> Any:
    try:
        import uvicorn
    except ImportError as error:
        raise UnavailableError(
            f'serving the page needs uvicorn and starlette ({error}); install them with: pip install "attncore[serve]"'
        ) from error
    return uvicorn
