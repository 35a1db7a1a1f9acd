"""The local server: who is answered and who is not, and `attncore serve` as a process of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from cli_runner import run
from starlette.testclient import TestClient

import attncore
from attncore import cli_serve, live
from attncore.cli_serve import is_loopback, listening_socket, says_more_than_stopped
from attncore.renderers._page_answers import Answers
from attncore.renderers._page_server import page_app
from attncore.testing import example_trace

TOKEN = "correct-horse-battery"
QUESTION = {"ask": "tile", "layer": 1, "head": 2, "item": 0, "queries": [0, 12], "keys": [0, 12]} | {
    "maxRows": 12,
    "maxColumns": 12,
}


def made_page(nonce: str) -> str:
    """Stands in for the page; what it is made of is tested with the renderer."""
    return f'<p data-nonce="{nonce}"></p>'


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Asks an application that shows an example, from the machine itself."""
    app = page_app(Answers(example_trace()), made_page, token=TOKEN, hosts=["127.0.0.1", "localhost", "[::1]", "::1"])
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield client


def unframed(response: httpx.Response) -> tuple[dict[str, Any], bytes]:
    """The JSON and the buffer of an answer."""
    length = int.from_bytes(response.content[:4], "little")
    assert length % 4 == 0, "the numbers must begin at a multiple of their size"
    return json.loads(response.content[4 : 4 + length]), response.content[4 + length :]


def test_the_page_has_a_policy_of_its_own(client: TestClient) -> None:
    """Each page has a new nonce, in its policy and its markup, and may ask nobody but this server."""
    nonces = set()
    for _ in range(2):
        response = client.get(f"/{TOKEN}/")
        assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = response.headers["content-security-policy"]
        nonce = re.findall(r'data-nonce="([\w-]{20,})"', response.text)[0]
        nonces.add(nonce)
        assert f"script-src 'nonce-{nonce}'" in policy
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
        assert "unsafe" not in policy
    assert len(nonces) == 2


def test_a_question_is_answered(client: TestClient) -> None:
    """The description, and a tile as JSON and float32."""
    description, nothing = unframed(client.post(f"/{TOKEN}/ask", json={"ask": "trace"}))
    assert (len(description["layers"]), nothing) == (2, b"")
    answer, buffer = unframed(client.post(f"/{TOKEN}/ask", json=QUESTION))
    assert (answer["rows"], answer["columns"]) == (12, 12)
    values = np.frombuffer(buffer, "<f4").reshape(12, 12)
    np.testing.assert_array_equal(values, np.asarray(example_trace()[1].weights)[0, 2])


@pytest.mark.parametrize("path", ["", "ask", "nothing", "ask/x"])
def test_every_response_has_the_headers(client: TestClient, path: str) -> None:
    """Whatever the status: not kept, not guessed at, not framed, not told to others, and no CORS."""
    for address in (f"/{TOKEN}/{path}", f"/wrong/{path}"):
        headers = client.get(address, headers={"Origin": "http://example.org"}).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ask",
        "/favicon.ico",
        f"/{TOKEN[:-1]}/",
        f"/{TOKEN}x/ask",
        f"/x/{TOKEN}/",
        f"//{TOKEN}/",
        "/%00/",
        "/\ud800é/",
    ],
)
def test_a_wrong_token_is_refused(client: TestClient, path: str) -> None:
    """With status 403, for the page and for questions, and without a word about the trace."""
    for method in ("GET", "POST", "OPTIONS"):
        response = client.request(method, path.encode(errors="replace").decode(), json=QUESTION)
        assert response.status_code == 403
        assert "attncore serve printed" in response.text


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "localhost.example.org:8000", "", "[::2]"])
def test_a_strangers_host_name_is_refused(client: TestClient, host: str) -> None:
    """A site whose name was made to point at this machine sends its own name."""
    for method, path in (("GET", f"/{TOKEN}/"), ("POST", f"/{TOKEN}/ask")):
        response = client.request(method, path, json=QUESTION, headers={"Host": host})
        assert (response.status_code, response.text) == (400, "Invalid host header")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1234", "localhost:1", "LOCALHOST", "[::1]:8000", "[::1]"])
