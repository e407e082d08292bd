"""The fake server from code without an event loop: ``with FakeServer(...)``."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import unittest
import urllib.error
import urllib.request
from typing import Any

import pytest
from fake_client import chat_body, content_of

from async_copilot.fake_server import FakeAnswer, FakeServer, Repeat, Request, ScriptError, Stall


def ask(server: FakeServer, text: str = "Hi") -> str:
    """The text of one streamed answer, by a blocking client."""
    headers = {"Content-Type": "application/json"}
    data = json.dumps(chat_body(text)).encode()
    request = urllib.request.Request(server.url + "/chat/completions", data, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  # loopback
        return content_of(response.read())


def server_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "FakeServer"]


def test_a_blocking_client_is_answered_and_recorded() -> None:
    with FakeServer(["Hello", "Again"]) as server:
        assert [ask(server), ask(server, "More")] == ["Hello", "Again"]
        assert [request.text for request in server.requests] == ["Hi", "More"]
        assert (server.connections, server.disconnects) == (2, 0)
        assert server.all_used()
    assert server_threads() == []


def test_it_may_run_again() -> None:
    server = FakeServer("Hello")
    for _ in range(2):
        with server:
            assert ask(server) == "Hello"


def test_until_blocks() -> None:
    answer = FakeAnswer("tick ", pace=200, fault=Repeat())
    with FakeServer(answer) as server:
        port = int(server.origin.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as client:
            body = json.dumps(chat_body()).encode()
            head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            server.until(lambda: server.requests and server.requests[0].pieces > 3)
        server.until(lambda: server.disconnects == 1)
        with pytest.raises(TimeoutError, match=r"not within 0\.05 s; the server saw 1 request"):
            server.until(lambda: False, within=0.05)


async def test_what_until_returns_may_be_awaited_all_the_same() -> None:
    with FakeServer("Hello") as server:
        await server.until(lambda: True)


def test_until_of_a_server_that_does_not_run_waits_for_nothing() -> None:
    server = FakeServer()
    server.until(lambda: True)
    with pytest.raises(RuntimeError, match="does not run"):
        server.until(lambda: False)
    with pytest.raises(ValueError, match="within='2'"):
        server.until(lambda: True, within="2")  # type: ignore[arg-type]


def test_the_block_ends_whatever_the_client_does() -> None:
    with FakeServer(FakeAnswer("x", fault=Stall())) as server:
        port = int(server.origin.rpartition(":")[2])
        silent, half, waiting = (socket.create_connection(("127.0.0.1", port)) for _ in range(3))
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        half.sendall(f"{head}Content-Length: 9\r\n\r\n{{".encode())
        body = json.dumps(chat_body()).encode()
        waiting.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        server.until(lambda: server.requests and server.connections == 3)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert server_threads() == []
    for client in (silent, half, waiting):
        client.close()


def test_a_function_runs_in_the_servers_thread() -> None:
    names: list[str] = []

    async def script(request: Request) -> str:
        names.append(threading.current_thread().name)
        await asyncio.sleep(0)
        return request.text

    with FakeServer(script) as server:
        assert ask(server, "boo") == "boo"
    assert names == ["FakeServer"]


def test_a_failed_assertion_of_a_function_fails_the_block() -> None:
    def script(request: Request) -> str:
        assert request.text == "expected"
        return ""

    with pytest.raises(AssertionError, match="expected"), FakeServer(script) as server:  # noqa: PT012
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(server, "another")
        assert caught.value.code == 410
        caught.value.close()


def test_a_function_that_exits_fails_the_block_and_ends_nothing() -> None:
    def script(_: Request) -> str:
        raise error

    for error in (SystemExit(3), KeyboardInterrupt()):
        with pytest.raises(type(error)), FakeServer(script) as server:  # noqa: PT012
            with pytest.raises(urllib.error.HTTPError) as caught:
                ask(server)
            assert caught.value.code == 410
            caught.value.close()


def test_ctrl_c_in_a_function_of_the_main_thread_ends_the_program() -> None:
    def script(_: Request) -> str:
        raise KeyboardInterrupt

    async def run() -> None:
        async with FakeServer(script) as server:
            await asyncio.to_thread(ask, server)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run())


def test_a_taken_port_is_an_oserror_and_leaves_no_thread() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"), FakeServer(port=port):
            raise AssertionError("it does not start")
    assert server_threads() == []


def test_one_that_runs_cannot_be_started_again() -> None:
    with FakeServer() as server, pytest.raises(RuntimeError, match="running already"), server:
        raise AssertionError("it does not start")


def test_leaving_one_that_was_never_started_does_nothing() -> None:
    FakeServer().__exit__(None, None, None)


def test_a_function_that_never_comes_back_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_copilot.fake_server.thread._STOP_SECONDS", 0.1)
    gate = threading.Event()

    def script(_: Request) -> str:
        gate.wait(10)
        return ""

    server = FakeServer(script)
    with pytest.raises(RuntimeError, match="did not end within"), server:  # noqa: PT012
        port = int(server.origin.rpartition(":")[2])
        client = socket.create_connection(("127.0.0.1", port))
        body = json.dumps(chat_body()).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.1)
    gate.set()
    client.close()
    for thread in threading.enumerate():
        if thread.name == "FakeServer":
            thread.join(10)


class InUnittest(unittest.TestCase):
    """As a TestCase uses it."""

    def setUp(self) -> None:
        self.server: Any = self.enterContext(FakeServer(["Hello"]))

    def test_it_is_closed_by_the_test_case(self) -> None:
        self.assertEqual(ask(self.server), "Hello")  # noqa: PT009  # unittest's own form


def test_an_unexpected_request_is_raised_with_the_blocks_error_as_context() -> None:
    with pytest.raises(ScriptError, match="is used up") as caught, FakeServer([]) as server:
        ask(server)
    assert isinstance(caught.value.__context__, urllib.error.HTTPError)
    caught.value.__context__.close()
