"""Before there is a connection, and the moment after: promises 4, 5 and 7."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from fault_client import FAST, KEY, ask
from fault_script import FIN, HELLO, HOLD, RST, Answer, Close, head
from fault_server import FaultServer

from async_copilot import (
    AuthenticationError,
    ConnectionFailedError,
    ConnectTimeoutError,
    CopilotClient,
    DisconnectedError,
    End,
    InvalidHTTPError,
    InvalidRequestError,
    ServerStatusError,
    SilenceTimeoutError,
    Timeouts,
)


@contextmanager
def taken_port() -> Iterator[int]:
    """A port that refuses: bound, so that nobody else gets it, and never listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port that neither accepts nor refuses: its queue of connections is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


class Resolver(AbstractResolver):
    """Names that do not resolve, or never do."""

    def __init__(self, *, hangs: bool = False) -> None:
        self._hangs = hangs

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self._hangs:
            await asyncio.sleep(2)  # far beyond the clock
        raise OSError(None, "Name or service not known")

    async def close(self) -> None:
        """Nothing is held."""


async def test_refused_says_which_url_and_that_it_is_a_connection_error() -> None:
    with taken_port() as port:
        url = f"http://127.0.0.1:{port}/v1"
        outcome = await ask(url)
    outcome.failed(ConnectionFailedError, ConnectionError, says=[f"127.0.0.1:{port}"], retries=0)


async def test_refused_is_tried_again_and_the_error_counts_it() -> None:
    with taken_port() as port:
        outcome = await ask(f"http://127.0.0.1:{port}/v1", max_retries=1)
    outcome.failed(ConnectionFailedError, retries=1, within=2.0)


async def test_a_server_that_comes_up_between_two_tries_answers() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]

        async def come_up() -> asyncio.Server:
            await asyncio.sleep(0.02)
            return await asyncio.start_server(greet, sock=listener)

        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert isinstance(HELLO[0], bytes)
            writer.write(HELLO[0])
            await writer.drain()
            writer.close()

        starting = asyncio.create_task(come_up())
        outcome = await ask(f"http://127.0.0.1:{port}/v1", max_retries=8)
        server = await starting
        server.close()
        await server.wait_closed()
    reply = outcome.ended(End.COMPLETE, "Hello", within=5.0)
    assert reply.timing.retries >= 1
    assert len(reply.timing.waits) == reply.timing.retries


async def test_a_port_that_does_not_answer_ends_at_the_connect_clock() -> None:
    """And is not tried again: the caller has waited as long as they wanted to."""
    with deaf_port() as port:
        outcome = await ask(
            f"http://127.0.0.1:{port}/v1", max_retries=2, timeouts=Timeouts(connect=0.2)
        )
    outcome.failed(
        ConnectTimeoutError, TimeoutError, after=0.2, within=0.2, seconds=0.2, says=["connect"]
    )


async def test_an_unknown_host_is_a_failed_connection_that_names_the_host() -> None:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=Resolver())
    ) as session:
        outcome = await ask("http://no-such-host.test/v1", session=session)
    outcome.failed(ConnectionFailedError, ConnectionError, says=["no-such-host.test"])


async def test_a_resolver_that_hangs_ends_at_the_connect_clock() -> None:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=Resolver(hangs=True), limit=0)
    ) as session:
        outcome = await ask("http://slow-name.test/v1", session=session)
    outcome.failed(ConnectTimeoutError, TimeoutError, after=0.3, within=0.3)


async def test_a_host_name_that_cannot_exist_is_ours_too() -> None:
    outcome = await ask(f"http://{'a' * 64}.test/v1")
    outcome.failed((ConnectionFailedError, InvalidRequestError))