def test_the_machines_own_names_are_answered(client: TestClient, host: str) -> None:
    """With any port."""
    assert client.get(f"/{TOKEN}/", headers={"Host": host}).status_code == 200


HOSTILE = [
    b"",
    b"not json",
    b"\xff\xfe\x00",
    b"[" * 10_000,
    b'{"ask": ' + b"9" * 5000 + b"}",
    b'{"ask": "tile"}',
    b'{"ask": NaN}',
    b'"</script>"',
    json.dumps({**QUESTION, "maxRows": "<img onerror=1>"}).encode(),
    json.dumps({**QUESTION, "queries": [0, 1e308]}).encode(),
    json.dumps({**QUESTION, "maxRows": 10**30}).encode(),
    json.dumps({**QUESTION, "layer": "\ud800"}).encode(),
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_questions_get_an_error_in_words(client: TestClient, body: bytes) -> None:
    """Status 400 and a sentence, in the form of an answer; the server goes on."""
    response = client.post(f"/{TOKEN}/ask", content=body)
    assert response.status_code == 400
    answer, buffer = unframed(response)
    assert (list(answer), buffer) == (["error"], b"")
    assert 20 < len(answer["error"]) < 400
    assert client.post(f"/{TOKEN}/ask", json=QUESTION).status_code == 200


def test_a_long_question_is_not_read(client: TestClient) -> None:
    """Whatever it says its length is."""

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    response = client.post(f"/{TOKEN}/ask", content=chunks())
    assert response.status_code == 400
    assert "at most 16,384 bytes" in unframed(response)[0]["error"]


def test_other_methods_and_paths_do_not_exist(client: TestClient) -> None:
    """Behind the token there are two addresses."""
    assert client.get(f"/{TOKEN}/ask").status_code == 405
    assert client.post(f"/{TOKEN}/").status_code == 405
    assert client.get(f"/{TOKEN}/other").status_code == 404


def test_a_fault_of_ours_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 500 without a traceback in it."""

    class Failing(Answers):
        def answer(self, question: Any) -> Any:
            raise RuntimeError("secret")

    app = page_app(Failing(example_trace()), made_page, token=TOKEN, hosts=["*"])
    with TestClient(app, raise_server_exceptions=False) as client:
        response = client.post(f"/{TOKEN}/ask", json=QUESTION)
        assert response.status_code == 500
        assert "secret" not in response.text


def test_a_server_that_stops_computes_no_more() -> None:
    """Or a map of a long text that nobody waits for would keep the process alive."""
    answers = Answers(example_trace())
    with TestClient(page_app(answers, made_page, token=TOKEN, hosts=["*"])) as client:
        assert client.post(f"/{TOKEN}/ask", json=QUESTION).status_code == 200
    answer, buffer = answers.answer({**QUESTION, "head": 3})
    assert ("the server was stopped" in answer["error"], buffer) == (True, b"")


# The command.


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *((host, True) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "")),
    ],
)
def test_loopback_is_told_from_the_network(host: str, local: bool) -> None:
    """Only loopback addresses are this machine alone."""
    assert is_loopback(host) is local


def test_a_port_that_is_taken_is_explained() -> None:
    """With what to leave out."""
    with listening_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(attncore.OptionError, match=f"cannot listen on 127.0.0.1, port {port}: .*leave out --port"):
            listening_socket("127.0.0.1", port)
    with pytest.raises(attncore.OptionError, match="from 1 to 65535"):
        listening_socket("127.0.0.1", 99_999)


@pytest.mark.usefixtures("cli_folder")
@pytest.mark.parametrize("missing", ["uvicorn", "starlette.applications"])
def test_without_a_server_installed_the_message_says_how(
    missing: str, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come with an extra."""
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "attncore.renderers._page_server", raising=False)
    result = run("serve", str(saved), "--no-open")
    assert result.exit_code == 1
    assert 'pip install "attncore[serve]"' in result.stderr


