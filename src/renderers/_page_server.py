"""The page from a local server: one HTML page, and the numbers it asks for, exact at any length.

Whoever can reach the port could read the trace, so every path begins with a secret token, and only requests for the
expected host names are answered: a web site that makes its own name point here (DNS rebinding) gets nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._page_answers import Answers

# A question has a few numbers; this is far more.
_MOST_QUESTION_BYTES = 16_384
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def page_app(answers: Answers, page: Callable[[str], str], *, token: str, hosts: Sequence[str]) -> Starlette:
    """The ASGI application: ``GET /token/`` is the page, ``POST /token/ask`` answers a question.

    Args:
        answers: of the trace to show.
        page: makes the page's HTML, given the nonce that its scripts and styles carry.
        token: what every path must begin with, made by `secrets.token_urlsafe`.
        hosts: the host names that may be asked for; ``"*"`` for any.
    """

    async def show(request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        html = await run_in_threadpool(page, nonce)
        return HTMLResponse(html, headers={"Content-Security-Policy": content_security_policy(nonce)})

    async def ask(request: Request) -> Response:
        body = await _read(request)
        if body is None:
            return _framed({"error": f"a question has at most {_MOST_QUESTION_BYTES:,} bytes; this one has more"}, b"")
        try:
            question = json.loads(body)
        except (ValueError, RecursionError):
            return _framed({"error": 'a question is JSON, such as {"ask": "trace"}; what was sent is not'}, b"")
        answer, buffer = await run_in_threadpool(answers.answer, question)
        return _framed(answer, buffer)

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        yield
        # Threads that compute would keep the process alive.
        answers.stop()

    return Starlette(
        lifespan=running,
        routes=[Route("/{token}/", show), Route("/{token}/ask", ask, methods=["POST"])],
        middleware=[
            Middleware(_SecretPaths, token=token),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        ],
    )


def content_security_policy(nonce: str) -> str:
    """Only the page's own scripts and styles, and requests to nobody but this server."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            f"style-src 'nonce-{nonce}'",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


class _SecretPaths:
    """Refuses every path that does not begin with the token, and sets the headers of every response."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # starting and stopping; there are no websockets
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        given = scope["path"].removeprefix("/").split("/")[0]
        app: ASGIApp = self.app
        if not secrets.compare_digest(given.encode(errors="replace"), self.token):
            app = PlainTextResponse("This is not the address that attncore serve printed.\n", status_code=403)
        await app(scope, receive, send_with_headers)


async def _read(request: Request) -> bytes | None:
    """The request's body; None, with the rest left unread, when it is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_QUESTION_BYTES:
            return None
    return bytes(body)


def _framed(answer: Mapping[str, Any], buffer: bytes) -> Response:
    """The length of the answer's JSON, the JSON padded so that the buffer is aligned to its float32, the buffer."""
    text = json.dumps(answer, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    status = 400 if "error" in answer else 200
    content = len(text).to_bytes(4, "little") + text + buffer
    return Response(content, status, media_type="application/octet-stream")