async def test_tls_to_a_plain_port_is_a_failed_connection() -> None:
    """The server reads a TLS hello, answers in plain HTTP, and the handshake breaks."""
    plain = (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", FIN)
    async with FaultServer(on_connect=[plain]) as server:
        outcome = await ask(server.url.replace("http:", "https:"))
    outcome.failed(ConnectionFailedError, ConnectionError)


async def test_a_tls_handshake_without_an_answer_ends_at_the_connect_clock() -> None:
    async with FaultServer(on_connect=[(HOLD,)]) as server:
        outcome = await ask(server.url.replace("http:", "https:"))
        await server.left()
    outcome.failed(ConnectTimeoutError, TimeoutError, after=0.3, within=0.3)


@pytest.mark.parametrize("fault", [FIN, RST], ids=["fin", "rst"])
async def test_a_connection_closed_on_arrival_is_a_disconnect(fault: Close) -> None:
    async with FaultServer(on_connect=[(fault,)]) as server:
        outcome = await ask(server)
    outcome.failed(DisconnectedError, ConnectionError)
    assert len(server.connections) == 1
    assert not server.requests


@pytest.mark.parametrize("fault", [FIN, RST], ids=["fin", "rst"])
async def test_a_connection_closed_before_the_headers_is_tried_again(fault: Close) -> None:
    async with FaultServer((fault,), HELLO) as server:
        outcome = await ask(server, max_retries=2)
    reply = outcome.ended(End.COMPLETE, "Hello", within=2.0)
    assert reply.timing.retries == 1
    assert len(server.requests) == len(server.connections) == 2
    assert server.requests[0].body == server.requests[1].body
    assert server.requests[0].headers == server.requests[1].headers


async def test_tries_end_at_max_retries_and_the_error_says_how_many() -> None:
    async with FaultServer((FIN,)) as server:
        outcome = await ask(server, max_retries=2)
    outcome.failed(DisconnectedError, ConnectionError, retries=2, within=4.0)
    assert len(server.requests) == 3


async def test_without_retries_a_request_is_sent_once() -> None:
    async with FaultServer((FIN,), HELLO) as server:
        outcome = await ask(server, max_retries=0)
    outcome.failed(DisconnectedError, ConnectionError, retries=0)
    assert len(server.requests) == 1


async def test_a_server_that_accepts_and_says_nothing_ends_at_the_silence_clock() -> None:
    """Timeouts are not retried: a server that is slow once is not helped by a second request."""
    async with FaultServer((HOLD,)) as server:
        outcome = await ask(server, max_retries=2)
        await server.left()
    outcome.failed(
        SilenceTimeoutError, TimeoutError, after=0.3, within=0.3, seconds=0.3, says=["silence"]
    )
    assert len(server.requests) == 1


async def test_a_greeting_of_another_protocol_is_not_http() -> None:
    async with FaultServer(on_connect=[(b"SSH-2.0-OpenSSH_9.6\r\n",)]) as server:
        outcome = await ask(server, max_retries=2)
        await server.left()
    outcome.failed(InvalidHTTPError, ValueError)
    assert len(server.connections) == 1, "a wrong server does not get better"


async def test_localhost_finds_a_server_that_listens_on_ipv4_only() -> None:
    async with FaultServer(HELLO) as server:
        outcome = await ask(server.url.replace("127.0.0.1", "localhost"))
    outcome.ended(End.COMPLETE, "Hello")


async def test_a_proxy_from_the_environment_is_not_asked_for_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with taken_port() as port:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        async with FaultServer(HELLO) as server:
            outcome = await ask(server)
    outcome.ended(End.COMPLETE, "Hello")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables in an environment that has no proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def change(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return change


async def test_a_proxy_from_the_environment_gets_only_its_own_password(
    environment: Callable[..., None],
) -> None:
    async with FaultServer(HELLO) as proxy:
        environment(http_proxy=proxy.url.replace("//", "//me:pass@"))
        outcome = await ask("http://api.test/v1")
    outcome.ended(End.COMPLETE, "Hello")
    (request,) = proxy.requests
    assert request.target == "http://api.test/v1/chat/completions"
    assert request.headers["proxy-authorization"] == "Basic bWU6cGFzcw=="
    assert request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", [KEY, None])
async def test_a_password_for_the_host_in_netrc_is_not_sent(
    key: str | None, environment: Callable[..., None], tmp_path: Path
) -> None:
    """And does not stand in the way of a key, which it would as trust_env has it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password other\n", encoding="ascii")
    async with FaultServer(HELLO) as proxy:
        environment(http_proxy=proxy.url, NETRC=str(netrc))
        outcome = await ask("http://api.test/v1", api_key=key)
    outcome.ended(End.COMPLETE, "Hello")
    assert proxy.requests[0].headers.get("authorization") == (key and f"Bearer {key}")
    assert "proxy-authorization" not in proxy.requests[0].headers


async def test_a_proxy_that_refuses_its_password_is_blamed_and_not_the_server(
    environment: Callable[..., None],
) -> None:
    """In the clear, where it answers in the server's place; and to a tunnel."""
    refusal = (head(407, "Proxy Authentication Required", length=0),)
    async with FaultServer(refusal) as proxy:
        url = proxy.origin.replace("//", "//me:the-password@")
        environment(http_proxy=url, https_proxy=url)
        plain = await ask("http://api.test/v1", max_retries=2)
        tunnel = await ask("https://api.test/v1", max_retries=2)
    for outcome in (plain, tunnel):
        error = outcome.failed(
            AuthenticationError, PermissionError, status=407, says=["the proxy on the way to"]
        )
        assert "the-password" not in str(error)
        assert "api_key" not in str(error)
    assert [request.method for request in proxy.requests] == ["POST", "CONNECT"]


async def test_a_proxy_whose_way_is_blocked_is_asked_again(
    environment: Callable[..., None],
) -> None:
    async with FaultServer((head(503, "X", length=0),)) as proxy:
        environment(https_proxy=proxy.origin)
        outcome = await ask("https://api.test/v1", max_retries=1)
    outcome.failed(ServerStatusError, status=503, retries=1, says=["the proxy"], within=2)


@pytest.mark.parametrize(
    ("answer", "says", "retries"),
    [
        ((FIN,), "closed the connection", 1),
        ((RST,), "closed the connection", 1),
        ((b"SSH-2.0-OpenSSH\r\n\r\n", FIN), "answered with broken HTTP", 0),
    ],
    ids=["fin", "rst", "ssh"],
)
async def test_a_proxy_that_makes_no_tunnel_is_blamed_and_not_the_server(
    answer: Answer, says: str, retries: int, environment: Callable[..., None]
) -> None:
    async with FaultServer(answer) as proxy:
        environment(https_proxy=proxy.origin)
        outcome = await ask("https://api.test/v1", max_retries=1)
    outcome.failed(
        ConnectionFailedError,
        party="proxy",
        retries=retries,
        says=[f"the proxy 127.0.0.1:{proxy.port} {says}", "add api.test to no_proxy"],
    )


async def test_a_proxy_that_hangs_is_named(environment: Callable[..., None]) -> None:
    async with FaultServer((HOLD,)) as proxy:
        environment(https_proxy=proxy.origin)
        outcome = await ask("https://api.test/v1")
    outcome.failed(ConnectTimeoutError, says=[f"through the proxy 127.0.0.1:{proxy.port}"])


async def test_a_status_in_the_clear_may_be_the_proxys(environment: Callable[..., None]) -> None:
    async with FaultServer((head(403, "Forbidden", length=0),)) as proxy:
        environment(http_proxy=proxy.origin)
        outcome = await ask("http://api.test/v1")
    outcome.failed(AuthenticationError, says=[f"or the proxy 127.0.0.1:{proxy.port}"])


async def test_what_a_middleware_of_the_callers_raises_is_theirs() -> None:
    async def broken(request: object, send: object) -> aiohttp.ClientResponse:
        raise KeyError("theirs")

    async with FaultServer(HELLO) as server, aiohttp.ClientSession(middlewares=[broken]) as session:
        outcome = await ask(server, session=session)
    assert type(outcome.error) is KeyError


async def test_a_socks_connectors_exceptions_are_ours() -> None:
    class ProxyError(Exception):
        __module__ = "aiohttp_socks._errors"

    class Socks(aiohttp.TCPConnector):
        async def connect(self, *_: object, **__: object) -> Any:
            raise ProxyError("no acceptable way in")

    async with aiohttp.ClientSession(connector=Socks()) as session:
        outcome = await ask("http://api.test/v1", session=session)
    outcome.failed(ConnectionFailedError, party="proxy", says=["SOCKS", "no acceptable way in"])


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_dead_proxy_is_named(scheme: str, environment: Callable[..., None]) -> None:
    with taken_port() as port:
        environment(all_proxy=f"http://me:the-password@127.0.0.1:{port}")
        outcome = await ask(f"{scheme}://api.test/v1")
    error = outcome.failed(
        ConnectionFailedError,
        party="proxy",
        says=[f"the proxy 127.0.0.1:{port}", "api.test", "no_proxy"],
    )
    assert "the-password" not in str(error)


async def test_a_machine_out_of_file_descriptors_is_blamed_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_left(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    async with FaultServer(HELLO) as server:
        monkeypatch.setattr("async_copilot.transport.bound_session.keep_alive_socket", none_left)
        outcome = await ask(server)
    outcome.failed(ConnectionFailedError, party="machine", says=["open files", "ulimit"])


@pytest.mark.parametrize("proxy", ["socks5://me:secret@p", "http://"])
async def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    proxy: str, environment: Callable[..., None]
) -> None:
    environment(http_proxy=proxy)
    outcome = await ask("http://api.test/v1")
    error = outcome.failed(InvalidRequestError, ValueError, says=["http_proxy", "no_proxy"])
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:1337",
        "ftp://localhost/v1",
        "http://",
        "http:///v1",
        "http://[::1/v1",
        "http://localhost:99999/v1",
        "http://local host/v1",
        "http://a\r\nb/v1",
        "//localhost/v1",
    ],
)
async def test_a_base_url_that_is_none_is_refused_before_anything_is_sent(url: str) -> None:
    outcome = await ask(url)
    outcome.failed(InvalidRequestError, ValueError, says=["base_url"])


@pytest.mark.parametrize("path", ["/", "/chat/completions", "/chat/completions/"])
async def test_the_full_address_is_a_base_url_too(path: str) -> None:
    async with FaultServer(HELLO) as server:
        outcome = await ask(server.url + path)
    outcome.ended(End.COMPLETE, "Hello")
    assert server.requests[0].target == "/v1/chat/completions"


async def test_many_requests_refused_at_once_each_fail_alone() -> None:
    with taken_port() as port:
        async with CopilotClient(
            base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY, timeouts=FAST, max_retries=0
        ) as client:
            outcomes = await asyncio.gather(*(ask("", client=client) for _ in range(50)))
    errors = {id(outcome.failed(ConnectionFailedError, within=1.0)) for outcome in outcomes}
    assert len(errors) == 50