@pytest.mark.usefixtures("cli_folder")
def test_serve_explains_what_it_cannot_show(saved: Path) -> None:
    """A view or layer that does not exist, before anything listens."""
    result = run("serve", str(saved), "--no-open", "--view", "heads")
    assert result.exit_code == 1
    assert 'did you mean "head"?' in result.stderr
    result = run("serve", str(saved), "--no-open", "--layer", "7")
    assert result.exit_code == 1
    assert "7" in result.stderr


def test_a_server_for_the_network_warns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """``--host 0.0.0.0`` is allowed, for any host name, and says who can look."""
    asked: dict[str, Any] = {}

    class Server:
        def __init__(self, config: Any) -> None:
            pass

        def run(self, sockets: list[socket.socket]) -> None:
            asked["address"] = sockets[0].getsockname()
            raise KeyboardInterrupt

    uvicorn = pytest.importorskip("uvicorn")
    monkeypatch.setattr(uvicorn, "Server", Server)
    monkeypatch.setattr(cli_serve, "make_app", lambda trace, **given: asked.update(given))
    opened: list[str] = []
    monkeypatch.setattr(cli_serve, "open_in_browser", opened.append)
    closed: list[bool] = []
    handler = logging.StreamHandler()
    monkeypatch.setattr(handler, "close", lambda: closed.append(True))
    cli_serve.run_server(example_trace(), host="0.0.0.0", port=0, open_page=True)
    assert not closed  # other libraries' logging handlers are theirs
    printed = capsys.readouterr()
    assert asked["hosts"] == ("*",)
    assert asked["address"][0] == "0.0.0.0"
    assert printed.out == f"http://127.0.0.1:{asked['address'][1]}/{asked['token']}/\n"
    assert opened == [printed.out.strip()]
    assert "whoever on the network learns this address sees the trace" in printed.err


def test_renderers_that_cannot_serve_are_told_apart() -> None:
    """By name, with those that can."""
    with pytest.raises(attncore.PluginError, match='renderer "terminal" cannot serve a page; these can: d3'):
        live.make_app(example_trace(), "terminal", token="t", hosts=["*"])
    with pytest.raises(attncore.PluginError, match="no renderer"):
        live.make_app(example_trace(), "nothing", token="t", hosts=["*"])


def test_stopping_is_quiet_and_faults_are_not() -> None:
    """Ctrl-C while answers are under way logs no traceback; an error of ours does."""

    def record(text: str, error: BaseException | None) -> logging.LogRecord:
        information = None if error is None else (type(error), error, None)
        return logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, text, (), information)

    cancelled = asyncio.CancelledError("Task cancelled, timeout graceful shutdown exceeded")
    assert not says_more_than_stopped(record("Exception in ASGI application", cancelled))
    assert not says_more_than_stopped(record("Cancel 2 running task(s), timeout graceful shutdown exceeded", None))
    assert says_more_than_stopped(record("Exception in ASGI application", RuntimeError("ours")))
    assert says_more_than_stopped(record("Invalid HTTP request received.", None))


def test_serve_in_a_process(tmp_path: Path) -> None:
    """The real thing: it prints where, answers there and nowhere else, and stops with Ctrl-C in good order."""
    example_trace(n_layers=3).save(tmp_path / "t.attn.safetensors")
    line = [sys.executable, "-m", "attncore", "serve", "t.attn.safetensors", "--no-open", "--view", "matrix"]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, cwd=tmp_path, env=environment, **pipes) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", url)
            page = httpx.get(url, timeout=30)
            assert page.status_code == 200
            assert page.headers["content-security-policy"].split("'nonce-")[1].split("'")[0] in page.text
            description, _ = unframed(httpx.post(f"{url}ask", json={"ask": "trace"}, timeout=30))
            assert description["start"]["view"] == "matrix"
            answer, buffer = unframed(httpx.post(f"{url}ask", json=QUESTION, timeout=30))
            assert len(buffer) == 4 * answer["rows"] * answer["columns"] == 576
            assert httpx.get(url.replace(url.split("/")[-2], "x"), timeout=30).status_code == 403
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
            assert time.monotonic() - started < 5
            assert process.returncode == 0
            assert errors.splitlines() == ["showing the attention at this address; press Ctrl-C to stop", "stopped"]
        finally:
            process.kill()
