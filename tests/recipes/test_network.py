"""Retries, sessions, sockets and proxies of the caller's own."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import async_copilot
from async_copilot import (
    ConnectionFailedError,
    CopilotClient,
    CopilotError,
    InvalidRequestError,
    RateLimitError,
)
from async_copilot.fake_server import FakeAnswer, FakeServer, Script

from .readme import code, recipe
from .sockets import Authority, copy, forwarding

# ------------------------------------------------------------------ retries


async def test_a_policy_of_ones_own_goes_from_server_to_server() -> None:
    own = recipe("own-retries")
    down: Script = [FakeAnswer(status=503, times=None)]
    busy: Script = [FakeAnswer(status=429, retry_after=0.05, times=2), "Hello"]
    async with FakeServer(down) as first, FakeServer(busy) as second:
        clients = own.make_clients(first.url, second.url)
        started = asyncio.get_running_loop().time()
        reply = await own.ask(clients, "Hi")
        waited = asyncio.get_running_loop().time() - started
        assert reply.text == "Hello"
        assert (len(first.requests), len(second.requests)) == (3, 3)
        assert 0.1 <= waited < 1.5, "twice as long as the last one had asked"
        for client in clients:
            await client.aclose()


async def test_a_policy_of_ones_own_gives_up_with_the_last_error() -> None:
    own = recipe("own-retries")
    script: Script = [FakeAnswer(status=429, retry_after=0.01, times=None)]
    async with FakeServer(script) as server:
        (client,) = own.make_clients(server.url)
        async with client:
            with pytest.raises(RateLimitError) as caught:
                await own.ask([client], "Hi", tries=3)
            assert caught.value.retries == 0, "none but its own"
            assert len(server.requests) == 3
            with pytest.raises(InvalidRequestError):
                await own.ask([client], object())
            assert len(server.requests) == 3


# ------------------------------------------------------------------ a borrowed session


async def test_tracing_and_middlewares_of_a_borrowed_session_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    script: Script = [FakeAnswer(status=503, retry_after=0), "Hello"]
    async with FakeServer(script) as server:
        reply = await recipe("borrowed-session", BASE_URL=server.url).ask("Hi")
    assert reply.text == "Hello"
    lines = [record.getMessage() for record in caplog.records if record.name == "root"]
    assert lines == ["POST /v1/chat/completions: 503", "POST /v1/chat/completions: 200"]
    numbers = [request.headers["X-Request-Id"] for request in server.requests]
    assert len(set(numbers)) == 2


# ------------------------------------------------------------------ sockets and proxies


async def test_a_server_on_a_unix_socket_is_asked(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with FakeServer("Hello") as server, forwarding(server, asyncio.start_unix_server, path):
        reply = await recipe("unix-socket").ask(path, "Hi")
    assert reply.text == "Hello"
    assert server.requests[0].headers["Host"] == "localhost"


@asynccontextmanager
async def socks_proxy(targets: list[tuple[str, int]]) -> AsyncIterator[str]:
    """A SOCKS5 proxy without authentication (RFC 1928), as far as one CONNECT needs it."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        assert await reader.readexactly(4) == b"\x05\x01\x00\x01"  # CONNECT to an IPv4 address
        address = await reader.readexactly(6)
        host, port = ".".join(map(str, address[:4])), int.from_bytes(address[4:])
        targets.append((host, port))
        writer.write(b"\x05\x00\x00\x01" + address)
        inner_reader, inner_writer = await asyncio.open_connection(host, port)
        writers.extend([writer, inner_writer])
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield f"socks5://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    for writer in writers:
        writer.close()
        await writer.wait_closed()


@pytest.mark.recipes
async def test_a_server_is_asked_through_a_socks_proxy() -> None:
    targets: list[tuple[str, int]] = []
    async with FakeServer("Hello") as server, socks_proxy(targets) as proxy:
        reply = await recipe("socks", BASE_URL=server.url).ask(proxy, "Hi")
    assert reply.text == "Hello"
    assert [server.url] == [f"http://{host}:{port}/v1" for host, port in targets]


def expect_refused_handshakes() -> None:
    """Let the loop not report what a server's side of a refused handshake raises."""
    loop = asyncio.get_running_loop()
    report = loop.get_exception_handler()
    assert report is not None

    def only_others(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), OSError):
            report(loop, context)

    loop.set_exception_handler(only_others)


async def test_a_private_authority_and_a_client_certificate_open_the_door(tmp_path: Path) -> None:
    expect_refused_handshakes()
    authority = Authority(tmp_path)
    context = authority.server_context(wants_a_certificate=True)
    make_client = recipe("tls").make_client
    async with (
        FakeServer("Hello") as server,
        forwarding(server, asyncio.start_server, "localhost", 0, ssl=context) as (_, port, *_),
    ):
        url = f"https://localhost:{port}/v1"
        async with make_client(url, authority.file, authority.client_file) as client:
            assert (await client.complete("Hi")).text == "Hello"
        async with make_client(url, authority.file) as without:
            with pytest.raises(CopilotError):
                await without.complete("Hi")
        async with CopilotClient(base_url=url, max_retries=0) as stranger:
            with pytest.raises(ConnectionFailedError, match="certificate"):
                await stranger.complete("Hi")
        assert len(server.requests) == 1


async def test_an_authority_named_by_the_environment_is_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context(wants_a_certificate=False)
    program = tmp_path / "async-copilot"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m async_copilot "$@"\n')
    program.chmod(0o755)
    async with (
        FakeServer("Hello") as server,
        forwarding(server, asyncio.start_server, "localhost", 0, ssl=context) as (_, port, *_),
    ):
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", code("ssl-cert-file").replace("1337", str(port))),
            cwd=tmp_path,
            env={
                "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(Path(async_copilot.__file__).parents[1]),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await process.communicate()
    assert (process.returncode, stdout) == (0, b"Hello\n"), stderr
